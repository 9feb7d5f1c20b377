// Divides the channels of a value by scales and multiplies them back in the weights that read it, without changing the model's
// answers; may depend on model, draft and linear.
import { intAttribute } from "../../model/attributes.ts";
import { node as operator } from "../../model/build.ts";
import type { Node, TensorRef } from "../../model/graph.ts";
import { computedTensor, readFloats } from "../../model/tensor-data.ts";
import { float32Tensor } from "../../model/tensor-value.ts";
import { channelLayout } from "../quantize/affine.ts";
import type { GraphDraft } from "./draft.ts";
import type { DenseLayer } from "./linear.ts";
import { producersIn } from "./wiring.ts";

/** A constant whose entries along `axis` belong to the value's channels one by one. */
interface ChannelConstant {
  readonly name: string;
  readonly axis: number;
}

/** A value and all that reads it: products only, so that a factor on a channel can move from the value into their weights. */
export interface ScaledInput {
  readonly name: string;
  readonly width: number;
  readonly readers: readonly DenseLayer[];
  /** Constants that the value is linear in, before it; undefined where there are none and a Mul would have to be added. */
  readonly origin: readonly ChannelConstant[] | undefined;
}

/** Normalizations whose result is linear in these inputs, gain and shift. */
const NORMALIZATIONS: Readonly<Record<string, readonly number[]>> = {
  LayerNormalization: [1, 2],
  RMSNormalization: [1],
  SimplifiedLayerNormalization: [1],
  SkipLayerNormalization: [2, 3],
  SkipSimplifiedLayerNormalization: [2],
};

/** `f(c·x) = c·f(x)` for every `c > 0`. */
const HOMOGENEOUS: ReadonlySet<string> = new Set(["Dropout", "Identity", "LeakyRelu", "Relu"]);

class Origins {
  readonly #draft: GraphDraft;
  readonly #uses: ReadonlyMap<string, number>;
  readonly #producers: ReadonlyMap<string, Node>;

  constructor(draft: GraphDraft) {
    this.#draft = draft;
    this.#uses = draft.useCounts();
    this.#producers = producersIn(draft.nodes);
  }

  /** How often a name is read. */
  uses(name: string): number {
    return this.#uses.get(name) ?? 0;
  }

  /** The constants to divide so that `name` is divided; undefined where something on the way is not linear or read elsewhere too. */
  of(name: string, width: number): ChannelConstant[] | undefined {
    const producer = this.#producers.get(name);
    if (producer === undefined) return undefined;
    const { opType, inputs } = producer;
    const before = (input: string) => (this.uses(input) === 1 ? this.of(input, width) : undefined);
    const normalized = NORMALIZATIONS[opType];
    if (normalized !== undefined) {
      // Only the result itself, not the sums that it may give out besides.
      return producer.outputs[0] === name
        ? this.#constants(
            normalized.map((at) => inputs[at] ?? ""),
            width,
          )
        : undefined;
    }
    if (HOMOGENEOUS.has(opType)) return before(inputs[0]);
    if (opType === "MatMul") return this.#constants([inputs[1]], width);
    if (opType === "Gemm") return this.#gemm(producer, width);
    if (opType !== "Add" && opType !== "Mul") return undefined;
    const constant = inputs.find((input) => this.#draft.initializer(input) !== undefined);
    const others = inputs.filter((input) => input !== constant);
    if (opType === "Mul" && constant !== undefined) {
      return this.#constants([constant], width) ?? before(others[0] ?? "");
    }
    // One factor of a product is enough.
    if (opType === "Mul") return others[0] === others[1] ? undefined : (before(others[0]) ?? before(others[1]));
    const shift = this.#constants([constant ?? "-"], width);
    const rest = before(others[0] ?? "");
    return shift === undefined || rest === undefined ? undefined : [...rest, ...shift];
  }

  #gemm(node: Node, width: number): ChannelConstant[] | undefined {
    const weight = this.#constants([node.inputs[1]], width, intAttribute(node, "transB", 0) === 0 ? 1 : 0);
    const bias = this.#constants([node.inputs[2] ?? ""], width);
    return weight === undefined || bias === undefined ? undefined : [...weight, ...bias];
  }

  /** Those that are there ("" is an input left out), if each is a float constant of its own with an entry a channel. */
  #constants(names: readonly string[], width: number, axis = -1): ChannelConstant[] | undefined {
    const found: ChannelConstant[] = [];
    for (const name of names) {
      if (name === "") continue;
      const tensor = this.#draft.initializer(name);
      const at = axis < 0 ? (tensor?.shape.length ?? 0) - 1 : axis;
      if (tensor?.dtype !== "float32" || this.uses(name) !== 1 || tensor.shape[at] !== width) return undefined;
      found.push({ name, axis: at });
    }
    return found;
  }
}

/** Every value that only `layers` read, with what its channels' scales could move into. */
export function findScaledInputs(draft: GraphDraft, layers: readonly DenseLayer[]): ScaledInput[] {
  const origins = new Origins(draft);
  const byInput = new Map<string, DenseLayer[]>();
  for (const layer of layers) {
    // A weight that others share cannot be changed for one reader alone.
    if (layer.transposedInput || origins.uses(layer.weight.name) !== 1) continue;
    byInput.set(layer.input, [...(byInput.get(layer.input) ?? []), layer]);
  }
  return [...byInput].map(([name, readers]) => {
    const width = readers[0].k;
    // What else reads the value would see it scaled.
    const isAlone = origins.uses(name) === readers.length;
    return { name, width, readers, origin: isAlone ? origins.of(name, width) : undefined };
  });
}

/** `tensor` times `factors` along `axis`, made when somebody reads it. */
function scaled(tensor: TensorRef, axis: number, factors: Float64Array): TensorRef {
  const { inner } = channelLayout(tensor.shape, axis);
  return computedTensor(tensor.name, tensor, async () => {
    const values = await readFloats(tensor);
    return values.map((value, at) => value * factors[Math.floor(at / inner) % factors.length]);
  });
}

function scaleConstant(draft: GraphDraft, { name, axis }: ChannelConstant, factors: Float64Array): void {
  draft.setInitializer(scaled(draft.initializer(name)!, axis, factors));
}

/**
 * Divides the channels of `input` by `scales` and multiplies the rows of its readers' weights by them. Where nothing before it can
 * take the scales, a Mul in front of the readers does.
 */
export function migrate(draft: GraphDraft, input: ScaledInput, scales: Float64Array): void {
  const inverse = scales.map((scale) => 1 / scale);
  for (const { weight, transposedWeight } of input.readers) {
    scaleConstant(draft, { name: weight.name, axis: transposedWeight ? 1 : 0 }, scales);
  }
  if (input.origin !== undefined) {
    for (const constant of input.origin) scaleConstant(draft, constant, inverse);
    return;
  }
  const divided = draft.fresh(`${input.name}_smooth`);
  const factors = draft.constant(`${input.name}_inverse`, float32Tensor([input.width], Float32Array.from(inverse)));
  const first = new Set(input.readers.map(({ nodes }) => nodes[0]));
  let isPlaced = false;
  draft.nodes = draft.nodes.flatMap((node) => {
    if (!first.has(node)) return [node];
    const reads = { ...node, inputs: node.inputs.map((name) => (name === input.name ? divided : name)) };
    if (isPlaced) return [reads];
    isPlaced = true;
    return [operator("Mul", [input.name, factors], [divided]), reads];
  });
}
