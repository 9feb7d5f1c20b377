// What the parts of a search have in common: making candidates one by one in the worker, within the limits, with a journal; may
// depend on model, runtime and this room.
import { readOnnx } from "../model/onnx/read.ts";
import { streaming } from "./event-stream.ts";
import type { BenchProgress } from "./bench-worker.ts";
import type { Candidate, SensitivityRow } from "./candidate-schema.ts";
import type { Deadline } from "./deadline.ts";
import type { Journal } from "./journal.ts";
import { surelyWithin } from "./loss.ts";
import { nameIsWrong } from "./reasons.ts";
import { CLEAN, techniquesOf, WIDEN, type Recipe } from "./recipe.ts";
import type { RemoteBench } from "./remote-bench.ts";
import type { SearchEvent, SearchOptions } from "./search-options.ts";
import { select } from "./selection.ts";
import { holdsHalves } from "./techniques/widen.ts";
import type { Attempt } from "./verdict.ts";

/** A model to start from that has the first steps of a recipe already. */
export interface Base {
  readonly path: string;
  readonly stepsDone: number;
}

/** One search in progress: its attempts so far, and the way to another one. */
export class SearchRun {
  readonly options: SearchOptions;
  readonly attempts: Attempt[] = [];
  /** Tables of layers by which schemes were assigned. */
  readonly tables: { of: string; layers: SensitivityRow[] }[] = [];
  readonly #bench: RemoteBench;
  readonly #journal: Journal;
  readonly #deadline: Deadline;
  readonly #original: Candidate;
  readonly #planned: number;
  /** What recipes start from: the model as it came, widened or cleaned up. */
  #start: { readonly id: string; readonly path: string; readonly steps: Recipe["steps"] };
  /** Id of the first recipe, or name of the table, that the limits kept from being made. */
  stoppedBefore: string | null = null;

  constructor(
    options: SearchOptions,
    parts: { bench: RemoteBench; journal: Journal; deadline: Deadline; original: Candidate; planned: number },
  ) {
    this.options = options;
    this.#start = { id: "original", path: options.model, steps: [] };
    this.#bench = parts.bench;
    this.#journal = parts.journal;
    this.#deadline = parts.deadline;
    this.#original = parts.original;
    this.#planned = parts.planned;
  }

  get original(): Candidate {
    return this.#original;
  }

  get planned(): number {
    return this.#planned;
  }

  /** Candidates that are what they are called. */
  get honest(): Candidate[] {
    return this.attempts.map(({ candidate }) => candidate).filter((candidate) => nameIsWrong(candidate) === undefined);
  }

