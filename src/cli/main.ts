#!/usr/bin/env node
// The process: argv in, exit code out; wires streams and signals to the program; may depend on this room and errors.
import type { Command } from "commander";
import { asLightfootError } from "../errors/lightfoot-error.ts";
import { cannotPrint, printError } from "./output.ts";
import type { TrackFlags } from "./track/flags.ts";

const argv = process.argv.slice(2);
const isTrack = argv.find((word) => !word.startsWith("-")) === "track";
// Not awaited: the build makes CommonJS of this file, which knows no `await` at this place.
void (isTrack ? runTrack() : runProgram(loadProgram));

async function runProgram(load: () => Promise<Command>): Promise<void> {
  try {
    await (await load()).parseAsync(argv, { from: "user" });
  } catch (thrown) {
    const { usageError } = await import("./usage-error.ts");
    const error = usageError(thrown) ?? (isEarlyExit(thrown) ? undefined : asLightfootError(thrown));
    if (error !== undefined) {
      printError(error, { json: argv.includes("--json"), verbose: argv.includes("--verbose") });
      process.exitCode = error.exitCode;
    }
  }
}

/**
 * `track` alone: somebody else's command waits behind it, so nothing is loaded that it does not need.
 *
 * Signals belong to that command, and so do the streams: Node makes a pipe non-blocking when it opens it as a stream, and the
 * command shares that pipe.
 */
async function runTrack(): Promise<void> {
  const [{ readQuickly }, { track }] = await Promise.all([
    import("./track/quick-options.ts"),
    import("./track/track.ts"),
  ]);
  const line = readQuickly(argv);
  if (line === undefined) await runProgram(loadTrack);
  else await track(line.words, line.values as unknown as TrackFlags);
}

/** Every verb. */
async function loadProgram(): Promise<Command> {
  // `lightfoot … | head` closes the pipe early: that is the reader's choice, not an error.
  process.stdout.on("error", ({ code, message }: NodeJS.ErrnoException) => {
    if (code === "EPIPE") return;
    const error = cannotPrint(code ?? message);
    printError(error, { json: argv.includes("--json"), verbose: false });
    process.exit(error.exitCode);
  });
  // There is nobody left to tell.
  process.stderr.on("error", () => undefined);
  // No verb is needed to say it.
  if (argv.length === 1 && (argv[0] === "--version" || argv[0] === "-V")) {
    return (await import("./base-program.ts")).createBaseProgram([]);
  }
  const { listenForInterrupts } = await import("./interrupt.ts");
  listenForInterrupts();
  return (await import("./program.ts")).createProgram();
}

/** For help and mistakes. */
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
  return code === "commander.helpDisplayed" || code === "commander.help" || code === "commander.version";
}
