// The command line as a commander program with every verb; may depend on commander and this room.
import type { Command } from "commander";
import { createBaseProgram } from "./base-program.ts";
import { registerTrain } from "./commands/train.ts";
import { registerRun } from "./commands/run.ts";
import { registerAnalyze } from "./commands/analyze.ts";
import { registerPack } from "./commands/pack.ts";
import { registerCheck } from "./commands/check.ts";
import { registerScan } from "./commands/scan.ts";
import { registerPolicy } from "./commands/policy.ts";
import { registerCompress } from "./commands/compress.ts";
import { registerAudit } from "./commands/audit.ts";
import { registerEvaluate } from "./commands/evaluate.ts";
import { registerSimulate } from "./commands/simulate.ts";
import { registerFootprint } from "./commands/footprint/index.ts";
import { registerLedger } from "./commands/ledger/index.ts";
import { registerExport } from "./commands/export.ts";
import { registerVerify } from "./commands/verify.ts";
import { registerDoctor } from "./commands/doctor.ts";
import { registerTrack } from "./commands/track.ts";
import { registerFacts } from "./commands/facts.ts";

/** Each verb's module is light: what is heavy is imported inside its action, so that `--help` answers at once. */
const VERBS: readonly ((program: Command) => void)[] = [
  registerRun,
  registerAnalyze,
  registerCompress,
  registerEvaluate,
  registerAudit,
  registerTrain,
  registerPack,
  registerFacts,
  registerFootprint,
  registerExport,
  registerVerify,
  registerScan,
  registerCheck,
  registerPolicy,
  registerSimulate,
  registerTrack,
  registerLedger,
  registerDoctor,
];

/** The whole program. */
export const createProgram = (): Command => createBaseProgram(VERBS);
