// Time, power and energy of one decoding step of a served transformer, in steady state; may depend on its room and errors.
import { LightfootError } from "../../errors/lightfoot-error.ts";
import type { Accelerators } from "./accelerator.ts";
import { cachedValues, isSparse, routedParametersRead, type TransformerArchitecture } from "./architecture.ts";
import { SERVING, type ServingConstants } from "./coefficients.ts";
import { weightBytes, type WeightFormat } from "./weight-format.ts";

/** Keys, values and activations stay in 16 bits. */
const ACTIVATION_BYTES = 2;
/** The share of device memory that serving engines fill with weights and cache. */
const USABLE_MEMORY = 0.92;
/** Weights above this share of the memory cannot be loaded at all. */
const LOADABLE_MEMORY = 0.97;

/** What is served, in tokens per request. */
export interface ServingLoad {
  /** Requests that the server keeps in flight (`max_num_seqs`), if memory allows. */
  readonly batch: number;
  readonly tokensIn: number;
  /** Of `tokensIn`, those whose keys and values are already cached. */
  readonly cachedTokens: number;
  readonly tokensOut: number;
  /** Tokens in the context on average while decoding. */
  readonly meanContext: number;
}

export interface ServingStep {
  /** Requests truly in flight: the batch, or what the memory holds. */
  readonly inFlight: number;
  /** What the memory holds at the mean context. */
  readonly capacity: number;
  readonly stepSeconds: number;
  /** Of all devices together. */
  readonly powerWatts: number;
  readonly energyJoules: number;
  /** Where the step's time goes; the parts add up to `stepSeconds`. */
  readonly parts: {
    readonly fixed: number;
    readonly communication: number;
    readonly weights: number;
    readonly cache: number;
  };
  /** Seconds the same step needs at least: bytes at full bandwidth, or arithmetic at full peak, whichever is longer. */
  readonly floorSeconds: number;
}

/**
 * Requests that fit beside the weights: (0.92 · memory − weights) / (cache and state of one sequence at the mean context), at least 1.
 *
 * @throws LightfootError E_RANGE when the weights, or one request beside them, do not fit
 */
export function requestCapacity(
  architecture: TransformerArchitecture,
  format: WeightFormat,
  devices: Accelerators,
  meanContext: number,
): number {
  const bytes = weightBytes(format, isSparse(architecture));
  const outside = architecture.parameters - architecture.routedParameters;
  const weights = bytes.outside * outside + bytes.routed * architecture.routedParameters;
  const memory = devices.count * devices.memoryBytes;
  if (weights > LOADABLE_MEMORY * memory) {
    const need = Math.ceil(weights / (USABLE_MEMORY * devices.memoryBytes));
    throw new LightfootError(
      "E_RANGE",
      `${gigabytes(weights)} of ${format} weights do not fit into ${devices.count} × ${gigabytes(devices.memoryBytes)}`,
      { hint: `Ask for ${need} devices or more (--hardware …:${need}), or for smaller weights (--weights fp8, int4).` },
    );
  }
  const sequence = ACTIVATION_BYTES * cachedValues(architecture, meanContext) + architecture.stateBytesPerSequence;
  if (weights + sequence > LOADABLE_MEMORY * memory) {
    throw new LightfootError(
      "E_RANGE",
      `a context of ${Math.round(meanContext)} tokens takes ${gigabytes(sequence)} of cache, ` +
        `and beside ${gigabytes(weights)} of weights ${gigabytes(LOADABLE_MEMORY * memory - weights)} are left`,
      { hint: "Ask for more devices, smaller weights or a shorter context." },
    );
  }
  return Math.max(1, (USABLE_MEMORY * memory - weights) / sequence);
}

