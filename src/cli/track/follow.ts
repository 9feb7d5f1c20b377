// From the command's start to this process's end: samples, live line, budgets, ledger, document; may depend on this room, pipeline, meter and io.
import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { isatty } from "node:tty";
import { EXIT } from "../../errors/catalog.ts";
import { describeThisMachine } from "../../io/machine.ts";
import { cpuEnergyModel } from "../../meter/cpu-energy.ts";
import { BudgetWatch, type BudgetState } from "../../pipeline/track/budget.ts";
import { Enforcer, type Action } from "../../pipeline/track/enforce.ts";
import type { Standing } from "../../pipeline/track/session.ts";
import { formatNumber } from "../../quantity/format.ts";
import type { Factors } from "./factors.ts";
import { concludeRun } from "./conclude.ts";
import { openEvidence, type Evidence } from "./evidence.ts";
import { createLiveLine, NO_LIVE_LINE, terminalScreen, type LiveLine } from "./live-line.ts";
import { liveText } from "./live-text.ts";
import { writeRaw } from "./raw-streams.ts";
import type { Running, Story } from "./running.ts";

/** A command that is over before this needs no line. */
const FIRST_LINE_SECONDS = 1;

const wallSeconds = (): number => Date.now() / 1e3;

/** Follows the command to its end. @returns the exit code of this process */
export async function follow(running: Running, factors: Factors | undefined): Promise<number> {
  const follower = new Follower(running, factors);
  const ended = await running.command.ended.finally(() => follower.stopSampling());
  return follower.conclude(ended);
}

class Follower {
  readonly #running: Running;
  #factors: Factors | undefined;
  readonly #evidence: Evidence | undefined;
  readonly #live: LiveLine;
  readonly #watch: BudgetWatch;
  readonly #enforcer: Enforcer;
  readonly #story: Story = { pauses: [], exceededAtSeconds: new Map(), standing: undefined, wasStopped: false };
  readonly #timer: NodeJS.Timeout;
  #later: NodeJS.Timeout | undefined;
  #loading: Promise<void> | undefined;
  #pausedBecause: { readonly reason: string; readonly fromSeconds: number } | undefined;
  #isSampling = false;
  #stopping: Promise<void> | undefined;

  constructor(running: Running, factors: Factors | undefined) {
    const { plan } = running;
    this.#running = running;
    this.#factors = factors;
    this.#evidence = openEvidence(running);
    this.#watch = new BudgetWatch(plan.budgets);
    this.#enforcer = new Enforcer({ onExceed: plan.flags.onExceed, pauseAboveGramsPerKwh: plan.pauseAboveGramsPerKwh });
    const screen = plan.flags.live && plan.flags.quiet !== true ? terminalScreen() : undefined;
    this.#live = screen === undefined ? NO_LIVE_LINE : createLiveLine(screen);
    if (plan.flags.idle === "baseline") {
      running.session.idleWatts = plan.idleWatts ?? cpuEnergyModel(describeThisMachine()).idlePower.value;
    }
    running.signals.onSignal = (signal) => this.#onSignal(signal);
    process.on("SIGCONT", () => {
      this.#act(this.#enforcer.acknowledge());
      // `fg` continues every process of the group, also those that wait for a cleaner grid.
      if (running.tree.isPaused) running.tree.send("SIGSTOP");
    });
    // A stopped terminal must get its last row back; the command has its own SIGTSTP from the terminal.
    if (screen !== undefined) {
      const stop = (): void => {
        this.#live.hide();
        process.removeListener("SIGTSTP", stop);
        process.kill(process.pid, "SIGTSTP");
      };
      process.on("SIGTSTP", stop);
      process.on("SIGCONT", () => void (process.listenerCount("SIGTSTP") === 0 && process.on("SIGTSTP", stop)));
    }
    this.#timer = setInterval(() => void this.#sample(), plan.intervalSeconds * 1e3);
    const hasDocument = plan.flags.json === true || plan.flags.out !== undefined;
    if (factors === undefined && hasDocument) this.#loading = this.#loadFactors();
    else if (factors === undefined) this.#later = setTimeout(() => void this.#loadFactors(), FIRST_LINE_SECONDS * 1e3);
    // A grid that is dirty now is a reason to wait now.
    if (plan.pauseAboveGramsPerKwh !== undefined) void this.#sample();
  }

  stopSampling(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#later);
    this.#live.hide();
  }

