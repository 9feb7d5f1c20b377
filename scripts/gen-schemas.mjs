// Writes the JSON Schemas of the result documents into schemas/, from the zod schemas in dist/; depends on the build and zod.
import { mkdirSync, writeFileSync } from "node:fs";
import { z } from "zod";

/** File name by document, with the module and the name of its zod schema. */
const DOCUMENTS = {
  analysis: ["cost/report-schema.js", "analysisSchema"],
  compression: ["compress/candidate-schema.js", "searchResultSchema"],
  "model-check": ["compress/doctor/model-check-schema.js", "modelCheckSchema"],
  pack: ["compress/container/pack-schema.js", "packSchema"],
  unpack: ["compress/container/pack-schema.js", "unpackSchema"],
  doctor: ["meter/doctor-schema.js", "doctorSchema"],
  dossier: ["pipeline/dossier-schema.js", "dossierSchema"],
  audit: ["runtime/audit/audit-schema.js", "auditSchema"],
  evaluation: ["runtime/evaluate-schema.js", "evaluationSchema"],
  footprint: ["footprint/footprint-schema.js", "footprintSchema"],
  impact: ["footprint/impact-framework/impact-schema.js", "impactSchema"],
  verification: ["footprint/verify/verification-schema.js", "verificationSchema"],
  "llm-footprint": ["footprint/llm-schema.js", "llmFootprintSchema"],
  simulation: ["policy/simulate/result-schema.js", "simulationSchema"],
  sci: ["footprint/sci-schema.js", "sciSchema"],
  run: ["pipeline/track/run-schema.js", "runSchema"],
  "ledger-compacted": ["ledger/documents-schema.js", "ledgerCompactionSchema"],
  "ledger-list": ["ledger/documents-schema.js", "ledgerListSchema"],
  "ledger-query": ["ledger/documents-schema.js", "ledgerQuerySchema"],
  "ledger-run": ["ledger/documents-schema.js", "ledgerRunSchema"],
  "ledger-verification": ["ledger/verify-schema.js", "verificationSchema"],
  "gpai-form": ["report/exports/export-schema.js", "gpaiFormSchema"],
  export: ["report/exports/export-schema.js", "exportSchema"],
  facts: ["facts/facts-schema.js", "factsSchema"],
  check: ["policy/rules/check-schema.js", "checkSchema"],
  scan: ["policy/scan/scan-schema.js", "scanSchema"],
  rule: ["policy/rules/rule-schema.js", "ruleSchema"],
  training: ["runtime/train-schema.js", "trainingSchema"],
};

/** The text of each schema file, by file name. */
export async function schemaTexts() {
  const texts = {};
  for (const [name, [module, schema]] of Object.entries(DOCUMENTS)) {
    const loaded = await import(new URL(`../dist/${module}`, import.meta.url).href);
    texts[`${name}.schema.json`] =
      `${JSON.stringify(z.toJSONSchema(loaded[schema], { io: "output" }), undefined, 2)}\n`;
  }
  return texts;
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const folder = new URL("../schemas/", import.meta.url);
  mkdirSync(folder, { recursive: true });
  for (const [file, text] of Object.entries(await schemaTexts())) writeFileSync(new URL(file, folder), text);
}
