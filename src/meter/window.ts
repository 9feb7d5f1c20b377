// What a window of time used: from the marks of each domain to figures with method, interval, gaps and coverage; may depend on its room and quantity.
import { figure, sum, type Assumption, type Figure } from "../quantity/figure.ts";
import type { Accumulator, Mark } from "./accumulator.ts";
import type { Gap } from "./counter.ts";
import type { Disagreement, Domain, DomainUse, EnergyUse } from "./source.ts";

/** Counter and integrated power of one device further apart than this are reported. */
const AGREEMENT = 0.1;
/** Below this, both are too coarse to be compared, J. */
const LEAST_COMPARED_JOULES = 1;

/** A window's beginning in one domain; open until the domain was first read inside the window. */
interface Beginning {
  mark: Mark;
  settled: boolean;
  /** True when the very sample that opened the window settled it. */
  atOnce: boolean;
}

/** One window over all domains of a meter. */
export class Window {
  readonly #fromSeconds: number;
  readonly #beginnings: ReadonlyMap<Accumulator, Beginning>;

  constructor(accumulators: readonly Accumulator[], fromSeconds: number) {
    this.#fromSeconds = fromSeconds;
    this.#beginnings = new Map(
      accumulators.map((each) => [each, { mark: each.mark(), settled: false, atOnce: false }]),
    );
    this.settle();
    for (const beginning of this.#beginnings.values()) beginning.atOnce = beginning.settled;
  }

  /**
   * After each sample: a domain whose reading at the beginning failed begins at its first good one.
   * What it used before is a gap; sharing the next delta out over the border would be a guess.
   */
  settle(): void {
    for (const [accumulator, beginning] of this.#beginnings) {
      if (beginning.settled) continue;
      beginning.mark = accumulator.mark();
      beginning.settled = beginning.mark.atSeconds !== undefined && beginning.mark.atSeconds >= this.#fromSeconds;
    }
  }

