// What a candidate does to single classes and to the honesty of its confidence, against the original; may depend on errors, quantity, statistics,
// runtime and this room's schema.
import { LightfootError } from "../errors/index.ts";
import { figure, type Figure } from "../quantity/index.ts";
import { chooseClasses, type Choices } from "../runtime/audit/choices.ts";
import type { Dataset } from "../runtime/dataset.ts";
import { calibrationDrift, dropByGroup, seededRandom, type Interval } from "../statistics/index.ts";
import type { BenchSettings } from "./bench-settings.ts";
import type { Candidate, Loss } from "./candidate-schema.ts";

/** Bootstrap samples for the interval of the calibration error's rise. */
const RESAMPLES = 400;

const measured = (interval: Interval, source: string): Figure =>
  figure({ ...interval, unit: "1", method: "measured", sources: [source] });

/** Holds the original's choices, so that each candidate costs one pass over the data. */
export class ClassEffects {
  readonly #settings: Pick<BenchSettings, "model" | "data" | "threads" | "seed">;
  readonly #originals = new Map<Loss["split"], Choices | undefined>();

  constructor(settings: Pick<BenchSettings, "model" | "data" | "threads" | "seed">) {
    this.#settings = settings;
  }

  /** Null for data without class labels, and for models that make several decisions a sample. */
  async of(path: string, split: Loss["split"], signal?: AbortSignal): Promise<Candidate["classes"]> {
    const { data, threads, seed } = this.#settings;
    const dataset: Dataset = split === "test" ? data.test! : data.validation;
    if (dataset.labels === undefined) return null;
    const original = await this.#original(split, dataset, signal);
    if (original === undefined) return null;
    const own = await chooseClasses(path, dataset, { threads, signal, reading: original.reading });
    const drops = dropByGroup(original.correct, own.correct, dataset.labels.data as Int32Array);
    const worst = drops.toSorted((left, right) => right.drop.value - left.drop.value || left.group - right.group)[0];
    const drift =
      original.confidence === undefined || own.confidence === undefined
        ? undefined
        : calibrationDrift(
            { confidences: original.confidence, correct: original.correct },
            { confidences: own.confidence, correct: own.correct },
            { random: seededRandom(seed).fork("calibration"), resamples: RESAMPLES },
          );
    return {
      split,
      worst: {
        class: worst.group,
        sampleCount: worst.count,
        original: worst.first,
        candidate: worst.second,
        loss: measured(worst.drop, "paired difference of recalls, Newcombe's interval (method 10)"),
        adjustedP: worst.adjustedP,
      },
      calibrationError:
        drift === undefined
          ? null
          : {
              original: drift.first,
              candidate: drift.second,
              rise: measured(drift.drift, `expected calibration error, 15 bins, ${RESAMPLES} bootstrap samples`),
            },
    };
  }

  async #original(split: Loss["split"], dataset: Dataset, signal?: AbortSignal): Promise<Choices | undefined> {
    if (!this.#originals.has(split)) {
      const { model, threads } = this.#settings;
      const found = await chooseClasses(model, dataset, { threads, signal }).catch((thrown: unknown) => {
        // Labels that are no classes of this output, or many decisions a sample: another metric judges such a model.
        if (thrown instanceof LightfootError && thrown.code === "E_METRIC") return undefined;
        throw thrown;
      });
      this.#originals.set(split, found);
    }
    return this.#originals.get(split);
  }
}
