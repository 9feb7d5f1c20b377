// What a training run takes, tells and gives; may depend on model and the gradient folder.
import type { ModelGraph } from "../model/graph.ts";
import type { FeatureOptions } from "./gradient/features.ts";
import type { LossOptions } from "./gradient/losses.ts";
import type { OptimizerOptions } from "./gradient/optimizers.ts";
import type { Penalty } from "./gradient/penalty.ts";
import type { Dataset } from "./sample-set.ts";
import type { StopSignal } from "./stop-signal.ts";
import type { ScheduleOptions } from "./train-schedule.ts";

/** The parts of a data set that training reads. A `Dataset` is one. */
export type TrainingData = Pick<
  Dataset,
  "name" | "sampleCount" | "inputs" | "unnamed" | "labels" | "targets" | "digest"
>;

export interface TrainOptions {
  readonly loss: LossOptions;
  readonly optimizer: OptimizerOptions;
  readonly learningRate: number;
  readonly schedule?: ScheduleOptions;
  readonly epochs: number;
  /** Samples per step; the rest of an epoch makes one smaller step. */
  readonly batch: number;
  /** Decides the order of the samples and the dropout masks. */
  readonly seed: number;
  /** Output of the model that the loss reads; left out, the first. */
  readonly output?: string;
  /** Name patterns with `*` and `?`, `!` before one takes out; left out, every parameter. See `chooseTrainable`. */
  readonly trainable?: readonly string[];
  /** By tensor name, one entry per element: 1 keeps it, 0 holds it at exactly zero. */
  readonly masks?: ReadonlyMap<string, Uint8Array>;
  /**
   * Called after each epoch but the last with what there is to choose by; gives new masks for tensors in `masks`, or undefined to
   * leave them. A weight that was masked starts again from zero. Must follow from its arguments alone, or a resumed run differs.
   */
  readonly remask?: (state: ParameterState) => ReadonlyMap<string, Uint8Array> | undefined;
  /** Prices on weights that are not zero. */
  readonly penalties?: readonly Penalty[];
  /** `train` (default) normalizes by the batch and moves the running statistics, `freeze` leaves them. */
  readonly batchNormalization?: "train" | "freeze";
  /** Largest joint L2 norm of the gradients. */
  readonly clipNorm?: number;
  /** Judged after each epoch. */
  readonly validation?: TrainingData;
  /** What early stopping watches on `validation`; default `loss`. */
  readonly monitor?: "loss" | "accuracy";
  /** Epochs without improvement before training stops; the best weights are then the result. Needs `validation`. */
  readonly patience?: number;
  /** For the loss `kl`: its scores on the training data are the target. For `features`: it runs within each step. */
  readonly teacher?: ModelGraph;
  /** Values inside the model that are to be like the teacher's; their loss is part of the training loss, not of the validation loss. */
  readonly features?: FeatureOptions;
  readonly checkpoint?: {
    /** Folder for `checkpoint.safetensors`. */
    readonly folder: string;
    /** Besides the end of each epoch, after this many steps. */
    readonly everySteps?: number;
  };
  /** Go on from the checkpoint in `checkpoint.folder`; without one there the run starts from the beginning. */
  readonly resume?: boolean;
  /** Threads of ONNX Runtime. */
  readonly threads?: number;
  /** Steps in one call of the engine; left out, chosen by the size of the model. */
  readonly stepsPerCall?: number;
  readonly signal?: StopSignal;
}

/** Parameters in the middle of a run, by tensor name; views that the next step overwrites. */
export interface ParameterState {
  /** Epochs done, from 1. */
  readonly epoch: number;
  readonly weights: ReadonlyMap<string, Float32Array>;
  /**
   * Adam's moving averages of the gradient and of its square, up to one factor common to all tensors; masked elements have theirs
   * too. Empty with other optimizers.
   */
  readonly firstMoment: ReadonlyMap<string, Float32Array>;
  readonly secondMoment: ReadonlyMap<string, Float32Array>;
}

/** What happens during a run, in order. Losses are means per sample (or per position). */
export type TrainEvent =
  | {
      readonly type: "start";
      readonly totalSteps: number;
      readonly stepsPerEpoch: number;
      readonly stepsPerCall: number;
      readonly trainable: readonly string[];
      readonly trainableElements: number;
      /** Steps that a checkpoint had done already. */
      readonly resumedSteps: number;
    }
  /** After each call of the engine. `step` counts from 1 over the whole run; `loss` is the mean over the call's steps. */
  | {
      readonly type: "step";
      readonly step: number;
      readonly epoch: number;
      readonly loss: number;
      readonly learningRate: number;
    }
  | { readonly type: "epoch"; readonly epoch: number; readonly step: number; readonly loss: number }
  | {
      readonly type: "validation";
      readonly epoch: number;
      readonly loss: number;
      readonly accuracy: number | undefined;
      readonly improved: boolean;
    }
  | { readonly type: "checkpoint"; readonly step: number; readonly file: string }
  | {
      readonly type: "done";
      readonly reason: "completed" | "early-stop";
      readonly epochs: number;
      readonly steps: number;
    };

/** One epoch as the result remembers it. */
export interface EpochRecord {
  readonly epoch: number;
  readonly loss: number;
  readonly validationLoss?: number;
  readonly validationAccuracy?: number;
}

export interface TrainResult {
  /** The user's model with new weights and otherwise unchanged. */
  readonly model: ModelGraph;
  readonly trainable: readonly string[];
  readonly steps: number;
  readonly history: readonly EpochRecord[];
  readonly reason: "completed" | "early-stop";
  /** The epoch that the weights are from. */
  readonly epoch: number;
}
