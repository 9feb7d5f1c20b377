// `lightfoot compress`: options to a search, events to the progress line, the front to the screen; may depend on this room, pipeline, report
// and io.
import { basename, join } from "node:path";
import { InvalidArgumentError, Option, type Command } from "commander";
import type { SearchEvent } from "../../compress/search-options.ts";
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { runAction, type ActionContext } from "../action.ts";
import { withExamples } from "../help.ts";
import { toolVersion } from "../version.ts";
import { realNumber } from "../real-number.ts";
import { wholeNumber } from "../whole-number.ts";

interface CompressFlags {
  readonly data: string;
  readonly test?: string;
  readonly train?: string;
  readonly calibrate?: string;
  readonly metric?: string;
  readonly maxDrop?: string;
  readonly confidence?: number;
  readonly goal: "size" | "latency" | "energy" | "memory";
  readonly batch?: readonly number[];
  readonly technique?: readonly string[];
  readonly timeLimit?: string;
  readonly maxCandidates?: number;
  readonly seed: number;
  readonly threads?: number;
  readonly epochs?: number;
  readonly featureWeight?: number;
  readonly cache: boolean;
  readonly out: string;
  readonly language: "en" | "zh";
}

/** Adds the verb `compress` to the program. */
export function registerCompress(program: Command): void {
  const command = program
    .command("compress")
    .description("make an ONNX model smaller, faster or leaner within an accuracy budget, and prove it on data")
    .argument("<model>", "an ONNX file")
    .requiredOption(
      "--data <data>",
      "validation data, which chooses: .npz, .npy, IDX, .csv, .parquet, mnist:train[50000:]",
    )
    .option("--test <data>", "data that judges the choice, looked at once, afterwards")
    .option(
      "--train <data>",
      "data to retrain on; left out, a network that loses units is fitted by least squares on the calibration data",
    )
    .option("--calibrate <data>", "data for the ranges of activations; left out, the training or validation data")
    .option(
      "--metric <name>",
      "what may not drop: accuracy, top<k>, f1, mse, cosine, … or ./metric.mjs; left out, accuracy with labels, else fidelity",
    )
    .option(
      "--max-drop <budget>",
      "the accuracy budget: 0.5pt (points of a share) or 0.5% (of the original's score); left out, 0.5pt of accuracy, 0.5% of another metric",
    )
    .option(
      "--confidence <level>",
      "the loss must hold the budget even at the far end of its interval at this level, such as 95%; left out, the estimate must, and the far end at 95 % twice the budget",
      level,
    )
    .addOption(
      new Option("--goal <what>", "what is to become small")
        .choices(["size", "latency", "energy", "memory"])
        .default("size"),
    )
    .option(
      "--batch <sizes>",
      "batch sizes to time, the goal latency counts the first, energy the largest; left out, 1,32 (1 for large models), or what the model fixes",
      batches,
    )
    .option("--technique <name>", "try only this one and chains of those named; repeatable", collect)
    .option("--time-limit <duration>", "end with the best found after this: 90s, 10m, 2h")
    .option("--max-candidates <n>", "make at most so many candidates", wholeNumber(1))
    .option("--epochs <n>", "epochs of each retraining", wholeNumber(1))
    .option(
      "--feature-weight <w>",
      "retraining adds w times the mean relative squared error of inner layers against the original's",
      realNumber(0, 1e6),
    )
    .option("--seed <n>", "decides training and intervals", wholeNumber(0), 0)
    .option("--threads <n>", "threads of the engine; left out, one per core", wholeNumber(1))
    .option("--no-cache", "time layers anew, and keep no times in the user's cache folder")
    .option("--out <folder>", "where the models, compression.json and compression.html go", "out")
    .addOption(new Option("--language <code>", "language of the report").choices(["en", "zh"]).default("en"))
    .action(runAction(compressAction));
  withExamples(command, [
    [
      "lightfoot compress net.onnx --data val.npz --test test.npz --max-drop 0.5pt",
      "the smallest file within half a point",
    ],
    [
      "lightfoot compress net.onnx --data val.npz --goal latency --batch 1,32 --technique static-int8 --technique dynamic-int8",
      "the fastest at batch 1, integers only",
    ],
    [
      "lightfoot compress net.onnx --data val.npz --calibrate cal.npz --technique codebooks --technique packed",
      "a small file for any ONNX runtime, without training",
    ],
    [
      "lightfoot compress net.onnx --data unlabelled.npz --max-drop 1% --time-limit 10m",
      "close to the original's own answers",
    ],
    ["lightfoot compress net.onnx --data val.npz --metric ./metric.mjs --max-drop 2% --json", "a metric of your own"],
  ]);
}

const collect = (value: string, before: readonly string[] = []): string[] => [...before, value];

function level(text: string): number {
  const value = text.endsWith("%") ? Number(text.slice(0, -1)) / 100 : Number(text);
  if (text.trim() !== "" && value > 0 && value < 1) return value;
  throw new InvalidArgumentError("Expected a level such as 95% or 0.95.");
}

