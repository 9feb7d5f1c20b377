// Tests of the progress line, with time held in hand.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createProgress, formatDuration } from "./progress.ts";

function screen(isTTY: boolean, columns = 80) {
  const written: string[] = [];
  return { written, stream: { isTTY, columns, write: (text: string) => written.push(text) } };
}

// oxlint-disable-next-line no-control-regex -- escape sequences are what is to be taken out
const plain = (text: string | undefined) => text?.replaceAll(/\u001B\[[0-9;]*[mK]|\r/g, "");

describe("createProgress", () => {
  let milliseconds = 0;
  const now = () => milliseconds;
  const pass = (step: number) => {
    milliseconds += step;
    vi.advanceTimersByTime(step);
  };
  beforeEach(() => {
    milliseconds = 0;
    vi.useFakeTimers();
  });
  afterEach(() => vi.useRealTimers());

  it("says nothing about work that is over within half a second", () => {
    const { written, stream } = screen(true);
    const progress = createProgress(stream, now);
    progress.phase("Reading");
    pass(400);
    progress.stop();
    expect(written).toEqual([]);
  });

  it("shows count, rate and time left on a terminal, and takes the line away", () => {
    const { written, stream } = screen(true);
    const progress = createProgress(stream, now);
    progress.phase("Training", 10, "epochs");
    progress.advance(4, "loss 0.1");
    pass(2000);
    expect(plain(written.at(-1))).toBe("Training  4/10 epochs · 2 epochs/s · 3 s left · loss 0.1");
    progress.stop();
    expect(written.at(-1)).toBe("\r\u001B[2K");
    const count = written.length;
    pass(1000);
    expect(written).toHaveLength(count);
  });

  it("never draws wider than the terminal: a wrapped line cannot be drawn over", () => {
    const { written, stream } = screen(true, 30);
    const progress = createProgress(stream, now);
    progress.phase("A phase with a very long title indeed", 10, "candidates");
    progress.advance(3, "and a long detail");
    pass(1500);
    expect(written.length).toBeGreaterThan(0);
    for (const text of written) expect(plain(text)?.length).toBeLessThan(30);
  });

  it("writes one line for each phase when it is no terminal", () => {
    const { written, stream } = screen(false);
    const progress = createProgress(stream, now);
    progress.phase("Training", 10);
    pass(3000);
    progress.phase("Judging");
    pass(3000);
    progress.stop();
    expect(written).toEqual(["Training …\n", "Judging …\n"]);
  });
});

describe("formatDuration", () => {
  it.each([
    [0, "0 s"],
    [-3, "0 s"],
    [59.6, "60 s"],
    [119, "119 s"],
    [125, "2:05 min"],
  ])("writes %d s as %s", (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text);
  });
});
