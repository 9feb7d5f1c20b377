// The end of a tracked run: last readings, document, evidence, and what is printed; may depend on this room, pipeline, meter, io and errors.
import { asLightfootError, LightfootError } from "../../errors/lightfoot-error.ts";
import { describeThisMachine } from "../../io/machine.ts";
import type { EnergyBoundary } from "../../footprint/boundary.ts";
import { cpuEnergyModel } from "../../meter/cpu-energy.ts";
import { uniqueAssumptions, describeRun, type IdlePower } from "../../pipeline/track/document.ts";
import type { BudgetWatch } from "../../pipeline/track/budget.ts";
import type { RunDocument } from "../../pipeline/track/run-schema.ts";
import type { SessionEnd, Standing } from "../../pipeline/track/session.ts";
import { cannotPrint, printError } from "../output.ts";
import { toolVersion } from "../version.ts";
import type { Evidence } from "./evidence.ts";
import type { Factors } from "./factors.ts";
import { writeRaw } from "./raw-streams.ts";
import { describeTrackedRun } from "./summary.ts";
import type { Running, Story } from "./running.ts";

export interface Conclusion {
  readonly running: Running;
  readonly factors: Factors | undefined;
  readonly evidence: Evidence | undefined;
  readonly story: Story;
  readonly watch: BudgetWatch;
  readonly ended: { readonly exitCode: number; readonly signal: NodeJS.Signals | undefined };
}

/** @returns the command's exit code, or another where it succeeded and something asked for did not */
export async function concludeRun(conclusion: Conclusion): Promise<number> {
  const { running, evidence } = conclusion;
  const { plan, session, meter } = running;
  const { flags } = plan;
  const standing = await session.sample();
  const end = await session.finish();
  evidence?.sample(upToTheEnd(standing, end), Date.now() / 1e3);
  const document = documentOf(conclusion, end);
  recordEvidence(conclusion, document);
  await meter.close();
  const fails: LightfootError[] = [];
  if (flags.json === true) {
    const reason = writeRaw(1, `${JSON.stringify(document, undefined, 2)}\n`);
    if (reason !== undefined) fails.push(cannotPrint(reason));
  } else if (flags.quiet !== true) writeRaw(2, describeTrackedRun(document, columnsOf()));
  if (flags.out !== undefined) {
    try {
      const { writeFileAtomic } = await import("../../io/atomic-write.ts");
      await writeFileAtomic(flags.out, `${JSON.stringify(document, undefined, 2)}\n`);
    } catch (error) {
      fails.push(asLightfootError(error));
    }
  }
  const count = uniqueAssumptions([], [...document.assumptions, ...(document.footprint?.assumptions ?? [])]).length;
  if (flags.strict === true && count > 0) {
    const message = `the result rests on ${count} assumption${count === 1 ? "" : "s"}`;
    fails.push(new LightfootError("E_ASSUMPTIONS", message, { hint: "Give what was assumed, or leave --strict out." }));
  }
  for (const error of fails) printError(error, { json: flags.json === true, verbose: flags.verbose === true });
  return document.exitCode === 0 ? (fails[0]?.exitCode ?? 0) : document.exitCode;
}

/** The last sample with what was counted after it: samples in the ledger add up to the run's energy. */
function upToTheEnd(standing: Standing, { unsampledMicrojoules, elapsedSeconds }: SessionEnd): Standing {
  const domains = standing.sample.domains.map(({ trouble, ...last }) => {
    const rest = unsampledMicrojoules.get(last.domain.id) ?? 0n;
    const addedMicrojoules = last.addedMicrojoules + rest;
    const totalMicrojoules = last.totalMicrojoules + rest;
    const isStillInTrouble = trouble !== undefined && addedMicrojoules === 0n;
    return { ...last, addedMicrojoules, totalMicrojoules, ...(isStillInTrouble ? { trouble } : {}) };
  });
  return { ...standing, elapsedSeconds, sample: { ...standing.sample, domains } };
}

const columnsOf = (): number => Math.max(40, process.stderr.isTTY ? process.stderr.columns : 100);

