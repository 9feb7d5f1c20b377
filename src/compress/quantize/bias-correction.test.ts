// Tests of bias correction against the mean of the products themselves; depends on its room and statistics.
import { describe, expect, it } from "vitest";
import { seededRandom } from "../../statistics/index.ts";
import { quantizeChannels } from "./affine.ts";
import { ChannelMean, convShift, denseShift, roundingErrors, shifted } from "./bias-correction.ts";

const random = seededRandom(4);
const normal = (length: number, mean = 0): Float32Array => Float32Array.from({ length }, () => mean + random.normal());
const GRID = { dtype: "int8", bits: 8 } as const;

/** Output means `[outputs]` of a grouped convolution without padding, the sums written out. */
function convMeans(input: Float32Array, weight: Float32Array, [n, c, size]: readonly number[], shape: number[]) {
  const [outputs, groupInputs, kernel] = shape as [number, number, number];
  const perGroup = outputs / (c / groupInputs);
  const positions = size - kernel + 1;
  return Float64Array.from({ length: outputs }, (_, m) => {
    let sum = 0;
    for (let sample = 0; sample < n; sample++) {
      for (let at = 0; at < positions; at++) {
        for (let j = 0; j < groupInputs; j++) {
          const channel = Math.floor(m / perGroup) * groupInputs + j;
          for (let k = 0; k < kernel; k++) {
            sum += input[(sample * c + channel) * size + at + k] * weight[(m * groupInputs + j) * kernel + k];
          }
        }
      }
    }
    return sum / (n * positions);
  });
}

describe("bias correction", () => {
  it("gives a matrix product back its mean output", () => {
    const [rows, k, n] = [50, 12, 5];
    const [x, weight, bias] = [normal(rows * k, 1.5), normal(k * n), normal(n)];
    const stored = quantizeChannels(weight, [k, n], 1, GRID);
    const mean = new ChannelMean(k);
    mean.observe(x.subarray(0, 20 * k), [20, k], 1);
    mean.observe(x.subarray(20 * k), [30, k], 1);
    const corrected = shifted(bias, denseShift(weight, stored, mean.value));
    for (let column = 0; column < n; column++) {
      let [wanted, found] = [bias[column], corrected[column]];
      for (let at = 0; at < rows * k; at++) {
        const entry = (at % k) * n + column;
        wanted += (x[at] * weight[entry]) / rows;
        found += (x[at] * stored.data[entry] * stored.scales[column]) / rows;
      }
      expect(found).toBeCloseTo(wanted, 5);
    }
  });

  it("gives a grouped convolution back its mean output, where the mean is the same all over the channel", () => {
    const dims = [3, 4, 9];
    const shape = [6, 2, 3];
    const levels = normal(4, 1);
    // One value a channel: then every window has the channel's mean.
    const input = Float32Array.from({ length: 3 * 4 * 9 }, (_, at) => levels[Math.floor(at / 9) % 4]);
    const weight = normal(6 * 2 * 3);
    const stored = quantizeChannels(weight, shape, 0, GRID);
    const errors = roundingErrors(weight, stored, shape, 0);
    const mean = new ChannelMean(4);
    mean.observe(input, dims, 1);
    const wanted = convMeans(input, weight, dims, shape);
    const rounded = weight.map((value, at) => value - errors[at]);
    const found = convMeans(input, rounded, dims, shape);
    const shift = convShift(errors, shape, mean.value);
    for (let output = 0; output < 6; output++) expect(found[output] + shift[output]).toBeCloseTo(wanted[output], 5);
  });
});
