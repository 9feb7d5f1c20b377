// The search for the smallest, fastest or leanest model within an accuracy budget; may depend on model, io, runtime and this room.
import { LightfootError } from "../errors/index.ts";
import { describeThisMachine } from "../io/machine.ts";
import { readOnnx } from "../model/onnx/read.ts";
import type { Candidate, SearchResult } from "./candidate-schema.ts";
import { streaming } from "./event-stream.ts";
import { Judge } from "./judge.ts";
import { surelyWithin } from "./loss.ts";
import { nameIsWrong } from "./reasons.ts";
import { following, narrowRecipe, POST_TRAINING, techniquesOf, WIDTHS, type Recipe } from "./recipe.ts";
import type { RetrainOptions, SearchEvent, SearchOptions } from "./search-options.ts";
import { select, selectionRule } from "./selection.ts";
import { TECHNIQUES } from "./techniques/registry.ts";
import type { Step, TechniqueContext } from "./techniques/technique.ts";
import { weightGridFor } from "./weight-grid.ts";
import type { Attempt } from "./verdict.ts";
import { Workbench } from "./workbench.ts";

/** Tuned on MNIST's validation split; a manifest or a flag overrides each. */
export const DEFAULT_RETRAIN: RetrainOptions = { epochs: 10, batch: 128, learningRate: 3e-3 };

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

type Ending = SearchResult["ended"];

/** Ends a search from outside (a signal) or by the clock; what runs meanwhile sees one signal for both. */
class Deadline {
  readonly #controller = new AbortController();
  readonly #options: Pick<SearchOptions, "signal" | "timeLimitSeconds" | "clock">;
  readonly #startSeconds: number;
  #reason: Ending = "complete";

