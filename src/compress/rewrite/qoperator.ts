// Turns operators between DequantizeLinear and QuantizeLinear into integer operators that any engine version runs as such; may
// depend on model and draft.
import { floatAttribute } from "../../model/attributes.ts";
import { node as operator } from "../../model/build.ts";
import type { ModelGraph, Node } from "../../model/graph.ts";
import { readTensor } from "../../model/tensor-data.ts";
import { GraphDraft } from "./draft.ts";

const CONTRIB = "com.microsoft";

/** A value as integers: names of the integers, their scale and their zero point. */
interface Integers {
  readonly values: string;
  readonly scale: string;
  readonly zeroPoint: string;
}

/** Same integers out as in, only moved or chosen; the first input is the data. */
const CARRIERS: ReadonlySet<string> = new Set([
  "Flatten",
  "MaxPool",
  "Reshape",
  "Resize",
  "Squeeze",
  "Transpose",
  "Unsqueeze",
]);

const three = ({ values, scale, zeroPoint }: Integers): string[] => [values, scale, zeroPoint];
const params = ({ scale, zeroPoint }: Integers): string[] => [scale, zeroPoint];

/** The integer form of `node`, whose inputs are `inputs` (undefined where one is float) and whose result becomes `output`. */
type Emit = (node: Node, inputs: readonly (Integers | undefined)[], output: Integers) => Node | undefined;

/** An operator of ONNX Runtime's own domain over all inputs, each with scale and zero point. */
const contrib =
  (opType: string): Emit =>
  (node, inputs, output) => {
    if (!inputs.every((input) => input !== undefined)) return undefined;
    const reads = [...inputs.flatMap(three), ...params(output)];
    return { ...node, opType, domain: CONTRIB, inputs: reads, outputs: [output.values] };
  };

const EMITTERS: Readonly<Record<string, Emit>> = {
  Add: contrib("QLinearAdd"),
  AveragePool: contrib("QLinearAveragePool"),
  GlobalAveragePool: contrib("QLinearGlobalAveragePool"),
  LeakyRelu: contrib("QLinearLeakyRelu"),
  Mul: contrib("QLinearMul"),
  Sigmoid: contrib("QLinearSigmoid"),
  Concat: (node, inputs, output) => {
    if (!inputs.every((input) => input !== undefined)) return undefined;
    const reads = [...params(output), ...inputs.flatMap(three)];
    return { ...node, opType: "QLinearConcat", domain: CONTRIB, inputs: reads, outputs: [output.values] };
  },
  Conv: (node, [input, weight, bias], output) => {
    if (input === undefined || weight === undefined || (bias === undefined && node.inputs.length > 2)) return undefined;
    const reads = [...three(input), ...three(weight), ...params(output), ...(bias === undefined ? [] : [bias.values])];
    return { ...node, opType: "QLinearConv", inputs: reads, outputs: [output.values] };
  },
  Gemm: (node, [input, weight, bias], output) => {
    const product = gemm(node, input, weight, bias);
    return product && { ...product, inputs: [...product.inputs, ...params(output)], outputs: [output.values] };
  },
  MatMul: (node, [left, right], output) => {
    if (left === undefined || right === undefined) return undefined;
    const reads = [...three(left), ...three(right), ...params(output)];
    return { ...node, opType: "QLinearMatMul", inputs: reads, outputs: [output.values] };
  },
};

/** QGemm without a scale for its result, which then is float. */
function gemm(
  node: Node,
  input: Integers | undefined,
  weight: Integers | undefined,
  bias: Integers | undefined,
): Node | undefined {
  if (input === undefined || weight === undefined || bias === undefined || floatAttribute(node, "beta", 1) !== 1) {
    return undefined;
  }
  const attributes = new Map([...node.attributes].filter(([name]) => name !== "beta"));
  const reads = [...three(input), ...three(weight), bias.values];
  return { ...node, opType: "QGemm", domain: CONTRIB, attributes, inputs: reads };
}

class Rewriter {
  readonly #draft: GraphDraft;
  readonly #uses: ReadonlyMap<string, number>;
  readonly #readers = new Map<string, Node[]>();
  readonly #integers = new Map<string, Integers>();
  readonly #gone = new Set<Node>();
  /** By the node whose place the new one takes. */
  readonly #replacements = new Map<Node, Node>();

  constructor(draft: GraphDraft) {
    this.#draft = draft;
    this.#uses = draft.useCounts();
    for (const node of draft.nodes) {
      for (const name of node.inputs) this.#readers.set(name, [...(this.#readers.get(name) ?? []), node]);
      const [values, scale, zeroPoint] = node.inputs;
      if (node.opType === "DequantizeLinear") {
        this.#integers.set(node.outputs[0], { values, scale, zeroPoint: zeroPoint ?? "" });
      }
    }
  }

