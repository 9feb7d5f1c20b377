// Scans files and folders for code in checkpoints, identifiers in data, signatures and licenses, and says what that proves; may depend on errors, io, signature and
// its room.
import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { sha256, sha256File } from "../../io/digest.ts";
import { fileError, openFileRange, type FileRange } from "../../io/file-range.ts";
import { verifyModelSignature, type TrustedKeys } from "../signature/verify-signature.ts";
import { fileBytes } from "./byte-window.ts";
import { judgeLicense, licenseIn, type LicenseStatement } from "./license.ts";
import { shown } from "./pickle-scan.ts";
import { containerOf, scanCheckpoint } from "./scan-checkpoint.ts";
import type { CheckpointReport, DataReport, ScanDocument } from "./scan-schema.ts";
import { scanData } from "./scan-text.ts";

export interface ScanOptions {
  /** Imports `module.name` the user vouches for. */
  readonly allow?: readonly string[];
  /** Whose signatures are trusted. */
  readonly trusted?: TrustedKeys;
  readonly signal?: AbortSignal;
  readonly onFile?: (file: string) => void;
}

const CHECKPOINT_NAME = /\.(pkl|pickle|pt|pth|ckpt|joblib|bin|dill)$/i;
const DATA_NAME = /\.(csv|tsv|jsonl|ndjson|json|txt|text|npz|npy)$/i;
/** Files that belong to a model: a zero found in them says nothing of the data it was calibrated on. */
const MODEL_PART =
  /(^|[/\\])((config|generation_config|tokenizer|tokenizer_config|vocab|added_tokens|special_tokens_map|preprocessor_config|processor_config|model_index|dossier|package|package-lock|[^/\\]*\.index)\.json|(vocab|merges|requirements|license|notice|readme)\.txt)$/i;
/** Data of kinds that are not read: beside them, no zero is a zero. */
const UNREAD_DATA =
  /\.(parquet|arrow|feather|avro|orc|xlsx?|ods|pdf|docx?|gz|bz2|xz|zst|lz4|zip|7z|rar|tar|tgz|sqlite|db|h5|hdf5)$/i;
const PLAIN_MODEL_NAME = /\.(safetensors|onnx|gguf|tflite)$/i;
/** Where the standard puts a model's signature. */
const SIGNATURE_NAME = "model.sig";
const MAX_FILES = 100_000;

/** Said with every result, found or not. */
export const SCAN_LIMITS: readonly string[] = [
  "A pickle in which nothing was found is weak evidence, not proof: scanners of pickles have been bypassed before. Prefer formats that cannot run code, such as safetensors or ONNX.",
  "Identifiers are found by pattern and check digit only. Names, postal addresses, dates of birth, faces, voices, handwriting, health data and identifiers of other countries are not looked for; some numbers that are found identify nobody.",
];

/**
 * Scans every file that is named, and every file below the folders that are named. Nothing in them is executed.
 *
 * @throws LightfootError E_FILE_NOT_FOUND, E_PERMISSION, E_FILE_READ for what was named; E_LIMIT; E_INTERRUPTED
 */
