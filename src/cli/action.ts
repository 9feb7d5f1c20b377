// What every verb's action runs in: streams, progress, interruption, and errors turned into exit codes; may depend on this room, ledger, errors, quantity.
import type { Command } from "commander";
import { asLightfootError, LightfootError } from "../errors/lightfoot-error.ts";
import type { Assumption } from "../quantity/figure.ts";
import { hasLedger, LEDGER_FOLDER } from "../ledger/layout.ts";
import type { ActionEvidence } from "./evidence.ts";
import { interruption } from "./interrupt.ts";
import { formatAssumptions, onStderr, printError, printResult } from "./output.ts";
import { createProgress, SILENT_PROGRESS, type Progress } from "./progress.ts";

/** Options every verb takes; defined on the program. */
export interface GlobalOptions {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly strict: boolean;
}

export interface ActionContext extends GlobalOptions {
  /** Aborts on Ctrl-C; pass it on to everything that lasts. */
  readonly signal: AbortSignal;
  readonly progress: Progress;
  /** Columns of the terminal that shows the result; wide when it is no terminal. */
  readonly columns: number;
  /** A line of narration on stderr, unless `--quiet`. */
  note(text: string): void;
  /** Begins a record in the ledger of the working directory, and the ledger where there is none; harmless when repeated. */
  beginEvidence(): Promise<void>;
  /**
   * The action's one result on stdout: `document` under `--json`, else `text()` followed by what was assumed.
   *
   * @throws LightfootError E_ASSUMPTIONS under `--strict` when there are assumptions, after the result was printed
   */
  result(document: unknown, text: () => string, assumptions?: readonly Assumption[]): void;
}

type Work<Parameters extends readonly unknown[]> = (context: ActionContext, ...parameters: Parameters) => Promise<void>;

/**
 * Whether an action leaves a record where the working directory has a ledger. Verbs that only look at the past, or keep a
 * record of their own, do not; an action that must have one begins it with `beginEvidence`.
 */
export type EvidenceRule = "into a ledger that is there" | "never";

/**
 * A commander action around `work`: gives it a context, prints what it throws, sets the exit code.
 *
 * @example command.action(runAction(async (context, file: string, options: { batch?: string }) => { … }))
 */
export function runAction<Parameters extends readonly unknown[]>(
  work: Work<Parameters>,
  rule: EvidenceRule = "into a ledger that is there",
): (...parameters: [...Parameters, Command]) => Promise<void> {
  return async (...all) => {
    const command = all.at(-1) as Command;
    const globals = globalOptions(command);
    const evidence = new Evidence(command);
    const context = createContext(globals, evidence);
    let error: LightfootError | undefined;
    try {
      if (rule !== "never" && hasLedger(LEDGER_FOLDER)) await context.beginEvidence();
      await work(context, ...(all.slice(0, -1) as unknown as Parameters));
    } catch (thrown) {
      context.progress.stop();
      error = interruption.aborted ? interruptedError(thrown) : asLightfootError(thrown);
      printError(error, globals);
      process.exitCode = error.exitCode;
    } finally {
      await evidence.end(error);
      context.progress.stop();
    }
  };
}

/** The record of one action, if it has one, and the document that goes into it. */
class Evidence {
  readonly #command: Command;
  #record: ActionEvidence | undefined;
  document: unknown;

  constructor(command: Command) {
    this.#command = command;
  }

  async begin(tell: (text: string) => void): Promise<void> {
    if (this.#record !== undefined) return;
    const { beginEvidence } = await import("./evidence.ts");
    const verbs: string[] = [];
    for (let at: Command | null = this.#command; at?.parent; at = at.parent) verbs.unshift(at.name());
    this.#record = beginEvidence(verbs.join(" "), process.argv.slice(2), tell);
  }

  async end(error: LightfootError | undefined): Promise<void> {
    await this.#record?.end(this.document, error);
  }
}

/** Once the user asked to stop, whatever the work throws on its way out is that stop. */
function interruptedError(thrown: unknown): LightfootError {
  if (thrown instanceof LightfootError && thrown.code === "E_INTERRUPTED") return thrown;
  return new LightfootError("E_INTERRUPTED", "stopped on request", { cause: thrown });
}

function globalOptions(command: Command): GlobalOptions {
  const { json, quiet, verbose, strict } = command.optsWithGlobals<Partial<GlobalOptions>>();
  return { json: json === true, quiet: quiet === true, verbose: verbose === true, strict: strict === true };
}

function createContext(globals: GlobalOptions, evidence: Evidence): ActionContext {
  // Under --json stderr carries at most one JSON document, so that a program can read it; a terminal is no program.
  const silent = globals.quiet || (globals.json && !process.stderr.isTTY);
  const columns = process.stdout.isTTY ? process.stdout.columns : 200;
  const progress = silent ? SILENT_PROGRESS : createProgress(process.stderr, () => performance.now());
  const note = (text: string): void => {
    progress.stop();
    if (!silent) process.stderr.write(`${onStderr("dim", text)}\n`);
  };
  return {
    ...globals,
    signal: interruption,
    progress,
    columns,
    note,
    beginEvidence: () => evidence.begin(note),
    result(document, text, assumptions = []) {
      progress.stop();
      evidence.document = document;
      printResult(document, () => `${text()}\n${formatAssumptions(assumptions, columns)}`, globals.json);
      if (globals.strict && assumptions.length > 0) {
        const count = new Set(assumptions.map(({ key }) => key)).size;
        throw new LightfootError("E_ASSUMPTIONS", `the result rests on ${count} assumption${count === 1 ? "" : "s"}`, {
          hint: "Give what was assumed, or leave --strict out.",
        });
      }
    },
  };
}