const batches = (text: string): number[] => [...new Set(text.split(",").map(wholeNumber(1)))];

async function compressAction(context: ActionContext, file: string, flags: CompressFlags): Promise<void> {
  const { parseMaxDrop } = await import("../../compress/budget.ts");
  const { compress } = await import("../../pipeline/compress.ts");
  const { writeFileAtomic } = await import("../../io/atomic-write.ts");
  const { renderCompression } = await import("../../report/compression-page.ts");
  const { compressionText, compressionVerdict } = await import("../../report/compression-text.ts");
  const { parseQuantity } = await import("../../quantity/parse-quantity.ts");
  const { formatTable } = await import("../terminal-table.ts");
  const { wrapText } = await import("../wrap-text.ts");

  const { timeLimit, out, epochs, featureWeight } = flags;
  const retraining = { "--epochs": epochs, "--feature-weight": featureWeight };
  const useless = Object.entries(retraining).find(([, value]) => value !== undefined && flags.train === undefined);
  if (useless !== undefined) {
    throw new LightfootError("E_USAGE", `${useless[0]} is for retraining, and there is nothing to retrain on`, {
      hint: "Add --train data.npz, or leave it out.",
    });
  }
  // `m` alone could be months elsewhere; a search does not last that long.
  const limit = timeLimit?.replace(/(?<=\d)\s*m$/, "min");
  context.progress.phase("Reading model and data");
  const { result, assumptions } = await compress({
    model: file,
    outDir: out,
    data: { validation: flags.data, test: flags.test, train: flags.train, calibration: flags.calibrate },
    metric: flags.metric,
    maxDrop: flags.maxDrop === undefined ? undefined : parseMaxDrop(flags.maxDrop),
    confidence: flags.confidence,
    goal: flags.goal,
    batches: flags.batch,
    techniques: flags.technique,
    timeLimitSeconds: limit === undefined ? undefined : parseQuantity(limit, "duration", "--time-limit"),
    maxCandidates: flags.maxCandidates,
    retrain: {
      ...(epochs === undefined ? {} : { epochs }),
      ...(featureWeight === undefined ? {} : { featureWeight }),
    },
    useCache: flags.cache,
    seed: flags.seed,
    threads: flags.threads,
    version: toolVersion(),
    signal: context.signal,
    clock: () => performance.now() / 1000,
    onEvent: narrate(context),
  });
  context.progress.phase("Writing the report");
  const page = await renderCompression(result, { title: basename(file), language: flags.language });
  await writeFileAtomic(join(out, "compression.html"), page);
  const verdict = compressionVerdict(result);
  const text = () => {
    const { head, rows, paragraphs } = compressionText(result);
    const files = ["compression.html", "compression.json", "candidates/"];
    if (result.selected !== null) files.unshift("compressed.onnx");
    const closing = [...paragraphs, verdict.text, `Wrote ${out}: ${files.join(", ")}`];
    const prose = closing.map((paragraph) => wrapText(paragraph, context.columns).join("\n"));
    return [formatTable(head, rows, context.columns), ...prose].join("\n\n");
  };
  context.result(result, text, assumptions);
  if (result.ended === "interrupted") {
    throw new LightfootError("E_INTERRUPTED", "the search was stopped; what it had found is saved", {
      hint: "Run the same command again to go on where it stopped.",
    });
  }
  if (!verdict.holds) {
    throw new LightfootError("E_BUDGET", verdict.text, {
      hint: verdict.hint,
    });
  }
}

const STAGES = { making: "making", measuring: "measuring", scoring: "scoring" } as const;

/** Events as the progress line: candidates are counted, the detail says which one and what is done with it. */
function narrate(context: ActionContext): (event: SearchEvent) => void {
  const { progress, signal } = context;
  let [done, title, inLayers] = [0, "", false];
  signal.addEventListener(
    "abort",
    () => progress.phase("Stopping: the run of the engine that is going on has to end"),
    {
      once: true,
    },
  );
  return (event) => {
    switch (event.kind) {
      case "started":
        progress.phase("Measuring the original");
        break;
      case "resumed":
        context.note(`Going on: ${event.candidates} candidates of the search that was stopped are taken over.`);
        break;
      case "layers":
        if (event.done === 0) progress.phase("Measuring layer by layer", event.layers, "layers");
        progress.advance(event.done);
        inLayers = true;
        break;
      case "trying":
        if (title === "" || inLayers) progress.phase("Compressing", event.planned, "candidates");
        inLayers = false;
        ({ done, title } = event);
        progress.advance(done, title, event.planned);
        break;
      case "working":
        progress.advance(done, `${title} · ${STAGES[event.stage]}`);
        break;
      case "training":
        progress.advance(done, `${title} · epoch ${event.epoch} of ${event.epochs} · loss ${event.loss.toFixed(4)}`);
        break;
      case "selected":
        progress.phase("Judging");
        break;
    }
  };
}
