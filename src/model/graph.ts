// `ModelGraph`, the one shape that every reader makes and every later room reads: ONNX's graph, weights left on disk;
// may depend on dtype only.
import type { DType } from "./dtype.ts";

/** A dimension: a known size, a symbol (`batch`), or null when nothing is known. */
export type Dim = number | string | null;

/** The type of a value that flows along an edge; `shape` undefined means that not even the rank is known. */
export type ValueType =
  | {
      readonly kind: "tensor" | "sparseTensor";
      readonly dtype: DType;
      readonly shape: readonly Dim[] | undefined;
      readonly denotation?: string;
      /** What each dimension means (`DATA_BATCH`, …); "" where nothing is said. */
      readonly dimDenotations?: readonly string[];
    }
  | {
      readonly kind: "sequence" | "optional";
      readonly element: ValueType | undefined;
      readonly denotation?: string;
    }
  | { readonly kind: "map"; readonly key: DType; readonly value: ValueType | undefined; readonly denotation?: string }
  | { readonly kind: "opaque"; readonly domain: string; readonly name: string; readonly denotation?: string };

/** Fields that the reader does not interpret, encoded with their tags: the writer gives them back as they were. */
export interface Preserved {
  readonly unknownFields?: Uint8Array;
}

/** ONNX external data: the entries of the file, `location` (relative to the model) among them. */
export interface ExternalLocation {
  readonly entries: ReadonlyMap<string, string>;
}

/** Where a tensor's elements are. They stay there until a step asks for them through `readTensor`. */
export type TensorData =
  /** Little-endian elements in memory, packed as ONNX `raw_data`. Treat them as read-only. */
  | {
      readonly kind: "memory";
      readonly bytes: Uint8Array;
      /** True when the file stored them in a typed list (`int64_data`, …): the writer does the same. */
      readonly typed?: boolean;
    }
  /** A byte range of a file. `varint`: protobuf-packed integers, as large `int64_data` fields are stored. */
  | {
      readonly kind: "file";
      readonly file: string;
      /** `FileRange.stamp` of the file the offsets belong to: reading refuses another content. */
      readonly stamp?: string;
      readonly offset: number;
      readonly byteLength: number;
      readonly encoding: "raw" | "varint";
      readonly typed?: boolean;
      /** Present for ONNX external data: the writer keeps it outside the model file. */
      readonly external?: ExternalLocation;
    }
  /**
   * Elements that are made when somebody asks, as ONNX `raw_data`: a step's output need not fit into memory. The writer
   * asks for one tensor after another and keeps none. `make` may be called again and gives the same bytes each time.
   */
  | { readonly kind: "computed"; readonly make: () => Promise<Uint8Array>; readonly typed?: false }
  | { readonly kind: "strings"; readonly values: readonly Uint8Array[] };

/** A tensor by reference: type, shape and where its bytes lie. Row-major. */
export interface TensorRef extends Preserved {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: TensorData;
  readonly docString?: string;
  readonly metadata?: ReadonlyMap<string, string>;
}

/** COO sparse tensor: `values` `[nnz]`, `indices` int64 `[nnz]` (linear) or `[nnz, rank]`, `shape` the dense shape. */
export interface SparseTensorRef {
  readonly name: string;
  readonly values: TensorRef;
  readonly indices: TensorRef;
  readonly shape: readonly number[];
}

/** A node's attribute. Integers are bigint because int64 attributes use the whole range. */
export type Attribute = AttributeValue & Preserved & { readonly docString?: string };

export type AttributeValue =
  | { readonly type: "float"; readonly value: number }
  | { readonly type: "int"; readonly value: bigint }
  /** A byte string that is not valid UTF-8 stays bytes, so that writing gives it back unchanged. */
  | { readonly type: "string"; readonly value: string | Uint8Array }
  | { readonly type: "tensor"; readonly value: TensorRef }
  | { readonly type: "sparseTensor"; readonly value: SparseTensorRef }
  | { readonly type: "graph"; readonly value: Graph }
  | { readonly type: "type"; readonly value: ValueType }
  | { readonly type: "floats"; readonly value: readonly number[] }
  | { readonly type: "ints"; readonly value: readonly bigint[] }
  | { readonly type: "strings"; readonly value: readonly (string | Uint8Array)[] }
  | { readonly type: "tensors"; readonly value: readonly TensorRef[] }
  | { readonly type: "sparseTensors"; readonly value: readonly SparseTensorRef[] }
  | { readonly type: "graphs"; readonly value: readonly Graph[] }
  | { readonly type: "types"; readonly value: readonly ValueType[] }
  /** Inside a function body: the value of the function's own attribute of this name. */
  | { readonly type: "reference"; readonly of: string; readonly code: number };

/** One operator application. An empty input name is an optional input left out. */
export interface Node extends Preserved {
  readonly name: string;
  readonly opType: string;
  /** "" is the ONNX standard domain. */
  readonly domain: string;
  readonly overload?: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, Attribute>;
  readonly docString?: string;
  readonly metadata?: ReadonlyMap<string, string>;
}

/** A named value with its type: a graph input, output or annotated edge. */
export interface ValueInfo extends Preserved {
  readonly name: string;
  readonly type: ValueType | undefined;
  /** The type as encoded when it names no element type (exporters write such for branch outputs); void once `type` is set. */
  readonly untyped?: Uint8Array;
  readonly docString?: string;
  readonly metadata?: ReadonlyMap<string, string>;
}

/** A graph or subgraph: nodes in file order, which is a topological order. */
export interface Graph extends Preserved {
  readonly name: string;
  readonly nodes: readonly Node[];
  readonly initializers: ReadonlyMap<string, TensorRef>;
  readonly sparseInitializers: ReadonlyMap<string, SparseTensorRef>;
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly valueInfo: readonly ValueInfo[];
  readonly docString?: string;
  readonly metadata?: ReadonlyMap<string, string>;
  readonly quantizationAnnotations?: readonly QuantizationAnnotation[];
}

export interface QuantizationAnnotation {
  readonly tensorName: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** A model-local function: a named subgraph whose attributes are filled in at each call. */
export interface FunctionDefinition extends Preserved {
  readonly name: string;
  readonly domain: string;
  readonly overload?: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly requiredAttributes: readonly string[];
  readonly defaultAttributes: ReadonlyMap<string, Attribute>;
  readonly nodes: readonly Node[];
  readonly opsets: ReadonlyMap<string, number>;
  readonly valueInfo: readonly ValueInfo[];
  readonly docString?: string;
  readonly metadata?: ReadonlyMap<string, string>;
}

/** A whole model: the main graph with what its file says about itself. */
export interface ModelGraph extends Preserved {
  readonly format: "onnx";
  readonly irVersion: number;
  /** Operator-set version by domain; "" is the standard domain. */
  readonly opsets: ReadonlyMap<string, number>;
  readonly producerName: string;
  readonly producerVersion: string;
  readonly domain: string;
  readonly modelVersion: bigint;
  readonly docString: string;
  readonly metadata: ReadonlyMap<string, string>;
  readonly functions: readonly FunctionDefinition[];
  readonly graph: Graph;
}
