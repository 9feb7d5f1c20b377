// Holds a written energy and carbon account against itself: power × devices × hours × PUE = energy, energy × intensity = carbon, IT energy × WUE = water; may depend on its room.
import type { StatedLine } from "../exchange/statement.ts";
import { powerOf, type WrittenQuantity } from "../exchange/written-quantity.ts";
import { checkPue, compareWithPue } from "./check-pue.ts";
import { compare, failing, holding, type Check } from "./check.ts";

const SLACK = 0.01;

/** One stated number and where it stands. */
export interface Stated {
  readonly value: number;
  readonly line: number;
  readonly label: string;
  readonly text: string;
  readonly rounding: number;
}

/** The parts of an account that were found among labelled lines, in g, kWh, g/kWh, W, h, L, L/kWh. */
export interface Account {
  readonly carbonGrams?: Stated;
  readonly energyKwh?: Stated;
  readonly gramsPerKwh?: Stated;
  readonly powerUsageEffectiveness?: Stated;
  readonly deviceCount?: Stated;
  /** `GPU hours`: by convention already summed over all devices. */
  readonly deviceHours?: Stated;
  /** Elapsed hours of the run. */
  readonly hours?: Stated;
  readonly deviceWatts?: Stated;
  readonly waterLitres?: Stated;
  /** WUE: litres per kWh of IT energy. */
  readonly litresPerKwh?: Stated;
}

type Units = Readonly<Record<string, number>>;

const hasUnits = (quantity: WrittenQuantity, units: Units): boolean =>
  quantity.units.size === Object.keys(units).length &&
  Object.entries(units).every(([unit, power]) => powerOf(quantity, unit) === power);

interface Pattern {
  readonly part: keyof Account;
  readonly label: RegExp;
  /** Units that a value may have; a bare number fits when the label says enough. */
  readonly units: readonly Units[];
}

const PATTERNS: readonly Pattern[] = [
  { part: "gramsPerKwh", label: /intensity/i, units: [{ g: 1, kWh: -1 }] },
  { part: "carbonGrams", label: /co2|carbon|emission/i, units: [{ g: 1 }] },
  {
    part: "litresPerKwh",
    label: /\bwue\b|water usage effectiveness/i,
    units: [{}, { L: 1, kWh: -1 }],
  },
  { part: "waterLitres", label: /water/i, units: [{ L: 1 }] },
  { part: "energyKwh", label: /energy|electricity|consum/i, units: [{ kWh: 1 }] },
  { part: "powerUsageEffectiveness", label: /\bpue\b|power usage effectiveness/i, units: [{}] },
  { part: "deviceHours", label: /(gpu|tpu|device|accelerator)[\s_-]*hours/i, units: [{}, { hour: 1 }] },
  {
    part: "deviceCount",
    label: /(number of|num|n|count)[\s_-]*(of[\s_-]*)?(gpu|tpu|device|accelerator)s?|gpu[\s_-]*count/i,
    units: [{}, { gpu: 1 }],
  },
  {
    part: "hours",
    label: /runtime|duration|(?:wall|elapsed|training)[\s_-]*(time|hours)|^hours/i,
    units: [{ hour: 1 }],
  },
  { part: "deviceWatts", label: /power|tdp/i, units: [{ W: 1 }] },
];

const WATTS_IN_TEXT = /(\d+(?:\.\d+)?)\s*W(?:att)?s?\b/;
const COUNT_IN_TEXT = /^(\d+)\s*[x×]\s*\D/;
const GPU_HOURS_IN_TEXT = /^([\d,.]+)\s*(?:GPU|TPU|device)[\s-]hours?\b/i;

const INTENSITY_IN_TEXT = /([\d.,]+)\s*g\s*(?:CO[2₂][\s-]?e?q?)?\s*\/\s*kWh\b/i;

const plainStated = (text: string, line: StatedLine): Stated => ({
  value: Number(text.replaceAll(",", "")),
  line: line.line,
  label: line.label,
  text,
  rounding: 0,
});

