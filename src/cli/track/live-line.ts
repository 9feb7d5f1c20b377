// One line at the bottom of the terminal that the command's own output scrolls past; may depend on quantity, io and this room.
import { isatty, WriteStream } from "node:tty";
import { isInForeground } from "../../io/command.ts";
import { screenWidth } from "../wrap-text.ts";
import { writeRaw } from "./raw-streams.ts";

const ESC = "\u001B";
const SAVE = `${ESC}7`;
const RESTORE = `${ESC}8`;
const CLEAR_LINE = `${ESC}[2K`;
const moveTo = (row: number): string => `${ESC}[${row};1H`;
const scrollRows = (last: number): string => `${ESC}[1;${last}r`;
const ALL_ROWS = `${ESC}[r`;

/** A terminal too low or too narrow for a line of its own. */
const LEAST_ROWS = 5;
const LEAST_COLUMNS = 30;

export interface LiveLine {
  show(text: string): void;
  /** Gives the terminal back as it was: before anything else is written, and before this process stops. */
  hide(): void;
}

export const NO_LIVE_LINE: LiveLine = { show() {}, hide() {} };

export interface Screen {
  readonly rows: number;
  readonly columns: number;
  /** False while another job has the terminal: what is written then would land in it. */
  readonly isOurs: boolean;
  write(text: string): void;
}

/**
 * The line below a scroll region that leaves the last row out, as package managers do it: the command's output, whatever it
 * is, scrolls above and is never overwritten. Cursor and attributes are saved and restored around each drawing, and each
 * drawing is one write, which the terminal takes as one.
 */
export function createLiveLine(screen: () => Screen | undefined): LiveLine {
  let drawnRows = 0;
  const hide = (): void => {
    if (drawnRows === 0) return;
    const now = screen();
    now?.write(`${SAVE}${ALL_ROWS}${moveTo(drawnRows)}${CLEAR_LINE}${RESTORE}`);
    drawnRows = 0;
  };
  return {
    show(text) {
      const now = screen();
      if (now === undefined || now.rows < LEAST_ROWS || now.columns < LEAST_COLUMNS) return hide();
      if (!now.isOurs) return;
      const line = `${moveTo(now.rows)}${CLEAR_LINE}${fitTo(text, now.columns - 1)}`;
      if (drawnRows === now.rows) {
        // The region is set again each time: a command that clears the screen or resets the terminal takes it away.
        now.write(`${SAVE}${scrollRows(now.rows - 1)}${line}${RESTORE}`);
        return;
      }
      // After a change of size the old line may stand anywhere above.
      if (drawnRows !== 0) hide();
      // One row down and up again, column kept: at the bottom this scrolls, so that the cursor is above the last row.
      now.write(`${ESC}D${ESC}[A${SAVE}${scrollRows(now.rows - 1)}${line}${RESTORE}`);
      drawnRows = now.rows;
    },
    hide,
  };
}

/** Cut to whole characters that fit: a line that wraps would scroll the screen. */
function fitTo(text: string, columns: number): string {
  let kept = "";
  let width = 0;
  for (const character of text) {
    width += screenWidth(character);
    if (width > columns) return kept;
    kept += character;
  }
  return kept;
}

/** The terminal behind standard error; undefined when it is none. */
export function terminalScreen(): (() => Screen | undefined) | undefined {
  if (!isatty(2)) return undefined;
  const stream = new WriteStream(2);
  return () => {
    const [columns, rows] = stream.getWindowSize();
    return { rows, columns, isOurs: isInForeground(), write: (text) => writeRaw(2, text) };
  };
}
