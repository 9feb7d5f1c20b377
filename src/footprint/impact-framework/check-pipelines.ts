// Follows units and data-centre factors through a pipeline's multiplications: kg for g, Wh for kWh, PUE twice, WUE on the wrong energy; depends on its room.
import { parseWritten, type WrittenQuantity } from "../exchange/written-quantity.ts";
import { ratio, show, type Report } from "./findings.ts";
import type { ImpactManifest, Pipeline, TreeNode } from "./manifest.ts";
import { cellAt } from "./observations.ts";
import type { PluginInstance } from "./plugin.ts";

const IS_PUE = /(^|[/_ -])pue($|[/_ -])|power[-_ ]usage[-_ ]effectiveness/i;
const IS_WUE = /(^|[/_ -])wue($|[/_ -])|water[-_ ]usage[-_ ]effectiveness/i;
const IS_OFF_SITE = /off[-_ ]?site|source|grid/i;

/** What is known of a parameter on its way: how often PUE is in it. */
interface Known {
  readonly pue: number;
  readonly wue: boolean;
}

/** Reports what the chain of plugins in each pipeline does wrong, without looking at single values. */
export function checkPipelines(
  manifest: ImpactManifest,
  plugins: ReadonlyMap<string, PluginInstance>,
  report: Report,
): void {
  const seen = new Set<string>();
  const walk = (node: TreeNode, inherited: Pipeline | undefined): void => {
    const pipeline = node.pipeline ?? inherited;
    for (const child of node.children?.values() ?? []) walk(child, pipeline);
    if (node.children !== undefined || pipeline === undefined) return;
    const names = [...(pipeline.observe ?? []), ...(pipeline.compute ?? [])];
    const key = names.join("\n");
    if (seen.has(key)) return;
    seen.add(key);
    checkChain(
      names.flatMap((name) => plugins.get(name) ?? []),
      valuesOf(node, manifest),
      report,
    );
  };
  walk(manifest.tree, undefined);
  checkDeclarations(plugins, report);
  for (const plugin of plugins.values()) checkDimensions(plugin, plugins, report);
}

/** The first value of a parameter in a component, for saying how large an effect is. */
function valuesOf(node: TreeNode, manifest: ImpactManifest): (name: string) => number | undefined {
  return (name) => {
    const value = node.inputs === undefined ? undefined : cellAt(node.inputs.columns.get(name), 0);
    if (typeof value === "number") return value;
    const given =
      node.defaults?.[name] ?? (manifest.tree.own["defaults"] as Record<string, unknown> | undefined)?.[name];
    return typeof given === "number" ? given : undefined;
  };
}

function checkChain(
  plugins: readonly PluginInstance[],
  valueOf: (name: string) => number | undefined,
  report: Report,
): void {
  const known = new Map<string, Known>();
  const about = (name: string): Known =>
    known.get(name) ?? { pue: IS_PUE.test(name) ? 1 : 0, wue: IS_WUE.test(name) && !IS_OFF_SITE.test(name) };
  for (const plugin of plugins) {
    const step = stepOf(plugin);
    if (step === undefined) continue;
    const parts = step.inputs.map(about);
    const named =
      step.constant !== undefined && IS_PUE.test(`${plugin.name} ${step.output}`) && !parts.some(({ pue }) => pue > 0);
    const again = step.constant !== undefined && IS_PUE.test(plugin.name) && parts.some(({ pue }) => pue > 0);
    const multiplied = step.kind === "product";
    const pue =
      (multiplied ? parts.reduce((sum, part) => sum + part.pue, 0) : Math.max(0, ...parts.map((part) => part.pue))) +
      (named || again ? 1 : 0);
    const wue = parts.some((part) => part.wue);
    const factor = step.constant ?? step.inputs.filter((name) => IS_PUE.test(name)).map(valueOf)[0];
    if (pue > 1 && multiplied && !parts.some((part) => part.pue > 1)) {
      report({
        code: "pue-twice",
        severity: "error",
        message: `PUE is multiplied in a second time: ${step.inputs.join(" × ")} already holds it`,
        where: { path: `initialize.plugins.${plugin.name}` },
        says: factor === undefined ? "PUE²" : `PUE² = ${show(factor * factor)}`,
        right: factor === undefined ? "PUE once" : `PUE = ${show(factor)}`,
        factor: factor ?? null,
      });
    }
    if (wue && multiplied && pue > 0 && parts.some((part) => !part.wue && part.pue > 0)) {
      report({
        code: "wue-on-facility-energy",
        severity: "error",
        message: "on-site WUE is litres per kWh of IT energy; here it multiplies energy that already holds PUE",
        where: { path: `initialize.plugins.${plugin.name}` },
        says: "WUE × PUE × IT energy",
        right: "WUE × IT energy",
        factor: null,
      });
    }
    known.set(step.output, { pue, wue: false });
  }
}

