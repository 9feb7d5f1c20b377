// Shape inference through If, Loop, Scan and SequenceMap; may depend on the call, attributes and dimension arithmetic.
import { intAttribute, intsAttribute, subgraphsOf } from "../attributes.ts";
import type { Graph, Node, ValueType } from "../graph.ts";
import { contradiction, tensor, type KnownValue, type OperatorCall, type Sizes } from "./call.ts";
import { valueIn, typeIn, type Body, type GraphInference } from "./inference.ts";
import { joinTypes } from "./rules/generator.ts";
import type { Size } from "./expression.ts";

/** What control flow needs of the engine: inference of a body at given input types. */
export interface Scope {
  readonly run: (
    name: string,
    graph: Graph,
    inputs: readonly (ValueType | undefined)[],
    values?: readonly (KnownValue | undefined)[],
  ) => GraphInference;
}

interface Outcome {
  readonly types: readonly (ValueType | undefined)[];
  readonly values: readonly (KnownValue | undefined)[];
  readonly bodies: readonly Body[];
  readonly reason: string | undefined;
}

const RULES: Readonly<Record<string, (call: OperatorCall, scope: Scope) => Outcome>> = {
  If: inferIf,
  Loop: inferLoop,
  Scan: inferScan,
  SequenceMap: inferSequenceMap,
};

export const isControlFlow = (node: Node): boolean =>
  (node.domain === "" || node.domain === "ai.onnx") && Object.hasOwn(RULES, node.opType);

export const inferControlFlow = (call: OperatorCall, scope: Scope): Outcome => RULES[call.node.opType](call, scope);

function bodyOf(call: OperatorCall, name: string): Graph {
  const found = subgraphsOf(call.node).find((entry) => entry.name === name)?.graph;
  if (found === undefined) throw contradiction(`attribute '${name}' is missing`);
  return found;
}

const outputTypes = (inference: GraphInference): (ValueType | undefined)[] =>
  inference.graph.outputs.map(({ name }) => typeIn(inference, name));

function inferIf(call: OperatorCall, scope: Scope): Outcome {
  const condition = call.values[0]?.elements[0];
  const decided = typeof condition === "number" ? (condition !== 0 ? "then_branch" : "else_branch") : undefined;
  const bodies: Body[] = [];
  let reason: string | undefined;
  for (const name of ["then_branch", "else_branch"]) {
    try {
      const inference = scope.run(name, bodyOf(call, name), []);
      bodies.push({ name, kind: "branch", inference, executions: 1, ...(decided && { taken: name === decided }) });
    } catch (thrown) {
      // Only the branch that runs has to fit the shapes; the other one may be there for inputs of another rank.
      if (name === decided || !(thrown instanceof Error && "code" in thrown && thrown.code === "E_SHAPE")) throw thrown;
      if (decided === undefined) reason = `${name} does not fit these shapes: ${thrown.message}`;
    }
  }
  const taken = bodies.filter((body) => body.taken ?? true);
  if (taken.length === 0) throw contradiction("neither branch fits the shapes");
  const types = taken.map((body) => outputTypes(body.inference));
  const joined = types[0].map((type, i) =>
    types.slice(1).reduce((left, right) => joinTypes(left, right[i], (axis) => call.fresh(i, axis)), type),
  );
  const values =
    taken.length === 1 ? taken[0].inference.graph.outputs.map(({ name }) => valueIn(taken[0].inference, name)) : [];
  const unlike = joined.some((type) => type === undefined) ? "the branches give unlike types" : undefined;
  return { types: joined, values, bodies, reason: reason ?? unlike };
}

/** Runs a body until the types of what it carries around settle: a changing axis becomes a fresh size. */
function settle(
  call: OperatorCall,
  carried: readonly (ValueType | undefined)[],
  run: (types: readonly (ValueType | undefined)[]) => GraphInference,
  skipOutputs: number,
): { inference: GraphInference; types: readonly (ValueType | undefined)[] } {
  let types = carried;
  // Each round can only widen an axis or a rank, so a few rounds suffice for any nesting that exporters make.
  for (let round = 0; ; round += 1) {
    const inference = run(types);
    const after = outputTypes(inference).slice(skipOutputs, skipOutputs + carried.length);
    const joined = types.map((type, i) => {
      // An empty starting sequence has no element shape yet: the body's gives it.
      if (type?.kind === "sequence" && type.element?.kind === "tensor" && type.element.shape === undefined)
        return after[i];
      return joinTypes(type, after[i], (axis) => call.fresh(i, axis)) ?? type;
    });
    const stable = joined.every((type, i) => JSON.stringify(type) === JSON.stringify(types[i]));
    if (stable || round === 4) return { inference, types: joined };
    types = joined;
  }
}

