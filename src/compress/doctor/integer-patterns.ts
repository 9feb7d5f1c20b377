// Integer operators whose types put them on a slow kernel; may depend on model, rewrite and its room.
import type { Node, TensorRef } from "../../model/graph.ts";
import { readTensor } from "../../model/tensor-data.ts";
import type { GraphDraft } from "../rewrite/draft.ts";
import { consumersIn, nodeTitle, producersIn } from "../rewrite/wiring.ts";
import { storedProducts, withInput, type Occurrence, type Pattern, type Subject } from "./pattern.ts";

/** Where integer operators take their weights and the weights' zero points; ConvInteger is the other way round, see there. */
const WEIGHT_INPUTS: Readonly<Record<string, { readonly weight: number; readonly zeroPoint: number }>> = {
  DynamicQuantizeMatMul: { weight: 1, zeroPoint: 3 },
  MatMulInteger: { weight: 1, zeroPoint: 3 },
  MatMulIntegerToFloat: { weight: 1, zeroPoint: 5 },
  QGemm: { weight: 3, zeroPoint: 5 },
  QLinearConv: { weight: 3, zeroPoint: 5 },
  QLinearMatMul: { weight: 3, zeroPoint: 5 },
};

const FLIP = 128;

/** A u8 constant as i8, every element 128 less; made when the model is written. */
function lowered(draft: GraphDraft, tensor: TensorRef): string {
  return draft.computed(tensor.name, { dtype: "int8", shape: tensor.shape }, async () =>
    Int8Array.from((await readTensor(tensor)).data as Uint8Array, (value) => value - FLIP),
  );
}

/** The zero point that goes with `lowered` weights: 128 less, an absent one being 0. */
async function loweredZeroPoint(draft: GraphDraft, weight: TensorRef, zeroPoint: TensorRef | undefined) {
  if (zeroPoint !== undefined) return lowered(draft, zeroPoint);
  return draft.constant(`${weight.name}_zero`, { dtype: "int8", shape: [], data: Int8Array.of(-FLIP) });
}

const isUnsigned = (tensor: TensorRef | undefined): tensor is TensorRef => tensor?.dtype === "uint8";

function unsignedOperators({ draft }: Subject): Occurrence[] {
  return draft.nodes.flatMap((node): Occurrence[] => {
    const at = WEIGHT_INPUTS[node.opType];
    if (at === undefined) return [];
    const weight = draft.initializer(node.inputs[at.weight]);
    if (!isUnsigned(weight)) return [];
    const name = node.inputs[at.zeroPoint] ?? "";
    const zeroPoint = draft.initializer(name);
    const place = nodeTitle(node);
    // A zero point that is computed cannot be lowered here.
    if (name !== "" && !isUnsigned(zeroPoint)) return [{ place }];
    const mend = async () => {
      const zero = await loweredZeroPoint(draft, weight, zeroPoint);
      const changed = withInput(withInput(node, at.weight, lowered(draft, weight)), at.zeroPoint, zero);
      draft.replaceAll([node], [changed]);
    };
    return [{ place, mend }];
  });
}

/** DequantizeLinear of u8 weights before an operator whose other operand is quantised too. */
async function unsignedPairs({ draft }: Subject): Promise<Occurrence[]> {
  const found: Occurrence[] = [];
  const seen = new Set<Node>();
  for (const { node, weights, activation } of storedProducts(draft, ["Conv", "Gemm", "MatMul"])) {
    const { dequantize, stored, zeroPoint } = weights;
    if (activation === undefined || !isUnsigned(stored) || seen.has(dequantize)) continue;
    seen.add(dequantize);
    const place = nodeTitle(node);
    const zeros = zeroPoint === undefined ? [0] : [...(await readTensor(zeroPoint)).data];
    // Only a symmetric grid stays one that the kernels for i8 weights take: they want zero as their zero point.
    if (!zeros.every((zero) => Number(zero) === FLIP)) {
      found.push({ place });
      continue;
    }
    found.push({
      place,
      async mend() {
        const zero = await loweredZeroPoint(draft, stored, zeroPoint);
        draft.replaceAll([dequantize], [withInput(withInput(dequantize, 0, lowered(draft, stored)), 2, zero)]);
      },
    });
  }
  return found;
}

const unsignedWeights: Pattern = {
  id: "unsigned-weights",
  severity: "slow",
  what: "8-bit weights stored as uint8, for which this processor's dot-product instructions have no kernel",
  cost: "2.5 to 4 times slower than int8 weights (MatMul 128×1024×4096 and Conv 64→64 3×3, AVX-512 VNNI)",
  repair: { kind: "exact", how: "weights and their zero points become int8, each 128 less: the same numbers" },
  async find(subject): Promise<Occurrence[]> {
    // Without such instructions u8 × u8 is the kernel that does not saturate: there it is the right choice.
    if (!subject.hasExactDotProducts) return [];
    return [...unsignedOperators(subject), ...(await unsignedPairs(subject))];
  },
};

