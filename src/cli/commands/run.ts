// `lightfoot run`: a manifest in, models, dossier and report out; may depend on this room, pipeline, report and io.
import { join } from "node:path";
import { InvalidArgumentError, type Command } from "commander";
import { LightfootError } from "../../errors/lightfoot-error.ts";
import type { Dossier } from "../../pipeline/dossier-schema.ts";
import type { RunEvent } from "../../pipeline/run.ts";
import { runAction, type ActionContext } from "../action.ts";
import { withExamples } from "../help.ts";
import { formatTable } from "../terminal-table.ts";
import { toolVersion } from "../version.ts";
import { wrapText } from "../wrap-text.ts";

interface RunFlags {
  readonly out: string;
  readonly language: "en" | "zh";
}

/** Adds the verb `run` to the program. */
export function registerRun(program: Command): void {
  const command = program
    .command("run")
    .description("the whole way in one go: train or take a model, analyze, compress, judge, report")
    .argument("<manifest>", "a lightfoot.yaml")
    .option("--out <folder>", "where models, dossier.json and report.html go", "out")
    .option("--language <code>", "language of the report: en or zh", languageOf, "en")
    .action(runAction(run));
  withExamples(command, [
    ["lightfoot run examples/mnist/lightfoot.yaml --out out/mnist", "the worked example on MNIST"],
    ["lightfoot run lightfoot.yaml --out out --json > dossier.json", "the dossier for a program"],
  ]);
}

function languageOf(code: string): string {
  if (code === "en" || code === "zh") return code;
  throw new InvalidArgumentError("Known are en and zh.");
}

async function run(context: ActionContext, manifest: string, flags: RunFlags): Promise<void> {
  const { runManifest } = await import("../../pipeline/run.ts");
  const { renderReport } = await import("../../report/report.ts");
  const { modelTable } = await import("../../report/model-table.ts");
  const { MESSAGES } = await import("../../report/messages.ts");
  const { verdictOf } = await import("../../report/summary.ts");
  const { writeFileAtomic } = await import("../../io/atomic-write.ts");
  const narrated = narrate(context);
  const dossier = await runManifest({
    manifest,
    outDir: flags.out,
    version: toolVersion(),
    nodeVersion: process.version,
    signal: context.signal,
    clock: () => performance.now() / 1000,
    createdAt: () => new Date().toISOString(),
    onEvent: (event) => {
      // The first event says that the manifest is good: a mistyped name leaves no ledger behind.
      void context.beginEvidence();
      narrated(event);
    },
  }).catch((thrown: unknown) => {
    if (!(thrown instanceof LightfootError) || thrown.code !== "E_INTERRUPTED") throw thrown;
    // Training's own hint names an option of `lightfoot train`.
    throw new LightfootError("E_INTERRUPTED", thrown.message, {
      hint: "Run the same command again: finished and half-done training is taken up from where it stopped.",
      cause: thrown,
    });
  });
  context.progress.phase("Writing the report");
  await writeFileAtomic(join(flags.out, "report.html"), await renderReport(dossier, flags.language));
  // The terminal speaks English; the language is the report's.
  const messages = MESSAGES.en;
  const table = modelTable(dossier, messages);
  const verdict = verdictOf(dossier, messages);
  const text = () => {
    const head = [
      { title: "" },
      ...dossier.models.map(({ role }) => ({ title: messages.roles[role], align: "right" as const })),
    ];
    const names = dossier.models.map(({ role, title }) => `${messages.roles[role]}: ${title}`).join("\n");
    const rows = table.rows.map(({ title, cells }) => [title, ...cells.map((cell) => cell.text)]);
    const containers = dossier.models.flatMap(({ container }) => container?.file ?? []);
    const models = dossier.models.map(({ file }) => file);
    const files = ["report.html", "dossier.json", ...models, ...containers, "candidates/"];
    const prose = [verdict.text, ...rulesLine(dossier), `Wrote ${flags.out}: ${files.join(", ")}`];
    const closing = prose.map((paragraph) => wrapText(paragraph, context.columns).join("\n"));
    return [names, formatTable(head, rows, context.columns), ...closing].join("\n\n");
  };
  context.result(dossier, text, dossier.assumptions);
  if (dossier.searchEnded === "interrupted") {
    throw new LightfootError("E_INTERRUPTED", "the search was stopped; what it had found is saved", {
      hint: "Run the same command again: finished work is taken up from where it stopped.",
    });
  }
  if (!verdict.holds) {
    throw new LightfootError("E_BUDGET", verdict.text, {
      hint: "Allow a larger maxDrop, or read in report.html why each candidate was refused.",
    });
  }
}

/** How many rules say what, in one sentence; nothing when the manifest asked for no check. */
function rulesLine({ check }: Dossier): string[] {
  if (check === null) return [];
  const { pass, fail, unknown, manual } = check.counts;
  const failed = check.rules.filter(({ outcome }) => outcome === "fail").map(({ id }) => id);
  const names = failed.length === 0 ? "" : ` (${failed.join(", ")})`;
  return [
    `Rules of ${check.asOf} for ${check.roles.join(", ")}: ${pass} pass, ${fail} fail${names}, ${unknown} lack evidence, ${manual} are for a person.`,
  ];
}

/** Events as progress: the stage's title stays, count and detail change. */
function narrate(context: ActionContext): (event: RunEvent) => void {
  const { progress } = context;
  let title = "";
  return (event) => {
    if (event.kind === "stage") {
      title = event.title;
      progress.phase(title);
    } else if (event.kind === "reused") {
      context.note(`${event.title}: trained before with the same inputs, taken as it is.`);
    } else if (event.kind === "train" && event.event.type === "start") {
      progress.phase(title, event.event.totalSteps, "steps");
    } else if (event.kind === "train" && event.event.type === "step") {
      progress.advance(event.event.step, `epoch ${event.event.epoch} · loss ${event.event.loss.toFixed(4)}`);
    } else if (event.kind === "search" && event.event.kind === "started") {
      progress.phase(title, event.event.planned, "candidates");
    } else if (event.kind === "search" && event.event.kind === "trying") {
      progress.advance(event.event.done, event.event.title);
    }
  };
}
