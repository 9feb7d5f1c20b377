// Whether a language-model estimate may stand beside the two public measurement boards, and why not; may depend on its room.
import type { EnergyBoundary } from "./boundary.ts";
import type { Comparability } from "./llm-schema.ts";

/** What decides it. */
export interface ComparedEstimate {
  readonly boundary: EnergyBoundary;
  readonly hardwareId: string;
  readonly weights: string;
  readonly batch: number;
  readonly inFlight: number;
  readonly batchWasGiven: boolean;
}

const H100 = "nvidia-h100-sxm5-80gb";
const B200 = "nvidia-b200-sxm-180gb";

/**
 * AI Energy Score: GPU Wh of 1,000 queries, one H100 80 GB for models that fit it, batch 1, the model's own 16-bit weights.
 * ML.ENERGY: GPU J per output token in steady state on H100 or B200, the server's batch known.
 */
export function compareWithBoards(estimate: ComparedEstimate): Comparability[] {
  return [
    board("AI Energy Score", "GPU Wh per 1,000 queries", scoreObstacles(estimate), [
      "it is an estimate; a score is measured over 1,000 prompts, ten times",
      "its queries are 369 tokens long on average for text generation; answers are as long as its harness was set to",
    ]),
    board("ML.ENERGY", "GPU J per output token in steady state", benchmarkObstacles(estimate), [
      "it is an estimate; the benchmark measures, with vLLM and its own prompts (634 tokens on average for chat, 224 for reasoning)",
    ]),
  ];
}

const board = (name: string, quantity: string, obstacles: string[], caveats: string[]): Comparability => ({
  board: name,
  quantity,
  isComparable: obstacles.length === 0,
  why: obstacles.length === 0 ? caveats : obstacles,
});

function scoreObstacles({ boundary, hardwareId, weights, batch }: ComparedEstimate): string[] {
  return [
    ...outside(boundary),
    ...(hardwareId === H100 ? [] : [`it runs on NVIDIA H100 80GB, this is ${hardwareId}`]),
    ...(batch === 1 ? [] : [`it runs one query at a time, this batch is ${batch}`]),
    ...(weights === "bf16"
      ? []
      : [`it runs text generation in 16 bits unless the model itself is stored otherwise, this is ${weights}`]),
  ];
}

function benchmarkObstacles({ boundary, hardwareId, batch, inFlight, batchWasGiven }: ComparedEstimate): string[] {
  return [
    ...outside(boundary),
    ...(hardwareId === H100 || hardwareId === B200 ? [] : [`it has H100 SXM and B200, this is ${hardwareId}`]),
    ...(batchWasGiven ? [] : ["the server's batch was assumed, not given"]),
    ...(inFlight >= 0.85 * batch
      ? []
      : [
          `it drops runs that keep less than 85 % of the batch in flight; memory holds ${Math.floor(inFlight)} of ${batch}`,
        ]),
  ];
}

const outside = (boundary: EnergyBoundary): string[] =>
  boundary === "accelerator" ? [] : [`it counts GPUs only, this boundary is '${boundary}'`];
