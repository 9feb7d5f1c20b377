// Dynamic int8: weights stored in 8 bits, activations quantised while the model runs; may depend on rewrite and quantize.
import { int, ints } from "../../model/attributes.ts";
import { node as operator } from "../../model/build.ts";
import type { ModelGraph, Node } from "../../model/graph.ts";
import { tensorByteLength } from "../../model/tensor-data.ts";
import { float32Tensor, type TensorValue } from "../../model/tensor-value.ts";
import type { WatchOptions } from "../calibrate.ts";
import type { InputStatistics } from "../input-statistics.ts";
import { gridArray, gridZeroPoint, type WeightGrid } from "../quantize/affine.ts";
import { denseShift, shifted } from "../quantize/bias-correction.ts";
import { columnsHere, columnsOn, LazyColumns, type QuantizeColumns } from "../quantize/stored-weight.ts";
import { GraphDraft } from "../rewrite/draft.ts";
import {
  chosenLayers,
  denseBias,
  denseWeight,
  findLinearLayers,
  isDense,
  type DenseLayer,
  type LayerChoice,
} from "../rewrite/linear.ts";
import { raiseOpset } from "../rewrite/opset.ts";
import { made, refused, type TechniqueContext, type TechniqueResult } from "./technique.ts";

const FLOAT = 1;
/** MatMulInteger and DynamicQuantizeLinear. */
const NEEDED_OPSET = 11;

/** Weights below this are quantised sooner than threads start. */
const WORTH_THREADS_BYTES = 256 * 2 ** 20;

export interface DynamicInt8Options extends LayerChoice {
  /**
   * `tensor`: one range for the whole batch (DynamicQuantizeLinear), which ONNX Runtime fuses into one kernel.
   * `token`: one range per row, so that neither an outlier nor the rest of the batch changes a row's answer.
   */
  readonly activations: "tensor" | "token";
  /** Whether biases make up for the mean of what rounding the weights takes; needs calibration data. Absent: no. */
  readonly biasCorrection?: boolean;
}

interface QuantizedDense {
  readonly layer: DenseLayer;
  readonly weight: string;
  readonly weightZeroPoint: string;
  readonly weightScale: string;
  readonly bias: string | undefined;
}

async function storeDense(
  draft: GraphDraft,
  layer: DenseLayer,
  grid: WeightGrid,
  quantize: QuantizeColumns,
  mean: Float64Array | undefined,
): Promise<QuantizedDense> {
  const { k, n, weight, transposedWeight: transposed, alpha } = layer;
  const columns = new LazyColumns({ weight, transposed, grid }, quantize);
  // A factor on the product is a factor on its scale: the integers stay those of the stored weights.
  const scales = async () => (await columns.scales()).map((scale) => scale * alpha);
  const stem = weight.name;
  const zeros = gridArray(grid, 1).fill(gridZeroPoint(grid));
  const bias = await denseBias(layer);
  const corrected = async (values: Float32Array, inputMean: Float64Array) => {
    const stored = { data: await columns.data(), scales: await scales(), zeroPoint: gridZeroPoint(grid) };
    return shifted(values, denseShift(await denseWeight(layer), stored, inputMean));
  };
  const biasName =
    bias === undefined
      ? undefined
      : mean?.length === k
        ? draft.computed(`${stem}_b`, { dtype: "float32", shape: [n] }, () => corrected(bias, mean))
        : draft.constant(`${stem}_b`, float32Tensor([n], bias));
  return {
    layer,
    weight: draft.computed(`${stem}_q`, { dtype: grid.dtype, shape: [k, n] }, () => columns.data()),
    weightZeroPoint: draft.constant(`${stem}_zp`, { dtype: grid.dtype, shape: [], data: zeros }),
    weightScale: draft.computed(`${stem}_s`, { dtype: "float32", shape: [n] }, scales),
    bias: biasName,
  };
}

/** Nodes that bring the input of a Gemm with transA upright; the name of the upright value. */
function upright(draft: GraphDraft, layer: DenseLayer): { input: string; nodes: Node[] } {
  if (!layer.transposedInput) return { input: layer.input, nodes: [] };
  const input = draft.fresh(`${layer.input}_t`);
  return { input, nodes: [operator("Transpose", [layer.input], [input], { perm: ints([1, 0]) })] };
}

/** Integer product → real numbers: Cast, times the scales, plus the bias, ending in the layer's own output. */
function rescale(draft: GraphDraft, dense: QuantizedDense, product: string, scale: string): Node[] {
  const { output } = dense.layer;
  const real = draft.fresh(`${output}_f`);
  const scaled = dense.bias === undefined ? output : draft.fresh(`${output}_m`);
  const nodes = [operator("Cast", [product], [real], { to: int(FLOAT) }), operator("Mul", [real, scale], [scaled])];
  return dense.bias === undefined ? nodes : [...nodes, operator("Add", [scaled, dense.bias], [output])];
}

function perTensor(draft: GraphDraft, dense: QuantizedDense): Node[] {
  const { input, nodes } = upright(draft, dense.layer);
  const [quantized, scale, zeroPoint] = [
    draft.fresh(`${input}_q`),
    draft.fresh(`${input}_s`),
    draft.fresh(`${input}_z`),
  ];
  const product = draft.fresh(`${dense.layer.output}_i`);
  const bothScales = draft.fresh(`${dense.layer.output}_s`);
  return [
    ...nodes,
    operator("DynamicQuantizeLinear", [input], [quantized, scale, zeroPoint]),
    operator("MatMulInteger", [quantized, dense.weight, zeroPoint, dense.weightZeroPoint], [product]),
    operator("Mul", [scale, dense.weightScale], [bothScales]),
    ...rescale(draft, dense, product, bothScales),
  ];
}

