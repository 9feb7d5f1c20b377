// The document of a tracked run from what the session leaves behind; may depend on quantity, meter and this room.
import type { DomainUse } from "../../meter/source.ts";
import { divide, exact, figure, sum, type Assumption, type Figure } from "../../quantity/figure.ts";
import type { Amount } from "./amount.ts";
import type { IdlePolicy, Range, ShareMeter } from "./attribution.ts";
import type { LocalRank } from "./rank.ts";
import type { RunDocument } from "./run-schema.ts";
import { isSharedByCpuTime, type Scope, type SessionEnd } from "./session.ts";

export interface IdlePower {
  readonly range: Range;
  readonly source: string;
  readonly assumptions: readonly Assumption[];
}

/** What is known of the run beside its energy. */
export interface RunFacts {
  readonly name: string | null;
  readonly command: readonly string[];
  readonly startedAt: string;
  readonly tool: { readonly name: string; readonly version: string };
  readonly exitCode: number;
  readonly signal: string | null;
  readonly durationSeconds: number;
  /** Of the meter's clock when the command started. */
  readonly startSeconds: number;
  readonly scope: Scope;
  readonly idle: IdlePolicy;
  readonly rank: LocalRank;
  readonly cgroup: string | undefined;
  readonly idlePower: IdlePower | undefined;
  readonly problems: readonly { readonly source: string; readonly code: string; readonly message: string }[];
  readonly pauses: RunDocument["pauses"];
  readonly budgets: readonly Amount[];
  readonly exceededAtSeconds: ReadonlyMap<string, number>;
  readonly used: ReadonlyMap<string, number>;
  readonly troubles: readonly string[];
}

/** `/proc` counts in ticks of 10 ms and rounds each of four counters down. */
const MOST_TICK_LOSS_SECONDS = 0.04;

const GPU_WHOLE: Assumption = {
  key: "attribution.gpu-whole-device",
  text: "The driver does not say which process used the graphics cards: all of their energy is charged to the command, none of it may be its own.",
};

const COUNTED_ELSEWHERE: Assumption = {
  key: "rank.counted-elsewhere",
  text: "Another rank of this node counts the machine; this one adds nothing, so that the sum over ranks is the node's energy.",
};

/** Everything but footprint and ledger, which are added where they are known. */
export type EnergyDocument = Omit<RunDocument, "footprint" | "ledger">;

/** @throws never for missing readings: what is not known is null */
export function describeRun(facts: RunFacts, end: SessionEnd): EnergyDocument {
  const machine = end.use.energy ?? null;
  const shared = energyOf(end.use.domains, isSharedByCpuTime);
  const cards = energyOf(end.use.domains, ({ kind, countsTowardsTotal }) => countsTowardsTotal && kind === "gpu");
  const share = (meter: ShareMeter | undefined, unseenSeconds: number) =>
    meter === undefined || machine === null ? null : sharesOf(meter, shared, cards, facts.idlePower, unseenSeconds);
  const ofProcess = share(end.processShares, MOST_TICK_LOSS_SECONDS);
  const ofCgroup = share(end.cgroupShares, 0);
  const chosen = { machine, process: ofProcess?.[facts.idle] ?? null, cgroup: ofCgroup?.[facts.idle] ?? null }[
    facts.scope
  ];
  const energy = facts.scope === "machine" && facts.rank.role === "attribute" ? countedElsewhere(machine) : chosen;
  const duration = exact(facts.durationSeconds, "s", "monotonic clock");
  const gaps = end.use.domains.flatMap(({ domain, gaps: own }) =>
    own.map(({ fromSeconds, toSeconds, reason, mostJoules }) => ({
      domain: domain.id,
      fromSeconds: fromSeconds - facts.startSeconds,
      toSeconds: toSeconds - facts.startSeconds,
      reason,
      mostJoules,
    })),
  );
  const document: Omit<EnergyDocument, "assumptions"> = {
    schema: "lightfoot.run/1",
    name: facts.name,
    command: [...facts.command],
    startedAt: facts.startedAt,
    tool: facts.tool,
    exitCode: facts.exitCode,
    signal: facts.signal,
    duration,
    energy,
    power: energy === null || duration.value <= 0 ? null : divide(energy, duration, "W"),
    powerOverTime: end.curve.stretches
      .filter(({ fromSeconds, toSeconds }) => toSeconds > fromSeconds)
      .map(({ fromSeconds, toSeconds, joules }) => ({
        fromSeconds,
        toSeconds,
        meanWatts: joules / (toSeconds - fromSeconds),
      })),
    attribution: {
      scope: facts.scope,
      idle: facts.idle,
      role: facts.rank.role,
      roleBecause: facts.rank.because ?? null,
      machine,
      process: ofProcess,
      cgroup: ofCgroup === null || facts.cgroup === undefined ? null : { path: facts.cgroup, ...ofCgroup },
    },
    usage: {
      cpu: cpuFigure(end.cpuSeconds),
      cgroupCpu:
        end.cgroupSeconds === undefined ? null : exact(end.cgroupSeconds, "s", "cpu.stat of the control group"),
      machineBusySeconds: end.machine?.busySeconds ?? null,
      machineCapacitySeconds: end.machine?.capacitySeconds ?? null,
      mostProcesses: end.mostProcesses,
      mostResidentBytes: end.mostResidentBytes,
    },
    domains: end.use.domains.map(({ domain, energy: own, microjoules, coverage }) => ({
      id: domain.id,
      label: domain.label,
      kind: domain.kind,
      method: domain.method,
      countsTowardsTotal: domain.countsTowardsTotal,
      why: domain.why ?? null,
      energy: own ?? null,
      microjoules: String(microjoules),
      coverage,
    })),
    gaps,
    coverage: end.use.coverage,
    problems: facts.problems.map(({ source, code, message }) => ({ source, code, message })),
    samples: end.samples,
    pauses: facts.pauses,
    budgets: facts.budgets.map((budget) => ({
      budget: budget.text,
      limit: budget.value,
      unit: budget.unit,
      used: facts.used.get(budget.unit) ?? 0,
      exceeded: facts.exceededAtSeconds.has(budget.text),
      exceededAtSeconds: facts.exceededAtSeconds.get(budget.text) ?? null,
    })),
    troubles: [...facts.troubles],
  };
  return { ...document, assumptions: uniqueAssumptions([energy]) };
}

