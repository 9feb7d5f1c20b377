// Finds where a model's tensors lie in its files, so that the coder knows numbers from structure; may depend on model and io.
import { dirname, extname, relative, sep } from "node:path";
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { openFileRange } from "../../io/file-range.ts";
import { DTYPES } from "../../model/dtype.ts";
import type { ModelGraph, TensorRef } from "../../model/graph.ts";
import { readOnnx } from "../../model/onnx/read.ts";
import { elementCount } from "../../model/tensor-value.ts";
import { tensorsOf } from "../../model/tensors.ts";
import type { FileLayout, Segment } from "./layout.ts";

/** Fewer elements than these are coded as bytes like the structure around them. */
const SMALLEST_ELEMENTS = 24;

/** The layout of a file with the path at which it is now. */
export interface PackedFile extends FileLayout {
  readonly path: string;
}

function segmentOf(tensor: TensorRef): Segment | undefined {
  const { data, dtype, shape } = tensor;
  if (data.kind !== "file" || data.encoding !== "raw") return undefined;
  const { bits, kind } = DTYPES[dtype];
  const count = elementCount(shape);
  // Wider and narrower elements than these are taken byte by byte.
  const width = bits === 32 ? 4 : bits === 16 ? 2 : 1;
  const elements = data.byteLength / width;
  if (count < SMALLEST_ELEMENTS || !Number.isInteger(elements)) return undefined;
  const perElement = elements / count;
  const last = shape.length > 3 ? shape.slice(2).reduce((product, size) => product * size, 1) : (shape.at(-1) ?? 1);
  const wanted = Math.round(last * Math.max(1, perElement));
  const rowLength = elements % wanted === 0 ? wanted : elements;
  const isFloat = kind === "float" && width > 1;
  return { offset: data.offset, byteLength: data.byteLength, width, isFloat, rowLength, rows: elements / rowLength };
}

/** Segments ascending; of two that overlap (tied weights that share bytes) the first one counts. */
function apart(segments: readonly Segment[]): Segment[] {
  const kept: Segment[] = [];
  let end = 0;
  for (const segment of segments.toSorted((left, right) => left.offset - right.offset)) {
    if (segment.offset < end) continue;
    kept.push(segment);
    end = segment.offset + segment.byteLength;
  }
  return kept;
}

/**
 * The model file and its external data files with their tensors. A file that is no ONNX model is one run of bytes, unless its name says
 * that it is one: then it is damaged, and whoever packs it should know.
 *
 * @param asBytes true: one run of bytes whatever the file holds, without external data
 * @throws LightfootError as `readOnnx` for a broken model
 */
export async function layoutOf(path: string, asBytes = false): Promise<{ files: PackedFile[]; isModel: boolean }> {
  const model = asBytes ? undefined : await modelAt(path);
  const segments = new Map<string, Segment[]>([[path, []]]);
  if (model !== undefined) collect(model, segments);
  const files: PackedFile[] = [];
  for (const [file, found] of segments) {
    const range = await openFileRange(file);
    await range.close();
    // By the name under which the model knows it, also where that is a link.
    const name = file === path ? "" : relative(dirname(path), file).split(sep).join("/");
    files.push({ name, path: file, byteLength: range.size, segments: apart(found) });
  }
  return { files, isModel: model !== undefined };
}

async function modelAt(path: string): Promise<ModelGraph | undefined> {
  try {
    return await readOnnx(path);
  } catch (thrown) {
    if (!(thrown instanceof LightfootError) || !MODEL_ERRORS.has(thrown.code)) throw thrown;
    if (extname(path).toLowerCase() !== ".onnx") return undefined;
    const { code, message, where, findings } = thrown;
    throw new LightfootError(code, `${path} cannot be read as a model: ${message}`, {
      hint: "It is damaged or cut short: fetch it again. With --as-bytes it is packed as it is.",
      where,
      findings,
      cause: thrown,
    });
  }
}

/** Codes under which a file is no model that Lightfoot reads; its bytes can be packed all the same. */
const MODEL_ERRORS = new Set(["E_PROTOBUF", "E_ONNX", "E_ONNX_CYCLE", "E_FORMAT_UNKNOWN", "E_TENSOR", "E_LIMIT"]);

function collect(model: ModelGraph, segments: Map<string, Segment[]>): void {
  for (const tensor of tensorsOf(model)) {
    if (tensor.data.kind !== "file") continue;
    const { file } = tensor.data;
    const list = segments.get(file) ?? [];
    segments.set(file, list);
    const segment = segmentOf(tensor);
    if (segment !== undefined) list.push(segment);
  }
}
