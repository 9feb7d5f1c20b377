// The result document of a run: totals as figures, findings, what the file states otherwise; may depend on quantity and its room.
import { figure, type Assumption, type Figure, type Method } from "../../quantity/figure.ts";
import type { ImpactDocument } from "./impact-schema.ts";
import type { TreeNode } from "./manifest.ts";
import { compareOutputs, type Recomputation } from "./recompute.ts";

const MAX_TOTALS = 1_000;

const NO_INTERVAL: Assumption = {
  key: "impact.no-interval",
  text: "The manifest gives no uncertainties: its inputs are taken as exact, and totals have no interval.",
};
const MADE_UP: Assumption = {
  key: "impact.mock-observations",
  text: "MockObservations makes observations up: what rests on them is an example, not a measurement.",
};

/** @param seed of MockObservations, for the record */
export function impactDocument(run: Recomputation, seed: number): ImpactDocument {
  const { manifest, tree, corrected, findings, plugins } = run;
  const isMade = [...plugins.values()].some(({ method }) => method === "MockObservations");
  const assumptions = isMade ? [NO_INTERVAL, MADE_UP] : [NO_INTERVAL];
  const method: Method = isMade ? "assumed" : "modelled";
  const units = unitsOf(run);
  const asFigure = (metric: string, value: unknown): Figure | null =>
    typeof value === "number" && Number.isFinite(value)
      ? figure({
          value,
          unit: units.get(metric) ?? "",
          method,
          sources: [`${manifest.file}, Impact Framework arithmetic`],
          assumptions,
        })
      : null;
  const totals: ImpactDocument["totals"] = [];
  let leftOut = 0;
  walk(tree, corrected, (node, right) => {
    for (const [metric, value] of Object.entries(node.aggregated ?? {})) {
      if (totals.length === MAX_TOTALS) {
        leftOut++;
        continue;
      }
      const other = right?.aggregated?.[metric];
      const changes = right !== undefined && !Object.is(other, value);
      totals.push({
        path: node.path,
        metric,
        asWritten: asFigure(metric, value),
        corrected: changes ? asFigure(metric, other) : null,
        isUndefined: changes && !(typeof other === "number" && Number.isFinite(other)),
      });
    }
  });
  const count = (severity: string): number => findings.filter((finding) => finding.severity === severity).length;
  const size = { components: 0, outputs: 0, stated: 0 };
  walk(tree, undefined, (node) => {
    if (node.children !== undefined) return;
    size.components++;
    size.outputs += node.outputs?.length ?? 0;
  });
  walk(manifest.tree, undefined, (node) => (size.stated += node.outputs === undefined ? 0 : 1));
  return {
    schema: "lightfoot.impact/1",
    file: manifest.file,
    name: manifest.head.name,
    seed,
    components: size.components,
    observations: manifest.observationCount,
    outputs: size.outputs,
    totals,
    totalsLeftOut: leftOut,
    findings: [...findings],
    counts: { errors: count("error"), warnings: count("warning"), notes: count("note") },
    differences: size.stated === 0 || isMade ? null : compareOutputs(manifest.tree, tree),
    assumptions,
  };
}

function walk(
  node: TreeNode,
  right: TreeNode | undefined,
  visit: (node: TreeNode, right: TreeNode | undefined) => void,
): void {
  visit(node, right);
  for (const [name, child] of node.children ?? []) walk(child, right?.children?.get(name), visit);
}

/** The unit that the manifest declares for a parameter, with CO2-equivalents as the rest of the documents write them. */
function unitsOf({ plugins }: Recomputation): Map<string, string> {
  const units = new Map<string, string>();
  for (const { metadata } of plugins.values()) {
    for (const [name, { unit }] of Object.entries({ ...metadata.inputs, ...metadata.outputs })) {
      units.set(name, /^(none|dimensionless|ratio)$/i.test(unit) ? "1" : unit.replace(/CO2eq?\b/i, "CO2e"));
    }
  }
  return units;
}
