// Follows units through a pipeline: kg for g, Wh for kWh, W × s taken for kWh; depends on its room.
import { ratio, show, type Report } from "./findings.ts";
import { stepOf, type Step } from "./pipeline-step.ts";
import type { PluginInstance } from "./plugin.ts";

/** A unit in J, s, g and L: kWh is 3.6e6 J, W is J/s. */
interface Unit {
  readonly text: string;
  readonly scale: number;
  readonly powers: ReadonlyMap<string, number>;
  /** True when the unit was guessed from the parameter's name. */
  readonly isGuess: boolean;
}

type Factor = readonly [scale: number, powers: Readonly<Record<string, number>>];
const ENERGY = { J: 1 };
const POWER = { J: 1, s: -1 };
const MASS = { g: 1 };
const UNITS: Readonly<Record<string, Factor>> = {
  J: [1, ENERGY],
  kJ: [1e3, ENERGY],
  MJ: [1e6, ENERGY],
  GJ: [1e9, ENERGY],
  Wh: [3.6e3, ENERGY],
  kWh: [3.6e6, ENERGY],
  MWh: [3.6e9, ENERGY],
  GWh: [3.6e12, ENERGY],
  mW: [1e-3, POWER],
  W: [1, POWER],
  watt: [1, POWER],
  watts: [1, POWER],
  kW: [1e3, POWER],
  MW: [1e6, POWER],
  s: [1, { s: 1 }],
  second: [1, { s: 1 }],
  seconds: [1, { s: 1 }],
  min: [60, { s: 1 }],
  minute: [60, { s: 1 }],
  minutes: [60, { s: 1 }],
  h: [3_600, { s: 1 }],
  hour: [3_600, { s: 1 }],
  hours: [3_600, { s: 1 }],
  mg: [1e-3, MASS],
  g: [1, MASS],
  gram: [1, MASS],
  grams: [1, MASS],
  kg: [1e3, MASS],
  t: [1e6, MASS],
  L: [1, { L: 1 }],
  l: [1, { L: 1 }],
  litre: [1, { L: 1 }],
  litres: [1, { L: 1 }],
  mL: [1e-3, { L: 1 }],
};
const PURE = /^(none|dimensionless|ratio|1)?$/i;

/** Reads `gCO2eq/kWh`, `W*s`, `kg CO2e`; undefined for what is no such unit, e.g. a percentage or a number of things. */
export function parseUnit(text: string, isGuess = false): Unit | undefined {
  const bare = text.replaceAll(/\s*CO[2₂][\s-]?(eq|e)?\b/gi, "").trim();
  const powers = new Map<string, number>();
  if (PURE.test(bare)) return { text, scale: 1, powers, isGuess };
  let scale = 1;
  for (const [place, part] of bare.split("/").entries()) {
    for (const name of part.trim().split(/\s*[*·⋅ ]\s*/)) {
      const unit = Object.hasOwn(UNITS, name) ? UNITS[name] : undefined;
      if (unit === undefined) return undefined;
      const sign = place === 0 ? 1 : -1;
      scale *= unit[0] ** sign;
      for (const [base, power] of Object.entries(unit[1])) powers.set(base, (powers.get(base) ?? 0) + sign * power);
    }
  }
  return { text, scale, powers: withoutZeros(powers), isGuess };
}

const withoutZeros = (powers: ReadonlyMap<string, number>): ReadonlyMap<string, number> =>
  new Map([...powers].filter(([, power]) => power !== 0));

export const sameDimensions = (left: Unit, right: Unit): boolean =>
  left.powers.size === right.powers.size && [...left.powers].every(([base, power]) => right.powers.get(base) === power);

/** The framework's own conventions: energy in kWh, carbon in gCO2e, duration in seconds. */
const BY_NAME: readonly (readonly [RegExp, string])[] = [
  [/^duration$/, "s"],
  [/(^|[/-])carbon-intensity$/, "gCO2e/kWh"],
  [/^(carbon|carbon-(operational|embodied)|(operational|embodied)-carbon)$/, "gCO2e"],
  [/(^|[/-])energy$|[/-]kwh$/i, "kWh"],
  [/[/-]wh$/i, "Wh"],
  [/(^|[/-])(wattage|watts|power)$|thermal-design-power$/, "W"],
  [/(^|[/-])pue$|power-usage-effectiveness$/i, "none"],
];

