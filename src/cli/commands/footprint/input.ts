// The options of an assessment that are factors of the user's own: energy, intensities, ratios, prices; may depend on this room, footprint, quantity and errors.
import { LightfootError } from "../../../errors/lightfoot-error.ts";
import type { FootprintInput } from "../../../footprint/assess.ts";
import { bounded, type EnergyBoundary } from "../../../footprint/boundary.ts";
import type { GridFactor } from "../../../footprint/grid-emissions.ts";
import type { MarketInput } from "../../../footprint/intensity-market.ts";
import type { PriceOf } from "../../../footprint/money.ts";
import { figure, type Assumption, type Figure } from "../../../quantity/figure.ts";
import { declaredQuantity } from "../../../quantity/parse-quantity.ts";
import { parseIntensity, parsePrice, parseRatio, parseWaterPerEnergy } from "../../../quantity/parse-rate.ts";
import type { IntensityFlags } from "../../intensity-options.ts";

export interface FootprintFlags extends IntensityFlags {
  readonly energy?: string;
  readonly boundary?: EnergyBoundary;
  readonly where?: string;
  readonly hardware?: string;
  readonly hours?: string;
  readonly part?: readonly string[];
  readonly intensity?: string;
  readonly marketIntensity?: string;
  readonly marketShare?: string;
  readonly residualMix?: string;
  readonly pue?: string;
  readonly wue?: string;
  readonly price?: string;
  readonly gpuHourPrice?: string;
  readonly carbonPrice?: string;
  readonly life?: string;
  readonly use?: string;
}

/**
 * What the user gave; nothing is looked up.
 *
 * @throws LightfootError E_USAGE for options that are malformed or pointless
 */
export function givenFactors(flags: FootprintFlags): Omit<FootprintInput, "energy" | "thisYear"> {
  return {
    intensity: givenIntensity(flags),
    market: givenMarket(flags),
    factors: {
      powerUsageEffectiveness: ratio("--pue", flags.pue),
      waterUsageEffectiveness: given(flags.wue, "--wue", parseWaterPerEnergy, "L/kWh"),
    },
    prices: {
      electricity: givenPrice("--price", flags.price, "kWh"),
      deviceHour: givenPrice("--gpu-hour-price", flags.gpuHourPrice, "h"),
      carbon: givenPrice("--carbon-price", flags.carbonPrice, "tCO2e"),
    },
  };
}

export const givenLife = ({ life }: FootprintFlags): Figure | undefined =>
  life === undefined ? undefined : fromOption("--life", () => declaredQuantity(life, "duration", "--life"));

export function givenUse({ use }: FootprintFlags): Figure | undefined {
  const found = given(use, "--use", (text) => parseRatio(text, "a share"), "1");
  if (found === undefined || (found.value > 0 && found.value <= 1)) return found;
  throw new LightfootError("E_USAGE", `--use is ${use}, expected above 0 and at most 100 %`);
}

const EXAMPLES: Readonly<Record<string, string>> = { "--energy": "12.5kWh", "--hours": "3", "--life": "4y" };
const example = (option: string): string | undefined =>
  EXAMPLES[option] === undefined ? undefined : `Write it as e.g. ${option} ${EXAMPLES[option]}.`;

/** Runs a parser; what it finds wrong with an option's value is a mistake in the command line. */
export function fromOption<T>(option: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof LightfootError)) throw error;
    const message = error.message.includes(option) ? error.message : `${option}: ${error.message}`;
    throw new LightfootError("E_USAGE", message, { hint: error.hint ?? example(option), cause: error });
  }
}

function given(
  text: string | undefined,
  option: string,
  parse: (text: string) => number,
  unit: string,
): Figure | undefined {
  if (text === undefined) return undefined;
  const value = fromOption(option, () => parse(text));
  return figure({ value, unit, method: "declared", sources: [`${option} ${text}`] });
}

function ratio(option: string, text: string | undefined): Figure | undefined {
  const found = given(text, option, (written) => parseRatio(written), "1");
  if (found !== undefined && !(found.value >= 1 && found.value <= 10)) {
    throw new LightfootError("E_USAGE", `${option} is ${text}, expected a ratio of 1 to 10`, {
      hint: "Power usage effectiveness is the facility's energy over that of its IT equipment, which it contains: 1.1 to 2.",
    });
  }
  return found;
}

const BOUNDARY_UNSAID: Assumption = {
  key: "energy.boundary",
  text: "What the energy covers was not said: all IT equipment is assumed, without cooling and losses (--boundary).",
};

export function givenEnergy({ energy, boundary }: FootprintFlags): FootprintInput["energy"] | undefined {
  if (energy === undefined) {
    if (boundary === undefined) return undefined;
    throw new LightfootError("E_USAGE", "--boundary says what --energy covers, which is missing");
  }
  const joules = fromOption("--energy", () => declaredQuantity(energy, "energy", "--energy"));
  const stated = boundary === undefined ? { ...joules, assumptions: [BOUNDARY_UNSAID] } : joules;
  return bounded(stated, boundary ?? "IT");
}

function givenIntensity({ intensity, kind, scope }: FootprintFlags): GridFactor | undefined {
  const found = given(intensity, "--intensity", parseIntensity, "gCO2e/kWh");
  if (found === undefined) return undefined;
  const unsaid: Assumption = {
    key: "intensity.kind",
    text: "Whether the intensity is an average or a marginal one was not said: an average is assumed (--kind).",
  };
  return {
    figure: kind === undefined ? { ...found, assumptions: [unsaid] } : found,
    kind: kind ?? "average",
    scope: scope ?? "undeclared",
    basis: "undeclared",
    vintage: "undeclared",
    dataset: "given",
    licence: null,
  };
}

function givenMarket(flags: FootprintFlags): MarketInput | undefined {
  const intensity = given(flags.marketIntensity, "--market-intensity", parseIntensity, "gCO2e/kWh");
  if (intensity === undefined) {
    const alone = flags.marketShare !== undefined ? "--market-share" : "--residual-mix";
    if (flags.marketShare === undefined && flags.residualMix === undefined) return undefined;
    throw new LightfootError("E_USAGE", `${alone} belongs to --market-intensity, which is missing`);
  }
  const share = flags.marketShare;
  const fraction = share === undefined ? 1 : fromOption("--market-share", () => parseRatio(share, "a share"));
  if (!(fraction > 0 && fraction <= 1)) {
    throw new LightfootError("E_USAGE", `--market-share is ${share}, expected above 0 and at most 100 %`);
  }
  return {
    instruments: [{ kind: "contract", label: "--market-intensity", fraction, intensity }],
    residualMix: given(flags.residualMix, "--residual-mix", parseIntensity, "gCO2e/kWh"),
  };
}

function givenPrice(option: string, text: string | undefined, per: "kWh" | "h" | "tCO2e"): PriceOf | undefined {
  if (text === undefined) return undefined;
  const { value, unit } = fromOption(option, () => parsePrice(text, per));
  return { figure: figure({ value, unit, method: "declared", sources: [`${option} ${text}`] }), basis: "given" };
}
