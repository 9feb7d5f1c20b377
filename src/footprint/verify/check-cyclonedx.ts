// Holds the energy and carbon of a CycloneDX bill against its schema's units and against each other; may depend on its room.
import type { CycloneDxConsumption, CycloneDxMeasure } from "../exchange/cyclonedx.ts";
import { checkIntensity } from "./check-intensity.ts";
import { compare, failing, holding, impossible, type Check } from "./check.ts";

const ACTIVITIES: ReadonlySet<unknown> = new Set([
  "design",
  "data-collection",
  "data-preparation",
  "training",
  "fine-tuning",
  "validation",
  "deployment",
  "inference",
  "other",
]);

/** The one unit that the schema allows for each measure, and how many g or kWh other spellings would be. */
const ENERGY = {
  unit: "kWh",
  others: { Wh: 1e-3, MWh: 1e3, GWh: 1e6, J: 1 / 3.6e6, MJ: 1 / 3.6 } as Record<string, number>,
};
const CARBON = {
  unit: "tCO2eq",
  others: { kgCO2eq: 1e-3, gCO2eq: 1e-6, kg: 1e-3, g: 1e-6, t: 1 } as Record<string, number>,
};

/** The value in the schema's unit, where it can be had, and what is wrong with it. */
function readMeasure(
  measure: CycloneDxMeasure,
  path: string,
  { unit, others }: typeof ENERGY,
): { checks: Check[]; value?: number } {
  const where = { path };
  const stated = `${String(measure.value)} ${String(measure.unit)}`;
  if (typeof measure.value !== "number" || !Number.isFinite(measure.value) || measure.value < 0) {
    return { checks: [failing({ code: "range", where, message: "the value is a number of at least 0", stated })] };
  }
  const input = {
    code: "unit-slip" as const,
    where,
    message: `the unit is ${unit}, the only one of the schema`,
    stated,
  };
  if (measure.unit === unit) return { checks: [holding(input)], value: measure.value };
  const factor = typeof measure.unit === "string" ? others[measure.unit] : undefined;
  const value = factor === undefined ? undefined : measure.value * factor;
  return { checks: [failing({ ...input, recomputed: value === undefined ? null : `${value} ${unit}` })], value };
}

/** Every check that one consumption allows. */
export function checkConsumption(entry: CycloneDxConsumption): Check[] {
  const activity = {
    code: "incomplete" as const,
    where: { path: `${entry.path}.activity` },
    message: "the activity is one of the schema's",
    stated: String(entry.activity),
  };
  const checks: Check[] = [ACTIVITIES.has(entry.activity) ? holding(activity) : failing(activity)];
  if (entry.energy === undefined) {
    checks.push(
      failing({
        code: "incomplete",
        where: { path: entry.path },
        message: "activityEnergyCost is missing; the schema requires it",
      }),
    );
    return checks;
  }
  const energy = readMeasure(entry.energy, `${entry.path}.activityEnergyCost`, ENERGY);
  checks.push(...energy.checks);
  const providers = entry.providers.map((measure, index) =>
    readMeasure(measure, `${entry.path}.energyProviders[${index}].energyProvided`, ENERGY),
  );
  checks.push(...providers.flatMap((provider) => provider.checks));
  const provided = providers.map(({ value }) => value);
  if (energy.value !== undefined && provided.length > 0 && provided.every((value) => value !== undefined)) {
    const total = provided.reduce<number>((running, value) => running + value, 0);
    checks.push(
      compare({
        code: "sum",
        where: { path: entry.path },
        message: "the energy of the providers adds up to the energy of the activity",
        statedValue: energy.value,
        recomputedValue: total,
        tolerance: 0.01,
        stated: `${energy.value} kWh`,
        recomputed: `${Number(total.toPrecision(6))} kWh`,
      }),
    );
  }
  return [...checks, ...checkCarbon(entry, energy.value)];
}

function checkCarbon(entry: CycloneDxConsumption, energyKwh: number | undefined): Check[] {
  if (entry.carbon === undefined) {
    return [
      impossible({
        code: "incomplete",
        where: { path: entry.path },
        message: "co2CostEquivalent is not stated: no intensity can be held against the grid",
      }),
    ];
  }
  const path = `${entry.path}.co2CostEquivalent`;
  const carbon = readMeasure(entry.carbon, path, CARBON);
  const checks = [...carbon.checks];
  if (energyKwh !== undefined && energyKwh > 0 && carbon.value !== undefined) {
    checks.push(...checkIntensity({ gramsPerKwh: (carbon.value * 1e6) / energyKwh, where: { path } }));
  }
  if (entry.offset === undefined) return checks;
  const offset = readMeasure(entry.offset, `${entry.path}.co2CostOffset`, CARBON);
  checks.push(...offset.checks);
  if (offset.value === undefined || carbon.value === undefined) return checks;
  const input = {
    code: "method" as const,
    severity: "warning" as const,
    where: { path: `${entry.path}.co2CostOffset` },
    message: "offsets are stated beside the emissions, not taken off them, and do not exceed them",
    stated: `${offset.value} of ${carbon.value} tCO2eq`,
  };
  checks.push(offset.value > carbon.value ? failing(input) : holding(input));
  return checks;
}
