// Every technique by name, and how its recipe's options are read; may depend on errors, quantize, rewrite,
// sparsity and this folder.
import { LightfootError } from "../../errors/index.ts";
import type { BlockOptions, BlockSize } from "../quantize/blockwise.ts";
import { RANGE_KINDS, type RangeMethod } from "../quantize/range-observer.ts";
import type { LayerChoice } from "../rewrite/linear.ts";
import { CRITERIA } from "../sparsity/saliency.ts";
import { clean } from "./clean.ts";
import { codebooks, VECTOR_LENGTHS } from "./codebooks.ts";
import { deadInputs } from "./dead-inputs.ts";
import { dropLayers } from "./drop-layers.ts";
import { activationAware } from "./activation-aware.ts";
import { dynamicInt8 } from "./dynamic-int8.ts";
import { fewerInputs } from "./fewer-inputs.ts";
import { embeddingBlocks } from "./embedding-blocks.ts";
import { fineTune, tuneSmall } from "./fine-tune.ts";
import { half } from "./half-storage.ts";
import { lowRank } from "./low-rank.ts";
import { narrow, pruneHeads } from "./narrow.ts";
import { packed } from "./packed.ts";
import { PATTERNS, prune, SCOPES } from "./prune.ts";
import { qat } from "./qat.ts";
import type { RecoveryOptions } from "./recovery.ts";
import { shareWeights } from "./share-weights.ts";
import { smooth } from "./smooth.ts";
import { staticInt8 } from "./static-int8.ts";
import type { OptionValue, Technique } from "./technique.ts";
import { widen } from "./widen.ts";
import { weightOnlyBlocks } from "./weight-blocks.ts";
import { weightOnlyColumns } from "./weight-columns.ts";

type Options = Readonly<Record<string, OptionValue>>;

function oneOf<T extends OptionValue>(options: Options, name: string, allowed: readonly T[]): T {
  const value = options[name];
  if (!allowed.includes(value as T)) {
    throw new LightfootError("E_USAGE", `option ${name} is ${JSON.stringify(value)}, expected ${allowed.join(", ")}`);
  }
  return value as T;
}

function between(options: Options, name: string, low: number, high: number): number {
  const value = options[name];
  if (typeof value !== "number" || !(value > low && value <= high)) {
    throw new LightfootError(
      "E_USAGE",
      `option ${name} is ${JSON.stringify(value)}, expected a number above ${low}, up to ${high}`,
    );
  }
  return value;
}

function whole(options: Options, name: string, low: number, high: number): number {
  const value = options[name];
  if (Number.isInteger(value) && (value as number) >= low && (value as number) <= high) return value as number;
  const found = JSON.stringify(value);
  throw new LightfootError("E_USAGE", `option ${name} is ${found}, expected a whole number from ${low} to ${high}`);
}

/** An option that may be left out. */
function optional<T>(options: Options, name: string, read: () => T): Record<string, T> {
  return options[name] === undefined ? {} : { [name]: read() };
}

/** The layers that a layer-wise technique is to change; absent: all. */
function layersIn(options: Options): LayerChoice {
  const { layers } = options;
  if (layers === undefined) return {};
  if (!Array.isArray(layers)) {
    throw new LightfootError(
      "E_USAGE",
      `option layers is ${JSON.stringify(layers)}, expected a list of layers' outputs`,
    );
  }
  return { layers };
}

function rangeMethod(options: Options): RangeMethod {
  const kind = oneOf(options, "range", RANGE_KINDS);
  return kind === "percentile" ? { kind, percentile: between(options, "percentile", 50, 100) } : { kind };
}

/** How a technique retrains; each may be left out. */
const recoveryIn = (options: Options): RecoveryOptions => ({
  ...optional(options, "epochs", () => between(options, "epochs", -1, 1e6)),
  ...optional(options, "learningRate", () => between(options, "learningRate", 0, 1)),
  ...optional(options, "teacherShare", () => between(options, "teacherShare", -1e-9, 1)),
  ...optional(options, "temperature", () => between(options, "temperature", 0, 100)),
  ...optional(options, "featureWeight", () => between(options, "featureWeight", -1e-9, 1e6)),
});

const retrainIn = (options: Options) => ({
  ...optional(options, "retrain", () => oneOf(options, "retrain", [true, false])),
  ...recoveryIn(options),
});

/** The share of something that stays, and whether what is left is trained. */
const sizeIn = (options: Options) => ({ ratio: between(options, "ratio", 0, 1), ...retrainIn(options) });

const BLOCK_SIZES: readonly BlockSize[] = [16, 32, 64, 128, 256];

