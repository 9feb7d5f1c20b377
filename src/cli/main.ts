#!/usr/bin/env node
// The process: argv in, exit code out; wires streams and signals to the program; may depend on this room and errors.
import { asLightfootError } from "../errors/lightfoot-error.ts";
import { listenForInterrupts } from "./interrupt.ts";
import { printError } from "./output.ts";
import { createProgram } from "./program.ts";
import { usageError } from "./usage-error.ts";

// `lightfoot … | head` closes the pipe early: that is the reader's choice, not an error.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
}

const argv = process.argv.slice(2);
listenForInterrupts();
try {
  await createProgram().parseAsync(argv, { from: "user" });
} catch (thrown) {
  const error = usageError(thrown) ?? (isEarlyExit(thrown) ? undefined : asLightfootError(thrown));
  if (error !== undefined) {
    printError(error, { json: argv.includes("--json"), verbose: argv.includes("--verbose") });
    process.exitCode = error.exitCode;
  }
}

/** `--help` and `--version` end parsing by throwing; the text is out already. */
function isEarlyExit(thrown: unknown): boolean {
  const code = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
  return code === "commander.helpDisplayed" || code === "commander.version";
}
