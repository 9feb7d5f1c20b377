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
  readonly width: number;
  readonly pointX: number;
  readonly pointY: number;
}

/** The rectangle that labels stay inside. */
export interface Frame {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

const LINE_PIXELS = 15;
const CHARACTER_PIXELS = 6.4;
const DISTANCE_PIXELS = 14;
// A little above the point's own height, where a horizontal whisker would strike the words through.
const RISE_PIXELS = 9;
const MOST_STEPS = 60;

/** Each label beside its point, right or else left, moved up or down by whole lines until it is free and inside. */
export function placeLabels(labels: readonly Label[], frame: Frame): PlacedLabel[] {
  const placed: PlacedLabel[] = [];
  const order = [...labels].sort((a, b) => Number(b.first) - Number(a.first) || a.y - b.y);
  for (const { text, x: pointX, y: pointY } of order) {
    const width = text.length * CHARACTER_PIXELS;
    const fits = (x: number, y: number) =>
      x >= frame.x &&
      x + width <= frame.x + frame.width &&
      y >= frame.y &&
      y <= frame.y + frame.height &&
      placed.every(
        (other) => Math.abs(other.y - y) >= LINE_PIXELS || other.x >= x + width || x >= other.x + other.width,
      );
    const right = pointX + DISTANCE_PIXELS;
    const left = pointX - DISTANCE_PIXELS - width;
    const spot = nearbyHeights(pointY - RISE_PIXELS)
      .flatMap((y) => [
        { x: right, y },
        { x: left, y },
      ])
      .find(({ x, y }) => fits(x, y)) ?? { x: right, y: pointY - RISE_PIXELS };
    placed.push({ text, ...spot, width, pointX, pointY });
  }
  return placed;
}

/** The height itself, then whole lines below and above it in turn. */
const nearbyHeights = (y: number): number[] =>
  Array.from({ length: MOST_STEPS }, (_, step) => y + (step % 2 === 1 ? 1 : -1) * Math.ceil(step / 2) * LINE_PIXELS);
