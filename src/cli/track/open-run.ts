// The meter and the session of a command that has just started, as of the moment before it did; may depend on this room, pipeline and meter.
import { holdAt, type FirstReadings } from "../../meter/first-readings.ts";
import { openMeter } from "../../meter/open-meter.ts";
import { realFiles } from "../../meter/small-files.ts";
import type { Meter } from "../../meter/source.ts";
import type { Usage, UsageProbe } from "../../meter/usage/usage-probe.ts";
import { guardMeter, noMeter } from "../../pipeline/track/guarded-meter.ts";
import { TrackSession } from "../../pipeline/track/session.ts";
import type { TrackPlan } from "./flags.ts";

export interface Opening {
  readonly plan: TrackPlan;
  readonly first: FirstReadings;
  readonly firstUsage: Usage;
  readonly probe: UsageProbe;
  readonly now: () => number;
  readonly tell: (trouble: string) => void;
}

/** Opens what there is to read. It does not throw: without a meter the run is one without energy. */
export async function openRun(opening: Opening): Promise<{ readonly meter: Meter; readonly session: TrackSession }> {
  const { plan, first, firstUsage, probe, now, tell } = opening;
  const { attribute: scope, idle, sysRoot, procRoot, rackMeter } = plan.flags;
  const rack = rackMeter === undefined ? {} : { rackMeter };
  const world = holdAt(first, realFiles, now);
  const begin = async (open: Meter) => {
    const meter = guardMeter(open, tell);
    const ports = { meter, firstUsage, observe: () => probe.observe(), now: world.clock };
    return { meter, session: await TrackSession.begin({ scope, idle, role: plan.rank.role }, ports) };
  };
  try {
    return await begin(await openMeter({ sysRoot, procRoot, ...rack, files: world.files, clock: world.clock }));
  } catch (error) {
    return await begin(noMeter(error instanceof Error ? error.message : String(error)));
  } finally {
    world.release();
  }
}
