// `lightfoot train`: options to a training run, events to the progress line; may depend on this room, runtime, model and io.
import { InvalidArgumentError, Option, type Command } from "commander";
import type { FeaturePair } from "../../runtime/gradient/features.ts";
import type { TrainOptions, TrainResult } from "../../runtime/train-options.ts";
import type { TrainingDocument } from "../../runtime/train-schema.ts";
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { runAction, type ActionContext } from "../action.ts";
import { withExamples } from "../help.ts";
import { realNumber } from "../real-number.ts";
import { wholeNumber } from "../whole-number.ts";

interface TrainFlags {
  readonly train: string;
  readonly validate?: string;
  readonly out: string;
  readonly loss: "cross-entropy" | "mse" | "kl";
  readonly labelSmoothing: number;
  readonly temperature: number;
  readonly alpha: number;
  readonly teacher?: string;
  readonly featureWeight?: number;
  readonly feature: readonly FeaturePair[];
  readonly optimizer: "adam" | "adamw" | "sgd";
  readonly learningRate: number;
  readonly momentum: number;
  readonly nesterov?: boolean;
  readonly weightDecay?: number;
  readonly clipNorm?: number;
  readonly schedule: "constant" | "step" | "cosine" | "linear";
  readonly warmup: number;
  readonly epochs: number;
  readonly batch: number;
  readonly seed: number;
  readonly trainable: readonly string[];
  readonly freezeBatchNorm?: boolean;
  readonly output?: string;
  readonly patience?: number;
  readonly monitor: "loss" | "accuracy";
  readonly checkpoint?: string;
  readonly checkpointEvery?: number;
  readonly resume?: boolean;
  readonly threads?: number;
}

function featurePair(text: string): FeaturePair {
  const [student, teacher, ...more] = text.split("=");
  if (student && teacher && more.length === 0) return { student, teacher };
  throw new InvalidArgumentError("Expected two names such as hidden1=encoder.3.");
}

const collect = (value: string, before: readonly string[]): string[] => [...before, value];

/** Adds the verb `train` to the program. */
export function registerTrain(program: Command): void {
  const command = program
    .command("train")
    .description("train or fine-tune an ONNX model, and write it back with new weights")
    .argument("<model>", "ONNX file to start from")
    .requiredOption("--train <data>", "training data: .npz, .npy, IDX, .csv, .parquet, or mnist:train[:50000]")
    .option("--validate <data>", "data judged after each epoch")
    .requiredOption("--out <file>", "where to write the trained model")
    .addOption(
      new Option("--loss <name>", "what to minimize").choices(["cross-entropy", "mse", "kl"]).default("cross-entropy"),
    )
    .option(
      "--label-smoothing <share>",
      "for cross-entropy: share of the target spread over all classes",
      realNumber(0, 1),
      0,
    )
    .option("--teacher <file>", "ONNX model to learn from: its scores for kl, its inner layers with --feature-weight")
    .option("--temperature <t>", "for kl: softens both distributions", realNumber(1e-6, Infinity), 1)
    .option("--alpha <a>", "for kl: weight of the teacher, the labels get the rest", realNumber(0, 1), 1)
    .option(
      "--feature-weight <w>",
      "adds w times the mean relative squared error of inner layers against the teacher's, matched by name",
      realNumber(1e-12, Infinity),
    )
    .option(
      "--feature <student=teacher>",
      "match these two values instead; repeatable",
      (text: string, before: readonly FeaturePair[]) => [...before, featurePair(text)],
      [],
    )
    .addOption(new Option("--optimizer <name>", "how to step").choices(["adam", "adamw", "sgd"]).default("adam"))
    .option("--learning-rate <rate>", "size of a step", realNumber(0, Infinity), 1e-3)
    .option("--momentum <m>", "for sgd", realNumber(0, 1), 0)
    .option("--nesterov", "for sgd: look ahead")
    .option("--weight-decay <d>", "L2 for sgd and adam; decoupled, default 0.01, for adamw", realNumber(0, Infinity))
    .option("--clip-norm <norm>", "largest joint norm of the gradients", realNumber(1e-12, Infinity))
    .addOption(
      new Option("--schedule <name>", "how the learning rate moves")
        .choices(["constant", "step", "cosine", "linear"])
        .default("constant"),
    )
    .option("--warmup <steps>", "steps over which the learning rate rises", wholeNumber(0), 0)
    .option("--epochs <n>", "times through the training data", wholeNumber(1), 1)
    .option("--batch <n>", "samples in a step", wholeNumber(1), 32)
    .option("--seed <n>", "decides order and dropout", wholeNumber(0), 0)
    .option(
      "--trainable <pattern>",
      "names to train, * and ? as usual, ! before one takes out; repeatable",
      collect,
      [],
    )
    .option("--freeze-batch-norm", "batch normalization uses its stored statistics and leaves them")
    .option("--output <name>", "model output that the loss reads; left out, the first")
    .option(
      "--patience <epochs>",
      "stop after so many epochs without improvement, and keep the best weights",
      wholeNumber(1),
    )
    .addOption(new Option("--monitor <what>", "what --patience watches").choices(["loss", "accuracy"]).default("loss"))
    .option("--checkpoint <folder>", "save the run's state here, after each epoch and on Ctrl-C")
    .option("--checkpoint-every <steps>", "and after so many steps", wholeNumber(1))
    .option("--resume", "go on from the checkpoint")
    .option("--threads <n>", "threads of the engine; left out, one per core", wholeNumber(1))
    .action(runAction(trainAction));
  withExamples(command, [
    [
      "lightfoot train net.onnx --train train.npz --validate validate.npz --epochs 5 --out trained.onnx",
      "fine-tune all weights",
    ],
    [
      "lightfoot train net.onnx --train train.npz --trainable 'head.*' --optimizer sgd --momentum 0.9 --learning-rate 0.01 --out head.onnx",
      "train the head alone",
    ],
    [
      "lightfoot train small.onnx --train mnist:train --loss kl --teacher large.onnx --temperature 4 --alpha 0.7 --out student.onnx",
      "learn from a teacher",
    ],
    [
      "lightfoot train small.onnx --train train.npz --loss kl --teacher large.onnx --feature-weight 1 --feature block2=block4 --out student.onnx",
      "and from what it computes inside",
    ],
    [
      "lightfoot train net.onnx --train train.npz --epochs 50 --checkpoint run1 --resume --out trained.onnx",
      "go on where the last run was stopped",
    ],
  ]);
}

