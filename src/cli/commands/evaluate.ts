// `lightfoot evaluate`: how good a model is on data, each metric with its interval; may depend on this room, runtime, io and quantity.
import { InvalidArgumentError, type Command } from "commander";
import { formatFigure, formatFraction } from "../../quantity/format.ts";
import type { EvaluationDocument } from "../../runtime/evaluate-schema.ts";
import type { MetricResult } from "../../runtime/metric.ts";
import { runAction, type ActionContext } from "../action.ts";
import { withExamples } from "../help.ts";
import { formatTable } from "../terminal-table.ts";
import { wholeNumber } from "../whole-number.ts";

interface EvaluateFlags {
  readonly data: string;
  readonly metric: readonly string[];
  readonly batch?: number;
  readonly threads?: number;
  readonly output?: string;
  readonly classAxis?: number;
  readonly threshold?: number;
  readonly reference?: string;
  readonly seed: number;
}

/** Adds the verb `evaluate` to the program. */
export function registerEvaluate(program: Command): void {
  const command = program
    .command("evaluate")
    .description("judge an ONNX model on data, every metric with its 95 % interval")
    .argument("<model>", "an ONNX file")
    .requiredOption("--data <data>", "what to judge it on: .npz, .npy, IDX, .csv, .parquet, or mnist:test[:1000]")
    .requiredOption(
      "--metric <name>",
      "accuracy, top<k>, f1, f1-micro, f1-binary, mse, mae, cosine, fidelity, agreement, sqnr, or ./metric.mjs; repeatable",
      collect,
    )
    .option("--batch <n>", "samples in one run; left out, 256 or what the model fixes", wholeNumber(1))
    .option("--threads <n>", "threads of the engine; left out, one per core", wholeNumber(1))
    .option("--output <name>", "model output to judge; left out, the first")
    .option("--class-axis <axis>", "axis of the output that counts classes; left out, found from the labels", integer)
    .option("--threshold <score>", "score from which a single output means class 1", decimal)
    .option("--reference <file>", "the original model, for fidelity, agreement and sqnr")
    .option("--seed <n>", "decides bootstrap intervals", wholeNumber(0), 0)
    .action(runAction(evaluateAction));
  withExamples(command, [
    ["lightfoot evaluate net.onnx --data test.npz --metric accuracy --metric top5", "a classifier on labelled arrays"],
    [
      "lightfoot evaluate int8.onnx --data mnist:test --metric accuracy --metric fidelity --reference net.onnx",
      "a compressed model against its original",
    ],
    ["lightfoot evaluate net.onnx --data iris.csv#label=species --metric ./metric.mjs --json", "a metric of your own"],
  ]);
}

const collect = (value: string, before: readonly string[] = []): string[] => [...before, value];

function decimal(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value)) return value;
  throw new InvalidArgumentError("Expected a number.");
}

function integer(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError("Expected a whole number.");
}

async function evaluateAction(context: ActionContext, file: string, flags: EvaluateFlags): Promise<void> {
  const { sha256File } = await import("../../io/digest.ts");
  const { evaluateInWorker } = await import("../../runtime/evaluate-in-worker.ts");
  const { createThreadPool } = await import("../../runtime/task-runner.ts");

  const { data, metric, ...settings } = flags;
  const pool = createThreadPool(1);
  let phase = "";
  context.progress.phase("Reading model and data");
  try {
    const evaluation = await evaluateInWorker(pool, file, data, {
      ...settings,
      metrics: metric,
      signal: context.signal,
      onProgress(done, total) {
        if (phase === "") context.progress.phase((phase = "Evaluating"), total, "samples");
        context.progress.advance(done);
      },
    });
    const digested = async (path: string) => ({ file: path, digest: await sha256File(path) });
    const document: EvaluationDocument = {
      schema: "lightfoot.evaluation/1",
      model: await digested(file),
      reference: flags.reference === undefined ? null : await digested(flags.reference),
      data: evaluation.dataset,
      output: evaluation.output,
      batch: evaluation.batch,
      threads: flags.threads ?? null,
      seed: flags.seed,
      metrics: Object.fromEntries(
        Object.entries(evaluation.metrics).map(([name, { figure, higherIsBetter }]) => [
          name,
          { figure, higherIsBetter },
        ]),
      ),
      assumptions: [...evaluation.assumptions],
      runSeconds: evaluation.runSeconds,
    };
    const results = Object.values(evaluation.metrics);
    const assumptions = [...evaluation.assumptions, ...results.flatMap(({ figure }) => figure.assumptions)];
    context.result(document, () => summary(document, results, context.columns), assumptions);
  } finally {
    await pool.close();
  }
}

function summary(document: EvaluationDocument, results: readonly MetricResult[], columns: number): string {
  const { model, data, output, batch } = document;
  const rows = results.map((result) => [result.name, shown(result), result.higherIsBetter ? "more" : "less"]);
  const table = formatTable([{ title: "metric" }, { title: "value (95 %)" }, { title: "better" }], rows, columns);
  return `${model.file} on ${data.name}, ${data.sampleCount} samples, output ${output}, batch ${batch}\n\n${table}`;
}

/** Shares of right decisions read best in percent. */
const shown = ({ figure }: MetricResult): string =>
  figure.unit === "1" ? formatFraction(figure) : formatFigure(figure);
