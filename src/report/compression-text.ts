// A search's result for the terminal: the whole front and every refused candidate as rows, and the verdict in a sentence; may depend on
// quantity, compress and this room.
import { formatMaxDrop } from "../compress/budget.ts";
import type { Candidate, SearchResult } from "../compress/candidate-schema.ts";
import { estimateHolds } from "../compress/loss.ts";
import { costOf } from "../compress/selection.ts";
import type { Figure } from "../quantity/figure.ts";
import { formatFigure, formatNumber } from "../quantity/format.ts";
import { goalColumns } from "./goal-columns.ts";
import { keptOriginal } from "./kept-original.ts";
import { MESSAGES, type Messages } from "./messages.ts";
import { formatLoss, formatMetric } from "./model-table.ts";

export interface Verdict {
  readonly text: string;
  /** True when a candidate holds the budget on the data that judges. */
  readonly holds: boolean;
  /** What to do where none does. */
  readonly hint?: string;
}

const HINTS = {
  budget: "Allow a larger --max-drop, give --train, or read in compression.html why each candidate was refused.",
  gain: "Choose another --goal or --batch, or try more techniques: compression.html has the figures of each candidate.",
  candidates: "Allow a longer --time-limit or other techniques; compression.html says why each candidate was refused.",
} as const;

/** What came out, in one sentence; the test data has the last word where there is any. */
export function compressionVerdict(result: SearchResult, messages: Messages = MESSAGES.en): Verdict {
  const budget = formatMaxDrop(result.budget);
  const chosen = result.candidates.find(({ id }) => id === result.selected);
  if (chosen === undefined) {
    const { text, lacks } = keptOriginal(result.candidates, result.budget, result.goal, messages);
    return { text, holds: false, hint: HINTS[lacks] };
  }
  const judged = chosen.test ?? chosen.validation!;
  const loss = formatLoss(judged.loss, messages);
  if (!chosen.accepted) {
    const failed = estimateHolds(judged) ? messages.verdictTestUnsure : messages.verdictTestFailed;
    return { text: failed(chosen.title, loss, budget), holds: false, hint: HINTS.budget };
  }
  const ratio = costOf(result.original, result.goal) / costOf(chosen, result.goal);
  const gain = messages.gain[result.goal](ratio.toFixed(2));
  const accepted = messages.verdictAccepted(gain, loss, result.metric, budget);
  const unsure = judged.loss.high > judged.allowedLoss ? ` ${messages.verdictUnsure}` : "";
  return { text: `${chosen.title}: ${accepted}${unsure}`, holds: true };
}

interface Column {
  readonly title: string;
  readonly align?: "left" | "right";
}

export interface CompressionText {
  readonly head: readonly Column[];
  readonly rows: readonly (readonly string[])[];
  readonly paragraphs: readonly string[];
}

