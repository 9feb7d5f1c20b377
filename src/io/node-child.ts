// Runs a compiled module in a Node process of its own, JSON in and JSON out; may depend on errors.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { errorFromDocument, LightfootError, type ErrorDocument } from "../errors/index.ts";

export interface NodeChildOptions {
  readonly signal?: AbortSignal;
  /** Kills the child after this time; 10 minutes if left out. */
  readonly timeoutSeconds?: number;
}

/** The document a child prints: its result, or its error. */
export type ChildAnswer<Result> = { readonly result: Result } | { readonly error: ErrorDocument };

const MAX_STDERR_CHARACTERS = 4000;

/**
 * Starts `module` with `input` on its standard input and waits for its answer.
 *
 * @throws LightfootError what the child reports; E_WORKER when it dies without an answer; E_INTERRUPTED after the signal
 */
export async function runNodeChild<Result>(
  module: URL,
  input: unknown,
  options: NodeChildOptions = {},
): Promise<Result> {
  throwIfAborted(options.signal);
  const child = spawn(process.execPath, [fileURLToPath(module)], { stdio: ["pipe", "pipe", "pipe"] });
  const kill = (): void => void child.kill("SIGKILL");
  options.signal?.addEventListener("abort", kill);
  // A child must not outlive its parent when the parent leaves early.
  process.once("exit", kill);
  const timer = setTimeout(kill, (options.timeoutSeconds ?? 600) * 1000);
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => void (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-MAX_STDERR_CHARACTERS);
  });
  // A child that dies before it has read its input breaks the pipe; its exit tells more than that.
  child.stdin.on("error", () => undefined);
  child.stdin.end(JSON.stringify(input));
  try {
    const ending = await new Promise<string>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (code, signal) => resolve(signal === null ? `exit code ${code}` : `signal ${signal}`));
    });
    throwIfAborted(options.signal);
    return parseAnswer(stdout, stderr, ending) as Result;
  } finally {
    clearTimeout(timer);
    process.removeListener("exit", kill);
    options.signal?.removeEventListener("abort", kill);
  }
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new LightfootError("E_INTERRUPTED", "the measurement was stopped");
}

function parseAnswer(stdout: string, stderr: string, ending: string): unknown {
  let answer: ChildAnswer<unknown>;
  try {
    answer = JSON.parse(stdout) as ChildAnswer<unknown>;
  } catch (cause) {
    const said = stderr.trim();
    throw new LightfootError("E_WORKER", `a child process ended with ${ending} and gave no answer`, {
      hint: said === "" ? "It may have run out of memory." : said,
      cause,
    });
  }
  if ("error" in answer) throw errorFromDocument(answer.error);
  return answer.result;
}
