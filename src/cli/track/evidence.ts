// A tracked run in the ledger: head, samples as they come, figures and end; a ledger that fails is told and left alone; may depend on ledger, io and this room.
import { hostname } from "node:os";
import { writerIdentity } from "../../io/writer-identity.ts";
import { openLedgerWriter, type LedgerWriter } from "../../ledger/writer.ts";
import type { Standing } from "../../pipeline/track/session.ts";
import type { Figure } from "../../quantity/figure.ts";
import { toolVersion } from "../version.ts";
import type { Running } from "./running.ts";

export interface Evidence {
  readonly file: string;
  readonly run: string;
  /** Every domain's energy since the sample before. */
  sample(standing: Standing, atSeconds: number): void;
  figure(name: string, figure: Figure | null): void;
  /** Waits until the disk has everything. */
  end(outcome: "completed" | "failed" | "interrupted", exitCode: number, elapsedSeconds: number): void;
}

const isoNow = (): string => new Date().toISOString();

/** Begins the run's record; undefined without a ledger, or when it cannot be written. */
export function openEvidence({ plan, words, meter, startedAt, troubles }: Running): Evidence | undefined {
  const { ledger: folder, name } = plan.flags;
  if (folder === false) return undefined;
  const tool = { name: "lightfoot", version: toolVersion() };
  let writer: LedgerWriter | undefined;
  /** The first failure is told, the rest would be the same. */
  const guarded = (work: (writer: LedgerWriter) => void): void => {
    if (writer === undefined) return;
    try {
      work(writer);
    } catch (error) {
      troubles.push(`no more evidence is written: ${error instanceof Error ? error.message : String(error)}`);
      writer = undefined;
    }
  };
  try {
    writer = openLedgerWriter({ folder, tool, now: isoNow, identity: writerIdentity() });
  } catch (error) {
    troubles.push(`no evidence is written: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
  const { file } = writer;
  const run = writer.newRun();
  guarded((ledger) => {
    const domains = meter.domains.map(({ id, label, kind, device, method, countsTowardsTotal }) => ({
      id,
      label,
      kind,
      ...(device === undefined ? {} : { device }),
      method,
      countsTowardsTotal,
    }));
    ledger.append({
      record: "run",
      run,
      at: startedAt,
      verb: "track",
      title: name ?? words.join(" "),
      command: words,
      model: null,
      inputs: [],
      domains,
      host: hostname(),
      tool,
    });
  });
  let lastSeconds = 0;
  return {
    file,
    run,
    sample({ elapsedSeconds, sample }, atSeconds) {
      const seconds = elapsedSeconds - lastSeconds;
      lastSeconds = elapsedSeconds;
      guarded((ledger) =>
        ledger.appendSamples(
          run,
          sample.domains.map(({ domain, addedMicrojoules, powerWatts, trouble }) => ({
            atSeconds,
            elapsedSeconds,
            domain: domain.id,
            energyJoules: trouble === undefined ? Number(addedMicrojoules) / 1e6 : null,
            powerWatts: powerWatts ?? null,
            ...(trouble === undefined ? {} : { gapSeconds: Math.max(0, seconds), gap: trouble }),
          })),
        ),
      );
    },
    figure(figureName, figure) {
      if (figure === null) return;
      guarded((ledger) =>
        ledger.append({ record: "figure", run, at: isoNow(), subject: null, name: figureName, figure }),
      );
    },
    end(outcome, exitCode, elapsedSeconds) {
      guarded((ledger) => {
        ledger.append({ record: "end", run, at: isoNow(), elapsedSeconds, outcome, exitCode });
        ledger.close();
      });
    },
  };
}
