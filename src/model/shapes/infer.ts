// Shape inference over a whole model: walks nodes in file order, applies the rule of each and follows constants; may depend
// on the rules, graph and errors.
import { asLightfootError, LightfootError } from "../../errors/lightfoot-error.ts";
import type { Dim, FunctionDefinition, Graph, ModelGraph, Node, TensorRef, ValueInfo, ValueType } from "../graph.ts";
import type { KnownValue, OperatorCall, Sizes } from "./call.ts";
import { loadConstants } from "./constants.ts";
import { inferControlFlow, isControlFlow, type Scope } from "./control-flow.ts";
import { canonical, substitute, type Size } from "./expression.ts";
import { foldValues } from "./fold.ts";
import { functionKey, instantiate } from "./functions.ts";
import {
  nodePath,
  typeIn,
  valueIn,
  type Body,
  type GraphInference,
  type ShapeInference,
  type UnknownShape,
} from "./inference.ts";
import { ruleFor } from "./rules/index.ts";

export interface InferOptions {
  /** Shapes for graph inputs; they replace the declared ones and fix the symbols these use. */
  readonly inputs?: Readonly<Record<string, readonly Dim[]>>;
}

/** A dimension that nothing names is the symbol `input[axis]`. */
function namedShape(info: ValueInfo, shape: readonly Dim[], bindings: ReadonlyMap<string, Size>): Sizes {
  return shape.map((size, axis) => {
    const open = size === null || size === "" || (typeof size === "number" && size < 0);
    return substitute(canonical(open ? `${info.name}[${axis}]` : size), bindings);
  });
}

function bind(model: ModelGraph, options: InferOptions): Map<string, Size> {
  const bindings = new Map<string, Size>();
  for (const info of model.graph.inputs) {
    const given = options.inputs?.[info.name];
    if (given === undefined || info.type?.kind !== "tensor" || info.type.shape === undefined) continue;
    const declared = namedShape(info, info.type.shape, new Map());
    declared.forEach((size, axis) => {
      const value = given[axis];
      if (typeof size === "string" && value !== null && value !== undefined) bindings.set(size, canonical(value));
    });
  }
  return bindings;
}

/** A function that calls itself would recurse without end; real files nest a handful of levels. */
const NESTING_LIMIT = 64;

class Inference {
  readonly types = new Map<Graph, ReadonlyMap<string, ValueType>>();
  readonly constants = new Map<Graph, ReadonlyMap<string, KnownValue>>();
  readonly unknown = new Map<string, UnknownShape>();
  private readonly functions: ReadonlyMap<string, FunctionDefinition>;
  private readonly loaded: ReadonlyMap<TensorRef, KnownValue>;
  private readonly bindings: ReadonlyMap<string, Size>;

  constructor(model: ModelGraph, loaded: ReadonlyMap<TensorRef, KnownValue>, bindings: ReadonlyMap<string, Size>) {
    this.functions = new Map(model.functions.map((definition) => [functionKey(definition), definition]));
    this.loaded = loaded;
    this.bindings = bindings;
  }

  /** A graph whose inputs have these types, and values where they are known. */
  graph(
    graph: Graph,
    place: Pick<GraphInference, "path" | "parent" | "depth" | "opsets">,
    inputs: readonly (ValueType | undefined)[],
    inputValues: readonly (KnownValue | undefined)[] = [],
  ): GraphInference {
    if (place.depth > NESTING_LIMIT) {
      throw new LightfootError("E_LIMIT", `subgraphs or functions nest deeper than ${NESTING_LIMIT} levels`);
    }
    const types = new Map<string, ValueType>();
    const values = new Map<string, KnownValue>();
    const bodies = new Map<Node, readonly Body[]>();
    const { path, parent, depth, opsets } = place;
    const result: GraphInference = { graph, path, parent, depth, opsets, types, values, bodies };
    graph.inputs.forEach((info, i) => {
      const type = inputs[i] ?? this.declaredType(info);
      if (type !== undefined) types.set(info.name, type);
      const value = inputValues[i];
      if (value !== undefined) values.set(info.name, value);
    });
    for (const [name, { dtype, shape }] of graph.initializers) types.set(name, { kind: "tensor", dtype, shape });
    for (const [name, ref] of graph.initializers) {
      const value = this.loaded.get(ref);
      if (value !== undefined) values.set(name, value);
    }
    for (const [name, { values: data, shape }] of graph.sparseInitializers) {
      types.set(name, { kind: "tensor", dtype: data.dtype, shape });
    }
    const declared = new Map([...graph.valueInfo, ...graph.outputs].map((info) => [info.name, info]));
    graph.nodes.forEach((node, index) => this.node(node, nodePath(place.path, node, index), result, bodies, declared));
    this.types.set(graph, types);
    this.constants.set(graph, values);
    return result;
  }

  declaredType(info: ValueInfo | undefined): ValueType | undefined {
    const type = info?.type;
    if (type?.kind !== "tensor" || type.shape === undefined || info === undefined) return type;
    return { ...type, shape: namedShape(info, type.shape, this.bindings) };
  }

  private node(
    node: Node,
    path: string,
    scope: GraphInference,
    bodies: Map<Node, readonly Body[]>,
    declared: ReadonlyMap<string, ValueInfo>,
  ): void {
    const call = this.call(node, path, scope);
    const { results, values, reason } = this.apply(call, node, path, scope, bodies);
    let missing = reason;
    node.outputs.forEach((name, i) => {
      if (name === "") return;
      const type = completed(results[i], this.declaredType(declared.get(name)));
      if (type !== undefined) (scope.types as Map<string, ValueType>).set(name, type);
      if (type === undefined || (type.kind === "tensor" && type.shape === undefined)) {
        missing ??= `no rule gives the type of output '${name}'`;
      } else if (results[i] === undefined && i === 0) missing = undefined;
      const value = values[i];
      if (value !== undefined) (scope.values as Map<string, KnownValue>).set(name, value);
    });
    if (missing === undefined) this.unknown.delete(path);
    else this.unknown.set(path, { path, opType: node.opType, reason: missing });
  }

