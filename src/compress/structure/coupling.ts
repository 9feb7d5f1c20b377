// Coupled channels: walks a model and finds which positions of which axes must be cut together, and which must stay; may
// depend on model, rewrite and this folder's rules.
import { subgraphsOf } from "../../model/attributes.ts";
import type { ModelGraph, Node } from "../../model/graph.ts";
import type { Sizes } from "../../model/shapes/call.ts";
import { inferShapes } from "../../model/shapes/infer.ts";
import { typeIn, valueIn, type GraphInference } from "../../model/shapes/inference.ts";
import { GraphDraft, outerNames } from "../rewrite/draft.ts";
import { nodeTitle } from "../rewrite/wiring.ts";
import { Atoms, type Axis } from "./atoms.ts";
import type { AxisSplit, Contraction, CouplingCall, Producer, Repair } from "./coupling-call.ts";
import { couplingRule } from "./rules/index.ts";

/** What a walk over a model found. All names are of `model`, in which constants are initializers. */
export interface Coupling {
  readonly model: ModelGraph;
  readonly atoms: Atoms;
  /** Atoms of the axes of every initializer that an operator reads by position. */
  readonly initializers: ReadonlyMap<string, readonly Axis[]>;
  readonly contractions: readonly Contraction[];
  readonly producers: readonly Producer[];
  readonly repairs: ReadonlyMap<Node, Repair>;
  /** Every axis with atoms that some tensor on an edge has; at least one position of each must stay. */
  readonly axes: ReadonlySet<Int32Array>;
  /** Atoms of axes along which attention runs head by head. */
  readonly heads: readonly number[];
}

/** Every name that a node reads, through its subgraphs too. */
export const readsOf = (node: Node): string[] => [
  ...node.inputs,
  ...subgraphsOf(node).flatMap(({ graph }) => [...outerNames(graph)]),
];

class Walk {
  readonly atoms = new Atoms();
  readonly initializers = new Map<string, readonly Axis[]>();
  readonly contractions: Contraction[] = [];
  readonly producers: Producer[] = [];
  readonly repairs = new Map<Node, Repair>();
  readonly splits: AxisSplit[] = [];
  readonly headAtoms: number[] = [];
  readonly axes = new Set<Int32Array>();
  readonly #values = new Map<string, readonly Axis[]>();
  readonly #model: ModelGraph;
  readonly #shapes: GraphInference;
  readonly #choices: ReadonlyMap<Node, number>;
  readonly #readers = new Map<string, Node[]>();

  constructor(model: ModelGraph, shapes: GraphInference, choices: ReadonlyMap<Node, number>) {
    this.#model = model;
    this.#shapes = shapes;
    this.#choices = choices;
    for (const node of model.graph.nodes) {
      for (const name of readsOf(node)) this.#readers.set(name, [...(this.#readers.get(name) ?? []), node]);
    }
    for (const node of model.graph.nodes) this.#visit(node);
    for (const { name } of model.graph.outputs) this.#pin(name, "it is an output of the model");
  }

  #visit(node: Node): void {
    const rule = subgraphsOf(node).length > 0 ? undefined : couplingRule(node);
    const outputs = rule?.(this.#call(node));
    if (outputs === undefined) {
      for (const name of readsOf(node)) this.#pin(name, `${nodeTitle(node)} (${node.opType}) reads it`);
      return;
    }
    node.outputs.forEach((name, at) => {
      if (name !== "" && outputs[at] !== undefined)
        this.#values.set(
          name,
          outputs[at].map((axis) => this.#edge(node, axis)),
        );
    });
  }

  /** An axis of one position has nothing to lose. */
  #edge(node: Node, axis: Axis): Axis {
    if (axis === undefined || axis.length > 1) {
      if (axis !== undefined) this.axes.add(axis);
      return axis;
    }
    this.atoms.pinAxis(axis, `it is all that ${nodeTitle(node)} gives`);
    return undefined;
  }

  #pin(name: string, reason: string): void {
    for (const axis of this.#axes(name) ?? []) this.atoms.pinAxis(axis, reason);
  }

  #sizes(name: string | undefined): Sizes | undefined {
    const type = name ? typeIn(this.#shapes, name) : undefined;
    return type?.kind === "tensor" ? (type.shape as Sizes | undefined) : undefined;
  }

  /** What no rule followed (inputs, results of unknown operators) keeps its sizes. */
  #axes(name: string): readonly Axis[] | undefined {
    const known = this.#values.get(name) ?? this.initializers.get(name);
    if (known !== undefined) return known;
    const tensor = this.#model.graph.initializers.get(name);
    if (tensor === undefined) return this.#sizes(name)?.map(() => undefined);
    const axes = tensor.shape.map((size) => (size > 1 ? this.atoms.fresh(size) : undefined));
    this.initializers.set(name, axes);
    return axes;
  }

  #numbers(name: string | undefined): readonly number[] | undefined {
    const elements = name ? valueIn(this.#shapes, name)?.elements : undefined;
    return elements?.every((element) => typeof element === "number") ? elements : undefined;
  }

  #call(node: Node): CouplingCall {
    const { opsets, graph } = this.#model;
    return {
      node,
      opset: opsets.get("") ?? opsets.get("ai.onnx") ?? 1,
      atoms: this.atoms,
      reason: `it meets something that cannot be cut at ${nodeTitle(node)} (${node.opType})`,
      sizes: (input) => this.#sizes(node.inputs[input]),
      outputSizes: (output) => this.#sizes(node.outputs[output]),
      axes: (input) => (node.inputs[input] ? this.#axes(node.inputs[input]) : undefined),
      numbers: (input) => this.#numbers(node.inputs[input]),
      isConstant: (input) => graph.initializers.has(node.inputs[input] ?? ""),
      readers: (value) => {
        if (graph.outputs.some(({ name }) => name === value)) return undefined;
        return (this.#readers.get(value) ?? []).map((reader) => {
          return { node: reader, numbers: (input) => this.#numbers(reader.inputs[input]) };
        });
      },
      choice: () => this.#choices.get(node) ?? 0,
      repair: (repair) => this.repairs.set(node, repair),
      contraction: (found) => this.contractions.push({ ...found, node }),
      producer: (found) => this.producers.push({ ...found, node }),
      split: (found) => this.splits.push({ ...found, node }),
      heads: (axis) => this.headAtoms.push(...axis),
    };
  }
}

/**
 * Which positions of which axes live and die together, over the main graph of a model.
 *
 * Positions are joined through elementwise operators and broadcasting, residual sums, concatenation, convolution (also grouped and
 * depthwise), pooling, norms with constants per channel, reshapes, and attention's batched products. Whatever an operator without
 * a rule reads, statistics run over, or the model shows outside, is pinned, with the reason.
 *
 * @throws LightfootError as `inferShapes`
 */
export async function findCoupling(model: ModelGraph): Promise<Coupling> {
  const lifted = new GraphDraft(model).finish();
  const { root } = await inferShapes(lifted);
  const choices = new Map<Node, number>();
  for (;;) {
    const walk = new Walk(lifted, root, choices);
    // A split axis whose outermost part cannot be cut (query, key and value in one) may be cut along the next.
    const stuck = walk.splits.filter(({ atoms, chosen, options }) => {
      return chosen + 1 < options && !walk.atoms.isFree(atoms);
    });
    if (stuck.length === 0) {
      const { atoms, initializers, contractions, producers, repairs, axes, headAtoms } = walk;
      return { model: lifted, atoms, initializers, contractions, producers, repairs, axes, heads: headAtoms };
    }
    for (const { node, chosen } of stuck) choices.set(node, chosen + 1);
  }
}
