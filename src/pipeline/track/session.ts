// A tracked run from its first reading to its document: energy, shares, carbon, water and money so far; may depend on meter, quantity and this room.
import type { Domain, EnergyUse, Meter, MeterWindow, Sample } from "../../meter/source.ts";
import type { Usage } from "../../meter/usage/usage-probe.ts";
import { ShareMeter, type IdlePolicy } from "./attribution.ts";
import type { Used } from "./budget.ts";
import { PowerCurve } from "./power-curve.ts";
import type { NodeRole } from "./rank.ts";

export const SCOPES = ["machine", "process", "cgroup"] as const;
/** Whose energy the headline is. */
export type Scope = (typeof SCOPES)[number];

export interface SessionOptions {
  readonly scope: Scope;
  readonly idle: IdlePolicy;
  readonly role: NodeRole;
}

export interface SessionPorts {
  readonly meter: Meter;
  /** What was used before the command started. */
  readonly firstUsage: Usage;
  observe(): Usage;
  /** Monotonic seconds. */
  now(): number;
}

/** What one joule makes at this moment, by unit: `gCO2e`, `L`, `EUR`. */
export type Rates = ReadonlyMap<string, number>;

/** How the run stands at one sample. */
export interface Standing {
  readonly elapsedSeconds: number;
  /** W since the sample before, of what the headline names; undefined while nothing can be read. */
  readonly powerWatts: number | undefined;
  /** `J` and everything that joules make. */
  readonly used: Used;
  readonly sample: Sample;
}

/** Everything the run leaves behind. */
export interface SessionEnd {
  readonly use: EnergyUse;
  readonly elapsedSeconds: number;
  readonly cpuSeconds: number | undefined;
  readonly cgroupSeconds: number | undefined;
  readonly machine: { readonly busySeconds: number; readonly capacitySeconds: number } | undefined;
  readonly processShares: ShareMeter | undefined;
  readonly cgroupShares: ShareMeter | undefined;
  readonly curve: PowerCurve;
  readonly mostProcesses: number;
  readonly mostResidentBytes: number;
  readonly samples: number;
  /** µJ that each domain counted after the last sample, by its id. */
  readonly unsampledMicrojoules: ReadonlyMap<string, bigint>;
}

/** Devices whose energy is shared by CPU time; what a graphics card used says nothing about who used the processor. */
export const isSharedByCpuTime = ({ kind, countsTowardsTotal }: Domain): boolean =>
  countsTowardsTotal && kind !== "gpu";

const NO_RATES: Rates = new Map();

/** Looking at processes may take this share of one core's time: on a machine with very many the looks come less often. */
const MOST_LOOKING_FRACTION = 0.002;
/** And this much at once. The first look costs ten later ones; waiting it off would miss daemons that live for a second. */
const FREE_LOOKING_SECONDS = 0.05;

/**
 * Follows one run. Samples are taken one after the other even when they are asked for at once.
 *
 * A meter that fails makes gaps, never errors: whatever `meter` throws leaves the sample out.
 */
export class TrackSession {
  readonly #options: SessionOptions;
  readonly #ports: SessionPorts;
  readonly #window: MeterWindow;
  readonly #startSeconds: number;
  readonly #curve = new PowerCurve();
  readonly #processShares = new ShareMeter();
  readonly #cgroupShares = new ShareMeter();
  readonly #firstUsage: Usage;
  #usage: Usage;
  #usageSeconds: number;
  #nextLookSeconds = 0;
  #lookingSeconds = 0;
  /** Energy of shared devices since processes were last looked at. */
  #unsharedJoules = 0;
  #lastSeconds: number;
  readonly #totals = new Map<string, bigint>();
  readonly #startTotals: ReadonlyMap<string, bigint>;
  #joules = 0;
  #gpuJoules = 0;
  readonly #made = new Map<string, number>();
  #rates: Rates = NO_RATES;
  /** Joules from before the rates were known. */
  #unratedJoules = 0;
  #mostProcesses = 0;
  #mostResidentBytes = 0;
  #samples = 0;
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(
    options: SessionOptions,
    ports: SessionPorts,
    { window, first, usage }: { window: MeterWindow; first: Sample; usage: Usage },
  ) {
    this.#options = options;
    this.#ports = ports;
    this.#window = window;
    this.#firstUsage = this.#usage = usage;
    for (const { domain, totalMicrojoules } of first.domains) this.#totals.set(domain.id, totalMicrojoules);
    this.#startTotals = new Map(this.#totals);
    this.#startSeconds = this.#lastSeconds = this.#usageSeconds = ports.now();
  }

