// Appends records to a file that this writer alone has, each at once and whole; may depend on errors, io and this room.
import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname, resolve } from "node:path";
import { LightfootError } from "../errors/lightfoot-error.ts";
import type { WriterIdentity } from "../io/writer-identity.ts";
import { blockRecord, LINES_PER_BLOCK, renderBlock, sealOf } from "./block.ts";
import { filePath, headPath, listWriters, readHead, renderHead, writerName } from "./layout.ts";
import type { CloseRecord, LedgerRecord, OpenRecord, Sample } from "./records.ts";
import { sampleFormatter } from "./sample-line.ts";

export interface LedgerWriterOptions {
  /** The ledger's folder; it is made when it is not there. */
  readonly folder: string;
  readonly tool: { readonly name: string; readonly version: string };
  /** Wall clock, ISO 8601 in UTC. */
  readonly now: () => string;
  /** Host, process and a name nobody else has; `writerIdentity()` of io. */
  readonly identity: WriterIdentity;
}

/**
 * One writer's file. Every call returns after the system took the bytes: what was appended survives the process.
 *
 * When the disk is full or a write fails otherwise, the file is put back to the end of the record before, the call throws,
 * and the writer stays usable.
 */
export interface LedgerWriter {
  readonly file: string;
  /** A name for a new run, unlike any other's: ten characters or a little more. */
  newRun(): string;
  /** @throws LightfootError E_FILE_WRITE, E_PERMISSION; E_RANGE for numbers that JSON cannot hold */
  append(record: LedgerRecord): void;
  /** Many samples of one run in few writes: for replays and imports. Throws as `append`. */
  appendSamples(run: string, samples: Iterable<Sample>): void;
  /** Closes the block and waits until the disk has everything: at the end of each run. */
  sync(): void;
  /** Says that nothing follows, and syncs. Harmless when called twice. */
  close(): void;
}

/**
 * Begins a file in the ledger; no lock is taken, because no other writer ever has this file.
 *
 * @throws LightfootError E_PERMISSION (read-only system, no rights), E_FILE_WRITE
 * @example
 * const writer = openLedgerWriter({ folder: ".lightfoot", tool, now: () => new Date().toISOString(), identity: writerIdentity() });
 * const run = writer.newRun();
 * writer.append({ record: "run", run, … });
 * writer.append({ record: "sample", run, … });
 * writer.append({ record: "end", run, … });
 * writer.close();
 */
export function openLedgerWriter(options: LedgerWriterOptions): LedgerWriter {
  const { folder, identity, tool, now } = options;
  const at = now();
  const writer = writerName(at, identity.host, identity.pid, identity.unique);
  const file = filePath(folder, writer);
  let head: number | undefined;
  try {
    makeFolder(folder);
    const after = newest(folder);
    // The head comes first: a file without one has lost it.
    head = openSync(headPath(folder, writer), "wx");
    writeSync(head, renderHead({ writer, blocks: 0, seal: null }), 0);
    const handle = openSync(file, "ax");
    const { host, pid } = identity;
    const open: OpenRecord = { record: "open", schema: "lightfoot.ledger/1", writer, at, host, pid, tool, after };
    return new FileWriter({ file, writer, unique: identity.unique, handle, head, folder, now }, open);
  } catch (error) {
    if (head !== undefined) discard(head, headPath(folder, writer));
    throw writeError(error, file);
  }
}

/** A head whose file never came to be says nothing. */
function discard(handle: number, path: string): void {
  closeSync(handle);
  rmSync(path, { force: true });
}

/** The writer whose file is the newest, and how far it is. */
function newest(folder: string): OpenRecord["after"] {
  const writer = listWriters(folder).at(-1);
  const head = writer === undefined ? undefined : readHead(folder, writer);
  return head ? { writer: head.writer, blocks: head.blocks, seal: head.seal } : null;
}

interface Place {
  readonly file: string;
  readonly writer: string;
  readonly unique: string;
  readonly handle: number;
  readonly head: number;
  readonly folder: string;
  readonly now: () => string;
}

/** Bulk writes are handed over in pieces of about this size: few system calls, little memory. */
const FLUSH_BYTES = 2 ** 20;

/** Everything that a failed write must put back. */
interface State {
  /** Lines since the last block record. */
  readonly open: readonly Buffer[];
  readonly openLines: number;
  readonly blocks: number;
  readonly seal: string | null;
}

class FileWriter implements LedgerWriter {
  readonly file: string;
  readonly #place: Place;
  #state: State = { open: [], openLines: 0, blocks: 0, seal: null };
  /** As far as the file is known to hold `#state`, and its length then. */
  #written: State = this.#state;
  #bytes = 0;
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #runs = 0;
  #isOpen = true;
  /** Why nothing can be appended any more; a torn line that could not be taken back must stay the last. */
  #broken: LightfootError | undefined;

  constructor(place: Place, open: OpenRecord) {
    this.#place = place;
    this.file = place.file;
    this.#add(`${JSON.stringify(open)}\n`, 1);
    this.#flush();
  }

  newRun(): string {
    this.#runs += 1;
    return this.#runs === 1 ? this.#place.unique : `${this.#place.unique}-${this.#runs}`;
  }

