// The receipt of a compaction: which bytes went into which Parquet file; may depend on io and layout.
import { readFileSync } from "node:fs";
import type { Digest } from "../io/digest.ts";
import { receiptPath } from "./layout.ts";

export interface Receipt {
  readonly schema: "lightfoot.ledger-compaction/1";
  readonly writer: string;
  /** Length and digest of the JSONL file that was read; it never shrinks and is never replaced. */
  readonly bytes: number;
  readonly digest: Digest;
  readonly rows: number;
  readonly parquetBytes: number;
  readonly parquetDigest: Digest;
}

/** The receipt of a writer's file; undefined when there is none, null when it cannot be understood. */
export function readReceipt(folder: string, writer: string): Receipt | undefined | null {
  try {
    const value = JSON.parse(readFileSync(receiptPath(folder, writer), "utf8")) as Partial<Receipt> | null;
    return isReceipt(value) ? value : null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" ? undefined : null;
  }
}

function isReceipt(value: Partial<Receipt> | null): value is Receipt {
  return (
    typeof value === "object" &&
    value !== null &&
    [value.bytes, value.rows, value.parquetBytes].every(Number.isSafeInteger) &&
    [value.writer, value.digest, value.parquetDigest].every((text) => typeof text === "string")
  );
}
