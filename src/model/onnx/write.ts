// Writes an ONNX model, in memory or as files whose weights are copied in pieces; may depend on the other writers of this folder and io.
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { openAtomicWriter, type AtomicWriter } from "../../io/atomic-write.ts";
import { OpenFiles } from "../../io/file-range.ts";
import type { MessageWriter } from "../../io/protobuf.ts";
import type { ModelGraph } from "../graph.ts";
import { tensorsOf } from "../tensors.ts";
import { PROTOBUF_LIMIT_BYTES } from "./fields.ts";
import { ExternalPlan, type ExternalDataMode } from "./placement.ts";
import { gathered, streamParts } from "./read-ahead.ts";
import { GraphWriter } from "./write-graph.ts";

/** Below this a tensor costs more as an entry with an aligned range than inside the model; ONNX's own tools use the same. */
export const SPLIT_THRESHOLD_BYTES = 1024;

export interface WriteOptions {
  /**
   * `keep` (default): external tensors stay external, in their file when it lies in the new model's folder, else copied
   * to `<model>.data`. `inline`: all weights into the model file. `thresholdBytes`: initializers from that size on go
   * to `<model>.data`.
   */
  readonly externalData?: ExternalDataMode;
}

export interface WrittenModel {
  /** Bytes of the model file. */
  readonly fileBytes: number;
  /** Bytes of the data file written beside it, 0 when there is none. */
  readonly dataBytes: number;
  /** Path of that data file. */
  readonly dataFile?: string;
  /** What was decided without being asked, such as a split at protobuf's 2 GiB. */
  readonly notes: readonly string[];
}

/**
 * The model as the bytes of an ONNX file, all weights inside.
 * @throws LightfootError E_LIMIT at 2 GiB, where protobuf ends; errors of `readTensorBytes`
 */
export async function serializeOnnx(model: ModelGraph): Promise<Uint8Array> {
  const files = new OpenFiles();
  try {
    const writer = new GraphWriter(() => undefined, files).model(model);
    refuseOversize(writer, "Use writeOnnx, which moves the weights to an external data file.");
    const bytes = new Uint8Array(writer.byteLength);
    let at = 0;
    for await (const chunk of streamParts(writer.parts())) {
      bytes.set(chunk, at);
      at += chunk.byteLength;
    }
    return bytes;
  } finally {
    await files.close();
  }
}

/**
 * Writes the model to a file that appears whole or not at all, a few MiB in memory at a time. The path may be the very
 * file the model was read from: its weights are read before the old file is replaced. Afterwards tensors of a model read
 * from that file no longer load (E_FILE_CHANGED): read it again.
 *
 * A model beyond protobuf's 2 GiB is split: initializers of 1 KiB and more go to `<model>.data`, and `notes` says so;
 * tensors of `Constant` nodes stay inside, since runtimes look for them there.
 * The data file is replaced just before the model file; a power cut between the two leaves the older model with newer data.
 *
 * @throws LightfootError E_FILE_WRITE, E_PERMISSION; E_LIMIT when more than 2 GiB would be inside the model file
 */
export async function writeOnnx(model: ModelGraph, path: string, options: WriteOptions = {}): Promise<WrittenModel> {
  const { externalData = "keep" } = options;
  const sources = new OpenFiles();
  try {
    const notes: string[] = [];
    let { plan, writer } = encode(model, path, externalData, sources);
    if (writer.byteLength > PROTOBUF_LIMIT_BYTES && externalData !== "inline") {
      ({ plan, writer } = encode(model, path, { thresholdBytes: SPLIT_THRESHOLD_BYTES }, sources));
      const limit = "the model exceeds protobuf's limit of 2 GiB for one file";
      notes.push(`${limit}: its weights were written to ${plan.dataName} beside it`);
    }
    refuseOversize(
      writer,
      externalData === "inline"
        ? 'Leave the weights outside: write with externalData "keep" or a threshold.'
        : "Only initializers can lie outside: turn large Constant nodes into initializers first.",
    );
    await writeFiles(plan, writer, path);
    const dataFile = plan.byteLength > 0 ? { dataFile: plan.dataPath } : {};
    return { fileBytes: writer.byteLength, dataBytes: plan.byteLength, ...dataFile, notes };
  } finally {
    await sources.close();
  }
}

function encode(model: ModelGraph, path: string, mode: ExternalDataMode, sources: OpenFiles) {
  const plan = new ExternalPlan(path, mode, tensorsOf(model), sources);
  const writer = new GraphWriter((tensor, role) => plan.place(tensor, role), sources).model(model);
  return { plan, writer };
}

/** Both files are complete before the first one becomes visible, so that a full disk leaves the old model whole. */
async function writeFiles(plan: ExternalPlan, writer: MessageWriter, path: string): Promise<void> {
  const files: AtomicWriter[] = [];
  try {
    if (plan.byteLength > 0) {
      const dataFile = await openAtomicWriter(plan.dataPath);
      files.push(dataFile);
      for await (const chunk of gathered(streamParts(plan.parts()))) await dataFile.write(chunk);
    }
    const modelFile = await openAtomicWriter(path);
    files.push(modelFile);
    for await (const chunk of gathered(streamParts(writer.parts()))) await modelFile.write(chunk);
    for (const file of files) await file.commit();
  } catch (error) {
    for (const file of files) await file.abort();
    throw error;
  }
}

function refuseOversize(writer: MessageWriter, hint: string): void {
  if (writer.byteLength <= PROTOBUF_LIMIT_BYTES) return;
  const message = `the model takes ${writer.byteLength} bytes in one file, protobuf ends at ${PROTOBUF_LIMIT_BYTES}`;
  throw new LightfootError("E_LIMIT", message, { hint });
}
