// The fitted constants of the serving model, each with its meaning; depends on nothing.

/** What the constants were fitted to, and how the fit was checked. Printed with each estimate. */
export const SERVING_SOURCE =
  "analytic step-time and power model; constants fitted to The ML.ENERGY Benchmark v3 (Chung et al., NeurIPS D&B 2025, arXiv:2505.06371; " +
  "vLLM 0.11.1, GPU energy in steady state; data of 2026-02: 549 of 565 text runs, 27 models, H100 and B200)";

/**
 * Errors on models the fit had not seen, all 565 runs: each of 18 model families was left out in turn and predicted from the rest.
 * Fold = max(predicted/measured, measured/predicted). `bench/llm-energy.mjs` prints the same figures from a copy of the data.
 */
export const CROSS_VALIDATION = {
  runs: 565,
  sizesOnly: { energy: { median: 1.2, p95: 1.94 }, latency: { median: 1.23, p95: 2.24 } },
  withConfig: { energy: { median: 1.15, p95: 1.75 }, latency: { median: 1.19, p95: 2.24 } },
} as const;

/** What the runs of the fit spanned. */
export const FITTED_RANGE = {
  parameters: [8e9, 671e9],
  batch: [8, 4096],
  /** Tokens in the context on average. */
  meanContext: [400, 6500],
  devices: [1, 8],
} as const;

/** Half-widths of the printed 95 % intervals, as a factor: the p95 fold above, rounded up. */
export const BAND = {
  sizesOnly: { energy: 2, latency: 2.3 },
  withConfig: { energy: 1.8, latency: 2.3 },
  /** Factor on top for devices that no measured run in the fit used, and for loads outside `FITTED_RANGE`; a judgement. */
  unseen: 1.5,
} as const;

/*
 * Step time: base + layers·perLayer (+ perSparseLayer) + all-reduces + sequences·perSequence + requests started·perRequest + roofline + cache.
 * Power: floor + memory·(share of the step spent reading) + arithmetic·(share spent multiplying), in units of board power.
 */
const FITTED = {
  time: {
    /** s per step: scheduling, sampling. */
    stepSeconds: 1.52e-3,
    /** s per layer: launches, norms, whatever does not scale with the batch. */
    layerSeconds: 77.4e-6,
    /** s per layer more in a mixture of experts: routing, permutation. */
    sparseLayerSeconds: 23.6e-6,
    /** s per all-reduce and doubling of the devices; two all-reduces a layer. */
    allReduceSeconds: 8.87e-6,
    /** s per sequence in the batch: input preparation, sampling, detokenization. */
    sequenceSeconds: 36.1e-6,
    /** s per started request and 32 layers: a prefill breaks the captured graph. */
    requestSeconds: 0.311e-3,
  },
  reached: {
    /** Share of the memory bandwidth that weights are streamed with, 16 bit. */
    weightBandwidth: 0.911,
    /** … the cache. */
    cacheBandwidth: 0.683,
    /** Share of the dense 16-bit peak. */
    arithmetic: 0.9,
    /** Norm that joins streaming and arithmetic of the weights: (m^p + c^p)^(1/p); ∞ would be a perfect overlap. */
    overlapNorm: 1.69,
    /** Further share of the arithmetic peak that small per-expert products reach. */
    sparseArithmetic: 0.314,
    /** Further shares with 8-bit floating-point weights: of the bandwidth and of the 8-bit peak. */
    float8: { dense: { bandwidth: 0.9, arithmetic: 0.64 }, sparse: { bandwidth: 0.509, arithmetic: 0.327 } },
  },
  sparse: {
    /** Part of the active parameters outside routed experts, where no configuration says. */
    denseShareOfActive: 0.402,
    /** Cache of sparse families as a share of a dense family's of the same √(parameters · active). */
    cacheShare: 0.438,
  },
  power: {
    /** Busy floor as a share of board power, by architecture; `other` is between the two fitted ones, assumed. */
    floor: { Hopper: 0.264, Blackwell: 0.394, other: 0.3 },
    memory: 0.611,
    arithmetic: 0.679,
    /** Boards hold just under their limit. */
    ceiling: 0.98,
  },
};

type Constants<T> = { readonly [K in keyof T]: T[K] extends number ? number : Constants<T[K]> };

/** Every constant of the serving model; another set can be passed wherever this is the default, e.g. by a refit. */
export type ServingConstants = Constants<typeof FITTED>;
export const SERVING: ServingConstants = FITTED;
