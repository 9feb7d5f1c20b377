// Recomputes somebody else's footprint report and lists what does not hold; may depend on errors, io and its room.
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
import { CheckCollector, impossible, type Check } from "./check.ts";
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
  const collector = new CheckCollector();
  await CHECKS[format]({ text, document: detected.document, file }, collector);
  const groups = collector.groups();
  const nothing = impossible({
    code: "incomplete",
    where: {},
    message: "the report states nothing that can be recomputed",
  });
  const checks = groups.length > 0 ? groups : [{ ...nothing, count: 1 }];
  const countOf = (outcome: Check["outcome"], severity?: Check["severity"]): number =>
    checks
      .filter((check) => check.outcome === outcome && (severity === undefined || check.severity === severity))
      .reduce((sum, { count }) => sum + count, 0);
  return {
    schema: "lightfoot.verification/1",
    file,
    digest: sha256(bytes),
    format,
    holds: countOf("fails", "error") === 0,
    counts: {
      holds: countOf("holds"),
      errors: countOf("fails", "error"),
      warnings: countOf("fails", "warning"),
      notes: countOf("fails", "note"),
      notPossible: countOf("not possible"),
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

/** Each gives its checks as they come, so that those of a long table are never held as a list. */
const CHECKS: Readonly<Record<ReportFormat, (report: Report, into: CheckCollector) => void | Promise<void>>> = {
  codecarbon: ({ text, file }, into) =>
    checkCodeCarbon(parseCodeCarbon(text, file), (checks, isRow) => into.add(checks, isRow)),
  "impact-framework": async ({ text, file }, into) => {
    // Its plugins and its reader are heavy, and only this format needs them.
    const { checkImpactFramework } = await import("./check-impact-framework.ts");
    into.addGroups(await checkImpactFramework(text, file));
  },
  "model-card": ({ text, file }, into) => into.add(checkModelCard(readModelCard(text, file))),
  cyclonedx: ({ document, file }, into) => {
    for (const consumption of readCycloneDx(document, file)) into.add(checkConsumption(consumption));
  },
  sci: ({ document }, into) => {
    const statement = readSciStatement(document);
    if (statement !== undefined) into.add(checkSci(statement));
  },
  statement: ({ text }, into) => {
    into.add(checkStatement(text));
    into.add(checkAccount(readAccount(readStatement(text))));
  },
};
