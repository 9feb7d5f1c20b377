// Who writes: host, process and a random name that no other writer has; may depend on Node alone.
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";

export interface WriterIdentity {
  readonly host: string;
  readonly pid: number;
  /** Ten characters, 50 random bits. */
  readonly unique: string;
}

// Without letters and digits that people mix up (0 o, 1 l): 32 characters, five bits each.
const ALPHABET = "23456789abcdefghijkmnpqrstuvwxyz";

/** A name of ten characters that nobody else draws: 50 random bits. */
export function randomName(): string {
  return Array.from(randomBytes(10), (byte) => ALPHABET[byte & 31]).join("");
}

/** This process as a writer; each call draws another name. */
export function writerIdentity(): WriterIdentity {
  return { host: hostname(), pid: process.pid, unique: randomName() };
}

/** True while a process of this machine has that id, whoever owns it. */
export function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
