// What makes MatMulNBits slow: levels, float zero points, an order of groups; may depend on model, rewrite, quantize and its room.
import { int, intAttribute, subgraphsOf } from "../../model/attributes.ts";
import { node as operator } from "../../model/build.ts";
import type { Attribute, Graph, Node, TensorRef } from "../../model/graph.ts";
import { readFloats, readTensor } from "../../model/tensor-data.ts";
import { float32Tensor, int64Tensor } from "../../model/tensor-value.ts";
import { packRows, unpackRows } from "../quantize/blockwise.ts";
import type { GraphDraft } from "../rewrite/draft.ts";
import { nodeTitle } from "../rewrite/wiring.ts";
import { withInput, type Occurrence, type Pattern } from "./pattern.ts";

const INTEGER_LEVEL = 4;
/** Positions of MatMulNBits' inputs. */
const [WEIGHT, SCALES, ZERO_POINTS, GROUPS] = [1, 2, 3, 4];

const isBlocked = (node: Node): boolean => node.opType === "MatMulNBits" && node.domain === "com.microsoft";
const isSlowLevel = (node: Node): boolean =>
  isBlocked(node) && intAttribute(node, "accuracy_level", 0) !== INTEGER_LEVEL;

interface Sizes {
  readonly k: number;
  readonly n: number;
  readonly bits: 2 | 4 | 8;
  readonly blockSize: number;
  readonly blocks: number;
}

function sizesOf(node: Node): Sizes | undefined {
  const [k, n] = [intAttribute(node, "K", 0), intAttribute(node, "N", 0)];
  const [bits, blockSize] = [intAttribute(node, "bits", 4), intAttribute(node, "block_size", 0)];
  if (k < 1 || n < 1 || blockSize < 1 || !(bits === 2 || bits === 4 || bits === 8)) return undefined;
  return { k, n, bits, blockSize, blocks: Math.ceil(k / blockSize) };
}

/** A node and what its subgraphs hold, each node as `change` gives it back. */
function mapNodes(node: Node, change: (node: Node) => Node): Node {
  const mapped = (graph: Graph): Graph => ({ ...graph, nodes: graph.nodes.map((inner) => mapNodes(inner, change)) });
  const attributes = new Map(
    [...node.attributes].map(([name, attribute]): [string, Attribute] => {
      if (attribute.type === "graph") return [name, { ...attribute, value: mapped(attribute.value) }];
      if (attribute.type === "graphs") return [name, { ...attribute, value: attribute.value.map(mapped) }];
      return [name, attribute];
    }),
  );
  return change({ ...node, attributes });
}

function nodesWithin(node: Node): Node[] {
  return [node, ...subgraphsOf(node).flatMap(({ graph }) => graph.nodes.flatMap(nodesWithin))];
}

const atIntegerLevel = (node: Node): Node =>
  isSlowLevel(node)
    ? { ...node, attributes: new Map([...node.attributes, ["accuracy_level", int(INTEGER_LEVEL)]]) }
    : node;

const accuracyLevel: Pattern = {
  id: "accuracy-level",
  severity: "slow",
  what: "MatMulNBits without accuracy_level 4 turns its weights into floats at each run",
  cost: "at M = 1 about 2.5 times slower than level 4 with 4-bit weights, 70 times and more with 8- or 2-bit ones (K = 1024, N = 4096, AVX-512 VNNI)",
  repair: {
    kind: "rounds",
    how: "sets accuracy_level to 4: activations are rounded to 8 bits per block, which is not bit-exact",
  },
  find({ draft }): Occurrence[] {
    return draft.nodes.flatMap((node) =>
      nodesWithin(node)
        .filter(isSlowLevel)
        .map((slow) => ({
          place: nodeTitle(slow),
          mend() {
            draft.nodes = draft.nodes.map((one) => (one === node ? mapNodes(one, atIntegerLevel) : one));
          },
        })),
    );
  },
};

/** Float zero points as packed integers; undefined when one of them is no integer of that width. */
async function integerZeroPoints(tensor: TensorRef, { n, bits, blocks }: Sizes): Promise<Uint8Array | undefined> {
  const floats = await readFloats(tensor);
  const top = 2 ** bits - 1;
  if (floats.length !== n * blocks) return undefined;
  if (!floats.every((value) => Number.isInteger(value) && value >= 0 && value <= top)) return undefined;
  return packRows(Uint8Array.from(floats), n, bits);
}

/**
 * `Σ (q − z)·s·x = Σ (q − m)·s·x + Σ over blocks of s·(m − z)·Σ x` with the implicit zero point m = 2^(bits−1): a small float
 * product on the blocks' sums takes the place of the zero points.
 */
async function byBlockSums(draft: GraphDraft, node: Node, zeros: TensorRef, scales: TensorRef, sizes: Sizes) {
  const { n, bits, blockSize, blocks } = sizes;
  const [z, s] = [await readFloats(zeros), await readFloats(scales)];
  const correction = new Float32Array(blocks * n);
  for (let column = 0; column < n; column++) {
    for (let block = 0; block < blocks; block++) {
      const at = column * blocks + block;
      correction[block * n + column] = s[at] * (2 ** (bits - 1) - z[at]);
    }
  }
  const [input] = node.inputs;
  const [output] = node.outputs;
  const name = (part: string) => draft.fresh(`${output}_${part}`);
  const [split, sums, added, product, shape] = ["blocks", "sums", "added", "product", "shape"].map(name);
  const front = draft.constant(`${output}_start`, int64Tensor([1], [0]));
  const end = draft.constant(`${output}_end`, int64Tensor([1], [-1]));
  const tail = draft.constant(`${output}_split`, int64Tensor([2], [blocks, blockSize]));
  const axis = draft.constant(`${output}_axis`, int64Tensor([1], [-1]));
  const [whole, outer] = [name("whole"), name("outer")];
  draft.replaceAll(
    [node],
    [
      operator("Shape", [input], [whole]),
      operator("Slice", [whole, front, end], [outer]),
      operator("Concat", [outer, tail], [shape], { axis: int(0) }),
      operator("Reshape", [input, shape], [split]),
      operator("ReduceSum", [split, axis], [sums], { keepdims: int(0) }),
      operator("MatMul", [sums, draft.constant(`${output}_shift`, float32Tensor([blocks, n], correction))], [added]),
      { ...withInput(node, ZERO_POINTS, ""), outputs: [product] },
      operator("Add", [product, added], [output]),
    ],
  );
}

