// The Word form: a readable archive with every field of the form in it, the same bytes every time; depends on docx and io.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sampleDossier } from "../../../test/fixtures/sample-dossier.ts";
import { openFileRange } from "../../io/file-range.ts";
import { openZipEntry, readZipDirectory } from "../../io/zip.ts";
import { exportDossier } from "./export-dossier.ts";
import { gpaiFormSchema } from "./export-schema.ts";
import { docxOfForm, entryOf } from "./gpai-form-docx.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-docx-"));
});
afterAll(() => rm(folder, { recursive: true }));

const form = gpaiFormSchema.parse(JSON.parse(exportDossier(sampleDossier(), "gpai-form").text));

async function partOf(bytes: Uint8Array, name: string): Promise<string> {
  const file = join(folder, "form.docx");
  await writeFile(file, bytes);
  const range = await openFileRange(file);
  try {
    const entry = (await readZipDirectory(range)).find((each) => each.name === name)!;
    const stream = await openZipEntry(entry, range);
    const content = await stream.take(entry.bytes);
    return new TextDecoder().decode(content);
  } finally {
    await range.close();
  }
}

/** The text that a reader sees, paragraph by paragraph. */
const textsOf = (xml: string): string[] =>
  Array.from(xml.matchAll(/<w:t[ >][^<]*<\/w:t>/g), ([run]) =>
    run
      .replace(/<[^>]+>/g, "")
      .replaceAll("&lt;", "<")
      .replaceAll("&gt;", ">")
      .replaceAll("&quot;", '"')
      .replaceAll("&apos;", "'")
      .replaceAll("&amp;", "&"),
  );

describe("the form as a Word document", () => {
  it("holds every field with its entry, and says what is unknown and assumed", async () => {
    const texts = textsOf(await partOf(await docxOfForm(form, "net"), "word/document.xml"));
    for (const field of form.fields) {
      const at = texts.indexOf(field.title);
      expect([field.title, at >= 0]).toEqual([field.title, true]);
      expect(texts[at + 1]).toBe(entryOf(field));
    }
    expect(texts.filter((text) => text === "unknown").length).toBe(form.unknownFields.length);
    for (const note of form.notes) expect(texts).toContain(note);
    for (const { key } of form.assumptions) expect(texts.some((text) => text.endsWith(`[${key}]`))).toBe(true);
  });

  it("is the same bytes for the same form, with the form's day in its properties", async () => {
    const [first, second] = [await docxOfForm(form, "a & <b>"), await docxOfForm(form, "a & <b>")];
    expect(Buffer.compare(first, second)).toBe(0);
    const core = await partOf(first, "docProps/core.xml");
    expect(core).toContain(form.createdAt);
    expect(core).toContain("a &amp; &lt;b&gt;");
  });
});