  append(record: LedgerRecord): void {
    if (record.record === "sample") {
      this.appendSamples(record.run, [record]);
      return;
    }
    this.#add(`${JSON.stringify(record, refuseNonFinite)}\n`, 1);
    this.#flush();
  }

  appendSamples(run: string, samples: Iterable<Sample>): void {
    const format = sampleFormatter(run);
    let text = "";
    let lines = 0;
    try {
      for (const sample of samples) {
        text += format(sample);
        lines += 1;
        if (this.#state.openLines + lines < LINES_PER_BLOCK) continue;
        this.#add(text, lines);
        [text, lines] = ["", 0];
        if (this.#pendingBytes >= FLUSH_BYTES) this.#flush();
      }
    } finally {
      // Samples before one that was refused are good.
      if (lines > 0) this.#add(text, lines);
      this.#flush();
    }
  }

  sync(): void {
    this.#seal();
    this.#flush();
    try {
      fsyncSync(this.#place.handle);
      fsyncSync(this.#place.head);
      syncFolder(this.#place.folder);
    } catch (error) {
      throw writeError(error, this.file);
    }
  }

  close(): void {
    if (!this.#isOpen) return;
    const close: CloseRecord = { record: "close", at: this.#place.now() };
    try {
      this.#add(`${JSON.stringify(close)}\n`, 1);
      this.sync();
    } finally {
      this.#isOpen = false;
      closeSync(this.#place.handle);
      closeSync(this.#place.head);
    }
  }

  /** Lines that fit into the open block; a full block is closed. */
  #add(text: string, lines: number): void {
    if (this.#broken !== undefined) throw this.#broken;
    if (!this.#isOpen) throw new LightfootError("E_INTERNAL", `${this.file} was closed and cannot be appended to`);
    const bytes = Buffer.from(text);
    const { open, openLines } = this.#state;
    this.#state = { ...this.#state, open: [...open, bytes], openLines: openLines + lines };
    this.#queue(bytes);
    if (this.#state.openLines >= LINES_PER_BLOCK) this.#seal();
  }

  #seal(): void {
    const { open, openLines, blocks, seal } = this.#state;
    if (openLines === 0) return;
    const line = Buffer.from(renderBlock(blockRecord(Buffer.concat(open), openLines, blocks + 1, seal)));
    this.#state = { open: [], openLines: 0, blocks: blocks + 1, seal: sealOf(line) };
    this.#queue(line);
  }

  #queue(bytes: Buffer): void {
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
  }

  /** Hands everything that waits to the system, or nothing of it. */
  #flush(): void {
    if (this.#pendingBytes === 0) return;
    const bytes = this.#pending.length === 1 ? this.#pending[0] : Buffer.concat(this.#pending);
    this.#pending = [];
    this.#pendingBytes = 0;
    const { handle, head, writer } = this.#place;
    try {
      for (let done = 0; done < bytes.length;) done += writeSync(handle, bytes, done, bytes.length - done);
    } catch (error) {
      this.#state = this.#written;
      // Half a record may stand there; a file system that does not even shorten a file leaves it as a torn line.
      try {
        ftruncateSync(handle, this.#bytes);
      } catch {
        this.#broken = writeError(error, this.file);
      }
      throw writeError(error, this.file);
    }
    const { blocks, seal } = this.#state;
    const grown = blocks > this.#written.blocks;
    this.#written = this.#state;
    this.#bytes += bytes.length;
    try {
      if (grown) writeSync(head, renderHead({ writer, blocks, seal }), 0);
    } catch (error) {
      throw writeError(error, this.file);
    }
  }
}

function refuseNonFinite(key: string, value: unknown): unknown {
  if (typeof value === "number" && !Number.isFinite(value)) {
    throw new LightfootError("E_RANGE", `the ledger takes finite numbers, ${key} is ${value}`, {
      where: { path: key },
    });
  }
  return value;
}

/** A new file is there after a power cut only if its folder was synced; some systems do not open folders. */
function syncFolder(folder: string): void {
  let handle: number | undefined;
  try {
    handle = openSync(folder, "r");
    fsyncSync(handle);
  } catch {
    // Windows and network shares: the file itself is synced.
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
}

function writeError(error: unknown, file: string): LightfootError {
  if (error instanceof LightfootError) return error;
  const { code = "", message } = error as NodeJS.ErrnoException;
  const options = { where: { file }, cause: error };
  if (code === "EACCES" || code === "EPERM" || code === "EROFS") {
    return new LightfootError("E_PERMISSION", `the system does not let the ledger be written at ${file}`, options);
  }
  const hint = code === "ENOSPC" ? "The disk is full: free some space. What was written before is whole." : undefined;
  return new LightfootError("E_FILE_WRITE", `the ledger cannot be written: ${message}`, { ...options, hint });
}

/** Node's own recursive `mkdirSync` never returns where a folder exists in which none can be made, such as /proc. */
function makeFolder(folder: string): void {
  const parent = dirname(resolve(folder));
  if (!existsSync(parent)) makeFolder(parent);
  try {
    mkdirSync(folder);
  } catch (error) {
    // It was there, or another writer has made it just now.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "EEXIST" || !statSync(folder).isDirectory()) throw error;
  }
}
