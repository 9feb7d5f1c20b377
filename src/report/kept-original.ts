// Why a search kept the original: nothing held the budget, or nothing that did was better; may depend on compress and this room.
import { formatMaxDrop, type MaxDrop } from "../compress/budget.ts";
import type { Candidate } from "../compress/candidate-schema.ts";
import { within } from "../compress/loss.ts";
import { nameIsWrong } from "../compress/reasons.ts";
import type { Goal } from "../compress/search-options.ts";
import type { Messages } from "./messages.ts";

export interface KeptOriginal {
  readonly text: string;
  /** What no candidate had. */
  readonly lacks: "budget" | "gain" | "candidates";
}

/** @param candidates of a search that chose none of them */
export function keptOriginal(
  candidates: readonly Candidate[],
  budget: MaxDrop,
  goal: Goal,
  messages: Messages,
): KeptOriginal {
  if (candidates.every(({ validation }) => validation === null)) {
    return { text: messages.verdictUntried, lacks: "candidates" };
  }
  const holds = candidates.some(
    (candidate) =>
      candidate.validation !== null && within(candidate.validation) && nameIsWrong(candidate) === undefined,
  );
  const written = formatMaxDrop(budget);
  return holds
    ? { text: messages.verdictNoGain[goal](written), lacks: "gain" }
    : { text: messages.verdictNone(written), lacks: "budget" };
}
