// What a verb does when none of its sub-verbs is named; may depend on commander, this room and errors.
import type { Command } from "commander";
import { closestName } from "../errors/closest-name.ts";
import { LightfootError } from "../errors/lightfoot-error.ts";

/**
 * A hidden sub-command of `verb` that runs when no sub-verb is named and whose options `verb --help` shows as its own.
 *
 * Options of the verb itself would be those of every sub-verb too: taken there without effect, or in the place of an option of
 * the same name.
 *
 * @param hint for somebody whose word is near no sub-verb
 */
export function addDefaultCommand(verb: Command, name: string, hint: string): Command {
  verb.usage("[options] [command]");
  // Or commander would propose the hidden sub-command's options to a sub-verb that does not take them.
  verb.enablePositionalOptions();
  const command = verb.command(name, { isDefault: true, hidden: true }).allowExcessArguments();
  command.hook("preAction", () => {
    const [word] = command.args;
    if (word !== undefined) throw noSubVerb(word, verb, name, hint);
  });
  const own = verb.createHelp();
  // Sub-verbs take the setting over: only the verb itself shows what its hidden sub-command takes.
  const visibleOptions = (shown: Command) => own.visibleOptions(shown === verb ? command : shown);
  verb.configureHelp({ showGlobalOptions: true, visibleOptions });
  return command;
}

function noSubVerb(word: string, verb: Command, hidden: string, hint: string): LightfootError {
  const names = verb.commands.map((command) => command.name()).filter((name) => name !== hidden);
  if (names.includes(word)) {
    return new LightfootError("E_USAGE", `options stand before ${word}, expected them behind it`, {
      hint: `lightfoot ${verb.name()} ${word} --help shows which it takes.`,
    });
  }
  const near = closestName(word, names);
  return new LightfootError("E_USAGE", `'${word}' is no sub-command of ${verb.name()}, and it takes no other words`, {
    hint: near === undefined ? hint : `Did you mean ${near}?`,
  });
}
