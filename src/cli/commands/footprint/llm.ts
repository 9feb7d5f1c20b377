// `lightfoot footprint llm`: energy and latency of a served language model per token and request; may depend on the room cli, facts, footprint, quantity, io and errors.
import { InvalidArgumentError, Option, type Command } from "commander";
import { LightfootError } from "../../../errors/lightfoot-error.ts";
import type { EnergyBoundary } from "../../../footprint/boundary.ts";
import type { LlmInput } from "../../../footprint/llm.ts";
import type { LlmFootprint } from "../../../footprint/llm-schema.ts";
import { formatCount, formatFigure, formatNumber } from "../../../quantity/format.ts";
import { runAction, type ActionContext } from "../../action.ts";
import { withExamples } from "../../help.ts";
import { wrapText } from "../../wrap-text.ts";

interface LlmFlags {
  readonly params?: number;
  readonly activeParams?: number;
  readonly model?: string;
  readonly weights?: "bf16" | "fp8" | "mxfp4" | "int4";
  readonly hardware: string;
  readonly batch?: number;
  readonly tokensIn?: number;
  readonly tokensOut?: number;
  readonly cachedTokens?: number;
  readonly context?: number;
  readonly boundary: EnergyBoundary;
  readonly where?: string;
  readonly intensity?: string;
  readonly pue?: string;
  readonly wue?: string;
  readonly price?: string;
  readonly gpuHourPrice?: string;
  readonly carbonPrice?: string;
}

// Written out, because the modules that hold them are loaded inside the action.
const FORMATS = ["bf16", "fp8", "mxfp4", "int4"];
const BOUNDARIES = ["accelerator", "node", "IT", "facility"];

/** Adds `llm` to the verb `footprint`. */
export function registerFootprintLlm(footprint: Command): void {
  const command = footprint
    .command("llm")
    .description("energy and latency per token and per request of a served language model")
    .option("--params <n>", "parameters of the model, e.g. 70.6e9 or 70.6B", parameterCount)
    .option("--active-params <n>", "parameters one token passes through, for a mixture of experts", parameterCount)
    .option("--model <config.json>", "the model's Hugging Face configuration, for its own layers, cache and experts")
    .addOption(
      new Option(
        "--weights <format>",
        "how the weights are stored; left out, as the configuration says, or bf16",
      ).choices(FORMATS),
    )
    .requiredOption("--hardware <id:n>", "accelerators that serve one copy, e.g. nvidia-h100-sxm5-80gb:4")
    .option("--batch <n>", "requests the server keeps in flight", decimal)
    .option("--tokens-in <n>", "input tokens of a request, on average", decimal)
    .option("--tokens-out <n>", "output tokens of a request, on average", decimal)
    .option("--cached-tokens <n>", "of the input tokens, those found in the prefix cache", decimal)
    .option(
      "--context <n>",
      "mean tokens in the context while decoding (tokens-in + tokens-out/2 when left out)",
      decimal,
    )
    .addOption(new Option("--boundary <what>", "what the energies cover").choices(BOUNDARIES).default("accelerator"))
    .option("--where <place>", "for carbon, water and money of a request: DE, US-CAL-CISO, aws:eu-central-1")
    .option("--intensity <rate>", "carbon intensity of the electricity, e.g. 350gCO2e/kWh")
    .option("--pue <ratio>", "power usage effectiveness: facility over IT energy, from 1")
    .option("--wue <rate>", "water consumed on the site, L per kWh of IT energy")
    .option("--price <price>", "of electricity, e.g. 0.12EUR/kWh")
    .option("--gpu-hour-price <price>", "of one device for an hour, e.g. 2.50USD/h")
    .option("--carbon-price <price>", "of emissions, e.g. 80EUR/tCO2e")
    .action(runAction(footprintLlm));
  withExamples(command, [
    [
      "lightfoot footprint llm --params 70.6e9 --hardware nvidia-h100-sxm5-80gb:4 --batch 64 --tokens-in 512 --tokens-out 600",
      "a dense model, GPUs only, as ML.ENERGY measures",
    ],
    [
      "lightfoot footprint llm --params 235e9 --active-params 22e9 --weights fp8 --hardware nvidia-b200-sxm-180gb:2 --batch 128 --tokens-in 224 --tokens-out 9000",
      "a mixture of experts that reasons at length",
    ],
    [
      "lightfoot footprint llm --model config.json --hardware nvidia-l40s --weights int4 --batch 8 --tokens-in 2000 --cached-tokens 1500 --tokens-out 300 --boundary facility",
      "a model by its own sizes, up to the data center",
    ],
    [
      "lightfoot footprint llm --params 70.6e9 --hardware nvidia-h100-sxm5-80gb:4 --batch 64 --tokens-in 512 --tokens-out 600 --where aws:eu-central-1",
      "with carbon, water, materials and money of a request",
    ],
  ]);
}

