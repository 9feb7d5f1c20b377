// Search over every table by words, mistyped ones too, and one fact by its id; may depend on errors and its room.
import { closestName, suggestNames } from "../errors/closest-name.ts";
import { LightfootError } from "../errors/lightfoot-error.ts";
import { subjectEntries, subjectOf, type SubjectEntry } from "./fact-subject.ts";
import type { FactKind } from "./fact-kinds.ts";
import type { FactsDocument, FactSubject } from "./facts-schema.ts";
import { findPlace } from "./place.ts";
import { nameKey } from "./place-index.ts";

interface Indexed {
  readonly entry: SubjectEntry;
  /** Words of id and name, which count more than the others. */
  readonly title: readonly string[];
  readonly other: ReadonlySet<string>;
  readonly id: string;
}

let indexed: readonly Indexed[] | undefined;
let vocabulary: readonly string[] | undefined;

function subjects(): readonly Indexed[] {
  indexed ??= subjectEntries().map((entry) => ({
    entry,
    id: nameKey(entry.id),
    title: [...new Set(nameKey(`${entry.id} ${entry.name}`).split(" "))],
    other: new Set(nameKey(entry.words).split(" ")),
  }));
  return indexed;
}

/** How well a word fits a subject: whole word of the title, its beginning, another word, within a word; 0 is not at all. */
function fit({ title, other }: Indexed, word: string): number {
  if (title.includes(word)) return 10;
  if (title.some((part) => part.startsWith(word))) return 6;
  if (other.has(word)) return 3;
  return word.length >= 3 && title.some((part) => part.includes(word)) ? 2 : 0;
}

/** Score of a subject for all words: each must fit; a title with little else in it wins. */
function score(subject: Indexed, words: readonly string[], query: string): number {
  let total = subject.id === query ? 100 : 0;
  for (const word of words) {
    const one = fit(subject, word);
    if (one === 0) return 0;
    total += one;
  }
  return total - subject.title.length / 10;
}

/** A word that stands nowhere, replaced by the nearest that does. */
function corrected(word: string): string {
  const everything = subjects();
  if (everything.some((subject) => fit(subject, word) > 0) || word.length > 40) return word;
  vocabulary ??= [...new Set(everything.flatMap(({ title, other }) => [...title, ...other]))];
  return closestName(word, vocabulary) ?? word;
}

export interface SearchOptions {
  readonly kind?: FactKind;
  /** Subjects with their facts in the document; 10 when not given. */
  readonly limit?: number;
}

/** Longer queries are cut: nothing in the tables has more words. */
const MOST_WORDS = 12;

/**
 * Subjects whose id, name or kind holds all words, best first; a word that stands nowhere counts as its nearest neighbor.
 *
 * @throws LightfootError E_USAGE without words
 * @example searchFacts("h100").subjects[0].id // "nvidia-h100-nvl-94gb"
 */
export function searchFacts(query: string, options: SearchOptions = {}): FactsDocument {
  const words = nameKey(query)
    .split(" ")
    .slice(0, MOST_WORDS)
    .filter((word) => word !== "")
    .map(corrected);
  if (words.length === 0)
    throw new LightfootError("E_USAGE", "no words to search for", { hint: "Try: lightfoot facts search h100" });
  const hits = subjects()
    .filter(({ entry }) => options.kind === undefined || entry.kind === options.kind)
    .map((subject) => ({ subject, points: score(subject, words, words.join(" ")) }))
    .filter(({ points }) => points > 0)
    .sort((a, b) => b.points - a.points);
  const best = hits.slice(0, options.limit ?? 10).map(({ subject }) => subjectOf(subject.entry));
  return document(query, hits.length, best);
}

/**
 * One subject by its id, or a place by any of its names.
 *
 * @throws LightfootError E_FACT_UNKNOWN with the nearest ids; E_PLACE_UNKNOWN when several places have the name
 * @example showFact("water:hydro-default").subjects[0].facts[0].figure.value // 17 L/kWh
 */
export function showFact(id: string): FactsDocument {
  const wanted = id.trim().toLowerCase();
  const all = subjects();
  const entry = all.find((subject) => subject.entry.id.toLowerCase() === wanted)?.entry ?? placeNamed(id, all);
  if (entry === undefined) {
    const near =
      wanted.length > 80
        ? []
        : suggestNames(
            wanted,
            all.map((subject) => subject.entry.id),
          );
    throw new LightfootError("E_FACT_UNKNOWN", `no fact '${id.slice(0, 80)}'`, {
      hint:
        near.length > 0
          ? `Did you mean ${near.join(", ")}?`
          : `Try: lightfoot facts search ${nameKey(id).slice(0, 40) || "h100"}`,
    });
  }
  return document(id, 1, [subjectOf(entry)]);
}

function placeNamed(name: string, all: readonly Indexed[]): SubjectEntry | undefined {
  try {
    const { id } = findPlace(name);
    return all.find(({ entry }) => entry.id === id && entry.kind === "place")?.entry;
  } catch (error) {
    // Several places of one name: their choices are a better answer than "no such fact".
    if (error instanceof LightfootError && error.hint?.startsWith("Choose") === true) throw error;
    return undefined;
  }
}

/** Grid intensities by the method that their basis names. */
function document(query: string, found: number, best: FactSubject[]): FactsDocument {
  const grids = best.flatMap(({ facts }) => facts.filter(({ name }) => name.endsWith("grid intensity")));
  const methods = new Set(grids.map(({ basis }) => basis.replace(/ \(.*$/, "")));
  return {
    schema: "lightfoot.facts/1",
    query,
    found,
    notComparable:
      methods.size < 2
        ? null
        : `Grid intensities of different methods stand here and must not be ranked against each other: ${[...methods].join(" | ")}.`,
    subjects: best,
  };
}
