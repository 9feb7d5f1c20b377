// Tables in plain text that fit the terminal; depends on nothing.

export interface Column {
  readonly title: string;
  readonly align?: "left" | "right";
}

// oxlint-disable-next-line no-control-regex -- escape sequences take no room on screen
const ESCAPES = /\u001B\[[0-9;]*m/g;

/** Characters a text takes on screen. */
export const screenWidth = (text: string): number => Array.from(text.replaceAll(ESCAPES, "")).length;

function pad(text: string, width: number, align: Column["align"]): string {
  const fill = " ".repeat(Math.max(0, width - screenWidth(text)));
  return align === "right" ? fill + text : text + fill;
}

/**
 * A table with a rule under its head. When it is wider than `columns`, each row becomes a block of `title  value` lines:
 * a table that wraps cannot be read.
 */
export function formatTable(head: readonly Column[], rows: readonly (readonly string[])[], columns: number): string {
  const widths = head.map(({ title }, at) =>
    Math.max(screenWidth(title), ...rows.map((row) => screenWidth(row[at] ?? ""))),
  );
  const total = widths.reduce((sum, width) => sum + width + 2, -2);
  if (total > columns) return formatBlocks(head, rows);
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, at) => pad(cell, widths[at] ?? 0, head[at]?.align))
      .join("  ")
      .trimEnd();
  const rule = widths.map((width) => "─".repeat(width)).join("  ");
  return [line(head.map(({ title }) => title)), rule, ...rows.map((row) => line(row))].join("\n");
}

function formatBlocks(head: readonly Column[], rows: readonly (readonly string[])[]): string {
  const titleWidth = Math.max(...head.slice(1).map(({ title }) => screenWidth(title)));
  return rows
    .map(([first = "", ...rest]) =>
      [first, ...rest.map((cell, at) => `  ${pad(head[at + 1]?.title ?? "", titleWidth, "left")}  ${cell}`)].join("\n"),
    )
    .join("\n\n");
}
