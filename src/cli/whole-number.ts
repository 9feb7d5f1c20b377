// A whole number on the command line; may depend on commander.
import { InvalidArgumentError } from "commander";

/**
 * A parser of whole numbers from `least` to `most` for an option.
 *
 * @example command.option("--batch <n>", "samples in one run", wholeNumber(1))
 * @throws InvalidArgumentError from the parser
 */
export function wholeNumber(least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    // `Number` takes an empty word for 0.
    if (text.trim() !== "" && Number.isSafeInteger(value) && value >= least && value <= most) return value;
    const end = most === Number.MAX_SAFE_INTEGER ? "" : ` to ${most}`;
    throw new InvalidArgumentError(`Expected a whole number from ${least}${end}.`);
  };
}