/** An i8 constant as u8, every element 128 more; made when the model is written. */
function raised(draft: GraphDraft, tensor: TensorRef): string {
  return draft.computed(tensor.name, { dtype: "uint8", shape: tensor.shape }, async () =>
    Uint8Array.from((await readTensor(tensor)).data as Int8Array, (value) => value + FLIP),
  );
}

/** Its kernel multiplies weights by columns of the input, and has no fast product of i8 with u8. */
const signedConvolution: Pattern = {
  id: "signed-conv-weights",
  severity: "slow",
  what: "ConvInteger with int8 weights, which takes their product with uint8 input element by element",
  cost: "4 to 11 times slower than uint8 weights (Conv 3→16 to 256→256, 3×3 and 1×1, AVX-512 VNNI)",
  repair: { kind: "exact", how: "weights and their zero points become uint8, each 128 more: the same numbers" },
  find({ draft }): Occurrence[] {
    return draft.nodes.flatMap((node): Occurrence[] => {
      const weight = node.opType === "ConvInteger" ? draft.initializer(node.inputs[1]) : undefined;
      if (weight?.dtype !== "int8") return [];
      const name = node.inputs[3] ?? "";
      const zeroPoint = draft.initializer(name);
      const place = nodeTitle(node);
      if (name !== "" && zeroPoint?.dtype !== "int8") return [{ place }];
      const mend = (): void => {
        const zero =
          zeroPoint === undefined
            ? draft.constant(`${weight.name}_zero`, { dtype: "uint8", shape: [], data: Uint8Array.of(FLIP) })
            : raised(draft, zeroPoint);
        draft.replaceAll([node], [withInput(withInput(node, 1, raised(draft, weight)), 3, zero)]);
      };
      return [{ place, mend }];
    });
  },
};

const signedActivations: Pattern = {
  id: "signed-activations",
  severity: "slow",
  what: "MatMulInteger of int8 activations with int8 weights",
  cost: "30 to 50 times slower than uint8 activations (M = 128, K = 1024, N = 4096, AVX-512 VNNI)",
  repair: { kind: "exact", how: "activations and their zero points become uint8, each 128 more: the same numbers" },
  async find({ draft }): Promise<Occurrence[]> {
    const producers = producersIn(draft.nodes);
    const consumers = consumersIn(draft.nodes);
    const found: Occurrence[] = [];
    for (const node of draft.nodes) {
      if (node.opType !== "MatMulInteger" || draft.initializer(node.inputs[1])?.dtype !== "int8") continue;
      const quantize = producers.get(node.inputs[0]);
      if (quantize?.opType !== "QuantizeLinear") continue;
      const zero = draft.initializer(quantize.inputs[2]);
      if (zero?.dtype !== "int8") continue;
      const place = nodeTitle(node);
      const own = node.inputs[2] ?? "";
      const ownZero = draft.initializer(own);
      const users = consumers.get(node.inputs[0]) ?? [];
      // Others that read the integers, or a zero point that is not stored, would notice the shift.
      const isAlone = users.length === 1 && !draft.isOutput(node.inputs[0]);
      if (!isAlone || (own !== "" && ownZero?.dtype !== "int8")) {
        found.push({ place });
        continue;
      }
      found.push({
        place,
        mend() {
          const attributes = new Map([...quantize.attributes].filter(([name]) => name !== "output_dtype"));
          const unsigned = { ...withInput(quantize, 2, raised(draft, zero)), attributes };
          draft.replaceAll([quantize], [unsigned]);
          const none = { dtype: "uint8", shape: [], data: Uint8Array.of(FLIP) } as const;
          const ofNode =
            ownZero === undefined ? draft.constant(`${node.outputs[0]}_zero`, none) : raised(draft, ownZero);
          draft.replaceAll([node], [withInput(node, 2, ofNode)]);
        },
      });
    }
    return found;
  },
};

const wideActivations: Pattern = {
  id: "sixteen-bit-activations",
  severity: "slow",
  what: "activations quantised to 16 bits, for which the CPU has no integer kernels",
  cost: "every product runs in float32, with QuantizeLinear and DequantizeLinear besides",
  repair: { kind: "none", how: "quantise the original again, with 8-bit activations" },
  find({ draft }) {
    return draft.nodes
      .filter(({ opType }) => opType === "QuantizeLinear")
      .filter(({ inputs }) => ["uint16", "int16"].includes(draft.initializer(inputs[2])?.dtype ?? ""))
      .map((node) => ({ place: nodeTitle(node) }));
  },
};

export const INTEGER_PATTERNS: readonly Pattern[] = [
  unsignedWeights,
  signedConvolution,
  signedActivations,
  wideActivations,
];
