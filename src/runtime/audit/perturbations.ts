// A fixed set of small changes of input data, drawn from a seed, under which accuracy should hold; may depend on errors, model, statistics and runtime.
import { LightfootError } from "../../errors/index.ts";
import type { TensorValue } from "../../model/tensor-value.ts";
import type { Random } from "../../statistics/index.ts";
import { createDataset, sampleElements, type Dataset } from "../sample-set.ts";

/** How pixels lie in a sample: `[channels, height, width]`, or with the channels last. */
export interface ImageLayout {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly channelsLast: boolean;
}

/** Of one array over all samples, taken before anything is changed. */
interface ArrayStatistics {
  /** Of each element of a sample. */
  readonly means: Float64Array;
  readonly deviations: Float64Array;
  readonly least: number;
  readonly most: number;
}

interface Change {
  readonly random: Random;
  readonly statistics: ArrayStatistics;
  readonly image: ImageLayout | undefined;
  readonly width: number;
}

export interface Perturbation {
  readonly name: string;
  /** What it does, with its strength. */
  readonly what: string;
  readonly needsImage: boolean;
  /** New elements of an array, `[samples · width]`, before they are cut to the range that occurs. */
  readonly apply: (data: Float64Array, change: Change) => Float64Array;
}

const NOISE = 0.25;
const DROPPED = 0.05;
const SHIFT = 0.05;

const scaled = (factor: number): Perturbation => ({
  name: `scale-${factor}`,
  what: `every element times ${factor}`,
  needsImage: false,
  apply: (data) => data.map((value) => value * factor),
});

const shifted = (name: string, right: number, down: number): Perturbation => ({
  name,
  what: `moved by ${100 * SHIFT} % of the image's size, at least one pixel; the edge is repeated`,
  needsImage: true,
  apply: (data, { image, width }) =>
    mapPixels(data, width, image!, (at, x, y) => {
      const move = (size: number): number => Math.max(1, Math.round(SHIFT * size));
      return at(x - right * move(image!.width), y - down * move(image!.height));
    }),
});

/**
 * The set; image changes apply where the layout of pixels is known. Strengths are small on purpose: a person would not
 * change the label.
 */
export const PERTURBATIONS: readonly Perturbation[] = [
  {
    name: "noise",
    what: `normal noise, ${NOISE} standard deviations: of each element over the samples, of images over all pixels`,
    needsImage: false,
    apply(data, { random, statistics: { deviations }, image, width }) {
      const pooled = Math.sqrt(deviations.reduce((sum, deviation) => sum + deviation * deviation, 0) / width);
      return data.map(
        (value, at) => value + NOISE * (image === undefined ? deviations[at % width] : pooled) * random.normal(),
      );
    },
  },
  scaled(0.9),
  scaled(1.1),
  {
    name: "dropout",
    what: `${100 * DROPPED} % of the elements replaced by their mean over the samples`,
    needsImage: false,
    apply: (data, { random, statistics: { means }, width }) =>
      data.map((value, at) => (random.next() < DROPPED ? means[at % width] : value)),
  },
  shifted("shift-right", 1, 0),
  shifted("shift-down", 0, 1),
  {
    name: "blur",
    what: "mean of 3 × 3 pixels; the edge is repeated",
    needsImage: true,
    apply: (data, { image, width }) =>
      mapPixels(data, width, image!, (at, x, y) => {
        let sum = 0;
        for (let dy = -1; dy <= 1; dy++) for (let dx = -1; dx <= 1; dx++) sum += at(x + dx, y + dy);
        return sum / 9;
      }),
  },
];

/** New pixels from a function of the old ones by place; places outside are the nearest inside. */
function mapPixels(
  data: Float64Array,
  width: number,
  image: ImageLayout,
  pixel: (at: (x: number, y: number) => number, x: number, y: number) => number,
): Float64Array {
  const changed = new Float64Array(data.length);
  const strideX = image.channelsLast ? image.channels : 1;
  const strideY = strideX * image.width;
  const strideChannel = image.channelsLast ? 1 : image.width * image.height;
  for (let sample = 0; sample < data.length; sample += width) {
    for (let channel = 0; channel < image.channels; channel++) {
      const base = sample + channel * strideChannel;
      const at = (x: number, y: number): number => {
        const [inX, inY] = [Math.min(Math.max(x, 0), image.width - 1), Math.min(Math.max(y, 0), image.height - 1)];
        return data[base + inY * strideY + inX * strideX];
      };
      for (let y = 0; y < image.height; y++) {
        for (let x = 0; x < image.width; x++) changed[base + y * strideY + x * strideX] = pixel(at, x, y);
      }
    }
  }
  return changed;
}

