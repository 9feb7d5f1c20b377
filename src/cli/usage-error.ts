// Commander's complaints about a command line as `LightfootError`; may depend on commander and errors.
import { CommanderError } from "commander";
import { LightfootError } from "../errors/lightfoot-error.ts";

/** A usage error with commander's suggestion as its hint; undefined for anything that is no complaint of commander's. */
export function usageError(thrown: unknown): LightfootError | undefined {
  if (!(thrown instanceof CommanderError) || thrown.exitCode === 0) return undefined;
  if (thrown.code === "commander.help") {
    return new LightfootError("E_USAGE", "no command was given, expected one of those listed by --help", {
      hint: "Type: lightfoot --help",
    });
  }
  const [message = "", ...rest] = thrown.message.replace(/^error: /, "").split("\n");
  const suggestion = rest.join(" ").replaceAll(/[()]/g, "").trim();
  return new LightfootError("E_USAGE", message, {
    hint: suggestion === "" ? "Add --help to the command to see what it takes." : suggestion,
  });
}
