// CPU time of a process and everything it started, the dead included; may depend on its room and Node's file system.
import { readdirSync } from "node:fs";
import { readKernelFile } from "./proc-file.ts";
import { parseProcessStat, TICKS_PER_SECOND, type ProcessStat } from "./process-stat.ts";

/** What a process tree uses. */
export interface TreeUsage {
  /** User and system time since the tree was made, of the living and the dead, s. */
  readonly cpuSeconds: number;
  readonly processes: number;
  readonly threads: number;
  /** Sum of resident memory; pages that processes share count once for each. */
  readonly residentBytes: number;
}

export interface ProcessTreeOptions {
  /** Where /proc is mounted. */
  readonly procRoot: string;
  /** The process that starts the root and waits for it: this one. */
  readonly parentPid: number;
  /** `NAME=value` in the environment of the tree's processes: finds those whose parent had died before they were first seen. */
  readonly marker?: string;
}

interface Member {
  stat: ProcessStat;
  /** The part of `waitedTicks` that deaths settled earlier account for. */
  explainedTicks: number;
  /** The pass of this look in which it was found missing. */
  missingSince?: number;
}

// /proc is not a snapshot: processes end while it is read. A pass that saw one vanish is repeated so many times at most.
const MAX_PASSES = 4;
const PAGE_BYTES = 4096;

const ticksOf = ({ ownTicks, waitedTicks }: ProcessStat): number => ownTicks + waitedTicks;

/**
 * Follows a process tree through /proc.
 *
 * A dead process's time moves into its parent's `cutime` when the parent waits for it, and from there up to the process that
 * started the root, so that children too short-lived to be ever seen count all the same. Where nobody waits (the parent died
 * first, or ignores SIGCHLD) the kernel drops the time: then what was last seen is kept.
 *
 * Make it before the root starts: what exists by then is foreign.
 */
export class ProcessTree {
  readonly #options: ProcessTreeOptions;
  readonly #members = new Map<number, Member>();
  #foreign: Set<number>;
  #root: number | undefined;
  /** The parent of the root: only what it waits for belongs to the tree. */
  readonly #parent: Member | undefined;
  readonly #firstWaitedTicks: number;
  /** Time of dead processes that no living process accounts for. */
  #droppedTicks = 0;
  #mostTicks = 0;

  constructor(options: ProcessTreeOptions) {
    this.#options = options;
    this.#foreign = new Set(this.#listPids());
    const parent = this.#read(options.parentPid);
    this.#firstWaitedTicks = parent?.waitedTicks ?? 0;
    this.#parent = parent === undefined ? undefined : { stat: parent, explainedTicks: parent.waitedTicks };
  }

  /** Names the tree's first process; before that the tree is empty. */
  attach(root: number): void {
    this.#root = root;
    this.#foreign.delete(root);
  }

  /** Pids of the tree's living processes, parents before their children; zombies are past all signals. */
  get pids(): readonly number[] {
    return this.#living()
      .filter(({ stat }) => stat.state !== "Z")
      .map(({ stat }) => stat.pid);
  }

