// Holds an Impact Framework manifest against its own inputs and pipeline: findings of the recomputation, and outputs that do not follow; may depend on errors and its room.
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { parseImpactManifest } from "../exchange/impact-framework.ts";
import { localPorts } from "../exchange/impact-framework-ports.ts";
import type { FindingCode, ImpactFinding } from "../impact-framework/findings.ts";
import { compareOutputs, recompute, type OutputDifference } from "../impact-framework/recompute.ts";
import { failing, holding, impossible, type CheckCode, type CheckGroup } from "./check.ts";

/** The check that a finding belongs to; what is not named here is arithmetic of the framework. */
const CODES: Readonly<Partial<Record<FindingCode, CheckCode>>> = {
  "sci-functional-unit-zero": "functional-unit",
  "pue-twice": "pue",
  "wue-on-facility-energy": "water",
  "unit-slip": "unit-slip",
  "implausible-value": "range",
  "negative-value": "range",
  "not-finite": "range",
  "embodied-negative": "range",
  "timestamp-duplicate": "double-count",
  "observation-overlap": "double-count",
  "timestamp-missing": "incomplete",
  "csv-empty-cell": "incomplete",
  "node-config-ignored": "method",
  "skip-components-ignored": "method",
  "metadata-conflict": "method",
};

const asCheck = ({ code, severity, message, where, says, right, factor, count }: ImpactFinding): CheckGroup => ({
  ...failing({ code: CODES[code] ?? "arithmetic", severity, message: `${code}: ${message}`, where }),
  stated: says,
  recomputed: right,
  factor,
  count,
});

/** Does the file state results at all, or only how to get them? */
const hasResults = (text: string): boolean => /^\s+(?:-\s+)?(?:outputs|aggregated):/m.test(text);

/**
 * Every check that a manifest allows; nothing is downloaded and no command of a Shell plugin runs.
 *
 * @throws LightfootError E_IMPACT when the manifest cannot be run
 */
export async function checkImpactFramework(text: string, file: string): Promise<CheckGroup[]> {
  const manifest = parseImpactManifest(Buffer.from(text), file);
  const run = await recompute(manifest, { ports: localPorts(file, { seed: 1 }) }).catch((thrown: unknown) => {
    if (thrown instanceof LightfootError && thrown.code === "E_NOT_ALLOWED") return thrown;
    throw thrown;
  });
  if (run instanceof LightfootError) {
    const message = `${run.message}; verify never does that: lightfoot footprint manifest asks for leave`;
    return [{ ...impossible({ code: "incomplete", where: run.where ?? {}, message }), count: 1 }];
  }
  const findings = run.findings.map(asCheck);
  if (!hasResults(text)) {
    const message = "the manifest states no outputs: only its pipeline can be checked";
    return [...findings, { ...impossible({ code: "incomplete", where: { path: "tree" }, message }), count: 1 }];
  }
  const differences = compareOutputs(manifest.tree, run.tree).map(asDifference);
  if (differences.length > 0) return [...findings, ...differences];
  const message = "every output follows from the inputs and the pipeline";
  const all = holding({ code: "arithmetic", where: { path: "tree" }, message });
  return [...findings, { ...all, count: Math.max(1, manifest.observationCount) }];
}

function asDifference({ path, stated, recomputed, factor }: OutputDifference): CheckGroup {
  const input = { code: "arithmetic" as const, where: { path }, stated, recomputed, factor };
  // The framework drops mappings and evaluated expressions from what it writes, so a column may have lost its origin.
  if (recomputed === "missing") {
    const message = "nothing in the pipeline as written gives this output";
    return { ...impossible({ ...input, code: "incomplete", message, recomputed: null }), count: 1 };
  }
  return {
    ...failing({ ...input, message: "the output does not follow from the manifest's inputs and pipeline" }),
    count: 1,
  };
}
