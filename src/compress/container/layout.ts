// What lies where in the packed files: runs of elements of known type between bytes of structure; may depend on errors.
import { LightfootError } from "../../errors/lightfoot-error.ts";

/** How the elements of a run are laid out. */
export interface ElementLayout {
  readonly width: 1 | 2 | 4;
  readonly isFloat: boolean;
  readonly rowLength: number;
  readonly rows: number;
}

/** Elements of a tensor in a file. */
export interface Segment extends ElementLayout {
  readonly offset: number;
  readonly byteLength: number;
}

export interface FileLayout {
  /** Path relative to the model's folder; "" is the model itself. */
  readonly name: string;
  readonly byteLength: number;
  /** Ascending and apart. */
  readonly segments: readonly Segment[];
}

/** A range of a file that lies in one chunk: elements, or bytes when there is no layout. */
export interface Piece {
  readonly file: number;
  readonly offset: number;
  readonly byteLength: number;
  readonly elements: ElementLayout | undefined;
}

/** A chunk is coded by itself, so chunks are worked on side by side; a model of records fits into one. */
export const CHUNK_BYTES = 4 * 2 ** 20;

function* piecesOf(files: readonly FileLayout[]): Generator<Piece> {
  for (const [file, { byteLength, segments }] of files.entries()) {
    let at = 0;
    for (const segment of segments) {
      if (segment.offset > at) yield* cut({ file, offset: at, byteLength: segment.offset - at, elements: undefined });
      const { width, isFloat, rowLength, rows } = segment;
      yield* cut({
        file,
        offset: segment.offset,
        byteLength: segment.byteLength,
        elements: { width, isFloat, rowLength, rows },
      });
      at = segment.offset + segment.byteLength;
    }
    if (byteLength > at) yield* cut({ file, offset: at, byteLength: byteLength - at, elements: undefined });
  }
}

function* cut(piece: Piece): Generator<Piece> {
  for (let done = 0; done < piece.byteLength; done += CHUNK_BYTES) {
    const byteLength = Math.min(CHUNK_BYTES, piece.byteLength - done);
    yield { ...piece, offset: piece.offset + done, byteLength };
  }
}

/** The chunks in file order: as many whole pieces as stay within `CHUNK_BYTES`. There is at least one. */
export function* chunksOf(files: readonly FileLayout[]): Generator<Piece[]> {
  let chunk: Piece[] = [];
  let bytes = 0;
  for (const piece of piecesOf(files)) {
    if (bytes > 0 && bytes + piece.byteLength > CHUNK_BYTES) {
      yield chunk;
      chunk = [];
      bytes = 0;
    }
    chunk.push(piece);
    bytes += piece.byteLength;
  }
  yield chunk;
}

/** Appends a whole number of up to 53 bits, seven bits a byte, lowest first. */
export function pushVarint(bytes: number[], value: number): void {
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  bytes.push(rest);
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

const kindOf = ({ width, isFloat }: ElementLayout): number => width * 2 + (isFloat ? 1 : 0);

/** The layout as bytes: varints, names as length and UTF-8. */
export function writeLayout(files: readonly FileLayout[]): Uint8Array {
  const bytes: number[] = [];
  pushVarint(bytes, files.length);
  for (const { name, byteLength, segments } of files) {
    const text = encoder.encode(name);
    pushVarint(bytes, text.length);
    bytes.push(...text);
    pushVarint(bytes, byteLength);
    pushVarint(bytes, segments.length);
    let at = 0;
    for (const segment of segments) {
      pushVarint(bytes, segment.offset - at);
      pushVarint(bytes, segment.byteLength);
      bytes.push(kindOf(segment));
      pushVarint(bytes, segment.rowLength);
      pushVarint(bytes, segment.rows);
      at = segment.offset + segment.byteLength;
    }
  }
  return Uint8Array.from(bytes);
}

const broken = (message: string): LightfootError =>
  new LightfootError("E_CONTAINER", `the container's layout is not valid: ${message}`, {
    hint: "The file is damaged or was not written by lightfoot pack. Fetch it again.",
  });

/** @throws LightfootError E_CONTAINER for a layout that `writeLayout` does not write */
export function readLayout(bytes: Uint8Array): FileLayout[] {
  let at = 0;
  const byte = (): number => {
    if (at === bytes.length) throw broken("it ends early");
    return bytes[at++];
  };
  const varint = (): number => {
    let value = 0;
    for (let unit = 1; unit < 2 ** 53; unit *= 128) {
      const next = byte();
      value += (next & 127) * unit;
      if (next < 128) {
        if (!Number.isSafeInteger(value)) break;
        return value;
      }
    }
    throw broken("a number takes more than 53 bits");
  };
  const count = (what: string, least: number): number => {
    const value = varint();
    // Each entry takes some bytes: a count beyond them would only take memory.
    if (value * least > bytes.length - at) throw broken(`${value} ${what} do not fit into it`);
    return value;
  };
  const fileCount = count("files", 3);
  const files: FileLayout[] = [];
  for (let i = 0; i < fileCount; i++) {
    const length = count("bytes of a name", 1);
    const name = readName(bytes.subarray(at, at + length), i);
    at += length;
    if (files.some((file) => file.name === name)) throw broken(`two files are called '${name}'`);
    const byteLength = varint();
    const segments: Segment[] = [];
    let end = 0;
    for (let rest = count("segments", 5); rest > 0; rest--) {
      const offset = end + varint();
      const size = varint();
      const kind = byte();
      const width = kind >> 1;
      const rowLength = varint();
      const rows = varint();
      if (width !== 1 && width !== 2 && width !== 4) throw broken(`elements of ${width} bytes`);
      if (size % width !== 0 || offset + size > byteLength) throw broken("a segment lies outside its file");
      if (rowLength < 1 || rowLength * width > Math.max(size, 1)) throw broken(`rows of ${rowLength} elements`);
      segments.push({ offset, byteLength: size, width, isFloat: (kind & 1) === 1, rowLength, rows });
      end = offset + size;
    }
    files.push({ name, byteLength, segments });
  }
  if (files.length === 0 || at !== bytes.length) throw broken("it does not end where its last file does");
  return files;
}

/** A name is refused when it could lead out of the folder that the model is unpacked into. */
function readName(bytes: Uint8Array, index: number): string {
  let name: string;
  try {
    name = decoder.decode(bytes);
  } catch {
    throw broken("a name is not UTF-8");
  }
  if (index === 0) {
    if (name !== "") throw broken("the first file is not the model");
    return name;
  }
  const parts = name.split("/");
  // A colon is a drive only behind the first letter: exporters name data files after tensors, such as "dense/kernel:0".
  const isUnsafe = parts.some((part) => part === "" || part === "." || part === "..") || /[\\\0]|^[A-Za-z]:/.test(name);
  if (isUnsafe) throw broken(`'${name}' is not a path inside the model's folder`);
  return name;
}
