// Makes one candidate after another: applies a recipe, writes the file, runs it, compares; may depend on model, io, runtime and this room.
import { rm } from "node:fs/promises";
import { join, relative } from "node:path";
import { LightfootError } from "../errors/index.ts";
import { makeFolder } from "../io/atomic-write.ts";
import { sha256File } from "../io/digest.ts";
import type { ModelGraph } from "../model/graph.ts";
import { readOnnx } from "../model/onnx/read.ts";
import { writeOnnx } from "../model/onnx/write.ts";
import type { BenchSettings } from "./bench-settings.ts";
import type { Candidate, Container, Loss } from "./candidate-schema.ts";
import type { Judge, Verdict } from "./judge.ts";
import { ClassEffects } from "./class-effects.ts";
import { codedContainer, removeContainers, type CodedOptions } from "./coded-container.ts";
import { lostDefaults } from "./defaulted-inputs.ts";
import { requireFittingBudget, within } from "./loss.ts";
import { ratesAgainst } from "./rates.ts";
import { profileModel, sampleShapes, type Profile } from "./profile.ts";
import { promisedInt8Share } from "./promised-int8.ts";
import { lossReason, nameIsWrong, twinReason } from "./reasons.ts";
import type { Recipe } from "./recipe.ts";
import type { BenchStage } from "./search-options.ts";
import { TECHNIQUES } from "./techniques/registry.ts";
import type { Step, TechniqueContext, TechniqueResult } from "./techniques/technique.ts";
import { conclude, describedBy, NOTHING_MEASURED, refusedCandidate, type Attempt, type Conclusion } from "./verdict.ts";

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

/** Where a candidate starts from. */
export interface AttemptPlan {
  readonly recipe: Recipe;
  /** Path of the original, or of the model that the recipe's first `stepsDone` steps made. */
  readonly base: string;
  readonly stepsDone: number;
  readonly original: Candidate;
  /** Ids of the candidates that were made before, by the digests of their files. */
  readonly made: ReadonlyMap<string, string>;
}

/** Not the candidate's fault: a full disk would refuse every other one too. */
const ENDS_SEARCH: ReadonlySet<string> = new Set(["E_INTERRUPTED", "E_FILE_WRITE", "E_PERMISSION"]);

/** Where candidates are made and measured. */
export class Workbench {
  readonly #settings: BenchSettings;
  readonly #judge: Judge;
  readonly #classes: ClassEffects;

  constructor(settings: BenchSettings, judge: Judge) {
    this.#settings = settings;
    this.#judge = judge;
    this.#classes = new ClassEffects(settings);
  }

  /** The original as the document's first line, measured like every candidate. */
  async original(signal: AbortSignal): Promise<Candidate> {
    const { model: path, outDir, budget } = this.#settings;
    const profile = await this.#profile(path, signal);
    const judged = await this.#judge.original(this.#judgingSplit, signal);
    requireFittingBudget(judged, budget.maxDrop);
    const container = await this.#container(path, profile, {});
    return {
      ...NOTHING_MEASURED,
      ...profile,
      id: "original",
      title: "original",
      file: relative(outDir, path),
      techniques: [],
      recipe: [],
      accuracy: judged.figure,
      container,
      compressionRate: ratesAgainst(profile, profile, container),
      accepted: true,
      selected: false,
      reasons: ["the original, which the others are judged against"],
    };
  }

