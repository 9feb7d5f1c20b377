// `lightfoot export`: a run's dossier as the documents that others ask for; may depend on this room, report, errors and io.
import { Option, type Command } from "commander";
import { LightfootError } from "../../errors/lightfoot-error.ts";
import type { ExportDocument, ExportFormat } from "../../report/exports/export-schema.ts";
import type { ROLES } from "../../report/exports/subject.ts";
import { runAction, type ActionContext } from "../action.ts";
import { withExamples } from "../help.ts";

interface ExportFlags {
  readonly format: ExportFormat;
  readonly supplement?: string;
  readonly model?: (typeof ROLES)[number];
  readonly out?: string;
}

// Written out, because the schema's module loads zod and `--help` must not.
const FORMATS: readonly ExportFormat[] = ["cyclonedx", "model-card", "sci", "gpai-form"];
const MODELS: typeof ROLES = ["original", "narrow", "compressed"];

/** Adds the verb `export` to the program. */
export function registerExport(program: Command): void {
  const command = program
    .command("export")
    .description("write a run's dossier as a CycloneDX bill, a model card, an SCI statement or the EU model form")
    .argument("<dossier>", "the dossier.json of lightfoot run")
    .addOption(new Option("--format <format>", "which document").choices(FORMATS).makeOptionMandatory())
    .option("--supplement <file>", "YAML with what no run can know: license, provider, place of training …")
    .addOption(
      new Option("--model <model>", "left out, the compressed one, or the original where none was accepted").choices(
        MODELS,
      ),
    )
    .option("--out <file>", "left out, the document goes to the terminal")
    .action(runAction(exportDocument));
  withExamples(command, [
    ["lightfoot export out/mnist/dossier.json --format cyclonedx --out bom.json", "ML-BOM with energy and carbon"],
    [
      "lightfoot export out/mnist/dossier.json --format model-card --supplement extra.yaml --out README.md",
      "Hugging Face model card, co2_eq_emissions in grams",
    ],
    ["lightfoot export out/mnist/dossier.json --format sci", "SCI and SCI for AI, per inference"],
    ["lightfoot export out/mnist/dossier.json --format gpai-form", "EU form: MWh, FLOP, and what is unknown"],
  ]);
}

async function exportDocument(context: ActionContext, file: string, flags: ExportFlags): Promise<void> {
  const { exportDossier, readDossier } = await import("../../report/exports/export-dossier.ts");
  const { readSupplement } = await import("../../report/exports/supplement.ts");
  const dossier = await readDossier(file);
  const supplement = flags.supplement === undefined ? {} : await readSupplement(flags.supplement);
  const { text, model, assumptions } = exportDossier(dossier, flags.format, supplement, flags.model);
  if (flags.out !== undefined) {
    const { writeFileAtomic } = await import("../../io/atomic-write.ts");
    await writeFileAtomic(flags.out, text);
  }
  const document: ExportDocument = {
    schema: "lightfoot.export/1",
    format: flags.format,
    model,
    file: flags.out ?? null,
    text,
    assumptions: [...assumptions],
  };
  if (flags.out !== undefined) {
    const summary = `Wrote ${flags.out}: ${flags.format} of the model ${model.slice(0, 19)}…`;
    context.result(document, () => summary, assumptions);
    return;
  }
  // What was assumed stands in the document; below it, it would no longer be one that a program can read.
  context.result(document, () => text);
  if (assumptions.length === 0) return;
  context.note(`${assumptions.length} assumptions; they stand in the document.`);
  if (context.strict)
    throw new LightfootError("E_ASSUMPTIONS", `the document rests on ${assumptions.length} assumptions`);
}
