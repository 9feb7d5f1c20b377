// One progress line on stderr: what is being done, how fast, how long still; may depend on quantity and this room.
import { formatNumber } from "../quantity/format.ts";
import { onStderr } from "./output.ts";

// Work that is over before this was not worth a word.
const QUIET_START_MILLISECONDS = 500;
const REDRAW_MILLISECONDS = 100;
const CLEAR_LINE = "\r\u001B[2K";

/** What an action tells about its work while it runs. */
export interface Progress {
  /** Begins a phase and ends the one before; `unit` is what is counted: `epochs`, `samples`. */
  phase(title: string, total?: number, unit?: string): void;
  /** `done` units of the phase's total are finished; `detail` is shown beside them: `loss 0.084`; a total found wrong is corrected. */
  advance(done: number, detail?: string, total?: number): void;
  /** Takes the line away; call before anything else is written. */
  stop(): void;
}

export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

interface Phase {
  readonly title: string;
  total: number | undefined;
  readonly unit: string;
  readonly startMilliseconds: number;
  done: number;
  detail: string;
  announced: boolean;
}

/** Progress that says nothing: `--quiet`. */
export const SILENT_PROGRESS: Progress = { phase() {}, advance() {}, stop() {} };

/**
 * Progress on a stream: on a terminal one line, redrawn in place; elsewhere one line per phase, for logs.
 *
 * @param now milliseconds from any fixed origin
 */
export function createProgress(stream: ProgressStream, now: () => number): Progress {
  const startMilliseconds = now();
  let phase: Phase | undefined;
  let timer: NodeJS.Timeout | undefined;
  let drawn = false;

  const show = () => {
    if (phase === undefined || now() - startMilliseconds < QUIET_START_MILLISECONDS) return;
    if (stream.isTTY === true) {
      stream.write(`${CLEAR_LINE}${fit(describePhase(phase, now()), stream.columns ?? 80)}`);
      drawn = true;
    } else if (!phase.announced) {
      stream.write(`${phase.title} …\n`);
      phase.announced = true;
    }
  };

  return {
    phase(title, total, unit = "") {
      // A phase that learns its total begins anew under the same title: no second line in a log.
      const announced = phase?.title === title && phase.announced;
      phase = { title, total, unit, startMilliseconds: now(), done: 0, detail: "", announced };
      // The timer must not keep a finished process alive.
      timer ??= setInterval(show, REDRAW_MILLISECONDS).unref();
      show();
    },
    advance(done, detail, total) {
      if (phase === undefined) return;
      phase.total = total ?? phase.total;
      phase.done = done;
      phase.detail = detail ?? phase.detail;
    },
    stop() {
      clearInterval(timer);
      timer = undefined;
      phase = undefined;
      if (drawn) stream.write(CLEAR_LINE);
      drawn = false;
    },
  };
}

/** `Training original  6/10 epochs · 0.37 epochs/s · 11 s left · loss 0.031` */
function describePhase(phase: Phase, nowMilliseconds: number): string {
  const seconds = (nowMilliseconds - phase.startMilliseconds) / 1000;
  const parts: string[] = [];
  if (phase.total !== undefined) {
    parts.push(`${Math.floor(phase.done)}/${phase.total} ${phase.unit}`.trimEnd());
    if (phase.done > 0 && seconds > 0) {
      const perSecond = phase.done / seconds;
      parts.push(`${formatNumber(perSecond, "", 2)} ${phase.unit}/s`.replace(" /s", "/s"));
      parts.push(`${formatDuration((phase.total - phase.done) / perSecond)} left`);
    }
  } else {
    parts.push(formatDuration(seconds));
  }
  if (phase.detail !== "") parts.push(phase.detail);
  return `${onStderr("bold", phase.title)}  ${parts.join(" · ")}`;
}

/** Whole seconds below two minutes, else `m:ss`. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 120) return `${whole} s`;
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")} min`;
}

/** The text cut to the terminal's width: a line that wraps could not be redrawn in place. */
function fit(text: string, columns: number): string {
  // oxlint-disable-next-line no-control-regex -- escape sequences are what is to be skipped
  const pieces = text.split(/(\u001B\[[0-9;]*m)/);
  let left = columns - 1;
  return pieces
    .map((piece) => {
      if (piece.startsWith("\u001B")) return piece;
      const kept = Array.from(piece).slice(0, Math.max(0, left));
      left -= kept.length;
      return kept.join("");
    })
    .join("");
}
