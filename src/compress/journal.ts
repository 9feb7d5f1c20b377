// What a search has found so far, on disk line by line, so that one that was stopped or killed goes on where it was; may depend on io and
// this room.
import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { appendText, makeFolder, writeFileAtomic } from "../io/atomic-write.ts";
import { sha256, sha256File } from "../io/digest.ts";
import { readText } from "../io/read-text.ts";
import type { BenchSettings } from "./bench-settings.ts";
import type { Candidate, SensitivityRow } from "./candidate-schema.ts";
import { removeContainers } from "./coded-container.ts";
import type { Ending } from "./deadline.ts";
import type { Recipe } from "./recipe.ts";
import type { Attempt } from "./verdict.ts";

type Line =
  | { readonly kind: "search"; readonly key: string }
  | { readonly kind: "original"; readonly candidate: Candidate }
  | { readonly kind: "attempt"; readonly recipe: string; readonly attempt: Attempt; readonly file: string | null }
  | { readonly kind: "layers"; readonly of: string; readonly rows: readonly SensitivityRow[] }
  | { readonly kind: "ended"; readonly reason: Ending };

/** The lines that are whole; a kill may have torn the last one. */
async function readLines(file: string): Promise<Line[]> {
  const text = (await readText(file)) ?? "";
  return text.split("\n").flatMap((line) => {
    try {
      return line === "" ? [] : [JSON.parse(line) as Line];
    } catch {
      return [];
    }
  });
}

const recipeKey = (recipe: Recipe): string => sha256(JSON.stringify([recipe.id, recipe.steps]));

/**
 * Everything that decides what a recipe's candidate is and how it is judged.
 *
 * @param circumstances what else decides: the version of the program, which may make other bytes by the same recipe; the goal
 */
export async function journalKey(settings: BenchSettings, circumstances: unknown): Promise<string> {
  const { model, data, budget, batches, threads, seed, retrain } = settings;
  const digests = Object.entries(data).map(([role, set]) => [role, (set as { digest: string }).digest]);
  const parts = { circumstances, model: await sha256File(model), digests, budget, batches, threads, seed, retrain };
  return sha256(JSON.stringify(parts));
}

/** `candidates/journal.jsonl` of an output folder. Measurements of an earlier, unfinished search with the same key are taken over. */
export class Journal {
  readonly #file: string;
  readonly #key: string;
  readonly #known = new Map<string, Attempt>();
  readonly #layers = new Map<string, readonly SensitivityRow[]>();
  #original: Candidate | undefined;
  #begun = false;

  private constructor(file: string, key: string) {
    this.#file = file;
    this.#key = key;
  }

  /**
   * Opens the folder's journal; candidates of a finished search, or of one with another key, are removed: they belong to nobody.
   * @throws LightfootError E_FILE_WRITE, E_PERMISSION
   */
  static async open(outDir: string, key: string): Promise<Journal> {
    const folder = join(outDir, "candidates");
    const journal = new Journal(join(folder, "journal.jsonl"), key);
    const lines = await readLines(journal.#file);
    const resumes =
      lines[0]?.kind === "search" &&
      lines[0].key === key &&
      !lines.some((line) => line.kind === "ended" && line.reason === "complete");
    for (const line of lines) {
      if (resumes && line.kind === "original") journal.#original = line.candidate;
      if (resumes && line.kind === "layers") journal.#layers.set(line.of, line.rows);
      if (line.kind !== "attempt") continue;
      if (!resumes && line.file !== null) {
        await rm(join(folder, line.file), { force: true });
        await removeContainers(join(folder, line.file));
      }
      if (resumes && (await isIntact(line.attempt))) journal.#known.set(line.recipe, line.attempt);
    }
    if (!resumes && lines.length > 0) await rm(journal.#file, { force: true });
    journal.#begun = resumes;
    return journal;
  }

  /** Candidates that an earlier search already made. */
  get size(): number {
    return this.#known.size;
  }

  get original(): Candidate | undefined {
    return this.#original;
  }

  find(recipe: Recipe): Attempt | undefined {
    return this.#known.get(recipeKey(recipe));
  }

  async rememberOriginal(candidate: Candidate): Promise<void> {
    await this.#append({ kind: "original", candidate });
  }

  async remember(recipe: Recipe, attempt: Attempt): Promise<void> {
    const file = attempt.path === undefined ? null : `${recipe.id}.onnx`;
    await this.#append({ kind: "attempt", recipe: recipeKey(recipe), attempt, file });
  }

  layers(of: string): readonly SensitivityRow[] | undefined {
    return this.#layers.get(of);
  }

  async rememberLayers(of: string, rows: readonly SensitivityRow[]): Promise<void> {
    await this.#append({ kind: "layers", of, rows });
  }

  async end(reason: Ending): Promise<void> {
    if (this.#begun) await this.#append({ kind: "ended", reason });
  }

  async #append(line: Line): Promise<void> {
    if (!this.#begun) {
      await makeFolder(dirname(this.#file));
      await writeFileAtomic(this.#file, `${JSON.stringify({ kind: "search", key: this.#key } satisfies Line)}\n`);
      this.#begun = true;
    }
    await appendText(this.#file, `${JSON.stringify(line)}\n`);
  }
}

/** A refusal, or a file whose bytes are those that were measured. */
async function isIntact({ path, candidate }: Attempt): Promise<boolean> {
  if (path === undefined) return true;
  return (await sha256File(path).catch(() => undefined)) === candidate.digest;
}
