// Looks for every energy source and tries each: what works, what does not, and the least that helps; may depend on its room, quantity and errors.
import { setTimeout as sleep } from "node:timers/promises";
import { LightfootError } from "../errors/lightfoot-error.ts";
import { scale, type Figure } from "../quantity/figure.ts";
import type { DoctorReport } from "./doctor-schema.ts";
import { createEnvironment } from "./environment.ts";
import { openMeter, type MeterOptions } from "./open-meter.ts";
import type { DomainSample, DomainUse, EnergyUse } from "./source.ts";

export interface DoctorOptions extends MeterOptions {
  /** How long to watch the counters, s. */
  readonly seconds?: number;
  readonly signal?: AbortSignal;
}

/** Long enough for a counter that moves every 100 ms, short enough to be waited for. */
export const DOCTOR_SECONDS = 1;
const MOST_SECONDS = 3600;

/**
 * Opens every source, watches it for a moment and says what it found.
 *
 * @throws LightfootError E_RANGE for a duration that is not between 0 and an hour; never because of a sensor
 * @example (await examineSources({ sysRoot: "/host/sys" })).method // "measured"
 */
export async function examineSources(options: DoctorOptions = {}): Promise<DoctorReport> {
  const { seconds = DOCTOR_SECONDS, signal } = options;
  if (!(seconds > 0 && seconds <= MOST_SECONDS)) {
    throw new LightfootError(
      "E_RANGE",
      `expected more than 0 and at most ${MOST_SECONDS} s to watch, found ${seconds}`,
    );
  }
  const { machine, sysRoot, procRoot } = createEnvironment(options);
  const meter = await openMeter(options);
  try {
    const window = await meter.start();
    await sleep(seconds * 1e3, undefined, signal === undefined ? {} : { signal });
    const { domains: samples } = await meter.sample();
    const use = await window.stop();
    const power = powerOf(use.energy, use.durationSeconds);
    return {
      schema: "lightfoot.doctor/1",
      machine: {
        processor: machine.cpuName,
        logicalCpuCount: machine.logicalCpuCount,
        memoryBytes: machine.memoryBytes,
        platform: machine.platform,
        isVirtual: machine.isVirtual,
      },
      sysRoot,
      procRoot,
      durationSeconds: use.durationSeconds,
      method: use.energy?.method ?? null,
      power: power ?? null,
      sources: sourcesOf(use, samples),
      problems: meter.problems.map((problem) => ({ ...problem, remedies: [...problem.remedies] })),
      assumptions: [...(use.energy?.assumptions ?? [])],
    };
  } finally {
    await meter.close();
  }
}

function powerOf(energy: Figure | undefined, seconds: number): Figure | undefined {
  return energy === undefined || !(seconds > 0) ? undefined : scale(energy, 1 / seconds, "W");
}

/** Domains by source: the part of their ids before the first colon. */
function sourcesOf(use: EnergyUse, samples: readonly DomainSample[]): DoctorReport["sources"] {
  const byName = new Map<string, DoctorReport["sources"][number]["domains"]>();
  for (const [at, each] of use.domains.entries()) {
    const name = each.domain.id.split(":")[0] ?? "";
    byName.set(name, [...(byName.get(name) ?? []), domainOf(each, samples[at]?.trouble, use.durationSeconds)]);
  }
  return [...byName].map(([name, domains]) => ({
    name,
    works: domains.some(({ state }) => state === "works"),
    domains,
  }));
}

function domainOf({ domain, energy, microjoules, gaps }: DomainUse, trouble: string | undefined, seconds: number) {
  const { id, label, kind, method, countsTowardsTotal, why } = domain;
  const state = trouble !== undefined || energy === undefined ? "trouble" : microjoules > 0n ? "works" : "still";
  const reason = trouble ?? gaps.at(-1)?.reason;
  const power = state === "works" ? powerOf(energy, seconds) : undefined;
  return {
    id,
    label,
    kind,
    method,
    countsTowardsTotal,
    ...(why === undefined ? {} : { why }),
    state,
    ...(power === undefined ? {} : { power }),
    ...(reason === undefined ? {} : { trouble: reason }),
  } as const;
}
