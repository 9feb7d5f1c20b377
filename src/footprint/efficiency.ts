// The project's two formulas, Efficiency and CompressionRate, each with its basis; may depend on quantity and errors.
import { LightfootError } from "../errors/lightfoot-error.ts";
import { JOULES_PER_KWH } from "../quantity/convert.ts";
import { divide, figure, scale, type Figure } from "../quantity/figure.ts";

/** What must agree before two efficiencies may be compared. */
export interface EfficiencyBasis {
  /** What is done and how it is scored: `10-class image classification, accuracy`. */
  readonly task: string;
  /** The samples it was scored on: `mnist:test`, with a digest where there is one. */
  readonly data: string;
  /** What the resource covers: `server at the wall`, `model file`, `one inference, batch 1`. */
  readonly boundary: string;
  /** Over what: `1,000 inferences`, `training, 10 epochs`. */
  readonly period: string;
}

/** A figure of unit 1/resource with its basis. */
export interface Efficiency extends Figure {
  readonly basis: EfficiencyBasis;
}

/**
 * Efficiency = Accuracy / Resource, per named resource.
 *
 * @param accuracy a fraction: unit `1` (or none), higher is better
 * @param resource what it took: J (shown per kWh), FLOP, B, s, gCO2e, …; its whole interval above 0
 * @returns unit `1/kWh` for energy, else `1/` and the resource's unit; endpoint-wise interval
 * @throws LightfootError E_UNIT when the accuracy has a unit, E_RANGE when the resource can be 0 or is negative,
 *   E_BASIS when the resource says that it covers something else than the basis
 * @example efficiency(accuracy, energy, basis).unit // "1/kWh"
 */
export function efficiency(accuracy: Figure, resource: Figure, basis: EfficiencyBasis): Efficiency {
  if (accuracy.unit !== "1") {
    throw new LightfootError("E_UNIT", `accuracy is a fraction without unit, found ${accuracy.value} ${accuracy.unit}`);
  }
  requirePositive(resource, "a resource");
  requireOwnBoundary(resource, basis);
  const divisor = resource.unit === "J" ? scale(resource, 1 / JOULES_PER_KWH, "kWh") : resource;
  return { ...divide(accuracy, divisor, `1/${divisor.unit}`), basis };
}

/** A figure that says what it covers must not be filed under something else: `facility` under `facility at DE, 2025`. */
function requireOwnBoundary(resource: Figure, basis: EfficiencyBasis): void {
  const own = "boundary" in resource ? String(resource.boundary) : undefined;
  const stated = basis.boundary;
  if (own === undefined || stated === own || stated.startsWith(`${own} `) || stated.startsWith(`${own},`)) return;
  throw new LightfootError("E_BASIS", `the resource covers '${own}', the basis says '${stated}'`, {
    hint: `Let the basis begin with '${own}'.`,
  });
}

/**
 * How many times as efficient `candidate` is as `original`; unit 1.
 *
 * The interval is endpoint-wise: it holds even if the two resources erred in opposite directions, and is wider than
 * need be where one power model served both.
 * @throws LightfootError E_BASIS unless task, data, boundary and period agree, E_UNIT on different resources
 */
export function gainBetween(candidate: Efficiency, original: Efficiency): Figure {
  for (const part of ["task", "data", "boundary", "period"] as const) {
    if (candidate.basis[part] === original.basis[part]) continue;
    throw new LightfootError(
      "E_BASIS",
      `two efficiencies differ in their ${part}: '${candidate.basis[part]}' and '${original.basis[part]}'`,
      { hint: `Evaluate both models with the same ${part}, then compare.` },
    );
  }
  if (candidate.unit !== original.unit) {
    throw new LightfootError("E_UNIT", `cannot compare efficiencies per ${candidate.unit} and per ${original.unit}`);
  }
  return divide(candidate, original, "1");
}

/** What was counted as size. */
export type SizeBasis = "bytes on disk" | "parameters" | "peak memory" | "coded container, bytes";

/** OriginalSize / CompressedSize with what was counted; unit 1, above 1 when the model became smaller. */
export interface CompressionRate extends Figure {
  readonly basis: SizeBasis;
}

/**
 * CompressionRate = OriginalSize / CompressedSize.
 *
 * @param original size before: a count that is exact, or a figure (a peak memory has an interval)
 * @param compressed size after, in the same unit
 * @throws LightfootError E_RANGE when a size can be 0 or is negative, E_UNIT on different units
 * @example compressionRate(407_080, 103_512, "bytes on disk").value // 3.93
 */
export function compressionRate(
  original: Figure | number,
  compressed: Figure | number,
  basis: SizeBasis,
): CompressionRate {
  const [before, after] = [asSize(original, basis), asSize(compressed, basis)];
  if (before.unit !== after.unit) {
    throw new LightfootError("E_UNIT", `cannot compare sizes in ${before.unit} and ${after.unit}`);
  }
  requirePositive(before, "a size");
  requirePositive(after, "a size");
  return { ...divide(before, after, "1"), basis };
}

function asSize(size: Figure | number, basis: SizeBasis): Figure {
  if (typeof size !== "number") return size;
  return figure({ value: size, unit: basis === "parameters" ? "1" : "B", method: "measured", sources: [basis] });
}

function requirePositive(part: Figure, name: string): void {
  if (part.low <= 0) {
    throw new LightfootError("E_RANGE", `${name} lies above 0, found ${part.low}…${part.high} ${part.unit}`);
  }
}
