// What a scan proves, as evidence for rules; may depend on its room and rules.
import type { Evidence } from "../rules/judge.ts";
import type { ScanDocument } from "./scan-schema.ts";

/** Fields a scan settles, measured, with the digest of the scan as their source; a scan that is incomplete settles no zero. */
export function evidenceOfScan({ evidence, digest }: ScanDocument): Map<string, Evidence> {
  return new Map(
    Object.entries(evidence).map(([field, value]) => [
      field,
      { value, method: "measured", source: `lightfoot scan ${digest}` },
    ]),
  );
}
