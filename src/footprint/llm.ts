// Energy and latency per token and per request of a served language model; may depend on cost, facts, quantity, errors and its room.
import { asAccelerators, type Accelerators } from "../cost/transformer/accelerator.ts";
import { isSparse, typicalArchitecture, type KnownArchitecture } from "../cost/transformer/architecture.ts";
import { SERVING_SOURCE } from "../cost/transformer/coefficients.ts";
import { architectureOfConfig } from "../cost/transformer/model-config.ts";
import { servingStep, type ServingLoad, type ServingStep } from "../cost/transformer/serving-step.ts";
import { WEIGHT_FORMATS, type WeightFormat } from "../cost/transformer/weight-format.ts";
import { LightfootError } from "../errors/lightfoot-error.ts";
import { findHardware, type HardwareProfile } from "../facts/hardware.ts";
import { JOULES_PER_KWH } from "../quantity/convert.ts";
import { figure, scale, type Assumption, type Figure } from "../quantity/figure.ts";
import {
  ASSUMED_FACTORS,
  bounded,
  ENERGY_BOUNDARIES,
  energyAt,
  raiseEnergy,
  type BoundaryFactors,
  type EnergyBoundary,
} from "./boundary.ts";
import { bandOf, errorOnUnseenModels, outsideOfFit, powerWidth, type Band } from "./llm-band.ts";
import { compareWithBoards } from "./llm-comparability.ts";
import { loadOf, memoryAssumptions, type LoadInput } from "./llm-load.ts";
import { requestFootprint, type RequestSurroundings } from "./llm-request.ts";
import type { LlmFootprint } from "./llm-schema.ts";

export interface LlmInput extends LoadInput {
  /** All parameters; left out, they are counted from `config`. */
  readonly parameters?: number;
  /** Those one token passes through; left out, all of them or what `config` says. */
  readonly activeParameters?: number;
  /** A Hugging Face `config.json`: its text, and its name for messages. */
  readonly config?: { readonly text: string; readonly where: string };
  /** What `config` says, or 16 bits, when left out. */
  readonly weights?: WeightFormat;
  /** Catalogue id with a count: `nvidia-h100-sxm5-80gb:4`. */
  readonly hardware: string;
  readonly boundary?: EnergyBoundary;
  /** Take the place of the assumed ones from the accelerators outwards. */
  readonly factors?: Partial<BoundaryFactors>;
  /** Place, intensity and prices, for the request's carbon, water, materials and money. */
  readonly surroundings?: RequestSurroundings;
}

const JOULES_PER_WH = JOULES_PER_KWH / 1000;

/**
 * The footprint of one served request, in steady state.
 *
 * All energy of the accelerators in a step is shared by the requests in flight:
 *
 *     energyPerRequest = tokensOut · E_step / inFlight,   energyPerOutputToken = E_step / inFlight    (prompt included)
 *     energyPerRequest = out · decoded + uncached · input + cached · cachedToken                      (exactly)
 *
 * where a cached token costs what the same load costs more with it in the context, and an input token that and its prefill.
 * Intervals are the 95th percentile of the error on models the fit had not seen, wider for devices it had not seen.
 *
 * @throws LightfootError E_RANGE for sizes and loads no server has, or weights that do not fit; E_HARDWARE_UNKNOWN, E_HARDWARE_DATA, E_MODEL_CONFIG
 * @example llmFootprint({ parameters: 70.6e9, hardware: "nvidia-h100-sxm5-80gb:4", batch: 64, tokensIn: 512, tokensOut: 600 }).energyPerOutputToken
 */
