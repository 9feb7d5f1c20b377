// Runs as rows of CodeCarbon's emissions.csv, for scripts that read it; may depend on quantity, footprint and its folder.
import { formatCodeCarbon, type CodeCarbonColumn } from "../../footprint/exchange/codecarbon.ts";
import { GRAMS_PER_KILOGRAM, kwhFromJoules } from "../../quantity/convert.ts";
import { lastAtSeconds, type RunTelemetry } from "./telemetry.ts";

type Row = Partial<Record<CodeCarbonColumn, string | number>>;

const CPU: ReadonlySet<string> = new Set(["package", "core", "uncore", "cpu-model"]);
const MEMORY: ReadonlySet<string> = new Set(["dram", "memory-model"]);
const GPU: ReadonlySet<string> = new Set(["gpu"]);

/**
 * An `emissions.csv`: kWh, kg CO2e, W, L.
 *
 * What a run does not know stays empty: a reader must not take it for 0. `energy_consumed` is what the run is charged with;
 * the parts are the machine's, and need not add up to it. Powers are means over the run. Times are UTC.
 */
export function formatEmissionsCsv(runs: readonly RunTelemetry[]): string {
  return formatCodeCarbon(runs.map(rowOf));
}

function rowOf(run: RunTelemetry): Row {
  const { elapsedSeconds, emissions, energy, water } = run;
  const kilograms = emissions === null ? undefined : emissions.value / GRAMS_PER_KILOGRAM;
  const parts = {
    cpu: joulesOf(run, CPU),
    gpu: joulesOf(run, GPU),
    ram: joulesOf(run, MEMORY),
  };
  return {
    timestamp: new Date(lastAtSeconds(run) * 1000).toISOString().slice(0, 19),
    project_name: run.title,
    run_id: run.run,
    duration: elapsedSeconds,
    emissions: kilograms,
    emissions_rate: kilograms === undefined ? undefined : perSecond(kilograms, elapsedSeconds),
    cpu_power: perSecond(parts.cpu, elapsedSeconds),
    gpu_power: perSecond(parts.gpu, elapsedSeconds),
    ram_power: perSecond(parts.ram, elapsedSeconds),
    cpu_energy: kwh(parts.cpu),
    gpu_energy: kwh(parts.gpu),
    ram_energy: kwh(parts.ram),
    energy_consumed: kwh(energy?.value),
    water_consumed: water?.value,
  };
}

/** Joules of the domains of some kinds that count; undefined when there are none or one is not known. */
function joulesOf({ domains }: RunTelemetry, kinds: ReadonlySet<string>): number | undefined {
  const parts = domains.filter(({ kind, countsTowardsTotal }) => countsTowardsTotal && kinds.has(kind));
  if (parts.length === 0 || parts.some(({ energyJoules }) => energyJoules === null)) return undefined;
  return parts.reduce((sum, { energyJoules }) => sum + (energyJoules ?? 0), 0);
}

const kwh = (joules: number | undefined): number | undefined =>
  joules === undefined ? undefined : kwhFromJoules(joules);

const perSecond = (amount: number | undefined, seconds: number): number | undefined =>
  amount === undefined || seconds <= 0 ? undefined : amount / seconds;
