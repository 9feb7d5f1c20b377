#!/usr/bin/env node
// The process: argv in, exit code out; wires streams and signals to the program; may depend on this room and errors.
import type { Command } from "commander";
import { asLightfootError } from "../errors/lightfoot-error.ts";
import { printError } from "./output.ts";
import { usageError } from "./usage-error.ts";

const argv = process.argv.slice(2);
try {
  const isTrack = argv.find((word) => !word.startsWith("-")) === "track";
  await (isTrack ? await loadTrack() : await loadProgram()).parseAsync(argv, { from: "user" });
} catch (thrown) {
  const error = usageError(thrown) ?? (isEarlyExit(thrown) ? undefined : asLightfootError(thrown));
  if (error !== undefined) {
    printError(error, { json: argv.includes("--json"), verbose: argv.includes("--verbose") });
    process.exitCode = error.exitCode;
  }
}

/** Every verb. */
async function loadProgram(): Promise<Command> {
  // `lightfoot … | head` closes the pipe early: that is the reader's choice, not an error.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
    });
  }
  const { listenForInterrupts } = await import("./interrupt.ts");
  listenForInterrupts();
  return (await import("./program.ts")).createProgram();
}

/**
 * `track` alone: somebody else's command waits behind it, so nothing is loaded that it does not need.
 *
 * Signals belong to that command, and so do the streams: Node makes a pipe non-blocking when it opens it as a stream, and the
 * command shares that pipe.
 */
async function loadTrack(): Promise<Command> {
  const [{ createBaseProgram }, { registerTrackAlone }] = await Promise.all([
    import("./base-program.ts"),
    import("./commands/track.ts"),
  ]);
  return createBaseProgram([registerTrackAlone]);
}

/** `--help` and `--version` end parsing by throwing; the text is out already. */
function isEarlyExit(thrown: unknown): boolean {
  const code = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
  return code === "commander.helpDisplayed" || code === "commander.version";
}
