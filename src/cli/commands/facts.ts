// `lightfoot facts`: the numbers that footprints rest on, searched by words or shown by id; may depend on this room, facts and quantity.
import { Option, type Command } from "commander";
import { FACT_KINDS, type FactKind } from "../../facts/fact-kinds.ts";
import type { FactProperty, FactsDocument, FactSubject } from "../../facts/facts-schema.ts";
import { formatFigure } from "../../quantity/format.ts";
import { runAction, type ActionContext } from "../action.ts";
import { withExamples } from "../help.ts";
import { onStdout } from "../output.ts";
import { formatTable, type Column } from "../terminal-table.ts";
import { wrapText } from "../wrap-text.ts";
import { wholeNumber } from "../whole-number.ts";

interface SearchFlags {
  readonly kind?: FactKind;
  readonly top: number;
}

/** Adds the verb `facts` to the program. */
export function registerFacts(program: Command): void {
  const facts = program
    .command("facts")
    .description("the numbers behind a footprint: hardware, processors, places, water, embodied emissions, prices");
  const search = facts
    .command("search")
    .description("facts whose name holds all words, best first; mistyped words count as their nearest neighbor")
    .argument("<words...>", "what to look for")
    .addOption(new Option("--kind <kind>", "only facts about this").choices(FACT_KINDS))
    .option("--top <n>", "subjects to show", wholeNumber(1), 5)
    .action(runAction(searchAction));
  withExamples(search, [
    ["lightfoot facts search h100", "peak rates, power, embodied emissions and hourly prices of the H100s"],
    ["lightfoot facts search frankfurt", "cloud regions there: grid, PUE, WUE"],
    ["lightfoot facts search coal tower --kind water", "water per kWh of coal plants with cooling towers"],
  ]);
  const show = facts
    .command("show")
    .description("all facts about one id or place")
    .argument("<id>", "an id that search prints, or any name of a place")
    .action(runAction(showAction));
  withExamples(show, [
    ["lightfoot facts show DE", "Germany: grid intensities by each method, water, price"],
    ["lightfoot facts show aws:eu-north-1 --json", "one cloud region as a document"],
  ]);
  withExamples(facts, [
    ["lightfoot facts search h100", "whatever is known about it"],
    ["lightfoot facts show DE", "one subject, everything"],
  ]);
}

async function searchAction(context: ActionContext, words: readonly string[], flags: SearchFlags): Promise<void> {
  const { searchFacts } = await import("../../facts/search.ts");
  const found = searchFacts(words.join(" "), { kind: flags.kind, limit: flags.top });
  printFacts(context, found);
}

async function showAction(context: ActionContext, id: string): Promise<void> {
  const { showFact } = await import("../../facts/search.ts");
  printFacts(context, showFact(id));
}

/** What was assumed stands below its subject; only `--strict` needs it told once more. */
function printFacts(context: ActionContext, found: FactsDocument): void {
  const assumptions = found.subjects.flatMap(({ facts }) => facts.flatMap(({ figure }) => figure.assumptions));
  context.result(found, () => describe(found, context.columns), context.strict ? assumptions : []);
}

function describe({ query, found, subjects, notComparable }: FactsDocument, columns: number): string {
  if (found === 0) return `Nothing in the tables matches '${query}'.`;
  const parts = subjects.map((subject) => describeSubject(subject, columns));
  if (notComparable !== null)
    parts.push(wrapText(`${onStdout("yellow", "!")} ${notComparable}`, columns, "  ").join("\n"));
  if (found > subjects.length) parts.push(`${found - subjects.length} more; --top ${found} shows them all.`);
  return parts.join("\n\n");
}

function describeSubject({ id, name, kind, facts }: FactSubject, columns: number): string {
  const title = `${onStdout("bold", id)}  ${name}  ${onStdout("dim", `(${kind})`)}`;
  // On a narrow terminal what exactly a number means goes into its note.
  const inTable = columns >= WIDE;
  const notes = new Map<string, number>();
  // The same source stands behind many lines: each is printed once, below the table.
  const note = (fact: FactProperty): string => {
    const told = inTable && short(fact.basis) === fact.basis;
    const text = `${told ? "" : `${fact.basis}. `}${fact.figure.sources.join("; ")}. Licence: ${fact.licence}`;
    if (!notes.has(text)) notes.set(text, notes.size + 1);
    return `[${notes.get(text)}]`;
  };
  const head: Column[] = [
    { title: "fact" },
    { title: "value", align: "right" },
    { title: "year" },
    { title: "how" },
    ...(inTable ? [{ title: "what exactly" }] : []),
    { title: "source" },
  ];
  const rows = facts.map((fact) => [
    fact.name,
    formatFigure(fact.figure),
    fact.year === null ? "" : String(fact.year),
    fact.figure.method,
    ...(inTable ? [short(fact.basis)] : []),
    note(fact),
  ]);
  const table = formatTable(head, rows, columns);
  const assumed = new Map(facts.flatMap(({ figure }) => figure.assumptions).map(({ key, text }) => [key, text]));
  const lines = [...notes].flatMap(([text, number]) => wrapText(`[${number}] ${text}`, columns, "    "));
  const assumptions = [...assumed.values()].flatMap((text) => wrapText(`○ ${text}`, columns, "  "));
  return [title, table, ...lines.map((line) => onStdout("dim", line)), ...assumptions].join("\n");
}

const LONGEST_BASIS = 64;

/** Columns from which the table has room for a basis. */
const WIDE = 150;

/** A basis that fits the table, cut between its parts; the whole of it then stands in the note. */
function short(basis: string): string {
  if (basis.length <= LONGEST_BASIS) return basis;
  const parts = basis.slice(0, LONGEST_BASIS).split(/(?<=[:,;]) /);
  return `${parts.length > 1 ? parts.slice(0, -1).join(" ") : (parts[0] ?? "")} …`;
}
