// The program without its verbs: name, global options, manners; apart from the verbs so that `track` starts without the others; may depend on commander and this room.
import { Command, Option } from "commander";
import { GLOBAL_OPTIONS } from "./global-options.ts";
import { withExamples } from "./help.ts";
import { toolVersion } from "./version.ts";

/** The program with these verbs. It throws `CommanderError` instead of ending the process. */
export function createBaseProgram(verbs: readonly ((program: Command) => void)[]): Command {
  const program = new Command("lightfoot")
    .description("Makes AI models tread lightly, and proves it.")
    .version(toolVersion(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .configureHelp({ showGlobalOptions: true })
    // Complaints are printed once, by main, in the form that --json asks for.
    .configureOutput({ outputError: () => {} })
    .exitOverride();
  for (const [flag, what] of GLOBAL_OPTIONS) program.addOption(new Option(flag, what));
  for (const register of verbs) register(program);
  return withExamples(program, [
    ["lightfoot run examples/mnist/lightfoot.yaml --out out/mnist", "train, analyze, compress, judge and report"],
    ["lightfoot analyze model.onnx --batch 8", "what one run of a model costs"],
  ]);
}
