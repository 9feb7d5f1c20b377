// Hidden units that can be taken out of a model: neurons between dense layers with nothing else reading them; may depend on draft and linear.
import type { ModelGraph, TensorRef } from "../../model/graph.ts";
import { memoryTensor, readFloats } from "../../model/tensor-data.ts";
import { elementCount, float32Tensor } from "../../model/tensor-value.ts";
import { GraphDraft } from "./draft.ts";
import { denseWeight, findLinearLayers, isDense, type DenseLayer } from "./linear.ts";

/** Operators that treat every neuron alike and by itself. */
const ELEMENTWISE = new Set(
  `Abs Add Cast Celu Clip Div Dropout Elu Erf Exp Gelu HardSigmoid HardSwish Identity LeakyRelu Mish Mul Neg Pow Relu Selu
   Sigmoid Sin Softplus Softsign Sqrt Sub Swish Tanh ThresholdedRelu`.split(/\s+/),
);

/** A row of neurons: one dense layer makes it, elementwise operators shape it, dense layers alone read it. */
export interface HiddenUnits {
  readonly producer: DenseLayer;
  readonly consumers: readonly DenseLayer[];
  /** The activation that the consumers read, `[…, width]`. */
  readonly activation: string;
  readonly width: number;
}

/** The consumers of the row that `producer` makes, or undefined when something else sees single neurons. */
function readersOf(
  draft: GraphDraft,
  producer: DenseLayer,
  layers: readonly DenseLayer[],
): readonly DenseLayer[] | undefined {
  const row = new Set([producer.output]);
  const consumers: DenseLayer[] = [];
  const layerOf = new Map(layers.map((layer) => [layer.nodes[0], layer]));
  for (const node of draft.nodes) {
    if (!node.inputs.some((input) => row.has(input)) || producer.nodes.includes(node)) continue;
    const layer = layerOf.get(node);
    if (layer !== undefined && !layer.transposedInput) {
      consumers.push(layer);
      continue;
    }
    const alike = node.inputs.every((input) => {
      const constant = draft.initializer(input);
      return input === "" || row.has(input) || (constant !== undefined && elementCount(constant.shape) === 1);
    });
    if (!ELEMENTWISE.has(node.opType) || !alike) return undefined;
    for (const output of node.outputs) row.add(output);
  }
  // Outputs and subgraphs see the row whole: its width is part of the model's face there.
  const uses = draft.useCounts();
  const seenElsewhere = [...row].some((name) => {
    const reads = draft.nodes.reduce((sum, node) => sum + node.inputs.filter((input) => input === name).length, 0);
    return uses.get(name) !== undefined && uses.get(name) !== reads;
  });
  return seenElsewhere || consumers.length === 0 ? undefined : consumers;
}

/** Every row of hidden units that can shrink, in execution order. */
export function findHiddenUnits(draft: GraphDraft): HiddenUnits[] {
  const layers = findLinearLayers(draft).filter(isDense);
  const uses = draft.useCounts();
  // Cutting a stored tensor that two layers share would cut both.
  const owned = (tensor: TensorRef | undefined) => tensor === undefined || uses.get(tensor.name) === 1;
  return layers.flatMap((producer) => {
    if (!owned(producer.weight) || !owned(producer.bias) || producer.n < 2) return [];
    const consumers = readersOf(draft, producer, layers);
    if (consumers === undefined || !consumers.every((layer) => owned(layer.weight) && layer.k === producer.n))
      return [];
    const activation = consumers[0].input;
    if (!consumers.every((layer) => layer.input === activation)) return [];
    return [{ producer, consumers, activation, width: producer.n }];
  });
}

/**
 * How much each neuron matters to what follows: root mean square of its activation times the norm of the weights that read it.
 *
 * @param meanSquares of the activation, `[width]`
 */
export async function importanceOf(units: HiddenUnits, meanSquares: Float64Array): Promise<Float64Array> {
  const importance = new Float64Array(units.width);
  for (const consumer of units.consumers) {
    const weight = await denseWeight(consumer);
    for (let neuron = 0; neuron < units.width; neuron++) {
      let squares = 0;
      for (let column = 0; column < consumer.n; column++) squares += weight[neuron * consumer.n + column] ** 2;
      importance[neuron] += Math.sqrt(meanSquares[neuron] * squares);
    }
  }
  return importance;
}

/** The `count` most important neurons in their old order; ties go to the earlier one, so that equal input gives equal bytes. */
export function mostImportant(importance: Float64Array, count: number): number[] {
  const order = Array.from(importance, (_, neuron) => neuron);
  order.sort((left, right) => importance[right] - importance[left] || left - right);
  return order.slice(0, count).sort((left, right) => left - right);
}

async function take(tensor: TensorRef, axis: number, kept: readonly number[]): Promise<TensorRef> {
  const values = await readFloats(tensor);
  const shape = tensor.shape.map((size, at) => (at === axis ? kept.length : size));
  const inner = elementCount(tensor.shape.slice(axis + 1));
  const outer = elementCount(tensor.shape.slice(0, axis));
  const result = new Float32Array(outer * kept.length * inner);
  let position = 0;
  for (let block = 0; block < outer; block++) {
    for (const index of kept) {
      const start = (block * tensor.shape[axis] + index) * inner;
      result.set(values.subarray(start, start + inner), position);
      position += inner;
    }
  }
  return memoryTensor(tensor.name, float32Tensor(shape, result));
}

/** The model with only the neurons in `kept` of each row: the same operators with smaller weights. */
export async function keepNeurons(
  model: ModelGraph,
  rows: readonly { readonly units: HiddenUnits; readonly kept: readonly number[] }[],
): Promise<ModelGraph> {
  const draft = new GraphDraft(model);
  for (const { units, kept } of rows) {
    const { producer, consumers } = units;
    // Read anew: an earlier row may have cut the other side of the same tensor.
    const current = (tensor: TensorRef) => draft.initializer(tensor.name)!;
    draft.setInitializer(await take(current(producer.weight), producer.transposedWeight ? 0 : 1, kept));
    if (producer.bias !== undefined && elementCount(producer.bias.shape) === units.width) {
      draft.setInitializer(await take(current(producer.bias), producer.bias.shape.length - 1, kept));
    }
    for (const consumer of consumers) {
      draft.setInitializer(await take(current(consumer.weight), consumer.transposedWeight ? 1 : 0, kept));
    }
  }
  return draft.finish();
}
