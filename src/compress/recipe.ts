// The recipes that a search tries: which techniques with which options, and what they are called; may depend on techniques.
import type { Candidate } from "./candidate-schema.ts";
import type { Step } from "./techniques/technique.ts";

/** A way to a candidate. */
export interface Recipe {
  readonly id: string;
  readonly title: string;
  readonly steps: readonly Step[];
  /** Id of a recipe tried before whose file is no larger and as fast: where that one surely holds the budget, this one is left out. */
  readonly insteadOf?: string;
}

/** Enough samples that the range of a common activation is stable; a second pass costs more than it tells. */
const CALIBRATION_SAMPLES = 512;

const blocks = (bits: 4 | 8, blockSize: number): Recipe => ({
  id: `weight-int${bits}-b${blockSize}`,
  title: `${bits}-bit weights, blocks of ${blockSize}`,
  // Level 4 computes with 8-bit activations and is many times faster; layers that it harms are found by running them.
  steps: [{ technique: "weight-blocks", options: { bits, blockSize, symmetric: true, accuracyLevel: "auto" } }],
});

/** Rounding that makes up for its own errors pays where rounding is coarse. */
const GPTQ: Recipe = {
  id: "weight-int4-b128-gptq",
  title: "4-bit weights, blocks of 128, rounded for the calibration data (GPTQ)",
  steps: [
    {
      technique: "weight-blocks",
      options: { bits: 4, blockSize: 128, symmetric: false, accuracyLevel: "auto", rounding: "gptq" },
    },
  ],
};

/** Weights that meet strong inputs are rounded finer; the file is as large as that of GPTQ. */
export const AWQ: Recipe = {
  id: "activation-aware+weight-int4-b128",
  title: "scaled channels (AWQ); 4-bit weights, blocks of 128",
  steps: [
    { technique: "activation-aware", options: { bits: 4, blockSize: 128, symmetric: false } },
    { technique: "weight-blocks", options: { bits: 4, blockSize: 128, symmetric: false, accuracyLevel: "auto" } },
  ],
};

/** Static int8 in QDQ form, unless the options say otherwise. */
export const staticInt8Recipe = (id: string, title: string, options: Step["options"] = {}): Recipe => ({
  id,
  title,
  steps: [
    {
      technique: "static-int8",
      options: { range: "minmax", form: "qdq", biasCorrection: true, samples: CALIBRATION_SAMPLES, ...options },
    },
  ],
});

const dynamic = (id: string, title: string, activations: "tensor" | "token"): Recipe => ({
  id,
  title,
  steps: [{ technique: "dynamic-int8", options: { activations } }],
});

const STATIC = staticInt8Recipe("static-int8", "static int8 (QDQ), full ranges");
export const STATIC_MSE = staticInt8Recipe("static-int8-mse", "static int8 (QDQ), ranges of least square error", {
  range: "mse",
});
const DYNAMIC = dynamic("dynamic-int8", "dynamic int8", "tensor");
const COLUMNS: Recipe = {
  id: "weight-int8",
  title: "8-bit weights, one scale per column",
  steps: [{ technique: "weight-int8", options: {} }],
};

/** What first moves outlying channels of activations into the weights: dynamic int8 with one range for all then suffices. */
const SMOOTH: Recipe = {
  id: "smooth+dynamic-int8",
  title: "scaled channels; dynamic int8",
  steps: [{ technique: "smooth", options: { insert: true } }, ...DYNAMIC.steps],
};

/** For models of 16-bit floats: every other recipe starts with it. */
export const WIDEN: Recipe = {
  id: "widen",
  title: "computed in float32 instead of 16-bit floats",
  steps: [{ technique: "widen", options: {} }],
};

/** Where it changes something, every other recipe starts with it. */
export const CLEAN: Recipe = {
  id: "clean",
  title: "exact clean-up: the same answers from fewer bytes",
  steps: [{ technique: "clean", options: {} }],
};

