// TimeConverter: an amount for one unit of time as an amount for another; may depend on errors and its room.
import { LightfootError } from "../../../errors/lightfoot-error.ts";
import { closestName } from "../../../errors/closest-name.ts";
import { ratio, show } from "../findings.ts";
import { at, configError, findingPlace, numbersOf, operandOf, placeOf, textOf, writeNumbers } from "../plugin.ts";
import type { PluginCall, PluginKind } from "../plugin.ts";

const YEAR_SECONDS = 31_556_952;
/** The framework's month: 30.42 days, 12 of which are 16,920 s short of its year. `m` is a month, not a minute. */
const MONTH_SECONDS = 2_628_336;

const names = (seconds: number, ...words: readonly string[]): [string, number][] =>
  words.map((word) => [word, seconds]);

export const TIME_UNITS: ReadonlyMap<string, number> = new Map([
  ...names(1, "s", "second", "sec", "secs", "seconds"),
  ...names(60, "min", "mins", "minute", "minutes"),
  ...names(3_600, "h", "hs", "hr", "hrs", "hour", "hours"),
  ...names(86_400, "d", "ds", "day", "days"),
  ...names(604_800, "w", "ws", "wk", "wks", "week", "weeks"),
  ...names(MONTH_SECONDS, "m", "mnth", "mth", "mnths", "mths", "month", "months"),
  ...names(YEAR_SECONDS, "y", "ys", "yr", "yrs", "year", "years"),
]);

/** result = input / original unit × new unit, which the framework rounds to six decimals. */
export const timeConverter: PluginKind = {
  expressions: ["input-parameter"],
  run(call) {
    const from = secondsOf(call, "original-time-unit");
    const isDuration = call.config["new-time-unit"] === "duration";
    const to = isDuration ? undefined : secondsOf(call, "new-time-unit");
    const duration = numbersOf(call, "duration");
    const short = duration.findIndex((value) => value < 1);
    if (short >= 0) {
      throw new LightfootError("E_IMPACT", `${call.name}: 'duration' is ${duration[short]}, expected at least 1`, {
        where: placeOf(call, short, "duration"),
      });
    }
    const input = operandOf(call, "input-parameter");
    const target = textOf(call, "output-parameter");
    const values = new Float64Array(call.observations.length);
    for (let row = 0; row < values.length; row++) {
      const exact = (at(input, row) / from) * (to ?? duration[row]);
      const rounded = Math.abs(exact) < 1e15 ? Number(exact.toFixed(6)) : exact;
      if (Math.abs(rounded - exact) > 1e-3 * Math.abs(exact)) {
        call.report({
          code: "time-conversion-rounded",
          severity: "error",
          message: "the result is rounded to six decimals, which takes more than 0.1 % of it",
          where: findingPlace(call, row, target),
          says: show(rounded),
          right: show(exact),
          factor: ratio(rounded, exact),
        });
      }
      values[row] = call.arithmetic === "corrected" ? exact : rounded;
    }
    return writeNumbers(call, target, values);
  },
};

function secondsOf(call: PluginCall, key: string): number {
  const word = textOf(call, key);
  const seconds = TIME_UNITS.get(word);
  if (seconds === undefined) {
    const guess = closestName(word, [...TIME_UNITS.keys()]);
    throw configError(
      call,
      `'${key}' is '${word}', expected a unit of time`,
      guess === undefined ? "Known: second, minute, hour, day, week, month, year." : `Did you mean '${guess}'?`,
    );
  }
  if (seconds === MONTH_SECONDS) {
    call.report({
      code: "time-conversion-month",
      severity: "note",
      message: `a month is ${MONTH_SECONDS} s here, and 12 of them are not a year of ${YEAR_SECONDS} s${word === "m" ? "; 'm' means month, not minute" : ""}`,
      where: { path: `initialize.plugins.${call.name}.config.${key}` },
      says: show(MONTH_SECONDS, "s"),
      right: show(YEAR_SECONDS / 12, "s"),
      factor: ratio(MONTH_SECONDS, YEAR_SECONDS / 12),
    });
  }
  return seconds;
}
