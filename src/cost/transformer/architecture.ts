// What serving costs depend on in a transformer: layers, widths, cache and experts, given or assumed; may depend on errors and quantity.
import { LightfootError } from "../../errors/lightfoot-error.ts";
import type { Assumption } from "../../quantity/figure.ts";
import { SERVING, type ServingConstants } from "./coefficients.ts";
import type { WeightFormat } from "./weight-format.ts";

/** A decoder's shape. Counts are per model, not per device. */
export interface TransformerArchitecture {
  /** All parameters, embeddings included. */
  readonly parameters: number;
  /** Parameters one token passes through; equal to `parameters` in a dense model. */
  readonly activeParameters: number;
  /** Parameters inside routed experts; 0 in a dense model. */
  readonly routedParameters: number;
  /** Share of the routed parameters that one token uses: experts per token / experts. 0 in a dense model. */
  readonly routedShare: number;
  readonly layers: number;
  readonly hiddenSize: number;
  /** Query heads · head size: what one token's attention multiplies with each token it looks at. */
  readonly attentionWidth: number;
  /** Numbers kept in the cache per token in layers that see the whole context, all layers together. */
  readonly cacheValuesPerToken: number;
  /** The same in layers that see a sliding window only, and that window in tokens. */
  readonly windowCacheValuesPerToken: number;
  readonly windowTokens: number;
  /** Bytes of recurrent state (Mamba layers) kept per sequence and rewritten by each token. */
  readonly stateBytesPerSequence: number;
}

/** An architecture with what was assumed about it. */
export interface KnownArchitecture {
  readonly architecture: TransformerArchitecture;
  /** True when every size comes from the model's own configuration. */
  readonly isComplete: boolean;
  /** How the configuration says that the weights are stored, where it does. */
  readonly weights?: WeightFormat;
  readonly assumptions: readonly Assumption[];
}

/** Below this share of active parameters a model counts as a mixture of experts. */
const DENSE_FROM = 0.95;

/**
 * The architecture that published families of this size have, for when only parameter counts are known.
 *
 * `layers = 32·(s/8e9)^0.37`, `hidden = 4096·(s/8e9)^0.315` with s = √(parameters · active): within a third of Llama 3, Qwen 3, Gemma 3
 * and gpt-oss from 8 B to 405 B. Keys and values: 8 heads of 128 in 16 bits. Experts: the part of the active parameters outside routed
 * experts and the smaller cache of such models are fitted (`coefficients.ts`), the rest of the active ones is `routedShare` of the routed.
 *
 * @throws LightfootError E_RANGE unless 1e6 ≤ active ≤ parameters ≤ 1e14
 * @example typicalArchitecture(70.6e9, 70.6e9).architecture.layers // 72
 */
export function typicalArchitecture(
  parameters: number,
  activeParameters: number,
  { sparse }: Pick<ServingConstants, "sparse"> = SERVING,
): KnownArchitecture {
  requireCounts(parameters, activeParameters);
  const size = Math.sqrt(parameters * activeParameters) / 8e9;
  const layers = 32 * size ** 0.37;
  const hiddenSize = 4096 * size ** 0.315;
  const isSparse = activeParameters < DENSE_FROM * parameters;
  const outside = isSparse ? sparse.denseShareOfActive * activeParameters : parameters;
  const routedParameters = parameters - outside;
  const assumptions: Assumption[] = [
    {
      key: "architecture.typical",
      text:
        `layers, width and cache are those of published families of this size (about ${Math.round(layers)} layers, ` +
        `${Math.round(hiddenSize)} wide, 8 key-value heads of 128${isSparse ? ", cache of sparse families" : ""}); --model config.json gives the model's own`,
    },
  ];
  if (isSparse) {
    assumptions.push({
      key: "architecture.experts",
      text: `${percent(sparse.denseShareOfActive)} of the active parameters lie outside routed experts; a token's experts are drawn evenly and independently`,
    });
  }
  return {
    architecture: {
      parameters,
      activeParameters: isSparse ? activeParameters : parameters,
      routedParameters,
      routedShare: isSparse ? (activeParameters - outside) / routedParameters : 0,
      layers,
      hiddenSize,
      attentionWidth: hiddenSize,
      cacheValuesPerToken: 2 * 8 * 128 * layers * (isSparse ? sparse.cacheShare : 1),
      windowCacheValuesPerToken: 0,
      windowTokens: 0,
      stateBytesPerSequence: 0,
    },
    isComplete: false,
    assumptions,
  };
}

/** Refuses counts no language model has; a bare `70` is the usual slip. */
export function requireCounts(parameters: number, activeParameters: number): void {
  const isCount = (value: number) => Number.isFinite(value) && value >= 1e6 && value <= 1e14;
  if (!isCount(parameters)) {
    throw new LightfootError("E_RANGE", `a language model has 1e6 to 1e14 parameters, found ${parameters}`, {
      hint: "Write 70.6e9 or 70.6B for 70.6 billion.",
    });
  }
  if (!isCount(activeParameters) || activeParameters > parameters) {
    throw new LightfootError(
      "E_RANGE",
      `active parameters lie between 1e6 and all parameters (${parameters}), found ${activeParameters}`,
      { hint: "They are what one token passes through: 22e9 of Qwen3-235B-A22B's 235e9." },
    );
  }
}

/** True for a mixture of experts. */
export const isSparse = (architecture: TransformerArchitecture): boolean => architecture.routedParameters > 0;

/**
 * Distinct routed parameters that a step of `sequences` tokens reads: routed · (1 − (1 − share)^n).
 *
 * Each token draws its experts evenly and independently. n may be fractional.
 */
export function routedParametersRead(architecture: TransformerArchitecture, sequences: number): number {
  return architecture.routedParameters * (1 - (1 - architecture.routedShare) ** sequences);
}

/** Cached numbers of one sequence whose context holds `tokens` tokens. */
export function cachedValues(architecture: TransformerArchitecture, tokens: number): number {
  const inWindow = Math.min(tokens, architecture.windowTokens);
  return architecture.cacheValuesPerToken * tokens + architecture.windowCacheValuesPerToken * inWindow;
}

const percent = (share: number): string => `${Math.round(share * 100)} %`;
