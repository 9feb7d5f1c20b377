// The committed JSON Schemas follow the zod schemas; reads schemas/ and dist/.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { schemaTexts } from "../scripts/gen-schemas.mjs";

test("schemas/ is what the build generates", async () => {
  for (const [file, text] of Object.entries(await schemaTexts())) {
    const committed = readFileSync(new URL(`../schemas/${file}`, import.meta.url), "utf8");
    expect(committed, `${file} drifted; run: npm run build && node scripts/gen-schemas.mjs`).toBe(text);
  }
});

test("no schema joins two closed objects, which nothing could satisfy", async () => {
  for (const [file, text] of Object.entries(await schemaTexts())) expect(text, file).not.toContain('"allOf"');
});
