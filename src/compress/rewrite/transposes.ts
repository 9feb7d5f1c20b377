// Joins a Transpose with an earlier one that it takes back, also across operators that work element by element; may depend on model and draft.
import { ints, intsAttribute } from "../../model/attributes.ts";
import type { Node } from "../../model/graph.ts";
import { elementCount } from "../../model/tensor-value.ts";
import type { GraphDraft } from "./draft.ts";
import { consumersIn, producersIn } from "./wiring.ts";

/** Each element by itself, rounded the same wherever it lies; not Exp, Tanh and the like, whose vector form answers otherwise than the rest of a row. */
const ELEMENTWISE = new Set(["Abs", "Cast", "Clip", "Identity", "LeakyRelu", "Neg", "Relu"]);
const WITH_ONE_NUMBER = new Set(["Add", "Div", "Max", "Min", "Mul", "Sub"]);

const isStandard = (node: Node): boolean => node.domain === "" || node.domain === "ai.onnx";

/** The input that the node changes element by element; undefined where order or shape matter. */
function flowThrough(node: Node, rank: number, draft: GraphDraft): number | undefined {
  if (!isStandard(node) || node.outputs.length !== 1) return undefined;
  if (ELEMENTWISE.has(node.opType)) return 0;
  if (!WITH_ONE_NUMBER.has(node.opType) || node.inputs.length !== 2) return undefined;
  const at = node.inputs.findIndex((name) => {
    const shape = draft.initializer(name)?.shape;
    return shape !== undefined && shape.length <= rank && elementCount(shape) === 1;
  });
  return at < 0 ? undefined : 1 - at;
}

const permutationOf = (node: Node | undefined): readonly number[] | undefined =>
  node?.opType === "Transpose" && isStandard(node) ? intsAttribute(node, "perm") : undefined;

/** From the earlier Transpose to the later one. */
interface Run {
  readonly first: Node;
  /** With the input that the value goes through. */
  readonly between: readonly (readonly [node: Node, through: number])[];
  readonly last: Node;
  /** Of both together. */
  readonly permutation: readonly number[];
}

function findRun(draft: GraphDraft): Run | undefined {
  const makers = producersIn(draft.nodes);
  const readers = consumersIn(draft.nodes);
  const inside = draft.namesReadInside();
  /** Nobody else sees the value, so that its axes may come in another order. */
  const isPrivate = (name: string): boolean =>
    readers.get(name)?.length === 1 && !draft.isOutput(name) && !inside.has(name);
  for (const last of draft.nodes) {
    const later = permutationOf(last);
    if (later === undefined) continue;
    const between: (readonly [Node, number])[] = [];
    for (let node = makers.get(last.inputs[0]); node !== undefined;) {
      const earlier = permutationOf(node);
      if (earlier !== undefined) {
        const permutation = later.map((axis) => earlier[axis]);
        // Two that take each other back are worth it whoever else reads the first; else one of both must go.
        const isWorth = permutation.every((axis, at) => axis === at) || isPrivate(node.outputs[0]);
        if (isWorth && earlier.length === later.length) return { first: node, between, last, permutation };
        break;
      }
      const through = flowThrough(node, later.length, draft);
      if (through === undefined || !isPrivate(node.outputs[0])) break;
      between.unshift([node, through]);
      node = makers.get(node.inputs[through]);
    }
  }
  return undefined;
}

/**
 * `Transpose → … → Transpose` becomes `… → Transpose` with one permutation for both, `z[i] = x[p₁[p₂[i]]]`, which `removeNoOps` takes out
 * where it changes nothing. Exact: what stands between works on each element alone. The earlier one stays for other readers.
 *
 * @returns how many were joined
 */
export function joinTransposes(draft: GraphDraft): number {
  for (let count = 0; ; count++) {
    const run = findRun(draft);
    if (run === undefined) return count;
    const { first, between, last, permutation } = run;
    let [current = ""] = first.inputs;
    // Under new names, since the shapes that are known of the old ones hold no longer.
    const moved = between.map(([node, through]): Node => {
      const output = draft.fresh(node.outputs[0]);
      const inputs = node.inputs.map((name, at) => (at === through ? current : name));
      current = output;
      return { ...node, inputs, outputs: [output] };
    });
    const attributes = new Map([...last.attributes, ["perm", ints(permutation)] as const]);
    draft.replaceAll([...between.map(([node]) => node), last], [...moved, { ...last, inputs: [current], attributes }]);
  }
}
