// One domain's running total over all its readings, whatever they carry, with its gaps; may depend on its room and quantity.
import { advanceCounter, finishCounter, NEW_COUNTER, type CounterState, type Gap } from "./counter.ts";
import { finishIntegral, integratePower, NEW_INTEGRAL, type PowerState } from "./power-integral.ts";
import type { Domain, DomainSample, Reading } from "./source.ts";

/** Gaps are kept apart up to this many; then the oldest ones merge, so that a sensor that flickers for months costs nothing. */
const MOST_GAPS = 1000;

interface Band {
  readonly low: bigint;
  readonly high: bigint;
}

/** A domain's state at one moment; the difference of two marks is what a window used. */
export interface Mark {
  /** The last reading that was believed; undefined before the first. */
  readonly atSeconds: number | undefined;
  readonly microjoules: bigint;
  readonly band: Band;
}

const NO_BAND: Band = { low: 0n, high: 0n };

/** Adds up one domain. */
export class Accumulator {
  readonly domain: Domain;
  #counter: CounterState = NEW_COUNTER;
  #power: PowerState = NEW_INTEGRAL;
  #total = 0n;
  #band: Band = NO_BAND;
  #firstBand: Band | undefined;
  #gaps: Gap[] = [];
  #openedSeconds: number;
  #last: { readonly added: bigint; readonly watts: number | undefined; readonly trouble: string | undefined };

  constructor(domain: Domain, openedSeconds: number) {
    this.domain = domain;
    this.#openedSeconds = openedSeconds;
    this.#last = { added: 0n, watts: undefined, trouble: "not read yet" };
  }

  take(reading: Reading): void {
    if (this.domain.counter !== undefined) this.#takeCounter(reading);
    else if (this.domain.power !== undefined) this.#takePower(reading);
  }

  #takeCounter(reading: Reading): void {
    const spec = this.domain.counter;
    if (spec === undefined) return;
    const { atSeconds, energyMicrojoules: raw, bandMicrojoules: band } = reading;
    const step = advanceCounter(spec, this.#counter, { atSeconds, ...(raw === undefined ? {} : { raw }) });
    this.#counter = step.state;
    this.#total += step.addedMicrojoules;
    if (band !== undefined) {
      this.#firstBand ??= band;
      this.#band = { low: band.low - this.#firstBand.low, high: band.high - this.#firstBand.high };
    }
    this.#note(step.gaps);
    const watts = step.overSeconds > 0 ? Number(step.addedMicrojoules) / 1e6 / step.overSeconds : undefined;
    this.#last = { added: step.addedMicrojoules, watts, trouble: reading.error ?? step.trouble };
  }

  #takePower(reading: Reading): void {
    const spec = this.domain.power;
    if (spec === undefined) return;
    const { atSeconds, powerWatts: watts } = reading;
    const step = integratePower(spec, this.#power, { atSeconds, ...(watts === undefined ? {} : { watts }) });
    this.#power = step.state;
    const before = this.#total;
    this.#total = BigInt(Math.round(this.#power.joules * 1e6));
    this.#note(step.gaps);
    const trouble = reading.error ?? step.trouble;
    this.#last = { added: this.#total - before, watts: trouble === undefined ? watts : undefined, trouble };
  }

  #note(gaps: readonly Gap[]): void {
    for (const gap of gaps) {
      const last = this.#gaps.at(-1);
      const continues = last !== undefined && last.reason === gap.reason && last.toSeconds === gap.fromSeconds;
      if (continues) this.#gaps[this.#gaps.length - 1] = join(last, gap);
      else this.#gaps.push(gap);
    }
    const [first, second] = this.#gaps;
    if (this.#gaps.length > MOST_GAPS && first !== undefined && second !== undefined) {
      this.#gaps.splice(0, 2, join(first, second));
    }
  }

  mark(): Mark {
    const atSeconds = this.domain.counter === undefined ? this.#power.last?.atSeconds : this.#counter.base?.atSeconds;
    return { atSeconds, microjoules: this.#total, band: this.#band };
  }

  /** What went wrong between two moments, the trouble that is still open included, cut to them. */
  gapsBetween(fromSeconds: number, toSeconds: number): Gap[] {
    return [...this.#gaps, ...this.#openGaps(toSeconds)]
      .filter((gap) => gap.toSeconds >= fromSeconds && gap.fromSeconds <= toSeconds)
      .map((gap) => cut(gap, fromSeconds, toSeconds))
      .filter((gap) => gap.toSeconds > gap.fromSeconds || gap.reason === "time-backwards");
  }

  #openGaps(atSeconds: number): readonly Gap[] {
    const { counter, power } = this.domain;
    if (this.mark().atSeconds === undefined) {
      const mostWatts = counter?.mostWatts ?? power?.mostWatts ?? 0;
      const seconds = Math.max(0, atSeconds - this.#openedSeconds);
      const fromSeconds = this.#openedSeconds;
      return [{ fromSeconds, toSeconds: atSeconds, reason: "failed-read", mostJoules: mostWatts * seconds }];
    }
    if (counter !== undefined) return finishCounter(counter, this.#counter, atSeconds);
    return power === undefined ? [] : finishIntegral(power, this.#power, atSeconds);
  }

  sample(): DomainSample {
    const { added, watts, trouble } = this.#last;
    return {
      domain: this.domain,
      addedMicrojoules: added,
      totalMicrojoules: this.#total,
      ...(watts === undefined ? {} : { powerWatts: watts }),
      ...(trouble === undefined ? {} : { trouble }),
    };
  }

  /** Before a sample is read: a source that is asked less often has nothing new to say, and its power still holds. */
  beginSample(): void {
    this.#last = { added: 0n, watts: this.#last.watts, trouble: undefined };
  }
}

const join = (first: Gap, second: Gap): Gap => ({
  ...first,
  toSeconds: second.toSeconds,
  mostJoules: first.mostJoules + second.mostJoules,
});

function cut(gap: Gap, fromSeconds: number, toSeconds: number): Gap {
  const from = Math.max(gap.fromSeconds, fromSeconds);
  const to = Math.min(gap.toSeconds, toSeconds);
  const length = gap.toSeconds - gap.fromSeconds;
  const share = length > 0 ? Math.max(0, to - from) / length : 1;
  return { ...gap, fromSeconds: from, toSeconds: Math.max(from, to), mostJoules: gap.mostJoules * share };
}