export async function scanPaths(paths: readonly string[], options: ScanOptions = {}): Promise<ScanDocument> {
  const checkpoints: CheckpointReport[] = [];
  const data: DataReport[] = [];
  const skipped: { file: string; reason: string }[] = [];
  const allow = new Set(options.allow ?? []);
  const signatures: ScanDocument["signatures"] = [];
  const statements: LicenseStatement[] = [];
  let plainModels = 0;
  let unreadData = false;
  for (const { file, isNamed } of await filesOf(paths)) {
    if (options.signal?.aborted === true) throw new LightfootError("E_INTERRUPTED", "stopped on request");
    options.onFile?.(file);
    if (basename(file) === SIGNATURE_NAME) {
      const report = await verifyModelSignature(file, dirname(file), options.trusted);
      signatures.push({ file: shown(file), ...report } as ScanDocument["signatures"][number]);
      continue;
    }
    const statement = await licenseIn(file);
    if (statement !== undefined) statements.push({ ...statement, file: shown(file) });
    const range = await openFileRange(file);
    try {
      const what = contentOf(range, isNamed);
      if (PLAIN_MODEL_NAME.test(file) && !what.checkpoint) plainModels++;
      if (!what.checkpoint && !what.data) {
        unreadData ||= UNREAD_DATA.test(file);
        skipped.push({ file: shown(file), reason: what.reason });
        continue;
      }
      const fields = { file: shown(file), bytes: range.size, digest: await sha256File(file) };
      if (what.checkpoint) {
        const { findings, incomplete, ...rest } = await scanCheckpoint(range, { allow });
        const outcome = outcomeOf(findings.length, incomplete);
        checkpoints.push({
          ...fields,
          outcome,
          ...rest,
          imports: [...rest.imports],
          findings: [...findings],
          incomplete: [...incomplete],
        });
      }
      if (what.data) {
        const { counts, places, incomplete, format } = await scanData(range);
        const outcome = outcomeOf(sum(Object.values(counts)), incomplete);
        data.push({ ...fields, outcome, format, counts, places: [...places], incomplete: [...incomplete] });
      }
    } finally {
      await range.close();
    }
  }
  const unsafeOpcodes = sum(checkpoints.map(({ findings }) => findings.length));
  const directIdentifiers = sum(data.flatMap(({ counts }) => Object.values(counts)));
  const evidence: ScanDocument["evidence"] = {};
  // Nothing found counts only where everything was looked at; something found counts in any case.
  if (unsafeOpcodes > 0 || (checkpoints.length + plainModels > 0 && checkpoints.every(isWhole))) {
    evidence["artifact.unsafeOpcodes"] = unsafeOpcodes;
  }
  if (directIdentifiers > 0 || (data.length > 0 && !unreadData && data.every(isWhole))) {
    evidence["privacy.directIdentifiers"] = directIdentifiers;
  }
  // One that is unknown beside others that hold leaves it open; one that does not hold settles it.
  if (signatures.some(({ outcome }) => outcome === "invalid")) evidence["artifact.signatureValid"] = false;
  else if (signatures.length > 0 && signatures.every(({ outcome }) => outcome === "valid")) {
    evidence["artifact.signatureValid"] = true;
  }
  const hasWeights = checkpoints.length + plainModels > 0;
  const license = hasWeights ? judgeLicense(statements) : { allowsChange: null, reason: "there are no weights" };
  if (license.allowsChange !== null) evidence["artifact.licenseAllowsChange"] = license.allowsChange;
  const content = {
    limits: [...SCAN_LIMITS],
    allowed: [...allow].toSorted(),
    counts: {
      checkpoints: checkpoints.length,
      dataFiles: data.length,
      unsafeOpcodes,
      directIdentifiers,
      incomplete: [...checkpoints, ...data].filter((report) => !isWhole(report)).length,
      invalidSignatures: signatures.filter(({ outcome }) => outcome === "invalid").length,
    },
    evidence,
    checkpoints,
    data,
    signatures,
    license: { ...license, statements },
    skipped,
  };
  return { schema: "lightfoot.scan/1", digest: sha256(JSON.stringify(content)), ...content };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
const isWhole = ({ incomplete }: { incomplete: readonly string[] }): boolean => incomplete.length === 0;

function outcomeOf(count: number, incomplete: readonly string[]): CheckpointReport["outcome"] {
  if (count > 0) return "found";
  return incomplete.length > 0 ? "incomplete" : "nothing found";
}

interface Content {
  readonly checkpoint: boolean;
  readonly data: boolean;
  readonly reason: string;
}

/** What a file is, by its first bytes before its name: a pickle that is called model.safetensors is still a pickle. */
function contentOf(range: FileRange, isNamed: boolean): Content {
  const bytes = fileBytes(range);
  const container = containerOf(bytes);
  const called = CHECKPOINT_NAME.test(range.path);
  // Two bytes are too little to take any file for a compressed pickle.
  const isCheckpoint = called || (container !== undefined && container !== "compressed pickle");
  if (isCheckpoint) return { checkpoint: true, data: DATA_NAME.test(range.path), reason: "" };
  if (!isNamed && MODEL_PART.test(range.path)) {
    return { checkpoint: false, data: false, reason: "part of a model or package, not data; name it to scan it" };
  }
  if (DATA_NAME.test(range.path)) return { checkpoint: false, data: true, reason: "" };
  if (PLAIN_MODEL_NAME.test(range.path))
    return { checkpoint: false, data: false, reason: "a format that holds no pickle" };
  if (/\.py$/i.test(range.path)) {
    const reason = "Python code, which a loader runs when it is told to trust it; read it yourself";
    return { checkpoint: false, data: false, reason };
  }
  if (UNREAD_DATA.test(range.path)) {
    return {
      checkpoint: false,
      data: false,
      reason: "data of a kind that is not read; export it as CSV or JSON Lines",
    };
  }
  const head = bytes.slice(0, Math.min(bytes.size, 4096));
  if (isNamed && range.size > 0 && !head.includes(0)) return { checkpoint: false, data: true, reason: "" };
  return { checkpoint: false, data: false, reason: "neither a checkpoint nor data of a kind that is scanned" };
}

async function filesOf(paths: readonly string[]): Promise<{ file: string; isNamed: boolean }[]> {
  const files = new Map<string, boolean>();
  const add = (file: string, isNamed: boolean): void => {
    files.set(file, isNamed || files.get(file) === true);
    if (files.size > MAX_FILES) throw new LightfootError("E_LIMIT", `more than ${MAX_FILES} files in one scan`);
  };
  for (const path of paths) {
    const status = await stat(path).catch((thrown: unknown) => {
      throw fileError(thrown, path);
    });
    if (!status.isDirectory()) add(path, true);
    else for await (const file of filesBelow(path)) add(file, false);
  }
  return [...files].map(([file, isNamed]) => ({ file, isNamed }));
}

/** Regular files in the order of their names, also behind links to files; folders behind links would be scanned twice. */
async function* filesBelow(folder: string): AsyncGenerator<string> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((thrown: unknown) => {
    throw fileError(thrown, folder);
  });
  for (const entry of entries.toSorted((left, right) => (left.name < right.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      if (entry.name !== ".git") yield* filesBelow(path);
    } else if (entry.isFile()) yield path;
    else if (entry.isSymbolicLink()) {
      const target = await stat(path).catch(() => undefined);
      if (target?.isFile() === true) yield path;
    }
  }
}
