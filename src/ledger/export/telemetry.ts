// What a run has used so far, in the one shape that all metric exporters write from; may depend on quantity and documents.
import { worstMethod, METHODS, type Method } from "../../quantity/figure.ts";
import type { LedgerRunDetail } from "../documents-schema.ts";

export interface DomainTelemetry {
  readonly id: string;
  readonly label: string;
  readonly kind: string;
  readonly device?: string;
  readonly method: Method;
  readonly countsTowardsTotal: boolean;
  /** Since the run began; null when it is not known, which is not 0. */
  readonly energyJoules: number | null;
  readonly powerWatts: number | null;
  readonly gapSeconds: number;
}

/** A sum since the run began, and how it is known. */
export interface Total {
  readonly value: number;
  readonly method: Method;
}

/** A run as a meter or the ledger knows it; `track` fills it from its live state, `telemetryOf` from the ledger. */
export interface RunTelemetry {
  readonly run: string;
  readonly verb: string;
  readonly title: string;
  readonly host: string;
  readonly version: string;
  /** Wall clock at the start, seconds since 1970. */
  readonly startedAtSeconds: number;
  /** By a clock that never goes backwards. */
  readonly elapsedSeconds: number;
  readonly domains: readonly DomainTelemetry[];
  /** What the run itself is charged with; joules. Null when nothing is known. */
  readonly energy: Total | null;
  /** Grams CO2e. */
  readonly emissions: Total | null;
  /** Liters. */
  readonly water: Total | null;
  readonly money: (Total & { readonly currency: string }) | null;
}

const isMethod = (text: string): text is Method => (METHODS as readonly string[]).includes(text);

/** Time of the last reading: the start plus the steady clock, so that it never lies before the start. */
export const lastAtSeconds = ({ startedAtSeconds, elapsedSeconds }: RunTelemetry): number =>
  startedAtSeconds + elapsedSeconds;

/** A run of the ledger. Figures of the run itself are `energy` (J), `emissions` (gCO2e), `water` (L) and `money`. */
export function telemetryOf(run: LedgerRunDetail): RunTelemetry {
  const domains = run.domains.map((domain): DomainTelemetry => ({
    id: domain.domain,
    label: domain.label,
    kind: domain.kind,
    ...(domain.device === null ? {} : { device: domain.device }),
    method: isMethod(domain.method) ? domain.method : "assumed",
    countsTowardsTotal: domain.countsTowardsTotal,
    energyJoules: domain.energyJoules,
    powerWatts: domain.lastPowerWatts,
    gapSeconds: domain.gapSeconds,
  }));
  // The first of these names that the run has: its own summary, else the place in a footprint document.
  const total = (names: readonly string[], unit: RegExp) => {
    const own = run.figures.filter(({ subject }) => subject === null);
    const found = names
      .map((name) => own.find((entry) => entry.name === name)?.figure)
      .find((one) => one !== undefined);
    return found !== undefined && unit.test(found.unit) ? found : null;
  };
  const inFootprint = (path: string) => [path, `footprint.${path}`];
  const money = total(["money", "electricity cost", ...inFootprint("money.electricity")], /^[A-Z]{3}$/);
  const counted = domains.filter(({ countsTowardsTotal }) => countsTowardsTotal).map(({ method }) => method);
  // While a run goes on, its share of the machine is not known; a counter that fell at the end would be taken for a new one.
  const ended = run.outcome !== "cut off";
  const sampled =
    run.sampledJoules === null || !ended ? null : { value: run.sampledJoules, method: worstMethod(counted) };
  return {
    run: run.run,
    verb: run.verb,
    title: run.title,
    host: run.host,
    version: run.version,
    startedAtSeconds: Date.parse(run.at) / 1000,
    elapsedSeconds: run.elapsedSeconds ?? 0,
    domains,
    energy: total(["energy", "runEnergy"], /^J$/) ?? sampled,
    emissions: total(["emissions", ...inFootprint("emissions.locationBased")], /^gCO2e$/),
    water: total(["water", ...inFootprint("water.consumption")], /^L$/),
    money: money === null ? null : { ...money, currency: money.unit },
  };
}
