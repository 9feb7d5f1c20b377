// `lightfoot compress` without its screen: data in, search, files out; may depend on compress, io, quantity, runtime and this room.
import { join } from "node:path";
import type { AccuracyBudget, MaxDrop } from "../compress/budget.ts";
import { searchResultSchema, type SearchResult } from "../compress/candidate-schema.ts";
import type { Goal, SearchEvent, SearchOptions } from "../compress/search-options.ts";
import { search } from "../compress/search.ts";
import { makeFolder, writeFileAtomic } from "../io/atomic-write.ts";
import type { Assumption } from "../quantity/figure.ts";
import { loadDataset, type Dataset } from "../runtime/dataset.ts";
import { assumptionsOf, figuresOf } from "./found-assumptions.ts";
import { placeWinner, refuseOwnOutput } from "./place-winner.ts";
import { refuseSame, type RunData } from "./run-data.ts";
import { timedBatches } from "./timed-batches.ts";

export interface CompressOptions extends Pick<
  SearchOptions,
  | "model"
  | "outDir"
  | "seed"
  | "threads"
  | "techniques"
  | "retrain"
  | "timeLimitSeconds"
  | "maxCandidates"
  | "useCache"
  | "signal"
  | "clock"
> {
  /** Notations of `loadDataset`. */
  readonly data: {
    readonly validation: string;
    readonly test?: string;
    readonly train?: string;
    readonly calibration?: string;
  };
  /** Left out, as `timedBatches` finds them. */
  readonly batches?: readonly number[];
  /** Left out: accuracy where the validation data has labels, else fidelity to the original. */
  readonly metric?: string;
  /** Left out: 0.5 points of accuracy, 0.5 % of any other metric. */
  readonly maxDrop?: MaxDrop;
  readonly confidence?: number;
  readonly goal: Goal;
  readonly version: string;
  readonly onEvent: (event: SearchEvent) => void;
}

export interface Compression {
  readonly result: SearchResult;
  readonly assumptions: readonly Assumption[];
}

const DEFAULT_DROP = 0.5;

async function loadData({ data }: CompressOptions): Promise<RunData> {
  const load = async (text: string | undefined): Promise<Dataset | undefined> =>
    text === undefined ? undefined : loadDataset(text);
  const validation = await loadDataset(data.validation);
  const [test, train, calibration] = [await load(data.test), await load(data.train), await load(data.calibration)];
  refuseSame("--data", validation, "--test", test);
  if (train !== undefined) {
    refuseSame("--train", train, "--data", validation);
    refuseSame("--train", train, "--test", test);
  }
  return { validation, test, train, calibration };
}

/** The metric where none was named, and what that means. */
function metricFor(data: RunData, wanted: string | undefined): { metric: string; assumptions: Assumption[] } {
  if (wanted !== undefined) return { metric: wanted, assumptions: [] };
  if (data.validation.labels !== undefined) return { metric: "accuracy", assumptions: [] };
  const text =
    `'${data.validation.name}' has no labels: candidates were judged by how close their outputs are to the original's. ` +
    "That says nothing about whether either is right.";
  return { metric: "fidelity", assumptions: [{ key: "compress.fidelity", text }] };
}

/**
 * Searches and writes `candidates/`, `compressed.onnx` (the chosen one, if any) and `compression.json` to the output folder.
 *
 * Ends with the best so far when the signal or the time limit ends the search: the files are written all the same.
 * @throws LightfootError what `loadDataset` and `search` throw; E_USAGE when the model is an output of its own; E_DATA when two roles share a data set that must be apart
 */
export async function compress(options: CompressOptions): Promise<Compression> {
  const { outDir, maxDrop, confidence, version, onEvent, metric: wanted, ...rest } = options;
  await refuseOwnOutput(options.model, outDir);
  await makeFolder(outDir);
  const data = await loadData(options);
  const { metric, assumptions } = metricFor(data, wanted);
  const kind = metric === "accuracy" ? "points" : "relative";
  const budget: AccuracyBudget = {
    metric,
    maxDrop: maxDrop ?? { kind, value: DEFAULT_DROP },
    ...(confidence === undefined ? {} : { confidence }),
  };
  const timed = await timedBatches(options.model, data.validation, rest.batches);
  const run = search({ ...rest, batches: timed.batches, outDir, data, budget, toolVersion: version });
  let next = await run.next();
  for (; next.done !== true; next = await run.next()) onEvent(next.value);
  const result = searchResultSchema.parse(next.value);
  await placeWinner(
    result.candidates.find(({ selected }) => selected),
    outDir,
  );
  await writeFileAtomic(join(outDir, "compression.json"), `${JSON.stringify(result, undefined, 2)}\n`);
  const figures = [result.original, ...result.candidates].flatMap(figuresOf);
  const ofData = Object.values(data).flatMap((set: Dataset | undefined) => set?.assumptions ?? []);
  return { result, assumptions: assumptionsOf(figures, [...assumptions, ...timed.assumptions, ...ofData]) };
}
