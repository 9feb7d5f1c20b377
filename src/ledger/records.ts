// What may stand on a line of the ledger: a run's head, its samples, its figures, its end; may depend on quantity alone.
import type { Figure, Method } from "../quantity/figure.ts";

/** Something that went into a run, by content. */
export interface RunInput {
  readonly name: string;
  /** `sha256:<hex>` of the bytes. */
  readonly digest: string;
}

/** Verbs that use the energy they report; the figures of others, such as `footprint`, are about somebody else's. */
export const WORKING_VERBS: readonly string[] = ["run", "track"];

/** What a run's samples are about: one counter, sensor or model of a part of the machine. */
export interface RunDomain {
  readonly id: string;
  readonly label: string;
  /** `package`, `dram`, `gpu`, `node`, `cpu-model` … */
  readonly kind: string;
  readonly device?: string;
  readonly method: Method;
  /** False where another domain contains or mirrors this one: sums leave it out. */
  readonly countsTowardsTotal: boolean;
}

/** The head of a run: what was done, by which tool, on what. */
export interface RunRecord {
  readonly record: "run";
  readonly run: string;
  /** Wall clock, ISO 8601 in UTC. */
  readonly at: string;
  /** The verb that ran: `run`, `track`, `analyze` … */
  readonly verb: string;
  /** What it was about, for people: a title, a model's path, a command line. */
  readonly title: string;
  readonly command: readonly string[];
  /** Digest of the model, where there is one. */
  readonly model: string | null;
  readonly inputs: readonly RunInput[];
  readonly domains: readonly RunDomain[];
  readonly host: string;
  readonly tool: { readonly name: string; readonly version: string };
}

/** What one domain used since its sample before. */
export interface Sample {
  /** Wall clock, seconds since 1970 in UTC: for people and for joining with a grid's hours. Intervals follow `elapsedSeconds`. */
  readonly atSeconds: number;
  /** Seconds since the run began, by a clock that never goes backwards; the end of the interval. */
  readonly elapsedSeconds: number;
  readonly domain: string;
  /** Energy of the interval; null when it is not known. */
  readonly energyJoules: number | null;
  /** Mean power of the interval; null when it is not known. */
  readonly powerWatts: number | null;
  /** The part of the interval that nothing is known about; left out when there is none. */
  readonly gapSeconds?: number;
  /** Why there is a gap: `reset`, `read failed` … */
  readonly gap?: string;
}

export interface SampleRecord extends Sample {
  readonly record: "sample";
  readonly run: string;
}

/** One finding of a run, with its interval, method, sources and assumptions. */
export interface FigureRecord {
  readonly record: "figure";
  readonly run: string;
  readonly at: string;
  /** What the figure describes, e.g. `compressed`; null for the run itself. */
  readonly subject: string | null;
  /**
   * Path of the figure in its result document: `energy`, `emissions.locationBased`, `models.accuracy` … Exporters take
   * `energy` (J), `emissions` (gCO2e), `water` (L) and `money` of the run itself.
   */
  readonly name: string;
  readonly figure: Figure;
}

/** How a run ended. A run without this record was cut off or is still going. */
export interface EndRecord {
  readonly record: "end";
  readonly run: string;
  readonly at: string;
  readonly elapsedSeconds: number;
  readonly outcome: "completed" | "failed" | "interrupted";
  /** Exit code of a tracked command; null for none. */
  readonly exitCode: number | null;
  /** What only the end knows: the model, what else went in, what came out, the digest of the result document. */
  readonly model?: string | null;
  readonly inputs?: readonly RunInput[];
  readonly outputs?: readonly RunInput[];
  readonly document?: string | null;
}

export type LedgerRecord = RunRecord | SampleRecord | FigureRecord | EndRecord;

/** What the writer itself puts down, around the records. */
export interface OpenRecord {
  readonly record: "open";
  readonly schema: "lightfoot.ledger/1";
  readonly writer: string;
  readonly at: string;
  readonly host: string;
  readonly pid: number;
  readonly tool: { readonly name: string; readonly version: string };
  /** The newest file of the folder at that time, and how far it had come: a witness that it existed. */
  readonly after: { readonly writer: string; readonly blocks: number; readonly seal: string | null } | null;
}

/** The writer has nothing more to say; stands last, inside the last block. */
export interface CloseRecord {
  readonly record: "close";
  readonly at: string;
}
