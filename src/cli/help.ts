// Examples below a command's help; may depend on commander.
import type { Command } from "commander";

/**
 * Adds examples that can be typed as they stand.
 *
 * @example withExamples(command, [["lightfoot analyze net.onnx", "what one inference costs"]])
 */
export function withExamples(command: Command, examples: readonly (readonly [line: string, what: string])[]): Command {
  const lines = examples.map(([line, what]) => `  # ${what}\n  $ ${line}`);
  return command.addHelpText("after", `\nExamples:\n${lines.join("\n")}`);
}
