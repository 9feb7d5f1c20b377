// Brings a model of the manifest to its place in the output folder: copies a file, or trains a new network and resumes after a kill;
// may depend on io, model, runtime and this room.
import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { LightfootError } from "../errors/lightfoot-error.ts";
import { makeFolder, writeFileAtomic } from "../io/atomic-write.ts";
import { sha256, sha256File } from "../io/digest.ts";
import { readText } from "../io/read-text.ts";
import { readOnnx } from "../model/onnx/read.ts";
import { writeOnnx } from "../model/onnx/write.ts";
import { buildMlp } from "../runtime/architecture/mlp.ts";
import type { OptimizerOptions } from "../runtime/gradient/optimizers.ts";
import type { TaskRunner } from "../runtime/task-runner.ts";
import { trainInWorker } from "../runtime/train-in-worker.ts";
import { finishTraining } from "../runtime/train.ts";
import type { EpochRecord, TrainEvent } from "../runtime/train-options.ts";
import type { Mlp, ModelSource, TrainSettings } from "./manifest-schema.ts";
import type { RunData } from "./run-data.ts";

export interface PlacedModel {
  readonly path: string;
  readonly title: string;
  readonly history: readonly EpochRecord[];
  /** The file was there already, made from the same inputs. */
  readonly reused: boolean;
}

export interface PlaceOptions {
  readonly outDir: string;
  /** `original` or `narrow`: the file's name without ending. */
  readonly role: string;
  readonly data: RunData;
  readonly train: TrainSettings | undefined;
  readonly seed: number;
  readonly threads: number | undefined;
  readonly runner: TaskRunner;
  readonly signal: AbortSignal;
  readonly onEvent: (event: TrainEvent) => void;
}

/** What is kept beside a trained file, so that a second run knows it again. */
const receiptSchema = z.object({
  key: z.string(),
  digest: z.string(),
  history: z.array(
    z.object({
      epoch: z.number(),
      loss: z.number(),
      validationLoss: z.number().optional(),
      validationAccuracy: z.number().optional(),
    }),
  ),
});

/** Puts `<role>.onnx` into the output folder. @throws LightfootError what reading, training or writing throws */
export async function placeModel(source: ModelSource, options: PlaceOptions): Promise<PlacedModel> {
  const path = join(options.outDir, `${options.role}.onnx`);
  if (source.mlp !== undefined) return trainPerceptron(source.mlp, source.name, path, options);
  if (source.file === undefined) throw new LightfootError("E_MANIFEST", "a model has neither 'file' nor 'mlp'");
  await writeOnnx(await readOnnx(source.file), path);
  return { path, title: source.name ?? source.file.split(/[\\/]/).at(-1) ?? options.role, history: [], reused: false };
}

async function trainPerceptron(
  mlp: Mlp,
  name: string | undefined,
  path: string,
  options: PlaceOptions,
): Promise<PlacedModel> {
  const { train: settings, data, seed, threads, runner, signal, outDir, role } = options;
  if (settings === undefined || data.train === undefined) {
    throw new LightfootError("E_MANIFEST", "a model to be trained needs 'train' and 'data.train'");
  }
  const title = name ?? mlp.layers.join("-");
  const key = sha256(
    JSON.stringify({ mlp, settings, seed, threads, train: data.train.digest, validation: data.validation.digest }),
  );
  const receiptPath = join(outDir, ".resume", `${role}.json`);
  const known = await knownModel(receiptPath, path, key);
  if (known !== undefined) return { path, title, history: known, reused: true };

  const checkpoint = join(outDir, ".resume", role);
  const run = trainInWorker(runner, buildMlp({ ...mlp, seed }), data.train, {
    loss: { kind: settings.loss },
    optimizer: optimizerOf(settings),
    learningRate: settings.learningRate,
    epochs: settings.epochs,
    batch: settings.batch,
    seed,
    threads,
    validation: data.validation,
    // A checkpoint of another network or other data is no start for this one.
    checkpoint: { folder: join(checkpoint, key.slice(-16)) },
    resume: true,
    signal,
  });
  const result = await finishTraining(run, options.onEvent);
  await writeOnnx(result.model, path);
  await makeFolder(dirname(receiptPath));
  const receipt = { key, digest: await sha256File(path), history: [...result.history] };
  await writeFileAtomic(receiptPath, JSON.stringify(receipt));
  await rm(checkpoint, { recursive: true, force: true });
  return { path, title, history: result.history, reused: false };
}

function optimizerOf({ optimizer, momentum, weightDecay }: TrainSettings): OptimizerOptions {
  return optimizer === "sgd" ? { kind: "sgd", momentum, weightDecay } : { kind: optimizer, weightDecay };
}

/** The history of a file that was trained from just these inputs and is unchanged; undefined otherwise. */
async function knownModel(receiptPath: string, path: string, key: string): Promise<EpochRecord[] | undefined> {
  const text = await readText(receiptPath);
  if (text === undefined) return undefined;
  const receipt = receiptSchema.safeParse(JSON.parse(text));
  if (!receipt.success || receipt.data.key !== key) return undefined;
  const digest = await sha256File(path).catch(() => undefined);
  return digest === receipt.data.digest ? receipt.data.history : undefined;
}
