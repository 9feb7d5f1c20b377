// Checks one writer's file against its own chain of digests; may depend on this room.
import { sha256 } from "../io/digest.ts";
import type { Finding } from "../errors/lightfoot-error.ts";
import { LINES_PER_BLOCK, marksOf, renderBlock, sealOf, splitMarks, type BlockRecord } from "./block.ts";
import type { Head } from "./layout.ts";
import { forEachLine, type TornTail } from "./lines.ts";
import type { OpenRecord } from "./records.ts";

export interface FileCheck {
  readonly writer: string;
  readonly file: string;
  readonly lines: number;
  /** Seal of each block, by its number. */
  readonly seals: ReadonlyMap<number, string>;
  /** Whole lines after the last block: written, not chained yet. */
  readonly looseLines: number;
  /** True when the writer said that nothing follows. */
  readonly closed: boolean;
  /** The unfinished last line of a writer that was killed; nobody reads it. */
  readonly torn: TornTail | null;
  readonly open: OpenRecord | null;
  readonly findings: readonly Finding[];
}

/** A file without block records must not be held in memory. */
const MOST_KEPT_LINES = 4 * LINES_PER_BLOCK;

const RECORDS: ReadonlySet<string> = new Set(["open", "run", "sample", "figure", "end", "close"]);

/**
 * Reads a file once and compares each block with its record, each block record with the one before, the whole with its head.
 *
 * @param head `undefined` when there is none, `null` when it cannot be understood
 */
export function checkFile(file: string, writer: string, head: Head | undefined | null): FileCheck {
  const check = new Check(file, writer);
  const torn = forEachLine(file, (line, number) => check.take(line, number)) ?? null;
  return check.finish(head, torn);
}

class Check {
  readonly #file: string;
  readonly #writer: string;
  readonly #findings: Finding[] = [];
  readonly #seals = new Map<number, string>();
  #open: OpenRecord | null = null;
  /** Lines since the last block record, and how many they are when there are too many to keep. */
  #block: Buffer[] = [];
  #blockLines = 0;
  #blockStart = 1;
  #lastBlock = 0;
  #lastBlockHolds = true;
  #lines = 0;
  #closedAt: number | undefined;

  constructor(file: string, writer: string) {
    this.#file = file;
    this.#writer = writer;
  }

  take(line: Uint8Array, number: number): void {
    this.#lines = number;
    const bytes = Buffer.from(line);
    if (startsWith(bytes, BLOCK)) {
      this.#closeBlock(bytes, number);
      return;
    }
    this.#blockLines += 1;
    if (this.#blockLines <= MOST_KEPT_LINES) this.#block.push(bytes);
    if (this.#closedAt !== undefined) this.#report(number, "stands after the record that closes the file");
    if (number === 1) this.#readOpen(bytes);
    else if (startsWith(bytes, OPEN))
      this.#report(number, "is a second opening record: lines of another file were put in");
    else if (startsWith(bytes, CLOSE)) this.#closedAt = number;
  }

  finish(head: Head | undefined | null, torn: TornTail | null): FileCheck {
    // Inside a block the digest decides; a line after the last block has nothing but its own shape.
    for (const [index, line] of this.#block.entries()) {
      const name = parse(line)?.record;
      if (typeof name !== "string" || !RECORDS.has(name)) {
        this.#report(this.#blockStart + index, "is no record of a ledger");
      }
    }
    if (this.#blockLines > LINES_PER_BLOCK) {
      this.#report(
        this.#blockStart + LINES_PER_BLOCK,
        `a block record is missing: no block has more than ${LINES_PER_BLOCK} lines, ${this.#blockLines} stand here`,
      );
    }
    this.#compareHead(head, torn);
    return {
      writer: this.#writer,
      file: this.#file,
      lines: this.#lines,
      seals: this.#seals,
      looseLines: this.#blockLines,
      closed: this.#closedAt !== undefined && this.#blockLines === 0,
      torn,
      open: this.#open,
      findings: this.#findings.toSorted((a, b) => (a.where.line ?? 0) - (b.where.line ?? 0)),
    };
  }

  #report(line: number, message: string): void {
    this.#findings.push({ message, where: { file: this.#file, line: Math.max(1, line) } });
  }

  #readOpen(line: Buffer): void {
    const value = parse(line);
    if (value?.record !== "open" || typeof value.writer !== "string") {
      this.#report(1, "the file does not begin with the record of its writer");
      return;
    }
    this.#open = value as unknown as OpenRecord;
    if (value.writer !== this.#writer)
      this.#report(1, `the file belongs to the writer ${value.writer}: it was renamed`);
  }

