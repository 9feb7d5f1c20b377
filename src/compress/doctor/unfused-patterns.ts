// Quantised graphs that ONNX Runtime runs in float after all; may depend on model, rewrite and its room.
import { floatAttribute, int, intAttribute } from "../../model/attributes.ts";
import { node as operator } from "../../model/build.ts";
import type { Node, TensorRef } from "../../model/graph.ts";
import { readFloats, readTensor } from "../../model/tensor-data.ts";
import { elementCount, float32Tensor } from "../../model/tensor-value.ts";
import type { GraphDraft } from "../rewrite/draft.ts";
import { consumersIn, nodeTitle, producersIn } from "../rewrite/wiring.ts";
import {
  quantizedActivation,
  storedOperand,
  storedProducts,
  withInput,
  type Occurrence,
  type Pattern,
} from "./pattern.ts";

const FLOAT_PRODUCTS = new Set(["Gemm", "FusedGemm"]);

/** Names of what float products of the executed graph compute from dequantised operands. */
function floatProducts(nodes: readonly Node[]): Set<string> {
  const producers = producersIn(nodes);
  const isDequantized = (name: string) => producers.get(name)?.opType === "DequantizeLinear";
  return new Set(
    nodes
      .filter(({ opType, inputs }) => FLOAT_PRODUCTS.has(opType) && inputs.slice(0, 2).every(isDequantized))
      .map(({ outputs }) => outputs[0]),
  );
}

/** The negated bias as a constant: `x − (−b)` is `x + b` to the last bit, and is not fused into a float Gemm. */
async function negated(draft: GraphDraft, bias: TensorRef): Promise<string> {
  const values = (await readFloats(bias)).map((value) => -value);
  return draft.constant(`${bias.name}_negated`, float32Tensor(bias.shape, values));
}

const isPlainGemm = (node: Node): boolean =>
  floatAttribute(node, "alpha", 1) === 1 &&
  floatAttribute(node, "beta", 1) === 1 &&
  intAttribute(node, "transA", 0) === 0;

/** Weights `[N, K]` behind DequantizeLinear as `[K, N]` behind another; gives the name of the dequantised ones. */
function transposedWeights(draft: GraphDraft, dequantize: Node, stored: TensorRef): { name: string; node: Node } {
  const [rows, columns] = stored.shape;
  const turned = draft.computed(stored.name, { dtype: stored.dtype, shape: [columns, rows] }, async () => {
    const { data } = await readTensor(stored);
    const result = data.slice();
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) result[column * rows + row] = data[row * columns + column];
    }
    return result;
  });
  const name = draft.fresh(`${dequantize.outputs[0]}_t`);
  const attributes = new Map(dequantize.attributes);
  const axis = intAttribute(dequantize, "axis", 1);
  attributes.set("axis", int(axis === 0 || axis === -2 ? 1 : 0));
  return { name, node: { ...withInput(dequantize, 0, turned), name, outputs: [name], attributes } };
}

function gemmWithoutFloatBias(
  draft: GraphDraft,
  producers: ReadonlyMap<string, Node>,
  gemm: Node,
  bias: TensorRef,
): Occurrence {
  const place = nodeTitle(gemm);
  const isTransposed = intAttribute(gemm, "transB", 0) !== 0;
  const operand = storedOperand(draft, producers, gemm, 1);
  const isByte = operand?.stored.dtype === "int8" || operand?.stored.dtype === "uint8";
  const isBlocked = operand !== undefined && intAttribute(operand.dequantize, "block_size", 0) !== 0;
  if (!isPlainGemm(gemm) || (isTransposed && (!isByte || isBlocked))) return { place };
  return {
    place,
    async mend() {
      const product = draft.fresh(`${gemm.outputs[0]}_product`);
      const turned = isTransposed ? transposedWeights(draft, operand!.dequantize, operand!.stored) : undefined;
      draft.replaceAll(
        [gemm],
        [
          ...(turned === undefined ? [] : [turned.node]),
          operator("MatMul", [gemm.inputs[0], turned?.name ?? gemm.inputs[1]], [product]),
          operator("Sub", [product, await negated(draft, bias)], [gemm.outputs[0]]),
        ],
      );
      const isUnread = !draft.nodes.some(({ inputs }) => inputs.includes(operand?.dequantize.outputs[0] ?? ""));
      if (turned !== undefined && isUnread) draft.nodes = draft.nodes.filter((node) => node !== operand!.dequantize);
    },
  };
}