function inferLoop(call: OperatorCall, scope: Scope): Outcome {
  const body = bodyOf(call, "body");
  const { inference, types } = settle(
    call,
    call.inputs.slice(2),
    (carried) => scope.run("body", body, [tensor("int64", []), tensor("bool", []), ...carried]),
    1,
  );
  const limit = call.values[0]?.elements[0];
  const goesOn = continues(call, body, inference);
  const executions = limit != null && goesOn ? limit : undefined;
  const scans = outputTypes(inference)
    .slice(1 + types.length)
    .map((type, i) => stacked(type, 0, executions ?? call.fresh(types.length + i, 0)));
  return {
    types: [...types, ...scans],
    values: [],
    bodies: [{ name: "body", kind: "loop", inference, executions }],
    reason: undefined,
  };
}

/** Whether the loop's own condition never ends it: it starts true and the body gives back true or what it got. */
function continues(call: OperatorCall, body: Graph, inference: GraphInference): boolean {
  const start = (call.node.inputs[1] ?? "") === "" || (call.values[1]?.elements[0] ?? 0) === 1;
  const out = body.outputs[0]?.name ?? "";
  const source = body.nodes.find((node) => node.outputs.includes(out));
  const passed = source?.opType === "Identity" ? source.inputs[0] : out;
  return start && (passed === body.inputs[1]?.name || valueIn(inference, out)?.elements[0] === 1);
}

function stacked(type: ValueType | undefined, axis: number, trips: Size): ValueType | undefined {
  if (type?.kind !== "tensor" || type.shape === undefined) return type;
  const at = axis < 0 ? axis + type.shape.length + 1 : axis;
  return { ...type, shape: type.shape.toSpliced(at, 0, trips) };
}

function inferScan(call: OperatorCall, scope: Scope): Outcome {
  const body = bodyOf(call, "body");
  // Opset 8 has a batch axis in front of everything and optional sequence lengths as input 0.
  const batched = call.opset < 9;
  const inputs = batched ? call.inputs.slice(1) : call.inputs;
  const scanCount = intAttribute(call.node, "num_scan_inputs", 1);
  const stateCount = inputs.length - scanCount;
  const axes = intsAttribute(call.node, "scan_input_axes") ?? [];
  let trips: Size | undefined;
  const elements = inputs.slice(stateCount).map((type, i) => {
    if (type?.kind !== "tensor" || type.shape === undefined) return type;
    const shape = type.shape as Sizes;
    const axis = batched ? 1 : (axes[i] ?? 0) < 0 ? axes[i] + shape.length : (axes[i] ?? 0);
    trips = shape[axis];
    return tensor(
      type.dtype,
      shape.filter((_, at) => at !== axis && !(batched && at === 0)),
    );
  });
  const batch = batched ? firstSize(inputs) : undefined;
  const states = inputs.slice(0, stateCount).map((type) => (batched ? withoutBatch(type) : type));
  const { inference, types } = settle(call, states, (carried) => scope.run("body", body, [...carried, ...elements]), 0);
  const outAxes = intsAttribute(call.node, "scan_output_axes") ?? [];
  const scans = outputTypes(inference)
    .slice(stateCount)
    .map((type, i) => stacked(type, outAxes[i] ?? 0, trips ?? call.fresh(stateCount + i, 0)));
  const all = [...types, ...scans].map((type) => (batch === undefined ? type : stacked(type, 0, batch)));
  return {
    types: all,
    values: [],
    bodies: [{ name: "body", kind: "loop", inference, executions: trips }],
    reason: undefined,
  };
}

function firstSize(types: readonly (ValueType | undefined)[]): Size | undefined {
  const type = types.find((entry) => entry?.kind === "tensor" && entry.shape !== undefined);
  return type?.kind === "tensor" ? (type.shape?.[0] ?? undefined) : undefined;
}

function withoutBatch(type: ValueType | undefined): ValueType | undefined {
  return type?.kind === "tensor" && type.shape !== undefined ? { ...type, shape: type.shape.slice(1) } : type;
}

function inferSequenceMap(call: OperatorCall, scope: Scope): Outcome {
  const elements = call.inputs.map((type) => (type?.kind === "sequence" ? type.element : type));
  const inference = scope.run("body", bodyOf(call, "body"), elements);
  const types = outputTypes(inference).map((element): ValueType => ({ kind: "sequence", element }));
  return {
    types,
    values: [],
    bodies: [{ name: "body", kind: "loop", inference, executions: undefined }],
    reason: undefined,
  };
}
