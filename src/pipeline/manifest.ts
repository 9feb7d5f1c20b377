// Reads `lightfoot.yaml`: everything that is wrong with it at once, paths resolved against its folder; may depend on io, compress, errors.
import { readFile, stat } from "node:fs/promises";
import { dirname, isAbsolute, resolve } from "node:path";
import { LightfootError, type Finding } from "../errors/lightfoot-error.ts";
import { sha256 } from "../io/digest.ts";
import { manifestSchema, type Manifest, type ModelSource } from "./manifest-schema.ts";
import { checkAgainst, inReadingOrder, locateYaml, type LocatedDocument } from "../io/yaml-findings.ts";

// Far above any manifest written by hand; below what would hold up the parser.
const MOST_MANIFEST_BYTES = 1_048_576;

/** Names that only the caller's rooms know, checked while line and column are still at hand. */
export interface KnownNames {
  /** Throws a LightfootError for a device that is not in the catalogue. */
  readonly hardware: (id: string) => void;
  /** Throws a LightfootError for a place that is not known. */
  readonly where: (place: string) => void;
  /** Throws a LightfootError for a metric that does not exist. */
  readonly metric: (name: string) => void;
  /** Throws a LightfootError for a field of evidence that does not exist, or a value that does not fit it. */
  readonly evidence: (field: string, value: unknown) => void;
  /** Throws a LightfootError for a technique that does not exist. */
  readonly technique: (name: string) => void;
}

export interface ReadManifest {
  readonly manifest: Manifest;
  readonly file: string;
  /** Of the file's bytes. */
  readonly digest: string;
}

/**
 * The manifest in a file, with absolute paths.
 *
 * @throws LightfootError E_MANIFEST with every finding, each with line, column and path
 */
export async function readManifest(path: string, known: KnownNames): Promise<ReadManifest> {
  const file = resolve(path);
  const bytes = await readFile(file).catch((cause: NodeJS.ErrnoException) => {
    const code = cause.code === "ENOENT" ? "E_FILE_NOT_FOUND" : "E_FILE_READ";
    throw new LightfootError(code, `the manifest ${path} cannot be read: ${cause.code ?? cause.message}`, {
      hint: "Give the path of a lightfoot.yaml, for example examples/mnist/lightfoot.yaml.",
      where: { file: path },
      cause,
    });
  });
  if (bytes.length > MOST_MANIFEST_BYTES) {
    throw new LightfootError(
      "E_LIMIT",
      `the manifest has ${bytes.length} bytes, at most ${MOST_MANIFEST_BYTES} are read`,
    );
  }
  const located = locateYaml(bytes.toString("utf8"), path);
  const manifest = checkManifest(located, known, path);
  const resolved = withAbsolutePaths(manifest, dirname(file));
  throwIfAny(await missingFiles(resolved, located), path);
  return { manifest: resolved, file, digest: sha256(bytes) };
}

/** The manifest in a text, paths as written. @throws LightfootError E_MANIFEST */
export function parseManifest(text: string, known: KnownNames, file = "lightfoot.yaml"): Manifest {
  return checkManifest(locateYaml(text, file), known, file);
}

function checkManifest(located: LocatedDocument, known: KnownNames, file: string): Manifest {
  const { value, findings } = checkAgainst(manifestSchema, located);
  const more = located.findings.length > 0 ? [] : [...crossFindings(located), ...unknownNames(located, known)];
  throwIfAny([...findings, ...more], file);
  return value as Manifest;
}

function throwIfAny(findings: readonly Finding[], file: string): void {
  if (findings.length === 0) return;
  const count = findings.length === 1 ? "a mistake" : `${findings.length} mistakes`;
  throw new LightfootError("E_MANIFEST", `the manifest has ${count}`, {
    where: { file },
    findings: inReadingOrder(findings),
  });
}

type Loose = Record<string, unknown> | undefined;

const group = (value: unknown): Loose =>
  value !== null && typeof value === "object" && !Array.isArray(value) ? (value as Loose) : undefined;

/** What no single key shows. Reads the unchecked data, so that these findings come together with the schema's. */
function crossFindings(located: LocatedDocument): Finding[] {
  const root = group(located.data);
  if (root === undefined) return [];
  const findings: Finding[] = [];
  const data = group(root["data"]);
  const trained: string[] = [];
  for (const key of ["model", "compare"]) {
    const source = group(root[key]);
    if (source === undefined) continue;
    if (source["mlp"] !== undefined) trained.push(key);
    if ((source["file"] === undefined) === (source["mlp"] === undefined)) {
      const both = source["file"] !== undefined;
      findings.push(
        located.findKey(
          [key],
          `'${key}' has ${both ? "both" : "neither"} of 'file' and 'mlp', expected one`,
          "Write file: net.onnx for a model you have, or mlp: {layers: [784, 128, 10]} for one to be trained.",
        ),
      );
    }
  }
  const first = trained[0];
  if (first !== undefined && root["train"] === undefined) {
    findings.push(
      located.findKey(
        [first, "mlp"],
        "a model to be trained needs 'train'",
        "Add train: {loss: cross-entropy, optimizer: adam, learningRate: 0.001, epochs: 10, batch: 32}.",
      ),
    );
  }
  if (data !== undefined && data["train"] === undefined) {
    if (first !== undefined) findings.push(located.findKey(["data"], "a model to be trained needs 'data.train'"));
    if (group(data["validate"])?.["split"] !== undefined) {
      findings.push(
        located.find(["data", "validate", "split"], "a split is taken from 'data.train', which is missing"),
      );
    }
  }
  const train = group(root["train"]);
  if (train?.["momentum"] !== undefined && train["optimizer"] !== "sgd") {
    findings.push(located.findKey(["train", "momentum"], "'momentum' has a meaning with optimizer: sgd only"));
  }
  return findings;
}

