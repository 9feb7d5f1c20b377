// CPU time of process trees against a simulated kernel and against real processes; depends on its room and fast-check.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ProcessTree } from "./process-tree.ts";

let procRoot = "";
beforeEach(() => {
  procRoot = mkdtempSync(join(tmpdir(), "lightfoot-proc-"));
});
afterEach(() => rmSync(procRoot, { recursive: true }));

interface Simulated {
  readonly pid: number;
  parent: number;
  own: number;
  waited: number;
}

const TRACK = 10;
const ROOT = 11;

/** A kernel that knows processes, their ticks and who waits for whom, and shows them below `procRoot`. */
class Kernel {
  readonly processes = new Map<number, Simulated>();
  /** Every tick that a process of the tree ever ran. */
  truthTicks = 0;
  #nextPid = ROOT;

  constructor() {
    this.#add(1, 0);
    this.#add(TRACK, 1);
  }

  #add(pid: number, parent: number, environ = ""): number {
    this.processes.set(pid, { pid, parent, own: 0, waited: 0 });
    mkdirSync(join(procRoot, String(pid)));
    writeFileSync(join(procRoot, String(pid), "environ"), environ);
    this.#show(pid);
    return pid;
  }

  #show(pid: number): void {
    const { parent, own, waited } = this.processes.get(pid)!;
    const line = `${pid} (a) b c) S ${parent} 1 1 0 -1 0 0 0 0 0 ${own} 0 ${waited} 0 20 0 3 0 ${pid} 4096 25 0`;
    writeFileSync(join(procRoot, String(pid), "stat"), `${line}\n`);
  }

  fork(parent: number, environ = ""): number {
    return this.#add(this.#nextPid++, parent, environ);
  }

  run(pid: number, ticks: number): void {
    this.processes.get(pid)!.own += ticks;
    this.truthTicks += ticks;
    this.#show(pid);
  }

  /** Ends a process: its children go to init; the parent gets its time only if it waits. */
  end(pid: number, isWaitedFor = true): void {
    const { parent, own, waited } = this.processes.get(pid)!;
    this.processes.delete(pid);
    rmSync(join(procRoot, String(pid)), { recursive: true });
    for (const child of this.processes.values()) {
      if (child.parent !== pid) continue;
      child.parent = 1;
      this.#show(child.pid);
    }
    const heir = this.processes.get(parent);
    if (heir === undefined || !isWaitedFor) return;
    heir.waited += own + waited;
    this.#show(parent);
  }

  childrenOf(pid: number): number[] {
    return [...this.processes.values()].filter(({ parent }) => parent === pid).map((child) => child.pid);
  }

  /** Ends a process and everything below it, the youngest first, each waited for. */
  endTree(pid: number): void {
    for (const child of this.childrenOf(pid)) this.endTree(child);
    this.end(pid);
  }

  get tree(): number[] {
    return [...this.processes.keys()].filter((pid) => pid >= ROOT);
  }
}

function start(marker?: string): { kernel: Kernel; tree: ProcessTree } {
  const kernel = new Kernel();
  const tree = new ProcessTree({ procRoot, parentPid: TRACK, ...(marker === undefined ? {} : { marker }) });
  tree.attach(kernel.fork(TRACK));
  return { kernel, tree };
}

const steps = fc.array(
  fc.record({
    what: fc.constantFrom("fork", "run", "end", "abandon", "observe"),
    which: fc.nat(),
    ticks: fc.integer({ min: 1, max: 500 }),
  }),
  { maxLength: 60 },
);

/** Plays steps; `abandon` ends a process whose children live on, or that nobody waits for. */
function play(
  kernel: Kernel,
  tree: ProcessTree,
  list: readonly { what: string; which: number; ticks: number }[],
): number[] {
  const seen: number[] = [];
  for (const { what, which, ticks } of list) {
    const living = kernel.tree;
    const pid = living[which % living.length];
    if (what === "fork") kernel.fork(pid);
    else if (what === "run") kernel.run(pid, ticks);
    else if (what === "observe") seen.push(tree.observe().cpuSeconds);
    else if (pid !== ROOT && what === "end") kernel.endTree(pid);
    else if (pid !== ROOT) kernel.end(pid, ticks % 2 === 0);
  }
  return seen;
}

describe("a process tree", () => {
  it("has every tick of living and dead, whenever it is looked at, as long as parents wait", () => {
    fc.assert(
      fc.property(steps, (list) => {
        rmSync(procRoot, { recursive: true });
        mkdirSync(procRoot);
        const { kernel, tree } = start();
        play(
          kernel,
          tree,
          list.filter(({ what }) => what !== "abandon"),
        );
        expect(tree.observe().cpuSeconds).toBeCloseTo(kernel.truthTicks / 100, 9);
        kernel.endTree(ROOT);
        expect(tree.observe().cpuSeconds).toBeCloseTo(kernel.truthTicks / 100, 9);
      }),
      { seed: 1, numRuns: 60 },
    );
  });

  it("never has more than was run, and never less than before, whoever dies without being waited for", () => {
    fc.assert(
      fc.property(steps, (list) => {
        rmSync(procRoot, { recursive: true });
        mkdirSync(procRoot);
        const { kernel, tree } = start();
        const seen = play(kernel, tree, list);
        seen.push(tree.observe().cpuSeconds);
        kernel.endTree(ROOT);
        seen.push(tree.observe().cpuSeconds, tree.observe().cpuSeconds);
        expect(seen).toEqual(seen.toSorted((a, b) => a - b));
        expect(seen.at(-1)).toBeLessThanOrEqual(kernel.truthTicks / 100 + 1e-9);
      }),
      { seed: 2, numRuns: 60 },
    );
  });

  it("keeps what it last saw of an orphan and of a child nobody waited for", () => {
    const { kernel, tree } = start();
    const child = kernel.fork(ROOT);
    const grandchild = kernel.fork(child);
    kernel.run(grandchild, 70);
    tree.observe();
    kernel.end(child, false);
    kernel.run(grandchild, 30);
    expect(tree.observe().cpuSeconds).toBe(1);
    kernel.end(grandchild, false);
    expect(tree.observe()).toMatchObject({ cpuSeconds: 1, processes: 1 });
    kernel.run(ROOT, 5);
    expect(tree.observe().cpuSeconds).toBe(1.05);
  });

  it("finds a process by its marker whose parent died before it was seen, and leaves strangers alone", () => {
    const { kernel, tree } = start("LIGHTFOOT_RUN=7");
    const child = kernel.fork(ROOT);
    kernel.fork(child, "PATH=/bin\0LIGHTFOOT_RUN=7\0");
    const stranger = kernel.fork(1, "LIGHTFOOT_RUN=77\0");
    kernel.end(child);
    kernel.run(stranger, 999);
    expect(tree.observe()).toMatchObject({ cpuSeconds: 0, processes: 2, threads: 6, residentBytes: 2 * 25 * 4096 });
    expect(tree.pids).not.toContain(stranger);
  });

  it("is empty and quiet where there is no /proc", () => {
    const tree = new ProcessTree({ procRoot: join(procRoot, "none"), parentPid: 1 });
    tree.attach(2);
    expect(tree.observe()).toEqual({ cpuSeconds: 0, processes: 0, threads: 0, residentBytes: 0 });
  });
});
