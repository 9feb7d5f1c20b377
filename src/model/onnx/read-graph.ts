// GraphProto, NodeProto, AttributeProto and FunctionProto, which contain each other; may depend on the other readers of this folder.
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { decodeUtf8, type MessageReader } from "../../io/protobuf.ts";
import type {
  Attribute,
  AttributeValue,
  FunctionDefinition,
  Graph,
  Node,
  QuantizationAnnotation,
  SparseTensorRef,
  TensorRef,
  ValueInfo,
  ValueType,
} from "../graph.ts";
import { ANNOTATION, ATTRIBUTE, ATTRIBUTE_CODES, FUNCTION, GRAPH, NODE, OPSET, type AttributeType } from "./fields.ts";
import { orderNodes, type FreeNames } from "./order.ts";
import { concatenate, readEntry, type ReadContext } from "./read-context.ts";
import { readSparseTensor, readTensorProto } from "./read-tensor.ts";
import { readType, readValueInfo } from "./read-type.ts";

/** Reads graphs of one model, inner before outer, and remembers what each captures from outside. */
export class GraphReader {
  readonly #context: ReadContext;
  readonly #free = new Map<Graph, FreeNames>();

  constructor(context: ReadContext) {
    this.#context = context;
  }

  /** The main graph: nothing surrounds it, so whatever it reads it must define. @throws LightfootError E_ONNX */
  mainGraph(reader: MessageReader): Graph {
    const graph = this.#graph(reader);
    this.#refuseUndefined(this.#free.get(graph)!, `graph '${graph.name}'`);
    return graph;
  }