const floatBias: Pattern = {
  id: "float-bias",
  severity: "slow",
  what: "a quantised product with a float bias, which ONNX Runtime fuses into a float32 Gemm",
  cost: "the product runs in float32 and its weights are expanded at each run, instead of 3 times faster in int8",
  repair: { kind: "exact", how: "the bias is subtracted negated, which is the same sum and is not fused" },
  find({ draft, executed }): Occurrence[] {
    const slow = floatProducts(executed.graph.nodes);
    const producers = producersIn(draft.nodes);
    const consumers = consumersIn(draft.nodes);
    return draft.nodes.flatMap((node): Occurrence[] => {
      // With an activation behind it the fused product has that one's output.
      const next = consumers.get(node.outputs[0])?.[0]?.outputs[0];
      if (!slow.has(node.outputs[0]) && (next === undefined || !slow.has(next))) return [];
      if (node.opType === "Gemm") {
        const bias = draft.initializer(node.inputs[2]);
        return bias?.dtype === "float32" ? [gemmWithoutFloatBias(draft, producers, node, bias)] : [];
      }
      if (node.opType !== "Add") return [];
      const at = node.inputs.findIndex((name) => draft.initializer(name) !== undefined);
      const bias = draft.initializer(node.inputs[at]);
      const product = node.inputs[1 - at];
      if (bias?.dtype !== "float32" || producers.get(product)?.opType !== "MatMul") return [];
      const mend = async () => {
        draft.replaceAll([node], [operator("Sub", [product, await negated(draft, bias)], node.outputs)]);
      };
      return [{ place: nodeTitle(node), mend }];
    });
  },
};

/** The bias as int32 on the grid `s_x·s_w[c]`, when each value is exactly one of its points. */
function exactIntegers(bias: Float32Array, inputScale: number, weightScales: Float32Array): Int32Array | undefined {
  const integers = new Int32Array(bias.length);
  for (let channel = 0; channel < bias.length; channel++) {
    const scale = Math.fround(inputScale * weightScales[weightScales.length === 1 ? 0 : channel]);
    const integer = Math.round(bias[channel] / scale);
    if (!(Math.abs(integer) < 2 ** 31) || Math.fround(integer * scale) !== bias[channel]) return undefined;
    integers[channel] = integer;
  }
  return integers;
}

const floatConvBias: Pattern = {
  id: "float-bias-conv",
  severity: "slow",
  what: "a quantised Conv with a float bias: integer convolutions take int32 ones only",
  cost: "the convolution runs in float32, 1.3 to 2.6 times slower than the unquantised model",
  repair: { kind: "exact", how: "the bias becomes int32 where each value lies on the grid of the product's scales" },
  async find({ draft }): Promise<Occurrence[]> {
    const found: Occurrence[] = [];
    for (const { node, weights, activation } of storedProducts(draft, ["Conv"])) {
      const bias = draft.initializer(node.inputs[2]);
      if (activation === undefined || bias?.dtype !== "float32") continue;
      const inputScale = draft.initializer(activation.inputs[1]);
      const weightScale = draft.initializer(weights.dequantize.inputs[1]);
      const place = nodeTitle(node);
      if (inputScale === undefined || weightScale === undefined || elementCount(inputScale.shape) !== 1) {
        found.push({ place });
        continue;
      }
      const weightScales = await readFloats(weightScale);
      const [scale] = await readFloats(inputScale);
      const integers = exactIntegers(await readFloats(bias), scale, weightScales);
      if (integers === undefined) {
        found.push({ place });
        continue;
      }
      found.push({
        place,
        mend() {
          const scales = weightScales.map((one) => one * scale);
          const stored = draft.constant(`${bias.name}_q`, { dtype: "int32", shape: bias.shape, data: integers });
          const grid = draft.constant(`${bias.name}_s`, float32Tensor(weightScale.shape, scales));
          const restored = draft.fresh(`${bias.name}_d`);
          draft.replaceAll(
            [node],
            [operator("DequantizeLinear", [stored, grid], [restored], { axis: int(0) }), withInput(node, 2, restored)],
          );
        },
      });
    }
    return found;
  },
};