/** `Hardware: 3x NVIDIA L40S (350 W TDP)` carries a count and a power in prose. */
function fromProse(line: StatedLine): Partial<Record<keyof Account, Stated>> {
  const text = line.sides[0]?.text ?? "";
  const watts = WATTS_IN_TEXT.exec(`${line.label} ${text}`)?.[1];
  const count = COUNT_IN_TEXT.exec(text)?.[1];
  const hours = GPU_HOURS_IN_TEXT.exec(text)?.[1];
  const grams = INTENSITY_IN_TEXT.exec(text)?.[1];
  const isHardware = /hardware|gpu|accelerator|device/i.test(line.label);
  return {
    ...(isHardware && watts !== undefined && { deviceWatts: plainStated(watts, line) }),
    ...(isHardware && count !== undefined && { deviceCount: plainStated(count, line) }),
    ...(grams !== undefined && { gramsPerKwh: plainStated(grams, line) }),
    ...(hours !== undefined && { deviceHours: plainStated(hours, line) }),
  };
}

/** What one line says about the account; prose such as `439 GPU hours` goes before the label's pattern. */
function fromLine(line: StatedLine): Partial<Record<keyof Account, Stated>> {
  const prose = fromProse(line);
  const side = line.sides.findLast(({ quantity }) => quantity !== undefined);
  const quantity = side?.quantity;
  if (side === undefined || quantity === undefined) return prose;
  const pattern = PATTERNS.find(
    ({ label, units }) => label.test(line.label) && units.some((wanted) => hasUnits(quantity, wanted)),
  );
  if (pattern === undefined || (pattern.part === "hours" && prose.deviceHours !== undefined)) return prose;
  const { value, rounding } = quantity;
  return { [pattern.part]: { value, rounding, line: line.line, label: line.label, text: side.text }, ...prose };
}

/** The account among labelled lines; the first line that fits a part gives it. */
export function readAccount(lines: readonly StatedLine[]): Account {
  const account: Partial<Record<keyof Account, Stated>> = {};
  for (const line of lines) {
    for (const [part, stated] of Object.entries(fromLine(line))) account[part as keyof Account] ??= stated;
  }
  return account;
}

const show = (value: number, unit: string): string => `${Number(value.toPrecision(6))} ${unit}`;

/** kWh of the devices alone: power × device-hours. */
function deviceKwh({ deviceWatts, deviceCount, deviceHours, hours }: Account): number | undefined {
  if (deviceWatts === undefined || (deviceHours ?? hours) === undefined) return undefined;
  const summedHours = deviceHours?.value ?? (hours?.value ?? 0) * (deviceCount?.value ?? 1);
  return (deviceWatts.value * summedHours) / 1e3;
}

/** What the energy covers: as its label says, else as its own making from power and hours shows. */
function coverageOf(account: Account, energy: Stated): "IT" | "facility" | undefined {
  if (/\bIT\b/.test(energy.label)) return "IT";
  if (/facility|data[\s-]?cent(er|re)|incl\w*\.? PUE/i.test(energy.label)) return "facility";
  const devices = deviceKwh(account);
  const pue = account.powerUsageEffectiveness?.value;
  if (devices === undefined || pue === undefined) return undefined;
  if (isNear(energy, devices * pue)) return "facility";
  return isNear(energy, devices) ? "IT" : undefined;
}

const isNear = ({ value, rounding }: Stated, other: number): boolean =>
  Math.abs(value - other) <= (SLACK + rounding) * Math.max(value, other);

const pueOf = ({ powerUsageEffectiveness: pue }: Account): Check[] =>
  pue === undefined
    ? []
    : [checkPue({ value: pue.value, where: { line: pue.line, path: pue.label }, stated: pue.text })];

function checkCarbon(account: Account): Check[] {
  const { carbonGrams, energyKwh, gramsPerKwh, powerUsageEffectiveness } = account;
  if (carbonGrams === undefined || energyKwh === undefined || gramsPerKwh === undefined) return [];
  const grams = energyKwh.value * gramsPerKwh.value;
  return [
    compareWithPue({
      where: { line: carbonGrams.line, path: carbonGrams.label },
      message: `${carbonGrams.label}: ${energyKwh.text} × ${gramsPerKwh.text}`,
      statedValue: carbonGrams.value,
      recomputedAt: (factor) => grams * factor,
      pue: powerUsageEffectiveness?.value,
      covers: coverageOf(account, energyKwh),
      tolerance: SLACK + carbonGrams.rounding,
      stated: carbonGrams.text,
      show: (value) => show(value, "gCO2e"),
    }),
  ];
}

