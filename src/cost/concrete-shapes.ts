// Concrete shapes for every edge of a model: what the caller gives, then the batch, then 1 with an assumption; may depend on
// model, quantity and errors.
import { closestName } from "../errors/closest-name.ts";
import { LightfootError } from "../errors/lightfoot-error.ts";
import type { Graph, ModelGraph, ValueInfo } from "../model/graph.ts";
import { loadConstants } from "../model/shapes/constants.ts";
import { isSymbol, substitute, symbolsOf, type Size } from "../model/shapes/expression.ts";
import { inferShapesWith } from "../model/shapes/infer.ts";
import type { ShapeInference } from "../model/shapes/inference.ts";
import type { Assumption } from "../quantity/figure.ts";

/** What the caller says about the inputs' sizes. */
export interface GivenShapes {
  /** Concrete shapes of inputs by name. */
  readonly inputs?: Readonly<Record<string, readonly number[]>>;
  /** Size of every input's first dimension that the file leaves open; 1 if left out. */
  readonly batch?: number;
}

/** Old files list initializers among the inputs: those are defaults, not data to feed. */
export const realInputs = (graph: Graph): readonly ValueInfo[] =>
  graph.inputs.filter(({ name }) => !graph.initializers.has(name));

/**
 * Shapes at the given input sizes. Every symbol that stays open becomes 1 and an assumption says so; where 1 does not fit the graph
 * the shapes stay symbolic.
 * @throws LightfootError E_USAGE for inputs that the model does not have or fixes at other sizes, E_SHAPE for contradictions
 */
export async function concreteShapes(
  model: ModelGraph,
  options: GivenShapes,
  assumptions: Map<string, Assumption>,
): Promise<ShapeInference> {
  const { batch, inputs = {} } = options;
  const known = realInputs(model.graph);
  checkInputs(known, inputs, batch);
  const constants = await loadConstants(model);
  const given = inferShapesWith(model, constants, { inputs });
  const open = known.flatMap(({ name }) => {
    const type = given.root.types.get(name);
    const sizes =
      type?.kind === "tensor" && !Object.hasOwn(inputs, name) ? (type.shape as readonly Size[] | undefined) : undefined;
    return sizes === undefined ? [] : [{ name, sizes }];
  });
  const bindings = bindOpen(open, batch, assumptions);
  const shapes: Record<string, readonly number[]> = { ...inputs };
  for (const { name, sizes } of open) shapes[name] = sizes.map((size) => Number(substitute(size, bindings)));
  try {
    return inferShapesWith(model, constants, { inputs: shapes });
  } catch (thrown) {
    if (!(thrown instanceof LightfootError) || thrown.code !== "E_SHAPE" || assumptions.size === 0) throw thrown;
    // Size 1 is a guess, and a window of 512 samples does not fit into 1: what needs no guess is still worth having.
    assumptions.clear();
    assumptions.set("shape.open", {
      key: "shape.open",
      text: `open dimensions of size 1 do not fit this graph (${thrown.message}), so the work that depends on them is missing; give them with --input`,
    });
    return given;
  }
}

/** A number for every open symbol. One symbol is one size, wherever it stands: `h` `[2, batch, 64]` follows `x` `[batch, 80]`. */
function bindOpen(
  open: readonly { readonly name: string; readonly sizes: readonly Size[] }[],
  batch: number | undefined,
  assumptions: Map<string, Assumption>,
): Map<string, number> {
  const bindings = new Map<string, number>();
  if (batch !== undefined)
    for (const { sizes } of open) if (isSymbol(sizes[0] ?? 0)) bindings.set(`${sizes[0]}`, batch);
  for (const { name, sizes } of open) {
    for (const symbol of sizes.flatMap(symbolsOf)) {
      if (bindings.has(symbol)) continue;
      bindings.set(symbol, 1);
      const key = `shape.${symbol}`;
      const text = `the open dimension '${symbol}' of input '${name}' is 1; give it with --input ${name}=… or --batch`;
      assumptions.set(key, { key, text });
    }
  }
  return bindings;
}

const inputNotation = ({ name, type }: ValueInfo): string =>
  `${name}=${type?.kind === "tensor" && type.shape !== undefined ? type.shape.map((size) => size ?? "?").join("x") : "?"}`;

function checkInputs(
  known: readonly ValueInfo[],
  inputs: Readonly<Record<string, readonly number[]>>,
  batch: number | undefined,
): void {
  const hint = `The model's inputs are ${known.map(inputNotation).join(", ")}.`;
  for (const [name, shape] of Object.entries(inputs)) {
    const info = known.find((one) => one.name === name);
    if (info === undefined) {
      const near = closestName(
        name,
        known.map((one) => one.name),
      );
      throw new LightfootError(
        "E_USAGE",
        `the model has no input '${name}'${near === undefined ? "" : `; did you mean '${near}'?`}`,
        {
          hint,
        },
      );
    }
    const declared = info.type?.kind === "tensor" ? info.type.shape : undefined;
    if (declared !== undefined && declared.length !== shape.length) {
      const message = `--input ${name}=${shape.join("x")} has ${shape.length} dimensions, the model declares ${declared.length}`;
      throw new LightfootError("E_USAGE", message, { hint });
    }
    declared?.forEach((size, axis) => {
      if (typeof size !== "number" || size < 0 || size === shape[axis]) return;
      const message = `--input ${name}=${shape.join("x")}: the model fixes dimension ${axis} at ${size}`;
      throw new LightfootError("E_USAGE", message, { hint });
    });
  }
  const open = known.some(({ name, type }) => {
    if (type?.kind !== "tensor" || Object.hasOwn(inputs, name)) return false;
    const first = type.shape?.[0];
    return typeof first !== "number" || first < 0;
  });
  if (batch !== undefined && !open) {
    throw new LightfootError("E_USAGE", `--batch ${batch}: no input has an open first dimension`, { hint });
  }
}