  /** Takes the first readings: at the moment at which the command starts, or in a world that is held at it. */
  static async begin(options: SessionOptions, ports: SessionPorts): Promise<TrackSession> {
    const usage = ports.firstUsage;
    const first = await ports.meter.sample();
    return new TrackSession(options, ports, { window: await ports.meter.start(), first, usage });
  }

  get elapsedSeconds(): number {
    return this.#ports.now() - this.#startSeconds;
  }

  /** What a joule makes from now on; joules from before the first call are counted with it too. */
  setRates(rates: Rates): void {
    this.#rates = rates;
    this.#make(this.#unratedJoules);
    this.#unratedJoules = 0;
  }

  /** Idle power for the policy `baseline`, W. */
  idleWatts = 0;

  /** Reads everything now. */
  sample(): Promise<Standing> {
    return this.#inTurn(async () => this.#take(await this.#ports.meter.sample()));
  }

  /** The last readings; nothing may be sampled after it. */
  finish(): Promise<SessionEnd> {
    return this.#inTurn(async () => {
      const use = await this.#window.stop();
      const elapsedSeconds = this.elapsedSeconds;
      this.#closeShares(use);
      const { tree, machine, cgroupSeconds } = this.#usage;
      const first = this.#firstUsage;
      return {
        use,
        elapsedSeconds,
        cpuSeconds: tree?.cpuSeconds,
        cgroupSeconds:
          cgroupSeconds === undefined || first.cgroupSeconds === undefined
            ? undefined
            : Math.max(0, cgroupSeconds - first.cgroupSeconds),
        machine:
          machine === undefined || first.machine === undefined
            ? undefined
            : {
                busySeconds: Math.max(0, machine.busySeconds - first.machine.busySeconds),
                capacitySeconds: Math.max(0, machine.capacitySeconds - first.machine.capacitySeconds),
              },
        processShares: tree === undefined || machine === undefined ? undefined : this.#processShares,
        cgroupShares: cgroupSeconds === undefined || machine === undefined ? undefined : this.#cgroupShares,
        curve: this.#curve,
        mostProcesses: this.#mostProcesses,
        mostResidentBytes: this.#mostResidentBytes,
        samples: this.#samples,
        unsampledMicrojoules: this.#unsampled(use),
      };
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#queue.then(work, work);
    this.#queue = turn.catch(() => undefined);
    return turn;
  }

