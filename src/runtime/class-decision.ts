// From a model's scores to class decisions: finds the class axis, takes the best class, or thresholds a single score; may
// depend on errors, quantity and its room.
import { LightfootError } from "../errors/index.ts";
import { elementCount, type TensorValue } from "../model/tensor-value.ts";
import type { Assumption } from "../quantity/index.ts";
import { numbersOf } from "./convert-tensor.ts";

/**
 * How classes lie in an output `[N, …before, C, …after]` with labels `[N, …before, …after]`.
 *
 * `scores`: one score for each class. `single`: one score for each label, for class 1. `decided`: the output holds class
 * numbers. Axes of size 1 are ignored on both sides.
 */
export interface ClassLayout {
  readonly kind: "scores" | "single" | "decided";
  readonly classCount: number;
  readonly before: number;
  readonly after: number;
  /** Labels for each sample: 1, or the pixels or tokens of one. */
  readonly positions: number;
}

const show = (value: TensorValue): string => `[${value.shape.join(",")}] ${value.dtype}`;
const isInteger = (value: TensorValue): boolean => /^u?int/.test(value.dtype) || value.dtype === "bool";

/** Axes of a sample that are more than formal. */
const wide = (shape: readonly number[]): number[] => shape.slice(1).filter((size) => size !== 1);

/**
 * Finds the class axis of `output`, given labels or, without any, another model's output of the same shape.
 *
 * @throws LightfootError E_METRIC when no axis fits
 */
export function findClassLayout(output: TensorValue, labels: TensorValue | undefined, classAxis?: number): ClassLayout {
  const shape = output.shape;
  if (classAxis !== undefined) {
    const axis = classAxis < 0 ? shape.length + classAxis : classAxis;
    const classCount = shape[axis];
    if (axis < 1 || classCount === undefined) {
      throw new LightfootError("E_METRIC", `the output is ${show(output)}; axis ${classAxis} cannot count classes`);
    }
    return checkedLayout(output, labels, axis);
  }
  if (labels === undefined) {
    if (isInteger(output)) return noAxis(output, "decided");
    // Without labels the last axis counts classes, as in every classifier that ends in a matrix product.
    return shape.length < 2 || shape.at(-1) === 1
      ? noAxis(output, "single")
      : checkedLayout(output, undefined, shape.length - 1);
  }
  const [outputDims, labelDims] = [wide(shape), wide(labels.shape)];
  if (outputDims.join() === labelDims.join()) return noAxis(output, isInteger(output) ? "decided" : "single");
  const fitting = shape
    .map((_, axis) => axis)
    .filter((axis) => axis > 0 && wide(shape.filter((_size, other) => other !== axis)).join() === labelDims.join());
  const axis = fitting.at(-1);
  if (axis === undefined) {
    throw new LightfootError(
      "E_METRIC",
      `the output is ${show(output)} and the labels are ${show(labels)}: no axis of the output counts classes`,
      {
        hint: "Labels are class numbers, one for each decision; choose another output or axis if the model has several.",
      },
    );
  }
  return checkedLayout(output, labels, axis);
}

function noAxis(output: TensorValue, kind: "single" | "decided"): ClassLayout {
  const positions = elementCount(output.shape.slice(1));
  return { kind, classCount: 2, before: positions, after: 1, positions };
}

function checkedLayout(output: TensorValue, labels: TensorValue | undefined, axis: number): ClassLayout {
  const before = elementCount(output.shape.slice(1, axis));
  const after = elementCount(output.shape.slice(axis + 1));
  const classCount = output.shape[axis];
  if (labels !== undefined && elementCount(labels.shape.slice(1)) !== before * after) {
    throw new LightfootError("E_METRIC", `axis ${axis} of ${show(output)} leaves other labels than ${show(labels)}`);
  }
  if (classCount === 1) return noAxis(output, "single");
  return { kind: "scores", classCount, before, after, positions: before * after };
}

/** The best class at every position, `[N · positions]`; the first of equals; −1 where a score is NaN. */
export function bestClasses(output: TensorValue, layout: ClassLayout): Int32Array {
  const scores = numbersOf(output);
  const { classCount, after } = layout;
  const groups = scores.length / (classCount * after);
  const best = new Int32Array(groups * after);
  for (let group = 0; group < groups; group++) {
    for (let inner = 0; inner < after; inner++) {
      const base = group * classCount * after + inner;
      let winner = 0;
      let top = scores[base];
      let sound = top === top;
      for (let candidate = 1; candidate < classCount; candidate++) {
        const score = scores[base + candidate * after];
        if (score > top) {
          top = score;
          winner = candidate;
        } else if (score !== score) sound = false;
      }
      best[group * after + inner] = sound ? winner : -1;
    }
  }
  return best;
}

/** Place of the labelled class among all, from 0, by falling score; `classCount` (worse than last) where a score is NaN. */
export function rankOfLabel(output: TensorValue, labels: Int32Array, layout: ClassLayout): Int32Array {
  const scores = numbersOf(output);
  const { classCount, after } = layout;
  const ranks = new Int32Array(labels.length);
  for (let position = 0; position < labels.length; position++) {
    const base = Math.floor(position / after) * classCount * after + (position % after);
    const label = labels[position];
    const own = scores[base + label * after];
    let rank = 0;
    for (let candidate = 0; candidate < classCount; candidate++) {
      const score = scores[base + candidate * after];
      if (score !== score) {
        rank = classCount;
        break;
      }
      // Of equal scores the lower class number wins, so that top-1 is the same as the argmax.
      if (score > own || (score === own && candidate < label)) rank++;
    }
    ranks[position] = rank;
  }
  return ranks;
}

/** @throws LightfootError E_METRIC on a label that the output has no class for, with its sample */
export function requireLabelsInRange(labels: Int32Array, layout: ClassLayout, firstSample: number): void {
  if (layout.kind === "decided") return;
  for (let position = 0; position < labels.length; position++) {
    if (labels[position] >= layout.classCount) {
      const sample = firstSample + Math.floor(position / layout.positions);
      throw new LightfootError(
        "E_METRIC",
        `sample ${sample} is labelled ${labels[position]}, the model has classes 0…${layout.classCount - 1}`,
        { hint: "Labels count from 0." },
      );
    }
  }
}

/** Where a single score becomes class 1, and what was assumed to know it. */
export function thresholdFor(
  scores: ArrayLike<number>,
  given: number | undefined,
): { readonly threshold: number; readonly assumptions: readonly Assumption[] } {
  if (given !== undefined) return { threshold: given, assumptions: [] };
  let probabilities = true;
  for (let index = 0; index < scores.length && probabilities; index++) {
    const score = scores[index];
    if (score < 0 || score > 1) probabilities = false;
  }
  const threshold = probabilities ? 0.5 : 0;
  const reading = probabilities ? "all scores lie in 0…1, read as probabilities" : "scores outside 0…1, read as logits";
  return {
    threshold,
    assumptions: [{ key: "metric.threshold", text: `Class 1 begins at a score of ${threshold}: ${reading}.` }],
  };
}
