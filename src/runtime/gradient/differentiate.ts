// Reverse-mode differentiation of a list of nodes; may depend on model, the emitter and the rules.
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { isFloat, type DType } from "../../model/dtype.ts";
import type { Node } from "../../model/graph.ts";
import type { Emitter } from "./emitter.ts";
import { flat, type RuleContext } from "./rule.ts";
import { ruleOf } from "./rules/index.ts";

/** What is known about the values of a forward graph before it runs. */
export interface StaticValues {
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  readonly dtypes: ReadonlyMap<string, DType>;
  /** Elements of the values that depend on constants and shapes alone. */
  readonly constants: ReadonlyMap<string, readonly number[]>;
}

export interface DifferentiationRequest {
  /** Forward nodes in topological order; a rule may add optional outputs to one, so entries are replaced in place. */
  readonly forward: Node[];
  readonly values: StaticValues;
  /** dLoss/dValue where the loss reads the forward graph, by value name. */
  readonly seeds: ReadonlyMap<string, string>;
  /** The values whose gradients are wanted. */
  readonly wanted: ReadonlySet<string>;
  readonly emit: Emitter;
}

/**
 * Appends to `emit` the nodes that compute dLoss/d(wanted), and gives the gradients' names.
 *
 * A wanted value that the loss does not depend on has no entry. Values used several times get the sum of their
 * gradients. Nothing is emitted for values that no wanted tensor reaches.
 * @throws LightfootError E_GRADIENT naming node, operator and what to freeze, where an operator has no rule
 * @see Griewank and Walther 2008, Evaluating Derivatives, chapter 3
 */
export function differentiate(request: DifferentiationRequest): Map<string, string> {
  const { forward, seeds, wanted, emit } = request;
  const active = activeValues(request);
  const contributions = new Map<string, string[]>([...seeds].map(([value, gradient]) => [value, [gradient]]));
  const totals = new Map<string, string>();

  function gradientOf(value: string): string | undefined {
    const known = totals.get(value);
    if (known !== undefined) return known;
    const parts = contributions.get(value);
    if (parts === undefined) return undefined;
    const total = parts.length === 1 ? parts[0] : emit.op(parts.length === 2 ? "Add" : "Sum", parts);
    totals.set(value, total);
    return total;
  }

  for (let index = forward.length - 1; index >= 0; index--) {
    const node = forward[index];
    if (!node.inputs.some((input) => active.has(input))) continue;
    const outputGradients = node.outputs.map((output) => (active.has(output) ? gradientOf(output) : undefined));
    if (outputGradients.every((gradient) => gradient === undefined)) continue;
    const rule = ruleOf(node);
    if (rule === undefined) throw noRule(node, request);
    const context = contextOf(request, index, outputGradients, active);
    for (const [input, gradient] of rule(context).entries()) {
      const name = node.inputs[input];
      if (gradient === undefined || !active.has(name)) continue;
      const parts = contributions.get(name);
      if (parts === undefined) contributions.set(name, [gradient]);
      else parts.push(gradient);
    }
  }

  const gradients = new Map<string, string>();
  for (const name of wanted) {
    const gradient = gradientOf(name);
    if (gradient !== undefined) gradients.set(name, gradient);
  }
  return gradients;
}

/** Values that a wanted tensor reaches through operators that carry a gradient. */
function activeValues({ forward, values, wanted }: DifferentiationRequest): Set<string> {
  const active = new Set(wanted);
  for (const node of forward) {
    if (!node.inputs.some((input) => active.has(input)) || ruleOf(node) === flat) continue;
    for (const output of node.outputs) {
      const dtype = values.dtypes.get(output);
      const carries = dtype === undefined || isFloat(dtype) || node.opType === "QuantizeLinear";
      if (output !== "" && carries) active.add(output);
    }
  }
  return active;
}

function contextOf(
  { forward, values, emit }: DifferentiationRequest,
  index: number,
  outputGradients: readonly (string | undefined)[],
  active: ReadonlySet<string>,
): RuleContext {
  const node = forward[index];
  const known = <T>(found: T | undefined, what: string, name: string): T => {
    if (found !== undefined) return found;
    throw new LightfootError(
      "E_GRADIENT",
      `${what} of '${name}' at ${node.opType} '${node.name}' is not known before the graph runs`,
      {
        hint: "Give every free dimension a size through the training data, or freeze the weights before this node.",
        where: { path: node.name },
      },
    );
  };
  return {
    node,
    inputs: node.inputs,
    outputs: node.outputs,
    outputGradients,
    wants: (input) => active.has(node.inputs[input] ?? ""),
    shape: (name) => known(values.shapes.get(name), "the shape", name),
    dtype: (name) => known(values.dtypes.get(name), "the type", name),
    constant: (name) => known(values.constants.get(name), "the content", name),
    auxiliary: (output) => {
      const current = forward[index];
      const existing = current.outputs[output];
      if (existing !== undefined && existing !== "") return existing;
      const outputs = Array.from({ length: Math.max(output + 1, current.outputs.length) }, (_, at) =>
        at === output ? emit.fresh(`${current.opType}_aux`) : (current.outputs[at] ?? ""),
      );
      // ONNX Runtime wants the outputs before an optional one to have names as well.
      const named = outputs.map((name) => (name === "" ? emit.fresh(`${current.opType}_unused`) : name));
      forward[index] = { ...current, outputs: named };
      return named[output];
    },
    emit,
  };
}

/** Names the operator, and the wanted tensors before it, which are the ones to freeze. */
function noRule(node: Node, { forward, wanted }: DifferentiationRequest): LightfootError {
  const producers = new Map(
    forward.flatMap((producer) => producer.outputs.map((output) => [output, producer] as const)),
  );
  const upstream = new Set<string>();
  const seen = new Set<string>();
  const queue = [...node.inputs];
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (seen.has(name)) continue;
    seen.add(name);
    if (wanted.has(name)) upstream.add(name);
    queue.push(...(producers.get(name)?.inputs ?? []));
  }
  const frozen = [...upstream].map((name) => `'${name}'`);
  const shown = frozen.length > 6 ? [...frozen.slice(0, 6), `${frozen.length - 6} more`] : frozen;
  const domain = node.domain === "" ? "" : ` of domain '${node.domain}'`;
  return new LightfootError(
    "E_GRADIENT",
    `operator ${node.opType}${domain} (node '${node.name || node.outputs[0]}') lies between the loss and ${frozen.length} trainable tensors and has no gradient rule`,
    {
      hint: `Freeze what comes before it, with --trainable patterns that leave out ${shown.join(", ")}.`,
      where: { path: node.name || node.outputs[0] || node.opType },
    },
  );
}