  use(toSeconds: number): EnergyUse {
    const durationSeconds = Math.max(0, toSeconds - this.#fromSeconds);
    const domains = apartAfterAll(
      [...this.#beginnings].map(([accumulator, beginning]) => this.#domainUse(accumulator, beginning, toSeconds)),
    );
    const counting = domains.filter(({ domain }) => domain.countsTowardsTotal);
    const parts = counting.flatMap(({ energy }) => energy ?? []);
    return {
      ...(parts.length === 0 ? {} : { energy: withUnread(sum(parts), counting) }),
      durationSeconds,
      domains,
      gaps: counting.flatMap(({ gaps }) => gaps),
      coverage: counting.length === 0 ? 0 : Math.min(...counting.map(({ coverage }) => coverage)),
      disagreements: disagreementsOf(domains),
    };
  }

  #domainUse(accumulator: Accumulator, { mark, settled, atOnce }: Beginning, toSeconds: number): DomainUse {
    const { domain } = accumulator;
    const end = accumulator.mark();
    const microjoules = settled ? end.microjoules - mark.microjoules : 0n;
    const firstSeconds = settled ? (mark.atSeconds ?? toSeconds) : toSeconds;
    const told = this.#gaps(accumulator, firstSeconds, toSeconds, atOnce ? WAIT_SECONDS : 0);
    const gaps = [...told, ...this.#standStill(domain, microjoules, told, toSeconds)];
    const length = toSeconds - this.#fromSeconds;
    const missing = gaps.reduce((seconds, gap) => seconds + gap.toSeconds - gap.fromSeconds, 0);
    const coverage = !settled ? 0 : length > 0 ? Math.min(1, Math.max(0, 1 - missing / length)) : 1;
    const band = settled
      ? { low: end.band.low - mark.band.low, high: end.band.high - mark.band.high }
      : { low: 0n, high: 0n };
    return {
      domain,
      ...(settled ? { energy: figureOf(domain, microjoules, band, gaps) } : {}),
      microjoules,
      gaps,
      coverage,
    };
  }

  /** A processor or card that used nothing at all for a second was not read, whatever its counter says. */
  #standStill({ kind, counter }: Domain, microjoules: bigint, told: readonly Gap[], toSeconds: number): Gap[] {
    const seconds = toSeconds - this.#fromSeconds;
    const isWhole = kind === "package" || kind === "psys" || kind === "gpu";
    if (counter?.frozenAfterSeconds === undefined || !isWhole || microjoules > 0n || told.length > 0 || seconds < 1)
      return [];
    return [{ fromSeconds: this.#fromSeconds, toSeconds, reason: "frozen", mostJoules: counter.mostWatts * seconds }];
  }

  /** Gaps of the window: first the wait for a good reading, then what the accumulator saw. */
  #gaps(accumulator: Accumulator, firstSeconds: number, toSeconds: number, patience: number): Gap[] {
    const { counter, power } = accumulator.domain;
    const wait = firstSeconds - this.#fromSeconds;
    const mostWatts = counter?.mostWatts ?? power?.mostWatts ?? 0;
    const waiting: Gap[] =
      wait > patience
        ? [
            {
              fromSeconds: this.#fromSeconds,
              toSeconds: firstSeconds,
              reason: "failed-read",
              mostJoules: mostWatts * wait,
            },
          ]
        : [];
    const told = accumulator.gapsBetween(Math.min(firstSeconds, toSeconds), toSeconds);
    // A counter that is asked only now and then: what it counted since it was last asked belongs to the window too.
    const lastSeconds = accumulator.mark().atSeconds ?? toSeconds;
    const isUnread = counter !== undefined && toSeconds - lastSeconds > WAIT_SECONDS;
    if (!isUnread || told.some((gap) => gap.toSeconds > lastSeconds)) return [...waiting, ...told];
    const mostJoules = mostWatts * (toSeconds - lastSeconds);
    return [...waiting, ...told, { fromSeconds: lastSeconds, toSeconds, reason: "failed-read", mostJoules }];
  }
}

/** Reading all sources takes a moment: what is read this soon after the window's beginning is its beginning. */
const WAIT_SECONDS = 0.25;

function figureOf(
  domain: Domain,
  microjoules: bigint,
  band: { low: bigint; high: bigint },
  gaps: readonly Gap[],
): Figure {
  const value = Number(microjoules) / 1e6;
  const isModel = domain.method !== "measured";
  const error = domain.relativeError ?? 0;
  // A counter that moves every 100 ms may owe or lend that much at either end.
  const step = (domain.updateSeconds ?? 0) * (domain.counter?.mostWatts ?? 0);
  const low = isModel ? Math.min(value, Number(band.low) / 1e6) : Math.max(0, value * (1 - error) - step);
  const high = isModel ? Math.max(value, Number(band.high) / 1e6) : value * (1 + error) + step;
  const hidden = gaps.reduce((joules, gap) => joules + gap.mostJoules, 0);
  return figure({
    value,
    low,
    high: high + hidden,
    unit: "J",
    method: domain.method,
    sources: domain.sources ?? [domain.id],
    assumptions: [...(domain.assumptions ?? []), ...gapAssumption(domain, gaps)],
  });
}

/** A total without a domain that should be in it says so: its high end leaves room for what nobody read. */
function withUnread(total: Figure, counting: readonly DomainUse[]): Figure {
  const unread = counting.filter(({ energy }) => energy === undefined);
  const hidden = unread.flatMap(({ gaps }) => gaps).reduce((joules, gap) => joules + gap.mostJoules, 0);
  const assumptions = unread.flatMap(({ domain, gaps }) => gapAssumption(domain, gaps));
  return { ...total, high: total.high + hidden, assumptions: [...total.assumptions, ...assumptions] };
}

function gapAssumption(domain: Domain, gaps: readonly Gap[]): Assumption[] {
  if (gaps.length === 0) return [];
  const seconds = gaps.reduce((total, gap) => total + gap.toSeconds - gap.fromSeconds, 0);
  const reasons = [...new Set(gaps.map(({ reason }) => reason))].join(", ");
  return [
    {
      key: `meter.gap.${domain.id}`,
      text: `${domain.label} was not known for ${seconds.toFixed(1)} s (${reasons}): nothing was made up for it, so the value is the least it used.`,
    },
  ];
}

function disagreementsOf(domains: readonly DomainUse[]): Disagreement[] {
  return domains.flatMap((second) => {
    const first = domains.find(({ domain }) => domain.id === second.domain.checks);
    if (first?.energy === undefined || second.energy === undefined) return [];
    const [counterJoules, integratedJoules] = [first.energy.value, second.energy.value];
    const larger = Math.max(counterJoules, integratedJoules);
    const apart = Math.abs(counterJoules - integratedJoules);
    if (larger < LEAST_COMPARED_JOULES || apart <= AGREEMENT * larger) return [];
    return [{ domain: first.domain.id, counterJoules, integratedJoules }];
  });
}

/** Two readings of one counter, taken microseconds apart, differ by less than this. */
const MIRROR_MICROJOULES = 1_000_000n;

/** A die whose counter stood beside another's by chance is no mirror once the two have counted differently. */
function apartAfterAll(uses: readonly DomainUse[]): DomainUse[] {
  return uses.map((use) => {
    const other = uses.find(({ domain }) => domain.id === use.domain.mirrors);
    if (other === undefined) return use;
    const apart = use.microjoules - other.microjoules;
    if (apart < MIRROR_MICROJOULES && -apart < MIRROR_MICROJOULES) return use;
    const why = `stood beside ${other.domain.label} at first and then counted differently: no mirror, so it is added`;
    return { ...use, domain: { ...use.domain, countsTowardsTotal: true, why } };
  });
}