  private call(node: Node, path: string, scope: GraphInference): OperatorCall {
    return {
      node,
      opset: scope.opsets.get(node.domain) ?? scope.opsets.get("") ?? 1,
      inputs: node.inputs.map((name) => (name === "" ? undefined : typeIn(scope, name))),
      values: node.inputs.map((name) => (name === "" ? undefined : valueIn(scope, name))),
      // Names repeat between branches and calls, and equal symbols must mean equal sizes: the path makes them unique.
      fresh: (output, axis) => {
        const name = node.outputs[output] ?? `${output}`;
        return `${scope.path === "" ? name : `${path}/${name}`}[${axis}]`;
      },
    };
  }

  private apply(
    call: OperatorCall,
    node: Node,
    path: string,
    scope: GraphInference,
    bodies: Map<Node, readonly Body[]>,
  ): {
    results: readonly (ValueType | undefined)[];
    values: readonly (KnownValue | undefined)[];
    reason: string | undefined;
  } {
    const none = { results: [], values: [] };
    try {
      const definition = this.functions.get(functionKey({ ...node, name: node.opType }));
      if (definition !== undefined)
        return { ...this.callFunction(definition, call, path, scope, bodies), reason: undefined };
      if (isControlFlow(node)) {
        const run: Scope["run"] = (name, graph, inputs, values) =>
          this.graph(
            graph,
            { ...scope, path: `${path}/${name}`, parent: scope, depth: scope.depth + 1 },
            inputs,
            values,
          );
        const outcome = inferControlFlow(call, { run });
        bodies.set(node, outcome.bodies);
        return { results: outcome.types, values: outcome.values, reason: outcome.reason };
      }
      const rule = ruleFor(node.domain, node.opType);
      if (rule === undefined) {
        const name = node.domain === "" ? node.opType : `${node.domain}:${node.opType}`;
        return { ...none, reason: `operator ${name} has no shape rule` };
      }
      const results = rule(call).slice(0, node.outputs.length);
      return { results, values: foldValues(call, results, this.loaded), reason: undefined };
    } catch (thrown) {
      const error = asLightfootError(thrown);
      if (error.code === "E_SHAPE_UNKNOWN") return { ...none, reason: error.message };
      if (error.code !== "E_SHAPE" || error.where !== undefined) throw error;
      throw new LightfootError("E_SHAPE", `${node.opType} '${path}': ${error.message}`, {
        where: { path },
        cause: thrown,
      });
    }
  }

  private callFunction(
    definition: FunctionDefinition,
    call: OperatorCall,
    path: string,
    scope: GraphInference,
    bodies: Map<Node, readonly Body[]>,
  ) {
    const body = instantiate(definition, call.node);
    const place = { path, parent: undefined, depth: scope.depth + 1, opsets: definition.opsets };
    const inference = this.graph(body, place, call.inputs, call.values);
    bodies.set(call.node, [{ name: definition.name, kind: "function", inference, executions: 1 }]);
    return {
      results: definition.outputs.map((name) => inference.types.get(name)),
      values: definition.outputs.map((name) => inference.values.get(name)),
    };
  }
}

/** An inferred type, filled from the file's annotation where nothing was inferred. */
function completed(found: ValueType | undefined, declared: ValueType | undefined): ValueType | undefined {
  if (found === undefined) return declared;
  if (found.kind === "tensor" && found.shape === undefined && declared?.kind === "tensor") {
    return { ...found, shape: declared.shape };
  }
  return found;
}

/**
 * Types and known values of every edge, as far as they follow from the inputs.
 *
 * Dimensions are numbers, symbols or expressions over symbols (`2*batch`, `floor((H + 1)/2)`) in one canonical text; a
 * size that only data decides is the symbol `value[axis]`. Nodes whose outputs stay unknown are listed with the reason.
 *
 * @throws LightfootError E_SHAPE when shapes contradict each other, E_LIMIT on absurd nesting
 * @example shapeOf(await inferShapes(model, { inputs: { x: [1, 3, 224, 224] } }), model.graph, "logits")
 */
export async function inferShapes(model: ModelGraph, options: InferOptions = {}): Promise<ShapeInference> {
  return inferShapesWith(model, await loadConstants(model), options);
}

/** The same with constants that were read before, for callers that infer one model at several shapes. */
export function inferShapesWith(
  model: ModelGraph,
  loaded: ReadonlyMap<TensorRef, KnownValue>,
  options: InferOptions = {},
): ShapeInference {
  const bindings = bind(model, options);
  const inference = new Inference(model, loaded, bindings);
  const inputs = model.graph.inputs.map((info): ValueType | undefined => {
    const given = options.inputs?.[info.name];
    const type = inference.declaredType(info);
    return given === undefined || type?.kind !== "tensor"
      ? type
      : { ...type, shape: namedShape(info, given, bindings) };
  });
  const root = inference.graph(model.graph, { path: "", parent: undefined, depth: 0, opsets: model.opsets }, inputs);
  const { types, constants, unknown } = inference;
  return { root, types, constants, unknown: [...unknown.values()], bindings };
}

/** The shape of a tensor in a graph of the model; undefined when it is unknown. */
export function shapeOf(inference: ShapeInference, graph: Graph, name: string): Sizes | undefined {
  const type = inference.types.get(graph)?.get(name);
  return type?.kind === "tensor" ? (type.shape as Sizes | undefined) : undefined;
}
