// What the bench must know about a search, as plain data that travels to a worker thread; may depend on runtime and this room.
import { sharedDataset } from "../runtime/shared-dataset.ts";
import type { AccuracyBudget } from "./budget.ts";
import type { CompressionData, RetrainOptions, SearchOptions } from "./search-options.ts";

export interface BenchSettings {
  /** Path of the original. */
  readonly model: string;
  readonly outDir: string;
  readonly data: CompressionData;
  readonly budget: AccuracyBudget;
  readonly batches: readonly number[];
  readonly threads: number | undefined;
  readonly seed: number;
  readonly retrain: RetrainOptions;
}

/** Tuned on MNIST's validation split; a manifest or a flag overrides each. */
export const DEFAULT_RETRAIN: RetrainOptions = { epochs: 10, batch: 128, learningRate: 3e-3 };

type Needed = "model" | "outDir" | "data" | "budget" | "batches" | "threads" | "seed" | "retrain";

/** The settings of a search, its samples in shared memory. */
export function benchSettings(options: Pick<SearchOptions, Needed>): BenchSettings {
  const { model, outDir, data, budget, batches, threads, seed, retrain } = options;
  const entries = Object.entries(data).filter(([, set]) => set !== undefined);
  const shared = Object.fromEntries(entries.map(([role, set]) => [role, sharedDataset(set)]));
  return {
    model,
    outDir,
    data: shared as unknown as CompressionData,
    budget,
    batches,
    threads,
    seed,
    retrain: { ...DEFAULT_RETRAIN, ...retrain },
  };
}
