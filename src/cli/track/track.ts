// The action of `track`: first readings, then the command, and only then everything that it need not wait for; may depend on this room, pipeline, meter, io and errors.
import { asLightfootError, LightfootError } from "../../errors/lightfoot-error.ts";
import { startCommand } from "../../io/command.ts";
import { controlTree } from "../../io/process-control.ts";
import { takeFirstReadings } from "../../meter/first-readings.ts";
import { findCgroup, ownCgroup } from "../../meter/usage/cgroup-cpu.ts";
import { openUsageProbe } from "../../meter/usage/usage-probe.ts";
import { printError } from "../output.ts";
import type { Factors } from "./factors.ts";
import { planTrack, type TrackFlags, type TrackPlan } from "./flags.ts";
import type { Running } from "./running.ts";

// Not `performance`: its first use loads ten of Node's modules, and the command would wait for them.
const now = (): number => Number(process.hrtime.bigint()) / 1e9;

/** Runs the command and ends this process with its exit code. */
export async function track(words: readonly string[], flags: TrackFlags): Promise<void> {
  try {
    const plan = planTrack(flags, process.env);
    // A mistake in these would be bitter to hear of after hours.
    const factors = await factorsOf(plan);
    const running = await start(words, plan);
    const { follow } = await import("./after-start.ts");
    // Nothing of ours is worth waiting for once the document is out: a sensor's tool may hang.
    process.exit(await follow(running, factors));
  } catch (thrown) {
    const error = asLightfootError(thrown);
    printError(error, { json: flags.json === true, verbose: flags.verbose === true });
    process.exitCode = error.exitCode;
  }
}

async function factorsOf({ flags, budgets }: TrackPlan): Promise<Factors | undefined> {
  const { where, intensity, intensitySeries, price, pue, wue } = flags;
  const isNamed = [where, intensity, intensitySeries, price, pue, wue].some((each) => each !== undefined);
  if (!isNamed && budgets.every(({ unit }) => unit === "J")) return undefined;
  const { prepareFactors } = await import("./factors.ts");
  const factors = await prepareFactors(flags, new Date().getUTCFullYear());
  const rates = factors.ratesAt(Date.now() / 1e3);
  const unknown = budgets.find(({ unit }) => unit !== "J" && !rates.has(unit));
  if (unknown === undefined) return factors;
  const known = [...rates.keys()].join(", ");
  throw new LightfootError(
    "E_USAGE",
    `--budget ${unknown.text}: nothing tells joules in ${unknown.unit}, only in ${known}`,
    {
      hint: `Add a price in that currency, e.g. --price 0.30${unknown.unit}/kWh; no currency is turned into another.`,
    },
  );
}

async function start(words: readonly string[], plan: TrackPlan): Promise<Running> {
  const { sysRoot, procRoot, rackMeter } = plan.flags;
  const troubles: string[] = [];
  const tell = (trouble: string): void => void troubles.push(trouble);
  const cgroup = cgroupOf(plan);
  // A process id and a nanosecond, which no other run of this machine has; a random name would wait for Node's crypto to load.
  const marker = `${process.pid}.${process.hrtime.bigint()}`;
  const group = cgroup === undefined ? {} : { cgroup };
  const probe = openUsageProbe({ procRoot, marker: `${MARKER}=${marker}`, ...group });
  const firstUsage = probe.observe();
  const first = takeFirstReadings(sysRoot, procRoot, now, rackMeter);
  const signals: Running["signals"] = {};
  const startedAt = new Date().toISOString();
  const command = await startCommand(words, {
    environment: { [MARKER]: marker },
    onSignal: (signal) => signals.onSignal?.(signal),
  });
  let endedSeconds: number | undefined;
  void command.ended.then(() => (endedSeconds = now()));
  // From here on nothing of ours may end before the command does.
  const keepGoing = (error: unknown): void => tell(asLightfootError(error).message);
  process.on("uncaughtException", keepGoing);
  process.on("unhandledRejection", keepGoing);
  probe.attach(command.pid);
  const tree = controlTree(() => probe.pids());
  const { openRun } = await import("./after-start.ts");
  const { meter, session } = await openRun({ plan, first, firstUsage, probe, now, tell });
  const ends = { startSeconds: first.atSeconds, endedSeconds: () => endedSeconds };
  return { plan, words, session, meter, command, tree, startedAt, ...ends, cgroup, troubles, signals };
}

/** Names the run to its own processes, so that orphans are found. */
const MARKER = "LIGHTFOOT_RUN";

/** The control group to watch: the one that was named, or the command's own when it is what the result is about. */
function cgroupOf({ flags }: TrackPlan): string | undefined {
  const { cgroup, attribute, sysRoot, procRoot } = flags;
  if (cgroup !== undefined) return findCgroup(cgroup, sysRoot);
  return attribute === "cgroup" ? findCgroup(ownCgroup(procRoot) ?? "/", sysRoot) : undefined;
}
