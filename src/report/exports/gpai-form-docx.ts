// The filled EU Model Documentation Form as a Word document; may depend on docx, io and the form's schema.
import { withFixedTimes } from "../../io/zip-times.ts";
import type { FormField, GpaiForm } from "./export-schema.ts";

/** Parts of the form by the first word of their fields. */
const PARTS: Readonly<Record<string, string>> = {
  general: "General information",
  properties: "Model properties",
  training: "Training: method, data, time, computation, energy",
  inference: "Inference",
};

const HEAD = ["Item", "Entry", "How it is known"] as const;
/** Shares of the page's width, in percent. */
const WIDTHS = [28, 42, 30] as const;

/**
 * The document, the same bytes for the same form. What is unknown says so in bold: nothing is left blank.
 *
 * @param title the model's name
 */
export async function docxOfForm(form: GpaiForm, title: string): Promise<Uint8Array> {
  const { Document, HeadingLevel, Packer, Paragraph, Table, TableCell, TableRow, TextRun, WidthType } =
    await import("docx");
  const cell = (text: string, column: number, bold = false) =>
    new TableCell({
      width: { size: WIDTHS[column], type: WidthType.PERCENTAGE },
      children: [new Paragraph({ children: [new TextRun({ text, bold })] })],
    });
  const row = (field: FormField) =>
    new TableRow({
      cantSplit: true,
      children: [cell(field.title, 0), cell(entryOf(field), 1, field.value === "unknown"), cell(originOf(field), 2)],
    });
  const table = (part: string) =>
    new Table({
      width: { size: 100, type: WidthType.PERCENTAGE },
      rows: [
        new TableRow({ tableHeader: true, children: HEAD.map((text, column) => cell(text, column, true)) }),
        ...form.fields.filter(({ field }) => field.startsWith(`${part}.`)).map(row),
      ],
    });
  const heading = (text: string) => new Paragraph({ text, heading: HeadingLevel.HEADING_2, keepNext: true });
  const list = (texts: readonly string[]) => texts.map((text) => new Paragraph({ text, bullet: { level: 0 } }));
  const document = new Document({
    creator: "lightfoot",
    title: `Model documentation: ${title}`,
    sections: [
      {
        children: [
          new Paragraph({ text: `Model documentation: ${title}`, heading: HeadingLevel.HEADING_1 }),
          new Paragraph(form.basis),
          new Paragraph(
            `Written ${form.createdAt} by Lightfoot. ${form.unknownFields.length} of ${form.fields.length} items are unknown.`,
          ),
          ...Object.entries(PARTS).flatMap(([part, name]) => [heading(name), table(part)]),
          heading("Notes"),
          ...list(form.notes),
          ...(form.assumptions.length === 0 ? [] : [heading("Assumed")]),
          ...list(form.assumptions.map(({ text, key }) => `${text} [${key}]`)),
        ],
      },
    ],
  });
  const properties = corePropertiesOf(`Model documentation: ${title}`, form.createdAt);
  const bytes = await Packer.toBuffer(document, undefined, [{ path: "docProps/core.xml", data: properties }]);
  return withFixedTimes(bytes);
}

/** `0.0123 MWh (0.0101 to 0.0180)`; plain texts as they are. */
export function entryOf({ value, text, unit, low, high }: FormField): string {
  const shown = text ?? (unit === undefined || unit === "1" ? String(value) : `${value} ${unit}`);
  if (low === undefined || high === undefined || low === high) return shown;
  return `${shown} (${low.toPrecision(3)} to ${high.toPrecision(3)})`;
}

const originOf = ({ method, sources, note }: FormField): string =>
  [method, ...(sources ?? []), note].filter((part) => part !== undefined).join("; ");

const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** The package's own would carry the hour of writing. */
const corePropertiesOf = (title: string, createdAt: string): string =>
  `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:dcterms="http://purl.org/dc/terms/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><dc:title>${escaped(title)}</dc:title><dc:creator>lightfoot</dc:creator><dcterms:created xsi:type="dcterms:W3CDTF">${createdAt}</dcterms:created><dcterms:modified xsi:type="dcterms:W3CDTF">${createdAt}</dcterms:modified></cp:coreProperties>`;