function documentOf({ running, factors, evidence, story, watch, ended }: Conclusion, end: SessionEnd): RunDocument {
  const { plan, words, meter, startSeconds, startedAt, cgroup, troubles, endedSeconds } = running;
  const { flags } = plan;
  const facts = {
    name: flags.name ?? null,
    command: words,
    startedAt,
    tool: { name: "lightfoot", version: toolVersion() },
    exitCode: ended.exitCode,
    signal: ended.signal ?? null,
    durationSeconds: Math.max(0, (endedSeconds() ?? startSeconds + end.elapsedSeconds) - startSeconds),
    startSeconds,
    scope: flags.attribute,
    idle: flags.idle,
    rank: plan.rank,
    cgroup,
    idlePower: idlePowerOf(plan.idleWatts, end),
    problems: meter.problems,
    pauses: story.pauses,
    budgets: plan.budgets,
    exceededAtSeconds: story.exceededAtSeconds,
    used: new Map<string, number>(),
    troubles,
  };
  const energy = describeRun(facts, end);
  const footprint = assess(factors, energy.energy, running, end);
  const used = usedOf(energy.energy?.value ?? 0, footprint);
  for (const state of watch.update(end.elapsedSeconds, used)) {
    if (state.isExceeded && !story.exceededAtSeconds.has(state.budget.text)) {
      story.exceededAtSeconds.set(state.budget.text, facts.durationSeconds);
    }
  }
  // What was used up between the last sample and the end is known only now.
  const document = describeRun({ ...facts, used, exceededAtSeconds: story.exceededAtSeconds }, end);
  return {
    ...document,
    footprint,
    ledger: evidence === undefined ? null : { file: evidence.file, run: evidence.run },
  };
}

function assess(
  factors: Factors | undefined,
  energy: RunDocument["energy"],
  { startedAt, troubles }: Running,
  end: SessionEnd,
): RunDocument["footprint"] {
  if (factors === undefined || energy === null) return null;
  const fromSeconds = Date.parse(startedAt) / 1e3;
  const counting = end.use.domains.filter(({ domain }) => domain.countsTowardsTotal);
  const boundary: EnergyBoundary = counting.every(({ domain }) => domain.kind === "gpu") ? "accelerator" : "node";
  try {
    const when = { fromSeconds, toSeconds: fromSeconds + end.elapsedSeconds, stretches: end.curve.stretches, boundary };
    return factors.assess(energy, when);
  } catch (error) {
    troubles.push(`no footprint: ${error instanceof Error ? error.message : String(error)}`);
    return null;
  }
}

function usedOf(joules: number, footprint: RunDocument["footprint"]): Map<string, number> {
  const parts =
    footprint === null
      ? []
      : [footprint.emissions.locationBased, footprint.water.consumption, footprint.money.electricity];
  return new Map([
    ["J", joules],
    ...parts.flatMap((part) => (part === null ? [] : [[part.unit, part.value] as const])),
  ]);
}

/** Idle power as given, or the model's, with its band, where processors are what is shared. */
function idlePowerOf(given: number | undefined, end: SessionEnd): IdlePower | undefined {
  if (given !== undefined) {
    return { range: { low: given, value: given, high: given }, source: "--idle-power", assumptions: [] };
  }
  if (end.use.energy === undefined) return undefined;
  const { idlePower, name } = cpuEnergyModel(describeThisMachine());
  const { low, value, high } = idlePower;
  const text = `Idle power was not given: ${value.toFixed(1)} (${low.toFixed(1)}…${high.toFixed(1)}) W is modelled for ${name} (--idle-power).`;
  return {
    range: { low, value, high },
    source: "modelled idle power",
    assumptions: [{ key: "attribution.idle-power-modelled", text }],
  };
}

function recordEvidence({ evidence, ended, story }: Conclusion, document: RunDocument): void {
  if (evidence === undefined) return;
  evidence.figure("energy", document.energy);
  evidence.figure("duration", document.duration);
  evidence.figure("emissions", document.footprint?.emissions.locationBased ?? null);
  evidence.figure("water", document.footprint?.water.consumption ?? null);
  evidence.figure("electricity cost", document.footprint?.money.electricity ?? null);
  const isCut = ended.signal !== undefined || story.wasStopped;
  const outcome = isCut ? "interrupted" : ended.exitCode === 0 ? "completed" : "failed";
  evidence.end(outcome, ended.exitCode, document.duration.value);
}
