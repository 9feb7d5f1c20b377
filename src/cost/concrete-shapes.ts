// Concrete shapes for every edge of a model: what the caller gives, then the batch, then a guess with an assumption; may depend on
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
 * Shapes at the given input sizes. A symbol that stays open becomes 1, or a larger usual size where 1 does not fit the graph,
 * and an assumption says so; where none fits the shapes stay symbolic.
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
  let misfit: LightfootError | undefined;
  for (const attempt of ATTEMPTS) {
    const { bindings, guessed } = bindOpen(open, batch, attempt);
    const shapes: Record<string, readonly number[]> = { ...inputs };
    for (const { name, sizes } of open) shapes[name] = sizes.map((size) => Number(substitute(size, bindings)));
    try {
      const inference = inferShapesWith(model, constants, { inputs: shapes });
      for (const assumption of guessed) assumptions.set(assumption.key, assumption);
      return inference;
    } catch (thrown) {
      // A wrong guess is ours, not the user's: only shapes that were all given may end in an error.
      if (!(thrown instanceof LightfootError) || thrown.code !== "E_SHAPE" || guessed.length === 0) throw thrown;
      misfit = thrown;
    }
  }
  assumptions.set("shape.open", {
    key: "shape.open",
    text: `no usual size for the open dimensions fits this graph (${misfit?.message}), so the work that depends on them is missing; give them with --input`,
  });
  return given;
}

/** What open dimensions behind the batch become. */
interface Attempt {
  readonly size: number;
  /** Only those with nothing but open dimensions behind them (image sides, samples): a state `[2, ?, 128]` hides a batch. */
  readonly trailing: boolean;
}

/** Tried in order: 1 leaves nothing of an image that is halved five times. */
const USUAL_SIZES = [32, 64, 128, 224, 256, 512, 1024];
const ATTEMPTS: readonly Attempt[] = [
  { size: 1, trailing: false },
  ...[true, false].flatMap((trailing) => USUAL_SIZES.map((size) => ({ size, trailing }))),
];

interface OpenInput {
  readonly name: string;
  readonly sizes: readonly Size[];
}

/**
 * A number for every open symbol: the batch or 1 where it stands first in an input, else the guess. One symbol is one size, wherever
 * it stands: `h` `[2, batch, 64]` follows `x` `[batch, 80]`.
 */
function bindOpen(
  open: readonly OpenInput[],
  batch: number | undefined,
  attempt: Attempt,
): { bindings: Map<string, number>; guessed: Assumption[] } {
  const first = new Set(open.map(({ sizes }) => sizes[0] ?? 0).filter(isSymbol));
  const bindings = new Map<string, number>();
  if (batch !== undefined) for (const symbol of first) bindings.set(symbol, batch);
  const guessed: Assumption[] = [];
  const uses = open.flatMap(({ name, sizes }) =>
    sizes.flatMap((dimension, axis) => {
      const trailing = sizes.slice(axis).every((size) => typeof size === "string");
      return symbolsOf(dimension).map((symbol) => ({ name, symbol, trailing }));
    }),
  );
  for (const { name, symbol, trailing } of uses) {
    if (!bindings.has(symbol)) {
      const size = first.has(symbol) || (attempt.trailing && !trailing) ? 1 : attempt.size;
      bindings.set(symbol, size);
      const why = size === 1 ? "" : `, the first usual size that fits`;
      const how = first.has(symbol) ? `--input ${name}=… or --batch` : `--input ${name}=…`;
      const text = `the open dimension '${symbol}' of input '${name}' is ${size}${why}; give it with ${how}`;
      guessed.push({ key: `shape.${symbol}`, text });
    }
  }
  return { bindings, guessed };
}

/** `x=?x3x224x224`, as `--input` takes it once the open sizes are filled in. */
const inputNotation = ({ name, type }: ValueInfo): string =>
  `${name}=${type?.kind === "tensor" && type.shape !== undefined ? type.shape.map((size) => (typeof size === "number" && size >= 0 ? size : "?")).join("x") : "?"}`;

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
