// The whole way of one manifest: data, models, analysis, compression, verdict, dossier and report; may depend on every room below and report.
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { search } from "../compress/search.ts";
import type { SearchResult } from "../compress/candidate-schema.ts";
import type { SearchEvent, SearchOptions } from "../compress/search-options.ts";
import { measureModel } from "../compress/measure-model.ts";
import { LightfootError } from "../errors/lightfoot-error.ts";
import { makeFolder, writeFileAtomic } from "../io/atomic-write.ts";
import { describeThisMachine } from "../io/machine.ts";
import { processUsage } from "../io/process-usage.ts";
import { energyOfCpuSeconds } from "../meter/cpu-energy.ts";
import { engineName } from "../runtime/session.ts";
import { createThreadPool } from "../runtime/task-runner.ts";
import type { TrainEvent } from "../runtime/train-options.ts";
import { modelRow, type ModelRow } from "./dossier-models.ts";
import { footprintContext, runFootprint } from "./dossier-footprint.ts";
import { dossierSchema, type Dossier, type DossierStage } from "./dossier-schema.ts";
import { knownNames } from "./known-names.ts";
import { assumptionsOf, figuresOf } from "./found-assumptions.ts";
import { manifestAssumptions } from "./manifest-assumptions.ts";
import { readManifest } from "./manifest.ts";
import { placeModel, type PlacedModel } from "./model-source.ts";
import { placeWinner, refuseOwnOutput, WINNER_FILE } from "./place-winner.ts";
import { auditRun } from "./run-audit.ts";
import { checkRun } from "./run-check.ts";
import { describeRunData, loadRunData, type RunData } from "./run-data.ts";
import { timedBatches } from "./timed-batches.ts";

export type RunEvent =
  | { readonly kind: "stage"; readonly stage: DossierStage["stage"]; readonly title: string }
  | { readonly kind: "reused"; readonly title: string }
  | { readonly kind: "train"; readonly event: TrainEvent }
  | { readonly kind: "search"; readonly event: SearchEvent };

export interface RunOptions {
  readonly manifest: string;
  readonly outDir: string;
  readonly version: string;
  readonly nodeVersion: string;
  readonly signal: AbortSignal;
  /** Seconds from a fixed origin. */
  readonly clock: () => number;
  /** The date for the dossier, ISO 8601. */
  readonly createdAt: () => string;
  readonly onEvent: (event: RunEvent) => void;
}

/**
 * Runs a manifest and writes `dossier.json`, `original.onnx`, `narrow.onnx`, `compressed.onnx` and `candidates/` to the output folder.
 *
 * Trained models are kept with a receipt: a second run with the same inputs takes them as they are, and training that was
 * killed goes on from its checkpoint. The winner is chosen on validation data; test data is looked at once, afterwards.
 * @throws LightfootError E_MANIFEST, what data, training and search throw; E_INTERRUPTED when stopped before the search; one that is stopped ends with what it had found
 */