interface Step {
  readonly kind: "product" | "sum" | "other";
  readonly inputs: readonly string[];
  readonly output: string;
  /** What the inputs are multiplied by. */
  readonly constant?: number;
}

function stepOf({ method, config }: PluginInstance): Step | undefined {
  const text = (key: string): string | undefined => (typeof config[key] === "string" ? config[key] : undefined);
  const list = Array.isArray(config["input-parameters"]) ? config["input-parameters"].map(String) : [];
  const output = text("output-parameter") ?? text("output") ?? text("to");
  if (output === undefined) return undefined;
  switch (method) {
    case "Multiply":
      return { kind: "product", inputs: list, output };
    case "Sum":
    case "Subtract":
      return { kind: "sum", inputs: list, output };
    case "Coefficient": {
      const input = text("input-parameter");
      const constant = Number(config["coefficient"]);
      if (input === undefined || !Number.isFinite(constant)) return undefined;
      return { kind: "product", inputs: [input], output, constant };
    }
    case "Divide": {
      const numerator = text("numerator");
      const constant = 1 / Number(config["denominator"]);
      if (numerator === undefined) return undefined;
      return { kind: "other", inputs: [numerator], output, ...(Number.isFinite(constant) && { constant }) };
    }
    case "Copy": {
      const from = text("from");
      return from === undefined ? undefined : { kind: "other", inputs: [from], output };
    }
    default:
      return undefined;
  }
}

/** Two plugins that declare one parameter differently: the last one decides, which need not be the one that is right. */
function checkDeclarations(plugins: ReadonlyMap<string, PluginInstance>, report: Report): void {
  const first = new Map<string, { plugin: string; unit: string; method: string }>();
  for (const { name, metadata } of plugins.values()) {
    for (const side of ["inputs", "outputs"] as const) {
      for (const [parameter, declared] of Object.entries(metadata[side] ?? {})) {
        const method = JSON.stringify(declared["aggregation-method"]);
        const before = first.get(parameter);
        if (before === undefined) first.set(parameter, { plugin: name, unit: declared.unit, method });
        else if (!sameUnit(before.unit, declared.unit) || before.method !== method) {
          const isUnit = !sameUnit(before.unit, declared.unit);
          report({
            code: "metadata-conflict",
            severity: isUnit ? "error" : "warning",
            message: `'${parameter}' is declared differently by '${before.plugin}' and '${name}'; the last one counts`,
            where: { path: `initialize.plugins.${name}.parameter-metadata.${side}.${parameter}` },
            says: isUnit ? declared.unit : method,
            right: isUnit ? before.unit : before.method,
          });
        }
      }
    }
  }
}

const unitOf = (unit: string): WrittenQuantity | undefined => {
  const spelled = unit
    .replace(/\b(seconds?|secs?|s)\b/g, "(1/3600) hour")
    .replace(/CO2eq?\b|CO2-?eq?\b/gi, "")
    .trim();
  if (spelled === "" || /^(none|dimensionless|ratio|percent(age)?|%)$/i.test(unit)) return undefined;
  return parseWritten(`1 ${spelled}`);
};

function sameUnit(left: string, right: string): boolean {
  if (left === right) return true;
  const [a, b] = [unitOf(left), unitOf(right)];
  if (a === undefined || b === undefined) return left.toLowerCase() === right.toLowerCase();
  return Math.abs(a.value / b.value - 1) < 1e-9 && sameDimensions(a.units, b.units);
}

