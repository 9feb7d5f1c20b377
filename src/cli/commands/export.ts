// `lightfoot export`: a run's dossier or a site's meters as the documents that others ask for; may depend on this room, report, policy, footprint, errors and io.
import { Option, type Command } from "commander";
import { LightfootError } from "../../errors/lightfoot-error.ts";
import type { ExportDocument, WrittenFormat } from "../../report/exports/export-schema.ts";
import type { ROLES } from "../../report/exports/subject.ts";
import { runAction, type ActionContext } from "../action.ts";
import { withExamples } from "../help.ts";

interface ExportFlags {
  readonly format: WrittenFormat;
  readonly where?: string;
  readonly supplement?: string;
  readonly model?: (typeof ROLES)[number];
  readonly out?: string;
}

// Written out, because the schema's module loads zod and `--help` must not.
const FORMATS: readonly WrittenFormat[] = ["cyclonedx", "model-card", "sci", "gpai-form", "kpi-sheet"];
const MODELS: typeof ROLES = ["original", "narrow", "compressed"];

/** Adds the verb `export` to the program. */
export function registerExport(program: Command): void {
  const command = program
    .command("export")
    .description(
      "write a run's dossier as a CycloneDX bill, a model card, an SCI statement or the EU model form; a site's meters as a sheet of key figures",
    )
    .argument(
      "<file>",
      "the dossier.json of lightfoot run; for kpi-sheet an evidence.yaml with dc.siteEnergyKwh and dc.itEnergyKwh",
    )
    .addOption(new Option("--format <format>", "which document").choices(FORMATS).makeOptionMandatory())
    .option("--supplement <file>", "YAML with what no run can know: license, provider, place of training …")
    .addOption(
      new Option("--model <model>", "left out, the compressed one, or the original where none was accepted").choices(
        MODELS,
      ),
    )
    .option("--where <place>", "of kpi-sheet: place whose grid gives CUE; left out, dc.country")
    .option("--out <file>", "left out, the document goes to the terminal; gpai-form to a .docx is a Word document")
    .action(runAction(exportDocument));
  withExamples(command, [
    ["lightfoot export out/mnist/dossier.json --format cyclonedx --out bom.json", "ML-BOM with energy and carbon"],
    [
      "lightfoot export out/mnist/dossier.json --format model-card --supplement extra.yaml --out README.md",
      "Hugging Face model card, co2_eq_emissions in grams",
    ],
    ["lightfoot export out/mnist/dossier.json --format sci", "SCI and SCI for AI, per inference"],
    ["lightfoot export out/mnist/dossier.json --format gpai-form", "EU form: MWh, FLOP, and what is unknown"],
    ["lightfoot export out/mnist/dossier.json --format gpai-form --out form.docx", "the same as a Word document"],
    [
      "lightfoot export site.yaml --format kpi-sheet --where DE --out kpi.csv",
      "PUE, WUE, REF, ERF, CUE of a data center",
    ],
  ]);
}

async function exportDocument(context: ActionContext, file: string, flags: ExportFlags): Promise<void> {
  if (flags.format === "kpi-sheet") {
    await exportSheet(context, file, flags);
    return;
  }
  const { exportDossier, readDossier } = await import("../../report/exports/export-dossier.ts");
  const { readSupplement } = await import("../../report/exports/supplement.ts");
  const dossier = await readDossier(file);
  const supplement = flags.supplement === undefined ? {} : await readSupplement(flags.supplement);
  const { text, model, assumptions } = exportDossier(dossier, flags.format, supplement, flags.model);
  if (flags.out !== undefined) {
    const { writeFileAtomic } = await import("../../io/atomic-write.ts");
    const isWord = flags.format === "gpai-form" && /\.docx$/i.test(flags.out);
    await writeFileAtomic(flags.out, isWord ? await wordDocument(text, dossier.title) : text);
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

async function wordDocument(text: string, title: string): Promise<Uint8Array> {
  const { docxOfForm } = await import("../../report/exports/gpai-form-docx.ts");
  const { gpaiFormSchema } = await import("../../report/exports/export-schema.ts");
  return docxOfForm(gpaiFormSchema.parse(JSON.parse(text)), title);
}

async function exportSheet(context: ActionContext, file: string, { out, where }: ExportFlags): Promise<void> {
  const { readFile } = await import("node:fs/promises");
  const { fileError } = await import("../../io/file-range.ts");
  const { readPack } = await import("../../policy/rules/pack.ts");
  const { parseEvidence } = await import("../../policy/rules/evidence.ts");
  const { metersOfEvidence } = await import("../../policy/rules/site-evidence.ts");
  const { writeKpiSheet } = await import("../../footprint/exchange/kpi-sheet.ts");
  const { writeFileAtomic } = await import("../../io/atomic-write.ts");
  const source = await readFile(file, "utf8").catch((thrown: unknown) => {
    throw fileError(thrown, file);
  });
  const read = parseEvidence(source, readPack().vocabulary, file);
  const text = writeKpiSheet(metersOfEvidence(read.evidence, where ?? read.where));
  if (out !== undefined) await writeFileAtomic(out, text);
  const document: ExportDocument = {
    schema: "lightfoot.export/1",
    format: "kpi-sheet",
    model: null,
    file: out ?? null,
    text,
    assumptions: [],
  };
  context.result(document, () => (out === undefined ? text : `Wrote ${out}: key figures of the site in ${file}`));
}