export function llmFootprint(input: LlmInput): LlmFootprint {
  const estimate = estimated(input);
  const { hardware, known, format, load, step, shares, band } = estimate;
  const { architecture } = known;
  const modelled = (value: number, unit: string, width: number): Figure =>
    figure({
      value,
      low: value / width,
      high: value * width,
      unit,
      method: "modelled",
      sources: [SERVING_SOURCE],
      assumptions: estimate.assumptions,
    });
  const boundary = input.boundary ?? "accelerator";
  const factors = factorsOf(input);
  const raised = (joules: number): Figure => raise(modelled(joules, "J", band.energy), boundary, factors);
  const perRequest = shares.perOutputToken * load.tokensOut;
  const chain = raiseEnergy(bounded(modelled(perRequest, "J", band.energy), "accelerator"), factors);
  const energyPerRequest = raised(perRequest);
  const deviceSeconds = (load.tokensOut * step.stepSeconds) / step.inFlight;
  const footprintPerRequest =
    input.surroundings === undefined
      ? null
      : requestFootprint(
          { energy: energyAt(chain, "accelerator"), hardware: input.hardware, deviceSeconds },
          { ...input.surroundings, factors: { ...input.surroundings.factors, ...factors } },
        );
  return {
    schema: "lightfoot.llm-footprint/1",
    boundary,
    energyPerOutputToken: raised(shares.perOutputToken),
    energyPerRequest,
    energyPerInputToken: raised(shares.perInputToken),
    energyPerCachedToken: raised(shares.perCachedToken),
    energyPerDecodedToken: raised(shares.perDecodedToken),
    latencyPerOutputToken: modelled(step.stepSeconds, "s", band.latency),
    throughput: modelled(step.inFlight / step.stepSeconds, "token/s", band.latency),
    power: modelled(step.powerWatts, "W", powerWidth(band)),
    acceleratorEnergyPer1000Requests: modelled((1000 * perRequest) / JOULES_PER_WH, "Wh", band.energy),
    energyPerRequestByBoundary: chain,
    footprintPerRequest,
    model: {
      parameters: architecture.parameters,
      activeParameters: architecture.activeParameters,
      isMixtureOfExperts: isSparse(architecture),
      weights: format,
      architecture: known.isComplete ? "config" : "typical for its size",
      layers: Math.round(architecture.layers),
      cacheBytesPerToken: Math.round(2 * (architecture.cacheValuesPerToken + architecture.windowCacheValuesPerToken)),
    },
    hardware: { id: hardware.id, name: hardware.name, count: hardware.count },
    load: {
      batch: load.batch,
      requestsInFlight: step.inFlight,
      limitedBy: step.inFlight < load.batch ? "memory" : "batch",
      tokensIn: load.tokensIn,
      cachedTokens: load.cachedTokens,
      tokensOut: load.tokensOut,
      meanContextTokens: load.meanContext,
    },
    step: {
      fixedSeconds: step.parts.fixed,
      communicationSeconds: step.parts.communication,
      weightsSeconds: step.parts.weights,
      cacheSeconds: step.parts.cache,
    },
    errorOnUnseenModels: errorOnUnseenModels(known, estimate.isSeen),
    comparability: compareWithBoards({
      boundary,
      hardwareId: hardware.id,
      weights: format,
      batch: load.batch,
      inFlight: step.inFlight,
      batchWasGiven: input.batch !== undefined,
    }),
    assumptions: unique([
      ...estimate.assumptions,
      ...energyPerRequest.assumptions,
      ...(footprintPerRequest?.assumptions ?? []),
    ]),
  };
}

interface Estimate {
  readonly hardware: HardwareProfile;
  readonly known: KnownArchitecture;
  readonly format: WeightFormat;
  readonly load: ServingLoad;
  readonly step: ServingStep;
  readonly shares: TokenShares;
  /** Whether device, sizes and load lie within the runs of the fit. */
  readonly isSeen: boolean;
  readonly band: Band;
  readonly assumptions: readonly Assumption[];
}

/** Step, shares and band of what was asked, with everything that had to be assumed. */
function estimated(input: LlmInput): Estimate {
  const hardware = findHardware(input.hardware);
  const devices = asAccelerators(hardware);
  const known = architectureOf(input);
  const format = formatOf(input.weights ?? known.weights);
  const { load, assumptions } = loadOf(input);
  const step = servingStep(known.architecture, format, devices, load);
  const outside = outsideOfFit(known, format, devices, load);
  const isSeen = devices.isSeen && outside.length === 0;
  return {
    hardware,
    known,
    format,
    load,
    step,
    shares: sharesOf(known, format, devices, load, step),
    isSeen,
    band: bandOf(known, isSeen),
    assumptions: unique([
      ...assumptions,
      ...(input.weights === undefined && known.weights === undefined ? [SIXTEEN_BITS] : []),
      ...known.assumptions,
      ...devices.assumptions,
      ...(format === "fp8" && devices.peak8FlopsPerSecond === undefined ? [widened(hardware.name)] : []),
      ...memoryAssumptions(load, step),
      ...outside,
      STEADY_STATE,
    ]),
  };
}

const SIXTEEN_BITS: Assumption = {
  key: "weights.16-bit",
  text: "weights in 16 bits are assumed; --weights fp8, mxfp4 or int4 if they are not",
};

const widened = (device: string): Assumption => ({
  key: "hardware.no-fp8",
  text: `${device} has no 8-bit floating-point units: fp8 weights are read as they are and multiplied in 16 bits`,
});

