// Brings nodes of older operator sets to the form of operator set 21, so that each gradient rule is written once; may depend on model.
import { LightfootError } from "../../errors/lightfoot-error.ts";
import * as attribute from "../../model/attributes.ts";
import { floatAttribute, intAttribute, intsAttribute } from "../../model/attributes.ts";
import type { Attribute, Graph, Node } from "../../model/graph.ts";
import { Emitter, TRAINING_OPSET } from "./emitter.ts";

/** Operators whose meaning changed in this operator set in a way that is not rewritten here. */
const UNCONVERTED: Readonly<Record<string, number>> = {
  Upsample: 10,
  Resize: 11,
  Scatter: 11,
  TopK: 10,
  Scan: 9,
  Hardmax: 13,
  GroupNormalization: 21,
  DFT: 20,
};

const REDUCTIONS_WITH_AXES_ATTRIBUTE_UNTIL_18 = new Set([
  "ReduceMean",
  "ReduceMax",
  "ReduceMin",
  "ReduceProd",
  "ReduceL1",
  "ReduceL2",
  "ReduceLogSum",
  "ReduceLogSumExp",
  "ReduceSumSquare",
]);

type Conversion = (node: Node, emit: Emitter) => void;

/** The node again, some attributes gone and some inputs added. */
function rewrite(node: Node, emit: Emitter, dropped: readonly string[], inputs: readonly string[]): void {
  const attributes = new Map([...node.attributes].filter(([name]) => !dropped.includes(name)));
  emit.nodes.push({ ...node, inputs, attributes });
}

/** `axes` as attribute became an input. */
const axesToInput: Conversion = (node, emit) => {
  const axes = intsAttribute(node, "axes");
  rewrite(node, emit, ["axes"], axes === undefined ? node.inputs : [node.inputs[0], emit.ints(axes)]);
};

const splitToInput: Conversion = (node, emit) => {
  const sizes = intsAttribute(node, "split");
  if (sizes !== undefined) rewrite(node, emit, ["split"], [node.inputs[0], emit.ints(sizes)]);
  else countSplit(node, emit);
};

/** Equal parts: the number of parts, once read off the outputs, has to be said. */
const countSplit: Conversion = (node, emit) => {
  const attributes = new Map(node.attributes);
  if (node.inputs.length === 1) attributes.set("num_outputs", attribute.int(node.outputs.length));
  emit.nodes.push({ ...node, attributes });
};

/** Before 13, softmax flattened its input to two dimensions at `axis` and normalized the second. */
const flattenedSoftmax: Conversion = (node, emit) => {
  const [x] = node.inputs as [string];
  const matrix = emit.op("Flatten", [x], { axis: attribute.int(intAttribute(node, "axis", 1)) });
  const normalized = emit.op(node.opType, [matrix], { axis: attribute.int(-1) });
  emit.node("Reshape", [normalized, emit.op("Shape", [x])], node.outputs);
};

const clipToInputs: Conversion = (node, emit) => {
  const bound = (name: string): string => (node.attributes.has(name) ? emit.scalar(floatAttribute(node, name, 0)) : "");
  rewrite(node, emit, ["min", "max"], [node.inputs[0], bound("min"), bound("max")]);
};

const sliceToInputs: Conversion = (node, emit) => {
  const starts = intsAttribute(node, "starts") ?? [];
  const ends = intsAttribute(node, "ends") ?? [];
  const axes = intsAttribute(node, "axes") ?? starts.map((_, axis) => axis);
  const inputs = [node.inputs[0], emit.ints(starts), emit.ints(ends), emit.ints(axes)];
  rewrite(node, emit, ["starts", "ends", "axes"], inputs);
};

const padToInputs: Conversion = (node, emit) => {
  const pads = emit.ints(intsAttribute(node, "pads") ?? []);
  rewrite(node, emit, ["pads", "value"], [node.inputs[0], pads, emit.scalar(floatAttribute(node, "value", 0))]);
};

