// Somebody else's command as a child that cannot tell the difference: streams, terminal, signals, exit code; may depend on errors and Node.
import { spawn, type ChildProcess } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { constants } from "node:os";
import { basename } from "node:path";
import { isatty } from "node:tty";
import { LightfootError } from "../errors/lightfoot-error.ts";

export interface CommandEnd {
  /** As a shell reports it: the command's own, or 128 + n after signal n. */
  readonly exitCode: number;
  readonly signal: NodeJS.Signals | undefined;
}

export interface Command {
  readonly pid: number;
  /** Resolves when it has ended and was waited for. */
  readonly ended: Promise<CommandEnd>;
  /** True once it has ended. */
  readonly hasEnded: () => boolean;
  send(signal: NodeJS.Signals): void;
  /** Gives this process its own signals back. */
  release(): void;
}

/** Sent by a terminal, or by the kernel for it, to every process in its foreground: the command has them already. */
const OF_THE_TERMINAL: readonly NodeJS.Signals[] = ["SIGINT", "SIGQUIT", "SIGWINCH"];
const FORWARDED: readonly NodeJS.Signals[] = [...OF_THE_TERMINAL, "SIGHUP", "SIGTERM", "SIGUSR1", "SIGUSR2"];

export interface StartOptions {
  /** Added in front of this process's environment. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Told of every signal that arrives, after it was passed on. */
  readonly onSignal?: (signal: NodeJS.Signals) => void;
}

/**
 * Starts a command with this process's streams and terminal, in this process's group, so that Ctrl-C, Ctrl-Z and `fg` reach
 * both, and passes on the signals that reach this process alone.
 *
 * @throws LightfootError E_COMMAND_NOT_FOUND, E_COMMAND_NOT_EXECUTABLE
 */
export async function startCommand(command: readonly string[], options: StartOptions = {}): Promise<Command> {
  const { environment = {}, onSignal } = options;
  let child: ChildProcess | undefined;
  const early: NodeJS.Signals[] = [];
  const send = (signal: NodeJS.Signals): void => {
    if (child === undefined) early.push(signal);
    else child.kill(signal);
  };
  const listeners = FORWARDED.map((signal) => {
    const listener = (): void => {
      // A second SIGINT means "at once" to many programs, so that it must not arrive twice.
      if (!(OF_THE_TERMINAL.includes(signal) && isInForeground())) send(signal);
      onSignal?.(signal);
    };
    process.on(signal, listener);
    return { signal, listener };
  });
  const release = (): void => {
    for (const { signal, listener } of listeners) process.removeListener(signal, listener);
  };
  const fail = (cause: unknown): never => {
    release();
    throw notStarted(command[0] ?? "", cause as NodeJS.ErrnoException);
  };
  const [file = "", ...args] = withoutHangup(command);
  // First in the environment, where whoever looks for the marker finds it soon.
  const env = { ...environment, ...process.env, ...environment };
  let started: ChildProcess;
  try {
    started = spawn(file, args, { stdio: inheritedStreams(), env });
  } catch (error) {
    return fail(error); // an empty name, a word with a NUL in it
  }
  let hasEnded = false;
  const ended = new Promise<CommandEnd>((resolve) => {
    started.once("exit", (code, signal) => {
      hasEnded = true;
      resolve({ exitCode: code ?? 128 + constants.signals[signal ?? "SIGKILL"], signal: signal ?? undefined });
    });
  });
  const { pid } = started;
  if (pid === undefined) return fail(await new Promise((resolve) => started.once("error", resolve)));
  started.on("error", () => undefined); // a signal that could not be sent: the command is on its way out
  child = started;
  for (const signal of early) child.kill(signal);
  return { pid, ended, hasEnded: () => hasEnded, send, release };
}

/**
 * `nohup` makes a program ignore SIGHUP; Node.js takes that back when it starts, and again in its children. The file that
 * nohup writes to gives it away, and a shell can pass the wish on.
 */
function withoutHangup(command: readonly string[]): readonly string[] {
  const isNohup = [1, 2].some((descriptor) => basename(linkOf(descriptor)) === "nohup.out");
  return isNohup ? ["/bin/sh", "-c", 'trap "" HUP; exec "$@"', "sh", ...command] : command;
}

/** Node.js keeps descriptors from its children up to here; those above pass through by themselves. */
const LAST_KEPT_DESCRIPTOR = 15;

/**
 * Streams 0 to 2 and every descriptor that this process was given beyond them: `3>log`, make's job server, sockets of systemd.
 *
 * Node.js opens event queues and pipes of its own among them. Pipes count as given only below the first of its queues, which
 * is the first thing it opens; it opens no files and sockets before a program does.
 */
function inheritedStreams(): ("inherit" | "ignore" | number)[] {
  const streams: ("inherit" | "ignore" | number)[] = ["inherit", "inherit", "inherit"];
  const links = openDescriptors().map((descriptor) => [descriptor, linkOf(descriptor)] as const);
  const firstOwn = links.find(([, link]) => link.startsWith("anon_inode:"))?.[0] ?? 0;
  for (const [descriptor, link] of links) {
    const isOwn =
      /^anon_inode:|^$|^\/dev\/null$|^\/proc\//.test(link) || (link.startsWith("pipe:") && descriptor > firstOwn);
    if (isOwn || descriptor <= 2 || descriptor > LAST_KEPT_DESCRIPTOR) continue;
    while (streams.length < descriptor) streams.push("ignore");
    streams.push(descriptor);
  }
  return streams;
}

/** In ascending order; none where there is no /proc. */
function openDescriptors(): number[] {
  try {
    return readdirSync("/proc/self/fd")
      .map(Number)
      .sort((a, b) => a - b);
  } catch {
    return [];
  }
}

function linkOf(descriptor: number): string {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`);
  } catch {
    return ""; // no /proc: macOS, Windows
  }
}

function notStarted(file: string, cause: NodeJS.ErrnoException): LightfootError {
  if (cause.code === "ENOENT" || file === "") {
    return new LightfootError("E_COMMAND_NOT_FOUND", `there is no command '${file}'`, {
      hint: "Check its name and PATH. A shell's own words need a shell: -- sh -c '…'",
      cause,
    });
  }
  return new LightfootError("E_COMMAND_NOT_EXECUTABLE", `${file} cannot be started: ${cause.message}`, {
    hint: "Is it a program, and may you run it? A script needs `chmod +x` and a first line such as #!/bin/sh.",
    cause,
  });
}

/**
 * True when this process is in the foreground of a terminal, so that the terminal's signals reach its children by themselves
 * and it may write to the screen.
 */
export function isInForeground(): boolean {
  try {
    const fields = readFileSync("/proc/self/stat", "latin1").split(") ").at(-1)?.split(" ") ?? [];
    const [group, terminalGroup] = [Number(fields[2]), Number(fields[5])]; // pgrp and tpgid of proc_pid_stat(5)
    return group === terminalGroup;
  } catch {
    return isatty(0);
  }
}
