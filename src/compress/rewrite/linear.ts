// Finds the operators that carry weights (MatMul, Gemm, Conv) and gives their weights in one form; may depend on errors, model and draft.
import { LightfootError } from "../../errors/index.ts";
import { floatAttribute, intAttribute } from "../../model/attributes.ts";
import { node as operator } from "../../model/build.ts";
import type { Node, TensorRef } from "../../model/graph.ts";
import { readFloats } from "../../model/tensor-data.ts";
import { elementCount } from "../../model/tensor-value.ts";
import type { GraphDraft } from "./draft.ts";

/** A matrix product with constant weights, whatever it was written as: `output = input · weight (+ bias)`. */
export interface DenseLayer {
  readonly kind: "dense";
  /** The nodes that it consists of: `MatMul`, `Gemm`, or `MatMul` and the `Add` of its bias. */
  readonly nodes: readonly Node[];
  readonly input: string;
  readonly output: string;
  readonly weight: TensorRef;
  readonly bias: TensorRef | undefined;
  readonly k: number;
  readonly n: number;
  /** How `Gemm` wrote it; a MatMul has false, 1, 1. */
  readonly transposedInput: boolean;
  readonly transposedWeight: boolean;
  readonly alpha: number;
  readonly beta: number;
  /** True when the product surely has two dimensions: it was a Gemm. */
  readonly isGemm: boolean;
}

export interface ConvLayer {
  readonly kind: "conv";
  readonly nodes: readonly [Node];
  readonly input: string;
  readonly output: string;
  /** `[M, C/group, …]` */
  readonly weight: TensorRef;
  readonly bias: TensorRef | undefined;
}

export type LinearLayer = DenseLayer | ConvLayer;

/** What a layer is called in reasons: the node's name, or its operator and output. */
export const layerName = (layer: LinearLayer): string =>
  layer.nodes[0].name || `${layer.nodes[0].opType} → ${layer.output}`;

/** A constant that adds one number to each of `n` columns: shapes [n], [1,n], [1,1,n], … */
function isColumnBias(bias: TensorRef, n: number): boolean {
  return elementCount(bias.shape) === n && (bias.shape.at(-1) === n || n === 1);
}

function denseFromGemm(draft: GraphDraft, node: Node): DenseLayer | undefined {
  const weight = draft.initializer(node.inputs[1]);
  if (weight === undefined || weight.dtype !== "float32" || weight.shape.length !== 2) return undefined;
  const transposedWeight = intAttribute(node, "transB", 0) !== 0;
  const [rows, columns] = weight.shape as [number, number];
  const [k, n] = transposedWeight ? [columns, rows] : [rows, columns];
  const biasName = node.inputs[2] === "" ? undefined : node.inputs[2];
  const bias = draft.initializer(biasName);
  // A third operand that is computed, or is not one number per column, is no bias that a kernel could take.
  if (biasName !== undefined && (bias === undefined || !isColumnBias(bias, n))) return undefined;
  return {
    kind: "dense",
    nodes: [node],
    input: node.inputs[0],
    output: node.outputs[0],
    weight,
    bias,
    k,
    n,
    transposedInput: intAttribute(node, "transA", 0) !== 0,
    transposedWeight,
    alpha: floatAttribute(node, "alpha", 1),
    beta: floatAttribute(node, "beta", 1),
    isGemm: true,
  };
}

function denseFromMatMul(draft: GraphDraft, node: Node, uses: ReadonlyMap<string, number>): DenseLayer | undefined {
  const weight = draft.initializer(node.inputs[1]);
  if (weight === undefined || weight.dtype !== "float32" || weight.shape.length !== 2) return undefined;
  const [k, n] = weight.shape as [number, number];
  const product = node.outputs[0];
  const next = uses.get(product) === 1 ? draft.consumersOf(product)[0] : undefined;
  const other = next?.opType === "Add" ? next.inputs.find((input) => input !== product) : undefined;
  const bias = draft.initializer(other);
  const fused = next !== undefined && bias !== undefined && bias.dtype === "float32" && isColumnBias(bias, n);
  // A bias of higher rank than the product would raise the rank of the result.
  const usable = fused && bias.shape.length <= 2;
  return {
    kind: "dense",
    nodes: usable ? [node, next] : [node],
    input: node.inputs[0],
    output: usable ? next.outputs[0] : product,
    weight,
    bias: usable ? bias : undefined,
    k,
    n,
    transposedInput: false,
    transposedWeight: false,
    alpha: 1,
    beta: 1,
    isGemm: false,
  };
}