const reluBeforeSymmetric: Pattern = {
  id: "symmetric-relu",
  severity: "slow",
  what: "a Relu before a QuantizeLinear whose zero point is not the lowest integer: integer kernels cannot absorb it",
  cost: "the operator before it runs in float32, 1.3 to 2.6 times slower than the unquantised model",
  repair: { kind: "none", how: "quantise the original again with asymmetric activations (zero point 0 of uint8)" },
  async find({ draft }): Promise<Occurrence[]> {
    const producers = producersIn(draft.nodes);
    const found: Occurrence[] = [];
    for (const node of draft.nodes) {
      const relu = node.opType === "QuantizeLinear" ? producers.get(node.inputs[0]) : undefined;
      const product = relu?.opType === "Relu" ? producers.get(relu.inputs[0]) : undefined;
      if (relu === undefined || product === undefined) continue;
      if (quantizedActivation(draft, producers, product) === undefined) continue;
      const zero = draft.initializer(node.inputs[2]);
      const value = zero === undefined ? 0 : Number((await readTensor(zero)).data[0]);
      const lowest = zero?.dtype === "int8" ? -128 : 0;
      if (value !== lowest) found.push({ place: nodeTitle(relu) });
    }
    return found;
  },
};

const FLOAT_OPERATORS = new Set([
  "Conv",
  "FusedConv",
  "MatMul",
  "FusedMatMul",
  "FusedMatMulActivation",
  ...FLOAT_PRODUCTS,
]);

const leftInFloat: Pattern = {
  id: "left-in-float",
  severity: "slow",
  what: "a product of quantised inputs and weights that ONNX Runtime makes no integer kernel of, for another reason than those named here",
  cost: "it runs in float32, with QuantizeLinear and DequantizeLinear besides",
  repair: {
    kind: "none",
    how: "quantise the original again, with its normalizations folded and the product's output quantised too, or to integer operators (QLinearConv, QGemm)",
  },
  async find(subject): Promise<Occurrence[]> {
    const { draft, executed } = subject;
    const inFloat = new Set(
      executed.graph.nodes.filter(({ opType }) => FLOAT_OPERATORS.has(opType)).flatMap(({ outputs }) => outputs),
    );
    const explained = new Set<string>();
    for (const pattern of [floatBias, floatConvBias, reluBeforeSymmetric]) {
      for (const { place } of await pattern.find(subject)) explained.add(place);
    }
    const consumers = consumersIn(draft.nodes);
    return storedProducts(draft, ["Conv", "Gemm", "MatMul"]).flatMap(({ node, activation }) => {
      const next = consumers.get(node.outputs[0]) ?? [];
      // With an activation or a bias behind it the fused product has that one's output.
      const runsInFloat = [node, ...next].some(({ outputs }) => inFloat.has(outputs[0]));
      const isExplained = [node, ...next].some((each) => explained.has(nodeTitle(each)));
      return activation === undefined || !runsInFloat || isExplained ? [] : [{ place: nodeTitle(node) }];
    });
  },
};

const dequantizedConv: Pattern = {
  id: "weight-only-conv",
  severity: "slow",
  what: "a Conv whose weights are quantised and whose input is not: the weights are expanded at each run",
  cost: "1.2 to 3 times slower than float32 weights",
  repair: { kind: "none", how: "quantise the activations too (static int8), or store float32 weights" },
  find({ draft }) {
    return storedProducts(draft, ["Conv"])
      .filter(({ activation }) => activation === undefined)
      .map(({ node }) => ({ place: nodeTitle(node) }));
  },
};