function sameDimensions(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): boolean {
  return a.size === b.size && [...a].every(([unit, power]) => b.get(unit) === power);
}

/** kWh × g/kWh is g: where inputs and output of a step all have a unit, the step's arithmetic must lead from one to the other. */
function checkDimensions(plugin: PluginInstance, plugins: ReadonlyMap<string, PluginInstance>, report: Report): void {
  const step = stepOf(plugin);
  if (step === undefined) return;
  const declared = (name: string): string | undefined => {
    for (const { metadata } of [plugin, ...plugins.values()]) {
      const unit = metadata.outputs?.[name]?.unit ?? metadata.inputs?.[name]?.unit;
      if (unit !== undefined) return unit;
    }
    return name === "duration" ? "hour" : undefined;
  };
  const inputUnits = step.inputs.map(declared);
  const outputUnit = declared(step.output);
  const inputs = inputUnits.map((unit) => (unit === undefined ? undefined : unitOf(unit)));
  const output = outputUnit === undefined ? undefined : unitOf(outputUnit);
  if (output === undefined || inputs.some((each) => each === undefined)) return;
  const parts = inputs as WrittenQuantity[];
  const tell = (says: string, right: string, factor: number | null, message: string) =>
    report({
      code: "unit-slip",
      severity: "error",
      message,
      where: { path: `initialize.plugins.${plugin.name}` },
      says,
      right,
      factor,
    });
  if (step.kind === "sum") {
    for (const [index, part] of parts.entries()) {
      if (sameDimensions(part.units, output.units) && Math.abs(part.value / output.value - 1) > 1e-9) {
        tell(
          `${inputUnits[index]} as ${outputUnit}`,
          `times ${show(part.value / output.value)}`,
          output.value / part.value,
          `'${step.inputs[index]}' is in ${inputUnits[index]} and is added as if it were ${outputUnit}`,
        );
      }
    }
    return;
  }
  const product = new Map<string, number>();
  let scale = 1;
  for (const [index, part] of parts.entries()) {
    const seconds = step.inputs[index] === "duration" && plugin.metadata.inputs?.["duration"] === undefined;
    scale *= seconds ? 1 / 3600 : part.value;
    for (const [unit, power] of part.units) product.set(unit, (product.get(unit) ?? 0) + power);
  }
  asEnergy(product);
  const target = new Map(output.units);
  asEnergy(target);
  for (const [unit, power] of product) if (power === 0) product.delete(unit);
  if (!sameDimensions(product, target)) return;
  // W × hour counts in Wh, energy in kWh.
  const inWattHours = (units: ReadonlyMap<string, number>) => 1e-3 ** ((units.get("W") ?? 0) > 0 ? 1 : 0);
  const had = parts.reduce((all, part) => all * inWattHours(part.units), 1);
  const wanted = inWattHours(output.units);
  const right = (scale * had) / (output.value * wanted);
  const written = step.constant ?? 1;
  if (Math.abs(written / right - 1) < 1e-3) return;
  if (step.constant !== undefined && !isPowerOfUnits(written / right)) return;
  tell(
    `× ${show(written)}`,
    `× ${show(right)}`,
    ratio(written, right),
    `${step.inputs.map((name, index) => `'${name}' in ${inputUnits[index] === "hour" ? "seconds" : inputUnits[index]}`).join(" × ")} is written as '${step.output}' in ${outputUnit}`,
  );
}

/** W × hour is energy: both become the power of kWh. */
function asEnergy(units: Map<string, number>): void {
  const watts = units.get("W") ?? 0;
  const hours = units.get("hour") ?? 0;
  if (watts === 0 || watts !== hours) return;
  units.delete("W");
  units.delete("hour");
  units.set("kWh", (units.get("kWh") ?? 0) + watts);
}

/** A constant may be a real factor such as PUE 1.2; only whole steps between units are held to be slips. */
const isPowerOfUnits = (factor: number): boolean =>
  [1e3, 1e6, 3600, 3.6e6, 60, 24].some((step) => [step, 1 / step].some((each) => Math.abs(factor / each - 1) < 1e-6));
