// Where the labels of a scatter of points go so that none covers another; depends on nothing.

export interface Label {
  readonly text: string;
  /** Pixels of the point. */
  readonly x: number;
  readonly y: number;
  /** Gets the best place. */
  readonly first: boolean;
}

export interface PlacedLabel {
  readonly text: string;
  /** Left end and middle of the words, in pixels. */
  readonly x: number;
  readonly y: number;
  readonly pointX: number;
  readonly pointY: number;
}

const LINE_PIXELS = 15;
const CHARACTER_PIXELS = 6.4;
const DISTANCE_PIXELS = 14;
// A little above the point's own height, where a horizontal whisker would strike the words through.
const RISE_PIXELS = 9;
const MOST_STEPS = 40;

/** Each label to the right of its point, moved up or down by whole lines until it is free. */
export function placeLabels(labels: readonly Label[]): PlacedLabel[] {
  const placed: (PlacedLabel & { readonly width: number })[] = [];
  const order = [...labels].sort((a, b) => Number(b.first) - Number(a.first) || a.y - b.y);
  for (const { text, x: pointX, y: pointY } of order) {
    const width = text.length * CHARACTER_PIXELS;
    const x = pointX + DISTANCE_PIXELS;
    const isFree = (y: number) =>
      placed.every(
        (other) => Math.abs(other.y - y) >= LINE_PIXELS || other.x >= x + width || x >= other.x + other.width,
      );
    let y = pointY - RISE_PIXELS;
    for (let step = 1; step < MOST_STEPS && !isFree(y); step += 1) {
      y = pointY - RISE_PIXELS + (step % 2 === 1 ? 1 : -1) * Math.ceil(step / 2) * LINE_PIXELS;
    }
    placed.push({ text, x, y, pointX, pointY, width });
  }
  return placed;
}
