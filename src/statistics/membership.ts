// A threshold attack that tells members of the training data from others by a score; may depend on its room and errors.
import { LightfootError } from "../errors/lightfoot-error.ts";
import {
  differenceOf,
  independentDifference,
  pairedCounts,
  pairedDifferenceOfCounts,
  wilson,
  type Interval,
} from "./proportion.ts";
import type { Random } from "./random.ts";

/** Scores by sample, higher where a sample looks more like a member: minus the loss on its label. */
export interface MembershipScores {
  readonly members: ArrayLike<number>;
  readonly others: ArrayLike<number>;
}

/** Indices of the half on which thresholds are chosen, and of the half on which they are measured. */
export interface MembershipSplit {
  readonly choose: { readonly members: Uint32Array; readonly others: Uint32Array };
  readonly measure: { readonly members: Uint32Array; readonly others: Uint32Array };
}

export interface MembershipAttack {
  /** A sample counts as a member from this score on. */
  readonly threshold: number;
  /** TPR − FPR on the half that did not choose the threshold; 0 is guessing. */
  readonly advantage: Interval;
  /** Members found at the threshold that takes at most 1 % of the others of the choosing half; undefined below 100 others. */
  readonly tprAtLowFpr: Interval | undefined;
  /** Which members and others of the measuring half the attack takes for members, 0 or 1. */
  readonly taken: { readonly members: Uint8Array; readonly others: Uint8Array };
}

const LOW_FPR = 0.01;

/** Halves at random. @throws LightfootError E_DATA below two members or two others */
export function splitForMembership(memberCount: number, otherCount: number, random: Random): MembershipSplit {
  if (memberCount < 2 || otherCount < 2) {
    throw new LightfootError(
      "E_DATA",
      `an attack needs 2 members and 2 others or more, found ${memberCount} and ${otherCount}`,
    );
  }
  const halves = (count: number): [Uint32Array, Uint32Array] => {
    const order = random.permutation(count);
    const half = Math.floor(count / 2);
    return [order.slice(0, half).sort(), order.slice(half).sort()];
  };
  const [chooseMembers, measureMembers] = halves(memberCount);
  const [chooseOthers, measureOthers] = halves(otherCount);
  return {
    choose: { members: chooseMembers, others: chooseOthers },
    measure: { members: measureMembers, others: measureOthers },
  };
}

/**
 * The attack: the threshold with the largest TPR − FPR on one half, measured on the other.
 *
 * Thresholds are between scores that occur, so the advantage on the choosing half is never negative; on the measuring half
 * it can be, where the choice was noise.
 *
 * @throws LightfootError E_DATA for a score that is not a number
 * @source Yeom, Giacomelli, Fredrikson and Jha 2018, Privacy Risk in Machine Learning (attack by loss); Carlini et al.
 *   2022, Membership Inference Attacks From First Principles (why the rate at few false positives is reported)
 */
export function membershipAttack(scores: MembershipScores, split: MembershipSplit): MembershipAttack {
  const pick = (values: ArrayLike<number>, indices: Uint32Array): Float64Array =>
    Float64Array.from(indices, (index) => {
      if (Number.isNaN(values[index])) throw new LightfootError("E_DATA", `the score of sample ${index} is no number`);
      return values[index];
    });
  const chosen = {
    members: pick(scores.members, split.choose.members).sort(),
    others: pick(scores.others, split.choose.others).sort(),
  };
  const measured = {
    members: pick(scores.members, split.measure.members),
    others: pick(scores.others, split.measure.others),
  };
  const threshold = bestThreshold(chosen);
  const taken = { members: atLeast(measured.members, threshold), others: atLeast(measured.others, threshold) };
  const advantage = independentDifference(
    [sum(taken.members), taken.members.length],
    [sum(taken.others), taken.others.length],
  );
  const { others } = chosen;
  if (others.length < 1 / LOW_FPR) return { threshold, advantage, tprAtLowFpr: undefined, taken };
  // Strictly above the score that one percent of the others reach.
  const limit = others[others.length - 1 - Math.floor(LOW_FPR * others.length)];
  const found = measured.members.reduce((total, score) => total + (score > limit ? 1 : 0), 0);
  return { threshold, advantage, tprAtLowFpr: wilson(found, measured.members.length), taken };
}

/**
 * Rise of the advantage from one attack to another on the same split: (TPR₂ − TPR₁) − (FPR₂ − FPR₁), each difference paired.
 */
export function membershipChange(first: MembershipAttack, second: MembershipAttack): Interval {
  const rise = (before: Uint8Array, after: Uint8Array): Interval => {
    const { difference, low, high } = pairedDifferenceOfCounts(pairedCounts(after, before));
    return { value: difference, low, high };
  };
  return differenceOf(rise(first.taken.members, second.taken.members), rise(first.taken.others, second.taken.others));
}

const atLeast = (scores: Float64Array, threshold: number): Uint8Array =>
  Uint8Array.from(scores, (score) => (score >= threshold ? 1 : 0));

const sum = (values: Uint8Array): number => values.reduce((total, value) => total + value, 0);

/** Both sorted upwards; walks down the scores, and of equal ones takes all or none. */
function bestThreshold({ members, others }: { members: Float64Array; others: Float64Array }): number {
  let [member, other] = [members.length - 1, others.length - 1];
  let best = Number.POSITIVE_INFINITY;
  let most = 0;
  while (member >= 0 || other >= 0) {
    const score = Math.max(members[member] ?? -Infinity, others[other] ?? -Infinity);
    while (member >= 0 && members[member] >= score) member--;
    while (other >= 0 && others[other] >= score) other--;
    const advantage = (members.length - 1 - member) / members.length - (others.length - 1 - other) / others.length;
    if (advantage > most) [most, best] = [advantage, score];
  }
  return best;
}