const CHANNELS = new Set([1, 3, 4]);

/**
 * Where the pixels are: told as `28x28` or `3x224x224` for flat arrays, else found in arrays of rank 4 with 1, 3 or 4
 * channels first or last.
 *
 * @param shape of the array, samples first
 * @throws LightfootError E_USAGE when what was told does not fit a sample
 */
export function imageLayout(shape: readonly number[], told?: string): ImageLayout | undefined {
  if (told !== undefined) {
    const sizes = told.split("x").map(Number);
    const [channels, height, width] = sizes.length === 2 ? [1, ...sizes] : sizes;
    const elements = shape.slice(1).reduce((product, size) => product * size, 1);
    if (![2, 3].includes(sizes.length) || channels * height * width !== elements) {
      throw new LightfootError("E_USAGE", `an image of ${told} is not what a sample of ${elements} elements holds`, {
        hint: "Write HEIGHTxWIDTH or CHANNELSxHEIGHTxWIDTH.",
      });
    }
    return { channels, height, width, channelsLast: false };
  }
  const [, first, second, third] = shape;
  if (shape.length !== 4) return undefined;
  const [isFirst, isLast] = [first, third].map((size) => CHANNELS.has(size));
  if (isFirst && !(isLast && third < first)) {
    return { channels: first, height: second, width: third, channelsLast: false };
  }
  if (isLast) return { channels: third, height: first, width: second, channelsLast: true };
  return undefined;
}

const PERTURBED = ["float32", "float64", "uint8"] as const;
const isPerturbed = ({ dtype }: TensorValue): boolean => (PERTURBED as readonly string[]).includes(dtype);

/** Whether any input is of a type that the set changes; token numbers and half floats are left alone. */
export const canPerturb = (dataset: Dataset): boolean => [...dataset.inputs.values()].some(isPerturbed);

/**
 * The data set under one perturbation: every array of float32, float64 or uint8 is changed, then cut to the range it had;
 * uint8 is rounded. The same seed gives the same bytes.
 *
 * @param told layout of flat images, as for `imageLayout`
 */
export function perturb(dataset: Dataset, perturbation: Perturbation, random: Random, told?: string): Dataset {
  const inputs = new Map(
    [...dataset.inputs].map(([name, value]): [string, TensorValue] => {
      const image = imageLayout(value.shape, told);
      if (!isPerturbed(value) || (perturbation.needsImage && image === undefined)) return [name, value];
      return [name, perturbArray(value, perturbation, random.fork(`${perturbation.name} ${name}`), image)];
    }),
  );
  return createDataset({
    name: `${dataset.name} under ${perturbation.name}`,
    inputs,
    unnamed: dataset.unnamed,
    assumptions: dataset.assumptions,
    ...(dataset.labels === undefined ? {} : { labels: dataset.labels }),
  });
}

function perturbArray(
  value: TensorValue,
  perturbation: Perturbation,
  random: Random,
  image: ImageLayout | undefined,
): TensorValue {
  const data = Float64Array.from(value.data as ArrayLike<number>);
  const width = sampleElements(value);
  const statistics = statisticsOf(data, width);
  const changed = perturbation.apply(data, { random, statistics, image, width });
  const { least, most } = statistics;
  const Constructor = value.data.constructor as new (length: number) => Float32Array;
  const result = new Constructor(changed.length);
  const isWhole = value.dtype === "uint8";
  for (let at = 0; at < changed.length; at++) {
    const cut = Math.min(most, Math.max(least, changed[at]));
    result[at] = isWhole ? Math.round(cut) : cut;
  }
  return { dtype: value.dtype, shape: value.shape, data: result };
}

function statisticsOf(data: Float64Array, width: number): ArrayStatistics {
  const means = new Float64Array(width);
  const squares = new Float64Array(width);
  const count = data.length / width;
  let [least, most] = [Infinity, -Infinity];
  for (let at = 0; at < data.length; at++) {
    means[at % width] += data[at] / count;
    if (data[at] < least) least = data[at];
    if (data[at] > most) most = data[at];
  }
  for (let at = 0; at < data.length; at++) squares[at % width] += (data[at] - means[at % width]) ** 2 / count;
  return { means, deviations: squares.map(Math.sqrt), least, most };
}
