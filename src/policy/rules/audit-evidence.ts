// What an audit proves about a compressed model, as evidence for rules; may depend on runtime (the audit's document) and its room.
import type { Audit } from "../../runtime/audit/audit-schema.ts";
import type { Evidence } from "./judge.ts";

/**
 * Evidence by field, all measured. Losses of groups come from the divisions that were given, or from the classes where none
 * was: many classes have few samples, and would hide that every group has enough.
 *
 * - `evaluation.dropHigh`, `accuracyLow`: ends of 95 % intervals, on the unsure side
 * - `evaluation.agreement`, `worstGroupDrop`, `smallestGroup`, `groupGapChange`, `calibrationDrift`, `robustnessRatio`,
 *   `privacy.miaAdvantageChange`, `privacy.miaTprAtLowFpr`: the estimates, as the rules' limits are written for
 * - `evaluation.flipsP`: the smallest p-value of the whole, all classes and all groups, after Holm
 */
export function evidenceOfAudit(audit: Audit, source: string): Map<string, Evidence> {
  const { accuracy, agreement, partitions, calibration, robustness, membership } = audit;
  const given = partitions.length > 1 ? partitions.slice(1) : partitions;
  const groups = given.flatMap((partition) => partition.groups);
  const values: Record<string, number | null | undefined> = {
    "evaluation.dropHigh": accuracy.drop.high,
    "evaluation.accuracyLow": accuracy.compressed.low,
    "evaluation.agreement": agreement.share.value,
    "evaluation.flipsP": Math.min(
      accuracy.adjustedP,
      ...partitions.flatMap((partition) => partition.groups.map(({ adjustedP }) => adjustedP)),
    ),
    "evaluation.smallestGroup": Math.min(...given.map(({ smallestSampleCount }) => smallestSampleCount)),
    "evaluation.worstGroupDrop": Math.max(...groups.map(({ drop }) => drop.value)),
    "evaluation.groupGapChange": Math.max(...given.map(({ gap }) => gap.compressed - gap.original)),
    "evaluation.calibrationDrift": calibration?.drift.value,
    "evaluation.robustnessRatio": robustness?.ratio?.value,
    "privacy.miaAdvantageChange": membership?.change.value,
    "privacy.miaTprAtLowFpr": membership?.compressed.tprAtLowFpr?.value,
  };
  return new Map(
    Object.entries(values).flatMap(([field, value]): [string, Evidence][] =>
      value === null || value === undefined ? [] : [[field, { value, method: "measured", source }]],
    ),
  );
}
