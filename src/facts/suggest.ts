// The names nearest to one that was not found, for hints; may depend on nothing.

/** Up to `limit` names that contain every part of `asked`, else those within a few typing errors; best first. */
export function suggestNames(asked: string, names: readonly string[], limit = 4): string[] {
  const wanted = asked.toLowerCase();
  const parts = wanted.split(/[^a-z0-9]+/).filter((part) => part !== "");
  const containing = names.filter(
    (name) => parts.length > 0 && parts.every((part) => name.toLowerCase().includes(part)),
  );
  if (containing.length > 0) return containing.sort((left, right) => left.length - right.length).slice(0, limit);
  return names
    .map((name) => ({ name, distance: editDistance(wanted, name.toLowerCase()) }))
    .filter(({ name, distance }) => distance <= Math.max(2, name.length / 3))
    .sort((left, right) => left.distance - right.distance)
    .slice(0, limit)
    .map(({ name }) => name);
}

/** Levenshtein distance, two rows at a time. */
function editDistance(left: string, right: string): number {
  let previous = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let row = 1; row <= left.length; row++) {
    const current = [row];
    for (let column = 1; column <= right.length; column++) {
      const replaced = previous[column - 1] + (left[row - 1] === right[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, previous[column] + 1, current[column - 1] + 1));
    }
    previous = current;
  }
  return previous[right.length];
}