const SUFFIX: Readonly<Record<string, number>> = { "": 1, m: 1e6, b: 1e9, t: 1e12 };

function parameterCount(text: string): number {
  const [, digits, suffix] = /^(\d+(?:\.\d+)?(?:e\+?\d+)?)([mbt]?)$/i.exec(text.trim()) ?? [];
  const value = Number(digits) * (SUFFIX[suffix?.toLowerCase() ?? ""] ?? Number.NaN);
  if (Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError("Expected a count such as 70.6e9, 70.6B or 350M.");
}

function decimal(text: string): number {
  const value = /^\d+(\.\d+)?(e\+?\d+)?$/i.test(text.trim()) ? Number(text) : Number.NaN;
  if (Number.isFinite(value)) return value;
  throw new InvalidArgumentError("Expected a number from 0.");
}

async function footprintLlm(context: ActionContext, flags: LlmFlags): Promise<void> {
  const { llmFootprint } = await import("../../../footprint/llm.ts");
  const result = llmFootprint({
    parameters: flags.params,
    activeParameters: flags.activeParams,
    config: flags.model === undefined ? undefined : { text: await readConfig(flags.model), where: flags.model },
    weights: flags.weights,
    hardware: flags.hardware,
    batch: flags.batch,
    tokensIn: flags.tokensIn,
    tokensOut: flags.tokensOut,
    cachedTokens: flags.cachedTokens,
    meanContext: flags.context,
    boundary: flags.boundary,
    ...(await surroundingsOf(flags)),
  });
  const { describeFootprint } = await import("./describe.ts");
  const perRequest = result.footprintPerRequest;
  const rest = perRequest === null ? "" : `\n\nOne request. ${describeFootprint(perRequest, context.columns)}`;
  context.result(result, () => `${describe(result, context.columns)}${rest}`, result.assumptions);
}

/** Factors for the boundaries, and with a place, an intensity, a price or water also what a request is assessed by. */
async function surroundingsOf(flags: LlmFlags): Promise<Pick<LlmInput, "factors" | "surroundings">> {
  const { givenFactors } = await import("./input.ts");
  const given = givenFactors(flagsOf(flags));
  const { where, intensity, wue, price, gpuHourPrice, carbonPrice } = flags;
  if ([where, intensity, wue, price, gpuHourPrice, carbonPrice].every((flag) => flag === undefined)) {
    return { factors: given.factors };
  }
  const { findPlace } = await import("../../../facts/place.ts");
  const place = where === undefined ? undefined : findPlace(where);
  return { surroundings: { ...given, place, thisYear: new Date().getUTCFullYear() } };
}

const flagsOf = ({ intensity, pue, wue, price, gpuHourPrice, carbonPrice }: LlmFlags) => ({
  intensity,
  pue,
  wue,
  price,
  gpuHourPrice,
  carbonPrice,
});

// The largest published configurations, with their tokenizers' maps, stay below 1 MB.
const LARGEST_CONFIG = 16e6;

async function readConfig(path: string): Promise<string> {
  const { readFile, stat } = await import("node:fs/promises");
  const { fileError } = await import("../../../io/file-range.ts");
  try {
    const status = await stat(path);
    if (status.size > LARGEST_CONFIG) {
      throw new LightfootError("E_MODEL_CONFIG", `${formatNumber(status.size, "B")} is no configuration`, {
        where: { file: path },
        hint: "--model takes the config.json that lies beside the weights, not the weights.",
      });
    }
    return await readFile(status.isDirectory() ? `${path}/config.json` : path, "utf8");
  } catch (error) {
    throw error instanceof LightfootError ? error : fileError(error, path);
  }
}

const COVERS: Readonly<Record<EnergyBoundary, string>> = {
  accelerator: "the accelerator boards alone",
  node: "the whole servers",
  IT: "all IT equipment, machines kept ready included",
  facility: "the data center, cooling and losses included",
};

function describe(result: LlmFootprint, columns: number): string {
  const { model, hardware, load } = result;
  const size = model.isMixtureOfExperts
    ? `${billions(model.parameters)} parameters, ${billions(model.activeParameters)} active`
    : `${billions(model.parameters)} parameters`;
  const cached = load.cachedTokens > 0 ? ` (${plain(load.cachedTokens)} cached)` : "";
  const flight = load.limitedBy === "memory" ? ` of ${plain(load.batch)}` : "";
  const rows: [string, string][] = [
    ["per output token", `${formatFigure(result.energyPerOutputToken)}, prompt included`],
    ["per request", formatFigure(result.energyPerRequest)],
    ["latency", `${formatFigure(result.latencyPerOutputToken)} per output token`],
    ["throughput", formatFigure(result.throughput)],
    ["power", `${formatFigure(result.power)} of the boards`],
    ["1,000 requests", `${formatFigure(result.acceleratorEnergyPer1000Requests)} of the boards`],
  ];
  const tokens: [string, string][] = [
    ["  input", formatFigure(result.energyPerInputToken)],
    ["  input, cached", formatFigure(result.energyPerCachedToken)],
    ["  output", formatFigure(result.energyPerDecodedToken)],
  ];
  const lines = [
    `${size}, ${model.weights}, on ${formatCount(hardware.count)} × ${hardware.name}`,
    `${plain(Math.floor(load.requestsInFlight))}${flight} request${load.batch === 1 ? "" : "s"} in flight, ${plain(load.tokensIn)} tokens in${cached}, ${plain(load.tokensOut)} out`,
    `boundary: ${result.boundary}, ${COVERS[result.boundary]}`,
    "",
    ...table(rows),
    "",
    "what one token adds to a request",
    ...table(tokens),
    "",
    "a request, from the inside out",
    ...table(result.energyPerRequestByBoundary.map((part) => [`  ${part.boundary}`, formatFigure(part)])),
    "",
    "a decoding step's time",
    ...table(stepRows(result)),
    "",
    ...wrapText(accuracy(result), columns),
    ...result.comparability.flatMap(({ board, isComparable, why }) =>
      wrapText(`${isComparable ? "Comparable" : "Not comparable"} with ${board}: ${why.join("; ")}.`, columns),
    ),
  ];
  return lines.join("\n");
}

function accuracy({ errorOnUnseenModels: error }: LlmFootprint): string {
  const folds = `half of ${formatCount(error.runs)} measured runs lie within ${error.medianFold} times of it, 95 % within ${error.p95Fold}`;
  const here = error.appliesHere ? "" : "; none of them was like this one, so the intervals are wider";
  return `On models it was not fitted to, ${folds} (H100 and B200)${here}.`;
}

function stepRows({ step }: LlmFootprint): [string, string][] {
  const parts: [string, number][] = [
    ["  weights: read and multiplied", step.weightsSeconds],
    ["  cache: read", step.cacheSeconds],
    ["  between devices", step.communicationSeconds],
    ["  launches, scheduling, sampling", step.fixedSeconds],
  ];
  const total = parts.reduce((sum, [, seconds]) => sum + seconds, 0);
  return parts
    .filter(([, seconds]) => seconds > 0)
    .map(([name, seconds]) => [name, `${formatNumber(seconds, "s", 2)}  ${Math.round((100 * seconds) / total)} %`]);
}

function table(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`);
}

const billions = (count: number): string =>
  count < 1e9 ? `${formatNumber(count / 1e6, "")} million` : `${formatNumber(count / 1e9, "")} billion`;
const plain = (count: number): string => (Number.isInteger(count) ? formatCount(count) : formatNumber(count, ""));
