// The tensor that a `Constant` node gives, whichever of its attributes carries it; may depend on the model's shapes and errors.
import { LightfootError } from "../errors/lightfoot-error.ts";
import type { Attribute, Node, TensorRef } from "./graph.ts";
import { memoryTensor } from "./tensor-data.ts";

const encoder = new TextEncoder();

/**
 * The value of a `Constant` of the standard domain, named as the node's output; undefined for any other node, and for
 * `sparse_value` and references to a function's attribute, which have no dense tensor here.
 * @throws LightfootError E_ONNX when no known attribute carries the value
 */
export function constantTensor(node: Node): TensorRef | undefined {
  if (node.opType !== "Constant" || node.domain !== "") return undefined;
  const name = node.outputs[0] ?? "";
  for (const attribute of node.attributes.values()) {
    if (attribute.type === "reference" || attribute.type === "sparseTensor") return undefined;
    const tensor = tensorOf(name, attribute);
    if (tensor !== undefined) return tensor;
  }
  throw new LightfootError("E_ONNX", `Constant '${node.name || name}' carries no value`, { where: { path: name } });
}

function tensorOf(name: string, attribute: Attribute): TensorRef | undefined {
  switch (attribute.type) {
    case "tensor":
      return { ...attribute.value, name };
    case "float":
      return memoryTensor(name, { dtype: "float32", shape: [], data: Float32Array.of(attribute.value) });
    case "floats": {
      const data = Float32Array.from(attribute.value);
      return memoryTensor(name, { dtype: "float32", shape: [data.length], data });
    }
    case "int":
      return memoryTensor(name, { dtype: "int64", shape: [], data: BigInt64Array.of(attribute.value) });
    case "ints": {
      const data = BigInt64Array.from(attribute.value);
      return memoryTensor(name, { dtype: "int64", shape: [data.length], data });
    }
    case "string":
      return { name, dtype: "string", shape: [], data: { kind: "strings", values: [bytesOf(attribute.value)] } };
    case "strings": {
      const values = attribute.value.map(bytesOf);
      return { name, dtype: "string", shape: [values.length], data: { kind: "strings", values } };
    }
    default:
      return undefined;
  }
}

const bytesOf = (text: string | Uint8Array): Uint8Array => (typeof text === "string" ? encoder.encode(text) : text);
