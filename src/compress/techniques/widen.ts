// A model of 16-bit floats as one that computes in float32, so that what is made for float32 weights can go on from it; may depend on io, model and rewrite.
import { decodeBfloat16, decodeFloat16 } from "../../io/half.ts";
import { int } from "../../model/attributes.ts";
import { node as operator } from "../../model/build.ts";
import type { DType } from "../../model/dtype.ts";
import type { Attribute, ModelGraph, Node, TensorRef, ValueInfo } from "../../model/graph.ts";
import { inferShapes } from "../../model/shapes/infer.ts";
import { computedTensor, readTensor } from "../../model/tensor-data.ts";
import { tensorsOf } from "../../model/tensors.ts";
import { GraphDraft } from "../rewrite/draft.ts";
import { subgraphsWithin } from "../rewrite/inner-graphs.ts";
import { removeDeadNodes, removeNoOps } from "../rewrite/no-ops.ts";
import { made, refused, type TechniqueResult } from "./technique.ts";

const HALVES = ["float16", "bfloat16"] as const;
type Half = (typeof HALVES)[number];

/** The types' numbers in attributes. */
const NUMBERS: Readonly<Record<Half | "float32", number>> = { float32: 1, float16: 10, bfloat16: 16 };
/** Attributes that name the type of what an operator makes. */
const TYPE_ATTRIBUTES: ReadonlySet<string> = new Set(["to", "dtype", "output_dtype", "output_datatype"]);

const isHalf = (dtype: DType): dtype is Half => HALVES.some((half) => half === dtype);
const halfOf = ({ type }: ValueInfo): Half | undefined =>
  type?.kind === "tensor" && isHalf(type.dtype) ? type.dtype : undefined;

/** Whether a model holds weights of 16-bit floats. */
export function holdsHalves(model: ModelGraph): boolean {
  for (const { dtype } of tensorsOf(model)) if (isHalf(dtype)) return true;
  return false;
}

function widened(tensor: TensorRef): TensorRef {
  if (!isHalf(tensor.dtype)) return tensor;
  const decode = tensor.dtype === "float16" ? decodeFloat16 : decodeBfloat16;
  return computedTensor(tensor.name, { dtype: "float32", shape: tensor.shape }, async () =>
    decode((await readTensor(tensor)).data as Uint16Array),
  );
}

function widenedAttribute(name: string, attribute: Attribute): Attribute {
  if (attribute.type === "tensor") return { type: "tensor", value: widened(attribute.value) };
  const isType = attribute.type === "int" && TYPE_ATTRIBUTES.has(name);
  const namesHalf = isType && HALVES.some((half) => NUMBERS[half] === Number(attribute.value));
  return namesHalf ? int(NUMBERS.float32) : attribute;
}

const widenedNode = (node: Node): Node => ({
  ...node,
  attributes: new Map([...node.attributes].map(([name, attribute]) => [name, widenedAttribute(name, attribute)])),
});

const cast = (from: string, to: string, type: keyof typeof NUMBERS): Node =>
  operator("Cast", [from], [to], { to: int(NUMBERS[type]) });

/**
 * Weights, constants and arithmetic in float16 or bfloat16 become float32: the same numbers, rounded less on the way. Inputs and outputs
 * keep their types, with a Cast behind each input and before each output. The file is twice as large: this is where other techniques begin.
 *
 * @returns refused for a model without 16-bit floats, or with subgraphs or functions, whose types are not followed here
 * @throws as `inferShapes`
 */
export async function widen(model: ModelGraph): Promise<TechniqueResult> {
  if (!holdsHalves(model)) return refused("no weights of 16-bit floats");
  if (subgraphsWithin(model.graph.nodes).length > 0 || model.functions.length > 0) {
    return refused("16-bit floats in a model with subgraphs or functions: their types are not followed");
  }
  if (model.graph.sparseInitializers.size > 0) return refused("16-bit floats in a model with sparse tensors");
  const draft = new GraphDraft(model);
  const given = new Set([...draft.inputs.map(({ name }) => name), ...draft.constants.keys()]);
  if (draft.outputs.some(({ name }) => given.has(name))) return refused("an input or a constant is an output as it is");
  for (const tensor of draft.constants.values()) draft.setInitializer(widened(tensor));
  draft.nodes = draft.nodes.map(widenedNode);

  const inner = new Map<string, string>();
  const [behindInputs, beforeOutputs]: [Node[], Node[]] = [[], []];
  for (const input of draft.inputs) {
    if (halfOf(input) === undefined || draft.initializer(input.name) !== undefined) continue;
    const name = draft.fresh(`${input.name}_float32`);
    inner.set(input.name, name);
    behindInputs.push(cast(input.name, name, "float32"));
  }
  for (const output of draft.outputs) {
    const half = halfOf(output);
    if (half === undefined) continue;
    const name = draft.fresh(`${output.name}_float32`);
    inner.set(output.name, name);
    beforeOutputs.push(cast(name, output.name, half));
  }
  draft.rename((name) => inner.get(name) ?? name);
  draft.nodes = [...behindInputs, ...draft.nodes, ...beforeOutputs];

  const wide = draft.finish();
  const tidy = new GraphDraft(wide);
  removeNoOps(tidy, await inferShapes(wide));
  removeDeadNodes(tidy);
  return made(tidy.finish());
}
