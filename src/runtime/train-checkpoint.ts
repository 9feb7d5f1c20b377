// Checkpoints of training: one safetensors file, written atomically, refused when damaged or of another run; may depend
// on errors, io and model.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { LightfootError } from "../errors/index.ts";
import { makeFolder, writeFileAtomic } from "../io/atomic-write.ts";
import { sha256 } from "../io/digest.ts";
import { elementCount } from "../model/tensor-value.ts";
import type { EpochRecord } from "./train-options.ts";

/** Everything besides tensors that a run needs to go on. Order and masks follow from seed, epoch and step. */
export interface TrainProgress {
  /** Steps done over the whole run. */
  readonly step: number;
  /** Epochs done. */
  readonly epoch: number;
  /** Samples of the running epoch that were used. */
  readonly samplesDone: number;
  /** Σ loss · samples over the running epoch. */
  readonly epochLossSum: number;
  readonly history: readonly EpochRecord[];
  readonly best: { readonly epoch: number; readonly value: number } | undefined;
  readonly finished: "completed" | "early-stop" | undefined;
}

export interface Checkpoint {
  /** Of model, data and options; see `runDigest`. */
  readonly run: string;
  readonly progress: TrainProgress;
  /** float32 by name. */
  readonly tensors: ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;
}

const SCHEMA = "lightfoot.checkpoint/1";

export const checkpointFile = (folder: string): string => join(folder, "checkpoint.safetensors");

interface TensorHeader {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

/**
 * Writes the checkpoint of a folder anew; a reader, or a kill in between, finds the old one or the new one.
 *
 * @returns the file's path
 */
export async function writeCheckpoint(folder: string, checkpoint: Checkpoint): Promise<string> {
  let offset = 0;
  const tensors: [string, TensorHeader][] = [];
  for (const [name, { shape, data }] of checkpoint.tensors) {
    tensors.push([name, { dtype: "F32", shape, data_offsets: [offset, offset + data.byteLength] }]);
    offset += data.byteLength;
  }
  const payload = new Uint8Array(offset);
  let at = 0;
  for (const { data } of checkpoint.tensors.values()) {
    payload.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  const metadata = {
    schema: SCHEMA,
    run: checkpoint.run,
    progress: JSON.stringify(checkpoint.progress),
    payload: sha256(payload),
  };
  const header = Buffer.from(JSON.stringify({ __metadata__: metadata, ...Object.fromEntries(tensors) }));
  const padding = (8 - (header.length % 8)) % 8;
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length + padding));
  const path = checkpointFile(folder);
  await makeFolder(folder);
  await writeFileAtomic(path, Buffer.concat([length, header, Buffer.alloc(padding, " "), payload]));
  return path;
}

/**
 * The checkpoint in a folder, or undefined when there is none.
 *
 * @throws LightfootError E_CHECKPOINT when it is damaged, or of a run with another model, other data or other options
 */
export async function readCheckpoint(folder: string, run: string): Promise<Checkpoint | undefined> {
  const file = checkpointFile(folder);
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw new LightfootError("E_FILE_READ", `the checkpoint cannot be read: ${error.message}`, { where: { file } });
  });
  if (bytes === undefined) return undefined;
  const damaged = (what: string): LightfootError =>
    new LightfootError("E_CHECKPOINT", `the checkpoint is damaged: ${what}`, {
      where: { file },
      hint: "Delete it and train from the beginning.",
    });
  const headerLength = bytes.length < 8 ? Number.NaN : Number(bytes.readBigUInt64LE(0));
  if (!(headerLength <= bytes.length - 8)) throw damaged(`it ends after ${bytes.length} bytes`);
  let header: Record<string, unknown>;
  try {
    header = JSON.parse(bytes.toString("utf8", 8, 8 + headerLength)) as Record<string, unknown>;
  } catch (cause) {
    throw damaged(`its header is no JSON (${(cause as Error).message})`);
  }
  const { __metadata__: metadata, ...tensorHeaders } = header as { __metadata__?: Record<string, string> };
  if (metadata?.schema !== SCHEMA) throw damaged(`it is not of the kind ${SCHEMA}`);
  const payload = bytes.subarray(8 + headerLength);
  if (sha256(payload) !== metadata.payload) throw damaged("its content does not match its digest");
  if (metadata.run !== run) {
    throw new LightfootError(
      "E_CHECKPOINT",
      "the checkpoint belongs to a run with another model, other data or other options",
      {
        where: { file },
        hint: "Repeat the command that wrote it, or choose another --checkpoint folder.",
      },
    );
  }
  const entries = Object.entries(tensorHeaders as Record<string, TensorHeader>).map(([name, tensor]) => {
    const [start, end] = tensor.data_offsets;
    const copy = payload.slice(start, end); // aligned, which a view into the file need not be
    if (copy.length !== elementCount(tensor.shape) * 4) throw damaged(`tensor '${name}' is cut off`);
    return [name, { shape: tensor.shape, data: new Float32Array(new Uint8Array(copy).buffer) }] as const;
  });
  return { run, progress: JSON.parse(metadata.progress) as TrainProgress, tensors: new Map(entries) };
}