async function trainAction(context: ActionContext, file: string, flags: TrainFlags): Promise<void> {
  const { loadDataset } = await import("../../runtime/load-dataset.ts");
  const { readOnnx } = await import("../../model/onnx/read.ts");
  const { writeOnnx } = await import("../../model/onnx/write.ts");
  const { sha256File } = await import("../../io/digest.ts");
  const { createThreadPool } = await import("../../runtime/task-runner.ts");
  const { trainInWorker } = await import("../../runtime/train-in-worker.ts");
  const { finishTraining } = await import("../../runtime/train.ts");

  requireConsistent(flags);
  context.progress.phase("Reading model and data");
  const model = await readOnnx(file);
  const teacher = flags.teacher === undefined ? undefined : await readOnnx(flags.teacher);
  const data = await loadDataset(flags.train);
  const validation = flags.validate === undefined ? undefined : await loadDataset(flags.validate);
  const options = optionsOf(flags);
  const startMilliseconds = performance.now();
  const pool = createThreadPool(1);
  let outcome: TrainResult;
  let resumedSteps = 0;
  try {
    const { signal } = context;
    const run = trainInWorker(pool, model, data, { ...options, validation, teacher, signal });
    outcome = await finishTraining(run, (event) => {
      if (event.type === "start") {
        if (event.resumedSteps > 0) context.note(`Resuming after step ${event.resumedSteps}.`);
        context.progress.phase("Training", event.totalSteps - event.resumedSteps, "steps");
        resumedSteps = event.resumedSteps;
      } else if (event.type === "step") {
        context.progress.advance(event.step - resumedSteps, `epoch ${event.epoch} · loss ${event.loss.toFixed(4)}`);
      }
    });
  } finally {
    await pool.close();
  }
  const durationSeconds = (performance.now() - startMilliseconds) / 1000;
  const { fileBytes } = await writeOnnx(outcome.model, flags.out);
  const described = (set: typeof data) => ({ name: set.name, sampleCount: set.sampleCount, digest: set.digest });
  const document: TrainingDocument = {
    schema: "lightfoot.training/1",
    source: { file, digest: await sha256File(file) },
    result: { file: flags.out, digest: await sha256File(flags.out), fileBytes },
    data: { train: described(data), validation: validation === undefined ? null : described(validation) },
    options: JSON.parse(JSON.stringify({ ...options, teacher: flags.teacher })) as TrainingDocument["options"],
    trainable: [...outcome.trainable],
    steps: outcome.steps,
    reason: outcome.reason,
    epoch: outcome.epoch,
    history: [...outcome.history],
    durationSeconds,
  };
  context.result(document, () => summary(document), [...data.assumptions, ...(validation?.assumptions ?? [])]);
}