  /** The winner as it stands. */
  get best(): Candidate | undefined {
    return select(this.honest, this.#original, this.options.goal);
  }

  wants(technique: string): boolean {
    return this.options.techniques?.includes(technique) ?? true;
  }

  /** True where the candidate `id` was made, is what it is called, and surely holds the budget on validation data. */
  holds(id: string): boolean {
    return this.attempts.some(
      ({ candidate }) =>
        candidate.id === id &&
        candidate.validation !== null &&
        surelyWithin(candidate.validation) &&
        nameIsWrong(candidate) === undefined,
    );
  }

  wanted(recipes: readonly Recipe[]): Recipe[] {
    return recipes.filter((recipe) => techniquesOf(recipe).every((technique) => this.wants(technique)));
  }

  /**
   * Tries to widen 16-bit floats, and the exact clean-up; what changes something and holds the budget is where recipes start from then
   * on.
   */
  async *prepare(): AsyncGenerator<SearchEvent, void> {
    const isNamed = this.options.techniques?.includes("widen") === true;
    const widening = isNamed || holdsHalves(await readOnnx(this.options.model)) ? [WIDEN] : [];
    // Most techniques work on float32 weights alone: whichever are wanted, without it they would have none.
    for (const recipe of [...widening, ...this.wanted([CLEAN])]) {
      const { steps } = this.fromStart(recipe);
      const attempt = yield* this.attempt({ ...recipe, steps });
      const path = attempt?.candidate.accepted === true ? attempt.path : undefined;
      if (path !== undefined) this.#start = { id: recipe.id, path, steps };
    }
  }

  /** The recipe as it is made in this search: with what was done before it. */
  fromStart(recipe: Recipe): Recipe {
    return { ...recipe, steps: [...this.#start.steps, ...recipe.steps] };
  }

  /** The model that recipes start from: its path, and `original` or the id of its candidate. */
  get start(): { readonly id: string; readonly path: string } {
    return this.#start;
  }

  /** One that may not carry its name stands for no other: the same bytes can be honest under another. */
  get #made(): ReadonlyMap<string, string> {
    return new Map(
      this.attempts.flatMap(({ candidate }) =>
        candidate.digest === null || nameIsWrong(candidate) !== undefined ? [] : [[candidate.digest, candidate.id]],
      ),
    );
  }

  #baseOf({ steps }: Recipe): Base {
    const { path, steps: done } = this.#start;
    const isFromStart = done.every(({ technique }, at) => steps[at]?.technique === technique);
    return isFromStart ? { path, stepsDone: done.length } : { path: this.options.model, stepsDone: 0 };
  }

  /**
   * Makes, measures and scores one candidate. A recipe that gives the bytes of an earlier candidate is refused.
   *
   * @param base left out, the prepared model for a recipe that starts with what was done to it, else the original
   * @returns the earlier candidate where the bytes are the same; undefined when a limit or a signal ended the search before or meanwhile
   */
  async *attempt(recipe: Recipe, base?: Base): AsyncGenerator<SearchEvent, Attempt | undefined> {
    const { id, title } = recipe;
    if (this.#isOver(id)) return undefined;
    const planned = Math.max(this.#planned, this.attempts.length + 1);
    yield { kind: "trying", id, title, done: this.attempts.length, planned };
    const known = this.#journal.find(recipe);
    const attempt = known ?? (yield* this.#make(recipe, base ?? this.#baseOf(recipe)));
    if (attempt === undefined) return undefined;
    if (known === undefined) await this.#journal.remember(recipe, attempt);
    this.attempts.push(attempt);
    yield { kind: "candidate", candidate: attempt.candidate };
    const { twin } = attempt;
    return twin === undefined ? attempt : this.attempts.find(({ candidate }) => candidate.id === twin);
  }

  /** Tries one recipe after another, without those that another one makes needless. */
  async *attemptEach(recipes: readonly Recipe[], base?: Base): AsyncGenerator<SearchEvent, void> {
    const needless = new Set<string>();
    for (const recipe of recipes) {
      const { id, insteadOf } = recipe;
      if (insteadOf !== undefined && (needless.has(insteadOf) || this.holds(insteadOf))) needless.add(id);
      else yield* this.attempt(recipe, base);
    }
  }

  /** True when a limit or a signal ended the search; then `next` is what it stopped before. */
  #isOver(next: string): boolean {
    const { maxCandidates = Infinity } = this.options;
    if (!this.#deadline.check() && this.attempts.length < maxCandidates) return false;
    this.stoppedBefore ??= next;
    return true;
  }

  /**
   * The table of a model's layers under every scheme; undefined when a limit or a signal ended the search.
   *
   * @param of `original`, or the id of the candidate whose file is at `path`
   */
  async *sensitivity(of: string, path: string): AsyncGenerator<SearchEvent, readonly SensitivityRow[] | undefined> {
    if (this.#isOver(`layers of ${of}`)) return undefined;
    const known = this.#journal.layers(of);
    const rows = known ?? (yield* this.#measureLayers(path));
    if (rows === undefined) return undefined;
    if (known === undefined) await this.#journal.rememberLayers(of, rows);
    this.tables.push({ of, layers: [...rows] });
    return rows;
  }

  async *#measureLayers(path: string): AsyncGenerator<SearchEvent, SensitivityRow[] | undefined> {
    const { goal, batches, techniques, useCache = true } = this.options;
    const timedBatch = { size: undefined, memory: undefined, latency: batches[0], energy: Math.max(...batches) }[goal];
    return yield* streaming<SearchEvent, SensitivityRow[] | undefined>(async (emit) => {
      const task = { path, techniques, goal, timedBatch, useDiskCache: useCache };
      try {
        return await this.#bench.sensitivity(task, this.#deadline.signal, (progress) => {
          if (progress.kind === "layers") emit(progress);
        });
      } catch (thrown) {
        if (!this.#deadline.check()) throw thrown;
        return undefined;
      }
    });
  }

  async *#make(recipe: Recipe, base: Base): AsyncGenerator<SearchEvent, Attempt | undefined> {
    const { id } = recipe;
    return yield* streaming<SearchEvent, Attempt | undefined>(async (emit) => {
      const { path, stepsDone } = base;
      const task = { recipe, base: path, stepsDone, original: this.#original, made: this.#made };
      try {
        return await this.#bench.attempt(task, this.#deadline.signal, (progress) => emit(eventOf(id, progress)));
      } catch (thrown) {
        // Ending early is no failure: what was found so far counts.
        if (!this.#deadline.check()) throw thrown;
        this.stoppedBefore ??= id;
        return undefined;
      }
    });
  }
}

function eventOf(id: string, progress: BenchProgress): SearchEvent {
  if (progress.kind === "layers") return progress;
  if (progress.kind === "stage") return { kind: "working", id, stage: progress.stage };
  const { epoch, epochs, loss } = progress;
  return { kind: "training", id, epoch, epochs, loss };
}
