// A number on the command line; may depend on commander.
import { InvalidArgumentError } from "commander";

/**
 * A parser of numbers from `low` to `high` for an option.
 *
 * @example command.option("--momentum <m>", "for sgd", realNumber(0, 1))
 * @throws InvalidArgumentError from the parser
 */
export function realNumber(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    // `Number` takes an empty word for 0.
    if (text.trim() !== "" && value >= low && value <= high) return value;
    throw new InvalidArgumentError(`Expected a number from ${low}${high === Infinity ? "" : ` to ${high}`}.`);
  };
}
