// Codebooks: weights as small indices into vectors that neighbors share, rebuilt by standard operators when a runtime loads the model;
// may depend on model, rewrite, structure, second-moments and quantize.
import { int, ints } from "../../model/attributes.ts";
import { node } from "../../model/build.ts";
import { DTYPES } from "../../model/dtype.ts";
import type { ModelGraph, Node } from "../../model/graph.ts";
import { packSubByte } from "../../model/sub-byte.ts";
import { computedTensor, readFloats } from "../../model/tensor-data.ts";
import { elementCount, int64Tensor } from "../../model/tensor-value.ts";
import { variablesKey } from "../axis-rows.ts";
import { Turnstile, type LazyParts } from "../quantize/lazy-parts.ts";
import { lazyCodebook, matrixSize, type CodedWeight, type StoredCodebook } from "../quantize/stored-codebook.ts";
import { GraphDraft } from "../rewrite/draft.ts";
import { chosenLayers, findLinearLayers, type LayerChoice, type LinearLayer } from "../rewrite/linear.ts";
import { raiseOpset } from "../rewrite/opset.ts";
import { secondMoments } from "../second-moments.ts";
import { isNibbles, NIBBLE_OPSET } from "../storage/shared-group.ts";
import { findReadings, type Reading } from "../structure/input-columns.ts";
import { made, refused, type TechniqueContext, type TechniqueResult } from "./technique.ts";

export const VECTOR_LENGTHS = [1, 2, 4, 8] as const;

export interface CodebooksOptions extends LayerChoice {
  /**
   * Neighbors along a layer's inputs that share one index; where that does not divide their number, the longest shorter vector that
   * does. `log2(entries) / vectorLength` bits a weight, stored as whole bytes, or half ones.
   */
  readonly vectorLength: (typeof VECTOR_LENGTHS)[number];
  /** Vectors in each layer's codebook, 2 … 256; fewer in layers with fewer than four indices a vector. */
  readonly entries: number;
}

/** A vector for fewer places than this is no saving. */
const LEAST_REPEATS = 4;
/** Bytes of names, shapes and operators of one layer, counted on written files. */
const OVERHEAD_BYTES = 250;
/** Float weights below this leave results that fit into memory, and are done before threads have started. */
const SMALL_BYTES = 256 * 2 ** 20;
/** Float weights under way at once, each with its indices beside it. */
const IN_FLIGHT_BYTES = 200 * 2 ** 20;

/** What a weight is to be coded as. */
type Plan = Pick<StoredCodebook, "weight" | "inputsFirst" | "length" | "entries">;

/** Bytes of a weight in its codebook. */
function storedBytes(plan: Plan, opset: number): number {
  const { inputs, outputs } = matrixSize(plan);
  const places = (outputs * inputs) / plan.length;
  const indexBytes = isNibbles(plan.entries, opset) ? Math.ceil(places / 2) : places;
  return indexBytes + 4 * plan.entries * plan.length + OVERHEAD_BYTES;
}

/** Undefined where codebook and indices would take no fewer bytes than the weights. */
function planOf(layer: LinearLayer, { vectorLength, entries }: CodebooksOptions, opset: number): Plan | undefined {
  const { weight } = layer;
  const inputsFirst = layer.kind === "dense" && !layer.transposedWeight;
  const { inputs } = matrixSize({ weight, inputsFirst });
  const count = elementCount(weight.shape);
  let length: number = vectorLength;
  while (inputs % length !== 0) length--;
  const fitting = Math.min(entries, Math.floor(count / length / LEAST_REPEATS));
  const plan = { weight, inputsFirst, length, entries: fitting };
  return fitting >= 2 && storedBytes(plan, opset) < 4 * count ? plan : undefined;
}

/** Nodes that rebuild the weight under its own name. */
function rebuild(draft: GraphDraft, plan: Plan, coded: LazyParts<CodedWeight>): void {
  const { weight, inputsFirst, length, entries } = plan;
  const { name } = weight;
  const { inputs, outputs } = matrixSize(plan);
  const nibbles = isNibbles(entries, draft.opset);
  const indices = draft.computed(
    `${name}_indices`,
    { dtype: nibbles ? "uint4" : "uint8", shape: [outputs, inputs / length] },
    async () => {
      const bytes = (await coded.take("indices")).indices;
      return nibbles ? packSubByte("uint4", bytes) : bytes;
    },
  );
  const codebook = draft.computed(
    `${name}_codebook`,
    { dtype: "float32", shape: [entries, length] },
    async () => (await coded.take("codebook")).codebook,
  );
  const shape = inputsFirst ? [outputs, inputs] : weight.shape;
  const sizes = draft.constant(`${name}_shape`, int64Tensor([shape.length], shape));
  const wide = draft.fresh(`${name}_wide`);
  const vectors = draft.fresh(`${name}_vectors`);
  const nodes: Node[] = [
    // Runtimes gather by 32- or 64-bit indices only.
    node("Cast", [indices], [wide], { to: int(DTYPES.int32.code) }),
    node("Gather", [codebook, wide], [vectors], { axis: int(0) }),
  ];
  if (inputsFirst) {
    const rows = draft.fresh(`${name}_rows`);
    nodes.push(node("Reshape", [vectors, sizes], [rows]));
    draft.replaceConstant(name, node("Transpose", [rows], [name], { perm: ints([1, 0]) }));
  } else {
    draft.replaceConstant(name, node("Reshape", [vectors, sizes], [name]));
  }
  draft.nodes = [...nodes, ...draft.nodes];
}

