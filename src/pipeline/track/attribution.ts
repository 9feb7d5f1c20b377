// Which part of a shared device's energy a command used: three idle policies side by side; may depend on quantity.
import { figure, type Assumption, type Figure } from "../../quantity/figure.ts";

/**
 * Who carries the energy that a machine draws when nothing runs.
 *
 * `none`: nobody, a user pays for its share of the machine's whole capacity. `proportional`: those who run, by their share of
 * what ran. `baseline`: a known idle power is taken off first, the rest is shared by those who ran.
 */
export const IDLE_POLICIES = ["none", "proportional", "baseline"] as const;
export type IdlePolicy = (typeof IDLE_POLICIES)[number];

export interface Range {
  readonly low: number;
  readonly value: number;
  readonly high: number;
}

/** What is known about one stretch of time. */
export interface UsageInterval {
  readonly seconds: number;
  /** Energy of the shared devices in it. */
  readonly energyJoules: number;
  /** CPU time of the command, s. */
  readonly usedSeconds: number;
  /** CPU time of everything that ran, s. */
  readonly busySeconds: number;
  /** CPU time there was to have, s. */
  readonly capacitySeconds: number;
}

/**
 * How much more or less than the machine's mean one CPU second may draw.
 *
 * Same processor, same 50 % load: 24 W with the work spread in time over all cores, 43 W packed on half of them.
 *
 * @source CodeCarbon load profiles (RAPL, MIT licence); docs/methodology/attribution.md
 */
export const CPU_SECOND_SPREAD = 43 / 24;

const ZERO: Range = { low: 0, value: 0, high: 0 };

const add = (a: Range, b: Range): Range => ({ low: a.low + b.low, value: a.value + b.value, high: a.high + b.high });

/**
 * The part `share` of a whole when the parts' weights are known only to a factor k: s/(s + k·(1 − s)) … k·s/(k·s + 1 − s).
 *
 * Alone on the machine the share is 1, and sure.
 */
export function shareBand(share: number, spread: number = CPU_SECOND_SPREAD): Range {
  const rest = 1 - share;
  return { low: share / (share + spread * rest), value: share, high: (spread * share) / (spread * share + rest) };
}

const clamp = (value: number): number => Math.min(Math.max(value, 0), 1);

const product = (a: Range, b: Range): Range => ({
  low: a.low * b.low,
  value: a.value * b.value,
  high: a.high * b.high,
});

/** The command's share of what ran, and of all that could have run. */
function sharesOf({ usedSeconds, busySeconds, capacitySeconds }: UsageInterval): { ofBusy: Range; ofCapacity: Range } {
  // Two files read one after the other: the command may show a little more than the machine.
  const busy = Math.max(busySeconds, usedSeconds);
  const capacity = Math.max(capacitySeconds, busy);
  if (usedSeconds <= 0) return { ofBusy: ZERO, ofCapacity: ZERO };
  const load = busy / capacity;
  const active: Range = { low: load / CPU_SECOND_SPREAD, value: load, high: clamp(load * CPU_SECOND_SPREAD) };
  const ofBusy = shareBand(usedSeconds / busy);
  return { ofBusy, ofCapacity: product(active, ofBusy) };
}

const scaled = ({ low, value, high }: Range, factor: number): Range => ({
  low: low * factor,
  value: value * factor,
  high: high * factor,
});

/** What the shares rest on. */
export interface ShareBasis {
  /** Energy of the shared devices over the whole run; its band widens the shares' bands. */
  readonly energy: Range;
  /** W of the idle devices; without it the policy `baseline` says nothing. */
  readonly idlePower?: Range;
  /** CPU time of the command that its clock may have dropped by rounding down, s. */
  readonly unseenSeconds?: number;
  readonly sources: readonly string[];
  readonly assumptions: readonly Assumption[];
}

/** Adds up a command's share of the shared devices over a run. */
export class ShareMeter {
  #none: Range = ZERO;
  #proportional: Range = ZERO;
  /** Σ share · seconds: what one watt of idle power makes of the proportional share. */
  #idleSeconds: Range = ZERO;
  #joules = 0;
  #cpu = { usedSeconds: 0, busySeconds: 0, capacitySeconds: 0 };

  add(interval: UsageInterval): void {
    const { ofBusy, ofCapacity } = sharesOf(interval);
    this.#none = add(this.#none, scaled(ofCapacity, interval.energyJoules));
    this.#proportional = add(this.#proportional, scaled(ofBusy, interval.energyJoules));
    this.#idleSeconds = add(this.#idleSeconds, scaled(ofBusy, interval.seconds));
    this.#joules += interval.energyJoules;
    this.#cpu = {
      usedSeconds: this.#cpu.usedSeconds + interval.usedSeconds,
      busySeconds: this.#cpu.busySeconds + Math.max(interval.busySeconds, interval.usedSeconds),
      capacitySeconds: this.#cpu.capacitySeconds + interval.capacitySeconds,
    };
  }

  /** CPU time of the command, of everything, and what there was, s. */
  get cpu(): Readonly<Pick<UsageInterval, "usedSeconds" | "busySeconds" | "capacitySeconds">> {
    return this.#cpu;
  }

  /** J of one policy so far, as a number; `baseline` needs the idle power. */
  joules(policy: IdlePolicy, idleWatts = 0): number {
    if (policy === "none") return this.#none.value;
    return Math.max(0, this.#proportional.value - (policy === "baseline" ? idleWatts * this.#idleSeconds.value : 0));
  }

  /** Every policy's joules over the run; null where a policy cannot say. */
  figures({
    energy,
    idlePower,
    unseenSeconds = 0,
    sources,
    assumptions,
  }: ShareBasis): Record<IdlePolicy, Figure | null> {
    // Energy that was counted before or after the first and last look at CPU time is shared like the rest.
    const factor: Range = this.#joules > 0 ? scaled(energy, 1 / this.#joules) : ZERO;
    const busy = Math.max(this.#cpu.busySeconds, unseenSeconds);
    const unseen = busy > 0 ? (energy.high * unseenSeconds) / busy : 0;
    const of = (range: Range): Figure =>
      figure({
        low: Math.min(range.low, range.value),
        value: range.value,
        high: Math.max(range.value, Math.min(energy.high, range.high + unseen)),
        unit: "J",
        method: "modelled",
        sources,
        assumptions,
      });
    const none = product(this.#none, factor);
    const proportional = product(this.#proportional, factor);
    const idle = idlePower === undefined ? undefined : this.#withoutIdle(proportional, idlePower);
    return { none: of(none), proportional: of(proportional), baseline: idle === undefined ? null : of(idle) };
  }

  #withoutIdle(proportional: Range, { low, value, high }: Range): Range {
    const seconds = this.#idleSeconds;
    return {
      low: Math.max(0, proportional.low - high * seconds.low),
      value: Math.max(0, proportional.value - value * seconds.value),
      high: Math.max(0, proportional.high - low * seconds.high),
    };
  }
}