  async run(): Promise<void> {
    for (const node of this.#draft.nodes) {
      if (node.domain !== "" || this.#gone.has(node)) continue;
      const inputs = node.inputs.map((name) => this.#integers.get(name));
      const chain = await this.#chainAfter(node);
      const last = chain.at(-1);
      if (last?.opType === "QuantizeLinear") {
        const [, scale, zeroPoint] = last.inputs;
        this.#replace([node, ...chain], this.#integer(node, inputs, { values: last.outputs[0], scale, zeroPoint }));
      } else {
        this.#floatResult(node, inputs);
      }
    }
    this.#draft.nodes = this.#draft.nodes.flatMap((node) => {
      const replacement = this.#replacements.get(node);
      return replacement !== undefined ? [replacement] : this.#gone.has(node) ? [] : [node];
    });
    this.#dropUnread();
  }

  #integer(node: Node, inputs: readonly (Integers | undefined)[], output: Integers): Node | undefined {
    const [data] = inputs;
    if (!CARRIERS.has(node.opType)) return EMITTERS[node.opType]?.(node, inputs, output);
    // Only integers on one and the same scale are merely moved.
    if (data === undefined || data.scale !== output.scale || data.zeroPoint !== output.zeroPoint) return undefined;
    return { ...node, inputs: [data.values, ...node.inputs.slice(1)], outputs: [output.values] };
  }

  /** A product whose result stays float: MatMulIntegerToFloat takes the bias along, QGemm has it already. */
  #floatResult(node: Node, inputs: readonly (Integers | undefined)[]): void {
    const [left, right, bias] = inputs;
    if (node.opType === "Gemm") this.#replace([node], gemm(node, left, right, bias));
    if (node.opType !== "MatMul" || left === undefined || right === undefined) return;
    const next = this.#onlyReader(node.outputs[0]);
    const shift = next?.opType === "Add" ? next.inputs.find((name) => name !== node.outputs[0]) : undefined;
    const isBias = this.#draft.initializer(shift)?.shape.length === 1;
    const group = isBias && next !== undefined ? [node, next] : [node];
    const reads = [left.values, right.values, left.scale, right.scale, left.zeroPoint, right.zeroPoint];
    const outputs = group.at(-1)!.outputs;
    this.#replace(
      group,
      operator("MatMulIntegerToFloat", isBias ? [...reads, shift!] : reads, outputs, {}, { domain: CONTRIB }),
    );
  }

  #replace(group: readonly Node[], replacement: Node | undefined): void {
    if (replacement === undefined) return;
    for (const node of group) this.#gone.add(node);
    this.#replacements.set(group.at(-1)!, replacement);
    if (replacement.domain === CONTRIB) this.#draft.requireOpset(CONTRIB, 1);
  }

  #onlyReader(name: string): Node | undefined {
    return this.#uses.get(name) === 1 ? this.#readers.get(name)?.[0] : undefined;
  }

  /** What alone reads the node's result, as far as it vanishes into integers: a Relu or Clip without effect there, the rounding. */
  async #chainAfter(node: Node): Promise<Node[]> {
    const next = this.#onlyReader(node.outputs[0]);
    if (next?.opType === "QuantizeLinear") return [next];
    if (next === undefined || (next.opType !== "Relu" && next.opType !== "Clip")) return [];
    const rounding = this.#onlyReader(next.outputs[0]);
    return rounding?.opType === "QuantizeLinear" && (await this.#isSaturation(next, rounding)) ? [next, rounding] : [];
  }

  /** Whether the integers' own bounds already do what a Relu or Clip does, to within half a step. */
  async #isSaturation(rectifier: Node, rounding: Node): Promise<boolean> {
    const [, scaleName, zeroPointName] = rounding.inputs;
    const [scale, zeroPoint] = [await this.#number(scaleName), await this.#number(zeroPointName)];
    if (scale === undefined || zeroPoint === undefined) return false;
    if (this.#draft.initializer(zeroPointName)?.dtype !== "uint8") return false;
    const [, minimum, maximum] = rectifier.inputs;
    const low = rectifier.opType === "Relu" ? 0 : ((await this.#number(minimum)) ?? -Infinity);
    const high = rectifier.opType === "Relu" ? Infinity : ((await this.#number(maximum)) ?? Infinity);
    return -zeroPoint * scale >= low - scale / 2 && (255 - zeroPoint) * scale <= high + scale / 2;
  }

  /** The value of a constant with one element. */
  async #number(name: string | undefined): Promise<number | undefined> {
    const tensor = this.#draft.initializer(name);
    if (tensor === undefined) return undefined;
    const { data } = await readTensor(tensor);
    return data.length === 1 ? Number(data[0]) : undefined;
  }

  /** DequantizeLinear nodes whose values are now read as integers everywhere. */
  #dropUnread(): void {
    const uses = this.#draft.useCounts();
    this.#draft.nodes = this.#draft.nodes.filter(
      ({ opType, outputs }) => opType !== "DequantizeLinear" || uses.has(outputs[0]),
    );
  }
}

/**
 * The same model with integer operators (QLinearConv, QGemm, QLinearAdd, …) where it had float ones between DequantizeLinear and
 * QuantizeLinear.
 *
 * Whether an engine fuses the float form depends on its version and on details of the graph; the integer form leaves no choice, and
 * runs in ONNX Runtime only. What has no integer form stays as it was.
 */
export async function toQOperators(model: ModelGraph): Promise<ModelGraph> {
  const draft = new GraphDraft(model);
  await new Rewriter(draft).run();
  return draft.finish();
}
