// Character error rate: edits from what was read to what was written, as a share of the written length, mean over lines.
import { distance, readLines, writtenLines } from "./read-lines.mjs";

export const higherIsBetter = false;
/** A share, so that a budget in points has a meaning: 1pt. */
export const unit = "1";

export default function characterError({ output, targets }) {
  const written = writtenLines(targets);
  const perSample = readLines(output).map((line, at) => distance(line, written[at]) / written[at].length);
  return { perSample };
}
