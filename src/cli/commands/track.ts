// `lightfoot track` for commander: its help, and its complaints about a command line; may depend on commander and this room.
import { Option, type Command } from "commander";
import { withExamples } from "../help.ts";
import type { TrackFlags } from "../track/flags.ts";
import { TRACK_OPTIONS } from "../track/options.ts";

const collect = (text: string, before: readonly string[]): readonly string[] => [...before, text];

/** Adds the verb `track` to the program. */
export function registerTrack(program: Command): Command {
  const command = program
    .command("track")
    .description("runs any command and says what it used: joules, carbon, water, money")
    .usage("[options] -- <command> [arguments…]")
    .argument("<command...>", "the command and its arguments, after --");
  for (const { flag, value, what, initial, choices, isRepeatable, isGlobal } of TRACK_OPTIONS) {
    const option = new Option(value === undefined ? flag : `${flag} <${value}>`, what);
    if (initial !== undefined && value !== undefined) option.default(initial);
    if (choices !== undefined) option.choices(choices);
    if (isRepeatable === true) option.default([], "none").argParser(collect);
    // With positional options the program no longer sees its own after the verb: its help lists them already.
    command.addOption(isGlobal === true ? option.hideHelp() : option);
  }
  command.action(async (words: string[], _flags: unknown, self: Command) => {
    const { track } = await import("../track/track.ts");
    await track(words, self.optsWithGlobals<TrackFlags>());
  });
  return withExamples(command, [
    ["lightfoot track -- python train.py", "a summary on stderr when it ends"],
    ["lightfoot track --where DE --json -- ./job.sh > run.json", "the document follows the command's own output"],
    ["lightfoot track --attribute process --idle baseline -- make -j8", "the command's share of a shared machine"],
    ["lightfoot track --budget 2kWh --on-exceed stop --on-checkpoint ./save.sh -- python train.py", "with a limit"],
    [
      "lightfoot track --intensity-series grid.csv --pause-above 400gCO2e/kWh -- ./job.sh",
      "waits while the grid is dirty",
    ],
  ]);
}

/** `track` as the program's one verb: what follows the command's name is the command's, with or without `--`. */
export function registerTrackAlone(program: Command): void {
  program.enablePositionalOptions();
  registerTrack(program).passThroughOptions();
}