const dropoutToInputs: Conversion = (node, emit) => {
  const ratio = emit.scalar(floatAttribute(node, "ratio", 0.5));
  rewrite(node, emit, ["ratio", "seed"], [node.inputs[0], ratio]);
};

/** Inference form; the optional outputs of the old training form are not carried over. */
const batchNormalization: Conversion = (node, emit) => {
  if (intAttribute(node, "spatial", 1) === 0) {
    throw new LightfootError(
      "E_OPERATOR",
      `BatchNormalization '${node.name}' has spatial=0, which left ONNX with operator set 9`,
      {
        hint: "Export the model with operator set 13 or later.",
        where: { path: node.name },
      },
    );
  }
  const attributes = new Map([...node.attributes].filter(([name]) => name !== "spatial" && name !== "is_test"));
  emit.nodes.push({ ...node, outputs: node.outputs.slice(0, 1), attributes });
};

function conversionOf(opType: string, opset: number): Conversion | undefined {
  if (opset < 18 && REDUCTIONS_WITH_AXES_ATTRIBUTE_UNTIL_18.has(opType)) return axesToInput;
  if (opset < 18 && opType === "Split") return opset < 13 ? splitToInput : countSplit;
  if (opset < 14 && opType === "BatchNormalization") return batchNormalization;
  if (opset < 13 && ["Squeeze", "Unsqueeze", "ReduceSum"].includes(opType)) return axesToInput;
  if (opset < 13 && ["Softmax", "LogSoftmax"].includes(opType)) return flattenedSoftmax;
  if (opset < 12 && opType === "Dropout") return dropoutToInputs;
  if (opset < 11 && opType === "Clip") return clipToInputs;
  if (opset < 11 && opType === "Pad") return padToInputs;
  if (opset < 10 && opType === "Slice") return sliceToInputs;
  return undefined;
}

/**
 * The nodes in the form of operator set 21 or, where the model is newer, in its own.
 *
 * New constants land in `emit.initializers`; subgraphs of `If` and `Loop` are converted too.
 * @throws LightfootError E_OPERATOR for an operator whose old form is not rewritten
 */
export function toCanonicalForm(nodes: readonly Node[], opset: number, emit: Emitter): Node[] {
  if (opset >= TRAINING_OPSET) return [...nodes];
  for (const node of nodes) {
    const changed = UNCONVERTED[node.opType];
    if (node.domain !== "" && node.domain !== "ai.onnx") {
      emit.nodes.push(node);
    } else if (changed !== undefined && opset < changed) {
      const message = `${node.opType} '${node.name}' is written in operator set ${opset}; its meaning changed in ${changed} and Lightfoot does not convert it`;
      throw new LightfootError("E_OPERATOR", message, {
        hint: `Export the model with operator set ${changed} or later.`,
        where: { path: node.name },
      });
    } else {
      const inner = withCanonicalSubgraphs(node, opset, emit);
      const convert = conversionOf(node.opType, opset);
      if (convert === undefined) emit.nodes.push(inner);
      else convert(inner, emit);
    }
  }
  return emit.nodes;
}

function withCanonicalSubgraphs(node: Node, opset: number, emit: Emitter): Node {
  if (![...node.attributes.values()].some((value) => value.type === "graph")) return node;
  const convert = (graph: Graph): Graph => {
    const inner = new Emitter(emit.fresh("subgraph"), emit.floatType);
    const nodes = toCanonicalForm(graph.nodes, opset, inner);
    return { ...graph, nodes, initializers: new Map([...graph.initializers, ...inner.initializers]) };
  };
  const entries = [...node.attributes].map(([name, value]): [string, Attribute] =>
    value.type === "graph" ? [name, { ...value, value: convert(value.value) }] : [name, value],
  );
  return { ...node, attributes: new Map(entries) };
}
