// Raises a model's operator set to the version an integer kernel needs, converting what changed or refusing; may depend on model and draft.
import {
  floatAttribute,
  int,
  intAttribute,
  intsAttribute,
  stringAttribute,
  subgraphsOf,
} from "../../model/attributes.ts";
import type { Attribute, ModelGraph, Node } from "../../model/graph.ts";
import { typeIn, type ShapeInference } from "../../model/shapes/inference.ts";
import { float32Tensor, int64Tensor } from "../../model/tensor-value.ts";
import { GraphDraft } from "./draft.ts";

export type Raised =
  | { readonly kind: "model"; readonly model: ModelGraph }
  | { readonly kind: "refused"; readonly reason: string };

/** The highest version this file knows how to reach, and the lowest it starts from. */
const KNOWN = { from: 7, to: 13 };
/** IR that the opset of that version was released with; ONNX Runtime accepts any newer one. */
const IR_FOR_OPSET_13 = 7;

/** The step that brings 4-bit integers, with the IR that it was released with. */
const FOUR_BIT = { from: 20, to: 21, ir: 10 };

/**
 * Operators whose meaning for existing models is the same in every version from 7 to 13: later versions only add types,
 * optional attributes or broadcasting. Anything else is converted below or refused.
 */
const UNCHANGED = new Set(
  `Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BitShift Cast Ceil Celu Compress Concat Constant
   ConstantOfShape Conv ConvInteger ConvTranspose Cos Cosh CumSum DepthToSpace DequantizeLinear Det Div DynamicQuantizeLinear
   Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor GRU Gather GatherElements GatherND Gemm GlobalAveragePool
   GlobalLpPool GlobalMaxPool Greater GreaterOrEqual HardSigmoid Identity If InstanceNormalization IsInf IsNaN LRN LSTM
   LeakyRelu Less LessOrEqual Log Loop LpNormalization LpPool MatMul MatMulInteger Max MaxPool MaxUnpool Mean
   MeanVarianceNormalization Min Mod Mul Multinomial Neg NonMaxSuppression NonZero Not OneHot Or PRelu Pow QLinearConv
   QLinearMatMul QuantizeLinear RNN RandomNormal RandomNormalLike RandomUniform RandomUniformLike Reciprocal ReduceL1
   ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSumSquare Relu Reshape Round
   ReverseSequence RoiAlign ScatterElements ScatterND Selu Shape Shrink Sigmoid Sign Sin Sinh Size Softplus Softsign
   SpaceToDepth Sqrt Sub Sum Tan Tanh ThresholdedRelu Tile Transpose Unique Where Xor`.split(/\s+/),
);

const without = (node: Node, ...names: string[]): ReadonlyMap<string, Attribute> =>
  new Map([...node.attributes].filter(([name]) => !names.includes(name)));

/** Attributes that became inputs, one conversion an operator. `undefined`: this use cannot be carried over. */
type Conversion = (node: Node, from: number, draft: GraphDraft, shapes: ShapeInference) => Node | undefined;

function axesToInput(node: Node, from: number, draft: GraphDraft): Node {
  const axes = intsAttribute(node, "axes");
  if (from >= 13 || axes === undefined) return node;
  const name = draft.constant("axes", int64Tensor([axes.length], axes));
  return { ...node, inputs: [node.inputs[0], name], attributes: without(node, "axes") };
}

function clip(node: Node, from: number, draft: GraphDraft): Node {
  if (from >= 11) return node;
  const bound = (name: string) =>
    node.attributes.has(name)
      ? draft.constant(`clip_${name}`, float32Tensor([], new Float32Array([floatAttribute(node, name, 0)])))
      : "";
  return { ...node, inputs: [node.inputs[0], bound("min"), bound("max")], attributes: without(node, "min", "max") };
}

function pad(node: Node, from: number, draft: GraphDraft): Node {
  if (from >= 11) return node;
  const pads = intsAttribute(node, "pads") ?? [];
  const mode = stringAttribute(node, "mode", "constant");
  const value = new Float32Array([floatAttribute(node, "value", 0)]);
  const inputs = [node.inputs[0], draft.constant("pads", int64Tensor([pads.length], pads))];
  if (mode === "constant") inputs.push(draft.constant("pad_value", float32Tensor([], value)));
  return { ...node, inputs, attributes: without(node, "pads", "value") };
}

function slice(node: Node, from: number, draft: GraphDraft): Node {
  if (from >= 10) return node;
  const starts = intsAttribute(node, "starts") ?? [];
  const parts = [
    starts,
    intsAttribute(node, "ends") ?? [],
    intsAttribute(node, "axes") ?? starts.map((_, axis) => axis),
  ];
  const names = parts.map((values) => draft.constant("slice", int64Tensor([values.length], values)));
  return { ...node, inputs: [node.inputs[0], ...names], attributes: without(node, "starts", "ends", "axes") };
}

