// Positions of inputs that layers can stop reading, where the input itself must keep its size: found, and left out; may depend on
// model, rewrite and this folder.
import { intAttribute } from "../../model/attributes.ts";
import type { ModelGraph, TensorRef } from "../../model/graph.ts";
import { inferShapes } from "../../model/shapes/infer.ts";
import { typeIn } from "../../model/shapes/inference.ts";
import { elementCount } from "../../model/tensor-value.ts";
import { variablesKey, type Variables } from "../axis-rows.ts";
import type { GraphDraft } from "../rewrite/draft.ts";
import { chosenLayers, findLinearLayers, type LayerChoice, type LinearLayer } from "../rewrite/linear.ts";
import { take } from "./cut.ts";
import { picking } from "./pick-positions.ts";
import { biasPlace, type BiasPlace } from "./reconstruct.ts";

/** How a layer reads its input. */
export interface Reading extends Variables {
  readonly layer: LinearLayer;
  readonly weight: TensorRef;
  readonly weightAxis: number;
  readonly width: number;
  readonly padded: boolean;
  readonly bias: BiasPlace | undefined;
}

function readingOf(
  layer: LinearLayer,
  rank: number | undefined,
  uses: ReadonlyMap<string, number>,
): Reading | undefined {
  const { weight } = layer;
  const [node] = layer.nodes;
  if (rank === undefined || uses.get(weight.name) !== 1) return undefined;
  const common = { layer, value: layer.input, weight, bias: biasPlace(layer, uses) };
  if (layer.kind === "dense") {
    const axis = layer.transposedInput ? 0 : rank - 1;
    return { ...common, axis, weightAxis: layer.transposedWeight ? 1 : 0, width: layer.k, padded: false };
  }
  if (intAttribute(node, "group", 1) !== 1) return undefined;
  const pads = node.attributes.get("pads");
  const padded = node.attributes.has("auto_pad") || (pads?.type === "ints" && pads.value.some((pad) => pad !== 0n));
  return { ...common, axis: 1, weightAxis: 1, width: weight.shape[1], padded };
}

/** Readings of the chosen layers whose weights are theirs alone, in execution order. @throws LightfootError as `inferShapes` */
export async function findReadings(model: ModelGraph, draft: GraphDraft, choice: LayerChoice): Promise<Reading[]> {
  const { root } = await inferShapes(model);
  const uses = draft.useCounts();
  return chosenLayers(findLinearLayers(draft), choice).flatMap((layer) => {
    const type = typeIn(root, layer.input);
    return readingOf(layer, type?.kind === "tensor" ? type.shape?.length : undefined, uses) ?? [];
  });
}

/** Lets layers read some positions of their inputs only; layers that read the same ones share the node that picks them. */
export class ColumnPicker {
  readonly #draft: GraphDraft;
  readonly #picked = new Map<string, string>();

  constructor(draft: GraphDraft) {
    this.#draft = draft;
  }

  /** Whether leaving the other positions out saves more bytes of weights than the picking node takes. */
  saves(reading: Reading, kept: readonly number[]): boolean {
    const { value, axis, weight, width } = reading;
    const saved = 4 * (width - kept.length) * (elementCount(weight.shape) / width);
    return this.#picked.has(pickKey(reading, kept)) || saved > picking(this.#draft, value, axis, kept).bytes;
  }

  /** @param weight what the layer shall multiply with, still with all positions */
  keepOnly(reading: Reading, kept: readonly number[], weight: TensorRef): void {
    const { layer, value, axis, weightAxis } = reading;
    const draft = this.#draft;
    draft.setInitializer(take(weight, weightAxis, kept));
    const key = pickKey(reading, kept);
    const known = this.#picked.get(key);
    const { nodes, output } =
      known === undefined ? picking(draft, value, axis, kept).write() : { nodes: [], output: known };
    this.#picked.set(key, output);
    const [first] = layer.nodes;
    const rewired = { ...first, inputs: first.inputs.map((name, at) => (at === 0 ? output : name)) };
    draft.nodes = draft.nodes.flatMap((each) => (each === first ? [...nodes, rewired] : [each]));
  }
}

const pickKey = (reading: Reading, kept: readonly number[]): string => `${variablesKey(reading)} ${kept.join()}`;
