// Draws lines of made-up text with a stroke font, as samples for a text recognizer: node make-lines.mjs <keys.txt> <folder> <count> <seed>
// Writes lines.npy, float32 [count, 3, 48, 320] as PP-OCR wants them, and text.npy, int32 [count, 12]: numbers of the characters, 0 fills up.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const HEIGHT = 48;
const WIDTH = 320;
const LONGEST = 12;

/** Strokes on a grid of 4 × 6, as polylines; letters and digits that no other one looks like. */
const GLYPHS = {
  A: "0,6 2,0 4,6;0.8,4 3.2,4",
  C: "4,1 3,0 1,0 0,1 0,5 1,6 3,6 4,5",
  E: "4,0 0,0 0,6 4,6;0,3 3,3",
  F: "4,0 0,0 0,6;0,3 3,3",
  H: "0,0 0,6;4,0 4,6;0,3 4,3",
  J: "4,0 4,5 3,6 1,6 0,5",
  K: "0,0 0,6;4,0 0,3.4;1.2,2.5 4,6",
  L: "0,0 0,6 4,6",
  M: "0,6 0,0 2,4 4,0 4,6",
  N: "0,6 0,0 4,6 4,0",
  P: "0,6 0,0 3,0 4,1 4,2.4 3,3.4 0,3.4",
  R: "0,6 0,0 3,0 4,1 4,2.2 3,3.2 0,3.2;2,3.2 4,6",
  T: "0,0 4,0;2,0 2,6",
  U: "0,0 0,5 1,6 3,6 4,5 4,0",
  V: "0,0 2,6 4,0",
  X: "0,0 4,6;4,0 0,6",
  Y: "0,0 2,3 4,0;2,3 2,6",
  Z: "0,0 4,0 0,6 4,6",
  2: "0,1.2 1,0 3,0 4,1 4,2 0,6 4,6",
  3: "0,0.6 1,0 3,0 4,1 4,2.2 3,3 1.6,3;3,3 4,3.8 4,5 3,6 1,6 0,5.4",
  4: "3,6 3,0 0,4 4,4",
  5: "4,0 0.4,0 0,2.8 1,2.3 3,2.3 4,3.3 4,5 3,6 1,6 0,5.2",
  6: "3.6,0.3 2.4,0 1,0.6 0,2.4 0,5 1,6 3,6 4,5 4,3.6 3,2.8 1,2.8 0,3.6",
  7: "0,0 4,0 1.4,6",
  8: "1,3 0,2.2 0,1 1,0 3,0 4,1 4,2.2 3,3 1,3 0,3.9 0,5 1,6 3,6 4,5 4,3.9 3,3",
  9: "4,2.4 3,3.2 1,3.2 0,2.4 0,1 1,0 3,0 4,1 4,3.6 3,5.4 1.6,6 0.4,5.7",
};
const CHARACTERS = Object.keys(GLYPHS);

/** Segments of a glyph. */
const segments = (character) =>
  GLYPHS[character].split(";").flatMap((line) => {
    const points = line.split(" ").map((point) => point.split(",").map(Number));
    return points.slice(1).map((to, at) => [points[at], to]);
  });

/** Numbers from 0 to 1 that the seed decides (mulberry32). */
function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function distance([px, py], [[ax, ay], [bx, by]]) {
  const [dx, dy] = [bx - ax, by - ay];
  const along = Math.max(0, Math.min(1, ((px - ax) * dx + (py - ay) * dy) / (dx * dx + dy * dy)));
  return Math.hypot(px - ax - along * dx, py - ay - along * dy);
}

/** Ink from 0 to 1 for each pixel of one line. */
function draw(text, random) {
  const ink = new Float32Array(HEIGHT * WIDTH);
  const unit = 3.6 + random() * 1.4;
  const thick = 1 + random() * 1.3;
  const lean = (random() - 0.5) * 0.3;
  const top = (HEIGHT - 6 * unit) / 2 + (random() - 0.5) * 6;
  let left = 6 + random() * 8;
  for (const character of text) {
    const strokes = segments(character).map((pair) =>
      pair.map(([x, y]) => [left + x * unit + (3 - y) * lean * unit, top + y * unit]),
    );
    const [from, to] = [Math.floor(left - 4), Math.ceil(left + 4 * unit + 6)];
    for (let y = 0; y < HEIGHT; y++) {
      for (let x = Math.max(0, from); x < Math.min(WIDTH, to); x++) {
        const near = Math.min(...strokes.map((stroke) => distance([x, y], stroke)));
        ink[y * WIDTH + x] = Math.max(ink[y * WIDTH + x], Math.max(0, Math.min(1, thick - near + 0.5)));
      }
    }
    left += (4 + 1.3 + random() * 0.8) * unit * 0.92;
    if (left + 4 * unit > WIDTH) break;
  }
  return ink;
}

/** NumPy's format, version 1. */
function writeNpy(file, descr, shape, data) {
  const header = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape.join(", ")},), }`;
  const padded = `${header.padEnd(Math.ceil((header.length + 11) / 64) * 64 - 11)}\n`;
  const head = Buffer.from(`\x93NUMPY\x01\x00\x00\x00${padded}`, "latin1");
  head.writeUInt16LE(padded.length, 8);
  writeFileSync(file, Buffer.concat([head, Buffer.from(data.buffer)]));
}

const [keysFile, folder, count, seed] = process.argv.slice(2);
const keys = readFileSync(keysFile, "utf8").split(/\r?\n/);
const random = randomFrom(Number(seed));
const [images, text] = [new Float32Array(count * 3 * HEIGHT * WIDTH), new Int32Array(count * LONGEST)];
for (let sample = 0; sample < count; sample++) {
  const length = 6 + Math.floor(random() * 5);
  const line = Array.from({ length }, () => CHARACTERS[Math.floor(random() * CHARACTERS.length)]);
  line.forEach((character, at) => (text[sample * LONGEST + at] = keys.indexOf(character) + 1));
  const [paper, pen] = [0.75 + random() * 0.25, random() * 0.45];
  const ink = draw(line, random);
  const noise = random() * 0.12;
  for (let at = 0; at < ink.length; at++) {
    const value = paper + (pen - paper) * ink[at] + (random() - 0.5) * noise;
    for (let channel = 0; channel < 3; channel++) {
      // The recognizer wants −1…1.
      images[(sample * 3 + channel) * HEIGHT * WIDTH + at] = Math.max(0, Math.min(1, value)) * 2 - 1;
    }
  }
}
mkdirSync(folder, { recursive: true });
writeNpy(join(folder, "lines.npy"), "<f4", [Number(count), 3, HEIGHT, WIDTH], images);
writeNpy(join(folder, "text.npy"), "<i4", [Number(count), LONGEST], text);