function split(node: Node, from: number, draft: GraphDraft): Node {
  const sizes = intsAttribute(node, "split");
  if (from >= 13 || sizes === undefined) return node;
  const name = draft.constant("split", int64Tensor([sizes.length], sizes));
  return { ...node, inputs: [node.inputs[0], name], attributes: without(node, "split") };
}

/** At inference Dropout passes its input through; the ratio became an input that then has no effect. */
function dropout(node: Node, from: number): Node | undefined {
  if (from >= 12) return node;
  // The mask changed its type from the input's to bool.
  if ((node.outputs[1] ?? "") !== "") return undefined;
  return { ...node, attributes: without(node, "ratio", "is_test") };
}

/** Before 13 the softmaxes flattened all axes from `axis` on; from 13 they work on that one axis. Equal for the last axis. */
function softmax(node: Node, from: number, _draft: GraphDraft, shapes: ShapeInference): Node | undefined {
  if (from >= 13) return node;
  const axis = intAttribute(node, "axis", 1);
  const type = typeIn(shapes.root, node.inputs[0]) ?? typeIn(shapes.root, node.outputs[0]);
  const rank = type?.kind === "tensor" ? type.shape?.length : undefined;
  if (axis !== -1 && (rank === undefined || axis !== rank - 1)) return undefined;
  return { ...node, attributes: new Map([...node.attributes, ["axis", int(-1)]]) };
}

const CONVERSIONS: Record<string, Conversion> = {
  Clip: clip,
  Dropout: dropout,
  Hardmax: softmax,
  LogSoftmax: softmax,
  Pad: pad,
  ReduceSum: axesToInput,
  Slice: slice,
  Softmax: softmax,
  Split: split,
  Squeeze: axesToInput,
  Unsqueeze: axesToInput,
  // 9 dropped `spatial`; only its default means the same.
  BatchNormalization: (node, from) => (from >= 9 || intAttribute(node, "spatial", 1) === 1 ? node : undefined),
  Resize: (node, from) => (from >= 11 ? node : undefined),
  TopK: (node, from) => (from >= 10 ? node : undefined),
  Scan: (node, from) => (from >= 9 ? node : undefined),
};

/** A subgraph's constants would have to be added inside it: convert only what needs none, else refuse. */
function subgraphsUnchanged(node: Node): boolean {
  return subgraphsOf(node).every(({ graph }) =>
    graph.nodes.every((inner) => (UNCHANGED.has(inner.opType) || inner.domain !== "") && subgraphsUnchanged(inner)),
  );
}

/** Between 20 and 21 operators gained types and optional attributes; only GroupNormalization changed its meaning. */
function raiseToFourBit(model: ModelGraph, stays: string): Raised {
  const draft = new GraphDraft(model);
  const changes = (node: Node): boolean =>
    node.opType === "GroupNormalization" || subgraphsOf(node).some(({ graph }) => graph.nodes.some(changes));
  const changed = draft.nodes.find(changes);
  if (changed !== undefined || model.functions.length > 0) {
    const what = changed === undefined ? "its own functions" : `'${changed.name || changed.opType}'`;
    return { kind: "refused", reason: `${stays}: ${what} would change its meaning` };
  }
  draft.requireOpset("", FOUR_BIT.to);
  draft.requireIr(FOUR_BIT.ir);
  return { kind: "model", model: draft.finish() };
}

/**
 * The model at operator set `target` or above, meaning the same.
 *
 * @returns refused when a node changed its meaning between the versions in a way that is not convertible from the file alone
 */
export async function raiseOpset(model: ModelGraph, target: number): Promise<Raised> {
  const from = model.opsets.get("") ?? model.opsets.get("ai.onnx") ?? 1;
  if (from >= target) return { kind: "model", model };
  const stays = `the model is at operator set ${from}, ${target} is needed`;
  if (from === FOUR_BIT.from && target === FOUR_BIT.to) return raiseToFourBit(model, stays);
  if (from < KNOWN.from || target > KNOWN.to)
    return { kind: "refused", reason: `${stays}: such a step is not supported` };
  if (model.functions.length > 0) return { kind: "refused", reason: `${stays}: its own functions cannot be converted` };
  const draft = new GraphDraft(model);
  // Loaded here: most models are new enough, and the rules of shape inference are many files.
  const { inferShapes } = await import("../../model/shapes/infer.ts");
  const shapes = await inferShapes(model);
  const converted: Node[] = [];
  for (const node of draft.nodes) {
    const isStandard = node.domain === "" || node.domain === "ai.onnx";
    const convert = CONVERSIONS[node.opType];
    const result = !isStandard || UNCHANGED.has(node.opType) ? node : convert?.(node, from, draft, shapes);
    if (result === undefined || !subgraphsUnchanged(node)) {
      return {
        kind: "refused",
        reason: `${stays}: '${node.name || node.opType}' (${node.opType}) would change its meaning`,
      };
    }
    converted.push(result);
  }
  draft.nodes = converted;
  // Always to 13: the conversions write the forms of that version.
  draft.requireOpset("", KNOWN.to);
  draft.requireIr(IR_FOR_OPSET_13);
  return { kind: "model", model: draft.finish() };
}
