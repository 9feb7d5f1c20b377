// PUE in other people's sums: at least 1, and in carbon exactly once; may depend on its room.
import { compare, failing, holding, type Check } from "./check.ts";

/** A PUE by itself. */
export function checkPue(stated: {
  readonly value: number;
  readonly where: Check["where"];
  readonly stated: string;
}): Check {
  const input = {
    code: "pue" as const,
    where: stated.where,
    message: "PUE is facility energy over IT energy: at least 1, and below 3 in practice",
    stated: stated.stated,
  };
  if (!(stated.value >= 1)) return failing(input);
  return stated.value > 3 ? failing({ ...input, severity: "warning" }) : holding(input);
}

interface Sum {
  readonly where: Check["where"];
  readonly message: string;
  readonly statedValue: number;
  /** The right side where the energy is multiplied with a factor. */
  readonly recomputedAt: (energyFactor: number) => number;
  readonly pue: number | undefined;
  /** What the stated energy covers, where its name says so. */
  readonly covers?: "IT" | "facility" | undefined;
  readonly tolerance: number;
  readonly stated: string;
  readonly show: (value: number) => string;
}

/**
 * A sum over an energy with a PUE stated beside it. An energy that does not say what it covers may hold the PUE or not:
 * both are accepted, PUE squared is not; an energy of the IT alone must be multiplied with PUE, one of the facility must not.
 */
export function compareWithPue(sum: Sum): Check {
  const { pue = 1, covers, statedValue, tolerance, recomputedAt, where, stated } = sum;
  const isNear = (value: number): boolean =>
    Math.abs(statedValue - value) <= tolerance * Math.max(Math.abs(statedValue), Math.abs(value));
  const right = covers === "IT" ? recomputedAt(pue) : recomputedAt(1);
  const common = { where, stated, recomputed: sum.show(right), factor: statedValue / right };
  const usesPue = pue > 1 && !isNear(recomputedAt(1));
  if (usesPue && covers !== "facility" && isNear(recomputedAt(pue))) {
    const recomputed = sum.show(recomputedAt(pue));
    return holding({ code: "arithmetic", where, message: `${sum.message}, with PUE ${pue}`, stated, recomputed });
  }
  if (usesPue && isNear(recomputedAt(covers === "facility" ? pue : pue * pue))) {
    const message = `${sum.message}: PUE ${pue} was counted twice`;
    return failing({ ...common, code: "pue", message });
  }
  if (pue > 1 && covers === "IT" && isNear(recomputedAt(1))) {
    const message = `${sum.message}: the stated PUE of ${pue} is not in it, and the energy is that of the IT alone`;
    return failing({ ...common, code: "pue", severity: "warning", message });
  }
  return compare({
    code: "arithmetic",
    where,
    message: sum.message,
    statedValue,
    recomputedValue: right,
    tolerance,
    stated,
    recomputed: sum.show(right),
  });
}
