// What shape inference found: types and values of every graph, nested bodies and what stayed unknown; may depend on graph.
import type { Graph, Node, ValueType } from "../graph.ts";
import type { KnownValue } from "./call.ts";
import type { Size } from "./expression.ts";

/** A node of which some output's shape is not known, and why. */
export interface UnknownShape {
  readonly path: string;
  readonly opType: string;
  readonly reason: string;
}

/** What is known about one graph, subgraph or function body as it is used at one place. */
export interface GraphInference {
  readonly graph: Graph;
  /** "" for the main graph, else the path of the owning node and the body's name. */
  readonly path: string;
  readonly parent: GraphInference | undefined;
  readonly depth: number;
  /** Types of inputs, initializers and node outputs of this graph, by name. */
  readonly types: ReadonlyMap<string, ValueType>;
  readonly values: ReadonlyMap<string, KnownValue>;
  readonly opsets: ReadonlyMap<string, number>;
  /** Branches, loop bodies and the bodies of model-local functions, by the node that runs them. */
  readonly bodies: ReadonlyMap<Node, readonly Body[]>;
}

export interface ShapeInference {
  readonly root: GraphInference;
  readonly types: ReadonlyMap<Graph, ReadonlyMap<string, ValueType>>;
  readonly constants: ReadonlyMap<Graph, ReadonlyMap<string, KnownValue>>;
  readonly unknown: readonly UnknownShape[];
  /** Symbols of the model's inputs that the given inputs fixed. */
  readonly bindings: ReadonlyMap<string, Size>;
}

/** A graph that a node runs. */
export interface Body {
  readonly name: string;
  readonly kind: "branch" | "loop" | "function";
  readonly inference: GraphInference;
  /** How often one run of the node runs it: a loop's trips; undefined when only the data decides. */
  readonly executions: Size | undefined;
  /** For a branch whose condition is constant: whether it is the one that runs. */
  readonly taken?: boolean;
}

/** The type of a value where it is used: of this graph or of one around it. */
export function typeIn(inference: GraphInference | undefined, name: string): ValueType | undefined {
  for (let scope = inference; scope !== undefined; scope = scope.parent) {
    const type = scope.types.get(name);
    if (type !== undefined) return type;
  }
  return undefined;
}

/** The path of a node in reports: its name, or type and position when it has none. */
export function nodePath(scope: string, node: Node, index: number): string {
  const own = node.name === "" ? `${node.opType}_${index}` : node.name;
  return scope === "" ? own : `${scope}/${own}`;
}

/** The value of a constant where it is used. */
export function valueIn(inference: GraphInference | undefined, name: string): KnownValue | undefined {
  for (let scope = inference; scope !== undefined; scope = scope.parent) {
    if (scope.types.has(name)) return scope.values.get(name);
  }
  return undefined;
}