  #closeBlock(bytes: Buffer, number: number): void {
    const lines = { content: Buffer.concat(this.#block), count: this.#blockLines, start: this.#blockStart };
    this.#block = [];
    this.#blockLines = 0;
    this.#blockStart = number + 1;
    const found = parse(bytes) as BlockRecord | undefined;
    const holds = this.#checkBlock(found, bytes, lines, number);
    // Go on from what was found: one change is reported once.
    this.#lastBlock = found !== undefined && Number.isSafeInteger(found.block) ? found.block : this.#lastBlock + 1;
    this.#lastBlockHolds = holds;
    this.#seals.set(this.#lastBlock, sealOf(bytes));
  }

  #checkBlock(found: BlockRecord | undefined, bytes: Buffer, lines: BlockLines, number: number): boolean {
    const expected = this.#lastBlock + 1;
    const before = this.#findings.length;
    if (found === undefined || !isBlock(found) || !bytes.equals(Buffer.from(renderBlock(found)))) {
      this.#report(number, `the record of block ${expected} was changed: a writer puts it down differently`);
      return false;
    }
    const moved = found.block !== expected;
    if (moved) {
      const what = "blocks were removed, put in or moved";
      this.#report(number, `block ${found.block} stands where block ${expected} should: ${what}`);
    } else if (this.#lastBlockHolds && found.previous !== (this.#seals.get(this.#lastBlock) ?? null)) {
      const other =
        expected === 1 ? "names a block before it" : `does not follow block ${this.#lastBlock} as it stands`;
      this.#report(number, `block ${expected} ${other}: one of them was changed`);
    }
    if (found.digest !== sha256(lines.content)) this.#locate(found, lines, number);
    else if (found.lines !== lines.count || found.marks !== marksOf(lines.content)) {
      this.#report(number, `the record of block ${found.block} was changed; its lines are as they were`);
    }
    return this.#findings.length === before;
  }

  /** Which of a block's lines are not the ones its record knows. */
  #locate(record: BlockRecord, { content, start }: BlockLines, number: number): void {
    const known = splitMarks(record.marks);
    const found = splitMarks(marksOf(content));
    const first = known.findIndex((mark, index) => mark !== found[index]);
    const same = first === -1 ? Math.min(known.length, found.length) : first;
    const tail = commonTail(known.slice(same), found.slice(same));
    const [gone, came] = [known.length - same - tail, found.length - same - tail];
    const line = Math.min(start + same, number);
    const span = came > 1 ? `lines ${line} to ${line + came - 1}` : `line ${line}`;
    const were = came === 1 ? "was" : "were";
    const block = `block ${record.block} (lines ${start} to ${number - 1})`;
    if (record.lines !== known.length || (gone === 0 && came === 0)) {
      this.#report(start, `${block} is not what its digest was made of`);
    } else if (came === 0) {
      this.#report(line, `${gone} ${gone === 1 ? "line was" : "lines were"} removed before this one, from ${block}`);
    } else if (gone === 0) {
      this.#report(line, `${span} ${were} put into ${block}`);
    } else if (isReordered(known, found)) {
      this.#report(line, `${span} of ${block} stand in another order`);
    } else {
      this.#report(line, `${span} of ${block} ${were} changed`);
    }
  }

  #compareHead(head: Head | undefined | null, torn: TornTail | null): void {
    const end = this.#lines + (torn === null ? 0 : 1);
    const unknown = "whether its end was cut off cannot be said";
    if (head === undefined) this.#report(end, `the file's head is gone: ${unknown}`);
    else if (head === null || head.writer !== this.#writer) this.#report(end, `the file's head is damaged: ${unknown}`);
    else if (head.blocks > this.#lastBlock) {
      this.#report(end, `the file was cut off: it ends in block ${this.#lastBlock}, its head knows ${head.blocks}`);
    } else if (head.blocks > 0 && head.seal !== this.#seals.get(head.blocks) && this.#findings.length === 0) {
      this.#report(this.#lines, `block ${head.blocks} is not the one that the file's head knows`);
    }
  }
}

interface BlockLines {
  readonly content: Buffer;
  readonly count: number;
  readonly start: number;
}

const [BLOCK, OPEN, CLOSE] = ["block", "open", "close"].map((name) => Buffer.from(`{"record":"${name}"`));

const startsWith = (line: Buffer, opening: Buffer): boolean =>
  line.length >= opening.length && line.compare(opening, 0, opening.length, 0, opening.length) === 0;

interface Parsed {
  readonly record?: unknown;
  readonly writer?: unknown;
}

function parse(line: Uint8Array): Parsed | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(line).toString());
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

const isBlock = (value: BlockRecord): boolean =>
  [value.block, value.lines].every(Number.isInteger) &&
  typeof value.marks === "string" &&
  typeof value.digest === "string" &&
  (value.previous === null || typeof value.previous === "string");

function commonTail(left: readonly string[], right: readonly string[]): number {
  let length = 0;
  while (length < Math.min(left.length, right.length) && left.at(-1 - length) === right.at(-1 - length)) length += 1;
  return length;
}

const isReordered = (left: readonly string[], right: readonly string[]): boolean =>
  left.toSorted().join() === right.toSorted().join();