  constructor(options: Pick<SearchOptions, "signal" | "timeLimitSeconds" | "clock">) {
    this.#options = options;
    this.#startSeconds = options.clock();
    options.signal?.addEventListener("abort", () => this.check(), { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Called between steps: true when it is time to end. */
  check(): boolean {
    const { signal, timeLimitSeconds = Infinity, clock } = this.#options;
    if (this.#reason === "complete") {
      if (signal?.aborted) this.#reason = "interrupted";
      else if (clock() - this.#startSeconds > timeLimitSeconds) this.#reason = "time-limit";
      if (this.#reason !== "complete") this.#controller.abort();
    }
    return this.#reason !== "complete";
  }

  get reason(): Ending {
    return this.#reason;
  }
}

/** One search in progress. */
class Search {
  readonly #options: SearchOptions;
  readonly #deadline: Deadline;
  readonly #bench: Workbench;
  readonly #attempts: Attempt[] = [];
  readonly #planned: number;
  #original!: Candidate;

  constructor(options: SearchOptions) {
    const { data, threads, seed, budget, outDir, batches } = options;
    this.#options = options;
    this.#deadline = new Deadline(options);
    const judge = new Judge({
      original: options.model,
      budget,
      validation: data.validation,
      test: data.test,
      threads,
      seed,
    });
    const profile = { batches, dataset: data.validation, threads };
    this.#bench = new Workbench({ outDir, metric: budget.metric, hasTest: data.test !== undefined, profile }, judge);
    // A bisection over the widths trains about log2 of them, each with its followers.
    const narrowings = this.#wants("narrow") ? Math.ceil(Math.log2(WIDTHS.length)) : 0;
    this.#planned =
      this.#wanted(POST_TRAINING).length + narrowings * (1 + this.#wanted(following(narrowRecipe(1))).length);
  }

  async *run(): AsyncGenerator<SearchEvent, SearchResult> {
    const { model: path, goal, budget, seed } = this.#options;
    yield { kind: "started", planned: this.#planned };
    this.#original = await this.#bench.original(path);
    const model = await readOnnx(path);
    for (const recipe of this.#wanted(POST_TRAINING)) {
      if (this.#deadline.check()) break;
      yield* this.#attempt(recipe, model, recipe.steps);
    }
    if (this.#wants("narrow")) yield* this.#narrower(model);
    const ended = this.#deadline.reason;
    const rule = selectionRule(goal);
    const honest = this.#attempts
      .map(({ candidate }) => candidate)
      .filter(({ techniques, execution }) => nameIsWrong(techniques, execution) === undefined);
    const winner = select(honest, this.#original, goal);
    yield { kind: "selected", candidate: winner, rule };
    const candidates: Candidate[] = [];
    for (const attempt of this.#attempts) {
      const selected = attempt.candidate.id === winner?.id;
      // Somebody who pressed Ctrl-C waits for the verdict on the winner, not on all the others.
      const worthIt = selected || ended !== "interrupted";
      candidates.push(worthIt ? await this.#bench.finish(attempt, this.#original, selected, rule) : attempt.candidate);
    }
    yield { kind: "ended", reason: ended };
    return {
      schema: "lightfoot.compression/1",
      goal,
      metric: budget.metric,
      budget: { ...budget.maxDrop },
      selectionRule: rule,
      seed,
      ended,
      original: this.#original,
      candidates,
      selected: winner?.id ?? null,
    };
  }

  #wants(technique: string): boolean {
    return this.#options.techniques?.includes(technique) ?? true;
  }

  #wanted(recipes: readonly Recipe[]): Recipe[] {
    return recipes.filter((recipe) => techniquesOf(recipe).every((technique) => this.#wants(technique)));
  }

  /**
   * Bisects the ladder of widths for the narrowest model that surely holds the budget on validation data, and quantises each one
   * that does.
   */
  async *#narrower(model: Awaited<ReturnType<typeof readOnnx>>): AsyncGenerator<SearchEvent, void> {
    let holds = -1;
    let fails: number = WIDTHS.length;
    while (fails - holds > 1) {
      if (this.#deadline.check()) return;
      const middle = (holds + fails) >> 1;
      const recipe = narrowRecipe(WIDTHS[middle]);
      const { candidate, path } = yield* this.#attempt(recipe, model, recipe.steps);
      // Refused for a reason of the model or the data, not of the width: no other width will do better.
      if (path === undefined || candidate.validation === null) return;
      if (!surelyWithin(candidate.validation)) {
        fails = middle;
        continue;
      }
      holds = middle;
      const base = await readOnnx(path);
      for (const next of this.#wanted(following(recipe))) {
        if (this.#deadline.check()) return;
        yield* this.#attempt(next, base, next.steps.slice(recipe.steps.length));
      }
    }
  }

  async *#attempt(
    recipe: Recipe,
    base: Awaited<ReturnType<typeof readOnnx>>,
    steps: readonly Step[],
  ): AsyncGenerator<SearchEvent, Attempt> {
    const { id, title } = recipe;
    yield {
      kind: "trying",
      id,
      title,
      done: this.#attempts.length,
      planned: Math.max(this.#planned, this.#attempts.length + 1),
    };
    const attempt = yield* streaming<SearchEvent, Attempt>((emit) =>
      this.#bench.attempt(recipe, base, steps, this.#original, this.#context(id, emit)).catch((thrown: unknown) => {
        // Ending early is no failure: what was found so far counts.
        if (this.#deadline.check()) return INTERRUPTED;
        throw thrown;
      }),
    );
    if (attempt === INTERRUPTED) return attempt;
    this.#attempts.push(attempt);
    yield { kind: "candidate", candidate: attempt.candidate };
    return attempt;
  }

  #context(id: string, emit: (event: SearchEvent) => void): TechniqueContext {
    const { data, model, seed, threads, retrain } = this.#options;
    return {
      calibration: data.calibration ?? data.train ?? data.validation,
      train: data.train,
      original: model,
      seed,
      threads,
      retrain: { ...DEFAULT_RETRAIN, ...retrain },
      weightGrid: weightGridFor(describeThisMachine()).grid,
      signal: this.#deadline.signal,
      onEpoch: (epoch, epochs, loss) => {
        emit({ kind: "training", id, epoch, epochs, loss });
        this.#deadline.check();
      },
    };
  }
}

const INTERRUPTED: Attempt = {
  candidate: { id: "interrupted" } as Candidate,
  path: undefined,
  notes: [],
};

/**
 * Tries every recipe, chooses on validation data, judges on test data.
 *
 * Always ends with the best candidate found so far: at the time limit and when `signal` fires too. Same model, data, options and seed
 * give the same files on one machine (the weight grid follows the processor).
 *
 * @throws LightfootError E_USAGE for an unknown technique, E_METRIC, E_DATA; a candidate that fails is refused, not thrown
 * @example for await (const event of search(options)) show(event);
 */
export async function* search(options: SearchOptions): AsyncGenerator<SearchEvent, SearchResult> {
  checkTechniques(options.techniques);
  return yield* new Search(options).run();
}
