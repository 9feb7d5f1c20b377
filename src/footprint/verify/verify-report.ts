// Recomputes somebody else's footprint report and lists what does not hold; may depend on errors, io, facts and its room.
import { readFile, stat } from "node:fs/promises";
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { sha256 } from "../../io/digest.ts";
import { fileError } from "../../io/file-range.ts";
import { parseCodeCarbon } from "../exchange/codecarbon.ts";
import { readCycloneDx } from "../exchange/cyclonedx.ts";
import { readModelCard } from "../exchange/model-card.ts";
import { readSciStatement } from "../exchange/sci-statement.ts";
import { readStatement } from "../exchange/statement.ts";
import { checkAccount, readAccount } from "./check-account.ts";
import { checkCodeCarbon } from "./check-codecarbon.ts";
import { checkConsumption } from "./check-cyclonedx.ts";
import { checkModelCard } from "./check-model-card.ts";
import { checkSci } from "./check-sci.ts";
import { checkStatement } from "./check-statement.ts";
import { impossible, type Check } from "./check.ts";
import { detectFormat } from "./detect.ts";
import { REPORT_FORMATS, type ReportFormat, type Verification } from "./verification-schema.ts";

// Reports are read whole. The largest that people write by program are a few hundred megabytes of observations.
const LARGEST_BYTES = 1 << 29;

export interface VerifyOptions {
  /** Told from the content when left out. */
  readonly format?: ReportFormat;
}

/**
 * Every check that a report allows, with the outcome of each.
 *
 * @param file path of the report
 * @throws LightfootError E_FILE_NOT_FOUND, E_FORMAT_UNKNOWN, E_LIMIT, E_DATA when the format's own syntax is broken
 * @example (await verifyReport("emissions.csv")).holds
 */
export async function verifyReport(file: string, options: VerifyOptions = {}): Promise<Verification> {
  const bytes = await readWhole(file);
  const text = decode(bytes, file);
  const detected = detectFormat(text);
  const format = options.format ?? detected.format;
  if (format === undefined) {
    throw new LightfootError("E_FORMAT_UNKNOWN", "the file is no footprint report that Lightfoot can verify", {
      where: { file },
      hint: `It reads: ${Object.values(REPORT_FORMATS).join(", ")}.`,
    });
  }
  const found = CHECKS[format]({ text, document: detected.document, file });
  const checks =
    found.length > 0
      ? found
      : [impossible({ code: "incomplete", where: {}, message: "the report states nothing that can be recomputed" })];
  const failures = checks.filter(({ outcome }) => outcome === "fails");
  const count = (severity: Check["severity"]): number => failures.filter((check) => check.severity === severity).length;
  return {
    schema: "lightfoot.verification/1",
    file,
    digest: sha256(bytes),
    format,
    holds: count("error") === 0,
    counts: {
      holds: checks.filter(({ outcome }) => outcome === "holds").length,
      errors: count("error"),
      warnings: count("warning"),
      notes: count("note"),
      notPossible: checks.filter(({ outcome }) => outcome === "not possible").length,
    },
    checks,
  };
}

async function readWhole(file: string): Promise<Buffer> {
  try {
    const { size } = await stat(file);
    if (size > LARGEST_BYTES) {
      throw new LightfootError("E_LIMIT", `the report has ${size} bytes, expected at most ${LARGEST_BYTES}`, {
        where: { file },
      });
    }
    return await readFile(file);
  } catch (thrown) {
    throw fileError(thrown, file);
  }
}

function decode(bytes: Buffer, file: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new LightfootError("E_FORMAT_UNKNOWN", "the file is no UTF-8 text", {
      cause,
      where: { file },
      hint: `Reports are text: ${Object.values(REPORT_FORMATS).join(", ")}.`,
    });
  }
}

interface Report {
  readonly text: string;
  readonly document: unknown;
  readonly file: string;
}

const CHECKS: Readonly<Record<ReportFormat, (report: Report) => Check[]>> = {
  codecarbon: ({ text, file }) => checkCodeCarbon(parseCodeCarbon(text, file)),
  "model-card": ({ text, file }) => checkModelCard(readModelCard(text, file)),
  cyclonedx: ({ document, file }) => readCycloneDx(document, file).flatMap(checkConsumption),
  sci: ({ document }) => {
    const statement = readSciStatement(document);
    return statement === undefined ? [] : checkSci(statement);
  },
  statement: ({ text }) => [...checkStatement(text), ...checkAccount(readAccount(readStatement(text)))],
};
