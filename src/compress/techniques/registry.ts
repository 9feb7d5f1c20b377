// Every technique by name, and how its recipe's options are read; may depend on errors, quantize, rewrite and this folder.
import { LightfootError } from "../../errors/index.ts";
import type { BlockSize } from "../quantize/blockwise.ts";
import { RANGE_KINDS, type RangeMethod } from "../quantize/range-observer.ts";
import type { LayerChoice } from "../rewrite/linear.ts";
import { dynamicInt8 } from "./dynamic-int8.ts";
import { packed } from "./packed.ts";
import { smooth } from "./smooth.ts";
import { narrow, pruneHeads } from "./narrow.ts";
import { staticInt8 } from "./static-int8.ts";
import type { OptionValue, Technique } from "./technique.ts";
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

const BLOCK_SIZES: readonly BlockSize[] = [16, 32, 64, 128, 256];

/** Techniques by the name that recipes, manifests and the command line use. */
export const TECHNIQUES: Readonly<Record<string, Technique>> = {
  "dynamic-int8": (model, options, context) =>
    dynamicInt8(
      model,
      { activations: oneOf(options, "activations", ["tensor", "token"]), ...layersIn(options) },
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
        ...layersIn(options),
      },
      context,
    ),
  smooth: (model, options, context) =>
    smooth(model, { insert: oneOf(options, "insert", [true, false]), ...layersIn(options) }, context),
  "weight-int8": (model, options) => weightOnlyColumns(model, layersIn(options)),
  "weight-blocks": (model, options, context) =>
    weightOnlyBlocks(
      model,
      {
        bits: oneOf(options, "bits", [2, 4, 8]),
        blockSize: oneOf(options, "blockSize", BLOCK_SIZES),
        symmetric: oneOf(options, "symmetric", [true, false]),
        accuracyLevel: oneOf(options, "accuracyLevel", [0, 4, "auto"]),
        ...optional(options, "fit", () => oneOf(options, "fit", ["squared", "half-quadratic"])),
        ...optional(options, "rounding", () => oneOf(options, "rounding", ["nearest", "gptq"])),
        ...optional(options, "tolerance", () => between(options, "tolerance", 0, 1)),
        ...optional(options, "rows", () => between(options, "rows", 0, 1e9)),
        ...layersIn(options),
      },
      context,
    ),
  packed: (model) => packed(model),
  narrow: (model, options, context) =>
    narrow(model, { ratio: between(options, "ratio", 0, 1), ...layersIn(options) }, context),
  heads: (model, options, context) =>
    pruneHeads(model, { ratio: between(options, "ratio", 0, 1), ...layersIn(options) }, context),
};
