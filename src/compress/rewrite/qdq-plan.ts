// Decides which tensors of a graph flow as integers: layer inputs, layer outputs and what lies between; may depend on draft and linear.
import { subgraphsOf } from "../../model/attributes.ts";
import type { GraphDraft } from "./draft.ts";
import type { LinearLayer } from "./linear.ts";
import { producersIn } from "./wiring.ts";

/** These move or choose elements: the result has the range of the first input, so both share one scale. */
const CARRIERS = new Set(["Flatten", "MaxPool", "Reshape", "Resize", "Squeeze", "Transpose", "Unsqueeze"]);
/** These have integer kernels with a scale of their own, given integer inputs. */
const ARITHMETIC = new Set(["Add", "AveragePool", "Concat", "GlobalAveragePool"]);
/** So do these; only on the way to a convolution, where images are large and gates and leaks forgive eight bits. */
const CONVOLUTIONAL = new Set(["LeakyRelu", "Mul", "Sigmoid"]);
/** These vanish into the quantisation of their result, if that starts at zero. */
const RECTIFIERS = new Set(["Clip", "Relu"]);

/** For each tensor that flows as integers, the tensor whose range it has (often itself). */
export type QdqPlan = ReadonlyMap<string, string>;

/** What a layer's output becomes right after it: the output of a Relu or Clip that alone reads it, or itself. */
function rectified(draft: GraphDraft, layer: LinearLayer, uses: ReadonlyMap<string, number>): string {
  if (uses.get(layer.output) !== 1) return layer.output;
  const next = draft.consumersOf(layer.output)[0];
  return next !== undefined && RECTIFIERS.has(next.opType) ? next.outputs[0] : layer.output;
}

/**
 * Plans from the layers backwards. A layer's input must be integers; where it comes from an operator that carries or adds
 * integers, that operator's inputs must be too, and so on up to a layer, a float operator or a graph input.
 */
export function planQdq(draft: GraphDraft, layers: readonly LinearLayer[]): QdqPlan {
  const uses = draft.useCounts();
  const producers = producersIn(draft.nodes);
  const ends = new Set(layers.map((layer) => layer.output));
  const rangeOf = new Map<string, string>();

  const root = (name: string): string => {
    const producer = producers.get(name);
    return producer !== undefined && CARRIERS.has(producer.opType) && !ends.has(name) ? root(producer.inputs[0]) : name;
  };
  const isConstant = (name: string) => draft.initializer(name) !== undefined;

  const visit = (name: string, isConv: boolean): void => {
    if (rangeOf.has(name) || isConstant(name)) return;
    rangeOf.set(name, root(name));
    if (ends.has(name)) return;
    const producer = producers.get(name);
    if (producer === undefined || subgraphsOf(producer).length > 0) return;
    if (CARRIERS.has(producer.opType)) {
      visit(producer.inputs[0], isConv);
      return;
    }
    const sum = RECTIFIERS.has(producer.opType) ? producers.get(producer.inputs[0]) : producer;
    if (sum === undefined || ends.has(sum.outputs[0])) return;
    if (!ARITHMETIC.has(sum.opType) && !(isConv && CONVOLUTIONAL.has(sum.opType))) return;
    const operands = sum.inputs.filter((input) => input !== "");
    // A constant operand would need a quantised twin; float is the honest choice there.
    if (operands.some(isConstant) || (sum !== producer && uses.get(sum.outputs[0]) !== 1)) return;
    for (const operand of operands) visit(operand, isConv);
  };

  for (const layer of layers) if (layer.kind === "conv") visit(layer.input, true);
  for (const layer of layers) visit(layer.input, false);
  for (const layer of layers) {
    const end = rectified(draft, layer, uses);
    // Unlike Gemm, the convolution kernel has no float output: its result is always quantised. A Gemm's is when a Relu follows: else ONNX
    // Runtime joins the two in float first, and expands the weights at each run.
    if (layer.kind === "conv" || end !== layer.output) visit(end, layer.kind === "conv");
  }
  return rangeOf;
}
