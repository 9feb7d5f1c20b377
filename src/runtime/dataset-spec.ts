// The notation that names a data set on the command line and in manifests; may depend on errors.
import { LightfootError } from "../errors/index.ts";

/** Options after `#`, each with what it does; the documentation and the error message list exactly these. */
export const DATASET_OPTIONS = {
  label: "column that holds the class number (tables); - for none",
  classes: "the classes of a text label column, joined by commas, in the order of the model's outputs",
  target: "column or columns, joined by commas, that hold values to approximate (tables)",
  columns: "`joined` (default: one array of all number columns) or `separate` (one array for each column)",
  labels: "file with the labels (.npy, IDX), beside the samples",
  targets: "file with the targets (.npy, IDX)",
  input: "name of the graph input that an array without a name feeds",
  dtype: "element type the inputs are turned into, e.g. float32 or int64",
  scale: "factor on every input element, a number or a fraction such as 1/255; the inputs become float32",
  shape: "shape of one sample, e.g. 784 or 1x28x28; the elements stay in order",
} as const;

export type DatasetOption = keyof typeof DATASET_OPTIONS;

export interface DatasetSpec {
  readonly source: string;
  readonly options: Readonly<Partial<Record<DatasetOption, string>>>;
  /** Undefined: from the first, to the last. */
  readonly start?: number;
  readonly end?: number;
}

/**
 * Parses `source[#option=value&…][[start:end]]`; a negative bound counts from the end.
 *
 * @throws LightfootError E_USAGE on an unknown option
 * @example parseDatasetSpec("mnist:train[:50000]") // { source: "mnist:train", options: {}, end: 50000 }
 * @example parseDatasetSpec("iris.csv#label=species[0:100]")
 */
export function parseDatasetSpec(text: string): DatasetSpec {
  const slice = /\[(-?\d*):(-?\d*)\]$/.exec(text);
  const body = slice === null ? text : text.slice(0, slice.index);
  const hash = body.indexOf("#");
  const source = hash === -1 ? body : body.slice(0, hash);
  if (source === "")
    throw new LightfootError("E_USAGE", `'${text}' names no data`, { hint: "write a path or mnist:test" });
  const options: Partial<Record<DatasetOption, string>> = {};
  for (const pair of hash === -1 ? [] : body.slice(hash + 1).split("&")) {
    const equals = pair.indexOf("=");
    const key = pair.slice(0, equals === -1 ? undefined : equals);
    if (!(key in DATASET_OPTIONS) || equals === -1) {
      throw new LightfootError("E_USAGE", `'${pair}' in '${text}' is no data option`, {
        hint: `Options are written #name=value, joined by &; there are ${Object.keys(DATASET_OPTIONS).join(", ")}.`,
      });
    }
    options[key as DatasetOption] = pair.slice(equals + 1);
  }
  const [start, end] = [parseBound(slice?.[1]), parseBound(slice?.[2])];
  return { source, options, ...(start === undefined ? {} : { start }), ...(end === undefined ? {} : { end }) };
}

const parseBound = (part: string | undefined): number | undefined =>
  part === undefined || part === "" || part === "-" ? undefined : Number(part);

/** The bounds of the slice in samples, clamped as in Python. */
export function sliceBounds(spec: DatasetSpec, sampleCount: number): { start: number; end: number } {
  const resolve = (bound: number): number =>
    Math.min(Math.max(bound < 0 ? bound + sampleCount : bound, 0), sampleCount);
  return { start: resolve(spec.start ?? 0), end: resolve(spec.end ?? sampleCount) };
}
