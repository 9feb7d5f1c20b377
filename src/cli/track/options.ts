// The options of `track` as a table, for commander and for the quick reader alike; depends on the global options.
import { GLOBAL_OPTIONS } from "../global-options.ts";

export interface TrackOption {
  /** `--interval` */
  readonly flag: string;
  /** The key that commander stores it under. */
  readonly key: string;
  /** `time`, as the help shows it; left out for a switch. */
  readonly value?: string;
  readonly what: string;
  readonly initial?: unknown;
  readonly choices?: readonly string[];
  readonly isRepeatable?: boolean;
  /** What a switch stores; true when left out. */
  readonly sets?: boolean;
  /** Taken before the verb too, and listed by the program's own help. */
  readonly isGlobal?: boolean;
}

const globals: readonly TrackOption[] = GLOBAL_OPTIONS.map(([flag, what]) => ({
  flag,
  key: flag.slice(2),
  what,
  isGlobal: true,
}));

/** In the order of the help. */
export const TRACK_OPTIONS: readonly TrackOption[] = [
  { flag: "--name", key: "name", value: "text", what: "what the run is called in the document and the ledger" },
  {
    flag: "--interval",
    key: "interval",
    value: "time",
    what: "time between two samples, 20ms at least",
    initial: "500ms",
  },
  {
    flag: "--where",
    key: "where",
    value: "place",
    what: "country, grid zone or cloud region: DE, US-CAL-CISO, aws:eu-central-1",
  },
  { flag: "--out", key: "out", value: "file", what: "also write the document to a file" },
  {
    flag: "--intensity",
    key: "intensity",
    value: "amount",
    what: "carbon intensity instead of the place's, e.g. 350gCO2e/kWh",
  },
  {
    flag: "--intensity-series",
    key: "intensitySeries",
    value: "file",
    what: "carbon intensity over time, a CSV file",
  },
  { flag: "--price", key: "price", value: "amount", what: "electricity price, e.g. 0.30EUR/kWh" },
  { flag: "--pue", key: "pue", value: "number", what: "power usage effectiveness, e.g. 1.2" },
  { flag: "--wue", key: "wue", value: "number", what: "on-site water per kWh of IT energy, L/kWh" },
  {
    flag: "--attribute",
    key: "attribute",
    value: "what",
    what: "whose energy the result is",
    initial: "machine",
    choices: ["machine", "process", "cgroup"],
  },
  {
    flag: "--cgroup",
    key: "cgroup",
    value: "path",
    what: "control group (version 2) to watch, e.g. system.slice/train.service",
  },
  {
    flag: "--idle",
    key: "idle",
    value: "policy",
    what: "who carries idle power: nobody, all who ran, or taken off as a baseline",
    initial: "proportional",
    choices: ["none", "proportional", "baseline"],
  },
  {
    flag: "--idle-power",
    key: "idlePower",
    value: "power",
    what: "power of the idle machine for the baseline, e.g. 12W; modelled when left out",
  },
  {
    flag: "--node-role",
    key: "nodeRole",
    value: "role",
    what: "count the machine, or leave that to local rank 0",
    initial: "auto",
    choices: ["auto", "meter", "attribute"],
  },
  {
    flag: "--budget",
    key: "budget",
    value: "amount",
    what: "limit of energy, carbon, water or money: 2kWh, 500gCO2e, 10L, 3EUR; repeatable",
    initial: [],
    isRepeatable: true,
  },
  {
    flag: "--on-exceed",
    key: "onExceed",
    value: "what",
    what: "what happens when a budget is used up",
    initial: "warn",
    choices: ["warn", "pause", "stop"],
  },
  { flag: "--grace", key: "grace", value: "time", what: "time from SIGTERM to SIGKILL when stopping", initial: "10s" },
  {
    flag: "--on-checkpoint",
    key: "onCheckpoint",
    value: "command",
    what: "shell command that runs before the command is paused or stopped",
  },
  {
    flag: "--pause-above",
    key: "pauseAbove",
    value: "intensity",
    what: "pause while the grid is above this, e.g. 400gCO2e/kWh",
  },
  { flag: "--ledger", key: "ledger", value: "folder", what: "where evidence is appended", initial: ".lightfoot" },
  { flag: "--no-ledger", key: "ledger", what: "append no evidence", sets: false },
  { flag: "--no-live", key: "live", what: "no live line on the terminal", initial: true, sets: false },
  {
    flag: "--rack-meter",
    key: "rackMeter",
    value: "where",
    what: "a meter of this whole machine: a file, an HTTP address, a Prometheus query",
  },
  { flag: "--sys-root", key: "sysRoot", value: "folder", what: "where /sys is mounted", initial: "/sys" },
  { flag: "--proc-root", key: "procRoot", value: "folder", what: "where /proc is mounted", initial: "/proc" },
  ...globals,
];
