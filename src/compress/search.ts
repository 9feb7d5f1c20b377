// The search for the smallest, fastest or leanest model within an accuracy budget; may depend on errors, io, runtime and this room.
import { LightfootError } from "../errors/index.ts";
import { benchSettings } from "./bench-settings.ts";
import type { Candidate, SearchResult } from "./candidate-schema.ts";
import { Deadline } from "./deadline.ts";
import { Journal, journalKey } from "./journal.ts";
import { plannedTables, tableBlocks, tableCandidates } from "./lookup-tables.ts";
import { mixedCandidates, plannedMixed } from "./mixed/mixed-search.ts";
import { namedRecipes } from "./named-recipes.ts";
import { narrowings, plannedNarrowings } from "./narrowing.ts";
import { plannedRecoveries, recoveries } from "./near-misses.ts";
import { CLEAN, POST_TRAINING, techniquesOf } from "./recipe.ts";
import { RemoteBench } from "./remote-bench.ts";
import type { CompressionData, SearchEvent, SearchOptions } from "./search-options.ts";
import { SearchRun } from "./search-run.ts";
import { paretoFront, selectionRule } from "./selection.ts";
import { fewNumbers, packing, plannedSmallFiles } from "./small-files.ts";
import { TECHNIQUES } from "./techniques/registry.ts";

/** Names for `techniques` in options, manifests and on the command line. */
export const TECHNIQUE_NAMES: readonly string[] = Object.keys(TECHNIQUES);

function checkTechniques(names: readonly string[] | undefined): void {
  for (const name of names ?? []) {
    if (TECHNIQUES[name] !== undefined) continue;
    throw new LightfootError("E_USAGE", `there is no technique '${name}'`, {
      hint: `Known are ${TECHNIQUE_NAMES.join(", ")}.`,
    });
  }
}

/** Candidates that will be made if nothing is learnt on the way. */
function plannedAtFirst(options: SearchOptions, hasTables: boolean): number {
  const { techniques, data, goal, maxCandidates = Infinity } = options;
  const wants = (technique: string) => techniques?.includes(technique) ?? true;
  const wanted: SearchRun["wanted"] = (recipes) => recipes.filter((recipe) => techniquesOf(recipe).every(wants));
  return Math.min(
    maxCandidates,
    wanted([CLEAN, ...POST_TRAINING]).length +
      namedRecipes(options).length +
      plannedMixed(goal, wants) +
      plannedNarrowings(goal, { wants, wanted }) +
      (hasTables ? plannedTables(goal, { wants, wanted }) * (wants("narrow") ? 2 : 1) : 0) +
      plannedRecoveries({ wanted }, data.train !== undefined) +
      (goal === "size" ? plannedSmallFiles({ wanted }, data.train !== undefined) : 0),
  );
}

/** Everything that is tried, in order. */
async function* candidatesOf(run: SearchRun): AsyncGenerator<SearchEvent, void> {
  yield* run.prepare();
  const named = namedRecipes(run.options);
  const planned = run.wanted(POST_TRAINING).filter(({ id }) => !named.some((each) => each.id === id));
  yield* run.attemptEach([...planned, ...named].map((recipe) => run.fromStart(recipe)));
  yield* mixedCandidates(run);
  yield* tableCandidates(run);
  yield* narrowings(run);
  yield* fewNumbers(run);
  yield* recoveries(run);
  yield* packing(run);
}

/** Who judged and who taught, by digest. */
function describeData(data: CompressionData): SearchResult["data"] {
  const roles = ["train", "validation", "test", "calibration"] as const;
  return roles.flatMap((role) => {
    const set = data[role];
    return set === undefined ? [] : [{ role, name: set.name, sampleCount: set.sampleCount, digest: set.digest }];
  });
}

/**
 * Tries every recipe, chooses on validation data, judges on test data.
 *
 * Where the exact clean-up changes something, or 16-bit floats were widened, all other recipes start with it; every comparison is with
 * the model as it came.
 *
 * All heavy work is done in a worker thread. The search always ends with the best candidate found so far: at the time limit and
 * when `signal` fires too; a later search with the same inputs and output folder then goes on where this one was stopped. Same
 * model, data, options and seed give the same files on one machine (the weight grid follows the processor).
 *
 * @throws LightfootError E_USAGE for an unknown technique, E_METRIC, E_DATA, E_INTERRUPTED when the signal fires before the original
 *   was measured; a candidate that fails is refused, not thrown
 * @example for await (const event of search(options)) show(event);
 */
export async function* search(options: SearchOptions): AsyncGenerator<SearchEvent, SearchResult> {
  checkTechniques(options.techniques);
  const settings = benchSettings(options);
  const bench = new RemoteBench(settings);
  const deadline = new Deadline(options);
  try {
    const planned = plannedAtFirst(options, (await tableBlocks(options.model, options)) !== undefined);
    yield { kind: "started", planned };
    const { goal, techniques, toolVersion = "" } = options;
    const key = await journalKey(settings, [toolVersion, goal, techniques ?? []]);
    const journal = await Journal.open(options.outDir, key);
    if (journal.size > 0) yield { kind: "resumed", candidates: journal.size };
    const original = journal.original ?? (await bench.original(options.signal));
    if (journal.original === undefined) await journal.rememberOriginal(original);
    const run = new SearchRun(options, { bench, journal, deadline, original, planned });
    yield* candidatesOf(run);
    const result = yield* conclusion(run, bench, deadline);
    await journal.end(result.ended);
    return result;
  } finally {
    deadline.release();
    await bench.close();
  }
}

/** The choice, the verdict, the document. */
async function* conclusion(
  run: SearchRun,
  bench: RemoteBench,
  deadline: Deadline,
): AsyncGenerator<SearchEvent, SearchResult> {
  const { options, original } = run;
  const { goal, budget, seed, data } = options;
  const { reason } = deadline;
  const ended = reason === "complete" && run.stoppedBefore !== null ? "candidate-limit" : reason;
  const rule = selectionRule(goal, budget.confidence);
  const winner = run.best;
  yield { kind: "selected", candidate: winner, rule };
  const hurried = reason !== "complete";
  const candidates: Candidate[] = [];
  for (const attempt of run.attempts) {
    const selected = attempt.candidate.id === winner?.id;
    // Somebody who pressed Ctrl-C or set a limit waits for the verdict on the winner, not on all the others.
    const worthIt = selected || !hurried;
    const task = { attempt, original, selected, rule, hurried };
    const signal = deadline.signal.aborted ? undefined : deadline.signal;
    candidates.push(worthIt ? await bench.finish(task, signal) : attempt.candidate);
  }
  yield { kind: "ended", reason: ended };
  return {
    schema: "lightfoot.compression/1",
    goal,
    metric: budget.metric,
    budget: { ...budget.maxDrop },
    confidence: budget.confidence ?? null,
    selectionRule: rule,
    seed,
    data: describeData(data),
    ended,
    tried: run.attempts.length,
    planned: Math.max(run.planned, run.attempts.length),
    stoppedBefore: run.stoppedBefore,
    sensitivity: run.tables,
    original,
    candidates,
    front: paretoFront(run.honest, original, goal),
    selected: winner?.id ?? null,
  };
}
