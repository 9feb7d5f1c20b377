// Holds a structured SCI statement against SCI = ((E × I) + M) / R with R > 0 (ISO/IEC 21031); may depend on its room.
import type { SciStatement, SciTerm, SciValue } from "../exchange/sci-statement.ts";
import { checkPue, compareWithPue } from "./check-pue.ts";
import { failing, holding, impossible, type Check } from "./check.ts";

const TOLERANCE = 0.01;

const show = (value: number, unit: string): string => `${Number(value.toPrecision(6))} ${unit}`;

function checkSigns(terms: SciStatement["terms"]): Check[] {
  return (Object.entries(terms) as [SciTerm, SciValue][]).flatMap(([term, { value, key, text }]) => {
    if (term === "units") {
      const input = {
        code: "functional-unit" as const,
        where: { path: key },
        message: "R, the number of functional units, is above 0",
        stated: text,
      };
      return value > 0
        ? holding(input)
        : failing({ ...input, message: `${input.message}: without any the score is not defined` });
    }
    if (term === "pue") return checkPue({ value, where: { path: key }, stated: text });
    const input = { code: "range" as const, where: { path: key }, message: `${key} is at least 0`, stated: text };
    return value >= 0 ? holding(input) : failing(input);
  });
}

/** Every check that a statement allows. */
export function checkSci({ terms, unreadable }: SciStatement): Check[] {
  const { energy, pue, intensity, operational, embodied, units, score } = terms;
  const checks: Check[] = [
    ...unreadable.map(({ key, text }) =>
      failing({
        code: "incomplete",
        severity: "warning",
        where: { path: key },
        message: `${key} cannot be read as a quantity of its unit`,
        stated: text,
      }),
    ),
    ...checkSigns(terms),
  ];
  const product = energy !== undefined && intensity !== undefined ? energy.value * intensity.value : undefined;
  if (operational !== undefined && product !== undefined) {
    checks.push(
      compareWithPue({
        where: { path: operational.key },
        message: "O = E × I",
        statedValue: operational.value,
        recomputedAt: (factor) => product * factor,
        pue: pue?.value,
        tolerance: TOLERANCE,
        stated: operational.text,
        show: (grams) => show(grams, "g"),
      }),
    );
  }
  const carbon = product ?? operational?.value;
  if (score === undefined || units === undefined || units.value <= 0) return checks;
  if (carbon === undefined || embodied === undefined) {
    const missing = carbon === undefined ? "E and I (or O)" : "M: a score without embodied carbon is no SCI";
    checks.push(
      impossible({
        code: "incomplete",
        severity: "warning",
        where: { path: score.key },
        message: `the statement lacks ${missing}`,
        stated: score.text,
      }),
    );
    if (carbon === undefined) return checks;
  }
  checks.push(
    compareWithPue({
      where: { path: score.key },
      message: "SCI = ((E × I) + M) / R",
      statedValue: score.value,
      recomputedAt: (factor) => (carbon * factor + (embodied?.value ?? 0)) / units.value,
      // O alone is as it is: whether PUE is in it cannot be told from the score.
      pue: product === undefined ? undefined : pue?.value,
      tolerance: TOLERANCE,
      stated: score.text,
      show: (grams) => show(grams, "g per functional unit"),
    }),
  );
  return checks;
}
