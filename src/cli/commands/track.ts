// `lightfoot track`: runs any command and says what it used; its options alone, so that the command starts at once; may depend on commander and this room.
import { Option, type Command } from "commander";
import { GLOBAL_OPTIONS } from "../global-options.ts";
import { withExamples } from "../help.ts";
import type { TrackFlags } from "../track/flags.ts";

const collect = (text: string, before: readonly string[]): readonly string[] => [...before, text];

/** Adds the verb `track` to the program. */
export function registerTrack(program: Command): Command {
  const command = program
    .command("track")
    .description("runs any command and says what it used: joules, carbon, water, money")
    .usage("[options] -- <command> [arguments…]")
    .argument("<command...>", "the command and its arguments, after --")
    .option("--name <text>", "what the run is called in the document and the ledger")
    .option("--interval <time>", "time between two samples, 20ms at least", "500ms")
    .option("--out <file>", "also write the document to a file")
    .option("--intensity <amount>", "carbon intensity of the electricity, e.g. 350gCO2e/kWh")
    .option("--intensity-series <file>", "carbon intensity over time, a CSV file")
    .option("--price <amount>", "electricity price, e.g. 0.30EUR/kWh")
    .option("--pue <number>", "power usage effectiveness, e.g. 1.2")
    .option("--wue <number>", "on-site water per kWh of IT energy, L/kWh")
    .addOption(
      new Option("--attribute <what>", "whose energy the result is")
        .choices(["machine", "process", "cgroup"])
        .default("machine"),
    )
    .option("--cgroup <path>", "control group (version 2) to watch, e.g. system.slice/train.service")
    .addOption(
      new Option("--idle <policy>", "who carries idle power: nobody, all who ran, or taken off as a baseline")
        .choices(["none", "proportional", "baseline"])
        .default("proportional"),
    )
    .option("--idle-power <power>", "power of the idle machine for the baseline, e.g. 12W; modelled when left out")
    .addOption(
      new Option("--node-role <role>", "count the machine, or leave that to local rank 0")
        .choices(["auto", "meter", "attribute"])
        .default("auto"),
    )
    .option(
      "--budget <amount>",
      "limit of energy, carbon, water or money: 2kWh, 500gCO2e, 10L, 3EUR; repeatable",
      collect,
      [],
    )
    .addOption(
      new Option("--on-exceed <what>", "what happens when a budget is used up")
        .choices(["warn", "pause", "stop"])
        .default("warn"),
    )
    .option("--grace <time>", "time from SIGTERM to SIGKILL when stopping", "10s")
    .option("--on-checkpoint <command>", "shell command that runs before the command is paused or stopped by a budget")
    .option("--pause-above <intensity>", "pause while the grid is above this, e.g. 400gCO2e/kWh")
    .option("--ledger <folder>", "where evidence is appended", ".lightfoot")
    .option("--no-ledger", "append no evidence")
    .option("--no-live", "no live line on the terminal")
    .option("--sys-root <folder>", "where /sys is mounted", "/sys")
    .option("--proc-root <folder>", "where /proc is mounted", "/proc")
    .action(async (words: string[], _flags: unknown, self: Command) => {
      const { track } = await import("../track/track.ts");
      await track(words, self.optsWithGlobals<TrackFlags>());
    });
  // With positional options the program no longer sees its own after the verb: here they are again, listed once by the help.
  for (const [flag, what] of GLOBAL_OPTIONS) command.addOption(new Option(flag, what).hideHelp());
  return withExamples(command, [
    ["lightfoot track -- python train.py", "a summary on stderr when it ends"],
    [
      "lightfoot track --intensity 350gCO2e/kWh --json -- ./job.sh > run.json",
      "the document follows the command's own output",
    ],
    ["lightfoot track --attribute process --idle baseline -- make -j8", "the command's share of a shared machine"],
    [
      "lightfoot track --budget 2kWh --budget 3EUR --price 0.30EUR/kWh --on-exceed stop -- python train.py",
      "with limits",
    ],
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
