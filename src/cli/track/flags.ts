// The options of `track` as checked values, before the command starts; may depend on errors, pipeline and this room.
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { parseBudget, type Amount } from "../../pipeline/track/amount.ts";
import type { IdlePolicy } from "../../pipeline/track/attribution.ts";
import type { ExceedAction } from "../../pipeline/track/enforce.ts";
import { nodeRole, type LocalRank } from "../../pipeline/track/rank.ts";
import type { Scope } from "../../pipeline/track/session.ts";
import { parseQuantity } from "../../quantity/parse-quantity.ts";
import { parseIntensity } from "../../quantity/parse-rate.ts";
import type { GlobalOptions } from "../action.ts";

/** As commander gives them. */
export interface TrackFlags extends Partial<GlobalOptions> {
  readonly name?: string;
  readonly interval: string;
  readonly out?: string;
  readonly where?: string;
  readonly intensity?: string;
  readonly intensitySeries?: string;
  readonly price?: string;
  readonly pue?: string;
  readonly wue?: string;
  readonly attribute: Scope;
  readonly cgroup?: string;
  readonly idle: IdlePolicy;
  readonly idlePower?: string;
  readonly nodeRole: "auto" | "meter" | "attribute";
  readonly budget: readonly string[];
  readonly onExceed: ExceedAction;
  readonly grace: string;
  readonly onCheckpoint?: string;
  readonly pauseAbove?: string;
  readonly ledger: string | false;
  readonly live: boolean;
  /** As for doctor. */
  readonly rackMeter?: string;
  readonly sysRoot: string;
  readonly procRoot: string;
}

export interface TrackPlan {
  readonly flags: TrackFlags;
  readonly intervalSeconds: number;
  readonly graceSeconds: number;
  readonly budgets: readonly Amount[];
  readonly pauseAboveGramsPerKwh: number | undefined;
  readonly idleWatts: number | undefined;
  readonly rank: LocalRank;
}

const LEAST_INTERVAL_SECONDS = 0.02;
const MOST_INTERVAL_SECONDS = 3600;

/** @throws LightfootError E_USAGE, before anything was started */
export function planTrack(flags: TrackFlags, environment: Readonly<Record<string, string | undefined>>): TrackPlan {
  const intervalSeconds = usage(() => parseQuantity(flags.interval, "duration", "--interval"));
  if (intervalSeconds < LEAST_INTERVAL_SECONDS || intervalSeconds > MOST_INTERVAL_SECONDS) {
    throw new LightfootError("E_USAGE", `--interval is ${flags.interval}, expected 20ms to 1h`);
  }
  if (flags.pauseAbove !== undefined && flags.intensitySeries === undefined) {
    throw new LightfootError("E_USAGE", "--pause-above needs an intensity that changes with time", {
      hint: "Add --intensity-series FILE, a CSV file with times and gCO2e/kWh.",
    });
  }
  if (flags.intensity !== undefined && flags.intensitySeries !== undefined) {
    throw new LightfootError("E_USAGE", "--intensity and --intensity-series exclude each other");
  }
  if (flags.onCheckpoint !== undefined && flags.onExceed === "warn" && flags.pauseAbove === undefined) {
    throw new LightfootError(
      "E_USAGE",
      "--on-checkpoint has nothing to run before: nothing pauses or stops the command",
      {
        hint: "Add --on-exceed pause or stop, with a --budget, or --pause-above.",
      },
    );
  }
  if (flags.onExceed !== "warn" && flags.budget.length === 0) {
    throw new LightfootError("E_USAGE", `--on-exceed ${flags.onExceed} needs a budget that can be exceeded`, {
      hint: "Add --budget, e.g. --budget 2kWh.",
    });
  }
  const { pauseAbove, idlePower, out } = flags;
  if (out !== undefined && !existsSync(dirname(out))) {
    throw new LightfootError("E_FILE_WRITE", `${out} cannot be written: its folder does not exist`, {
      hint: "Create the folder first.",
      where: { file: out },
    });
  }
  const budgets = flags.budget.map(parseBudget);
  return {
    flags,
    intervalSeconds,
    graceSeconds: usage(() => parseQuantity(flags.grace, "duration", "--grace")),
    budgets,
    pauseAboveGramsPerKwh: pauseAbove === undefined ? undefined : usage(() => parseIntensity(pauseAbove)),
    idleWatts: idlePower === undefined ? undefined : usage(() => parseQuantity(idlePower, "power", "--idle-power")),
    rank:
      flags.nodeRole === "auto"
        ? nodeRole(environment)
        : { role: flags.nodeRole, because: `--node-role ${flags.nodeRole}` },
  };
}

/** What a parser finds wrong with an option's value is a mistake in the command line. */
function usage<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof LightfootError)) throw error;
    throw new LightfootError("E_USAGE", error.message, { hint: error.hint, cause: error });
  }
}
