// The catalogue names nearest to one that was not found, for hints; may depend on errors.
import { closestName } from "../errors/closest-name.ts";

/** Up to `limit` names that contain every part of `asked`, shortest first; else the one within a few typing errors. */
export function suggestNames(asked: string, names: readonly string[], limit = 4): string[] {
  const parts = asked
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((part) => part !== "");
  const containing = names.filter((name) => parts.length > 0 && parts.every((part) => name.includes(part)));
  if (containing.length > 0) return containing.sort((left, right) => left.length - right.length).slice(0, limit);
  const closest = closestName(asked, names);
  return closest === undefined ? [] : [closest];
}
