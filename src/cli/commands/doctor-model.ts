// `lightfoot doctor model`: what an ONNX file from elsewhere really runs, what makes it slow, and its repair; may depend on this
// room, compress, runtime, quantity and errors.
import type { Command } from "commander";
import type { ModelCheck, ModelFinding, ModelRepair } from "../../compress/doctor/model-check-schema.ts";
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { formatFigure, formatNumber } from "../../quantity/format.ts";
import { runAction, type ActionContext } from "../action.ts";
import { withExamples } from "../help.ts";
import { collectShape, type InputShapes } from "../input-shape.ts";
import { onStdout } from "../output.ts";
import { wrapText } from "../wrap-text.ts";
import { wholeNumber } from "../whole-number.ts";

interface ModelFlags {
  readonly repair: boolean;
  readonly out?: string;
  readonly exactOnly: boolean;
  readonly data?: string;
  readonly input: InputShapes;
  readonly batch?: number;
  readonly threads?: number;
  readonly seed: number;
}

/** Adds `model` below the verb `doctor`. */
export function addModelDoctor(doctor: Command): void {
  const command = doctor
    .command("model")
    .description("what a quantised ONNX file really runs on this machine, what makes it slow or wrong, and its repair")
    .argument("<model>", "an ONNX file, e.g. a hub's q8 or q4")
    .option("--repair", "mend what can be mended from the file alone, and run both files to prove it", false)
    .option("--out <file>", "where the repaired model goes; with --repair")
    .option("--exact-only", "with --repair: leave accuracy_level alone, which rounds activations to 8 bits", false)
    .option("--data <data>", "real samples to compare on: .npz, .npy, .csv, …; left out, seeded random numbers")
    .option(
      "--input <name=shape>",
      "shape of an input whose sizes are open, e.g. ids=1x16; repeatable",
      collectShape,
      {},
    )
    .option(
      "--batch <n>",
      "samples in one run of the comparison; left out, what the model fixes, else 1",
      wholeNumber(1),
    )
    .option("--threads <n>", "threads of the engine; left out, one per core", wholeNumber(1))
    .option("--seed <n>", "decides the random numbers", wholeNumber(0), 0)
    .action(runAction(examine));
  withExamples(command, [
    [
      "lightfoot doctor model model_q4.onnx",
      "what runs in which precision, and what is slow; exit 1 when something is",
    ],
    [
      "lightfoot doctor model model_q4.onnx --repair --out fixed.onnx",
      "mended, with outputs and speed before and after",
    ],
    [
      "lightfoot doctor model model_quantized.onnx --repair --out fixed.onnx --data samples.npz --exact-only",
      "only what leaves the outputs as they are, proved on real samples",
    ],
    ["lightfoot doctor model model_q4.onnx --input input_ids=1x16 --json", "for a program"],
  ]);
}

async function examine(context: ActionContext, file: string, flags: ModelFlags): Promise<void> {
  if (flags.repair !== (flags.out !== undefined)) {
    throw new LightfootError("E_USAGE", flags.repair ? "--repair needs --out" : "--out is for --repair", {
      hint: `lightfoot doctor model ${file} --repair --out fixed.onnx`,
    });
  }
  const { checkModel } = await import("../../compress/doctor/check-model.ts");
  const { loadDataset } = await import("../../runtime/load-dataset.ts");
  context.progress.phase(flags.repair ? "Examining, repairing and comparing" : "Examining");
  const document = await checkModel(file, {
    ...(flags.out === undefined ? {} : { out: flags.out }),
    ...(flags.data === undefined ? {} : { dataset: await loadDataset(flags.data) }),
    exactOnly: flags.exactOnly,
    inputs: flags.input,
    batch: flags.batch,
    threads: flags.threads,
    seed: flags.seed,
    signal: context.signal,
  });
  context.result(document, () => describe(document, context.columns));
  const wrong = wrongPatterns(document);
  if (wrong.length > 0) {
    throw new LightfootError("E_MODEL_CHECK", `${file}: ${wrong.join(", ")}`, {
      hint: hintFor(document, file),
    });
  }
}

/** Patterns that are faults and are there; after a repair, those that are still there. */
function wrongPatterns({ findings, repair }: ModelCheck): string[] {
  const faults = findings.filter(({ severity }) => severity !== "note").map(({ pattern }) => pattern);
  return repair === null ? faults : faults.filter((pattern) => repair.remaining[pattern] !== undefined);
}

function hintFor({ findings, repair }: ModelCheck, file: string): string | undefined {
  const canRepair = findings.some(({ places }) => places.some(({ repairable }) => repairable));
  return repair === null && canRepair ? `lightfoot doctor model ${file} --repair --out fixed.onnx` : undefined;
}