/** Rows: the original, then all that ran, cheapest first, then what never ran. */
export function compressionText(result: SearchResult): CompressionText {
  const messages = MESSAGES.en;
  const { original, candidates, goal } = result;
  const batches = original.latency.map(({ batch }) => batch);
  const split = candidates.some(({ test }) => test !== null) ? "test" : "validation";
  // Every batch has its latency here.
  const made = goal === "latency" ? [] : goalColumns(goal, batches[0], messages);
  const head: Column[] = [
    { title: "candidate" },
    { title: "verdict" },
    { title: "bytes", align: "right" },
    { title: "rate", align: "right" },
    { title: "coded, rate", align: "right" },
    ...batches.map((batch) => ({ title: `latency, batch ${batch}`, align: "right" as const })),
    ...made.map(({ title }) => ({ title, align: "right" as const })),
    { title: `${result.metric} (${split})`, align: "right" },
    { title: "loss", align: "right" },
    { title: "int8/int4", align: "right" },
  ];
  const formatMade = (found: Figure | null): string => (found === null ? messages.none : formatFigure(found));
  const row = (candidate: Candidate): string[] => {
    const { accuracy, fileBytes, compressionRate, execution } = candidate;
    const judged = candidate.test ?? candidate.validation;
    return [
      candidate.id,
      standing(candidate, result),
      fileBytes === null ? messages.none : formatNumber(fileBytes, "B"),
      compressionRate === null ? messages.none : `${compressionRate.bytesOnDisk.toFixed(2)} ×`,
      codedText(candidate),
      ...batches.map((batch) => {
        const found = candidate.latency.find((entry) => entry.batch === batch);
        return found === undefined ? messages.none : formatFigure(found.median);
      }),
      ...made.map(({ of }) => formatMade(of(candidate))),
      accuracy === null ? messages.none : formatMetric(accuracy),
      judged === null ? messages.none : formatLoss(judged.loss, messages),
      execution === null ? messages.none : `${percent(execution.int8Share)}/${percent(execution.int4Share)} %`,
    ];
  };
  const ran = candidates.filter(({ fileBytes }) => fileBytes !== null);
  const refused = candidates.filter(({ accepted }) => !accepted);
  return {
    head,
    rows: [original, ...ran.toSorted((left, right) => costOf(left, goal) - costOf(right, goal))].map(row),
    paragraphs: [
      ...refused.map(({ id, reasons }) => `${id} refused: ${reasonOf(reasons)}`),
      ...slower(result),
      ...ending(result),
      ...codedNote(result),
      ...[messages.goalNote[goal]].filter((note) => note !== ""),
      `* no other candidate is better in both ${goal} and loss on validation data.`,
    ],
  };
}

function codedText({ container, compressionRate }: Candidate): string {
  const rate = compressionRate?.codedContainer;
  if (container === null || rate === null || rate === undefined) return MESSAGES.en.none;
  return `${formatNumber(container.bytes, "B")}, ${rate.toFixed(2)} ×`;
}

/** What the column of containers counts, and where the chosen one is. */
function codedNote({ original, candidates }: SearchResult): string[] {
  const coded = [original, ...candidates].flatMap(({ container }) => container ?? []);
  if (coded.length === 0) return [];
  const hasPlain = coded.some(({ holds }) => holds === "plain");
  const kept = coded.find(({ file }) => file !== null);
  return [
    [
      "coded, rate: bytes as a container of lightfoot pack, for transport, and CompressionRate = the original's bytes on disk / these.",
      hasPlain
        ? "Of packed candidates it holds the same weights as plain tensors, with the same outputs to the last bit."
        : "",
      kept === undefined ? "" : `The chosen one's is ${kept.file}; lightfoot unpack gives the model back.`,
    ]
      .filter((sentence) => sentence !== "")
      .join(" "),
  ];
}

/** Where the chosen one takes longer than the original. */
const slower = ({ candidates, selected }: SearchResult): string[] =>
  candidates
    .filter(({ id }) => id === selected)
    .flatMap(({ id, reasons }) =>
      reasons.filter((reason) => reason.includes("slower:")).map((text) => `${id} is ${text}`),
    );

const percent = (share: number): string => (share * 100).toFixed(0);

/** The reason that stands for the refusal: the first that says no, else the first. */
const reasonOf = (reasons: readonly string[]): string =>
  reasons.find((reason) => /beyond (twice )?the budget|not called|not accepted/.test(reason)) ?? reasons[0] ?? "";

function standing({ id, accepted }: Candidate, { front, selected }: SearchResult): string {
  const mark = front.includes(id) ? " *" : "";
  if (id === "original") return `–${mark}`;
  return `${id === selected ? "chosen, " : ""}${accepted ? "accepted" : "refused"}${mark}`;
}

function ending({ ended, tried, planned, stoppedBefore }: SearchResult): string[] {
  if (ended === "complete") return [];
  const where = stoppedBefore === null ? "" : ` It stopped before ${stoppedBefore}.`;
  // A limit on candidates is all that was planned.
  const counted = tried < planned ? `${tried} of ${planned}` : `${tried}`;
  return [`${MESSAGES.en.searchEnded[ended]} ${counted} were tried.${where}`];
}
