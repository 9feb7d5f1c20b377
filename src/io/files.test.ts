// Positioned reads, atomic writes and digests on real files.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  appendFile,
  chmod,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  utimes,
  writeFile,
  type FileHandle,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { makeFolder, openAtomicWriter, removeUnfinishedFiles, writeFileAtomic } from "./atomic-write.ts";
import { sha256, sha256File } from "./digest.ts";
import { openFileRange } from "./file-range.ts";

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-files-"));
  path = join(folder, "file.bin");
});
afterEach(() => rm(folder, { recursive: true }));

describe("openFileRange", () => {
  it("gives the bytes of a range, with and without a promise", async () => {
    await writeFile(path, "0123456789");
    const range = await openFileRange(path);
    expect(range.size).toBe(10);
    expect(Buffer.from(await range.read(3, 4)).toString()).toBe("3456");
    expect(Buffer.from(range.readSync(8, 2)).toString()).toBe("89");
    expect(await range.read(10, 0)).toHaveLength(0);
    await range.close();
  });

  it.each([
    [-1, 2],
    [5, 6],
    [11, 0],
    [0, NaN],
    [0, -1],
  ])("refuses bytes outside the file: offset %d, length %d", async (offset, length) => {
    await writeFile(path, "0123456789");
    const range = await openFileRange(path);
    await expect(range.read(offset, length)).rejects.toMatchObject({ code: "E_FILE_READ" });
    expect(() => range.readSync(offset, length)).toThrow(/were asked for/);
    await range.close();
  });

  it("refuses a file that grew, or was written with another time, since it was opened", async () => {
    await writeFile(path, "0123456789");
    const range = await openFileRange(path);
    await appendFile(path, "x");
    await expect(range.read(0, 1)).rejects.toMatchObject({ code: "E_FILE_CHANGED" });
    await range.close();
    const second = await openFileRange(path);
    await utimes(path, 1, 1);
    expect(() => second.readSync(0, 1)).toThrow(/changed/);
    await second.close();
  });

  it("refuses another file under the same name, given the stamp of the first", async () => {
    await writeFile(path, "0123456789");
    const { stamp, close } = await openFileRange(path).then((range) => ({
      stamp: range.stamp,
      close: () => range.close(),
    }));
    await close();
    await writeFile(`${path}.new`, "9876543210");
    const { atime, mtime } = await stat(path);
    await utimes(`${path}.new`, atime, mtime);
    await rename(`${path}.new`, path);
    await expect(openFileRange(path, stamp)).rejects.toMatchObject({ code: "E_FILE_CHANGED" });
  });
});

