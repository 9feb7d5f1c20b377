// The changelog tells of each capability once: branches that each bring their own line are merged by union; reads CHANGELOG.md.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

test("no two entries of the changelog open with the same command", () => {
  const text = readFileSync(new URL("../CHANGELOG.md", import.meta.url), "utf8");
  const unreleased = text.split(/^## /m)[1] ?? "";
  const openings = Array.from(unreleased.matchAll(/^- `(lightfoot [^`]*)`/gm), (match) => match[1]);
  expect(openings.length).toBeGreaterThan(10);
  expect(openings.filter((opening, at) => openings.indexOf(opening) !== at)).toEqual([]);
});
