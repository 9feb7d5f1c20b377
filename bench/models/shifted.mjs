// MNIST images with copies shifted by up to two pixels, drawn by seed; depends on dist.
import { createDataset } from "../../dist/runtime/dataset.js";
import { seededRandom } from "../../dist/statistics/random.js";

const SIDE = 28;
const REACH = 2;

/** The samples, and `copies` more of each, every one shifted by another amount than nothing. */
export function withShifts(data, copies, seed) {
  const pixels = [...data.inputs.values()][0].data;
  const { sampleCount, labels } = data;
  const random = seededRandom(seed).fork("shifts");
  const draw = () => random.integer(2 * REACH + 1) - REACH;
  const total = sampleCount * (1 + copies);
  const images = new Float32Array(total * SIDE * SIDE);
  images.set(pixels);
  for (let at = sampleCount; at < total; at++) {
    let [right, down] = [0, 0];
    while (right === 0 && down === 0) [right, down] = [draw(), draw()];
    const from = (at % sampleCount) * SIDE * SIDE;
    for (let y = Math.max(0, down); y < Math.min(SIDE, SIDE + down); y++) {
      for (let x = Math.max(0, right); x < Math.min(SIDE, SIDE + right); x++) {
        images[at * SIDE * SIDE + y * SIDE + x] = pixels[from + (y - down) * SIDE + x - right];
      }
    }
  }
  return createDataset({
    name: `${data.name}, shifted`,
    unnamed: true,
    inputs: new Map([["input", { dtype: "float32", shape: [total, SIDE * SIDE], data: images }]]),
    labels: {
      dtype: "int32",
      shape: [total],
      data: Int32Array.from({ length: total }, (_, at) => labels.data[at % sampleCount]),
    },
  });
}
