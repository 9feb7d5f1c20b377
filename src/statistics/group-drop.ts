// What each class or group of samples loses from one model to another; may depend on its room and errors.
import { LightfootError } from "../errors/lightfoot-error.ts";
import { holm, mcnemar, pairedDifferenceOfCounts, type Interval, type PairedCounts } from "./proportion.ts";

/** One group of samples under two models. */
export interface GroupDrop {
  /** Its number. */
  readonly group: number;
  readonly count: number;
  /** Shares right, first and second model. */
  readonly first: number;
  readonly second: number;
  /** first − second with its paired 95 % interval; positive is a loss. */
  readonly drop: Interval;
  /** Samples of which only one of the two is right. */
  readonly onlyFirst: number;
  readonly onlySecond: number;
  /** Exact McNemar test that both err equally often in this group, and the same after Holm over all groups. */
  readonly p: number;
  readonly adjustedP: number;
}

/**
 * Drops by group, for groups that have samples, in order of their numbers.
 *
 * The largest of many drops is large by chance alone: read it beside its interval and its adjusted p-value.
 *
 * @param first correctness of the first model, 0 or 1, `[samples]`
 * @param second the same samples, the second model
 * @param groups number of each sample's group, whole and from 0, `[samples]`
 * @throws LightfootError E_DATA when the lengths differ or a group is no whole number from 0
 */
export function dropByGroup(first: Uint8Array, second: Uint8Array, groups: ArrayLike<number>): GroupDrop[] {
  if (first.length !== second.length || groups.length !== first.length) {
    throw new LightfootError(
      "E_DATA",
      `groups need the same samples everywhere, found ${first.length}, ${second.length} and ${groups.length}`,
    );
  }
  const counts = new Map<number, { -readonly [Key in keyof PairedCounts]: number }>();
  for (let index = 0; index < first.length; index++) {
    const group = groups[index];
    if (!Number.isInteger(group) || group < 0) {
      throw new LightfootError("E_DATA", `sample ${index} is of group ${group}, expected a whole number from 0`);
    }
    let count = counts.get(group);
    if (count === undefined) counts.set(group, (count = { both: 0, onlyFirst: 0, onlySecond: 0, neither: 0 }));
    if (first[index] !== 0) count[second[index] === 0 ? "onlyFirst" : "both"]++;
    else count[second[index] === 0 ? "neither" : "onlySecond"]++;
  }
  const rows = [...counts].toSorted(([left], [right]) => left - right);
  const ps = rows.map(([, { onlyFirst, onlySecond }]) => mcnemar(onlyFirst, onlySecond).exact);
  const adjusted = holm(ps);
  return rows.map(([group, paired], at) => {
    const { both, onlyFirst, onlySecond, neither } = paired;
    const count = both + onlyFirst + onlySecond + neither;
    const { difference, low, high } = pairedDifferenceOfCounts(paired);
    return {
      group,
      count,
      first: (both + onlyFirst) / count,
      second: (both + onlySecond) / count,
      drop: { value: difference, low, high },
      onlyFirst,
      onlySecond,
      p: ps[at],
      adjustedP: adjusted[at],
    };
  });
}