  async conclude(ended: { readonly exitCode: number; readonly signal: NodeJS.Signals | undefined }): Promise<number> {
    const { session, plan } = this.#running;
    this.#endPause(session.elapsedSeconds);
    await this.#stopping;
    await this.#loading;
    const exitCode = await concludeRun({
      running: this.#running,
      factors: this.#factors,
      evidence: this.#evidence,
      story: this.#story,
      watch: this.#watch,
      ended,
    });
    if (this.#story.wasStopped) return EXIT.checkFailed;
    const isExceeded = this.#story.exceededAtSeconds.size > 0 && plan.budgets.length > 0;
    return exitCode === 0 && isExceeded ? EXIT.checkFailed : exitCode;
  }

  /** Factors nobody asked for: a short command is not kept waiting for them, unless a document is to have them. */
  async #loadFactors(): Promise<void> {
    const { plan, troubles } = this.#running;
    try {
      const { prepareFactors } = await import("./factors.ts");
      this.#factors ??= await prepareFactors(plan.flags, new Date().getUTCFullYear());
    } catch (error) {
      troubles.push(`no footprint: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  async #sample(): Promise<void> {
    // A slow reading delays the next one, it does not pile up.
    if (this.#isSampling || this.#running.command.hasEnded()) return;
    this.#isSampling = true;
    try {
      const { session } = this.#running;
      if (this.#factors !== undefined) session.setRates(this.#factors.ratesAt(wallSeconds()));
      const standing = await session.sample();
      if (this.#running.command.hasEnded()) return;
      this.#story.standing = standing;
      const states = this.#watch.update(standing.elapsedSeconds, standing.used);
      this.#act(this.#enforcer.decide(states, this.#factors?.gridAt(wallSeconds())));
      this.#evidence?.sample(standing, wallSeconds());
      this.#draw(standing, states);
    } finally {
      this.#isSampling = false;
    }
  }

  #draw(standing: Standing, states: readonly BudgetState[]): void {
    if (this.#live === NO_LIVE_LINE || standing.elapsedSeconds < FIRST_LINE_SECONDS) return;
    this.#live.show(liveText(standing, this.#watch.rate("J"), states, this.#pausedBecause?.reason));
  }

  #say(text: string): void {
    const { quiet, json } = this.#running.plan.flags;
    // Under --json a program may read stderr. (Not `process.stderr.isTTY`: that would open the stream, see raw-streams.)
    if (quiet === true || (json === true && !isatty(2))) return;
    this.#live.hide();
    writeRaw(2, `lightfoot: ${text}\n`);
  }

  #act(actions: readonly Action[]): void {
    for (const action of actions) {
      const at = this.#running.session.elapsedSeconds;
      if (action.kind === "near") {
        const { budget, usedFraction, secondsLeft } = action.state;
        const left =
          secondsLeft === undefined ? "" : `; at this rate it lasts another ${formatNumber(secondsLeft, "s", 2)}`;
        this.#say(`${(usedFraction * 100).toFixed(0)} % of the budget of ${budget.text} is used${left}`);
      } else if (action.kind === "exceeded") {
        this.#story.exceededAtSeconds.set(action.state.budget.text, at);
        this.#say(`the budget of ${action.state.budget.text} is used up after ${formatNumber(at, "s", 2)}`);
      } else if (action.kind === "pause") void this.#pause(action.reason);
      else if (action.kind === "resume") this.#resume();
      else this.#stopping ??= this.#stop(action.reason);
    }
  }

  async #pause(reason: string): Promise<void> {
    this.#pausedBecause = { reason, fromSeconds: this.#running.session.elapsedSeconds };
    await this.#checkpoint(reason);
    // The reason may have gone while the hook ran.
    if (this.#pausedBecause === undefined || this.#running.command.hasEnded()) return;
    this.#running.tree.pause();
    this.#say(`paused: ${reason}; kill -CONT ${process.pid} continues`);
  }

  #resume(): void {
    this.#running.tree.resume();
    if (this.#pausedBecause !== undefined) this.#say("continued");
    this.#endPause(this.#running.session.elapsedSeconds);
  }

  #endPause(toSeconds: number): void {
    if (this.#pausedBecause === undefined) return;
    this.#story.pauses.push({ ...this.#pausedBecause, toSeconds });
    this.#pausedBecause = undefined;
  }

  /** A stopped process does nothing about a signal until it is continued. */
  #onSignal(signal: NodeJS.Signals): void {
    if (signal === "SIGWINCH") return;
    if (this.#running.tree.isPaused) this.#resume();
  }

  /** Checkpoint, SIGTERM, and after the grace period SIGKILL to whatever is left. */
  async #stop(reason: string): Promise<void> {
    const { tree, plan, command } = this.#running;
    this.#story.wasStopped = true;
    await this.#checkpoint(reason);
    if (command.hasEnded()) return;
    this.#say(`stopping the command: ${reason}`);
    tree.send("SIGTERM");
    tree.resume();
    const deadline = performance.now() + plan.graceSeconds * 1e3;
    while (performance.now() < deadline) {
      if (tree.isEmpty()) return;
      await sleep(STOP_POLL_MILLISECONDS);
    }
    tree.send("SIGKILL");
  }

  /** The user's hook, as long as the grace period at most; what it prints goes to stderr. */
  async #checkpoint(reason: string): Promise<void> {
    const { plan, command, troubles } = this.#running;
    const { onCheckpoint } = plan.flags;
    if (onCheckpoint === undefined) return;
    this.#live.hide();
    const environment = { ...process.env, LIGHTFOOT_PID: String(command.pid), LIGHTFOOT_REASON: reason };
    const hook = spawn("/bin/sh", ["-c", onCheckpoint], { stdio: ["ignore", 2, 2], env: environment });
    const timer = setTimeout(() => hook.kill("SIGKILL"), plan.graceSeconds * 1e3);
    const failure = await new Promise<string | undefined>((resolve) => {
      hook.once("error", ({ message }) => resolve(message));
      hook.once("exit", (code, signal) => resolve(code === 0 ? undefined : `ended with ${signal ?? code}`));
    });
    clearTimeout(timer);
    if (failure !== undefined) troubles.push(`the checkpoint command ${failure}`);
  }
}

const STOP_POLL_MILLISECONDS = 50;
