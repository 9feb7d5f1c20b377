// Typed access to node attributes, and short constructors for them; may depend on graph and errors.
import { LightfootError } from "../errors/lightfoot-error.ts";
import type { Attribute, Graph, Node, TensorRef } from "./graph.ts";

function wrongType(node: Node, name: string, wanted: string, found: string): LightfootError {
  const message = `attribute '${name}' of ${node.opType} '${node.name}' is of type ${found}, expected ${wanted}`;
  return new LightfootError("E_ONNX", message, { where: { path: node.name || node.opType } });
}

/** INT64_MAX is a common "to the end" marker: clamp instead of losing the sign in a lossy conversion. */
function toNumber(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) return Number.MAX_SAFE_INTEGER;
  if (value < BigInt(Number.MIN_SAFE_INTEGER)) return Number.MIN_SAFE_INTEGER;
  return Number(value);
}

/** An int attribute as a number clamped to the safe range, or the default. @throws LightfootError E_ONNX on another type */
export function intAttribute(node: Node, name: string, fallback: number): number {
  const attribute = node.attributes.get(name);
  if (attribute === undefined) return fallback;
  if (attribute.type !== "int") throw wrongType(node, name, "int", attribute.type);
  return toNumber(attribute.value);
}

/** An ints attribute as numbers clamped to the safe range, or undefined. */
export function intsAttribute(node: Node, name: string): number[] | undefined {
  const attribute = node.attributes.get(name);
  if (attribute === undefined) return undefined;
  if (attribute.type !== "ints") throw wrongType(node, name, "ints", attribute.type);
  return attribute.value.map(toNumber);
}

export function floatAttribute(node: Node, name: string, fallback: number): number {
  const attribute = node.attributes.get(name);
  if (attribute === undefined) return fallback;
  if (attribute.type !== "float") throw wrongType(node, name, "float", attribute.type);
  return attribute.value;
}

export function stringAttribute(node: Node, name: string, fallback: string): string {
  const attribute = node.attributes.get(name);
  if (attribute === undefined) return fallback;
  if (attribute.type !== "string" || typeof attribute.value !== "string") {
    throw wrongType(node, name, "string", attribute.type);
  }
  return attribute.value;
}

export function tensorAttribute(node: Node, name: string): TensorRef | undefined {
  const attribute = node.attributes.get(name);
  if (attribute === undefined) return undefined;
  if (attribute.type !== "tensor") throw wrongType(node, name, "tensor", attribute.type);
  return attribute.value;
}

/** Every subgraph that a node owns, with the attribute's name: the branches of `If`, the body of `Loop` and `Scan`. */
export function subgraphsOf(node: Node): { name: string; graph: Graph }[] {
  return [...node.attributes].flatMap(([name, attribute]) => {
    if (attribute.type === "graph") return [{ name, graph: attribute.value }];
    if (attribute.type === "graphs") return attribute.value.map((graph, i) => ({ name: `${name}[${i}]`, graph }));
    return [];
  });
}

export const int = (value: number | bigint): Attribute => ({ type: "int", value: BigInt(value) });
export const ints = (values: readonly number[]): Attribute => ({ type: "ints", value: values.map(BigInt) });
export const float = (value: number): Attribute => ({ type: "float", value });
export const floats = (values: readonly number[]): Attribute => ({ type: "floats", value: values });
export const string = (value: string): Attribute => ({ type: "string", value });