export async function runManifest(options: RunOptions): Promise<Dossier> {
  const { outDir, signal, clock, onEvent } = options;
  const { manifest, file, digest } = await readManifest(options.manifest, knownNames);
  await makeFolder(outDir);
  const stages: DossierStage[] = [];
  const cpuAtStart = processUsage.cpuSeconds();
  const startSeconds = clock();
  const timed = async <T>(stage: DossierStage["stage"], title: string, work: () => Promise<T>): Promise<T> => {
    // What a stopped search has found is worth its place on disk.
    if (signal.aborted && stage !== "judge") throw new LightfootError("E_INTERRUPTED", `stopped before: ${title}`);
    onEvent({ kind: "stage", stage, title });
    const [wall, cpu] = [clock(), processUsage.cpuSeconds()];
    const result = await work();
    stages.push({
      stage,
      durationSeconds: clock() - wall,
      cpuSeconds: processUsage.cpuSeconds() - cpu,
      reused: isReused(result),
    });
    return result;
  };

  const data = await timed("data", "Reading data", () => loadRunData(manifest));
  const { original, narrow } = await placeModels(manifest, data, options, timed);
  await refuseOwnOutput(original.path, outDir);
  const { batches, assumptions: ofBatches } = await timedBatches(original.path, data.validation, manifest.batch);
  const wanted = searchOptions(original.path, manifest, data, { ...options, batches });
  const found = await timed("compress", "Compressing", () => compress(wanted, options));
  const winner = found.candidates.find(({ id }) => id === found.selected);
  const chosen = await placeWinner(winner, outDir);
  const audited =
    chosen === undefined
      ? undefined
      : await timed("audit", "Auditing the chosen model", () =>
          auditRun({ original: original.path, compressed: chosen }, manifest, data, signal),
        );
  const rows: ModelRow[] = [
    {
      role: "original",
      title: original.title,
      path: original.path,
      measured: found.original,
      history: original.history,
    },
  ];
  const dossier = await timed("judge", "Judging and writing", async () => {
    if (narrow !== undefined && !signal.aborted) {
      const measured = await measureModel(narrow.path, { title: narrow.title, ...wanted }, found.original);
      rows.push({ role: "narrow", title: narrow.title, path: narrow.path, measured, history: narrow.history });
    }
    if (winner !== undefined && chosen !== undefined) {
      rows.push({ role: "compressed", title: winner.id, path: chosen, measured: winner, history: [] });
    }
    const judged = data.test ?? data.validation;
    const createdAt = options.createdAt();
    const footprint = footprintContext(
      manifest.where,
      found.original.energyPerInference ?? null,
      new Date(createdAt).getUTCFullYear(),
    );
    const context = {
      footprint,
      metric: manifest.budget.metric,
      data: `${judged.name} (${judged.digest})`,
      hardware: manifest.hardware,
    };
    const models: Dossier["models"] = [];
    for (const row of rows) models.push(await modelRow(row, context, models[0]));
    const machine = describeThisMachine();
    const cpuSeconds = processUsage.cpuSeconds() - cpuAtStart;
    const runEnergy = energyOfCpuSeconds(cpuSeconds, clock() - startSeconds);
    const ownFootprint = runFootprint(runEnergy, footprint);
    const document: Dossier = {
      schema: "lightfoot.dossier/1",
      title: manifest.name ?? original.title,
      tool: {
        name: "lightfoot",
        version: options.version,
        node: options.nodeVersion,
        engine: await engineName(),
      },
      createdAt,
      manifest: { file: file.split(/[\\/]/).at(-1) ?? file, digest },
      seed: manifest.seed,
      machine: {
        cpuName: machine.cpuName,
        logicalCpuCount: machine.logicalCpuCount,
        memoryBytes: machine.memoryBytes,
        platform: machine.platform,
        architecture: machine.architecture,
        isVirtual: machine.isVirtual,
      },
      hardware: manifest.hardware ?? null,
      where: manifest.where ?? null,
      footprintInferences: footprint.inferences,
      data: describeRunData(data),
      task: {
        metric: manifest.budget.metric,
        goal: manifest.goal,
        budget: { ...manifest.budget.maxDrop },
        batches: [...batches],
      },
      models,
      candidates: found.candidates.map((candidate) =>
        candidate.id === winner?.id ? { ...candidate, file: WINNER_FILE } : candidate,
      ),
      selected: found.selected,
      selectionRule: found.selectionRule,
      searchEnded: found.ended,
      assumptions: assumptionsOf(
        [...models.flatMap(figuresOf), ...found.candidates.flatMap(figuresOf), runEnergy],
        [
          ...manifestAssumptions(manifest),
          ...ofBatches,
          ...models.flatMap((model) => model.footprint?.assumptions ?? []),
          ...ownFootprint.assumptions,
          ...(audited?.assumptions ?? []),
          ...Object.values(data).flatMap((set) => set?.assumptions ?? []),
        ],
      ),
      stages,
      runEnergy,
      runFootprint: ownFootprint,
      audit: audited?.audit ?? null,
      check: null,
    };
    const { check, assumptions } = checkRun(document, manifest);
    return { ...document, check, assumptions: [...document.assumptions, ...assumptions] };
  });
  const document = dossierSchema.parse({ ...dossier, stages });
  await writeFileAtomic(join(outDir, "dossier.json"), `${JSON.stringify(document, undefined, 2)}\n`);
  return document;
}

type Timed = <T>(stage: DossierStage["stage"], title: string, work: () => Promise<T>) => Promise<T>;
type ManifestOf = Awaited<ReturnType<typeof readManifest>>["manifest"];

const isReused = (result: unknown): boolean =>
  typeof result === "object" && result !== null && "reused" in result && result.reused === true;

async function placeModels(
  manifest: ManifestOf,
  data: RunData,
  { outDir, signal, onEvent }: RunOptions,
  timed: Timed,
): Promise<{ original: PlacedModel; narrow: PlacedModel | undefined }> {
  const runner = createThreadPool(1);
  const { seed, threads, train } = manifest;
  const place = async (source: ManifestOf["model"], role: "original" | "narrow") => {
    const name = source.name ?? source.mlp?.layers.join("-") ?? source.file ?? role;
    const title = source.mlp === undefined ? `Copying ${name}` : `Training ${name}`;
    const placed = await timed(`train-${role}`, title, () =>
      placeModel(source, {
        outDir,
        role,
        data,
        train,
        seed,
        threads,
        runner,
        signal,
        onEvent: (event) => onEvent({ kind: "train", event }),
      }),
    );
    if (placed.reused) onEvent({ kind: "reused", title: placed.title });
    return placed;
  };
  try {
    const original = await place(manifest.model, "original");
    if (manifest.compare !== undefined) return { original, narrow: await place(manifest.compare, "narrow") };
    await rm(join(outDir, "narrow.onnx"), { force: true });
    return { original, narrow: undefined };
  } finally {
    await runner.close();
  }
}

function searchOptions(
  model: string,
  manifest: ManifestOf,
  data: RunData,
  { outDir, signal, clock, version, batches }: RunOptions & { readonly batches: readonly number[] },
) {
  const { budget, goal, seed, threads, techniques, train, timeLimitSeconds } = manifest;
  return {
    model,
    outDir,
    data,
    budget,
    goal,
    seed,
    batches,
    threads,
    techniques,
    retrain: { ...(train === undefined || manifest.model.mlp !== undefined ? {} : train), ...manifest.retrain },
    timeLimitSeconds,
    toolVersion: version,
    signal,
    clock,
  };
}

async function compress(wanted: SearchOptions, options: RunOptions): Promise<SearchResult> {
  const run = search(wanted);
  for (;;) {
    const next = await run.next();
    if (next.done === true) return next.value;
    options.onEvent({ kind: "search", event: next.value });
  }
}
