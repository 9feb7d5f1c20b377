// The kernel's lines as numbers: names with parentheses, guests, stolen time, groups of either version; depends on its room.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findCgroup, ownCgroup, readCgroupCpuSeconds } from "./cgroup-cpu.ts";
import { parseMachineCpu } from "./machine-cpu.ts";
import { parseProcessStat } from "./process-stat.ts";

describe("/proc/PID/stat", () => {
  const after = "S 1 7 7 34816 9 4194560 9 0 0 0 3 1 40 20 20 0 5 0 512 4096 100 18446744073709551615";

  it.each(["sh", "a) b", "(((", "x) R 9 9 9", ""])("is read whatever the program calls itself: %j", (name) => {
    expect(parseProcessStat(`7 (${name}) ${after}\n`)).toEqual({
      pid: 7,
      parent: 1,
      state: "S",
      processGroup: 7,
      terminalGroup: 9,
      ownTicks: 4,
      waitedTicks: 60,
      startTicks: 512,
      threads: 5,
      residentPages: 100,
    });
  });

  it.each(["", "7", "7 (sh", "7 (sh) S 1", `x (sh) ${after}`, `7 (sh) ${after.replace("40", "-40")}`])(
    "is nothing when it is no such line: %j",
    (text) => expect(parseProcessStat(text)).toBeUndefined(),
  );
});

describe("/proc/stat", () => {
  it("counts guests once, and neither stolen nor idle time as busy", () => {
    const text = "cpu  100 20 30 800 50 5 5 400 60 10\ncpu0 1 1 1 1\n";
    expect(parseMachineCpu(text)).toEqual({ busySeconds: 1.6, capacitySeconds: 10.1 });
  });
  it("is nothing when it is none", () => expect(parseMachineCpu("intr 1 2 3\n")).toBeUndefined());
});

describe("control groups", () => {
  let root = "";
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "lightfoot-cgroup-"));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  const make = (path: string, stat?: string): string => {
    mkdirSync(join(root, path), { recursive: true });
    if (stat !== undefined) writeFileSync(join(root, path, "cpu.stat"), stat);
    return join(root, path);
  };

  it("are found by any way to write them, on pure and on mixed hosts", () => {
    const pure = make("fs/cgroup/a.slice/b", "usage_usec 1500000\nuser_usec 1\n");
    const mixed = make("fs/cgroup/unified/c", "usage_usec 7\n");
    for (const path of ["a.slice/b", "/a.slice/b", "/sys/fs/cgroup/a.slice/b", "/fs/cgroup/a.slice/b", pure]) {
      expect(findCgroup(path, root)).toBe(pure);
    }
    expect(findCgroup("c", root)).toBe(mixed);
    expect(readCgroupCpuSeconds(pure)).toBe(1.5);
  });

  it("that are missing, or of version 1, are refused with what was found", () => {
    make("fs/cgroup/old", "nr_periods 0\n");
    expect(() => findCgroup("old", root)).toThrow(/no control group of version 2/);
    expect(() => findCgroup("none", root)).toThrow(/there is no control group none/);
  });

  it("of this process are read from its own line", () => {
    make("self");
    writeFileSync(join(root, "self/cgroup"), "4:memory:/x\n0::/user.slice/me\n");
    expect(ownCgroup(root)).toBe("/user.slice/me");
  });
});