/** Energy from power and time; tells apart the two ways that GPU-hours are read, and whether PUE was counted once. */
function checkEnergy(account: Account): Check[] {
  const { energyKwh, deviceWatts, deviceCount, deviceHours, hours, powerUsageEffectiveness } = account;
  const once = deviceKwh(account);
  if (energyKwh === undefined || deviceWatts === undefined || once === undefined) return [];
  const count = deviceCount?.value ?? 1;
  const pue = powerUsageEffectiveness?.value ?? 1;
  const where = { line: energyKwh.line, path: energyKwh.label };
  const tolerance = SLACK + energyKwh.rounding;
  const near = (kwh: number): boolean => isNear(energyKwh, kwh);
  const stated = energyKwh.text;
  const recomputed = show(once * pue, "kWh");
  const relation = `${energyKwh.label}: ${deviceWatts.text} W × ${deviceHours === undefined ? `${count} × ${hours?.text}` : `${deviceHours.text} device-hours`} × PUE ${pue}`;
  if (near(once * pue)) return [holding({ code: "arithmetic", where, message: relation, stated, recomputed })];
  const factor = energyKwh.value / (once * pue);
  if (deviceHours !== undefined && count > 1 && near(once * count * pue)) {
    const message = `${energyKwh.label}: device-hours are already summed over the ${count} devices and were multiplied by them again, unless they are hours of the run`;
    return [failing({ code: "double-count", severity: "warning", where, message, stated, recomputed, factor })];
  }
  if (pue > 1 && near(once * pue * pue)) {
    return [
      failing({
        code: "pue",
        where,
        message: `${energyKwh.label}: PUE ${pue} was counted twice`,
        stated,
        recomputed,
        factor,
      }),
    ];
  }
  if (pue > 1 && near(once)) {
    const message = `${energyKwh.label}: the stated PUE of ${pue} is not in the energy`;
    return [failing({ code: "pue", severity: "warning", where, message, stated, recomputed, factor })];
  }
  return [
    compare({
      code: "arithmetic",
      where,
      message: relation,
      statedValue: energyKwh.value,
      recomputedValue: once * pue,
      tolerance,
      stated,
      recomputed,
    }),
  ];
}

/** Water on the site = WUE × IT energy; with an energy that holds PUE, or multiplied with it, the water is too high by PUE. */
function checkWater(account: Account): Check[] {
  const { waterLitres: water, litresPerKwh: wue, energyKwh: energy, powerUsageEffectiveness } = account;
  if (water === undefined || wue === undefined || energy === undefined || wue.value === 0) return [];
  const pue = powerUsageEffectiveness?.value ?? 1;
  const tolerance = SLACK + water.rounding;
  const product = energy.value * wue.value;
  const covers = coverageOf(account, energy);
  const right = covers === "facility" ? product / pue : product;
  const message = `${water.label}: WUE is litres per kWh of IT energy (${energy.text}, ${wue.text})`;
  const where = { line: water.line, path: water.label };
  const common = { where, stated: water.text, recomputed: show(right, "L") };
  if (covers === undefined && isNear(water, product / pue)) return [holding({ ...common, code: "water", message })];
  if (pue > 1 && !isNear(water, right) && isNear(water, right * pue)) {
    const factor = water.value / right;
    return [failing({ ...common, code: "water", message: `${message}; PUE ${pue} is in the water`, factor })];
  }
  const [statedValue, recomputedValue] = [water.value, right];
  return [compare({ ...common, code: "water", message, statedValue, recomputedValue, tolerance })];
}

/** Every check that an account allows. */
export const checkAccount = (account: Account): Check[] => [
  ...pueOf(account),
  ...checkEnergy(account),
  ...checkCarbon(account),
  ...checkWater(account),
];