const HALF: Recipe = {
  id: "half-float16",
  title: "weights stored in 16 bits (float16)",
  steps: [{ technique: "half", options: { dtype: "float16" } }],
};

const DEAD: Recipe = {
  id: "dead-inputs",
  title: "without inputs and units that never change",
  steps: [{ technique: "dead-inputs", options: {} }],
};

const fitted = (id: string, title: string, technique: string, options: Step["options"]): Recipe => ({
  id,
  title,
  steps: [{ technique, options: { ...options, retrain: false } }],
});

const LOW_RANK = fitted("low-rank-99", "low-rank weights, 99 % of the variance", "low-rank", { energy: 0.99 });

/** What takes structure out and needs no training; what a model does not have is refused in milliseconds. */
const STRUCTURED: readonly Recipe[] = [
  DEAD,
  LOW_RANK,
  {
    id: "low-rank-99+weight-int8",
    title: `${LOW_RANK.title}; ${COLUMNS.title}`,
    steps: [...LOW_RANK.steps, ...COLUMNS.steps],
  },
  fitted("fewer-inputs-25", "25 % of the inputs of dense layers", "fewer-inputs", { ratio: 0.25 }),
  fitted("heads-75", "75 % of the attention heads", "heads", { ratio: 0.75 }),
  fitted("drop-layers-90", "90 % of the residual blocks", "drop-layers", { ratio: 0.9 }),
];

/** What needs no training, on the model as it came or cleaned up. */
export const POST_TRAINING: readonly Recipe[] = [
  HALF,
  DYNAMIC,
  SMOOTH,
  dynamic("dynamic-int8-token", "dynamic int8, one range per row", "token"),
  STATIC,
  // What full ranges hold, others hold no better for fewer bytes or less time.
  { ...STATIC_MSE, insteadOf: STATIC.id },
  COLUMNS,
  blocks(8, 128),
  blocks(4, 32),
  blocks(4, 128),
  GPTQ,
  { ...AWQ, insteadOf: GPTQ.id },
  ...STRUCTURED,
];

/** What is worth trying on a model that was made narrower before. */
export const AFTER_NARROWING: readonly Recipe[] = [DYNAMIC, STATIC, COLUMNS, blocks(4, 32), blocks(4, 128)];

/** What makes the layers small that read from tables made small before; where plain rounding to 4 bits fails, with more care. */
export const AFTER_TABLES: readonly Recipe[] = [
  HALF,
  COLUMNS,
  blocks(4, 32),
  blocks(4, 128),
  { ...GPTQ, insteadOf: blocks(4, 128).id },
  { ...AWQ, insteadOf: GPTQ.id },
];

/** Lookup tables in blocks that share a scale. */
export const tableRecipe = (bits: 4 | 8, blockSize: 16 | 32): Recipe => ({
  id: `embedding-int${bits}`,
  title: `lookup tables in ${bits} bits, blocks of ${blockSize}`,
  steps: [{ technique: "embedding-blocks", options: { bits, blockSize, symmetric: true } }],
});

/** How much of a network stays: shares of its neurons and channels, and of the positions of inputs that dense layers read. */
export interface Width {
  readonly ratio: number;
  readonly inputs: number;
}

/** The widths that are tried, wide to narrow. Inputs go early: pixels say much twice (seen on MNIST's validation split). */
export const WIDTHS: readonly Width[] = [
  { ratio: 3 / 4, inputs: 1 },
  { ratio: 5 / 8, inputs: 1 / 2 },
  { ratio: 1 / 2, inputs: 1 / 2 },
  { ratio: 7 / 16, inputs: 1 / 4 },
  { ratio: 3 / 8, inputs: 1 / 4 },
  { ratio: 5 / 16, inputs: 1 / 4 },
  { ratio: 1 / 4, inputs: 1 / 4 },
  { ratio: 3 / 16, inputs: 1 / 4 },
];

