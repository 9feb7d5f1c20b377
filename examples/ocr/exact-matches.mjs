// How many lines were read without a single mistake: a count, so that a budget of lines has a meaning: 2matches.
import { distance, readLines, writtenLines } from "./read-lines.mjs";

export const unit = "matches";
export const aggregate = "sum";

export default function exactMatches({ output, targets }) {
  const written = writtenLines(targets);
  return { perSample: readLines(output).map((line, at) => Number(distance(line, written[at]) === 0)) };
}
