// Follows data-centre factors through a pipeline: PUE twice, WUE on the wrong energy; and declarations that contradict; depends on its room.
import { checkUnits, parseUnit, sameDimensions } from "./check-units.ts";
import { show, type Report } from "./findings.ts";
import type { ImpactManifest, Pipeline, TreeNode } from "./manifest.ts";
import { cellAt } from "./observations.ts";
import { stepOf } from "./pipeline-step.ts";
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
    const chain = names.flatMap((name) => plugins.get(name) ?? []);
    checkChain(chain, valuesOf(node, manifest), report);
    checkUnits(chain, plugins, report);
  };
  walk(manifest.tree, undefined);
  checkDeclarations(plugins, report);
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

function sameUnit(left: string, right: string): boolean {
  const [a, b] = [parseUnit(left), parseUnit(right)];
  if (left === right || a === undefined || b === undefined) return left.toLowerCase() === right.toLowerCase();
  return sameDimensions(a, b) && Math.abs(a.scale / b.scale - 1) < 1e-9;
}
