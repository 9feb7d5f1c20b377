// What a model takes as a coded container of `lightfoot pack`, and that container on disk for the chosen one; may depend on io, model,
// runtime and this room.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { LightfootError } from "../errors/index.ts";
import { readOnnx } from "../model/onnx/read.ts";
import { writeOnnx } from "../model/onnx/write.ts";
import { inferShapes } from "../model/shapes/infer.ts";
import { compareOutputs } from "../runtime/compare-models.ts";
import type { Dataset } from "../runtime/dataset.ts";
import type { Container } from "./candidate-schema.ts";
import { pack, packedBytes } from "./container/pack.ts";
import { foldConstants } from "./rewrite/constant-folding.ts";
import { GraphDraft } from "./rewrite/draft.ts";

/** Coding takes some seconds for these, which is little beside measuring; larger models take minutes. */
const QUICK_BYTES = 2 ** 26;

/** Samples on which both forms of a packed model must agree. */
const COMPARED_SAMPLES = 256;

/** Endings of a candidate's container, by what it holds. The names differ, so that unpacking never replaces another file's bytes. */
const ENDINGS: Readonly<Record<Container["holds"], string>> = { file: ".lfz", plain: ".plain.lfz" };

const containerPath = (path: string, holds: Container["holds"]): string =>
  join(dirname(path), `${basename(path, ".onnx")}${ENDINGS[holds]}`);

/** Removes the containers that an earlier search kept of the candidate at `path`. */
export async function removeContainers(path: string): Promise<void> {
  for (const holds of ["file", "plain"] as const) await rm(containerPath(path, holds), { force: true });
}

export interface CodedOptions {
  readonly fileBytes: number;
  /** True for a model whose weights are stored packed. */
  readonly isPacked: boolean;
  /** True: the container is kept beside the file. */
  readonly keep: boolean;
  /** True: a large model is coded too, however long that takes, as long as `signal` is not given. */
  readonly patient: boolean;
  readonly signal?: AbortSignal;
  /** Real inputs on which the plain form has to give the packed one's outputs. */
  readonly dataset: Dataset;
  readonly threads: number | undefined;
}

interface Coded {
  readonly bytes: number;
  readonly holds: Container["holds"];
  /** Path of the container; undefined when it was only counted. */
  readonly kept: string | undefined;
}

/**
 * Codes the model at `path`, and of a packed one also the same weights stored plainly; the smaller container counts.
 *
 * A packed file keeps its weights as bits that operators rebuild. The coder models numbers, not such bits, and gains little on them;
 * on the plain tensors, zeros and shared values included, it gains more than packing did.
 *
 * @returns null for a large model that is not worth the time, or when `signal` was given
 * @throws LightfootError as `pack`
 */
export async function codedContainer(path: string, options: CodedOptions): Promise<Coded | null> {
  const { fileBytes, isPacked, keep, patient, signal } = options;
  if (fileBytes > QUICK_BYTES && !patient) return null;
  const folder = await mkdtemp(join(tmpdir(), "lightfoot-plain-"));
  try {
    const code = async (source: string, holds: Container["holds"]): Promise<Coded> => {
      if (!keep) return { bytes: await packedBytes(source, { signal }), holds, kept: undefined };
      const kept = containerPath(path, holds);
      return { bytes: (await pack(source, kept, { signal })).containerBytes, holds, kept };
    };
    const ofFile = await code(path, "file");
    const plain = isPacked ? await plainForm(path, join(folder, basename(path)), options) : undefined;
    if (plain === undefined) return ofFile;
    const ofPlain = await code(plain, "plain");
    const [better, worse] = ofPlain.bytes < ofFile.bytes ? [ofPlain, ofFile] : [ofFile, ofPlain];
    if (worse.kept !== undefined) await rm(worse.kept);
    return better;
  } catch (thrown) {
    if (!(thrown instanceof LightfootError) || thrown.code !== "E_INTERRUPTED") throw thrown;
    await removeContainers(path);
    return null;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Writes the model with the weights that its operators rebuild as tensors; undefined when it has none, or one bit of an output differs. */
async function plainForm(path: string, target: string, options: CodedOptions): Promise<string | undefined> {
  const model = await readOnnx(path);
  const draft = new GraphDraft(model);
  const rebuilt = await foldConstants(draft, await inferShapes(model), { mayGrow: true });
  if (rebuilt === 0) return undefined;
  await writeOnnx(draft.finish(), target);
  const { dataset, threads } = options;
  const batch = Math.min(COMPARED_SAMPLES, dataset.sampleCount);
  const differences = await compareOutputs(path, target, { dataset, threads, batch });
  return differences.every(({ identical }) => identical) ? target : undefined;
}