const floatZeroPoints: Pattern = {
  id: "float-zero-points",
  severity: "slow",
  what: "MatMulNBits with float zero points, as HQQ and some GPTQ ports write them",
  cost: "80 to 100 times slower than integer zero points; fails at run time with 8 bits (K = 1024, N = 4096, AVX-512 VNNI)",
  repair: {
    kind: "exact",
    how: "integers are stored as integers; others are moved into a product on the sums of the blocks' inputs",
  },
  async find({ draft }): Promise<Occurrence[]> {
    const found: Occurrence[] = [];
    for (const node of draft.nodes.filter(isBlocked)) {
      const zeros = draft.initializer(node.inputs[ZERO_POINTS]);
      const scales = draft.initializer(node.inputs[SCALES]);
      if (zeros === undefined || zeros.dtype === "uint8") continue;
      const sizes = sizesOf(node);
      const place = nodeTitle(node);
      if (sizes === undefined) {
        found.push({ place });
        continue;
      }
      const packed = await integerZeroPoints(zeros, sizes);
      // The sums need whole blocks, ReduceSum with axes as an input, and the arithmetic of float32.
      const canSum = sizes.k % sizes.blockSize === 0 && draft.opset >= 13 && scales?.dtype === "float32";
      if (packed !== undefined) {
        const shape = [sizes.n, packed.length / sizes.n];
        const mend = () => {
          const name = draft.constant(zeros.name, { dtype: "uint8", shape, data: packed });
          draft.replaceAll([node], [withInput(node, ZERO_POINTS, name)]);
        };
        found.push({ place, mend });
      } else if (canSum) found.push({ place, mend: () => byBlockSums(draft, node, zeros, scales, sizes) });
      else found.push({ place });
    }
    return found;
  },
};

/** The inputs sorted by group; undefined when a group does not fill its block exactly. */
function orderByGroup(groups: ArrayLike<number | bigint>, { k, blockSize }: Sizes): Int32Array | undefined {
  if (groups.length !== k) return undefined;
  const order = Int32Array.from({ length: k }, (_, at) => at).sort(
    (a, b) => Number(groups[a]) - Number(groups[b]) || a - b,
  );
  return order.every((input, at) => Number(groups[input]) === Math.floor(at / blockSize)) ? order : undefined;
}

const groupIndex: Pattern = {
  id: "group-index",
  severity: "slow",
  what: "MatMulNBits with g_idx, an order of groups, as GPTQ with act-order writes it",
  cost: "80 to 100 times slower than blocks in order (K = 1024, N = 4096, AVX-512 VNNI)",
  repair: { kind: "exact", how: "the weights are sorted by group and the input is gathered in the same order" },
  async find({ draft }): Promise<Occurrence[]> {
    const found: Occurrence[] = [];
    for (const node of draft.nodes.filter(isBlocked)) {
      const groups = draft.initializer(node.inputs[GROUPS]);
      const weight = draft.initializer(node.inputs[WEIGHT]);
      if (groups === undefined) continue;
      const sizes = sizesOf(node);
      const place = nodeTitle(node);
      const order = sizes && orderByGroup((await readTensor(groups)).data, sizes);
      if (sizes === undefined || order === undefined || weight === undefined) found.push({ place });
      else found.push({ place, mend: () => sortByGroup(draft, node, weight, order, sizes) });
    }
    return found;
  },
};

function sortByGroup(draft: GraphDraft, node: Node, weight: TensorRef, order: Int32Array, sizes: Sizes): void {
  const { n, bits, blockSize, blocks } = sizes;
  const plain = withInput(node, GROUPS, "");
  if (order.every((input, at) => input === at)) {
    draft.replaceAll([node], [plain]);
    return;
  }
  const sorted = async (): Promise<Uint8Array> => {
    const length = blocks * blockSize;
    const { data } = await readTensor(weight);
    const integers = unpackRows(data as Uint8Array, n, length, bits);
    // What pads K lies behind the last input and stays there.
    const moved = integers.slice();
    for (let row = 0; row < n; row++) {
      for (let at = 0; at < order.length; at++) moved[row * length + at] = integers[row * length + order[at]];
    }
    return packRows(moved, n, bits);
  };
  const gathered = draft.fresh(`${node.inputs[0]}_sorted`);
  const indices = draft.constant(`${weight.name}_order`, int64Tensor([order.length], [...order]));
  const stored = draft.computed(weight.name, weight, sorted);
  draft.replaceAll(
    [node],
    [
      operator("Gather", [node.inputs[0], indices], [gathered], { axis: int(-1) }),
      withInput(withInput(plain, 0, gathered), WEIGHT, stored),
    ],
  );
}

export const BLOCK_PATTERNS: readonly Pattern[] = [floatZeroPoints, groupIndex, accuracyLevel];
