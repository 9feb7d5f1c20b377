// Loss functions on a graph's output, each with its gradient in closed form; may depend on model and the emitter.
import { LightfootError } from "../../errors/lightfoot-error.ts";
import * as attribute from "../../model/attributes.ts";
import { intAttribute } from "../../model/attributes.ts";
import type { ValueInfo } from "../../model/graph.ts";
import { tensorInfo } from "../../model/build.ts";
import { elementCount, normalizeAxis, range, type Emitter } from "./emitter.ts";
import type { ForwardGraph } from "./forward-graph.ts";

/** What training minimizes. */
export type LossOptions =
  | {
      readonly kind: "cross-entropy";
      /** Share of the target spread evenly over all classes, 0 … 1 (Szegedy et al. 2016); default 0. */
      readonly labelSmoothing?: number;
    }
  | { readonly kind: "mse" }
  | {
      readonly kind: "kl";
      /** Softens both distributions; default 1. */
      readonly temperature?: number;
      /** Weight of the distillation term; the rest, 1 − alpha, is cross-entropy on the labels. Default 1. */
      readonly alpha?: number;
    };

export type LossKind = LossOptions["kind"];

/** Whether the targets are class numbers or tensors of the output's own shape. */
export type TargetKind = "labels" | "values";

/** Names of the inputs that a loss adds to the graph. */
export const LOSS_INPUTS = { labels: "loss/labels", targets: "loss/targets", teacher: "loss/teacher" } as const;

/** The value that a loss reads: the scores before a final softmax where the model ends in one. */
export interface LossSource {
  /** Name of the forward value. */
  readonly value: string;
  readonly shape: readonly number[];
  /** Axis of the classes. */
  readonly classAxis: number;
}

export interface EmittedLoss {
  readonly inputs: readonly ValueInfo[];
  /** The mean loss of the batch, `[1]`. */
  readonly loss: string;
  /** dLoss/dSource, of the source's shape. */
  readonly gradient: string;
}

/**
 * Where the loss attaches.
 *
 * Cross-entropy and KL are taken on logits: through a final Softmax or LogSoftmax the product of tiny probabilities
 * and huge logarithms would lose all digits, while logits → loss has the exact gradient softmax − target.
 */
export function lossSource(forward: ForwardGraph, output: string, kind: LossKind): LossSource {
  const producerOf = (name: string) => forward.nodes.find((node) => node.outputs.includes(name));
  const shape = forward.values.shapes.get(output);
  if (shape === undefined) {
    throw new LightfootError(
      "E_GRADIENT",
      `the model has no tensor output '${output}'; its outputs are ${forward.outputs.join(", ")}`,
    );
  }
  let value = output;
  let producer = producerOf(value);
  while (producer?.opType === "Identity") {
    value = producer.inputs[0]!;
    producer = producerOf(value);
  }
  // Operator sets before 13 end in Flatten → Softmax → Reshape, which canonical form made of one Softmax.
  const flattened = producer?.opType === "Reshape" ? producerOf(producer.inputs[0]) : undefined;
  const source = flattened !== undefined ? producerOf(flattened.inputs[0]) : undefined;
  if (isSoftmax(flattened?.opType) && source?.opType === "Flatten" && shape.length === 2) {
    producer = { ...flattened!, inputs: source.inputs };
  }
  if (kind === "mse" || producer === undefined || !isSoftmax(producer.opType)) {
    return { value: kind === "mse" ? output : value, shape, classAxis: shape.length === 2 ? 1 : shape.length - 1 };
  }
  return {
    value: producer.inputs[0],
    shape,
    classAxis: normalizeAxis(intAttribute(producer, "axis", -1), shape.length),
  };
}

const isSoftmax = (opType: string | undefined): boolean => opType === "Softmax" || opType === "LogSoftmax";