/** The network narrowed to a width, its other units retrained or fitted. */
export function narrowRecipe({ ratio, inputs }: Width): Recipe {
  const percent = (share: number) => `${share * 100}`;
  const read = inputs === 1 ? "" : `, ${percent(inputs)} % of the inputs of dense layers`;
  return {
    id: `narrow-${percent(ratio)}${inputs === 1 ? "" : `-inputs-${percent(inputs)}`}`,
    title: `${percent(ratio)} % of the neurons and channels${read}`,
    steps: [{ technique: "narrow", options: { ratio, inputs } }],
  };
}

/** `first`, and then the other. */
export const chained = (first: Pick<Recipe, "id" | "title" | "steps">, next: Recipe): Recipe => ({
  id: `${first.id}+${next.id}`,
  title: `${first.title}; ${next.title}`,
  steps: [...first.steps, ...next.steps],
  ...(next.insteadOf === undefined ? {} : { insteadOf: `${first.id}+${next.insteadOf}` }),
});

/** `first`, and then each that may follow it. */
export const following = (first: Recipe, nexts: readonly Recipe[]): Recipe[] =>
  nexts.map((next) => chained(first, next));

/** Shares of zeros that are tried, few to many. */
export const SPARSITIES = [0.95, 0.966] as const;

/** Values that the weights left share in each layer: four bits of index, and zero. */
const SHARED_VALUES = 16;

/**
 * Weights pruned while the network trains, the others sharing a few values, all stored in as few bytes as an ONNX file can.
 *
 * Pruning takes five times the epochs of other retraining, at a third of its usual rate (seen on MNIST's validation split: 3.4 % of the
 * weights of 784-128-10 lose 0.1 to 0.2 points so, by magnitude 0.7).
 *
 * @param epochs of other retraining
 */
export function sparseRecipe(sparsity: number, epochs: number): Recipe {
  const percent = Number((sparsity * 100).toFixed(1));
  const pruning = { sparsity, criterion: "second-order", scope: "global", pattern: "any" };
  const sharing = { values: SHARED_VALUES + 1, biasValues: 8, precision: "bfloat16" };
  return {
    id: `sparse-${percent}-shared-${SHARED_VALUES}`,
    title: `${percent} % of the weights pruned while training, the others share ${SHARED_VALUES} values, packed`,
    steps: [
      { technique: "prune", options: { ...pruning, epochs: 5 * epochs, learningRate: 1e-3 } },
      { technique: "share-weights", options: { ...sharing, epochs: Math.ceil(1.5 * epochs), learningRate: 5e-4 } },
      { technique: "packed", options: {} },
    ],
  };
}

const codebook = (vectorLength: number, entries: number, title: string): Recipe => ({
  id: `codebooks-${vectorLength}x${entries}`,
  title,
  steps: [{ technique: "codebooks", options: { vectorLength, entries } }],
});

/**
 * Codebooks for models that are not retrained. Four bits a weight are hardly to be told from float; at two, vectors of four weights lose
 * no more than blocks of 2-bit integers do, which take more bytes (seen on MNIST's validation split).
 */
export const CODEBOOKS: readonly Recipe[] = [
  codebook(2, 256, "weights by twos, as indices into 256 vectors a layer"),
  codebook(4, 256, "weights by fours, as indices into 256 vectors a layer"),
];

/** A candidate's recipe, or the original, stored packed. */
export function packedRecipe(candidate: Pick<Candidate, "id" | "title" | "recipe"> | undefined): Recipe {
  const { id, title, recipe } = candidate ?? { id: "original", title: "the original", recipe: [] };
  return {
    id: `${id}+packed`,
    title: `${title}; packed`,
    steps: [...(recipe as Step[]), { technique: "packed", options: {} }],
  };
}

/** Names of the techniques that the recipes use, as manifests and the command line name them. */
export const techniquesOf = (recipe: Recipe): string[] => recipe.steps.map(({ technique }) => technique);
