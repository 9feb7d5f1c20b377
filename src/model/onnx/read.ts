// Reads an ONNX model's structure and leaves its weights where they are; may depend on the other readers of this folder and io.
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { openFileRange } from "../../io/file-range.ts";
import { MessageReader } from "../../io/protobuf.ts";
import type { FunctionDefinition, Graph, ModelGraph } from "../graph.ts";
import { ExternalFiles } from "./external-data.ts";
import { MODEL } from "./fields.ts";
import { HEAD_BYTES, otherFormat } from "../other-formats.ts";
import { concatenate, FileContext, MemoryContext, readEntry, type ReadContext } from "./read-context.ts";
import { GraphReader, readOpset } from "./read-graph.ts";

/**
 * Opens an ONNX file of any size, also beyond protobuf's 2 GiB: reads names, nodes, attributes and shapes in windows and
 * skips the weights, which stay `TensorRef`s into the file (or its external data files).
 *
 * The graph comes checked: names defined once and before use, tensor bytes that fit type and shape, external data inside
 * the model's folder. Nodes out of order are sorted.
 *
 * @throws LightfootError E_FILE_NOT_FOUND, E_FORMAT_UNKNOWN, E_PROTOBUF, E_ONNX, E_ONNX_CYCLE, E_TENSOR, E_EXTERNAL_DATA, E_LIMIT
 * @example const model = await readOnnx("resnet50.onnx"); model.graph.nodes.length
 */
export async function readOnnx(path: string): Promise<ModelGraph> {
  const range = await openFileRange(path);
  try {
    return readModel(new FileContext(range, new ExternalFiles(path)));
  } catch (thrown) {
    const broken = thrown instanceof LightfootError && (thrown.code === "E_PROTOBUF" || thrown.code === "E_ONNX");
    const other = broken ? otherFormat(await range.read(0, Math.min(range.size, HEAD_BYTES))) : undefined;
    if (other === undefined) throw thrown;
    throw new LightfootError("E_FORMAT_UNKNOWN", `the file is ${other.format}, expected an ONNX model`, {
      cause: thrown,
      hint: other.hint,
      where: { file: path },
    });
  } finally {
    await range.close();
  }
}

/**
 * The same for a model in memory; its tensors are views of the bytes. External data cannot be followed from bytes.
 * @param name stands for the file in errors
 */
export function readOnnxBytes(bytes: Uint8Array, name = "model.onnx"): ModelGraph {
  return readModel(new MemoryContext(bytes, name));
}

function readModel(context: ReadContext): ModelGraph {
  const reader = MessageReader.over(context.source);
  const graphs = new GraphReader(context);
  let irVersion = 0;
  let producerName = "";
  let producerVersion = "";
  let domain = "";
  let modelVersion = 0n;
  let docString = "";
  let graph: Graph | undefined;
  const opsets = new Map<string, number>();
  const metadata = new Map<string, string>();
  const functions: FunctionDefinition[] = [];
  const unknown: Uint8Array[] = [];
  while (reader.next()) {
    switch (reader.field) {
      case MODEL.irVersion:
        irVersion = reader.integer();
        break;
      case MODEL.producerName:
        producerName = reader.string();
        break;
      case MODEL.producerVersion:
        producerVersion = reader.string();
        break;
      case MODEL.domain:
        domain = reader.string();
        break;
      case MODEL.modelVersion:
        modelVersion = reader.int64();
        break;
      case MODEL.docString:
        docString = reader.string();
        break;
      case MODEL.graph:
        graph = graphs.mainGraph(reader.message());
        break;
      case MODEL.opsetImport:
        readOpset(reader.message(), opsets);
        break;
      case MODEL.metadata:
        metadata.set(...readEntry(reader));
        break;
      case MODEL.functions:
        functions.push(graphs.functionDefinition(reader.message()));
        break;
      default:
        unknown.push(reader.raw());
    }
  }
  if (graph === undefined) {
    throw new LightfootError("E_ONNX", `${context.file} contains no graph`, {
      hint: "An ONNX model starts with its IR version and holds one graph: is this the right file?",
      where: { file: context.file },
    });
  }
  return {
    format: "onnx",
    irVersion,
    opsets,
    producerName,
    producerVersion,
    domain,
    modelVersion,
    docString,
    metadata,
    functions,
    graph,
    ...(unknown.length === 0 ? {} : { unknownFields: concatenate(unknown) }),
  };
}
