// Removes operators that hand their input through unchanged, and those whose results nobody reads; may depend on model and draft.
import { DTYPES } from "../../model/dtype.ts";
import { intAttribute, intsAttribute } from "../../model/attributes.ts";
import type { Node } from "../../model/graph.ts";
import { typeIn, valueIn, type ShapeInference } from "../../model/shapes/inference.ts";
import type { GraphDraft } from "./draft.ts";

const isStandard = (node: Node): boolean => node.domain === "" || node.domain === "ai.onnx";

function shapeOf(shapes: ShapeInference, name: string | undefined) {
  const type = name === undefined ? undefined : typeIn(shapes.root, name);
  return type?.kind === "tensor" ? type.shape : undefined;
}

/** From operator set 7 on Dropout passes its input through unless it is told to train. */
function dropsNothing(node: Node, opset: number, shapes: ShapeInference, uses: ReadonlyMap<string, number>): boolean {
  const training = node.inputs[2] ?? "";
  const trains = training !== "" && valueIn(shapes.root, training)?.elements[0] !== 0;
  return opset >= 7 && !trains && !uses.has(node.outputs[1] ?? "");
}

/** Every entry of the new shape copies a dimension, repeats its size, or is the single one that is left over. */
function keepsShape(node: Node, shapes: ShapeInference): boolean {
  const before = shapeOf(shapes, node.inputs[0]);
  const target = valueIn(shapes.root, node.inputs[1] ?? "")?.elements;
  if (before === undefined || target?.length !== before.length || intAttribute(node, "allowzero", 0) !== 0)
    return false;
  return (
    target.every(
      (entry, axis) => entry === 0 || entry === -1 || (typeof entry === "number" && entry === before[axis]),
    ) && target.filter((entry) => entry === -1).length <= 1
  );
}

/** True when the first output surely is the first input, bit for bit and of the same shape. */
function isIdle(node: Node, draft: GraphDraft, shapes: ShapeInference, uses: ReadonlyMap<string, number>): boolean {
  switch (node.opType) {
    case "Identity":
      return true;
    case "Dropout":
      return dropsNothing(node, draft.opset, shapes, uses);
    case "Cast": {
      const type = typeIn(shapes.root, node.inputs[0]);
      return type?.kind === "tensor" && DTYPES[type.dtype].code === intAttribute(node, "to", 0);
    }
    case "Reshape":
      return draft.opset >= 5 && keepsShape(node, shapes);
    case "Flatten":
      return shapeOf(shapes, node.inputs[0])?.length === 2 && intAttribute(node, "axis", 1) === 1;
    case "Transpose":
      return (
        intsAttribute(node, "perm")?.every((from, to) => from === to) ?? shapeOf(shapes, node.inputs[0])?.length === 1
      );
    case "Concat":
    case "Max":
    case "Min":
    case "Sum":
      return node.inputs.length === 1;
    default:
      return false;
  }
}

/**
 * Removes operators that change nothing: Identity, Dropout at inference, Cast to the same type, Reshape to the same shape, and the
 * like. Exact. One stays where a graph output or a subgraph needs its name and no other value can take it.
 *
 * @param shapes of the model as it was opened
 * @returns how many were removed
 */
export function removeNoOps(draft: GraphDraft, shapes: ShapeInference): number {
  const uses = draft.useCounts();
  const inside = draft.namesReadInside();
  const newNames = new Map<string, string>();
  const nameOf = (name: string): string => {
    let current = name;
    for (let next = newNames.get(current); next !== undefined; next = newNames.get(current)) current = next;
    return current;
  };
  const made = new Set<string>();
  const kept: Node[] = [];
  for (const node of draft.nodes) {
    const [output = ""] = node.outputs;
    const source = nameOf(node.inputs[0] ?? "");
    if (isStandard(node) && source !== "" && isIdle(node, draft, shapes, uses)) {
      if (!draft.isOutput(output) && !inside.has(output)) {
        newNames.set(output, source);
        continue;
      }
      // The value is made under the output's name from the start, if nothing insists on its own one.
      if (draft.isOutput(output) && made.has(source) && !draft.isOutput(source) && !inside.has(source)) {
        newNames.set(source, output);
        made.add(output);
        continue;
      }
    }
    kept.push(node);
    for (const name of node.outputs) made.add(name);
  }
  const removed = draft.nodes.length - kept.length;
  if (removed > 0) {
    draft.nodes = kept;
    draft.rename(nameOf);
  }
  return removed;
}

/** Removes nodes of which no output is read, and then those that only fed them. @returns how many */
export function removeDeadNodes(draft: GraphDraft): number {
  const before = draft.nodes.length;
  for (let count = -1; count !== draft.nodes.length;) {
    count = draft.nodes.length;
    const uses = draft.useCounts();
    draft.nodes = draft.nodes.filter((node) => node.outputs.some((name) => name !== "" && uses.has(name)));
  }
  return before - draft.nodes.length;
}
