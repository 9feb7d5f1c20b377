// Tables in plain text that fit the terminal; may depend on wrap-text.
import { screenWidth, wrapText } from "./wrap-text.ts";

export interface Column {
  readonly title: string;
  readonly align?: "left" | "right";
}

function pad(text: string, width: number, align: Column["align"]): string {
  const fill = " ".repeat(Math.max(0, width - screenWidth(text)));
  return align === "right" ? fill + text : text + fill;
}

/**
 * A table with a rule under its head.
 *
 * Where it is too wide, intervals go on a line of their own below their values and row titles wrap; where that is too wide
 * still, each row becomes a block of `title  value` lines: a table that the terminal wraps cannot be read.
 */
export function formatTable(head: readonly Column[], rows: readonly (readonly string[])[], columns: number): string {
  const titles = head.map(({ title }) => [title]);
  const flat = rows.map((row) => row.map((cell) => [cell]));
  if (tableWidth([titles, ...flat]) <= columns) return formatLines(head, titles, flat);
  const stacked = rows.map((row) =>
    row.map((cell, at) => (at === 0 ? wrapText(cell, MOST_TITLE_CHARACTERS, "  ") : splitInterval(cell))),
  );
  if (tableWidth([titles, ...stacked]) <= columns) return formatLines(head, titles, stacked);
  return formatBlocks(head, rows);
}

/** A cell's lines, from top to bottom. */
type Lines = readonly string[];

const GAP = 2;
const MOST_TITLE_CHARACTERS = 22;

const lineWidth = (lines: Lines): number => Math.max(0, ...lines.map(screenWidth));

function columnWidths(rows: readonly (readonly Lines[])[]): number[] {
  const count = Math.max(0, ...rows.map((row) => row.length));
  return Array.from({ length: count }, (_, at) => Math.max(...rows.map((row) => lineWidth(row[at] ?? []))));
}

const tableWidth = (rows: readonly (readonly Lines[])[]): number =>
  columnWidths(rows).reduce((sum, width) => sum + width + GAP, -GAP);

function formatLines(head: readonly Column[], titles: readonly Lines[], rows: readonly (readonly Lines[])[]): string {
  const widths = columnWidths([titles, ...rows]);
  const draw = (row: readonly Lines[]) =>
    Array.from({ length: Math.max(...row.map((cell) => cell.length)) }, (_, line) =>
      widths
        .map((width, at) => pad(row[at]?.[line] ?? "", width, head[at]?.align))
        .join(" ".repeat(GAP))
        .trimEnd(),
    ).join("\n");
  const rule = widths.map((width) => "─".repeat(width)).join(" ".repeat(GAP));
  return [draw(titles), rule, ...rows.map(draw)].join("\n");
}

/** `97.8 (97.5…98.1) %` as `97.8 %` and `(97.5…98.1)`. */
function splitInterval(cell: string): Lines {
  const match = /^(.*?) (\([^)]*…[^)]*\))(.*)$/u.exec(cell);
  return match === null ? [cell] : [`${match[1]}${match[3]}`, match[2] ?? ""];
}

function formatBlocks(head: readonly Column[], rows: readonly (readonly string[])[]): string {
  const titleWidth = Math.max(...head.slice(1).map(({ title }) => screenWidth(title)));
  return rows
    .map(([first = "", ...rest]) =>
      [first, ...rest.map((cell, at) => `  ${pad(head[at + 1]?.title ?? "", titleWidth, "left")}  ${cell}`)].join("\n"),
    )
    .join("\n\n");
}