const percent = (share: number): string => `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;

function executionText({ int8Share, int4Share, floatShare, leftoverQuantizeNodes }: ModelCheck["execution"]): string {
  const left =
    leftoverQuantizeNodes === 0 ? "" : `; ${leftoverQuantizeNodes} QuantizeLinear/DequantizeLinear left over`;
  return `${percent(int8Share)} int8, ${percent(int4Share)} of 4 bits or fewer, ${percent(floatShare)} float, by multiply-adds${left}`;
}

function describe(document: ModelCheck, columns: number): string {
  const { model, execution, unknownOperators, unexamined, processor, findings, repair } = document;
  const facts: [string, string][] = [
    ["model", `${model.file}, ${formatNumber(model.fileBytes, "B", 3)}`],
    ["runs in", executionText(execution)],
    ["processor", processor],
  ];
  if (unexamined.subgraphs + unexamined.functions > 0) facts.push(["left alone", leftAlone(unexamined)]);
  if (unknownOperators.length > 0) facts.push(["not counted", unknownOperators.join(", ")]);
  const lines = factLines(facts, columns);
  if (findings.length === 0) lines.push("", `${onStdout("green", "●")} nothing slow or wrong was found`);
  for (const finding of findings) lines.push("", ...findingLines(finding, columns));
  if (repair !== null) lines.push("", ...repairLines(repair, columns));
  return lines.join("\n");
}

function leftAlone({ subgraphs, functions }: ModelCheck["unexamined"]): string {
  const parts = [
    ...(subgraphs === 0 ? [] : [`${subgraphs} ${subgraphs === 1 ? "subgraph" : "subgraphs"} (branches, loop bodies)`]),
    ...(functions === 0 ? [] : [`${functions} model-local ${functions === 1 ? "function" : "functions"}`]),
  ];
  return `${parts.join(" and ")}: the patterns were looked for in the main graph only`;
}

const factLines = (facts: readonly [string, string][], columns: number): string[] =>
  facts.flatMap(([title, value]) => wrapText(`${title.padEnd(11)}  ${value}`, columns, " ".repeat(13)));

const SHOWN_PLACES = 3;

function findingLines({ pattern, severity, what, cost, repair, places }: ModelFinding, columns: number): string[] {
  const names = places.slice(0, SHOWN_PLACES).map(({ node }) => node);
  const more = places.length > SHOWN_PLACES ? ` and ${places.length - SHOWN_PLACES} more` : "";
  const repairable = places.filter((place) => place.repairable).length;
  const kind = { exact: "exactly repairable", rounds: "repairable by rounding activations", none: "" }[repair.kind];
  const remedy =
    repairable > 0 ? `${kind}, ${repairable} of ${places.length}: ${repair.how}` : `not from this file: ${repair.how}`;
  const sign = severity === "note" ? onStdout("yellow", "○") : onStdout("red", "✗");
  return [
    `${sign} ${onStdout("bold", pattern)}: ${names.join(", ")}${more}`,
    ...wrapText(`  ${what}.`, columns, "  "),
    ...wrapText(`  Cost: ${cost}.`, columns, "  "),
    ...wrapText(`  → ${remedy}.`, columns, "    "),
  ];
}

function repairLines(repair: ModelRepair, columns: number): string[] {
  const { model, mended, execution, outputs, latency, data, batch, notes, remaining } = repair;
  const counted = (counts: Record<string, number>) =>
    Object.entries(counts)
      .map(([pattern, count]) => `${pattern} (${count})`)
      .join(", ");
  const differences = outputs.map(({ name, identical, largestDifference, relativeDifference }) => {
    if (identical) return `${name} the same to the last bit`;
    const relative = relativeDifference === null ? "" : `${(relativeDifference * 100).toPrecision(2)} % off, `;
    return `${name} ${relative}at most by ${largestDifference.toPrecision(2)}`;
  });
  const facts: [string, string][] = [
    ["repaired", `${model.file}, ${formatNumber(model.fileBytes, "B", 3)}: ${counted(mended)}`],
    ["runs in", executionText(execution)],
    ["outputs", `${differences.join("; ")} (on ${data})`],
    ["a run", `${formatFigure(latency.before)} before, ${formatFigure(latency.after)} after, batch ${batch}`],
    ["speed-up", `${formatFigure(latency.speedUp)}, median of pairs run in turns`],
  ];
  for (const note of notes) facts.push(["note", note]);
  if (Object.keys(remaining).length > 0) facts.push(["remaining", counted(remaining)]);
  return factLines(facts, columns);
}