  /** Looks at every process of the tree, finds new ones, and settles the dead. */
  observe(): TreeUsage {
    this.#discover();
    let pass = 1;
    while (this.#readMembers(pass) && pass < MAX_PASSES) pass++;
    this.#settle(pass);
    const living = this.#living();
    const waited = (this.#parent?.stat.waitedTicks ?? 0) - this.#firstWaitedTicks;
    const ticks = living.reduce((total, { stat }) => total + ticksOf(stat), waited + this.#droppedTicks);
    // Ticks are rounded down one by one, so that a sum may lose one when time moves from a child to its parent.
    this.#mostTicks = Math.max(this.#mostTicks, ticks);
    return {
      cpuSeconds: this.#mostTicks / TICKS_PER_SECOND,
      processes: living.length,
      threads: living.reduce((total, { stat }) => total + stat.threads, 0),
      residentBytes: living.reduce((total, { stat }) => total + stat.residentPages * PAGE_BYTES, 0),
    };
  }

  #living(): Member[] {
    return [...this.#members.values()].filter(({ missingSince }) => missingSince === undefined);
  }

  #listPids(): number[] {
    try {
      return readdirSync(this.#options.procRoot)
        .map(Number)
        .filter((pid) => Number.isInteger(pid) && pid > 0);
    } catch {
      return [];
    }
  }

  #read(pid: number): ProcessStat | undefined {
    const text = readKernelFile(`${this.#options.procRoot}/${pid}/stat`);
    return text === undefined ? undefined : parseProcessStat(text);
  }

  /** Adds processes that are new since the last look and belong to the tree. */
  #discover(): void {
    const present = this.#listPids();
    const seen = new Set(present);
    // A pid that is gone may come again as somebody else.
    for (const pid of this.#foreign) if (!seen.has(pid)) this.#foreign.delete(pid);
    const candidates = new Map<number, ProcessStat>();
    for (const pid of present) {
      if (this.#foreign.has(pid) || this.#members.has(pid) || pid === this.#options.parentPid) continue;
      const stat = this.#read(pid);
      if (stat !== undefined) candidates.set(pid, stat);
    }
    // Parents first, whatever the order of pids: a pid may be smaller than its parent's once numbers have wrapped.
    for (let found = true; found;) {
      found = false;
      for (const [pid, stat] of candidates) {
        if (pid !== this.#root && !this.#members.has(stat.parent)) continue;
        this.#adopt(stat);
        candidates.delete(pid);
        found = true;
      }
    }
    for (const [pid, stat] of candidates) {
      if (this.#isMarked(pid)) this.#adopt(stat);
      else this.#foreign.add(pid);
    }
  }

  /** New members begin at nothing: their whole time falls into this run. */
  #adopt(stat: ProcessStat): void {
    this.#members.set(stat.pid, { stat, explainedTicks: 0 });
  }

  #isMarked(pid: number): boolean {
    const { marker, procRoot } = this.#options;
    if (marker === undefined) return false;
    return (readKernelFile(`${procRoot}/${pid}/environ`) ?? "").split("\0").includes(marker);
  }

  /**
   * One pass over the members, parents before children: a child that is still there when it is read cannot be in the
   * `cutime` that its parent showed before.
   *
   * @returns true when a member vanished during the pass, so that its parent's time may be older than its end
   */
  #readMembers(pass: number): boolean {
    if (this.#parent !== undefined) this.#parent.stat = this.#read(this.#options.parentPid) ?? this.#parent.stat;
    let vanished = false;
    for (const member of this.#living()) {
      const stat = this.#read(member.stat.pid);
      if (stat !== undefined && stat.startTicks === member.stat.startTicks) {
        member.stat = stat;
      } else {
        member.missingSince = pass;
        vanished = true;
      }
    }
    return vanished;
  }

  /**
   * Decides for the dead whether a living process accounts for their time.
   *
   * Those that vanished in the last pass wait for the next look: their parent was read before.
   */
  #settle(lastPass: number): void {
    const owed = new Map<Member | undefined, { ticks: number; count: number }>();
    const unsure = new Set<Member | undefined>();
    const dead = [...this.#members.values()].filter(({ missingSince }) => missingSince !== undefined);
    const settled = dead.filter(({ missingSince }) => missingSince !== lastPass);
    for (const member of dead) {
      const heir = this.#heirOf(member.stat);
      const debt = owed.get(heir) ?? { ticks: 0, count: 0 };
      if (member.missingSince === lastPass) unsure.add(heir);
      else owed.set(heir, { ticks: debt.ticks + ticksOf(member.stat), count: debt.count + 1 });
    }
    for (const { stat } of settled) this.#members.delete(stat.pid);
    for (const member of dead) if (member.missingSince === lastPass) member.missingSince = 0;
    for (const [heir, { ticks, count }] of owed) {
      const growth = heir === undefined ? 0 : heir.stat.waitedTicks - heir.explainedTicks;
      // Each of four counters is rounded down.
      if (ticks - growth > 4 * count || heir === undefined) this.#droppedTicks += ticks - growth;
      if (heir !== undefined) heir.explainedTicks += Math.min(ticks, growth);
    }
    // What grew without a death that was seen were children too short-lived to be seen.
    for (const heir of [this.#parent, ...this.#living()]) {
      if (heir !== undefined && !unsure.has(heir)) heir.explainedTicks = heir.stat.waitedTicks;
    }
  }

  /** The nearest ancestor that still lives, the parent of the root, or undefined for one that lost its parents. */
  #heirOf(stat: ProcessStat): Member | undefined {
    let at = stat;
    // Bounded: lines read at different moments may name each other as parents.
    for (let steps = 0; steps <= this.#members.size; steps++) {
      if (at.pid === this.#root) return this.#parent;
      const parent = this.#members.get(at.parent);
      if (parent === undefined || parent.missingSince === undefined) return parent;
      at = parent.stat;
    }
    return undefined;
  }
}