function conv(draft: GraphDraft, node: Node): ConvLayer | undefined {
  const weight = draft.initializer(node.inputs[1]);
  if (weight === undefined || weight.dtype !== "float32" || weight.shape.length < 3) return undefined;
  const biasName = node.inputs[2] === "" ? undefined : node.inputs[2];
  const bias = draft.initializer(biasName);
  if (biasName !== undefined && bias === undefined) return undefined;
  return { kind: "conv", nodes: [node], input: node.inputs[0], output: node.outputs[0], weight, bias };
}

/** Every layer of the main graph whose weights are constant float32 numbers, in execution order. */
export function findLinearLayers(draft: GraphDraft): LinearLayer[] {
  const uses = draft.useCounts();
  return draft.nodes.flatMap((node): LinearLayer[] => {
    if (node.domain !== "" && node.domain !== "ai.onnx") return [];
    const layer =
      node.opType === "Gemm"
        ? denseFromGemm(draft, node)
        : node.opType === "MatMul"
          ? denseFromMatMul(draft, node, uses)
          : node.opType === "Conv"
            ? conv(draft, node)
            : undefined;
    return layer === undefined ? [] : [layer];
  });
}

/** The option that every layer-wise technique takes. */
export interface LayerChoice {
  /** Outputs of the layers to change (`LinearLayer.output`); absent: all. */
  readonly layers?: readonly string[];
}

/**
 * The layers that `options.layers` names, in execution order; all when it names none.
 *
 * @throws LightfootError E_USAGE for a name that is no layer's output: a recipe of another model, or of a layer that an earlier
 *   step has already rewritten
 */
export function chosenLayers<L extends LinearLayer>(
  layers: readonly L[],
  { layers: names }: LayerChoice,
): readonly L[] {
  if (names === undefined) return layers;
  const unknown = names.find((name) => !layers.some(({ output }) => output === name));
  if (unknown !== undefined) {
    throw new LightfootError(
      "E_USAGE",
      `option layers names '${unknown}', which is no output of a layer with float32 weights`,
      {
        hint: `Layers here are ${layers.map(({ output }) => output).join(", ") || "none"}.`,
      },
    );
  }
  return layers.filter(({ output }) => names.includes(output));
}

export const isDense = (layer: LinearLayer): layer is DenseLayer => layer.kind === "dense";

/** What of a dense layer its weights are read with. */
export type StoredMatrix = Pick<DenseLayer, "weight" | "transposedWeight" | "alpha" | "k" | "n">;

/** Weights `[K, N]` row-major with alpha folded in: `result[k·n + column]`. */
export async function denseWeight(layer: StoredMatrix): Promise<Float32Array> {
  const stored = await readFloats(layer.weight);
  if (!layer.transposedWeight && layer.alpha === 1) return stored;
  const { k, n, alpha } = layer;
  const result = new Float32Array(k * n);
  for (let row = 0; row < k; row++) {
    for (let column = 0; column < n; column++) {
      const value = layer.transposedWeight ? stored[column * k + row] : stored[row * n + column];
      result[row * n + column] = value * alpha;
    }
  }
  return result;
}

/** Bias `[N]` with beta folded in; undefined when the layer has none. */
export async function denseBias(layer: DenseLayer): Promise<Float32Array | undefined> {
  if (layer.bias === undefined || layer.beta === 0) return undefined;
  const stored = await readFloats(layer.bias);
  return layer.beta === 1 ? stored : stored.map((value) => value * layer.beta);
}

/** The layer's input with K as its last axis, and the node that turns it round where `Gemm` took it transposed. */
export function uprightInput(draft: GraphDraft, layer: DenseLayer): { input: string; nodes: Node[] } {
  if (!layer.transposedInput) return { input: layer.input, nodes: [] };
  const input = draft.fresh(`${layer.input}_t`);
  return { input, nodes: [operator("Transpose", [layer.input], [input])] };
}
