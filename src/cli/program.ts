// The command line as a commander program: global options and one line per verb; may depend on commander and this room.
import { Command, Option } from "commander";
import { registerTrain } from "./commands/train.ts";
import { registerRun } from "./commands/run.ts";
import { registerAnalyze } from "./commands/analyze.ts";
import { registerEvaluate } from "./commands/evaluate.ts";
import { registerSimulate } from "./commands/simulate.ts";
import { registerFootprint } from "./commands/footprint/index.ts";
import { registerVerify } from "./commands/verify.ts";
import { withExamples } from "./help.ts";
import { toolVersion } from "./version.ts";

/** Each verb's module is light: what is heavy is imported inside its action, so that `--help` answers at once. */
const VERBS: readonly ((program: Command) => void)[] = [
  registerRun,
  registerAnalyze,
  registerEvaluate,
  registerTrain,
  registerFootprint,
  registerVerify,
  registerSimulate,
];

/** The whole program. It throws `CommanderError` instead of ending the process. */
export function createProgram(): Command {
  const program = new Command("lightfoot")
    .description("Makes AI models tread lightly, and proves it.")
    .version(toolVersion(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .addOption(new Option("--json", "print the result as one JSON document, and errors as JSON on stderr"))
    .addOption(new Option("--quiet", "no narration on stderr"))
    .addOption(new Option("--verbose", "show the stack of an error"))
    .addOption(new Option("--strict", "exit 1 when the result rests on assumptions"))
    .configureHelp({ showGlobalOptions: true })
    // Complaints are printed once, by main, in the form that --json asks for.
    .configureOutput({ outputError: () => {} })
    .exitOverride();
  for (const register of VERBS) register(program);
  return withExamples(program, [
    ["lightfoot run examples/mnist/lightfoot.yaml --out out/mnist", "train, analyze, compress, judge and report"],
    ["lightfoot analyze model.onnx --batch 8", "what one run of a model costs"],
  ]);
}
