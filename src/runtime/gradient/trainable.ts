// Which tensors of a model are trained: by name patterns, or by what they are used for; may depend on model.
import { LightfootError } from "../../errors/lightfoot-error.ts";
import type { Node, TensorRef } from "../../model/graph.ts";
import { readFloats } from "../../model/tensor-data.ts";
import { elementCount } from "../../model/tensor-value.ts";

/** Inputs by position that hold parameters; "all" for operators where any operand may. */
const PARAMETER_INPUTS: Readonly<Record<string, readonly number[] | "all">> = {
  Conv: [1, 2],
  ConvTranspose: [1, 2],
  Gemm: "all",
  MatMul: "all",
  Einsum: "all",
  Add: "all",
  Sub: "all",
  Mul: "all",
  PRelu: [1],
  Gather: [0],
  BatchNormalization: [1, 2],
  LayerNormalization: [1, 2],
  InstanceNormalization: [1, 2],
  GroupNormalization: [1, 2],
  Concat: "all",
  QuantizeLinear: [0],
  LSTM: [1, 2, 3],
  GRU: [1, 2, 3],
  RNN: [1, 2, 3],
};

/** Where a single number is a factor or an offset that the exporter wrote down, not a parameter. */
const ELEMENTWISE = new Set(["Add", "Sub", "Mul", "Concat"]);

/** Operators that hand a parameter on unchanged or reordered. */
const TRANSPARENT = new Set(["Identity", "Transpose", "Reshape", "Unsqueeze", "Squeeze", "Expand", "Cast"]);

/** A mask of attention adds such numbers; no trained weight has them. */
const MASK_MAGNITUDE = 1e4;

/** `*` any run of characters, `?` one character, everything else itself. */
export function matchesPattern(pattern: string, name: string): boolean {
  const source = pattern
    .replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${source}$`, "s").test(name);
}

/**
 * Names of the tensors to train.
 *
 * With patterns: every float32 initializer (or tensor of a `Constant` node) that one of them matches; a pattern that begins
 * with `!` takes names out again; with only such patterns the choice starts from the default. Without: float32 initializers
 * of rank 1 or more that enter an operator where parameters do (weights, biases, normalization scales, embeddings), directly
 * or through a Transpose, Reshape or the like. Single numbers in sums and products, masks and running statistics stay as they are.
 * @throws LightfootError E_GRADIENT when nothing is left to train
 */
export async function chooseTrainable(
  nodes: readonly Node[],
  initializers: ReadonlyMap<string, TensorRef>,
  patterns: readonly string[] = [],
): Promise<Set<string>> {
  const included = patterns.filter((pattern) => !pattern.startsWith("!"));
  const excluded = patterns.filter((pattern) => pattern.startsWith("!")).map((pattern) => pattern.slice(1));
  const statistics = new Set(
    nodes.flatMap((node) => (node.opType === "BatchNormalization" ? node.inputs.slice(3, 5) : [])),
  );
  const floats = [...initializers].filter(([name, { dtype }]) => dtype === "float32" && !statistics.has(name));
  const candidates =
    included.length === 0
      ? await parametersByUse(nodes, new Map(floats))
      : floats.map(([name]) => name).filter((name) => included.some((pattern) => matchesPattern(pattern, name)));
  const chosen = new Set(candidates.filter((name) => !excluded.some((pattern) => matchesPattern(pattern, name))));
  if (chosen.size === 0) {
    const names = floats.map(([name]) => name).slice(0, 8);
    const asked = patterns.length === 0 ? "" : ` matches ${patterns.join(", ")}`;
    throw new LightfootError(
      "E_GRADIENT",
      `no float32 tensor of the model${asked === "" ? " looks like a parameter" : asked}`,
      {
        hint: names.length === 0 ? "Train a float32 model." : `Its float32 tensors are named ${names.join(", ")}, …`,
      },
    );
  }
  return chosen;
}

async function parametersByUse(nodes: readonly Node[], floats: ReadonlyMap<string, TensorRef>): Promise<string[]> {
  const origin = new Map<string, string>([...floats.keys()].map((name) => [name, name]));
  const used = new Set<string>();
  const products = new Set<string>();
  for (const node of nodes) {
    if (node.opType === "MatMul") products.add(node.outputs[0]);
    const source = origin.get(node.inputs[0] ?? "");
    if (TRANSPARENT.has(node.opType) && source !== undefined) origin.set(node.outputs[0], source);
    const positions = PARAMETER_INPUTS[node.opType];
    if (positions === undefined) continue;
    for (const [at, input] of node.inputs.entries()) {
      const parameter = origin.get(input);
      if (parameter === undefined || (positions !== "all" && !positions.includes(at))) continue;
      // The bias of a layer with one unit is the one single number that is learned.
      const isBias = node.opType === "Add" && products.has(node.inputs[1 - at]);
      const isSingle = elementCount(floats.get(parameter)!.shape) === 1;
      if (!isSingle || !ELEMENTWISE.has(node.opType) || isBias) used.add(parameter);
    }
  }
  const parameters: string[] = [];
  for (const name of used) {
    const tensor = floats.get(name)!;
    if (tensor.shape.length === 0 || elementCount(tensor.shape) === 0) continue;
    const isMask = (await readFloats(tensor)).some(
      (value) => !Number.isFinite(value) || Math.abs(value) >= MASK_MAGNITUDE,
    );
    if (!isMask) parameters.push(name);
  }
  return parameters;
}
