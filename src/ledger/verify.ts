// Checks a whole ledger: each file's chain, each file's head, and what later files saw of earlier ones; may depend on this room.
import { existsSync } from "node:fs";
import type { Finding } from "../errors/lightfoot-error.ts";
import { checkFile, type FileCheck } from "./check-file.ts";
import { checkCompacted } from "./compact.ts";
import { filePath, listWriters, readHead } from "./layout.ts";
import type { Verification } from "./verify-schema.ts";

/**
 * Reads every byte of a ledger and lists what does not hold.
 *
 * Within a file each block's digest covers its bytes and the block before. A file's head knows how many blocks there are, so
 * a cut at the end shows; the first line of each file names the newest file before it, so a file that is gone shows. Whoever
 * may write the folder could forge all of them together: a seal kept elsewhere is the proof against that.
 * @throws LightfootError E_FILE_NOT_FOUND without a ledger, E_FILE_READ
 */
export async function verifyLedger(folder: string): Promise<Verification> {
  const findings: Finding[] = [];
  const checks: FileCheck[] = [];
  for (const writer of listWriters(folder)) {
    const file = filePath(folder, writer);
    const head = readHead(folder, writer);
    if (existsSync(file)) checks.push(checkFile(file, writer, head));
    else if (head !== undefined && (head === null || head.blocks > 0)) {
      findings.push({ message: "the file is gone; its head is still there", where: { file } });
    }
  }
  const byWriter = new Map(checks.map((check) => [check.writer, check]));
  const files: Verification["files"] = [];
  const parquet = await checkCompacted(
    folder,
    checks.map(({ writer }) => writer),
  );
  for (const check of checks) {
    const compacted = parquet.get(check.writer) ?? { state: "none", findings: [] };
    findings.push(...check.findings, ...witnessed(check, byWriter, folder), ...compacted.findings);
    const { writer, file, lines, seals, looseLines, torn } = check;
    const seal = [...seals.values()].at(-1) ?? null;
    const state = check.closed ? "closed" : "open";
    files.push({ writer, file, lines, blocks: seals.size, looseLines, state, torn, seal, parquet: compacted.state });
  }
  return {
    schema: "lightfoot.ledger-verification/1",
    ledger: folder,
    holds: findings.length === 0,
    files,
    findings: findings.map(({ message, where }) => ({ message, file: where.file ?? folder, line: where.line ?? null })),
  };
}

/** Does the file that this one saw still stand as it was seen? */
function witnessed({ open, file }: FileCheck, checks: ReadonlyMap<string, FileCheck>, folder: string): Finding[] {
  const after = open?.after;
  if (after === null || after === undefined || typeof after.writer !== "string") return [];
  const seen = checks.get(after.writer);
  const there = filePath(folder, after.writer);
  if (seen === undefined) {
    if (after.blocks === 0) return []; // it had not said anything yet, and may have died before its first line
    return [{ message: `the file is gone; ${file} saw it with ${after.blocks} blocks`, where: { file: there } }];
  }
  // What is wrong inside that file was reported with its line.
  if (after.blocks === 0 || seen.findings.length > 0 || seen.seals.get(after.blocks) === after.seal) return [];
  return [
    { message: `block ${after.blocks} is not the one that ${file} saw when it began`, where: { file: there, line: 1 } },
  ];
}