describe("an atomic write", () => {
  it("shows the old content until commit and nothing else afterwards", async () => {
    await writeFile(path, "old");
    const writer = await openAtomicWriter(path);
    await writer.write(Buffer.from("new "));
    await writer.write(Buffer.from("content"));
    expect(await readFile(path, "utf8")).toBe("old");
    await writer.commit();
    await writer.abort();
    expect(await readFile(path, "utf8")).toBe("new content");
    expect(await readdir(folder)).toEqual(["file.bin"]);
  });

  it("leaves nothing behind when aborted or interrupted", async () => {
    const aborted = await openAtomicWriter(path);
    await aborted.write(Buffer.from("part"));
    await aborted.abort();
    await aborted.abort();
    const interrupted = await openAtomicWriter(path);
    await interrupted.write(Buffer.from("part"));
    expect(await readdir(folder)).toHaveLength(1);
    removeUnfinishedFiles();
    expect(await readdir(folder)).toEqual([]);
    await interrupted.abort();
  });

  it("leaves nothing behind when the process exits in the middle", async () => {
    const module = new URL("../../dist/io/atomic-write.js", import.meta.url).href;
    const script = `const { openAtomicWriter } = await import(${JSON.stringify(module)});
      const writer = await openAtomicWriter(process.argv[1]);
      await writer.write(Buffer.from("part"));
      console.log((await import("node:fs")).readdirSync(${JSON.stringify(folder)}).length);
      process.exit(3);`;
    const { status, stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", script, path]);
    expect([status, stdout.toString().trim()]).toEqual([3, "1"]);
    expect(await readdir(folder)).toEqual([]);
  });

  it("keeps the permissions of the file it replaces", async () => {
    await writeFile(path, "old");
    await chmod(path, 0o640);
    await writeFileAtomic(path, "new");
    expect((await stat(path)).mode & 0o777).toBe(0o640);
  });

  it.skipIf(process.platform === "win32")(
    "writes to a pipe and to a device, and puts no file in their place",
    async () => {
      spawnSync("mkfifo", [path]);
      const reader = readFile(path, "utf8");
      await writeFileAtomic(path, "to a pipe");
      expect(await reader).toBe("to a pipe");
      expect((await stat(path)).isFIFO()).toBe(true);
      await writeFileAtomic("/dev/null", "nothing");
      expect((await stat("/dev/null")).isCharacterDevice()).toBe(true);
      expect(await readdir(folder)).toEqual(["file.bin"]);
    },
  );

  it.skipIf(process.platform === "win32")("goes on where standard output stands, when that is a file", async () => {
    const module = new URL("../../dist/io/atomic-write.js", import.meta.url).href;
    const script = `const { writeFileAtomic } = await import(${JSON.stringify(module)});
      console.log("before");
      await writeFileAtomic("/dev/stdout", "after");`;
    const command = `"${process.execPath}" --input-type=module -e '${script}' >> ${path}`;
    spawnSync("/bin/sh", ["-c", command]);
    expect(await readFile(path, "utf8")).toBe("before\nafter");
  });

  it("tells of a disk that failed while more was still being written, though a later sync succeeds", async () => {
    await writeFile(path, "old");
    const handle = await open(path);
    const failing = vi
      .spyOn(Object.getPrototypeOf(handle) as FileHandle, "datasync")
      .mockRejectedValueOnce(new Error("EIO: i/o error, fdatasync"));
    await handle.close();
    try {
      await expect(writeFileAtomic(path, new Uint8Array(8 * 2 ** 20))).rejects.toMatchObject({ code: "E_FILE_WRITE" });
      expect(failing).toHaveBeenCalledOnce();
    } finally {
      failing.mockRestore();
    }
    expect(await readFile(path, "utf8")).toBe("old");
    expect(await readdir(folder)).toEqual(["file.bin"]);
  });

  it("over a folder is refused and leaves no temporary file", async () => {
    await expect(writeFileAtomic(folder, "x")).rejects.toMatchObject({ code: "E_FILE_WRITE" });
    expect(
      (await readdir(join(folder, ".."))).filter((name) => name.includes(".tmp") && folder.includes(name)),
    ).toEqual([]);
  });
});

describe("a folder", () => {
  it("is made with those above it; a file in its place, or above, is said so", async () => {
    await makeFolder(join(folder, "a", "b"));
    await makeFolder(join(folder, "a", "b"));
    expect((await stat(join(folder, "a", "b"))).isDirectory()).toBe(true);
    await writeFile(path, "");
    for (const wanted of [path, join(path, "below")]) {
      await expect(makeFolder(wanted)).rejects.toMatchObject({
        code: "E_FILE_WRITE",
        hint: expect.stringContaining("A file has the name"),
      });
    }
  });
});

describe("a digest", () => {
  it("of a file of several chunks equals the digest of its bytes", async () => {
    const bytes = Buffer.alloc(2_500_000, "lightfoot");
    await writeFile(path, bytes);
    expect(await sha256File(path)).toBe(sha256(bytes));
    expect(sha256("abc")).toBe("sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect(await sha256File(path)).toBe(`sha256:${createHash("sha256").update(bytes).digest("hex")}`);
  });
});
