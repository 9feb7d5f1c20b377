// What a CTC recognizer read, and how far that is from what was written; shared by the two metrics beside it.

/** Best character at each step, repeats joined, blanks (0) left out: `output` `[N, steps, characters]`. */
export function readLines({ shape: [count, steps, characters], data }) {
  return Array.from({ length: count }, (_, sample) => {
    const line = [];
    let before = 0;
    for (let step = 0; step < steps; step++) {
      const start = (sample * steps + step) * characters;
      let best = 0;
      for (let index = 1; index < characters; index++) if (data[start + index] > data[start + best]) best = index;
      if (best !== 0 && best !== before) line.push(best);
      before = best;
    }
    return line;
  });
}

/** Numbers of the characters that were written; 0 fills up. `targets` `[N, longest]` */
export function writtenLines({ shape: [count, longest], data }) {
  return Array.from({ length: count }, (_, sample) =>
    Array.from(data.subarray(sample * longest, (sample + 1) * longest), Number).filter((character) => character !== 0),
  );
}

/** Fewest insertions, deletions and replacements from one line to another (Levenshtein). */
export function distance(from, to) {
  let row = Array.from({ length: to.length + 1 }, (_, at) => at);
  for (const [i, one] of from.entries()) {
    const next = [i + 1];
    for (const [j, other] of to.entries()) {
      next.push(Math.min(row[j + 1] + 1, next[j] + 1, row[j] + (one === other ? 0 : 1)));
    }
    row = next;
  }
  return row[to.length];
}