/** Reports every step of a chain whose arithmetic does not lead from its inputs' units to its output's. */
export function checkUnits(
  chain: readonly PluginInstance[],
  plugins: ReadonlyMap<string, PluginInstance>,
  report: Report,
): void {
  const derived = new Map<string, Unit>();
  const stated = (name: string): Unit | undefined => {
    for (const { metadata } of plugins.values()) {
      const text = metadata.outputs?.[name]?.unit ?? metadata.inputs?.[name]?.unit;
      if (text !== undefined) return parseUnit(text);
    }
    const guess = BY_NAME.find(([pattern]) => pattern.test(name))?.[1];
    return guess === undefined ? undefined : parseUnit(guess, true);
  };
  for (const plugin of chain) {
    const step = stepOf(plugin);
    if (step === undefined) continue;
    const inputs = step.inputs.map((name) => derived.get(name) ?? stated(name));
    const output = stated(step.output);
    if (inputs.every((unit) => unit !== undefined)) {
      if (step.kind === "sum") checkSum(plugin, step, inputs, output, report);
      else if (step.kind !== "other" && output !== undefined) checkProduct(plugin, step, inputs, output, report);
      const result = output ?? resultOf(step, inputs);
      if (result !== undefined) derived.set(step.output, result);
    } else if (output !== undefined) derived.set(step.output, output);
  }
}

/** The unit of a result that nobody states; a multiplication by a constant may convert, so it says nothing. */
function resultOf(step: Step, inputs: readonly Unit[]): Unit | undefined {
  if (step.kind === "sum" || step.kind === "copy") return inputs[0];
  return step.kind === "product" && step.constant === undefined ? productOf(inputs) : undefined;
}

function productOf(inputs: readonly Unit[]): Unit {
  const powers = new Map<string, number>();
  for (const unit of inputs) {
    for (const [base, power] of unit.powers) powers.set(base, (powers.get(base) ?? 0) + power);
  }
  return {
    text: inputs.map(({ text }) => text).join("·"),
    scale: inputs.reduce((scale, unit) => scale * unit.scale, 1),
    powers: withoutZeros(powers),
    isGuess: inputs.some(({ isGuess }) => isGuess),
  };
}

function checkSum(
  plugin: PluginInstance,
  step: Step,
  inputs: readonly Unit[],
  output: Unit | undefined,
  report: Report,
): void {
  const target = output ?? inputs[0];
  for (const [index, unit] of inputs.entries()) {
    if (target === undefined || !sameDimensions(unit, target) || isNear(unit.scale, target.scale)) continue;
    report({
      code: "unit-slip",
      severity: unit.isGuess || target.isGuess ? "warning" : "error",
      message: `'${step.inputs[index]}' is in ${unit.text} and is added up as if it were ${target.text}`,
      where: { path: `initialize.plugins.${plugin.name}` },
      says: "× 1",
      right: `× ${show(unit.scale / target.scale)}`,
      factor: ratio(target.scale, unit.scale),
    });
  }
}

function checkProduct(plugin: PluginInstance, step: Step, inputs: readonly Unit[], output: Unit, report: Report): void {
  const product = productOf(inputs);
  if (!sameDimensions(product, output)) return;
  const right = product.scale / output.scale;
  const written = step.constant ?? 1;
  if (isNear(written, right) || (step.constant !== undefined && !isUnitStep(written / right))) return;
  const names = step.inputs.map((name) => `'${name}'`).join(" × ");
  const how = product.isGuess || output.isGuess ? " (units by name, where none is declared)" : "";
  report({
    code: "unit-slip",
    severity: product.isGuess || output.isGuess ? "warning" : "error",
    message: `${names} in ${product.text} becomes '${step.output}' in ${output.text}: the factor or a declared unit is wrong${how}`,
    where: { path: `initialize.plugins.${plugin.name}` },
    says: `× ${show(written)}`,
    right: `× ${show(right)}`,
    factor: ratio(written, right),
  });
}

const isNear = (left: number, right: number): boolean => Math.abs(left / right - 1) < 1e-3;

/** A constant may be a real factor such as PUE 1.2; only whole steps between units are held to be slips. */
const isUnitStep = (factor: number): boolean =>
  [24, 60, 1e3, 3.6e3, 1e6, 3.6e6, 1e9].some((step) => isNear(factor, step) || isNear(factor, 1 / step));
