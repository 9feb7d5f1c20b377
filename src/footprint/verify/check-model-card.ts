// Holds the `co2_eq_emissions` of a model card against the hub's unit and against the card's own text; may depend on its room.
import type { ModelCard, ModelCardEmissions } from "../exchange/model-card.ts";
import { readStatement } from "../exchange/statement.ts";
import { parseWritten, powerOf } from "../exchange/written-quantity.ts";
import { checkAccount, readAccount, type Account } from "./check-account.ts";
import { checkIntensity } from "./check-intensity.ts";
import { checkPlace } from "./check-place.ts";
import { compare, failing, holding, impossible, type Check } from "./check.ts";

const PATH = "co2_eq_emissions.emissions";

function checkNumber({ emissions, line }: ModelCardEmissions): { checks: Check[]; grams?: number } {
  const where = { line, path: PATH };
  if (typeof emissions === "string") {
    const written = parseWritten(emissions);
    const grams = written !== undefined && powerOf(written, "g") === 1 ? written.value : undefined;
    const message = "emissions is text; the hub reads a number of grams";
    return {
      checks: [
        failing({
          code: "unit-slip",
          where,
          message,
          stated: emissions,
          recomputed: grams === undefined ? null : String(grams),
        }),
      ],
      grams,
    };
  }
  if (typeof emissions !== "number" || !Number.isFinite(emissions)) {
    const message = `emissions is ${emissions === undefined ? "missing" : JSON.stringify(emissions)}, expected a number of grams`;
    return { checks: [failing({ code: "incomplete", where, message })] };
  }
  const input = { code: "range" as const, where, message: "emissions is above 0 g", stated: `${emissions} g` };
  if (emissions > 0) return { checks: [holding(input)], grams: emissions };
  const message =
    emissions === 0
      ? "emissions is 0: no training is free, so this is unknown and not nothing"
      : "emissions is negative";
  return { checks: [failing({ ...input, message })] };
}

function checkAgainstBody(grams: number, line: number, { carbonGrams, energyKwh, gramsPerKwh }: Account): Check[] {
  const where = { line, path: PATH };
  if (carbonGrams !== undefined) {
    return [
      compare({
        code: "arithmetic",
        where,
        message: `emissions, in grams, is what the card's text says (line ${carbonGrams.line})`,
        statedValue: grams,
        recomputedValue: carbonGrams.value,
        tolerance: 0.01 + carbonGrams.rounding,
        stated: `${grams} g`,
        recomputed: `${carbonGrams.value} g (${carbonGrams.text})`,
      }),
    ];
  }
  if (energyKwh !== undefined && gramsPerKwh !== undefined) {
    const expected = energyKwh.value * gramsPerKwh.value;
    return [
      compare({
        code: "arithmetic",
        where,
        message: "emissions, in grams, is energy × intensity of the card's text",
        statedValue: grams,
        recomputedValue: expected,
        tolerance: 0.02,
        stated: `${grams} g`,
        recomputed: `${Number(expected.toPrecision(6))} g`,
      }),
    ];
  }
  const message =
    "the card states neither energy and intensity nor the emissions in its text: the number cannot be recomputed";
  return [impossible({ code: "incomplete", where, message })];
}

/** The card's grams over the energy of its text; only where the two agree otherwise, or one slip is told twice. */
function checkGrid(grams: number, card: ModelCardEmissions, { energyKwh }: Account): Check[] {
  if (energyKwh === undefined || energyKwh.value <= 0) return [];
  const where = { line: card.line, path: PATH };
  const gramsPerKwh = grams / energyKwh.value;
  const plausible = checkIntensity({ gramsPerKwh, where });
  if (card.location === undefined || plausible.some(({ outcome }) => outcome === "fails")) return plausible;
  return [...plausible, ...checkPlace(gramsPerKwh, [card.location], where)];
}

const ASKED: readonly (readonly [keyof ModelCardEmissions, string])[] = [
  ["source", "source"],
  ["trainingType", "training_type"],
  ["location", "geographical_location"],
  ["hardware", "hardware_used"],
];

function checkDisclosure(card: ModelCardEmissions): Check[] {
  return ASKED.map(([part, key]) => {
    const where = { line: card.line, path: `co2_eq_emissions.${key}` };
    const message = `${key} is stated`;
    if (card[part] !== undefined) return holding({ code: "incomplete", severity: "note", where, message });
    return failing({ code: "incomplete", severity: "note", where, message: `${key} is missing` });
  });
}

/** Every check that a model card allows; none when it states no footprint. */
export function checkModelCard({ emissions, body }: ModelCard): Check[] {
  const account = readAccount(readStatement(body));
  const ofBody = checkAccount(account);
  if (emissions === undefined) return ofBody;
  const { checks, grams } = checkNumber(emissions);
  const against = grams === undefined ? [] : checkAgainstBody(grams, emissions.line, account);
  const hasFailed = against.some(({ outcome }) => outcome === "fails");
  const grid = grams === undefined || hasFailed ? [] : checkGrid(grams, emissions, account);
  return [...checks, ...against, ...grid, ...checkDisclosure(emissions), ...ofBody];
}
