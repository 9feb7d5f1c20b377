// A check as SARIF 2.1.0, the format that code-scanning services read; may depend on its room.
import type { CheckDocument, RuleFinding } from "./check-schema.ts";

const LEVEL = { breach: "error", warning: "warning", information: "note" } as const;

/** SARIF's own word for an outcome; unknown evidence is `open`, never a pass. */
const KIND: Readonly<Record<RuleFinding["outcome"], string>> = {
  pass: "pass",
  fail: "fail",
  unknown: "open",
  manual: "review",
  notApplicable: "notApplicable",
  notYetApplicable: "informational",
};

/**
 * One run with every rule and its result.
 *
 * @param file what was checked, as results point to it
 * @source SARIF 2.1.0, OASIS 2020: `level` is `none` unless `kind` is `fail`
 */
export function sarifOf(document: CheckDocument, file: string, version: string, lang: "en" | "zh"): object {
  return {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [
      {
        tool: {
          driver: {
            name: "lightfoot",
            version,
            rules: document.rules.map(({ id, title, explain, source }) => ({
              id,
              shortDescription: { text: title[lang] },
              fullDescription: { text: explain[lang] },
              helpUri: source.url,
            })),
          },
        },
        results: document.rules.map((finding, ruleIndex) => ({
          ruleId: finding.id,
          ruleIndex,
          kind: KIND[finding.outcome],
          level: finding.outcome === "fail" ? LEVEL[finding.severity] : "none",
          message: {
            text:
              finding.missing.length === 0 ? finding.explain[lang] : `missing evidence: ${finding.missing.join(", ")}`,
          },
          ...(finding.amount !== null && { properties: { amount: finding.amount } }),
          locations: [{ physicalLocation: { artifactLocation: { uri: file } } }],
        })),
      },
    ],
  };
}