  #take(sample: Sample): Standing {
    this.#samples += 1;
    const now = this.#ports.now();
    const [from, to] = [this.#lastSeconds - this.#startSeconds, now - this.#startSeconds];
    this.#lastSeconds = now;
    let [joules, shared] = [0, 0];
    for (const { domain, totalMicrojoules } of sample.domains) {
      const before = this.#totals.get(domain.id) ?? 0n;
      this.#totals.set(domain.id, totalMicrojoules);
      if (!domain.countsTowardsTotal) continue;
      const added = Number(totalMicrojoules - before) / 1e6;
      joules += added;
      if (isSharedByCpuTime(domain)) shared += added;
    }
    this.#gpuJoules += joules - shared;
    this.#unsharedJoules += shared;
    if (now >= this.#nextLookSeconds) this.#look();
    const before = this.#joules;
    this.#joules = this.#headline(joules);
    const added = Math.max(0, this.#joules - before);
    this.#curve.add(from, to, added);
    this.#make(added);
    const used = new Map([["J", this.#joules], ...this.#made]);
    const canRead = sample.domains.some(({ domain }) => domain.countsTowardsTotal) && to > from;
    return { elapsedSeconds: to, powerWatts: canRead ? added / (to - from) : undefined, used, sample };
  }

  /** J so far of what the headline names. */
  #headline(addedJoules: number): number {
    const { scope, role, idle } = this.#options;
    if (scope === "machine") return role === "meter" ? this.#joules + addedJoules : 0;
    const shares = scope === "process" ? this.#processShares : this.#cgroupShares;
    return Math.max(this.#joules, shares.joules(idle, this.idleWatts) + this.#gpuJoules);
  }

  #make(joules: number): void {
    if (this.#rates.size === 0) this.#unratedJoules += joules;
    for (const [unit, perJoule] of this.#rates) this.#made.set(unit, (this.#made.get(unit) ?? 0) + joules * perJoule);
  }

  /** Looks at processes and shares out the energy since the look before. */
  #look(): void {
    const begin = this.#ports.now();
    const usage = this.#ports.observe();
    const end = this.#ports.now();
    this.#lookingSeconds += end - begin;
    const owedSeconds = Math.max(0, this.#lookingSeconds - FREE_LOOKING_SECONDS);
    this.#nextLookSeconds = this.#startSeconds + owedSeconds / MOST_LOOKING_FRACTION;
    const before = this.#usage;
    const interval = {
      seconds: Math.max(0, begin - this.#usageSeconds),
      energyJoules: this.#unsharedJoules,
      busySeconds: grown(before.machine?.busySeconds, usage.machine?.busySeconds),
      capacitySeconds: grown(before.machine?.capacitySeconds, usage.machine?.capacitySeconds),
    };
    this.#processShares.add({ ...interval, usedSeconds: grown(before.tree?.cpuSeconds, usage.tree?.cpuSeconds) });
    this.#cgroupShares.add({ ...interval, usedSeconds: grown(before.cgroupSeconds, usage.cgroupSeconds) });
    this.#usage = {
      tree: usage.tree ?? before.tree,
      machine: usage.machine ?? before.machine,
      cgroupSeconds: usage.cgroupSeconds ?? before.cgroupSeconds,
    };
    this.#usageSeconds = begin;
    this.#unsharedJoules = 0;
    this.#mostProcesses = Math.max(this.#mostProcesses, usage.tree?.processes ?? 0);
    this.#mostResidentBytes = Math.max(this.#mostResidentBytes, usage.tree?.residentBytes ?? 0);
  }

  /** The stretch between the last sample and the end. */
  #closeShares(use: EnergyUse): void {
    const unsampled = this.#unsampled(use);
    const rest = (of: (domain: Domain) => boolean): number =>
      use.domains
        .filter(({ domain }) => of(domain))
        .reduce((sum, { domain }) => sum + Number(unsampled.get(domain.id) ?? 0n) / 1e6, 0);
    this.#unsharedJoules += rest(isSharedByCpuTime);
    this.#look();
    const all = rest(({ countsTowardsTotal }) => countsTowardsTotal);
    this.#curve.add(
      this.#lastSeconds - this.#startSeconds,
      this.elapsedSeconds,
      this.#options.scope === "machine" ? all : 0,
    );
  }

  #unsampled({ domains }: EnergyUse): Map<string, bigint> {
    return new Map(
      domains.map(({ domain: { id }, microjoules }) => {
        const sampled = (this.#totals.get(id) ?? 0n) - (this.#startTotals.get(id) ?? 0n);
        return [id, microjoules > sampled ? microjoules - sampled : 0n];
      }),
    );
  }
}

const grown = (before: number | undefined, after: number | undefined): number =>
  before === undefined || after === undefined ? 0 : Math.max(0, after - before);