function blocksIn(options: Options): BlockOptions {
  return {
    bits: oneOf(options, "bits", [2, 4, 8]),
    blockSize: oneOf(options, "blockSize", BLOCK_SIZES),
    symmetric: oneOf(options, "symmetric", [true, false]),
    ...optional(options, "fit", () => oneOf(options, "fit", ["squared", "half-quadratic"])),
  };
}

/** Techniques by the name that recipes, manifests and the command line use. */
export const TECHNIQUES: Readonly<Record<string, Technique>> = {
  widen: (model) => widen(model),
  clean: (model) => clean(model),
  half: (model, options) =>
    half(model, { dtype: oneOf(options, "dtype", ["float16", "bfloat16"]), ...layersIn(options) }),
  "dynamic-int8": (model, options, context) =>
    dynamicInt8(
      model,
      {
        activations: oneOf(options, "activations", ["tensor", "token"]),
        ...optional(options, "biasCorrection", () => oneOf(options, "biasCorrection", [true, false])),
        ...layersIn(options),
      },
      context,
    ),
  "static-int8": (model, options, context) =>
    staticInt8(
      model,
      {
        range: rangeMethod(options),
        samples: between(options, "samples", 0, 1e9),
        form: oneOf(options, "form", ["qdq", "qoperator"]),
        biasCorrection: oneOf(options, "biasCorrection", [true, false]),
        ...optional(options, "minimumDecibels", () => between(options, "minimumDecibels", 0, 100)),
        ...layersIn(options),
      },
      context,
    ),
  smooth: (model, options, context) =>
    smooth(model, { insert: oneOf(options, "insert", [true, false]), ...layersIn(options) }, context),
  "activation-aware": (model, options, context) =>
    activationAware(model, { ...blocksIn(options), ...layersIn(options) }, context),
  "embedding-blocks": (model, options, context) =>
    embeddingBlocks(model, { ...blocksIn(options), bits: oneOf(options, "bits", [4, 8]) }, context),
  "weight-int8": (model, options) => weightOnlyColumns(model, layersIn(options)),
  "weight-blocks": (model, options, context) =>
    weightOnlyBlocks(
      model,
      {
        ...blocksIn(options),
        accuracyLevel: oneOf(options, "accuracyLevel", [0, 4, "auto"]),
        ...optional(options, "rounding", () => oneOf(options, "rounding", ["nearest", "gptq"])),
        ...optional(options, "tolerance", () => between(options, "tolerance", 0, 1)),
        ...optional(options, "rows", () => between(options, "rows", 0, 1e9)),
        ...layersIn(options),
      },
      context,
    ),
  "fine-tune": (model, options, context) => fineTune(model, recoveryIn(options), context),
  "tune-small": (model, options, context) => tuneSmall(model, recoveryIn(options), context),
  qat: (model, options, context) =>
    qat(
      model,
      {
        ...optional(options, "bits", () => oneOf(options, "bits", [4, 8])),
        ...recoveryIn(options),
        ...layersIn(options),
      },
      context,
    ),
  prune: (model, options, context) =>
    prune(
      model,
      {
        sparsity: between(options, "sparsity", 0, 1),
        criterion: oneOf(options, "criterion", CRITERIA),
        scope: oneOf(options, "scope", SCOPES),
        pattern: oneOf(options, "pattern", PATTERNS),
        ...recoveryIn(options),
        ...layersIn(options),
      },
      context,
    ),
  "share-weights": (model, options, context) =>
    shareWeights(
      model,
      {
        values: whole(options, "values", 2, 256),
        ...optional(options, "biasValues", () => whole(options, "biasValues", 2, 256)),
        ...optional(options, "precision", () => oneOf(options, "precision", ["float16", "bfloat16"])),
        ...recoveryIn(options),
        ...layersIn(options),
      },
      context,
    ),
  codebooks: (model, options, context) =>
    codebooks(
      model,
      {
        vectorLength: oneOf(options, "vectorLength", VECTOR_LENGTHS),
        entries: whole(options, "entries", 2, 256),
        ...layersIn(options),
      },
      context,
    ),
  packed: (model) => packed(model),
  "dead-inputs": (model, options, context) => deadInputs(model, layersIn(options), context),
  narrow: (model, options, context) =>
    narrow(
      model,
      {
        ...sizeIn(options),
        ...optional(options, "inputs", () => between(options, "inputs", 0, 1)),
        ...layersIn(options),
      },
      context,
    ),
  heads: (model, options, context) => pruneHeads(model, { ...sizeIn(options), ...layersIn(options) }, context),
  "fewer-inputs": (model, options, context) =>
    fewerInputs(model, { ...sizeIn(options), ...layersIn(options) }, context),
  "low-rank": (model, options, context) =>
    lowRank(model, { energy: between(options, "energy", 0, 1), ...retrainIn(options), ...layersIn(options) }, context),
  "drop-layers": (model, options, context) => dropLayers(model, sizeIn(options), context),
};
