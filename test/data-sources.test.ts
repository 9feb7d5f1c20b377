// Every table under data/ is named, with its number of rows, in DATA_SOURCES.md; depends on Node.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const page = readFileSync(`${root}DATA_SOURCES.md`, "utf8");
const tables = readdirSync(`${root}data`, { recursive: true, encoding: "utf8" })
  .map((file) => `data/${file.replaceAll("\\", "/")}`)
  .filter((file) => /\.\w+$/.test(file));

it("finds tables at all", () => expect(tables.length).toBeGreaterThan(0));

it.each(tables)("%s stands in DATA_SOURCES.md with its rows, and its head has licence, year and interval", (file) => {
  const table = JSON.parse(readFileSync(`${root}${file}`, "utf8")) as Record<string, unknown> & { rows: unknown[] };
  expect(page).toContain(`| \`${file}\` | ${table.rows.length} |`);
  expect(table).toMatchObject({
    licence: expect.any(String),
    compiled: expect.any(Number),
    interval: expect.any(Object),
  });
});
