// "Did you mean …?": the known names nearest to a mistyped one; depends on nothing.

/**
 * The name that differs from `word` by the fewest edits (insert, delete, replace, swap neighbors), letters' case ignored.
 *
 * Undefined when even the nearest differs by more than a third of its length: a far-fetched suggestion misleads.
 * @example closestName("tran", ["train", "test"]) // "train"
 */
export function closestName(word: string, names: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Infinity;
  for (const name of names) {
    const distance = editDistance(word.toLowerCase(), name.toLowerCase());
    if (distance < bestDistance && distance <= Math.max(1, Math.floor(Math.max(name.length, word.length) / 3))) {
      best = name;
      bestDistance = distance;
    }
  }
  return best;
}

/**
 * For catalogues of long ids: up to `limit` names that contain every part of `asked`, shortest first; else the closest one.
 *
 * @example suggestNames("h100", ids) // ["nvidia-h100-pcie-80gb", …]
 */
export function suggestNames(asked: string, names: readonly string[], limit = 4): string[] {
  const parts = partsOf(asked);
  const containing = namesWith(parts, names);
  if (containing.length > 0) return containing.slice(0, limit);
  // "nvida-h100": each part that no name has gives way to the nearest that one has.
  const known = [...new Set(names.flatMap(partsOf))];
  const corrected = parts.map((part) =>
    known.some((other) => other.includes(part)) ? part : closestName(part, known),
  );
  const near = corrected.every((part) => part !== undefined) ? namesWith(corrected, names).slice(0, limit) : [];
  if (near.length > 0) return near;
  const closest = closestName(asked, names);
  return closest === undefined ? [] : [closest];
}

const partsOf = (name: string): string[] =>
  name
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((part) => part !== "");

/** Names that contain every part, shortest first. */
const namesWith = (parts: readonly string[], names: readonly string[]): string[] =>
  parts.length === 0
    ? []
    : names
        .filter((name) => parts.every((part) => name.toLowerCase().includes(part)))
        .sort((left, right) => left.length - right.length);

/** Optimal string alignment distance. */
function editDistance(left: string, right: string): number {
  let before: number[] = [];
  let above = Array.from({ length: right.length + 1 }, (_, column) => column);
  for (let row = 1; row <= left.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= right.length; column += 1) {
      const same = left[row - 1] === right[column - 1];
      let cost = Math.min(
        (above[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (above[column - 1] ?? 0) + (same ? 0 : 1),
      );
      const swapped = left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1];
      if (row > 1 && column > 1 && swapped) cost = Math.min(cost, (before[column - 2] ?? 0) + 1);
      current.push(cost);
    }
    before = above;
    above = current;
  }
  return above[right.length] ?? 0;
}