  #graph(reader: MessageReader): Graph {
    let name = "";
    let docString = "";
    const nodes: Node[] = [];
    const initializers = new Map<string, TensorRef>();
    const sparseInitializers = new Map<string, SparseTensorRef>();
    const inputs: ValueInfo[] = [];
    const outputs: ValueInfo[] = [];
    const valueInfo: ValueInfo[] = [];
    const metadata = new Map<string, string>();
    const quantizationAnnotations: QuantizationAnnotation[] = [];
    const unknown: Uint8Array[] = [];
    const context = this.#context;
    while (reader.next()) {
      switch (reader.field) {
        case GRAPH.node:
          nodes.push(this.#node(reader.message()));
          break;
        case GRAPH.name:
          name = reader.string();
          break;
        case GRAPH.initializer: {
          const tensor = readTensorProto(reader.message(), context);
          this.#refuseSecond("initializer", tensor.name, initializers, sparseInitializers);
          initializers.set(tensor.name, tensor);
          break;
        }
        case GRAPH.sparseInitializer: {
          const tensor = readSparseTensor(reader.message(), context);
          this.#refuseSecond("initializer", tensor.name, initializers, sparseInitializers);
          sparseInitializers.set(tensor.name, tensor);
          break;
        }
        case GRAPH.docString:
          docString = reader.string();
          break;
        case GRAPH.input:
          inputs.push(readValueInfo(reader.message(), context));
          break;
        case GRAPH.output:
          outputs.push(readValueInfo(reader.message(), context));
          break;
        case GRAPH.valueInfo:
          valueInfo.push(readValueInfo(reader.message(), context));
          break;
        case GRAPH.quantizationAnnotation:
          quantizationAnnotations.push(readAnnotation(reader.message()));
          break;
        case GRAPH.metadata:
          metadata.set(...readEntry(reader));
          break;
        default:
          unknown.push(reader.raw());
      }
    }
    this.#refuseTwice(
      "graph input",
      inputs.map((input) => input.name),
    );
    const given = [...inputs.map((input) => input.name), ...initializers.keys(), ...sparseInitializers.keys()];
    const ordered = orderNodes(nodes, given, (inner) => this.#free.get(inner)!, context.file);
    const graph: Graph = {
      name,
      nodes: ordered.nodes,
      initializers,
      sparseInitializers,
      inputs,
      outputs,
      valueInfo,
      ...(docString === "" ? {} : { docString }),
      ...(metadata.size === 0 ? {} : { metadata }),
      ...(quantizationAnnotations.length === 0 ? {} : { quantizationAnnotations }),
      ...(unknown.length === 0 ? {} : { unknownFields: concatenate(unknown) }),
    };
    this.#free.set(
      graph,
      withOutputs(
        ordered.free,
        outputs.map((output) => output.name),
        given,
        nodes,
      ),
    );
    return graph;
  }

  #node(reader: MessageReader): Node {
    let name = "";
    let opType = "";
    let domain = "";
    let overload = "";
    let docString = "";
    const inputs: string[] = [];
    const outputs: string[] = [];
    const attributes = new Map<string, Attribute>();
    const metadata = new Map<string, string>();
    const unknown: Uint8Array[] = [];
    while (reader.next()) {
      switch (reader.field) {
        case NODE.input:
          inputs.push(reader.string());
          break;
        case NODE.output:
          outputs.push(reader.string());
          break;
        case NODE.name:
          name = reader.string();
          break;
        case NODE.opType:
          opType = reader.string();
          break;
        case NODE.domain:
          domain = standardDomain(reader.string());
          break;
        case NODE.overload:
          overload = reader.string();
          break;
        case NODE.attribute:
          this.#attribute(reader.message(), attributes);
          break;
        case NODE.docString:
          docString = reader.string();
          break;
        case NODE.metadata:
          metadata.set(...readEntry(reader));
          break;
        default:
          unknown.push(reader.raw());
      }
    }
    if (opType === "") throw this.#broken(`node '${name}' names no operator`, name);
    return {
      name,
      opType,
      domain,
      inputs,
      outputs,
      attributes,
      ...(overload === "" ? {} : { overload }),
      ...(docString === "" ? {} : { docString }),
      ...(metadata.size === 0 ? {} : { metadata }),
      ...(unknown.length === 0 ? {} : { unknownFields: concatenate(unknown) }),
    };
  }

  #attribute(reader: MessageReader, into: Map<string, Attribute>): void {
    const found = new AttributeFields();
    const { lists } = found;
    const context = this.#context;
    while (reader.next()) {
      switch (reader.field) {
        case ATTRIBUTE.name:
          found.name = reader.string();
          break;
        case ATTRIBUTE.code:
          found.code = reader.int32();
          break;
        case ATTRIBUTE.reference:
          found.reference = reader.string();
          break;
        case ATTRIBUTE.docString:
          found.docString = reader.string();
          break;
        case ATTRIBUTE.float:
          found.single("float", reader.float());
          break;
        case ATTRIBUTE.int:
          found.single("int", reader.int64());
          break;
        case ATTRIBUTE.string:
          found.single("string", textOrBytes(reader));
          break;
        case ATTRIBUTE.tensor:
          found.single("tensor", readTensorProto(reader.message(), context));
          break;
        case ATTRIBUTE.graph:
          found.single("graph", this.#graph(reader.message()));
          break;
        case ATTRIBUTE.sparseTensor:
          found.single("sparseTensor", readSparseTensor(reader.message(), context));
          break;
        case ATTRIBUTE.type:
          found.single("type", this.#wholeType(readType(reader.message(), context), found.name));
          break;
        case ATTRIBUTE.floats:
          for (const value of reader.floats()) lists.floats.push(value);
          break;
        case ATTRIBUTE.ints:
          for (const value of reader.int64s()) lists.ints.push(value);
          break;
        case ATTRIBUTE.strings:
          lists.strings.push(textOrBytes(reader));
          break;
        case ATTRIBUTE.tensors:
          lists.tensors.push(readTensorProto(reader.message(), context));
          break;
        case ATTRIBUTE.graphs:
          lists.graphs.push(this.#graph(reader.message()));
          break;
        case ATTRIBUTE.sparseTensors:
          lists.sparseTensors.push(readSparseTensor(reader.message(), context));
          break;
        case ATTRIBUTE.types:
          lists.types.push(this.#wholeType(readType(reader.message(), context), found.name));
          break;
        default:
          found.unknown.push(reader.raw());
      }
    }
    if (into.has(found.name)) throw this.#broken(`attribute '${found.name}' is given twice`, found.name);
    const value = found.value();
    if (value === undefined) {
      throw this.#broken(`attribute '${found.name}' of type ${found.code} lacks a value of that type`, found.name);
    }
    into.set(found.name, {
      ...value,
      ...(found.docString === "" ? {} : { docString: found.docString }),
      ...(found.unknown.length === 0 ? {} : { unknownFields: concatenate(found.unknown) }),
    });
  }

  functionDefinition(reader: MessageReader): FunctionDefinition {
    let name = "";
    let domain = "";
    let overload = "";
    let docString = "";
    const inputs: string[] = [];
    const outputs: string[] = [];
    const requiredAttributes: string[] = [];
    const defaultAttributes = new Map<string, Attribute>();
    const nodes: Node[] = [];
    const opsets = new Map<string, number>();
    const valueInfo: ValueInfo[] = [];
    const metadata = new Map<string, string>();
    const unknown: Uint8Array[] = [];
    while (reader.next()) {
      switch (reader.field) {
        case FUNCTION.name:
          name = reader.string();
          break;
        case FUNCTION.domain:
          domain = standardDomain(reader.string());
          break;
        case FUNCTION.overload:
          overload = reader.string();
          break;
        case FUNCTION.docString:
          docString = reader.string();
          break;
        case FUNCTION.input:
          inputs.push(reader.string());
          break;
        case FUNCTION.output:
          outputs.push(reader.string());
          break;
        case FUNCTION.attribute:
          requiredAttributes.push(reader.string());
          break;
        case FUNCTION.attributeProto:
          this.#attribute(reader.message(), defaultAttributes);
          break;
        case FUNCTION.node:
          nodes.push(this.#node(reader.message()));
          break;
        case FUNCTION.opsetImport:
          readOpset(reader.message(), opsets);
          break;
        case FUNCTION.valueInfo:
          valueInfo.push(readValueInfo(reader.message(), this.#context));
          break;
        case FUNCTION.metadata:
          metadata.set(...readEntry(reader));
          break;
        default:
          unknown.push(reader.raw());
      }
    }
    this.#refuseTwice(`input of function '${name}'`, inputs);
    const ordered = orderNodes(nodes, inputs, (graph) => this.#free.get(graph)!, this.#context.file);
    this.#refuseUndefined(withOutputs(ordered.free, outputs, inputs, nodes), `function '${name}'`);
    return {
      name,
      domain,
      inputs,
      outputs,
      requiredAttributes,
      defaultAttributes,
      nodes: ordered.nodes,
      opsets,
      valueInfo,
      ...(overload === "" ? {} : { overload }),
      ...(docString === "" ? {} : { docString }),
      ...(metadata.size === 0 ? {} : { metadata }),
      ...(unknown.length === 0 ? {} : { unknownFields: concatenate(unknown) }),
    };
  }

  #wholeType(type: ValueType | undefined, name: string): ValueType {
    if (type !== undefined) return type;
    throw this.#broken(`the type in attribute '${name}' names no element type`, name);
  }

  #refuseUndefined(free: FreeNames, place: string): void {
    for (const [name, reader] of free) {
      throw this.#broken(`${reader} in ${place} reads '${name}', which nothing defines`, reader);
    }
  }

  #refuseSecond(what: string, name: string, ...defined: readonly ReadonlyMap<string, unknown>[]): void {
    if (defined.some((names) => names.has(name))) throw this.#broken(`${what} '${name}' is defined twice`, name);
  }

  #refuseTwice(what: string, names: readonly string[]): void {
    const seen = new Set<string>();
    for (const name of names) {
      if (seen.has(name)) throw this.#broken(`${what} '${name}' is defined twice`, name);
      seen.add(name);
    }
  }

  #broken(message: string, path: string): LightfootError {
    return new LightfootError("E_ONNX", message, { where: { file: this.#context.file, path } });
  }
}

/** An OperatorSetIdProto. Of several versions for one domain the highest counts, as the format prescribes. */
export function readOpset(reader: MessageReader, into: Map<string, number>): void {
  let domain = "";
  let version = 0;
  while (reader.next()) {
    if (reader.field === OPSET.domain) domain = standardDomain(reader.string());
    else if (reader.field === OPSET.version) version = reader.integer();
  }
  into.set(domain, Math.max(version, into.get(domain) ?? version));
}

/** "ai.onnx" and "" are the same domain; one spelling spares every later comparison. */
const standardDomain = (domain: string): string => (domain === "ai.onnx" ? "" : domain);

/** Free names including outputs that no node of the graph makes: subgraphs may pass an outer value through. */
function withOutputs(
  free: FreeNames,
  outputs: readonly string[],
  given: readonly string[],
  nodes: readonly Node[],
): FreeNames {
  const defined = new Set([...given, ...nodes.flatMap((node) => node.outputs)]);
  const missing = outputs.filter((name) => name !== "" && !defined.has(name));
  return missing.length === 0 ? free : new Map([...free, ...missing.map((name) => [name, "the output list"] as const)]);
}

function readAnnotation(reader: MessageReader): QuantizationAnnotation {
  let tensorName = "";
  const parameters = new Map<string, string>();
  while (reader.next()) {
    if (reader.field === ANNOTATION.tensorName) tensorName = reader.string();
    else if (reader.field === ANNOTATION.parameters) parameters.set(...readEntry(reader));
  }
  return { tensorName, parameters };
}

function textOrBytes(reader: MessageReader): string | Uint8Array {
  const bytes = reader.bytes();
  return decodeUtf8(bytes) ?? bytes;
}

/** The fields of an AttributeProto as they come; which of them is the value shows only when all were seen. */
class AttributeFields {
  name = "";
  code = 0;
  reference = "";
  docString = "";
  readonly unknown: Uint8Array[] = [];
  readonly lists = {
    floats: [] as number[],
    ints: [] as bigint[],
    strings: [] as (string | Uint8Array)[],
    tensors: [] as TensorRef[],
    graphs: [] as Graph[],
    sparseTensors: [] as SparseTensorRef[],
    types: [] as ValueType[],
  };
  readonly #singles: Partial<Record<AttributeType, unknown>> = {};

  single(type: AttributeType, value: unknown): void {
    this.#singles[type] = value;
  }

  value(): AttributeValue | undefined {
    if (this.reference !== "") return { type: "reference", of: this.reference, code: this.code };
    const type = this.#type();
    if (type === undefined) return undefined;
    if (type in this.lists) return { type, value: this.lists[type as keyof typeof this.lists] } as AttributeValue;
    // Proto3 writers omit a number or string that is zero or empty.
    const absent = { float: 0, int: 0n, string: "" }[type as string];
    const value = this.#singles[type] ?? absent;
    return value === undefined ? undefined : ({ type, value } as AttributeValue);
  }

  #type(): AttributeType | undefined {
    const types = Object.keys(ATTRIBUTE_CODES) as AttributeType[];
    if (this.code !== 0) return types.find((type) => ATTRIBUTE_CODES[type] === this.code);
    // Before IR 2 there was no type field: the value that is present tells.
    return types.find((type) => this.#singles[type] !== undefined || this.#listLength(type) > 0);
  }

  #listLength(type: AttributeType): number {
    return type in this.lists ? this.lists[type as keyof typeof this.lists].length : 0;
  }
}