interface TokenConstants {
  readonly levels: string;
  readonly smallest: string;
  readonly one: string;
  readonly middle: string;
  readonly lastAxis: string;
}

function tokenConstants(draft: GraphDraft): TokenConstants {
  const scalar = (stem: string, value: number) => draft.constant(stem, float32Tensor([], new Float32Array([value])));
  const middle: TensorValue = { dtype: "uint8", shape: [], data: new Uint8Array([128]) };
  const lastAxis: TensorValue = { dtype: "int64", shape: [1], data: new BigInt64Array([-1n]) };
  return {
    levels: scalar("token_levels", 1 / 127),
    // A row of zeros would divide by zero and give NaN.
    smallest: scalar("token_floor", 1e-30),
    one: scalar("token_one", 1),
    middle: draft.constant("token_middle", middle),
    lastAxis: draft.constant("token_axis", lastAxis),
  };
}

function perToken(draft: GraphDraft, dense: QuantizedDense, constants: TokenConstants): Node[] {
  const { input, nodes } = upright(draft, dense.layer);
  const name = (suffix: string) => draft.fresh(`${dense.layer.output}_${suffix}`);
  const [magnitude, largest, safe, scale, units, quantized] = ["abs", "max", "safe", "ts", "u", "q"].map(name) as [
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  const [product, rowScaled] = [name("i"), name("r")];
  const cast = name("c");
  // ReduceMax takes its axes as an input from opset 18 on.
  const reduce =
    draft.opset >= 18
      ? operator("ReduceMax", [magnitude, constants.lastAxis], [largest], { keepdims: int(1) })
      : operator("ReduceMax", [magnitude], [largest], { keepdims: int(1), axes: ints([-1]) });
  const columnScaled = dense.bias === undefined ? dense.layer.output : name("w");
  const tail = dense.bias === undefined ? [] : [operator("Add", [columnScaled, dense.bias], [dense.layer.output])];
  return [
    ...nodes,
    operator("Abs", [input], [magnitude]),
    reduce,
    operator("Max", [largest, constants.smallest], [safe]),
    operator("Mul", [safe, constants.levels], [scale]),
    operator("Div", [input, scale], [units]),
    operator("QuantizeLinear", [units, constants.one, constants.middle], [quantized]),
    operator("MatMulInteger", [quantized, dense.weight, constants.middle, dense.weightZeroPoint], [product]),
    operator("Cast", [product], [cast], { to: int(FLOAT) }),
    operator("Mul", [cast, scale], [rowScaled]),
    operator("Mul", [rowScaled, dense.weightScale], [columnScaled]),
    ...tail,
  ];
}

/**
 * Replaces each MatMul and Gemm with constant weights by an integer product: u8 activations × 8-bit weights with one scale per
 * column, `y = (x_q − z)·w_q · s_x·s_w + b`.
 *
 * Convolutions stay float: their dynamic integer kernel is slower than float on every CPU tried.
 */
export async function dynamicInt8(
  model: ModelGraph,
  options: DynamicInt8Options,
  context: Pick<TechniqueContext, "weightGrid" | "runner"> &
    Partial<Pick<TechniqueContext, "calibration">> &
    WatchOptions,
): Promise<TechniqueResult> {
  const raised = await raiseOpset(model, NEEDED_OPSET);
  if (raised.kind === "refused") return raised;
  const draft = new GraphDraft(raised.model);
  const layers = chosenLayers(findLinearLayers(draft), options);
  const dense = layers.filter(isDense);
  if (dense.length === 0) return refused("no MatMul or Gemm with constant float32 weights to quantise");
  const { calibration } = context;
  if (options.biasCorrection === true && calibration === undefined) {
    return refused("bias correction needs calibration data, none was given");
  }
  const correctable = dense.filter(({ transposedInput }) => !transposedInput).map(({ input }) => input);
  let seen: Map<string, InputStatistics> | undefined;
  if (options.biasCorrection === true && calibration !== undefined) {
    // It loads all that runs a model, a third of the modules: the plain technique is done before they are read.
    const { inputStatistics } = await import("../input-statistics.ts");
    seen = await inputStatistics(raised.model, correctable, calibration, context);
  }
  const weightBytes = dense.reduce((total, { weight }) => total + tensorByteLength(weight), 0);
  const { runner } = context;
  const quantize = runner === undefined || weightBytes < WORTH_THREADS_BYTES ? columnsHere() : columnsOn(runner);
  const constants = options.activations === "token" ? tokenConstants(draft) : undefined;
  for (const layer of dense) {
    const quantized = await storeDense(draft, layer, context.weightGrid, quantize, seen?.get(layer.input)?.mean);
    const replacement = constants === undefined ? perTensor(draft, quantized) : perToken(draft, quantized, constants);
    draft.replaceAll(layer.nodes, replacement);
  }
  const convs = layers.length - dense.length;
  const notes = convs === 0 ? [] : [`${convs} convolutions stay float: the dynamic integer kernel is slower`];
  return made(draft.finish(), notes);
}
