// The reference page of errors says what the catalogue says; depends on errors and the script that writes the page.
import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { errorDocs } from "../scripts/gen-error-docs.mjs";
import { ERROR_CATALOG, EXIT } from "../src/errors/catalog.ts";

it("docs/reference/errors.md is what `npm run build && node scripts/gen-error-docs.mjs` writes", async () => {
  const page = await readFile(new URL("../docs/reference/errors.md", import.meta.url), "utf8");
  expect(page).toBe(errorDocs(ERROR_CATALOG, EXIT));
});

it("the page names every code and every exit code that a failure can have", () => {
  const page = errorDocs(ERROR_CATALOG, EXIT);
  for (const [code, { exit, meaning }] of Object.entries(ERROR_CATALOG)) {
    expect(page).toContain(`| \`${code}\` | ${meaning} |`);
    expect(page).toContain(`## Exit code ${exit} (`);
  }
});
