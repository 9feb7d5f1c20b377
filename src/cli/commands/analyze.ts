// `lightfoot analyze`: what one run of a model costs, as tables or a document; may depend on this room, cost, quantity and errors.
import { Option, type Command } from "commander";
import type { CostReport, NodeCost } from "../../cost/report-schema.ts";
import { formatCount, formatFigure, formatNumber } from "../../quantity/format.ts";
import { runAction, type ActionContext } from "../action.ts";
import { withExamples } from "../help.ts";
import { collectShape, type InputShapes } from "../input-shape.ts";
import { formatTable } from "../terminal-table.ts";
import { wholeNumber } from "../whole-number.ts";

interface AnalyzeFlags {
  readonly input: InputShapes;
  readonly batch?: number;
  readonly hardware?: string;
  readonly by: "operator" | "node";
  readonly top: number;
}

/** Adds the verb `analyze` to the program. */
export function registerAnalyze(program: Command): void {
  const command = program
    .command("analyze")
    .alias("analyse")
    .description("what one run of a model computes, moves and keeps in memory")
    .argument("<model>", "an ONNX file")
    .option(
      "--input <name=shape>",
      "shape of an input, e.g. x=1x3x224x224 (x= for a scalar); repeatable",
      collectShape,
      {},
    )
    .option("--batch <n>", "size of the first dimension that inputs leave open", wholeNumber(1))
    .option(
      "--hardware <id>",
      "device of the catalogue for roofline seconds, e.g. nvidia-l4, nvidia-h100-sxm5-80gb:8, cpu:this",
    )
    .addOption(new Option("--by <what>", "what the table lists").choices(["operator", "node"]).default("operator"))
    .option("--top <n>", "rows of the table, the dearest first", wholeNumber(1), 15)
    .action(runAction(analyze));
  withExamples(command, [
    ["lightfoot analyze model.onnx --batch 8", "totals, then the dearest operators"],
    ["lightfoot analyze model.onnx --input x=1x3x224x224 --hardware nvidia-l4", "with seconds on a device"],
    ["lightfoot analyze model.onnx --by node --top 30 --json", "everything, node by node, for a program"],
  ]);
}

async function analyze(context: ActionContext, file: string, flags: AnalyzeFlags): Promise<void> {
  const { analyzeFile } = await import("../../cost/analyze.ts");
  context.progress.phase(`Analyzing ${file}`);
  const report = await analyzeFile(file, { inputs: flags.input, batch: flags.batch, hardware: flags.hardware });
  context.result(report, () => describe(report, flags, context.columns), report.assumptions);
}

const describeShapes = (values: Record<string, number[] | null>): string =>
  Object.entries(values)
    .map(([name, sizes]) => `${name} ${sizes === null ? "?" : `[${sizes.join(", ")}]`}`)
    .join(", ");

const countOrUnknown = (value: number | null): string => (value === null ? "unknown" : formatCount(value));

function describe(report: CostReport, flags: AnalyzeFlags, columns: number): string {
  const { model, coverage, roofline } = report;
  // With work missing the totals are lower bounds, and a bare 0 would read as free.
  const least = coverage.unknown.length > 0 ? "at least " : "";
  const facts: [string, string][] = [
    [
      "model",
      `${model.path ?? ""}  ONNX opset ${model.opset}${model.fileBytes === null ? "" : `, ${formatNumber(model.fileBytes, "B")}`}`,
    ],
    ["inputs", describeShapes(report.inputs)],
    ["outputs", describeShapes(report.outputs)],
    ["nodes", formatCount(report.nodeCount)],
    ["parameters", `${formatCount(report.parameters)}  (${formatNumber(report.weightBytes, "B")})`],
    ["multiply-adds", `${least}${formatCount(report.macs)}`],
    ["FLOPs", `${least}${formatCount(report.flops)}  (${formatNumber(report.flops, "FLOP")})`],
    ["bytes moved", `${least}${formatNumber(report.bytesMoved, "B")}`],
    ["peak activations", `${least}${formatNumber(report.peakActivationBytes, "B")}`],
  ];
  if (roofline !== null) {
    const share = Math.round(roofline.computeBoundFraction * 100);
    facts.push([
      `on ${roofline.hardware}`,
      `${formatFigure(roofline.duration)}, modelled; ${share} % of it compute-bound`,
    ]);
  }
  const width = Math.max(...facts.map(([name]) => name.length));
  const lines = facts.map(([name, value]) => `${name.padEnd(width)}  ${value}`);
  lines.push(
    "",
    flags.by === "node" ? nodeTable(report, flags.top, columns) : operatorTable(report, flags.top, columns),
  );
  if (coverage.unknown.length > 0) {
    const missing = ((1 - coverage.knownFraction) * 100).toFixed(1);
    lines.push(
      "",
      `Not counted: ${coverage.unknown.length} of ${report.byNode.length} nodes (${missing} %), for example`,
    );
    for (const { path, reason } of coverage.unknown.slice(0, 5)) lines.push(`  ${path}: ${reason}`);
  }
  return lines.join("\n");
}

const share = (part: number, whole: number): string => (whole === 0 ? "" : `${((100 * part) / whole).toFixed(1)} %`);

function operatorTable(report: CostReport, top: number, columns: number): string {
  const rows = Object.entries(report.byOperator)
    .toSorted(([, a], [, b]) => b.flops - a.flops || b.bytesMoved - a.bytesMoved || b.count - a.count)
    .slice(0, top)
    .map(([name, cost]) => [
      name,
      formatCount(cost.count),
      formatCount(cost.macs),
      formatCount(cost.flops),
      share(cost.flops, report.flops),
      formatNumber(cost.bytesMoved, "B"),
      formatCount(cost.parameters),
    ]);
  return formatTable(
    [
      { title: "operator" },
      { title: "nodes", align: "right" },
      { title: "multiply-adds", align: "right" },
      { title: "FLOPs", align: "right" },
      { title: "share", align: "right" },
      { title: "bytes moved", align: "right" },
      { title: "parameters", align: "right" },
    ],
    rows,
    columns,
  );
}

function nodeTable(report: CostReport, top: number, columns: number): string {
  const row = (node: NodeCost) => [
    node.path,
    node.opType,
    node.outputShapes.map((sizes) => (sizes === null ? "?" : sizes.join("×"))).join(" "),
    countOrUnknown(node.macs),
    countOrUnknown(node.flops),
    share(node.flops ?? 0, report.flops),
    node.bytesMoved === null ? "unknown" : formatNumber(node.bytesMoved, "B"),
  ];
  return formatTable(
    [
      { title: "node" },
      { title: "operator" },
      { title: "output" },
      { title: "multiply-adds", align: "right" },
      { title: "FLOPs", align: "right" },
      { title: "share", align: "right" },
      { title: "bytes moved", align: "right" },
    ],
    report.byNode
      .toSorted((a, b) => (b.flops ?? 0) - (a.flops ?? 0))
      .slice(0, top)
      .map(row),
    columns,
  );
}
