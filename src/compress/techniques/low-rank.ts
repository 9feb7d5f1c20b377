// Low-rank factorisation: a weight becomes two thin ones that keep what its outputs vary in on real data; may depend on model,
// rewrite, structure, second-moments, recovery and retrain.
import { intAttribute, ints } from "../../model/attributes.ts";
import { node } from "../../model/build.ts";
import type { ModelGraph, Node } from "../../model/graph.ts";
import { readFloats } from "../../model/tensor-data.ts";
import { elementCount, float32Tensor } from "../../model/tensor-value.ts";
import { inferShapes } from "../../model/shapes/infer.ts";
import { typeIn } from "../../model/shapes/inference.ts";
import { GraphDraft } from "../rewrite/draft.ts";
import {
  chosenLayers,
  denseBias,
  denseWeight,
  findLinearLayers,
  layerName,
  type ConvLayer,
  type DenseLayer,
  type LayerChoice,
  type LinearLayer,
} from "../rewrite/linear.ts";
import { type Variables, variablesKey } from "../axis-rows.ts";
import { momentsBySegment, type Moments } from "../second-moments.ts";
import { basisFromInputs, basisOfOutputs, projected, shiftedBias, type Basis } from "../structure/output-basis.ts";
import type { RecoveryContext } from "./recovery.ts";
import { retrained, type RetrainChoice } from "./retrain.ts";
import { refused, type TechniqueContext, type TechniqueResult } from "./technique.ts";

export interface LowRankOptions extends LayerChoice, RetrainChoice {
  /** Share of the variance of each layer's outputs on the calibration data that must stay, 0 … 1. */
  readonly energy: number;
}

/** The eigenvectors of a wider side take longer than the rest of the work together. */
const WIDEST_SIDE = 2048;

/** A layer as a matrix `[inputs, outputs]`, and where its moments are seen. */
interface Matrix {
  readonly layer: LinearLayer;
  readonly inputs: number;
  readonly outputs: number;
  /** The outputs where there are fewer of them, else the inputs. */
  readonly variables: Variables;
  readonly seen: "outputs" | "inputs";
  /** A layer that can take a bias may leave the mean to it and spend its rank on what varies. */
  readonly centered: boolean;
}

/** The largest rank at which two factors have fewer weights, and so fewer multiply-adds, than the one matrix. */
const worthwhileRank = ({ inputs, outputs }: Matrix): number => Math.ceil((inputs * outputs) / (inputs + outputs)) - 1;

/** Mean of the outputs, from whichever side was seen. */
function outputMean(
  matrix: Matrix,
  { mean }: Moments,
  weight: Float32Array,
  bias: Float32Array | undefined,
): Float64Array {
  if (matrix.seen === "outputs") return mean;
  const result = Float64Array.from({ length: matrix.outputs }, (_, column) => bias?.[column] ?? 0);
  mean.forEach((value, row) => {
    for (let column = 0; column < matrix.outputs; column++)
      result[column] += value * weight[row * matrix.outputs + column];
  });
  return result;
}

/** Weights of a convolution as a matrix `[C·kernel, M]`. */
async function convMatrix({ weight }: ConvLayer): Promise<Float32Array> {
  const values = await readFloats(weight);
  const [outputs] = weight.shape;
  const inputs = values.length / outputs;
  return Float32Array.from(values, (_, at) => values[(at % outputs) * inputs + Math.floor(at / outputs)]);
}

function transposed(values: Float32Array | Float64Array, rows: number): Float32Array {
  const columns = values.length / rows;
  return Float32Array.from(values, (_, at) => values[(at % rows) * columns + Math.floor(at / rows)]);
}

/** Two products in place of one. */
function denseNodes(
  draft: GraphDraft,
  layer: DenseLayer,
  first: Float32Array,
  basis: Basis,
  bias: Float32Array | undefined,
): Node[] {
  const stem = layer.weight.name;
  const left = draft.constant(`${stem}_left`, float32Tensor([layer.k, basis.rank], first));
  const right = draft.constant(`${stem}_right`, float32Tensor([basis.rank, layer.n], Float32Array.from(basis.rows)));
  const shift = bias && draft.constant(`${stem}_bias`, float32Tensor([layer.n], bias));
  const middle = draft.fresh(`${layer.output}_low`);
  const [old] = layer.nodes;
  if (layer.isGemm) {
    const turned = [...old.attributes].filter(([name]) => name === "transA");
    const inputs = shift === undefined ? [middle, right] : [middle, right, shift];
    return [
      node("Gemm", [layer.input, left], [middle], Object.fromEntries(turned), { name: old.name && `${old.name}_left` }),
      node("Gemm", inputs, [layer.output], {}, { name: old.name }),
    ];
  }
  const product = shift === undefined ? layer.output : draft.fresh(`${layer.output}_product`);
  const nodes = [
    node("MatMul", [layer.input, left], [middle], {}, { name: old.name && `${old.name}_left` }),
    node("MatMul", [middle, right], [product], {}, { name: old.name }),
  ];
  return shift === undefined ? nodes : [...nodes, node("Add", [product, shift], [layer.output])];
}