  /**
   * Makes a candidate out of `plan.base` with the steps that it does not have yet, and scores it on validation data. A technique or an engine that refuses makes a refused candidate, not an error.
   * @throws LightfootError E_INTERRUPTED, E_FILE_WRITE, E_PERMISSION
   */
  async attempt(plan: AttemptPlan, context: TechniqueContext, onStage: (stage: BenchStage) => void): Promise<Attempt> {
    const { recipe, original } = plan;
    const folder = join(this.#settings.outDir, "candidates");
    const path = join(folder, `${recipe.id}.onnx`);
    try {
      onStage("making");
      const base = await readOnnx(plan.base);
      const result = await produce(base, recipe.steps.slice(plan.stepsDone), context);
      if (result.kind === "refused") return refusal(recipe, result.reason);
      const notes = [...result.notes, ...lostDefaults(await readOnnx(this.#settings.model), result.model)];
      await makeFolder(folder);
      await writeOnnx(result.model, path);
      const twin = plan.made.get(await sha256File(path));
      if (twin !== undefined) {
        await rm(path);
        return { ...refusal(recipe, twinReason(twin)), twin };
      }
      onStage("measuring");
      const profile = await this.#profile(path, context.signal);
      const inputs = sampleShapes(base, this.#settings.data.validation);
      const promised = await promisedInt8Share(base, recipe.steps, inputs);
      onStage("scoring");
      const verdict = await this.#judge.verdict(path, "validation", context.signal);
      return { path, notes, candidate: this.#measured(recipe, path, profile, promised, verdict, original) };
    } catch (thrown) {
      // What does not run is no candidate: nobody shall find its file beside the good ones.
      await rm(path, { force: true });
      if (!(thrown instanceof LightfootError) || ENDS_SEARCH.has(thrown.code) || thrown.exitCode === 70) throw thrown;
      return refusal(recipe, `${thrown.message} (${thrown.code})`);
    }
  }

  /**
   * The last word on a candidate, after the choice: test data where there is some, all reasons, accepted or not.
   * @param signal ends the coding of its container, not the verdict
   */
  async finish(
    attempt: Attempt,
    choice: Pick<Conclusion, "original" | "selected" | "rule"> & { readonly hurried: boolean },
    signal: AbortSignal,
  ): Promise<Candidate> {
    const { candidate, path } = attempt;
    if (path === undefined || candidate.validation === null) return candidate;
    const split = this.#judgingSplit;
    const verdict = split === "test" ? await this.#judge.verdict(path, split) : undefined;
    const classes = await this.#classes.of(path, split);
    await removeContainers(path);
    const isPacked = candidate.techniques.includes("packed");
    const keep = choice.selected;
    const patient = keep && !choice.hurried;
    const container = await this.#container(path, candidate, { isPacked, keep, patient, signal });
    const { metric } = this.#settings.budget;
    return conclude(attempt, { ...choice, verdict, classes, container, metric });
  }

  /** A model that no recipe made, such as one narrowed by hand, judged like a candidate. */
  async measure(path: string, title: string, original: Candidate, signal: AbortSignal): Promise<Candidate> {
    const profile = await this.#profile(path, signal);
    const verdict = await this.#judge.verdict(path, this.#judgingSplit, signal);
    const container = await this.#container(path, profile, {});
    return {
      ...NOTHING_MEASURED,
      ...profile,
      id: "compared",
      title,
      file: relative(this.#settings.outDir, path),
      techniques: [],
      recipe: [],
      accuracy: verdict.loss.candidate,
      test: verdict.loss.split === "test" ? verdict.loss : null,
      agreement: verdict.agreement,
      classes: await this.#classes.of(path, this.#judgingSplit, signal),
      container,
      compressionRate: ratesAgainst(original, profile, container),
      accepted: within(verdict.loss),
      selected: false,
      reasons: [lossReason(this.#settings.budget.metric, verdict.loss)],
    };
  }

  get #judgingSplit(): Loss["split"] {
    return this.#settings.data.test === undefined ? "validation" : "test";
  }

  #profile(path: string, signal: AbortSignal | undefined): Promise<Profile> {
    const { batches, data, threads } = this.#settings;
    return profileModel(path, { batches, dataset: data.validation, threads, signal });
  }

  async #container(
    path: string,
    { fileBytes }: Pick<Profile, "fileBytes">,
    {
      isPacked = false,
      keep = false,
      patient = false,
      signal,
    }: Partial<Pick<CodedOptions, "isPacked" | "keep" | "patient" | "signal">>,
  ): Promise<Container | null> {
    const { data, threads, outDir } = this.#settings;
    const options = { fileBytes: fileBytes!, isPacked, keep, patient, signal, dataset: data.validation, threads };
    const coded = await codedContainer(path, options);
    if (coded === null) return null;
    const { bytes, holds, kept } = coded;
    return { bytes, holds, file: kept === undefined ? null : relative(outDir, kept) };
  }

  #measured(
    recipe: Recipe,
    path: string,
    profile: Profile,
    promisedInt8: number,
    verdict: Verdict,
    original: Candidate,
  ): Candidate {
    const misnomer = nameIsWrong({ ...profile, promisedInt8Share: promisedInt8 });
    return {
      ...describedBy(recipe),
      ...profile,
      promisedInt8Share: promisedInt8,
      file: relative(this.#settings.outDir, path),
      accuracy: verdict.loss.candidate,
      validation: verdict.loss,
      test: null,
      agreement: verdict.agreement,
      classes: null,
      container: null,
      compressionRate: ratesAgainst(original, profile),
      accepted: within(verdict.loss) && misnomer === undefined,
      selected: false,
      reasons: [...(misnomer === undefined ? [] : [misnomer]), lossReason(this.#settings.budget.metric, verdict.loss)],
    };
  }
}

const refusal = (recipe: Recipe, reason: string): Attempt => ({
  candidate: refusedCandidate(recipe, reason),
  path: undefined,
  notes: [],
});