const dequantizedTable: Pattern = {
  id: "dequantized-table",
  severity: "slow",
  what: "a Gather from a table that DequantizeLinear expands as a whole at each run",
  cost: "the whole table is written as float32 for the few rows that are read",
  repair: {
    kind: "exact",
    how: "rows are gathered first and dequantised then; needs 8-bit integers with a scale per table or column",
  },
  find({ draft }): Occurrence[] {
    const producers = producersIn(draft.nodes);
    const consumers = consumersIn(draft.nodes);
    return draft.nodes.flatMap((node): Occurrence[] => {
      const operand = node.opType === "Gather" ? storedOperand(draft, producers, node, 0) : undefined;
      if (operand === undefined) return [];
      const { dequantize, stored } = operand;
      const place = nodeTitle(node);
      const scale = draft.initializer(dequantize.inputs[1]);
      const axis = intAttribute(dequantize, "axis", 1);
      const byColumn = stored.shape.length === 2 && (axis === 1 || axis === -1);
      const isSimple =
        scale !== undefined &&
        (elementCount(scale.shape) === 1 || byColumn) &&
        intAttribute(dequantize, "block_size", 0) === 0 &&
        intAttribute(node, "axis", 0) === 0 &&
        (stored.dtype === "int8" || stored.dtype === "uint8");
      // A table that others read whole stays expanded for them: nothing is won.
      if (!isSimple || consumers.get(dequantize.outputs[0])?.length !== 1) return [{ place }];
      return [
        {
          place,
          mend() {
            const rows = draft.fresh(`${node.outputs[0]}_q`);
            const after = { ...withInput(dequantize, 0, rows), outputs: node.outputs };
            const attributes = new Map(after.attributes).set("axis", int(-1));
            draft.replaceAll(
              [node],
              [
                { ...withInput(node, 0, stored.name), outputs: [rows] },
                { ...after, attributes },
              ],
            );
            draft.nodes = draft.nodes.filter((one) => one !== dequantize);
          },
        },
      ];
    });
  },
};

const depthwisePerTensor: Pattern = {
  id: "per-tensor-depthwise",
  severity: "inaccurate",
  what: "a depthwise Conv whose channels share one weight scale",
  cost: "channels differ widely in range there: accuracy has been seen to fall from 99 % to below 1 %",
  repair: {
    kind: "none",
    how: "quantise the original again with a scale per channel, or keep these layers in float32",
  },
  find({ draft }) {
    return storedProducts(draft, ["Conv"])
      .filter(({ node, weights: { dequantize, stored } }) => {
        const scale = draft.initializer(dequantize.inputs[1]);
        const isDepthwise = intAttribute(node, "group", 1) > 1 && stored.shape[1] === 1;
        return isDepthwise && scale !== undefined && elementCount(scale.shape) === 1;
      })
      .map(({ node }) => ({ place: nodeTitle(node) }));
  },
};

const halfFloats: Pattern = {
  id: "half-float-casts",
  severity: "note",
  what: "float16 products, which run in float32 between casts on this processor",
  cost: "half the file, not half the memory, and no faster",
  repair: { kind: "none", how: "keep it as a form of storage, or take int8 or 4-bit weights for speed" },
  find({ executed }) {
    return executed.graph.nodes
      .filter(({ opType, name }) => opType === "Cast" && name.startsWith("InsertedPrecisionFreeCast"))
      .map((node) => ({ place: nodeTitle(node) }));
  },
};

export const UNFUSED_PATTERNS: readonly Pattern[] = [
  floatBias,
  floatConvBias,
  reluBeforeSymmetric,
  leftInFloat,
  dequantizedConv,
  dequantizedTable,
  depthwisePerTensor,
  halfFloats,
];
