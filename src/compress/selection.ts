// Which candidate wins: a pure rule over validation figures, blind to test data; may depend on this room's schema.
import type { Candidate } from "./candidate-schema.ts";
import { surelyWithin, within } from "./loss.ts";
import type { Goal } from "./search-options.ts";

/**
 * The rule in words, for the result document.
 *
 * Choosing the extreme one of many candidates favours those that were lucky on the validation samples. That is why the far end
 * of the interval must hold there, not only the estimate.
 */
export function selectionRule(goal: Goal, confidence?: number): string {
  const least = {
    size: "smallest file",
    latency: "lowest latency",
    energy: "least energy (by processor time, since the watts are the same for all)",
    memory: "lowest peak memory",
  }[goal];
  const sure = `On validation data: ${least} among the candidates whose loss stays within the budget at the far end of its`;
  const chooses =
    confidence === undefined
      ? `${sure} 95 % interval; if there is none, among those whose estimate is within the budget and whose far end is within twice the budget. `
      : `${sure} ${confidence * 100} % interval. `;
  return (
    chooses +
    "What lies within 5 % of the best counts as equal: then more multiply-adds in integers decide, then the smaller loss. " +
    "Test data judges afterwards and never chooses."
  );
}

interface Interval {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/**
 * What the goal makes small, in its own unit; bytes are known exactly, all else is measured. Energy is compared by the processor time that
 * it is modelled from: the watts, which nobody measured, are the same for all models on one machine, and so is their uncertainty.
 */
function costInterval({ fileBytes, latency, processorTime, peakMemory }: Candidate, goal: Goal): Interval | null {
  if (goal === "size") return fileBytes === null ? null : { value: fileBytes, low: fileBytes, high: fileBytes };
  return { latency: latency[0]?.median ?? null, energy: processorTime, memory: peakMemory }[goal];
}

/** What the goal makes small; infinite when it was not measured. */
export const costOf = (candidate: Candidate, goal: Goal): number => costInterval(candidate, goal)?.value ?? Infinity;

/** Lower than the original's, for certain: intervals of measured costs do not overlap. */
function improves(candidate: Candidate, original: Candidate, goal: Goal): boolean {
  const [own, before] = [costInterval(candidate, goal), costInterval(original, goal)];
  return own !== null && (before === null || own.high < before.low);
}

/** Costs this close are a matter of a few headers, or of noise in a measurement. */
const EQUAL_WITHIN = 1.05;

/** Multiply-adds that run in floats; all of them when nobody looked. */
const floatShare = (candidate: Candidate): number => candidate.execution?.floatShare ?? 1;

/** Among equals: least float arithmetic, least loss, least bytes, and the name, so that the order of trying never decides. */
function better(left: Candidate, right: Candidate): number {
  return (
    floatShare(left) - floatShare(right) ||
    (left.validation?.loss.value ?? Infinity) - (right.validation?.loss.value ?? Infinity) ||
    (left.fileBytes ?? Infinity) - (right.fileBytes ?? Infinity) ||
    (left.id < right.id ? -1 : 1)
  );
}

/**
 * The winner after `selectionRule`, or undefined when none improves on the original within the budget.
 *
 * @param candidates in any order; those whose `accepted` is false for another reason than test data must be left out
 */
export function select(candidates: readonly Candidate[], original: Candidate, goal: Goal): Candidate | undefined {
  const improving = candidates.filter((candidate) => improves(candidate, original, goal));
  for (const holds of [surelyWithin, within]) {
    const eligible = improving.filter(({ validation }) => validation !== null && holds(validation));
    const least = Math.min(...eligible.map((candidate) => costOf(candidate, goal)));
    const equals = eligible.filter((candidate) => costOf(candidate, goal) <= least * EQUAL_WITHIN);
    if (equals.length > 0) return equals.toSorted(better)[0];
  }
  return undefined;
}

/**
 * Ids of the candidates that no other beats on both sides: the goal's cost, and the loss on validation data. By cost, dearest last; the
 * original, which loses nothing, stands at the dear end.
 */
export function paretoFront(candidates: readonly Candidate[], original: Candidate, goal: Goal): string[] {
  const lossOf = (candidate: Candidate): number => candidate.validation?.loss.value ?? 0;
  const measured = [original, ...candidates.filter(({ validation }) => validation !== null)].toSorted(
    (left, right) =>
      costOf(left, goal) - costOf(right, goal) || lossOf(left) - lossOf(right) || (left.id < right.id ? -1 : 1),
  );
  const front: string[] = [];
  let least = Infinity;
  for (const candidate of measured) {
    if (!(lossOf(candidate) < least)) continue;
    least = lossOf(candidate);
    front.push(candidate.id);
  }
  return front;
}
