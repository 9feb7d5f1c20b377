// Tests of the pool of worker threads: results, errors, stopping, reuse and leaving; depends on the room.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compiledModule } from "./compiled-module.ts";
import { createThreadPool, type Task } from "./task-runner.ts";

const SOURCE = `
import { threadId } from "node:worker_threads";
export const run = (input) => input * 2;
export const whoAmI = () => threadId;
export function count(total, { progress, signal }) {
  for (let done = 0; done < total; done++) {
    if (signal.aborted) throw Object.assign(new Error("stopped at " + done));
    progress(done);
  }
  return "all";
}
// Never gives the event loop a turn: only a flag in shared memory can stop it.
export function spin(_input, { signal }) {
  const end = Date.now() + 20_000;
  while (!signal.aborted && Date.now() < end);
  return signal.aborted ? "stopped" : "time ran out";
}
export const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds, "waited"));
export function fail() { throw new TypeError("no such luck"); }
export function die() { process.exit(3); }
export const mirror = (input) => input;
let given;
export function handOver(input, { transfer }) {
  given = input;
  transfer(input.buffer);
  return input;
}
export const left = () => given.byteLength;
`;

let folder: string;
let url: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-tasks-"));
  const file = join(folder, "tasks.mjs");
  await writeFile(file, SOURCE);
  url = pathToFileURL(file).href;
});
afterAll(() => rm(folder, { recursive: true }));

const task = (name: string, input?: unknown): Task => ({ module: url, function: name, input });

describe("the pool", () => {
  it("runs tasks and carries typed arrays and maps over unchanged", async () => {
    const pool = createThreadPool(2);
    expect(await pool.run({ module: url, input: 21 })).toBe(42);
    const value = { data: Float32Array.of(1, 2), map: new Map([["a", 1n]]) };
    expect(await pool.run(task("mirror", value))).toEqual(value);
    await pool.close();
  });

  it("hands memory over instead of copying it when a task says so", async () => {
    const pool = createThreadPool(1);
    expect(await pool.run(task("handOver", Uint8Array.of(1, 2, 3)))).toEqual(Uint8Array.of(1, 2, 3));
    expect(await pool.run(task("left"))).toBe(0);
    await pool.close();
  });

  it("uses a worker again, and no more than it may", async () => {
    const pool = createThreadPool(2);
    const ids = await Promise.all(Array.from({ length: 7 }, () => pool.run<number>(task("whoAmI"))));
    expect(new Set(ids).size).toBeLessThanOrEqual(2);
    await pool.close();
  });

  it("passes progress on in order", async () => {
    const pool = createThreadPool(1);
    const seen: unknown[] = [];
    await pool.run(task("count", 4), { onProgress: (value) => seen.push(value) });
    expect(seen).toEqual([0, 1, 2, 3]);
    await pool.close();
  });

  it("stops a task that never rests, and goes on with the next", async () => {
    const pool = createThreadPool(1);
    const stop = new AbortController();
    const spinning = pool.run(task("spin"), { signal: stop.signal });
    const next = pool.run({ module: url, input: 1 });
    setTimeout(() => stop.abort(), 100);
    expect(await spinning).toBe("stopped");
    expect(await next).toBe(2);
    await pool.close();
  });

  it("never begins a task that was stopped while it waited", async () => {
    const pool = createThreadPool(1);
    const stop = new AbortController();
    const first = pool.run(task("wait", 100));
    const second = pool.run(task("wait", 10_000), { signal: stop.signal });
    stop.abort();
    await expect(second).rejects.toMatchObject({ code: "E_INTERRUPTED" });
    expect(await first).toBe("waited");
    await pool.close();
  });

  it("gives a task's error, and E_WORKER when the worker dies; both leave the pool usable", async () => {
    const pool = createThreadPool(1);
    await expect(pool.run(task("fail"))).rejects.toMatchObject({ code: "E_INTERNAL", message: "no such luck" });
    await expect(pool.run(task("none"))).rejects.toMatchObject({ code: "E_INTERNAL" });
    await expect(pool.run(task("die"))).rejects.toMatchObject({ code: "E_WORKER" });
    await expect(pool.run(task("mirror", () => 1))).rejects.toThrow("cannot be copied");
    expect(await pool.run({ module: url, input: 3 })).toBe(6);
    await pool.close();
  });

  it("lets running tasks finish when it closes, and takes no more", async () => {
    const pool = createThreadPool(1);
    const running = pool.run(task("wait", 50));
    await pool.close();
    expect(await running).toBe("waited");
    await expect(pool.run(task("wait", 1))).rejects.toMatchObject({ code: "E_WORKER" });
  });
});

describe("compiledModule", () => {
  it("means the twin in dist when it is asked from source, and the neighbour otherwise", () => {
    expect(compiledModule("./b.js", "file:///src/repo/src/room/a.ts").href).toBe("file:///src/repo/dist/room/b.js");
    expect(compiledModule("./b.js", "file:///repo/dist/room/a.js").href).toBe("file:///repo/dist/room/b.js");
  });
});