function energyOf(domains: readonly DomainUse[], of: (domain: DomainUse["domain"]) => boolean): Figure | undefined {
  const parts = domains.flatMap((part) => (of(part.domain) && part.energy !== undefined ? [part.energy] : []));
  return parts.length === 0 ? undefined : sum(parts);
}

function sharesOf(
  meter: ShareMeter,
  shared: Figure | undefined,
  cards: Figure | undefined,
  idlePower: IdlePower | undefined,
  unseenSeconds: number,
): Record<IdlePolicy, Figure | null> {
  const energy = shared ?? figure({ value: 0, unit: "J", method: "measured" });
  const basis = (more: IdlePower | undefined) =>
    meter.figures({
      energy,
      unseenSeconds,
      ...(more === undefined ? {} : { idlePower: more.range }),
      sources: [...energy.sources, "CPU time from /proc", ...(more === undefined ? [] : [more.source])],
      assumptions: [...energy.assumptions, ...(more?.assumptions ?? [])],
    });
  const { none, proportional } = basis(undefined);
  const { baseline } = basis(idlePower);
  const withCards = (part: Figure | null): Figure | null =>
    part === null || cards === undefined || cards.value === 0
      ? part
      : sum([part, figure({ ...cards, low: 0, method: "modelled", assumptions: [...cards.assumptions, GPU_WHOLE] })]);
  return { none: withCards(none), proportional: withCards(proportional), baseline: withCards(baseline) };
}

function countedElsewhere(machine: Figure | null): Figure | null {
  if (machine === null) return null;
  return figure({
    value: 0,
    unit: "J",
    method: machine.method,
    sources: machine.sources,
    assumptions: [COUNTED_ELSEWHERE],
  });
}

function cpuFigure(seconds: number | undefined): Figure | null {
  if (seconds === undefined) return null;
  const sources = ["utime, stime, cutime and cstime of /proc/PID/stat, in ticks of 10 ms"];
  return figure({
    value: seconds,
    low: seconds,
    high: seconds + MOST_TICK_LOSS_SECONDS,
    unit: "s",
    method: "measured",
    sources,
  });
}

/** Each assumption once, by its key. */
export function uniqueAssumptions(parts: readonly (Figure | null)[], more: readonly Assumption[] = []): Assumption[] {
  const all = [...parts.flatMap((part) => part?.assumptions ?? []), ...more];
  return [...new Map(all.map((entry) => [entry.key, entry])).values()];
}
