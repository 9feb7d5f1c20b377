// What a search's goal makes small, as columns of a table of candidates; may depend on quantity, compress and this room.
import type { Candidate } from "../compress/candidate-schema.ts";
import type { Goal } from "../compress/search-options.ts";
import { scale, type Figure } from "../quantity/figure.ts";
import type { Messages } from "./messages.ts";

export interface GoalColumn {
  readonly title: string;
  readonly of: (candidate: Candidate) => Figure | null;
}

/**
 * Bytes have a column in every table.
 *
 * @param batch the one whose latency the goal counts
 */
export function goalColumns(goal: Goal, batch: number, { columns }: Messages): readonly GoalColumn[] {
  const columnsOf: Readonly<Record<Goal, readonly GoalColumn[]>> = {
    size: [],
    latency: [{ title: columns.latency(batch), of: ({ latency }) => latencyAt(latency, batch) }],
    energy: [
      { title: columns.energy, of: ({ energyPerInference: energy }) => energy && scale(energy, 1000) },
      { title: columns.processorTime, of: ({ processorTime }) => processorTime },
    ],
    memory: [{ title: columns.peakMemory, of: ({ peakMemory }) => peakMemory }],
  };
  return columnsOf[goal];
}

const latencyAt = (latency: Candidate["latency"], batch: number): Figure | null =>
  latency.find((entry) => entry.batch === batch)?.median ?? null;