/** The bias makes up for what the codebook takes from the mean output. */
function correctBias(
  draft: GraphDraft,
  { tensor, scale }: NonNullable<Reading["bias"]>,
  coded: LazyParts<CodedWeight>,
) {
  const corrected = async (): Promise<Float32Array> => {
    const { shift } = await coded.take("bias");
    const stored = await readFloats(tensor);
    return stored.map((value, at) => value + scale * shift[at]);
  };
  draft.setInitializer(computedTensor(tensor.name, { dtype: "float32", shape: tensor.shape }, corrected));
}

/** Nibbles need a newer operator set; a model that cannot be raised stores bytes. */
async function withNibbles(model: ModelGraph, { entries }: CodebooksOptions): Promise<ModelGraph> {
  if (!isNibbles(entries, NIBBLE_OPSET)) return model;
  const raised = await raiseOpset(model, NIBBLE_OPSET);
  return raised.kind === "model" ? raised.model : model;
}

/**
 * Stores the weights of MatMul, Gemm and Conv as indices into a codebook for each layer: product quantization with one codebook for all
 * positions (Jégou, Douze and Schmid 2011; for weights Stock et al., arXiv:1907.05686), exact k-means where a vector is one weight. With
 * calibration data an error counts by the mean square of the input that it meets, and the bias makes up for the mean error.
 *
 * Needs no training, and any ONNX runtime opens the file. Only the file gets smaller: ONNX Runtime rebuilds float weights when it loads
 * the model, and runs at the speed and in the memory of the original.
 */
export async function codebooks(
  model: ModelGraph,
  options: CodebooksOptions,
  context: Pick<TechniqueContext, "calibration" | "threads" | "signal" | "runner" | "seed">,
): Promise<TechniqueResult> {
  const { calibration, threads, signal, seed, runner } = context;
  const start = await withNibbles(model, options);
  const draft = new GraphDraft(start);
  const layers = new Map(chosenLayers(findLinearLayers(draft), options).map((layer) => [layer.weight.name, layer]));
  if (layers.size === 0) return refused("no MatMul, Gemm or Conv with constant float32 weights to put in a codebook");
  const readings = calibration === undefined ? [] : await findReadings(start, draft, options);
  const seen = await (calibration === undefined
    ? new Map<string, never>()
    : secondMoments(start, readings, calibration, { threads, signal, kind: "squares" }));
  const plans = [...layers.values()].flatMap((layer) => planOf(layer, options, draft.opset) ?? []);
  if (plans.length === 0) return refused("no layer is large enough to save bytes by a codebook");
  const floatBytes = plans.reduce((sum, { weight }) => sum + 4 * elementCount(weight.shape), 0);
  const isSmall = floatBytes < SMALL_BYTES;
  const lazy = { runner: isSmall ? undefined : runner, turnstile: new Turnstile(IN_FLIGHT_BYTES), keep: isSmall };
  for (const plan of plans) {
    const reading = readings.find(({ weight }) => weight.name === plan.weight.name);
    const moments = reading === undefined ? undefined : seen.get(variablesKey(reading));
    const inputs = moments && { mean: moments.mean, meanSquare: moments.second };
    const bias = inputs === undefined ? undefined : reading?.bias;
    const { weight, inputsFirst, length, entries } = plan;
    const task = { weight, inputsFirst, length, entries, seed, inputs };
    const coded = lazyCodebook(task, bias === undefined ? 2 : 3, lazy);
    rebuild(draft, plan, coded);
    if (bias !== undefined) correctBias(draft, bias, coded);
  }
  const left = layers.size - plans.length;
  const bits = (8 * plans.reduce((sum, plan) => sum + storedBytes(plan, draft.opset), 0)) / (floatBytes / 4);
  return made(draft.finish(), [
    `${plans.length} weights as indices into codebooks, ${bits.toFixed(2)} bits a weight with them; float again once loaded`,
    ...(left === 0 ? [] : [`${left} small layers stay float: a codebook would save no bytes`]),
  ]);
}
