// The tensors that training changes: double buffers that take turns as input and output, and the way back into the
// user's model; may depend on errors, model and its room.
import { LightfootError } from "../errors/index.ts";
import type { Attribute, ModelGraph, TensorRef } from "../model/graph.ts";
import { memoryTensor, readFloats } from "../model/tensor-data.ts";
import { elementCount, float32Tensor, type TensorValue } from "../model/tensor-value.ts";
import type { ParameterGroup } from "./gradient/parameter-layout.ts";
import type { TrainingGraph } from "./gradient/training-graph.ts";
import type { StateTensor } from "./gradient/unroll.ts";

type Snapshot = ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;

/**
 * State tensors in two copies. The engine reads one and writes the other, then they change places: nothing is allocated
 * and nothing copied between calls. Graphs of several batch sizes share one state.
 */
export class TrainState {
  readonly #tensors: readonly StateTensor[];
  readonly #buffers: readonly [TensorValue[], TensorValue[]];
  #current: 0 | 1 = 0;

  constructor(tensors: readonly StateTensor[]) {
    this.#tensors = tensors;
    const allocate = (): TensorValue[] =>
      tensors.map(({ shape }) => float32Tensor(shape, new Float32Array(elementCount(shape))));
    this.#buffers = [allocate(), allocate()];
  }

  /** Puts the current tensors among the feeds and the other copies among the fetches. */
  bind(feeds: Record<string, TensorValue>, fetches: Record<string, TensorValue | null>): void {
    const [from, to] = [this.#buffers[this.#current], this.#buffers[this.#current === 0 ? 1 : 0]];
    for (const [at, { name, output }] of this.#tensors.entries()) {
      feeds[name] = from[at];
      fetches[output] = to[at];
    }
  }

  /** What was written is now current. */
  swap(): void {
    this.#current = this.#current === 0 ? 1 : 0;
  }

  tensor(name: string): TensorValue | undefined {
    const at = this.#tensors.findIndex((tensor) => tensor.name === name);
    return at < 0 ? undefined : this.#buffers[this.#current][at];
  }

  /** Copies of the tensors of some roles, by `prefix + name`. */
  snapshot(prefix: string, roles: readonly StateTensor["role"][]): Snapshot {
    const buffers = this.#buffers[this.#current];
    const entries = this.#tensors.flatMap(({ name, shape, role }, at) =>
      roles.includes(role)
        ? [[prefix + name, { shape, data: (buffers[at].data as Float32Array).slice() }] as const]
        : [],
    );
    return new Map(entries);
  }

  /** Puts copies back; tensors that the snapshot lacks stay. */
  restore(prefix: string, snapshot: Snapshot): void {
    const buffers = this.#buffers[this.#current];
    for (const [at, { name }] of this.#tensors.entries()) {
      const saved = snapshot.get(prefix + name);
      if (saved !== undefined) (buffers[at].data as Float32Array).set(saved.data);
    }
  }
}

const weightsOf = (graph: TrainingGraph, group: ParameterGroup): string =>
  graph.state.find(({ role, of }) => role === "weights" && of === group.id)!.name;

/** By parameter, views into the state tensors of one kind: `weights`, `mask`, or an optimizer's slot. */
export function parameterViews(state: TrainState, graph: TrainingGraph, kind: string): Map<string, Float32Array> {
  return new Map(
    graph.groups.flatMap((group) => {
      const name = kind === "weights" ? weightsOf(graph, group) : `state/${kind}/${group.id}`;
      const vector = state.tensor(name)?.data as Float32Array | undefined;
      if (vector === undefined) return [];
      return group.members.map(({ name: member, offset, length }): [string, Float32Array] => [
        member,
        vector.subarray(offset, offset + length),
      ]);
    }),
  );
}

/** Puts masks into the state and zeros where they say so. @throws LightfootError E_TENSOR for a mask of another length */
export function applyMasks(state: TrainState, graph: TrainingGraph, masks: ReadonlyMap<string, Uint8Array>): void {
  const weights = parameterViews(state, graph, "weights");
  const stored = parameterViews(state, graph, "mask");
  for (const [name, mask] of masks) {
    const [values, kept] = [weights.get(name), stored.get(name)];
    if (values === undefined || kept === undefined) continue;
    if (mask.length !== values.length) {
      throw new LightfootError(
        "E_TENSOR",
        `the mask of '${name}' has ${mask.length} elements, the tensor ${values.length}`,
      );
    }
    for (let at = 0; at < mask.length; at++) {
      kept[at] = mask[at] === 0 ? 0 : 1;
      if (mask[at] === 0) values[at] = 0;
    }
  }
}

/** Fills the state with a model's weights and statistics, masked elements with zero; optimizer slots start at zero. */
export async function loadState(
  state: TrainState,
  graph: TrainingGraph,
  initializers: ReadonlyMap<string, TensorRef>,
  masks: ReadonlyMap<string, Uint8Array> | undefined,
): Promise<void> {
  for (const group of graph.groups) {
    const target = state.tensor(weightsOf(graph, group))!.data as Float32Array;
    for (const { name, offset } of group.members) {
      target.set(await readFloats(initializers.get(name)!), offset);
    }
    const mask = state.tensor(`state/mask/${group.id}`);
    (mask?.data as Float32Array | undefined)?.fill(1);
  }
  applyMasks(state, graph, masks ?? new Map());
  for (const { name, role, of } of graph.state) {
    if (role !== "statistic") continue;
    (state.tensor(name)!.data as Float32Array).set(await readFloats(initializers.get(of)!));
  }
}

/** The user's model with the state's weights and statistics in the places they came from; nothing else changes. */
export function writeBack(model: ModelGraph, graph: TrainingGraph, state: TrainState): ModelGraph {
  const trained = new Map<string, TensorRef>();
  for (const group of graph.groups) {
    const vector = state.tensor(weightsOf(graph, group))!.data as Float32Array;
    for (const { name, shape, offset, length } of group.members) {
      trained.set(name, memoryTensor(name, float32Tensor(shape, vector.slice(offset, offset + length))));
    }
  }
  for (const { name, role, of, shape } of graph.state) {
    if (role !== "statistic") continue;
    trained.set(of, memoryTensor(of, float32Tensor(shape, (state.tensor(name)!.data as Float32Array).slice())));
  }
  const replaced = (tensor: TensorRef, name: string): TensorRef => {
    const fresh = trained.get(name);
    return fresh === undefined ? tensor : { ...tensor, data: fresh.data };
  };
  const initializers = new Map([...model.graph.initializers].map(([name, tensor]) => [name, replaced(tensor, name)]));
  const nodes = model.graph.nodes.map((node) => {
    const value = node.opType === "Constant" ? node.attributes.get("value") : undefined;
    if (value?.type !== "tensor" || !trained.has(node.outputs[0])) return node;
    const attribute: Attribute = { type: "tensor", value: replaced(value.value, node.outputs[0]) };
    return { ...node, attributes: new Map([...node.attributes, ["value", attribute] as const]) };
  });
  return { ...model, graph: { ...model.graph, initializers, nodes } };
}
