// Model, Graph, Node, Attribute and FunctionDefinition to their ONNX messages; may depend on the other writers of this folder.
import type { OpenFiles } from "../../io/file-range.ts";
import { MessageWriter } from "../../io/protobuf.ts";
import type { Attribute, FunctionDefinition, Graph, ModelGraph, Node, SparseTensorRef, TensorRef } from "../graph.ts";
import { ANNOTATION, ATTRIBUTE, ATTRIBUTE_CODES, FUNCTION, GRAPH, MODEL, NODE } from "./fields.ts";
import { writeEntries, writeOpsets, writeText } from "./write-context.ts";
import { writeSparseTensor, writeTensor } from "./write-tensor.ts";
import { writeType, writeValueInfo } from "./write-type.ts";

export type TensorRole = "initializer" | "attribute";

/** Entries of the external data of a tensor, or undefined for one whose elements go into the model file. */
export type Placement = (tensor: TensorRef, role: TensorRole) => ReadonlyMap<string, string> | undefined;

/** Builds the messages of one model. */
export class GraphWriter {
  readonly #place: Placement;
  readonly #files: OpenFiles;

  constructor(place: Placement, files: OpenFiles) {
    this.#place = place;
    this.#files = files;
  }

  model(model: ModelGraph): MessageWriter {
    const writer = new MessageWriter();
    writer.integer(MODEL.irVersion, model.irVersion);
    writeText(writer, MODEL.producerName, model.producerName);
    writeText(writer, MODEL.producerVersion, model.producerVersion);
    writeText(writer, MODEL.domain, model.domain);
    if (model.modelVersion !== 0n) writer.integer(MODEL.modelVersion, model.modelVersion);
    writeText(writer, MODEL.docString, model.docString);
    writer.message(MODEL.graph, this.#graph(model.graph));
    writeOpsets(writer, MODEL.opsetImport, model.opsets);
    writeEntries(writer, MODEL.metadata, model.metadata);
    for (const definition of model.functions) writer.message(MODEL.functions, this.#function(definition));
    if (model.unknownFields !== undefined) writer.raw(model.unknownFields);
    return writer;
  }

  #graph(graph: Graph): MessageWriter {
    const writer = new MessageWriter();
    for (const node of graph.nodes) writer.message(GRAPH.node, this.#node(node));
    writeText(writer, GRAPH.name, graph.name);
    for (const [name, tensor] of graph.initializers) {
      writer.message(GRAPH.initializer, this.#tensor(named(tensor, name), "initializer"));
    }
    for (const [name, tensor] of graph.sparseInitializers) {
      writer.message(GRAPH.sparseInitializer, this.#sparse(named(tensor, name)));
    }
    writeText(writer, GRAPH.docString, graph.docString);
    for (const info of graph.inputs) writer.message(GRAPH.input, writeValueInfo(info));
    for (const info of graph.outputs) writer.message(GRAPH.output, writeValueInfo(info));
    for (const info of graph.valueInfo) writer.message(GRAPH.valueInfo, writeValueInfo(info));
    for (const { tensorName, parameters } of graph.quantizationAnnotations ?? []) {
      const annotation = new MessageWriter();
      annotation.string(ANNOTATION.tensorName, tensorName);
      writeEntries(annotation, ANNOTATION.parameters, parameters);
      writer.message(GRAPH.quantizationAnnotation, annotation);
    }
    writeEntries(writer, GRAPH.metadata, graph.metadata);
    if (graph.unknownFields !== undefined) writer.raw(graph.unknownFields);
    return writer;
  }

  #node(node: Node): MessageWriter {
    const writer = new MessageWriter();
    // An empty name holds the place of an optional input, so it is written.
    for (const input of node.inputs) writer.string(NODE.input, input);
    for (const output of node.outputs) writer.string(NODE.output, output);
    writeText(writer, NODE.name, node.name);
    writer.string(NODE.opType, node.opType);
    writeText(writer, NODE.domain, node.domain);
    writeText(writer, NODE.overload, node.overload);
    for (const [name, attribute] of node.attributes) writer.message(NODE.attribute, this.#attribute(name, attribute));
    writeText(writer, NODE.docString, node.docString);
    writeEntries(writer, NODE.metadata, node.metadata);
    if (node.unknownFields !== undefined) writer.raw(node.unknownFields);
    return writer;
  }

  #function(definition: FunctionDefinition): MessageWriter {
    const writer = new MessageWriter();
    writer.string(FUNCTION.name, definition.name);
    for (const input of definition.inputs) writer.string(FUNCTION.input, input);
    for (const output of definition.outputs) writer.string(FUNCTION.output, output);
    for (const name of definition.requiredAttributes) writer.string(FUNCTION.attribute, name);
    for (const [name, attribute] of definition.defaultAttributes) {
      writer.message(FUNCTION.attributeProto, this.#attribute(name, attribute));
    }
    for (const node of definition.nodes) writer.message(FUNCTION.node, this.#node(node));
    writeText(writer, FUNCTION.docString, definition.docString);
    writeOpsets(writer, FUNCTION.opsetImport, definition.opsets);
    writer.string(FUNCTION.domain, definition.domain);
    writeText(writer, FUNCTION.overload, definition.overload);
    for (const info of definition.valueInfo) writer.message(FUNCTION.valueInfo, writeValueInfo(info));
    writeEntries(writer, FUNCTION.metadata, definition.metadata);
    if (definition.unknownFields !== undefined) writer.raw(definition.unknownFields);
    return writer;
  }

  /** Zero and empty values are written: checkers count exactly one value field per attribute. */
  #attribute(name: string, attribute: Attribute): MessageWriter {
    const writer = new MessageWriter();
    writer.string(ATTRIBUTE.name, name);
    writeText(writer, ATTRIBUTE.docString, attribute.docString);
    writer.integer(ATTRIBUTE.code, attribute.type === "reference" ? attribute.code : ATTRIBUTE_CODES[attribute.type]);
    switch (attribute.type) {
      case "reference":
        writer.string(ATTRIBUTE.reference, attribute.of);
        break;
      case "float":
        writer.float(ATTRIBUTE.float, attribute.value);
        break;
      case "int":
        writer.integer(ATTRIBUTE.int, attribute.value);
        break;
      case "string":
        writeTextOrBytes(writer, ATTRIBUTE.string, attribute.value);
        break;
      case "tensor":
        writer.message(ATTRIBUTE.tensor, this.#tensor(attribute.value, "attribute"));
        break;
      case "graph":
        writer.message(ATTRIBUTE.graph, this.#graph(attribute.value));
        break;
      case "sparseTensor":
        writer.message(ATTRIBUTE.sparseTensor, this.#sparse(attribute.value));
        break;
      case "type":
        writer.message(ATTRIBUTE.type, writeType(attribute.value));
        break;
      case "floats":
        writer.packedFloats(ATTRIBUTE.floats, attribute.value);
        break;
      case "ints":
        writer.packedIntegers(ATTRIBUTE.ints, attribute.value);
        break;
      case "strings":
        for (const value of attribute.value) writeTextOrBytes(writer, ATTRIBUTE.strings, value);
        break;
      case "tensors":
        for (const one of attribute.value) writer.message(ATTRIBUTE.tensors, this.#tensor(one, "attribute"));
        break;
      case "graphs":
        for (const one of attribute.value) writer.message(ATTRIBUTE.graphs, this.#graph(one));
        break;
      case "sparseTensors":
        for (const one of attribute.value) {
          writer.message(ATTRIBUTE.sparseTensors, this.#sparse(one));
        }
        break;
      case "types":
        for (const one of attribute.value) writer.message(ATTRIBUTE.types, writeType(one));
        break;
    }
    if (attribute.unknownFields !== undefined) writer.raw(attribute.unknownFields);
    return writer;
  }

  #tensor(tensor: TensorRef, role: TensorRole): MessageWriter {
    return writeTensor(tensor, this.#place(tensor, role), this.#files);
  }

  /** Sparse tensors stay in the model file: no runtime looks for their parts outside, unless they came from there. */
  #sparse(tensor: SparseTensorRef): MessageWriter {
    const { values, indices } = tensor;
    return writeSparseTensor(tensor, this.#place(values, "attribute"), this.#place(indices, "attribute"), this.#files);
  }
}

/** A graph's map is the authority on names: a tensor put under a new name is written under it. */
const named = <T extends { readonly name: string }>(tensor: T, name: string): T =>
  tensor.name === name ? tensor : { ...tensor, name };

function writeTextOrBytes(writer: MessageWriter, field: number, value: string | Uint8Array): void {
  if (typeof value === "string") writer.string(field, value);
  else writer.bytes(field, value);
}
