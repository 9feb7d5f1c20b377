// Holds a written SCI statement against its own numbers: equations, scores from their parts, repeated scores; may depend on its room.
import { readStatement, type StatedLine, type StatedSide } from "../exchange/statement.ts";
import { compare, failing, impossible, type Check } from "./check.ts";
import { powerOf, sameUnits, type WrittenQuantity } from "../exchange/written-quantity.ts";

// Reports round as they like; half a unit of the last digit of each side is added to this.
const SLACK = 0.005;

/** The stated text with another number at its head: `0.13 g/…` becomes `130 g/…`. */
function rewritten(side: StatedSide, factor: number): string {
  const value = (side.quantity?.printed ?? 0) * factor;
  const tail = side.text.replace(/^\s*[\d.,]+(?:[eE][+-]?\d+)?(?:\s*[×x*]\s*10(?:\^?-?\d+|[⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+))?/, "");
  return `${Number(value.toPrecision(6))}${tail.startsWith(" ") || tail === "" ? tail : ` ${tail}`}`;
}

interface Valued extends StatedSide {
  readonly quantity: WrittenQuantity;
}

const isValued = (side: StatedSide): side is Valued => side.quantity !== undefined;

/** `a = b = c`: each side that can be computed against the first. */
function checkEquation({ line, label, sides }: StatedLine): Check[] {
  const [first, ...rest] = sides.filter(isValued);
  if (first === undefined) return [];
  return rest.flatMap((side) => {
    const common = {
      code: "arithmetic" as const,
      where: label === "" ? { line } : { line, path: label },
      message: `${label === "" ? "" : `${label}: `}${first.text} = ${side.text}`,
      tolerance: SLACK + side.quantity.rounding + (first.quantity.isComposed ? 0 : first.quantity.rounding),
    };
    // `(350 × 7 × 377.8) / 1000 = 925.61 kWh`: the formula leaves its units out, so only the numbers can be held together.
    const isBare = first.quantity.units.size === 0 && side.quantity.units.size > 0;
    if (!isBare && !sameUnits(first.quantity, side.quantity)) return [];
    const statedValue = isBare ? (side.quantity.printed ?? 0) : side.quantity.value;
    const factor = first.quantity.value / statedValue;
    return compare({
      ...common,
      statedValue,
      recomputedValue: first.quantity.value,
      stated: side.text,
      recomputed: Number.isFinite(factor) ? rewritten(side, factor) : null,
    });
  });
}

const massOf = (side: StatedSide | undefined): boolean =>
  side?.quantity !== undefined && powerOf(side.quantity, "g") === 1;
const isScore = ({ label }: StatedLine): boolean => /\bSCI\b/i.test(label);

interface ScoreParts {
  readonly operational?: StatedLine;
  readonly embodied?: StatedLine;
  readonly total?: StatedLine;
  readonly units?: StatedLine;
}

const firstValue = (line: StatedLine | undefined): WrittenQuantity | undefined => line?.sides.find(isValued)?.quantity;

/** What a score is per: `token` of `0.13 g per million tokens`. */
const countedNouns = ({ sides }: StatedLine): string[] =>
  sides.flatMap(({ quantity }) =>
    [...(quantity?.units ?? [])].filter(([, power]) => power === -1).map(([noun]) => noun),
  );

/** The parts of a score among the lines of its own section. */
function partsOf(lines: readonly StatedLine[]): ScoreParts {
  const masses = lines.filter(
    (line) => !isScore(line) && massOf(line.sides[0]) && powerOf(line.sides[0].quantity!, "kWh") === 0,
  );
  const operational = masses.find(({ label }) => /operational/i.test(label) || label === "O");
  const embodied = masses.find(({ label }) => /embodied/i.test(label) || label === "M");
  const total = masses.find(
    (line) => line !== operational && line !== embodied && /total|carbon|emission|\bC\b/i.test(line.label),
  );
  const nouns = lines.filter(isScore).flatMap(countedNouns);
  const namesUnits = ({ label }: StatedLine): boolean =>
    /total|number|count|functional|processed|\bR\b/i.test(label) ||
    (!/\bper\b/i.test(label) && nouns.some((noun) => label.toLowerCase().includes(noun)));
  const units = lines.find((line) => !isScore(line) && namesUnits(line) && isCount(line.sides[0]?.quantity));
  return { operational, embodied, total, units };
}

const PERIODS: ReadonlySet<string> = new Set(["hour", "day", "week", "month", "quarter", "year"]);

function isCount(quantity: WrittenQuantity | undefined): boolean {
  return quantity !== undefined && ["g", "kWh", "L", "W"].every((unit) => powerOf(quantity, unit) === 0);
}

/** C = O + M, or the total where the parts are not told apart; in g (per period). */
function carbonOf({ operational, embodied, total }: ScoreParts): WrittenQuantity | undefined {
  const [left, right] = [firstValue(operational), firstValue(embodied)];
  if (left !== undefined && right !== undefined && sameUnits(left, right)) {
    return {
      ...left,
      value: left.value + right.value,
      isComposed: true,
      rounding: Math.max(left.rounding, right.rounding),
    };
  }
  return firstValue(total) ?? left;
}

/** Periods cancel only when both sides have the same: carbon of a week over tokens of a month is no score. */
function periodOf(quantity: WrittenQuantity): string {
  return [...quantity.units.keys()].filter((unit) => PERIODS.has(unit)).join(" ");
}

interface Recomputed {
  readonly label: string;
  readonly section: string;
  /** g of one functional unit. */
  readonly gramsPerUnit: number;
  readonly rounding: number;
}

function checkScore(score: StatedLine, parts: ScoreParts): { checks: Check[]; recomputed?: Recomputed } {
  const where = { line: score.line, path: score.label };
  const [carbon, units] = [carbonOf(parts), firstValue(parts.units)];
  const stated = score.sides.findLast(isValued);
  if (stated === undefined || powerOf(stated.quantity, "g") !== 1) return { checks: [] };
  if (carbon === undefined || units === undefined) {
    const missing = carbon === undefined ? "its carbon" : "its number of functional units R";
    return {
      checks: [
        impossible({
          code: "incomplete",
          where,
          message: `${score.label}: ${missing} is not stated beside it`,
          stated: stated.text,
        }),
      ],
    };
  }
  if (units.value <= 0) {
    return {
      checks: [
        failing({
          code: "functional-unit",
          where,
          message: `${score.label}: R = ${units.value}, and a score over no functional unit is not defined (ISO/IEC 21031: R > 0)`,
          stated: stated.text,
        }),
      ],
    };
  }
  if (periodOf(carbon) !== periodOf(units)) {
    const message = `${score.label}: the carbon is per ${periodOf(carbon) || "no period"}, the functional units per ${periodOf(units) || "no period"}`;
    return { checks: [failing({ code: "functional-unit", where, message, stated: stated.text })] };
  }
  const gramsPerUnit = carbon.value / units.value;
  const rounding = carbon.rounding + units.rounding;
  const check = compare({
    code: "arithmetic",
    where,
    message: `${score.label} from the carbon and the functional units beside it`,
    statedValue: stated.quantity.value,
    recomputedValue: gramsPerUnit,
    tolerance: SLACK + stated.quantity.rounding,
    stated: stated.text,
    recomputed: rewritten(stated, gramsPerUnit / stated.quantity.value),
  });
  return {
    checks: [check],
    recomputed: { label: score.label.toLowerCase(), section: score.sections.at(-2) ?? "", gramsPerUnit, rounding },
  };
}

const sectionOf = ({ sections }: StatedLine): string => sections.join(" › ");

/** SCI for AI, section 7.1: systems of the Prepare stage stay out of a provider's score. */
function checkBoundary(line: StatedLine): Check[] {
  const isProvider = line.sections.some((section) => /provider/i.test(section));
  if (!isProvider || !/^boundary$/i.test(line.label)) return [];
  const stages = line.sides.map(({ text }) => text).join(" ");
  const input = {
    code: "boundary" as const,
    where: { line: line.line, path: sectionOf(line) },
    message: "the provider boundary lists the Prepare stage, which SCI for AI (7.1) keeps out of a provider's score",
    stated: stages,
  };
  return [
    /\bprepare\b/i.test(stages) ? failing({ ...input, severity: "warning" }) : { ...failing(input), outcome: "holds" },
  ];
}

/**
 * Every check that a written SCI statement allows: each equation, each score from the parts in its section, each score
 * that is repeated elsewhere under the same heading, and the boundary of a provider's score.
 *
 * Formula: SCI = (O + M) / R, R > 0 (ISO/IEC 21031:2024; SCI for AI, section 9).
 * @param text Markdown or plain text
 */
export function checkStatement(text: string): Check[] {
  const lines = readStatement(text);
  const checks = lines.flatMap((line) => [...checkEquation(line), ...checkBoundary(line)]);
  const bySection = new Map<string, StatedLine[]>();
  for (const line of lines) bySection.set(sectionOf(line), [...(bySection.get(sectionOf(line)) ?? []), line]);
  const known: Recomputed[] = [];
  const repeats: StatedLine[] = [];
  for (const group of bySection.values()) {
    const parts = partsOf(group);
    const hasParts = parts.units !== undefined || carbonOf(parts) !== undefined;
    for (const score of group.filter(isScore)) {
      if (!hasParts) {
        repeats.push(score);
        continue;
      }
      const { checks: found, recomputed } = checkScore(score, parts);
      // The equation on the same line has already found it: once is enough.
      const isTold =
        found.every(({ outcome }) => outcome === "fails") &&
        checks.some((check) => check.outcome === "fails" && check.where.line === score.line);
      if (!isTold) checks.push(...found);
      if (recomputed !== undefined) known.push(recomputed);
    }
  }
  return [...checks, ...repeats.flatMap((line) => checkRepeat(line, known))].toSorted(
    (left, right) => (left.where.line ?? 0) - (right.where.line ?? 0),
  );
}

/** A score that is reported again, away from its parts, under the heading that also holds its computation. */
function checkRepeat(line: StatedLine, known: readonly Recomputed[]): Check[] {
  const stated = line.sides.findLast(isValued);
  const origin = known.find(
    ({ label, section }) => label === line.label.toLowerCase() && section === (line.sections.at(-2) ?? ""),
  );
  if (stated === undefined || origin === undefined || powerOf(stated.quantity, "g") !== 1) return [];
  return [
    compare({
      code: "arithmetic",
      where: { line: line.line, path: line.label },
      message: `${line.label} as reported, from the numbers it was computed from`,
      statedValue: stated.quantity.value,
      recomputedValue: origin.gramsPerUnit,
      tolerance: SLACK + stated.quantity.rounding,
      stated: stated.text,
      recomputed: rewritten(stated, origin.gramsPerUnit / stated.quantity.value),
    }),
  ];
}
