// Repeats one training step several times in one graph, the state of one step feeding the next; may depend on model.
import * as attribute from "../../model/attributes.ts";
import { graph, node, tensorInfo } from "../../model/build.ts";
import type { Graph, Node, TensorRef, ValueInfo } from "../../model/graph.ts";
import { memoryTensor } from "../../model/tensor-data.ts";
import { int64Tensor } from "../../model/tensor-value.ts";

/** A tensor that goes into one run and comes out changed. */
export interface StateTensor {
  /** Name of the input. */
  readonly name: string;
  readonly output: string;
  readonly shape: readonly number[];
  readonly role: "weights" | "mask" | "slot" | "statistic";
  /** Group id, or the statistic's initializer. */
  readonly of: string;
}

/** One training step. */
export interface StepGraph {
  /** In topological order. */
  readonly nodes: readonly Node[];
  readonly initializers: ReadonlyMap<string, TensorRef>;
  /** What each step is fed with anew. */
  readonly inputs: readonly ValueInfo[];
  /** Names of values `[1]` that come out of one vector for all steps. */
  readonly scalars: readonly string[];
  readonly state: readonly (Omit<StateTensor, "output"> & { readonly result: string })[];
  /** Name of the mean loss, `[1]`. */
  readonly loss: string;
}

export interface UnrolledGraph {
  readonly graph: Graph;
  readonly state: readonly StateTensor[];
  readonly stepInputs: readonly ReadonlyMap<string, string>[];
  readonly scheduleInput: string;
  readonly lossOutput: string;
}

const SCHEDULE = "schedule";
const LOSSES = "losses";

/** Nodes that one of the values depends on, in their order. */
export function liveNodes(nodes: readonly Node[], values: readonly string[]): Node[] {
  const needed = new Set(values);
  const live: Node[] = [];
  for (const candidate of [...nodes].reverse()) {
    if (!candidate.outputs.some((output) => needed.has(output))) continue;
    live.push(candidate);
    for (const input of readBy(candidate)) needed.add(input);
  }
  return live.reverse();
}

/** A node's inputs with what its subgraphs may capture from outside. */
function readBy({ inputs, attributes }: Node): string[] {
  const captured = [...attributes.values()].flatMap((value) => {
    const graphs = value.type === "graph" ? [value.value] : value.type === "graphs" ? value.value : [];
    return graphs.flatMap((inner) => inner.nodes.flatMap(readBy).concat(inner.outputs.map(({ name }) => name)));
  });
  return [...inputs, ...captured];
}

/**
 * The step `count` times over. Inputs of step k are named `k/<name>`; initializers are shared.
 *
 * ONNX Runtime's Loop would do the same, and copies the whole state between iterations; several steps in one call are
 * worth it because each call costs more than a small operator.
 */
export function unroll(step: StepGraph, count: number): UnrolledGraph {
  const results = [step.loss, ...step.state.map(({ result }) => result)];
  const body = liveNodes(step.nodes, results);
  const read = new Set([...body.flatMap(readBy), ...results]);
  const initializers = new Map([...step.initializers].filter(([name]) => read.has(name)));
  const nodes: Node[] = [];
  const stepInputs: ReadonlyMap<string, string>[] = [];
  const inputs: ValueInfo[] = [];
  const current = new Map(step.state.map(({ name }) => [name, name]));
  const state = step.state.map(({ name, shape, role, of }): StateTensor => {
    return { name, output: `${name}/next`, shape, role, of };
  });

  const scalarCount = step.scalars.length * count;
  const pieces = step.scalars.flatMap((name) => Array.from({ length: count }, (_, k) => ({ name, k })));
  const scalarValue = (name: string, k: number): string => (scalarCount === 1 ? SCHEDULE : `${k}/${name}`);
  if (scalarCount > 1) {
    const ordered = pieces.sort((a, b) => a.k - b.k || step.scalars.indexOf(a.name) - step.scalars.indexOf(b.name));
    const sizes = memoryTensor(
      "schedule/sizes",
      int64Tensor(
        [scalarCount],
        ordered.map(() => 1),
      ),
    );
    initializers.set(sizes.name, sizes);
    const outputs = ordered.map(({ name, k }) => scalarValue(name, k));
    nodes.push(node("Split", [SCHEDULE, sizes.name], outputs, { axis: attribute.int(0) }));
  }

  for (let k = 0; k < count; k++) {
    const isLast = k === count - 1;
    const names = new Map<string, string>();
    for (const [name, value] of current) names.set(name, value);
    for (const name of step.scalars) names.set(name, scalarValue(name, k));
    for (const input of step.inputs) {
      if (!read.has(input.name)) continue;
      const name = `${k}/${input.name}`;
      names.set(input.name, name);
      inputs.push({ ...input, name });
    }
    stepInputs.push(
      new Map(step.inputs.filter(({ name }) => read.has(name)).map(({ name }) => [name, names.get(name)!])),
    );
    if (isLast) for (const [at, { result }] of step.state.entries()) names.set(result, state[at].output);
    const rename = (name: string): string => {
      if (name === "" || initializers.has(name)) return name;
      return names.get(name) ?? `${k}/${name}`;
    };
    for (const original of body) nodes.push(renamedNode(original, `${k}/`, rename));
    for (const { name, result } of step.state) current.set(name, rename(result));
  }
  const losses = Array.from({ length: count }, (_, k) => `${k}/${step.loss}`);
  nodes.push(node("Concat", losses, [LOSSES], { axis: attribute.int(0) }));
  return {
    graph: graph({
      nodes,
      initializers,
      inputs: [
        ...inputs,
        tensorInfo(SCHEDULE, "float32", [scalarCount]),
        ...state.map(({ name, shape }) => tensorInfo(name, "float32", shape)),
      ],
      outputs: [
        tensorInfo(LOSSES, "float32", [count]),
        ...state.map(({ output, shape }) => tensorInfo(output, "float32", shape)),
      ],
    }),
    state,
    stepInputs,
    scheduleInput: SCHEDULE,
    lossOutput: LOSSES,
  };
}

/** A node again whose values have other names, and whose own name has a prefix. */
export const renamedNode = (original: Node, prefix: string, rename: (name: string) => string): Node => ({
  ...original,
  name: original.name === "" ? "" : prefix + original.name, // the engine refuses a name twice, unless it is empty
  inputs: original.inputs.map(rename),
  outputs: original.outputs.map(rename),
  attributes: renameCaptures(original.attributes, rename),
});

/** Values that a subgraph takes from outside are renamed too; its own keep their names. */
function renameCaptures(attributes: Node["attributes"], rename: (name: string) => string): Node["attributes"] {
  if (![...attributes.values()].some(({ type }) => type === "graph")) return attributes;
  const inGraph = (inner: Graph): Graph => {
    const own = new Set([
      ...inner.initializers.keys(),
      ...inner.inputs.map(({ name }) => name),
      ...inner.nodes.flatMap((member) => member.outputs),
    ]);
    const outer = (name: string): string => (own.has(name) ? name : rename(name));
    const nodes = inner.nodes.map((member) => ({
      ...member,
      inputs: member.inputs.map(outer),
      attributes: renameCaptures(member.attributes, outer),
    }));
    return { ...inner, nodes };
  };
  return new Map(
    [...attributes].map(([name, value]) => [
      name,
      value.type === "graph" ? { ...value, value: inGraph(value.value) } : value,
    ]),
  );
}
