// A meter that cannot hurt the job: failures and hangs become missing samples, and none at all is a meter too; may depend on meter.
import type { EnergyUse, Meter, Sample } from "../../meter/source.ts";

const DEADLINE_SECONDS = 3;

const NOTHING: EnergyUse = { durationSeconds: 0, domains: [], gaps: [], coverage: 0, disagreements: [] };

/** The work's result, or `instead` when it fails or takes too long; what went wrong is told once. */
async function within<T>(
  work: () => Promise<T>,
  instead: T,
  tell: (trouble: string) => void,
  what: string,
): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<T>((resolve) => {
    timer = setTimeout(() => {
      tell(`${what} took longer than ${DEADLINE_SECONDS} s and was given up`);
      resolve(instead);
    }, DEADLINE_SECONDS * 1000);
  });
  try {
    return await Promise.race([work(), late]);
  } catch (error) {
    tell(`${what} failed: ${error instanceof Error ? error.message : String(error)}`);
    return instead;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * The meter with everything that may go wrong kept away from the job.
 *
 * @param tell is told each trouble once
 */
export function guardMeter(meter: Meter, tell: (trouble: string) => void): Meter {
  const told = new Set<string>();
  const tellOnce = (trouble: string): void => {
    if (told.has(trouble)) return;
    told.add(trouble);
    tell(trouble);
  };
  let last: Sample = { atSeconds: 0, domains: [] };
  return {
    domains: meter.domains,
    get problems() {
      return meter.problems;
    },
    sample: async () => (last = await within(() => meter.sample(), last, tellOnce, "reading the meter")),
    async start() {
      const window = await within(() => meter.start(), undefined, tellOnce, "starting the meter");
      return {
        stop: async () =>
          window === undefined ? NOTHING : within(() => window.stop(), NOTHING, tellOnce, "stopping the meter"),
      };
    },
    measure: (work) => meter.measure(work),
    close: () => within(() => meter.close(), undefined, tellOnce, "closing the meter"),
  };
}

/** The meter of a machine on which no meter opens. */
export function noMeter(why: string): Meter {
  const problem = { source: "meter", code: "broken", message: why, remedies: [] } as const;
  return {
    domains: [],
    problems: [problem],
    sample: async () => ({ atSeconds: 0, domains: [] }),
    start: async () => ({ stop: async () => NOTHING }),
    measure: async (work) => ({ result: await work(), use: NOTHING }),
    close: async () => undefined,
  };
}
