// Commands that sources ask for readings, as a port that tests replay; may depend on Node.
import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

export interface CommandResult {
  readonly stdout: string;
  /** Why it failed; undefined after exit code 0. */
  readonly error?: string;
  /** True when there is no such program. */
  readonly isMissing?: boolean;
}

/** A command that goes on printing lines until it is stopped. */
export interface CommandStream {
  stop(): void;
}

export interface Commands {
  run(program: string, args: readonly string[], limitSeconds: number): Promise<CommandResult>;
  /** Starts a command that prints lines; `onEnd` says why it ended, unless it was stopped. */
  stream(
    program: string,
    args: readonly string[],
    onLine: (line: string) => void,
    onEnd: (reason: string) => void,
  ): CommandStream;
}

const MOST_BYTES = 1 << 20;

/** Looking along PATH costs microseconds, a process that cannot start milliseconds. */
function isInstalled(program: string): boolean {
  if (process.platform === "win32" || program.includes("/")) return true; // the system's own search decides
  return (process.env["PATH"] ?? "").split(delimiter).some((folder) => existsSync(join(folder, program)));
}

export const spawnCommands: Commands = {
  run: (program, args, limitSeconds) =>
    new Promise((resolve) => {
      if (!isInstalled(program)) {
        return resolve({ stdout: "", error: `${program} is not installed`, isMissing: true });
      }
      const limits = { timeout: limitSeconds * 1e3, maxBuffer: MOST_BYTES, killSignal: "SIGKILL" } as const;
      return execFile(program, [...args], limits, (error, stdout, stderr) => {
        if (error === null) return resolve({ stdout });
        const isMissing = error.code === "ENOENT";
        const said = stderr.trim().split("\n")[0]?.slice(0, 200) ?? "";
        const reason = isMissing
          ? `${program} is not installed`
          : error.killed === true
            ? `${program} gave no answer within ${limitSeconds} s`
            : `${program} failed${said === "" ? ` with ${String(error.code ?? error.signal)}` : `: ${said}`}`;
        return resolve({ stdout, error: reason, isMissing });
      });
    }),

  stream(program, args, onLine, onEnd) {
    const child = spawn(program, [...args], { stdio: ["ignore", "pipe", "ignore"] });
    let rest = "";
    let stopped = false;
    child.stdout.setEncoding("utf8");
    child.stdout.on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = (lines.pop() ?? "").slice(-4096);
      for (const line of lines) onLine(line);
    });
    const end = (reason: string): void => {
      if (!stopped) onEnd(reason);
      stopped = true;
    };
    child.on("error", (error) =>
      end("code" in error && error.code === "ENOENT" ? `${program} is not installed` : error.message),
    );
    child.on("exit", (code, signal) => end(`${program} ended with ${String(code ?? signal)}`));
    // It must neither keep this process alive nor survive it.
    child.unref();
    if ("unref" in child.stdout && typeof child.stdout.unref === "function") child.stdout.unref();
    const stop = (): void => {
      stopped = true;
      child.kill("SIGTERM");
    };
    process.once("exit", stop);
    return {
      stop() {
        process.removeListener("exit", stop);
        stop();
      },
    };
  },
};
