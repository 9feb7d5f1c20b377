// `GraphDraft`: a model's main graph opened for editing, closed again into a clean `ModelGraph`; may depend on model.
import { subgraphsOf, tensorAttribute } from "../../model/attributes.ts";
import type { FunctionDefinition, Graph, ModelGraph, Node, TensorRef, ValueInfo } from "../../model/graph.ts";
import { computedTensor, memoryTensor } from "../../model/tensor-data.ts";
import type { NumericArray, TensorValue } from "../../model/tensor-value.ts";

/** IR 4 is the first in which an initializer need not be a graph input as well. */
const IR_WITH_FREE_INITIALIZERS = 4;

/** Names that a graph takes from outside itself, subgraphs of its nodes included. */
export function outerNames(graph: Graph): Set<string> {
  const names = new Set<string>();
  for (const node of graph.nodes) {
    for (const input of node.inputs) names.add(input);
    for (const { graph: inner } of subgraphsOf(node)) for (const name of outerNames(inner)) names.add(name);
  }
  for (const output of graph.outputs) names.add(output.name);
  return names;
}

function namesInside(graph: Graph): string[] {
  return [
    ...graph.inputs.map(({ name }) => name),
    ...graph.initializers.keys(),
    ...graph.sparseInitializers.keys(),
    ...graph.nodes.flatMap((node) => [
      node.name,
      ...node.outputs,
      ...subgraphsOf(node).flatMap(({ graph: inner }) => namesInside(inner)),
    ]),
  ];
}

/**
 * Edits on the main graph. Constants are initializers here: `Constant` nodes with a tensor are lifted when the draft is
 * opened, and initializers that were also inputs stop being inputs. Subgraphs stay with their nodes.
 */
export class GraphDraft {
  readonly #model: ModelGraph;
  readonly #names: Set<string>;
  readonly #initializers: Map<string, TensorRef>;
  readonly #opsets: Map<string, number>;
  #irVersion: number;
  #inputs: readonly ValueInfo[];
  nodes: Node[];
  functions: readonly FunctionDefinition[];

  constructor(model: ModelGraph) {
    this.#model = model;
    this.#names = new Set(namesInside(model.graph));
    this.#initializers = new Map(model.graph.initializers);
    this.#opsets = new Map(model.opsets);
    this.#irVersion = model.irVersion;
    this.#inputs = model.graph.inputs;
    this.functions = model.functions;
    this.nodes = [];
    for (const node of model.graph.nodes) {
      const value = node.opType === "Constant" && node.domain === "" ? tensorAttribute(node, "value") : undefined;
      if (value === undefined) this.nodes.push(node);
      else this.#initializers.set(node.outputs[0], { ...value, name: node.outputs[0] });
    }
  }

  get model(): ModelGraph {
    return this.#model;
  }

  get opset(): number {
    return this.#opsets.get("") ?? 1;
  }

  get inputs(): readonly ValueInfo[] {
    return this.#inputs;
  }

  get outputs(): readonly ValueInfo[] {
    return this.#model.graph.outputs;
  }

  initializer(name: string | undefined): TensorRef | undefined {
    return name === undefined ? undefined : this.#initializers.get(name);
  }

  /** Takes a constant out because a node gives its value from now on. */
  removeInitializer(name: string): void {
    this.#initializers.delete(name);
    this.#inputs = this.#inputs.filter((input) => input.name !== name);
  }

  /** Every constant by name, also those that nobody reads. */
  get constants(): ReadonlyMap<string, TensorRef> {
    return this.#initializers;
  }

  isOutput(name: string): boolean {
    return this.#model.graph.outputs.some((output) => output.name === name);
  }

  /** How often each value is read: by nodes, by their subgraphs, and as a graph output. */
  useCounts(): Map<string, number> {
    const counts = new Map<string, number>();
    const add = (name: string) => counts.set(name, (counts.get(name) ?? 0) + 1);
    for (const node of this.nodes) {
      for (const input of node.inputs) add(input);
      for (const { graph } of subgraphsOf(node)) for (const name of outerNames(graph)) add(name);
    }
    for (const output of this.outputs) add(output.name);
    return counts;
  }

  /** Values that subgraphs read from outside: their readers cannot be pointed elsewhere here. */
  namesReadInside(): Set<string> {
    return new Set(this.nodes.flatMap((node) => subgraphsOf(node).flatMap(({ graph }) => [...outerNames(graph)])));
  }

  /** Gives values new names in every node, as reader and as maker. */
  rename(nameOf: (name: string) => string): void {
    this.nodes = this.nodes.map((node) => {
      const inputs = node.inputs.map(nameOf);
      const outputs = node.outputs.map(nameOf);
      const isSame = [...inputs, ...outputs].every((name, at) => name === [...node.inputs, ...node.outputs][at]);
      return isSame ? node : { ...node, inputs, outputs };
    });
  }

  consumersOf(name: string): Node[] {
    return this.nodes.filter((node) => node.inputs.includes(name));
  }

  /** A name nobody uses: `stem`, or `stem_2`, `stem_3`, … */
  fresh(stem: string): string {
    let name = stem;
    for (let i = 2; this.#names.has(name); i++) name = `${stem}_${i}`;
    this.#names.add(name);
    return name;
  }

  /** Adds a constant under a fresh name and returns that name. */
  constant(stem: string, value: TensorValue): string {
    const name = this.fresh(stem);
    this.#initializers.set(name, memoryTensor(name, value));
    return name;
  }

  /** The same for elements that are made when the model is written, so that they take no memory until then. */
  computed(stem: string, type: Pick<TensorRef, "dtype" | "shape">, make: () => Promise<NumericArray>): string {
    const name = this.fresh(stem);
    this.#initializers.set(name, computedTensor(name, type, make));
    return name;
  }

  /** Replaces a constant by another of the same name. */
  setInitializer(tensor: TensorRef): void {
    this.#initializers.set(tensor.name, tensor);
  }

  /** From now on a node makes the value that was this constant, before everything else. */
  replaceConstant(name: string, maker: Node): void {
    this.removeInitializer(name);
    this.nodes = [maker, ...this.nodes];
  }

  /** Puts `replacement` where the last of `nodes` stood, so that whatever it reads has been computed by then. */
  replaceAll(nodes: readonly Node[], replacement: readonly Node[]): void {
    const last = Math.max(...nodes.map((node) => this.nodes.indexOf(node)));
    this.nodes = this.nodes.flatMap((node, at) =>
      at === last ? [...replacement] : nodes.includes(node) ? [] : [node],
    );
  }

  requireOpset(domain: string, version: number): void {
    this.#opsets.set(domain, Math.max(this.#opsets.get(domain) ?? 0, version));
  }

  requireIr(version: number): void {
    this.#irVersion = Math.max(this.#irVersion, version);
  }

  /** The edited model: constants nobody reads are gone, and so are type notes on edges that may have changed. */
  finish(): ModelGraph {
    const counts = this.useCounts();
    const initializers = new Map([...this.#initializers].filter(([name]) => counts.has(name)));
    const { graph } = this.#model;
    return {
      ...this.#model,
      irVersion: Math.max(this.#irVersion, IR_WITH_FREE_INITIALIZERS),
      opsets: this.#opsets,
      functions: this.functions,
      producerName: "lightfoot",
      graph: {
        ...graph,
        nodes: this.nodes,
        initializers,
        inputs: this.#inputs.filter((input) => !this.#initializers.has(input.name)),
        valueInfo: [],
        quantizationAnnotations: [],
      },
    };
  }
}
