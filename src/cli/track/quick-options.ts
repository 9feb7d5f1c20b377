// Reads a command line of `track` that is sound, without commander; may depend on the options alone.
import { TRACK_OPTIONS } from "./options.ts";

export interface QuickLine {
  readonly words: readonly string[];
  readonly values: Readonly<Record<string, unknown>>;
}

/**
 * Options and command of `track […] -- command`, or undefined for anything that is not plainly right: commander, which takes
 * a quarter of the start-up time, then says what is wrong.
 *
 * @param argv what follows the program's name
 */
export function readQuickly(argv: readonly string[]): QuickLine | undefined {
  const end = argv.indexOf("--");
  const verb = argv.indexOf("track");
  if (verb < 0 || end < 0 || verb > end || argv.length === end + 1) return undefined;
  const values: Record<string, unknown> = {};
  for (const { key, initial } of TRACK_OPTIONS) if (initial !== undefined) values[key] = initial;
  const given = argv.slice(0, end);
  for (let at = 0; at < given.length; at++) {
    if (at === verb) continue;
    const word = given[at] ?? "";
    const option = TRACK_OPTIONS.find(({ flag }) => flag === word);
    // Before the verb stand the program's own options; `--name=value` and short forms are commander's.
    if (option === undefined || (at < verb && option.isGlobal !== true)) return undefined;
    if (option.value === undefined) {
      values[option.key] = option.sets ?? true;
      continue;
    }
    const value = given[++at];
    if (value === undefined || value.startsWith("-") || option.choices?.includes(value) === false) return undefined;
    values[option.key] = option.isRepeatable === true ? [...(values[option.key] as string[]), value] : value;
  }
  return { words: argv.slice(end + 1), values };
}
