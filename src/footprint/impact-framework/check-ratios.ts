// SCI is a ratio: held here against total carbon over total functional units wherever it was averaged or summed up; depends on its room.
import { ratio, show, type Report } from "./findings.ts";
import type { TreeNode } from "./manifest.ts";
import { cellAt, type Observations } from "./observations.ts";
import type { PluginInstance } from "./plugin.ts";

interface Totals {
  carbon: number;
  units: number;
}

/** Reports totals of `sci` that are not Σ carbon / Σ R. */
export function checkRatios(tree: TreeNode, plugins: readonly PluginInstance[], report: Report): void {
  const instance = plugins.find(({ method }) => method === "Sci");
  const unit = instance?.config["functional-unit"];
  if (instance === undefined || typeof unit !== "string" || unit.includes("=")) return;
  const name = instance.mapping["sci"] ?? "sci";
  walk(tree, name, unit, report);
}

function walk(node: TreeNode, name: string, unit: string, report: Report): Totals | undefined {
  const parts = Array.from(node.children?.values() ?? [], (child) => walk(child, name, unit, report));
  const totals = node.children === undefined ? totalsOf(node.outputs, unit) : addUp(parts);
  const stated = node.aggregated?.[name];
  if (totals === undefined || typeof stated !== "number" || !(totals.units > 0)) return totals;
  const right = totals.carbon / totals.units;
  if (!Number.isFinite(right) || Math.abs(stated - right) <= 1e-9 * Math.abs(right)) return totals;
  report({
    code: "sci-sum-of-ratios",
    severity: "error",
    message: `the total of '${name}' averages or adds ratios; SCI of the whole is total carbon over total ${unit}`,
    where: { path: `${node.path}.aggregated.${name}` },
    says: show(stated, `gCO2e/${unit}`),
    right: show(right, `gCO2e/${unit}`),
    factor: ratio(stated, right),
  });
  return totals;
}

function addUp(parts: readonly (Totals | undefined)[]): Totals | undefined {
  const known = parts.filter((part) => part !== undefined);
  if (known.length < parts.length || known.length === 0) return undefined;
  return known.reduce((sum, part) => ({ carbon: sum.carbon + part.carbon, units: sum.units + part.units }), {
    carbon: 0,
    units: 0,
  });
}

function totalsOf(outputs: Observations | undefined, unit: string): Totals | undefined {
  const carbon = outputs?.columns.get("carbon");
  const units = outputs?.columns.get(unit);
  if (outputs === undefined || carbon === undefined || units === undefined) return undefined;
  const totals = { carbon: 0, units: 0 };
  for (let row = 0; row < outputs.length; row++) {
    const [g, r] = [cellAt(carbon, row), cellAt(units, row)];
    if (typeof g !== "number" || typeof r !== "number") return undefined;
    totals.carbon += g;
    totals.units += r;
  }
  return totals;
}
