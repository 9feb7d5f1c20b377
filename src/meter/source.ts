// What every energy source looks like to the meter: domains, readings, and what they add up to; may depend on quantity and its room.
import type { Assumption, Figure, Method } from "../quantity/figure.ts";
import type { CounterSpec, Gap } from "./counter.ts";
import type { PowerSpec } from "./power-integral.ts";

export type DomainKind =
  | "package"
  | "core"
  | "uncore"
  | "dram"
  | "psys"
  | "gpu"
  | "battery"
  | "node"
  | "rack"
  | "sensor"
  | "cpu-model"
  | "memory-model"
  | "disk-model";

/** One thing whose energy a source knows: a package, a memory controller, a graphics card, a whole node. */
export interface Domain {
  /** Unique over all sources: source and path, never the bare name, e.g. `powercap:intel-rapl:0:1`. */
  readonly id: string;
  /** For people: `package-0`, `dram of package-0`, `NVIDIA L4`. */
  readonly label: string;
  readonly kind: DomainKind;
  /** The device it belongs to, e.g. a PCI bus id, where several domains are of one device. */
  readonly device?: string;
  readonly method: Method;
  /** False where another domain contains or mirrors it: its joules are shown and never added. */
  readonly countsTowardsTotal: boolean;
  /** Why it does not count, or what is special about its numbers. */
  readonly why?: string;
  /** How its counter behaves; given when its readings carry `energyMicrojoules`. */
  readonly counter?: CounterSpec;
  /** How its power readings are integrated; given when they carry `powerWatts`. */
  readonly power?: PowerSpec;
  /** Sources and assumptions of a modelled domain's numbers. */
  readonly sources?: readonly string[];
  readonly assumptions?: readonly Assumption[];
  /** How often the counter moves, s: windows are known no finer than this. */
  readonly updateSeconds?: number;
  /** The domain of the same device that this one is a second opinion of. */
  readonly checks?: string;
  /** The domain whose counter this one seems to repeat: it counts after all when the two come apart. */
  readonly mirrors?: string;
  /** Relative half-width of the error that the maker or a study states, e.g. 0.05 for ±5 %. */
  readonly relativeError?: number;
}

/** What one domain said at one moment. */
export interface Reading {
  readonly domain: string;
  /** Monotonic seconds of the meter's clock. */
  readonly atSeconds: number;
  /** Raw counter, µJ after `counter.scale`; it may wrap. */
  readonly energyMicrojoules?: bigint;
  /** Ends of a modelled counter's 95 % band, cumulative like the counter. */
  readonly bandMicrojoules?: { readonly low: bigint; readonly high: bigint };
  readonly powerWatts?: number;
  /** Why there is no number. A failed read is never a 0. */
  readonly error?: string;
}

/** Where energy can be read. Opening it finds its domains; reading must be cheap and must not throw. */
export interface Source {
  readonly name: string;
  domains(): readonly Domain[];
  read(): readonly Reading[] | Promise<readonly Reading[]>;
  /** What has turned out to be missing since it was opened. */
  problems?(): readonly SourceProblem[];
  close(): void | Promise<void>;
}

/** Why a source is not there, and the least that makes it work. */
export interface SourceProblem {
  readonly source: string;
  readonly code: "absent" | "permission" | "broken" | "dependency" | "not-configured";
  /** What was found and what was expected. */
  readonly message: string;
  /** Commands or settings that help, in the order in which to try them. */
  readonly remedies: readonly Remedy[];
}

export interface Remedy {
  readonly what: string;
  /** To copy and paste; absent where nothing can be typed. */
  readonly command?: string;
}

/** One domain over a window of time. */
export interface DomainUse {
  readonly domain: Domain;
  /** J. Low is what was counted; high also holds what may have been missed in gaps. Absent when nothing was read. */
  readonly energy?: Figure;
  /** µJ counted, exact. */
  readonly microjoules: bigint;
  readonly gaps: readonly Gap[];
  /** Share of the window in which the domain was really read, 0 to 1. */
  readonly coverage: number;
}

/** Two ways to know one device that do not agree within 10 %. */
export interface Disagreement {
  readonly domain: string;
  readonly counterJoules: number;
  readonly integratedJoules: number;
}

/** What a window of time used, over all domains. */
export interface EnergyUse {
  /** J over the domains that count; absent when none was read. */
  readonly energy?: Figure;
  readonly durationSeconds: number;
  readonly domains: readonly DomainUse[];
  readonly gaps: readonly Gap[];
  /** The least covered counting domain's share, 0 to 1; 0 when there is none. */
  readonly coverage: number;
  readonly disagreements: readonly Disagreement[];
}

/** One domain in one sample. */
export interface DomainSample {
  readonly domain: Domain;
  /** µJ that this sample added; 0 while a reading is held back or failed. */
  readonly addedMicrojoules: bigint;
  /** µJ since the meter was opened. */
  readonly totalMicrojoules: bigint;
  /** W since the last sample that counted, or the sensor's own reading. */
  readonly powerWatts?: number;
  /** What was wrong with the reading. */
  readonly trouble?: string;
}

export interface Sample {
  readonly atSeconds: number;
  readonly domains: readonly DomainSample[];
  /** W over the domains that count, as far as they could be read. */
  readonly powerWatts?: number;
}

/** A window of time on a meter that is open. */
export interface MeterWindow {
  /** Takes a last sample and says what the window used. */
  stop(): Promise<EnergyUse>;
}

/** An open meter. It never throws because of a sensor: what fails is a gap. */
export interface Meter {
  readonly domains: readonly Domain[];
  /** As of now: what cannot be read, and what appeared too late to be. */
  readonly problems: readonly SourceProblem[];
  /** Reads every source now; readers that want a series call it, the meter itself keeps counters from wrapping unseen. */
  sample(): Promise<Sample>;
  /** Opens a window with a sample; windows may overlap. */
  start(): Promise<MeterWindow>;
  /** Runs `work` in a window of its own. */
  measure<T>(work: () => T | Promise<T>): Promise<{ readonly result: T; readonly use: EnergyUse }>;
  close(): Promise<void>;
}