/**
 * Emits a loss. Means are over all positions: every axis but the class axis, and for MSE every element.
 *
 * - cross-entropy: −Σ q·log softmax(z), q = (1 − ε)·onehot(label) + ε/classes
 * - mse: mean (y − t)²
 * - kl: α·T²·KL(softmax(teacher/T) ‖ softmax(z/T)) + (1 − α)·cross-entropy (Hinton, Vinyals and Dean 2015; the factor T²
 *   keeps the gradient's size when T changes)
 */
export function emitLoss(emit: Emitter, options: LossOptions, source: LossSource, targets: TargetKind): EmittedLoss {
  if (options.kind === "mse") return emitMse(emit, source);
  if (options.kind === "kl")
    return emitDistillation(emit, source, targets, options.temperature ?? 1, options.alpha ?? 1);
  return emitCrossEntropy(emit, source, targets, options.labelSmoothing ?? 0, 1);
}

const total = (emit: Emitter, value: string, shape: readonly number[]): string =>
  emit.reshape(emit.reduceSum(value, range(shape.length), false), [1]);

function emitMse(emit: Emitter, { value, shape }: LossSource): EmittedLoss {
  const input = tensorInfo(LOSS_INPUTS.targets, emit.floatType, shape);
  const count = elementCount(shape);
  const difference = emit.sub(value, input.name);
  const gradient = emit.scale(difference, 2 / count);
  const loss = emit.scale(total(emit, emit.mul(difference, difference), shape), 1 / count);
  return { inputs: [input], loss, gradient };
}

function emitCrossEntropy(
  emit: Emitter,
  source: LossSource,
  targets: TargetKind,
  labelSmoothing: number,
  weight: number,
): EmittedLoss {
  const { shape, classAxis } = source;
  const classes = shape[classAxis];
  const factor = weight / (elementCount(shape) / classes);
  const logarithms = emit.op("LogSoftmax", [source.value], { axis: attribute.int(classAxis) });
  let input: ValueInfo;
  let target: string;
  if (targets === "labels") {
    input = tensorInfo(
      LOSS_INPUTS.labels,
      "int64",
      shape.filter((_, axis) => axis !== classAxis),
    );
    const off = labelSmoothing / classes;
    const values = emit.floats([off * factor, (1 - labelSmoothing + off) * factor]);
    target = emit.op("OneHot", [input.name, emit.ints([classes]), values], { axis: attribute.int(classAxis) });
  } else {
    input = tensorInfo(LOSS_INPUTS.targets, emit.floatType, shape);
    const scaled = emit.scale(input.name, (1 - labelSmoothing) * factor);
    target = labelSmoothing === 0 ? scaled : emit.add(scaled, emit.scalar((labelSmoothing / classes) * factor));
  }
  const loss = emit.neg(total(emit, emit.mul(target, logarithms), shape));
  const gradient = emit.sub(emit.scale(emit.op("Exp", [logarithms]), factor), target);
  return { inputs: [input], loss, gradient };
}

function emitDistillation(
  emit: Emitter,
  source: LossSource,
  targets: TargetKind,
  temperature: number,
  alpha: number,
): EmittedLoss {
  const { value, shape, classAxis } = source;
  const axis = { axis: attribute.int(classAxis) };
  const input = tensorInfo(LOSS_INPUTS.teacher, emit.floatType, shape);
  const positions = elementCount(shape) / shape[classAxis];
  const student = emit.op("LogSoftmax", [emit.scale(value, 1 / temperature)], axis);
  const teacher = emit.op("LogSoftmax", [emit.scale(input.name, 1 / temperature)], axis);
  const weights = emit.op("Exp", [teacher]);
  const divergence = total(emit, emit.mul(weights, emit.sub(teacher, student)), shape);
  const loss = emit.scale(divergence, (alpha * temperature ** 2) / positions);
  const gradient = emit.scale(emit.sub(emit.op("Exp", [student]), weights), (alpha * temperature) / positions);
  if (alpha === 1) return { inputs: [input], loss, gradient };
  const hard = emitCrossEntropy(emit, source, targets, 0, 1 - alpha);
  return {
    inputs: [input, ...hard.inputs],
    loss: emit.add(loss, hard.loss),
    gradient: emit.add(gradient, hard.gradient),
  };
}
