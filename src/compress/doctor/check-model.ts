// Examines an ONNX file from elsewhere, repairs what can be repaired from the file alone, and proves it by running both; may depend
// on io, model, runtime, rewrite and this room.
import { resolve } from "node:path";
import { LightfootError } from "../../errors/index.ts";
import { sha256File } from "../../io/digest.ts";
import { describeThisMachine } from "../../io/machine.ts";
import type { ModelGraph } from "../../model/graph.ts";
import { readOnnx } from "../../model/onnx/read.ts";
import { writeOnnx } from "../../model/onnx/write.ts";
import { compareModels, type CompareOptions } from "../../runtime/compare-models.ts";
import { precisionOf, withExecutedGraph } from "../../runtime/executed-precision.ts";
import { lostDefaults } from "../defaulted-inputs.ts";
import { storedBytes } from "../profile.ts";
import { GraphDraft } from "../rewrite/draft.ts";
import { subgraphsWithin } from "../rewrite/inner-graphs.ts";
import { weightGridFor } from "../weight-grid.ts";
import { BLOCK_PATTERNS } from "./block-patterns.ts";
import { INTEGER_PATTERNS } from "./integer-patterns.ts";
import type { ModelCheck, ModelFinding, ModelRepair } from "./model-check-schema.ts";
import type { Pattern, Subject } from "./pattern.ts";
import { UNFUSED_PATTERNS } from "./unfused-patterns.ts";

/** In the order of repair: types first, so that what fuses afterwards is judged with the types it will have. */
const PATTERNS: readonly Pattern[] = [...INTEGER_PATTERNS, ...UNFUSED_PATTERNS, ...BLOCK_PATTERNS];

export interface CheckModelOptions extends CompareOptions {
  /** Where to write the repaired model; left out, nothing is repaired. */
  readonly out?: string;
  /** Leaves alone what would round anything that the file does not round. */
  readonly exactOnly?: boolean;
}

/** Products of u8 and i8 are exact in 8 bits exactly where the weight grid uses all 8. */
function dotProducts(): { readonly exact: boolean; readonly reason: string } {
  const { grid, reason } = weightGridFor(describeThisMachine());
  return { exact: grid.bits === 8, reason };
}

async function fileOf(path: string, model: ModelGraph) {
  return { file: path, digest: await sha256File(path), fileBytes: await storedBytes(path, model) };
}

async function findingOf(pattern: Pattern, subject: Subject): Promise<ModelFinding | undefined> {
  const { id, severity, what, cost, repair } = pattern;
  const places = await pattern.find(subject);
  if (places.length === 0) return undefined;
  const found = places.map(({ place, mend }) => ({ node: place, repairable: mend !== undefined }));
  return { pattern: id, severity, what, cost, repair, places: found };
}

async function executionOf(executed: ModelGraph, inputs: CompareOptions["inputs"]) {
  const { unknownOperators, ...execution } = await precisionOf(executed, inputs);
  return { execution, unknownOperators: [...unknownOperators] };
}

/**
 * Looks at a model as ONNX Runtime will run it on this machine: the share of multiply-adds in each precision, and known patterns
 * that are slower or less accurate than they need be. With `out`, what can be mended is mended, written there, and run against
 * the original on the same inputs, in turns.
 *
 * @throws LightfootError E_RUNTIME when the engine refuses the model, E_USAGE when `out` is the model itself, E_SHAPE, E_DATA
 */
export async function checkModel(path: string, options: CheckModelOptions = {}): Promise<ModelCheck> {
  if (options.out !== undefined && resolve(options.out) === resolve(path)) {
    throw new LightfootError("E_USAGE", "the repaired model would replace the one that it is compared with", {
      hint: "Give --out another name.",
    });
  }
  const model = await readOnnx(path);
  const { exact: hasExactDotProducts, reason } = dotProducts();
  return withExecutedGraph(path, async (executed) => {
    const subject = { draft: new GraphDraft(model), executed, hasExactDotProducts };
    const findings: ModelFinding[] = [];
    for (const pattern of PATTERNS) {
      const finding = await findingOf(pattern, subject);
      if (finding !== undefined) findings.push(finding);
    }
    const { execution, unknownOperators } = await executionOf(executed, options.inputs);
    return {
      schema: "lightfoot.model-check/1",
      model: await fileOf(path, model),
      processor: reason,
      execution,
      unknownOperators,
      unexamined: {
        subgraphs: subgraphsWithin(model.graph.nodes).length,
        functions: model.functions.length,
      },
      findings,
      repair: options.out === undefined ? null : await repaired(path, options.out, subject, options),
    };
  });
}

async function repaired(
  path: string,
  out: string,
  subject: Subject,
  options: CheckModelOptions,
): Promise<ModelRepair | null> {
  const mended: Record<string, number> = {};
  for (const pattern of PATTERNS) {
    if (options.exactOnly === true && pattern.repair.kind === "rounds") continue;
    for (const { mend } of await pattern.find(subject)) {
      if (mend === undefined) continue;
      await mend();
      mended[pattern.id] = (mended[pattern.id] ?? 0) + 1;
    }
  }
  if (Object.keys(mended).length === 0) return null;
  await writeOnnx(subject.draft.finish(), out);
  const model = await readOnnx(out);
  const after = await withExecutedGraph(out, async (executed) => {
    const again = { ...subject, draft: new GraphDraft(model), executed };
    const remaining: Record<string, number> = {};
    for (const pattern of PATTERNS) {
      const found = await pattern.find(again);
      if (found.length > 0) remaining[pattern.id] = found.length;
    }
    return { remaining, execution: (await executionOf(executed, options.inputs)).execution };
  });
  const { outputs, first, second, speedUp, batch } = await compareModels(path, out, options);
  return {
    model: await fileOf(out, model),
    mended,
    notes: lostDefaults(await readOnnx(path), model),
    ...after,
    data: options.dataset?.name ?? `seeded random numbers (seed ${options.seed ?? 0})`,
    batch,
    outputs: [...outputs],
    latency: { before: first, after: second, speedUp },
  };
}
