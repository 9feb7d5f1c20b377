// SCI is a ratio: held here against total carbon over total functional units wherever it was averaged or summed up; depends on its room.
import { ratio, show, type Report } from "./findings.ts";
import type { TreeNode } from "./manifest.ts";
import { cellAt, type Observations } from "./observations.ts";
import type { PluginInstance } from "./plugin.ts";

interface Totals {
  readonly carbon: number;
  readonly units: number;
}

/** The parameter that holds SCI, and the one that holds its functional unit; undefined when the unit is no parameter. */
export function sciNames(plugins: Iterable<PluginInstance>): { sci: string; unit: string } | undefined {
  for (const { method, config, mapping } of plugins) {
    const unit = config["functional-unit"];
    if (method !== "Sci" || typeof unit !== "string" || unit.includes("=")) continue;
    return { sci: mapping["sci"] ?? "sci", unit: mapping[unit] ?? unit };
  }
  return undefined;
}

/**
 * The tree with each total of SCI as Σ carbon / Σ R, and a report where the tree says otherwise.
 *
 * Components with the same R serve the same requests, one after the other: their carbon adds up, their R does not.
 */
export function rightRatios(tree: TreeNode, names: { sci: string; unit: string }, report: Report): TreeNode {
  return walk(tree, names, report).node;
}

function walk(
  node: TreeNode,
  names: { sci: string; unit: string },
  report: Report,
): { node: TreeNode; totals: Totals | undefined } {
  const parts = Array.from(node.children ?? [], ([name, child]) => ({ name, ...walk(child, names, report) }));
  const totals =
    node.children === undefined ? totalsOf(node.outputs, names.unit) : addUp(parts.map((part) => part.totals));
  const whole =
    node.children === undefined ? node : { ...node, children: new Map(parts.map((part) => [part.name, part.node])) };
  const stated = node.aggregated?.[names.sci];
  if (totals === undefined || typeof stated !== "number" || !(totals.units > 0)) return { node: whole, totals };
  const right = totals.carbon / totals.units;
  if (!Number.isFinite(right) || Math.abs(stated - right) <= 1e-9 * Math.abs(right)) return { node: whole, totals };
  report({
    code: "sci-sum-of-ratios",
    severity: "error",
    message: `the total of '${names.sci}' averages or adds ratios; SCI of the whole is total carbon over total ${names.unit}`,
    where: { path: `${node.path}.aggregated.${names.sci}` },
    says: show(stated, `gCO2e/${names.unit}`),
    right: show(right, `gCO2e/${names.unit}`),
    factor: ratio(stated, right),
  });
  return { node: { ...whole, aggregated: { ...node.aggregated, [names.sci]: right } }, totals };
}

function addUp(parts: readonly (Totals | undefined)[]): Totals | undefined {
  const known = parts.filter((part) => part !== undefined);
  const [first] = known;
  if (first === undefined || known.length < parts.length) return undefined;
  const sum = (pick: (part: Totals) => number): number => known.reduce((total, part) => total + pick(part), 0);
  const isShared = known.every(({ units }) => units === first.units);
  return { carbon: sum(({ carbon }) => carbon), units: isShared ? first.units : sum(({ units }) => units) };
}

function totalsOf(outputs: Observations | undefined, unit: string): Totals | undefined {
  const carbon = outputs?.columns.get("carbon");
  const units = outputs?.columns.get(unit);
  if (outputs === undefined || carbon === undefined || units === undefined) return undefined;
  let [grams, count] = [0, 0];
  for (let row = 0; row < outputs.length; row++) {
    const [g, r] = [cellAt(carbon, row), cellAt(units, row)];
    if (typeof g !== "number" || typeof r !== "number") return undefined;
    grams += g;
    count += r;
  }
  return { carbon: grams, units: count };
}