const STEADY_STATE: Assumption = {
  key: "serving.steady-state",
  text: "the server is busy with this batch all the time: idle hours and waiting servers are not in it",
};

/** Of `config` where there is one, else typical for the sizes. */
function architectureOf({ parameters, activeParameters, config }: LlmInput): KnownArchitecture {
  if (config !== undefined) {
    return architectureOfConfig(config.text, config.where, { parameters, activeParameters });
  }
  if (parameters === undefined) {
    throw new LightfootError("E_USAGE", "neither the model's size nor its configuration was given", {
      hint: "Add --params 70.6e9 (and --active-params 22e9 for a mixture of experts), or --model config.json.",
    });
  }
  return typicalArchitecture(parameters, activeParameters ?? parameters);
}

function formatOf(weights: WeightFormat = "bf16"): WeightFormat {
  if (WEIGHT_FORMATS.includes(weights)) return weights;
  throw new LightfootError("E_USAGE", `'${weights as string}' is no weight format`, {
    hint: `Choose from ${WEIGHT_FORMATS.join(", ")}.`,
  });
}

interface TokenShares {
  readonly perOutputToken: number;
  readonly perDecodedToken: number;
  readonly perInputToken: number;
  readonly perCachedToken: number;
}

/**
 * Splits a request's energy by what its tokens add: first the answer alone, then the prompt in the context, then its prefill.
 *
 * A load without prompt, or without uncached prompt, is charged as if it had one token of that kind, so that each kind has a price.
 */
function sharesOf(
  known: KnownArchitecture,
  format: WeightFormat,
  devices: Accelerators,
  load: ServingLoad,
  step: ServingStep,
): TokenShares {
  // The same requests in flight throughout, or an emptier context would let more in and look cheaper than it is.
  const perRequest = (changed: Partial<ServingLoad>): number => {
    const alone = servingStep(known.architecture, format, devices, { ...load, ...changed, batch: step.inFlight });
    return (load.tokensOut * alone.energyJoules) / alone.inFlight;
  };
  const total = (load.tokensOut * step.energyJoules) / step.inFlight;
  const prompt = Math.max(1, load.tokensIn);
  const fresh = Math.max(Math.min(1, prompt), load.tokensIn - load.cachedTokens);
  const isEmpty = load.tokensIn === 0;
  const withoutPrompt = isEmpty ? load.meanContext : Math.max(1, load.meanContext - prompt);
  const answer = perRequest({ tokensIn: 0, cachedTokens: 0, meanContext: withoutPrompt });
  const inContext = { tokensIn: prompt, cachedTokens: prompt, meanContext: load.meanContext + (isEmpty ? 1 : 0) };
  const cached = perRequest(inContext);
  const prefilled = perRequest({ ...inContext, cachedTokens: prompt - fresh });
  const perCachedToken = (cached - answer) / prompt;
  return {
    perOutputToken: total / load.tokensOut,
    perDecodedToken: answer / load.tokensOut,
    perCachedToken,
    perInputToken: perCachedToken + (prefilled - cached) / fresh,
  };
}

/** Given factors first, then the place's PUE, then the assumed ones. */
function factorsOf({ factors, surroundings }: LlmInput): BoundaryFactors {
  const known: Partial<BoundaryFactors> = { ...surroundings?.factors, ...factors };
  const assumed = ASSUMED_FACTORS;
  return {
    nodePerAccelerator: known.nodePerAccelerator ?? assumed.nodePerAccelerator,
    itPerNode: known.itPerNode ?? assumed.itPerNode,
    powerUsageEffectiveness:
      known.powerUsageEffectiveness ?? surroundings?.place?.powerUsageEffectiveness ?? assumed.powerUsageEffectiveness,
  };
}

function raise(part: Figure, boundary: EnergyBoundary, factors: BoundaryFactors): Figure {
  if (!ENERGY_BOUNDARIES.includes(boundary)) {
    throw new LightfootError("E_USAGE", `'${boundary as string}' is no boundary of an energy`, {
      hint: `Choose from ${ENERGY_BOUNDARIES.join(", ")}.`,
    });
  }
  const { boundary: _, ...plain } = energyAt(raiseEnergy(bounded(part, "accelerator"), factors), boundary);
  return scale(plain, 1);
}

const unique = (all: readonly Assumption[]): Assumption[] => [
  ...new Map(all.map((entry) => [entry.key, entry])).values(),
];
