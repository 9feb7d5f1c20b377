// What the parts of `track` know of a run that goes on; may depend on this room, pipeline, meter and io.
import type { Command } from "../../io/command.ts";
import type { TreeControl } from "../../io/process-control.ts";
import type { Meter } from "../../meter/source.ts";
import type { RunDocument } from "../../pipeline/track/run-schema.ts";
import type { Standing, TrackSession } from "../../pipeline/track/session.ts";
import type { TrackPlan } from "./flags.ts";

/** A run whose command has started. */
export interface Running {
  readonly plan: TrackPlan;
  readonly words: readonly string[];
  readonly session: TrackSession;
  readonly meter: Meter;
  readonly command: Command;
  readonly tree: TreeControl;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  /** Of the meter's clock. */
  readonly startSeconds: number;
  /** When the command had ended; undefined before. */
  readonly endedSeconds: () => number | undefined;
  readonly cgroup: string | undefined;
  /** What went wrong beside the command. */
  readonly troubles: string[];
  /** Who wants to know of signals. */
  readonly signals: { onSignal?: (signal: NodeJS.Signals) => void };
}

/** What has happened so far beside the samples. */
export interface Story {
  readonly pauses: RunDocument["pauses"];
  readonly exceededAtSeconds: Map<string, number>;
  standing: Standing | undefined;
  wasStopped: boolean;
}
