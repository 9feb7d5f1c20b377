// A day on the command line; may depend on commander.
import { InvalidArgumentError } from "commander";

/** An ISO day that is in the calendar: 2027-02-30 is refused. @throws InvalidArgumentError */
export function parseDay(text: string): string {
  const time = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(text) : NaN;
  if (!Number.isNaN(time) && new Date(time).toISOString().startsWith(text)) return text;
  throw new InvalidArgumentError("Expected a date such as 2027-07-01.");
}