const wrong = (message: string): LightfootError => new LightfootError("E_USAGE", message);

/** Options that say nothing without another one are refused, not ignored. */
function requireConsistent(flags: TrainFlags): void {
  if (flags.loss === "kl" && flags.teacher === undefined) throw wrong("--loss kl needs --teacher");
  if (flags.loss !== "kl" && flags.featureWeight === undefined && flags.teacher !== undefined)
    throw wrong("--teacher is for --loss kl and for --feature-weight");
  if (flags.featureWeight !== undefined && flags.teacher === undefined) throw wrong("--feature-weight needs --teacher");
  if (flags.feature.length > 0 && flags.featureWeight === undefined) throw wrong("--feature needs --feature-weight");
  if (flags.loss !== "kl" && (flags.temperature !== 1 || flags.alpha !== 1))
    throw wrong("--temperature and --alpha are for --loss kl");
  if (flags.loss !== "cross-entropy" && flags.labelSmoothing !== 0)
    throw wrong("--label-smoothing is for --loss cross-entropy");
  if (flags.optimizer !== "sgd" && (flags.momentum !== 0 || flags.nesterov === true))
    throw wrong("--momentum and --nesterov are for --optimizer sgd");
  if (flags.nesterov === true && flags.momentum === 0) throw wrong("--nesterov needs --momentum");
  if (flags.patience !== undefined && flags.validate === undefined) throw wrong("--patience needs --validate");
  if (flags.monitor !== "loss" && flags.patience === undefined) throw wrong("--monitor needs --patience");
  if (flags.resume === true && flags.checkpoint === undefined) throw wrong("--resume needs --checkpoint");
  if (flags.checkpointEvery !== undefined && flags.checkpoint === undefined)
    throw wrong("--checkpoint-every needs --checkpoint");
}

function optionsOf(flags: TrainFlags): Omit<TrainOptions, "signal" | "validation" | "teacher"> {
  const { weightDecay, momentum, nesterov = false, featureWeight, feature } = flags;
  return {
    loss:
      flags.loss === "kl"
        ? { kind: "kl", temperature: flags.temperature, alpha: flags.alpha }
        : flags.loss === "mse"
          ? { kind: "mse" }
          : { kind: "cross-entropy", labelSmoothing: flags.labelSmoothing },
    features:
      featureWeight === undefined
        ? undefined
        : { weight: featureWeight, ...(feature.length === 0 ? {} : { pairs: feature }) },
    optimizer:
      flags.optimizer === "sgd"
        ? { kind: "sgd", momentum, nesterov, weightDecay }
        : { kind: flags.optimizer, weightDecay },
    learningRate: flags.learningRate,
    schedule: { kind: flags.schedule, warmupSteps: flags.warmup },
    epochs: flags.epochs,
    batch: flags.batch,
    seed: flags.seed,
    trainable: flags.trainable,
    batchNormalization: flags.freezeBatchNorm === true ? "freeze" : "train",
    clipNorm: flags.clipNorm,
    output: flags.output,
    patience: flags.patience,
    monitor: flags.monitor,
    checkpoint:
      flags.checkpoint === undefined ? undefined : { folder: flags.checkpoint, everySteps: flags.checkpointEvery },
    resume: flags.resume,
    threads: flags.threads,
  };
}

const percent = (share: number | undefined): string =>
  share === undefined ? "" : `  accuracy ${(share * 100).toFixed(2)} %`;

function summary(document: TrainingDocument): string {
  const lines = document.history.map(({ epoch, loss, validationLoss, validationAccuracy }) => {
    const judged =
      validationLoss === undefined
        ? ""
        : `  validation loss ${validationLoss.toFixed(4)}${percent(validationAccuracy)}`;
    return `epoch ${String(epoch).padStart(3)}  loss ${loss.toFixed(4)}${judged}`;
  });
  const stopped = document.reason === "early-stop" ? `, stopped early with the weights of epoch ${document.epoch}` : "";
  const { steps, durationSeconds, result } = document;
  lines.push(`${steps} steps in ${durationSeconds.toFixed(1)} s${stopped}`, `wrote ${result.file}`);
  return lines.join("\n");
}