/** A convolution to `rank` channels and one of 1 × 1 from there. */
function convNodes(draft: GraphDraft, layer: ConvLayer, first: Float32Array, basis: Basis, bias: Float32Array): Node[] {
  const { weight, output } = layer;
  const [outputs, ...rest] = weight.shape;
  const { rank, rows } = basis;
  const left = draft.constant(
    `${weight.name}_left`,
    float32Tensor([rank, ...rest], transposed(first, first.length / rank)),
  );
  const ones = rest.slice(1).map(() => 1);
  const right = draft.constant(`${weight.name}_right`, float32Tensor([outputs, rank, ...ones], transposed(rows, rank)));
  const shift = draft.constant(`${weight.name}_bias`, float32Tensor([outputs], bias));
  const middle = draft.fresh(`${output}_low`);
  const [old] = layer.nodes;
  return [
    { ...old, name: old.name && `${old.name}_left`, inputs: [layer.input, left], outputs: [middle] },
    node("Conv", [middle, right, shift], [output], { kernel_shape: ints(ones) }, { name: old.name }),
  ];
}

function matrixOf(layer: LinearLayer, rank: number | undefined): Matrix | undefined {
  if (layer.kind === "conv") {
    const [outputs] = layer.weight.shape;
    const inputs = elementCount(layer.weight.shape) / outputs;
    // One group of outputs cannot be made from another's inputs.
    if (intAttribute(layer.nodes[0], "group", 1) !== 1) return undefined;
    return { layer, inputs, outputs, variables: { value: layer.output, axis: 1 }, seen: "outputs", centered: true };
  }
  if (rank === undefined) return undefined;
  const { k: inputs, n: outputs } = layer;
  const centered = layer.isGemm || layer.bias !== undefined;
  if (outputs <= inputs) {
    return { layer, inputs, outputs, variables: { value: layer.output, axis: rank - 1 }, seen: "outputs", centered };
  }
  const axis = layer.transposedInput ? 0 : rank - 1;
  return { layer, inputs, outputs, variables: { value: layer.input, axis }, seen: "inputs", centered };
}

/** The layer's nodes in its low-rank form and the rank; undefined when that would not be smaller. */
async function factorized(
  draft: GraphDraft,
  matrix: Matrix,
  moments: Moments,
  energy: number,
): Promise<{ nodes: Node[]; rank: number } | undefined> {
  const { layer, outputs, centered } = matrix;
  const weight = layer.kind === "conv" ? await convMatrix(layer) : await denseWeight(layer);
  const bias =
    layer.kind === "dense"
      ? await denseBias(layer)
      : layer.bias === undefined
        ? undefined
        : await readFloats(layer.bias);
  const basis =
    matrix.seen === "outputs"
      ? basisOfOutputs(moments, centered, energy)
      : basisFromInputs(moments, weight, outputs, centered, energy);
  if (basis.rank > worthwhileRank(matrix)) return undefined;
  const first = projected(weight, basis, outputs);
  const whole = bias !== undefined && bias.length === 1 ? new Float32Array(outputs).fill(bias[0]) : bias;
  const shift = centered ? shiftedBias(whole, outputMean(matrix, moments, weight, whole), basis) : whole;
  const nodes =
    layer.kind === "conv"
      ? convNodes(draft, layer, first, basis, shift!)
      : denseNodes(draft, layer, first, basis, shift);
  return { nodes, rank: basis.rank };
}

/**
 * Replaces each weight W by the product of two thin ones where that takes fewer weights and multiply-adds: W·Bᵀ and B, with B the
 * principal directions of the layer's outputs on calibration data, which is the best approximation of that rank there (the singular
 * value decomposition of Σ^½·W, Σ the inputs' moments). A convolution becomes one to fewer channels and one of 1 × 1.
 *
 * With training data the model is then distilled from the original.
 */
export async function lowRank(
  model: ModelGraph,
  options: LowRankOptions,
  context: RecoveryContext & Pick<TechniqueContext, "calibration">,
): Promise<TechniqueResult> {
  const { energy } = options;
  const { calibration, train, threads, signal } = context;
  const data = calibration ?? train;
  if (data === undefined) return refused("low-rank factors follow the layers' outputs on data, and none was given");
  const draft = new GraphDraft(model);
  const { root } = await inferShapes(model);
  const rankOf = (name: string) => {
    const type = typeIn(root, name);
    return type?.kind === "tensor" ? type.shape?.length : undefined;
  };
  const uses = draft.useCounts();
  const matrices = chosenLayers(findLinearLayers(draft), options).flatMap((layer) => {
    const matrix = matrixOf(layer, rankOf(layer.output));
    // A weight that others read too would stay in the file beside its factors.
    const usable = matrix !== undefined && uses.get(layer.weight.name) === 1 && worthwhileRank(matrix) > 0;
    return usable && Math.min(matrix.inputs, matrix.outputs) <= WIDEST_SIDE ? [matrix] : [];
  });
  const notes: string[] = [];
  const variables = matrices.map((matrix) => matrix.variables);
  for await (const found of momentsBySegment(model, variables, data, { threads, signal, kind: "products" })) {
    for (const matrix of matrices) {
      const moments = found.get(variablesKey(matrix.variables));
      const factors = moments && (await factorized(draft, matrix, moments, energy));
      if (factors === undefined) continue;
      draft.replaceAll(matrix.layer.nodes, factors.nodes);
      notes.push(`${layerName(matrix.layer)}: rank ${factors.rank} of ${Math.min(matrix.inputs, matrix.outputs)}`);
    }
  }
  if (notes.length === 0) {
    return refused(`no layer has factors that are smaller than its weight and keep ${energy * 100} % of its variance`);
  }
  return retrained(draft.finish(), notes, context, options);
}