/**
 * One step of continuous batching in steady state: each request in flight gets one token, and `inFlight / tokensOut` requests are prefilled.
 *
 * time = fixed + communication + ‖weight bytes / bandwidth, FLOPs / peak‖ₚ + cache bytes / bandwidth,
 * power = n · board · min(0.98, floor + memory · (reading / time) + arithmetic · (multiplying / time)), energy = power · time.
 * Prefill of uncached tokens adds FLOPs, never bytes: its weights are read anyway.
 *
 * @throws LightfootError E_RANGE when the weights do not fit into the devices' memory
 */
export function servingStep(
  architecture: TransformerArchitecture,
  format: WeightFormat,
  devices: Accelerators,
  load: ServingLoad,
  { time, reached, power }: ServingConstants = SERVING,
): ServingStep {
  const sparse = isSparse(architecture);
  const capacity = requestCapacity(architecture, format, devices, load.meanContext);
  const inFlight = Math.min(load.batch, capacity);
  const started = inFlight / load.tokensOut;
  const prefilled = started * (load.tokensIn - load.cachedTokens);

  const fixed =
    time.stepSeconds +
    architecture.layers * (time.layerSeconds + (sparse ? time.sparseLayerSeconds : 0)) +
    inFlight * time.sequenceSeconds +
    started * time.requestSeconds * (architecture.layers / 32);
  const communication =
    devices.count > 1 ? allReduces(architecture, devices, inFlight + prefilled, time.allReduceSeconds) : 0;

  const bytes = weightBytes(format, sparse);
  const outsideBytes = bytes.outside * (architecture.parameters - architecture.routedParameters);
  const routedBytes = bytes.routed * routedParametersRead(architecture, inFlight);
  const bandwidth = devices.count * devices.bandwidthBytesPerSecond;
  const float8 = sparse ? reached.float8.sparse : reached.float8.dense;
  const streaming = reached.weightBandwidth * (format === "fp8" ? float8.bandwidth : 1);
  const reading = (outsideBytes + routedBytes) / (bandwidth * streaming);

  const perSequence =
    ACTIVATION_BYTES * cachedValues(architecture, load.meanContext) + 2 * architecture.stateBytesPerSequence;
  const cache = (inFlight * perSequence) / (bandwidth * reached.cacheBandwidth);

  const flops =
    2 * architecture.activeParameters * (inFlight + prefilled) +
    4 * architecture.layers * architecture.attentionWidth * inFlight * load.meanContext;
  const peak8 = format === "fp8" ? devices.peak8FlopsPerSecond : undefined;
  const peak = peak8 === undefined ? devices.peak16FlopsPerSecond : peak8 * float8.arithmetic;
  const multiplying = flops / (devices.count * peak * reached.arithmetic * (sparse ? reached.sparseArithmetic : 1));

  const norm = reached.overlapNorm;
  const weights = (reading ** norm + multiplying ** norm) ** (1 / norm);
  const stepSeconds = fixed + communication + weights + cache;
  const share = devices.floorShare + (power.memory * (reading + cache) + power.arithmetic * multiplying) / stepSeconds;
  const powerWatts = devices.count * devices.boardWatts * Math.min(power.ceiling, share);
  const fullPeak = devices.count * Math.max(devices.peak16FlopsPerSecond, peak8 ?? 0);
  return {
    inFlight,
    capacity,
    stepSeconds,
    powerWatts,
    energyJoules: powerWatts * stepSeconds,
    parts: { fixed, communication, weights, cache },
    floorSeconds: Math.max((outsideBytes + routedBytes + inFlight * perSequence) / bandwidth, flops / fullPeak),
  };
}

/** Two all-reduces a layer: latency grows with the doublings of the ring, payload is the hidden state there and back. */
function allReduces(
  architecture: TransformerArchitecture,
  devices: Accelerators,
  tokens: number,
  secondsEach: number,
): number {
  const latency = secondsEach * Math.log2(devices.count);
  const payload = (ACTIVATION_BYTES * tokens * architecture.hiddenSize) / devices.linkBytesPerSecond;
  return 2 * architecture.layers * (latency + payload);
}

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(0)} GB`;