function unknownNames(located: LocatedDocument, known: KnownNames): Finding[] {
  const root = group(located.data);
  const techniques = Array.isArray(root?.["techniques"]) ? (root["techniques"] as unknown[]) : [];
  const text = (value: unknown, check: (name: string) => void) => (): void => {
    if (typeof value === "string") check(value);
  };
  const names: [path: (string | number)[], check: () => void][] = [
    [["hardware"], text(root?.["hardware"], known.hardware)],
    [["where"], text(root?.["where"], known.where)],
    [["budget", "metric"], text(group(root?.["budget"])?.["metric"], known.metric)],
    ...techniques.map((name, at): [(string | number)[], () => void] => [
      ["techniques", at],
      text(name, known.technique),
    ]),
    ...Object.entries(group(group(root?.["check"])?.["evidence"]) ?? {}).map(
      ([field, value]): [(string | number)[], () => void] => [
        ["check", "evidence", field],
        () => known.evidence(field, value),
      ],
    ),
  ];
  return names.flatMap(([path, check]) => {
    try {
      check();
      return [];
    } catch (error) {
      if (!(error instanceof LightfootError)) throw error;
      return [located.find(path, error.message, error.hint)];
    }
  });
}

/** `mnist:train` names a packaged data set, `test.npz` a file. A single letter before the colon is a Windows drive. */
const isNamedData = (spec: string): boolean => /^[a-z][a-z0-9-]+:(?![\\/])/.test(spec);

/** The file of `samples.npy#labels=answers.npy[0:500]`, without options and slice. */
const fileOfData = (spec: string): string => spec.replace(/\[[^\]]*\]$/, "").replace(/#.*$/, "");

function withAbsolutePaths(manifest: Manifest, folder: string): Manifest {
  const path = (text: string) => (isAbsolute(text) ? text : resolve(folder, text));
  const data = (spec: string | undefined) => {
    if (spec === undefined || isNamedData(spec)) return spec;
    return path(spec).replace(/([#&](?:labels|targets)=)([^&[]+)/g, (_, key: string, file: string) => key + path(file));
  };
  const model = (source: ModelSource): ModelSource =>
    source.file === undefined ? source : { ...source, file: path(source.file) };
  const { validate } = manifest.data;
  const { metric } = manifest.budget;
  return {
    ...manifest,
    model: model(manifest.model),
    ...(manifest.compare && { compare: model(manifest.compare) }),
    data: {
      train: data(manifest.data.train),
      validate: typeof validate === "string" ? (data(validate) ?? validate) : validate,
      test: data(manifest.data.test),
      calibrate: data(manifest.data.calibrate),
    },
    budget: { ...manifest.budget, metric: isModule(metric) ? path(metric) : metric },
    ...(manifest.audit && { audit: { ...manifest.audit, groups: manifest.audit.groups?.map(path) } }),
  };
}

const isModule = (metric: string): boolean => /^\.{0,2}\//.test(metric);

async function missingFiles(manifest: Manifest, located: LocatedDocument): Promise<Finding[]> {
  const { data, model, compare, budget } = manifest;
  const named: [path: string[], file: string | undefined][] = [
    [["model", "file"], model.file],
    [["compare", "file"], compare?.file],
    ...(["train", "validate", "test", "calibrate"] as const).map((key): [string[], string | undefined] => {
      const spec = data[key];
      return [["data", key], typeof spec === "string" && !isNamedData(spec) ? fileOfData(spec) : undefined];
    }),
    ...(manifest.audit?.groups ?? []).map((groups, at): [string[], string] => [
      ["audit", "groups", String(at)],
      fileOfData(groups),
    ]),
    [["budget", "metric"], isAbsolute(budget.metric) ? budget.metric : undefined],
  ];
  const findings: Finding[] = [];
  for (const [path, file] of named) {
    if (file === undefined) continue;
    const exists = await stat(file).then(
      () => true,
      () => false,
    );
    if (!exists) findings.push(located.find(path, `there is no file ${file}`, "Paths start at the manifest's folder."));
  }
  return findings;
}
