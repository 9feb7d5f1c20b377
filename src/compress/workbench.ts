// Makes one candidate after another: applies a recipe, writes the file, runs it, compares; may depend on model, io, runtime and this room.
import { mkdir, rm } from "node:fs/promises";
import { join, relative } from "node:path";
import { LightfootError } from "../errors/index.ts";
import type { ModelGraph } from "../model/graph.ts";
import { writeOnnx } from "../model/onnx/write.ts";
import type { Candidate } from "./candidate-schema.ts";
import type { Judge, Verdict } from "./judge.ts";
import { within } from "./loss.ts";
import { ratesAgainst } from "./rates.ts";
import { profileModel, type Profile, type ProfileOptions } from "./profile.ts";
import { lossReason, nameIsWrong } from "./reasons.ts";
import { techniquesOf, type Recipe } from "./recipe.ts";
import { TECHNIQUES } from "./techniques/registry.ts";
import type { Step, TechniqueContext, TechniqueResult } from "./techniques/technique.ts";
import { conclude, describedBy, NOTHING_MEASURED, refusedCandidate, type Attempt } from "./verdict.ts";

/** Applies the steps one after another. @throws what a technique throws */
async function produce(model: ModelGraph, steps: readonly Step[], context: TechniqueContext): Promise<TechniqueResult> {
  let current: TechniqueResult = { kind: "model", model, notes: [] };
  for (const { technique, options } of steps) {
    if (current.kind === "refused") return current;
    const apply = TECHNIQUES[technique];
    if (apply === undefined) throw new LightfootError("E_USAGE", `there is no technique '${technique}'`);
    const { notes }: { notes: readonly string[] } = current;
    const result: TechniqueResult = await apply(current.model, options, context);
    current = result.kind === "refused" ? result : { ...result, notes: [...notes, ...result.notes] };
  }
  return current;
}

export interface WorkbenchOptions {
  readonly outDir: string;
  readonly metric: string;
  readonly hasTest: boolean;
  readonly profile: ProfileOptions;
}

/** Where candidates are made and measured. */
export class Workbench {
  readonly #options: WorkbenchOptions;
  readonly #judge: Judge;

  constructor(options: WorkbenchOptions, judge: Judge) {
    this.#options = options;
    this.#judge = judge;
  }

  /** The original as the document's first line, measured like every candidate. */
  async original(path: string): Promise<Candidate> {
    const profile = await profileModel(path, this.#options.profile);
    const split = this.#options.hasTest ? "test" : "validation";
    const { figure } = await this.#judge.original(split);
    return {
      ...NOTHING_MEASURED,
      ...profile,
      id: "original",
      title: "original",
      file: relative(this.#options.outDir, path),
      techniques: [],
      recipe: [],
      accuracy: figure,
      compressionRate: ratesAgainst(profile, profile),
      accepted: true,
      selected: false,
      reasons: ["the original, which the others are judged against"],
    };
  }

  /**
   * Makes a candidate out of `base` with `steps` (the recipe's last ones, when `base` already has the first) and scores it on
   * validation data. A technique or an engine that refuses makes a refused candidate, not an error.
   * @throws LightfootError E_INTERRUPTED
   */
  async attempt(
    recipe: Recipe,
    base: ModelGraph,
    steps: readonly Step[],
    original: Candidate,
    context: TechniqueContext,
  ): Promise<Attempt> {
    const path = join(this.#options.outDir, "candidates", `${recipe.id}.onnx`);
    try {
      const result = await produce(base, steps, context);
      if (result.kind === "refused") return refusal(recipe, result.reason);
      await mkdir(join(this.#options.outDir, "candidates"), { recursive: true });
      await writeOnnx(result.model, path);
      const profile = await profileModel(path, { ...this.#options.profile, signal: context.signal });
      const verdict = await this.#judge.verdict(path, "validation");
      return { path, notes: result.notes, candidate: this.#measured(recipe, path, profile, verdict, original) };
    } catch (thrown) {
      // What does not run is no candidate: nobody shall find its file beside the good ones.
      await rm(path, { force: true });
      if (!(thrown instanceof LightfootError) || thrown.code === "E_INTERRUPTED" || thrown.exitCode === 70)
        throw thrown;
      return refusal(recipe, `${thrown.message} (${thrown.code})`);
    }
  }

  /** The last word on a candidate, after the choice: test data where there is some, all reasons, accepted or not. */
  async finish(attempt: Attempt, original: Candidate, selected: boolean, rule: string): Promise<Candidate> {
    const { candidate, path } = attempt;
    if (path === undefined || candidate.validation === null) return candidate;
    const verdict = this.#options.hasTest ? await this.#judge.verdict(path, "test") : undefined;
    return conclude(attempt, verdict, original, selected, rule, this.#options.metric);
  }

  #measured(recipe: Recipe, path: string, profile: Profile, verdict: Verdict, original: Candidate): Candidate {
    return {
      ...describedBy(recipe),
      ...profile,
      file: relative(this.#options.outDir, path),
      accuracy: verdict.loss.candidate,
      validation: verdict.loss,
      test: null,
      agreement: verdict.agreement,
      compressionRate: ratesAgainst(original, profile),
      accepted: within(verdict.loss) && nameIsWrong(techniquesOf(recipe), profile.execution) === undefined,
      selected: false,
      reasons: [lossReason(this.#options.metric, verdict.loss)],
    };
  }
}

const refusal = (recipe: Recipe, reason: string): Attempt => ({
  candidate: refusedCandidate(recipe, reason),
  path: undefined,
  notes: [],
});
