// Prose in lines no wider than the terminal; depends on nothing.

// oxlint-disable-next-line no-control-regex -- escape sequences take no room on screen
const ESCAPES = /\u001B\[[0-9;]*m/g;

/** Characters a text takes on screen. */
export const screenWidth = (text: string): number => Array.from(text.replaceAll(ESCAPES, "")).length;

/** Lines of whole words; those after the first begin with `indent`. A word longer than a line keeps a line to itself. */
export function wrapText(text: string, columns: number, indent = ""): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && screenWidth(last) + 1 + screenWidth(word) <= columns) {
      lines[lines.length - 1] = `${last} ${word}`;
    } else {
      lines.push(last === undefined ? word : `${indent}${word}`);
    }
  }
  return lines;
}
