// The protobuf wire format: a reader that takes windows of a source, a writer whose large values stay where they are;
// may depend on errors only.
//
// A message is a run of fields: varint tag (number << 3 | wire type), then the value. Wire types: 0 varint,
// 1 eight bytes, 2 varint length + that many bytes (strings, messages, packed lists), 5 four bytes. All little-endian.
import { isAscii } from "node:buffer";
import { LightfootError } from "../errors/lightfoot-error.ts";

const VARINT = 0;
const FIXED64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED32 = 5;

/** Protobuf's own recursion limit: no file that the official readers open is nested deeper. */
export const NESTING_LIMIT = 100;

/** One read from disk. Structure is dense between weights, so a window serves hundreds of fields. */
const WINDOW_BYTES = 64 * 1024;

/**
 * Memory that decoding one source may take, estimated by the sizes below. The structure of the largest models known
 * (200,000 messages) takes some 60 MB; two bytes of a hostile file cost a few hundred here, so the file's size bounds nothing.
 */
const MEMORY_LIMIT_BYTES = 512 * 2 ** 20;
const MESSAGE_MEMORY_BYTES = 256;
const ELEMENT_MEMORY_BYTES = 24;
const BIGINT_MEMORY_BYTES = 40;

/** Random access to the encoded bytes. */
export interface ByteSource {
  /** Names the source in errors. */
  readonly name: string;
  readonly size: number;
  /** Bytes `[offset, offset + length)`, which lie inside the source. */
  readSync(offset: number, length: number): Uint8Array;
}

/** A source that is in memory already: reads are views. */
export function byteSource(bytes: Uint8Array, name: string): ByteSource {
  return { name, size: bytes.byteLength, readSync: (offset, length) => bytes.subarray(offset, offset + length) };
}

class Window {
  readonly source: ByteSource;
  bytes: Uint8Array = new Uint8Array(0);
  start = 0;
  #memoryBytes = 0;

  constructor(source: ByteSource) {
    this.source = source;
  }

  /** Index in `bytes` where `[offset, offset + length)` begins, after moving the window there if needed. */
  locate(offset: number, length: number): number {
    const index = offset - this.start;
    if (index >= 0 && index + length <= this.bytes.byteLength) return index;
    this.bytes = this.source.readSync(offset, Math.min(Math.max(length, WINDOW_BYTES), this.source.size - offset));
    this.start = offset;
    return 0;
  }

  /** Called before memory is taken, so that a hostile length never allocates. */
  charge(memoryBytes: number): void {
    this.#memoryBytes += memoryBytes;
    if (this.#memoryBytes <= MEMORY_LIMIT_BYTES) return;
    const message = `the structure of ${this.source.name} takes more than ${MEMORY_LIMIT_BYTES / 2 ** 20} MiB`;
    throw new LightfootError("E_LIMIT", message, {
      hint: "Store large tensors as raw_data or external data instead of lists of numbers.",
      where: { file: this.source.name },
    });
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Walks the fields of one message. `next()` moves to a field and past its value, so what nobody asks for is skipped
 * without being read; the accessors decode the value of the current field.
 *
 * @example const reader = MessageReader.over(byteSource(bytes, "m.onnx")); while (reader.next()) { … reader.field … }
 */
export class MessageReader {
  readonly #window: Window;
  readonly #end: number;
  readonly #depth: number;
  #position: number;
  #fieldStart = 0;
  #valueStart = 0;
  #wireType = 0;
  #low = 0;
  #high = 0;
  /** Number of the current field. */
  field = 0;

  private constructor(window: Window, start: number, end: number, depth: number) {
    this.#window = window;
    this.#position = start;
    this.#end = end;
    this.#depth = depth;
  }

  static over(source: ByteSource): MessageReader {
    return new MessageReader(new Window(source), 0, source.size, 0);
  }

  /** Moves to the next field; false at the end of the message. @throws LightfootError E_PROTOBUF */
  next(): boolean {
    if (this.#position >= this.#end) return false;
    this.#fieldStart = this.#position;
    this.#takeVarint();
    this.#wireType = this.#low & 7;
    this.field = this.#low >>> 3;
    if (this.#high !== 0 || this.field === 0) throw this.#broken(`tag ${this.#number()} is not a field`);
    this.#valueStart = this.#position;
    if (this.#wireType === VARINT) this.#takeVarint();
    else if (this.#wireType === FIXED32) this.#skip(4);
    else if (this.#wireType === FIXED64) this.#skip(8);
    else if (this.#wireType === LENGTH_DELIMITED) {
      this.#takeVarint();
      this.#valueStart = this.#position;
      this.#skip(this.#number());
    } else throw this.#broken(`field ${this.field} has wire type ${this.#wireType}`);
    return true;
  }

  /** An int64 as a number. @throws LightfootError E_LIMIT beyond ±2^53 */
  integer(): number {
    this.#expect(VARINT);
    return this.#safeInteger();
  }

  int32(): number {
    this.#expect(VARINT);
    return this.#low | 0;
  }

  int64(): bigint {
    this.#expect(VARINT);
    return this.#bigint();
  }

  float(): number {
    this.#expect(FIXED32);
    return this.#float32At(this.#valueStart);
  }

  /** The text of a string field. @throws LightfootError E_PROTOBUF when it is not UTF-8 */
  string(): string {
    const bytes = this.#view();
    const text = decodeUtf8(bytes);
    if (text === undefined) throw this.#broken(`the text of field ${this.field} is not UTF-8`);
    return text;
  }

  /** A copy of a bytes field. */
  bytes(): Uint8Array {
    return this.#view().slice();
  }

  /** The bytes of a field with its tag, as the writer's `raw` takes them: how fields nobody knows are kept. */
  raw(): Uint8Array {
    return this.#copy(this.#fieldStart);
  }

  /** True when the value is length-delimited; of a number list, that it is packed. */
  get isDelimited(): boolean {
    return this.#wireType === LENGTH_DELIMITED;
  }

  /** Where the value of a length-delimited field lies in the source. */
  range(): { offset: number; byteLength: number } {
    this.#expect(LENGTH_DELIMITED);
    return { offset: this.#valueStart, byteLength: this.#position - this.#valueStart };
  }

  /** A reader over the current field as a nested message. @throws LightfootError E_LIMIT at the nesting limit */
  message(): MessageReader {
    this.#expect(LENGTH_DELIMITED);
    if (this.#depth === NESTING_LIMIT) {
      const message = `messages are nested more than ${NESTING_LIMIT} deep`;
      throw new LightfootError("E_LIMIT", message, { where: this.#where() });
    }
    this.#window.charge(MESSAGE_MEMORY_BYTES);
    return new MessageReader(this.#window, this.#valueStart, this.#position, this.#depth + 1);
  }

  /** The current value or values of a repeated integer field, packed or not. */
  *integers(): Generator<number> {
    this.#window.charge(ELEMENT_MEMORY_BYTES);
    if (this.#wireType === VARINT) {
      yield this.#safeInteger();
      return;
    }
    for (const run = this.#packedRun(); run.#position < run.#end;) {
      run.#takeVarint();
      this.#window.charge(ELEMENT_MEMORY_BYTES);
      yield run.#safeInteger();
    }
  }

  /** The same with all 64 bits. */
  *int64s(): Generator<bigint> {
    this.#window.charge(BIGINT_MEMORY_BYTES);
    if (this.#wireType === VARINT) {
      yield this.#bigint();
      return;
    }
    for (const run = this.#packedRun(); run.#position < run.#end;) {
      run.#takeVarint();
      this.#window.charge(BIGINT_MEMORY_BYTES);
      yield run.#bigint();
    }
  }

  /** The current value or values of a repeated float field, packed or not. */
  *floats(): Generator<number> {
    this.#window.charge(ELEMENT_MEMORY_BYTES);
    if (this.#wireType === FIXED32) {
      yield this.float();
      return;
    }
    const { offset, byteLength } = this.range();
    this.#window.charge(byteLength * 2);
    if (byteLength % 4 !== 0) throw this.#broken(`${byteLength} bytes of packed floats are not a multiple of 4`);
    for (let at = offset; at < offset + byteLength; at += 4) yield this.#float32At(at);
  }

  /** The bare bytes of the current value, whatever its wire type; of a packed list, its run. */
  valueBytes(): Uint8Array {
    return this.#copy(this.#valueStart);
  }

  #copy(start: number): Uint8Array {
    const length = this.#position - start;
    this.#window.charge(length + MESSAGE_MEMORY_BYTES);
    const index = this.#window.locate(start, length);
    return this.#window.bytes.slice(index, index + length);
  }

  /** Announces memory that the caller will take for what it found, so that the limit covers it. @throws LightfootError E_LIMIT */
  charge(memoryBytes: number): void {
    this.#window.charge(memoryBytes);
  }

  #packedRun(): MessageReader {
    const { offset, byteLength } = this.range();
    return new MessageReader(this.#window, offset, offset + byteLength, this.#depth);
  }

  #view(): Uint8Array {
    const { offset, byteLength } = this.range();
    this.#window.charge(byteLength + ELEMENT_MEMORY_BYTES);
    const index = this.#window.locate(offset, byteLength);
    return this.#window.bytes.subarray(index, index + byteLength);
  }

  #float32At(offset: number): number {
    const index = this.#window.locate(offset, 4);
    const { buffer, byteOffset } = this.#window.bytes;
    return new DataView(buffer, byteOffset + index, 4).getFloat32(0, true);
  }

  #skip(length: number): void {
    const left = this.#end - this.#position;
    if (length > left) throw this.#broken(`field ${this.field} claims ${length} bytes where ${left} are left`);
    this.#position += length;
  }

  /** Reads a varint into two unsigned 32-bit halves: doubles hold only 53 bits, bigints cost an allocation each. */
  #takeVarint(): void {
    const limit = Math.min(10, this.#end - this.#position);
    const index = this.#window.locate(this.#position, limit);
    const { bytes } = this.#window;
    let low = 0;
    let high = 0;
    for (let i = 0; i < limit; i++) {
      const byte = bytes[index + i];
      const bits = byte & 0x7f;
      if (i < 4) low |= bits << (7 * i);
      else if (i === 4) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (7 * i - 32);
      if (byte < 0x80) {
        this.#low = low >>> 0;
        this.#high = high >>> 0;
        this.#position += i + 1;
        return;
      }
    }
    throw this.#broken(limit < 10 ? "the message ends inside a number" : "a number takes more than 10 bytes");
  }

  #number(): number {
    return this.#high * 2 ** 32 + this.#low;
  }

  #bigint(): bigint {
    return BigInt.asIntN(64, (BigInt(this.#high) << 32n) | BigInt(this.#low));
  }

  #safeInteger(): number {
    const value = (this.#high | 0) * 2 ** 32 + this.#low;
    if (Number.isSafeInteger(value)) return value;
    const message = `field ${this.field} holds ${this.#bigint()}, beyond ±2^53`;
    throw new LightfootError("E_LIMIT", message, { where: this.#where() });
  }

  #expect(wireType: number): void {
    if (this.#wireType === wireType) return;
    throw this.#broken(`field ${this.field} has wire type ${this.#wireType}, expected ${wireType}`);
  }

  #where(): { file: string; offset: number } {
    return { file: this.#window.source.name, offset: this.#fieldStart };
  }

  #broken(message: string): LightfootError {
    return new LightfootError("E_PROTOBUF", message, {
      hint: "The file is damaged, cut short, or not a protobuf file. Fetch it again.",
      where: this.#where(),
    });
  }
}

/** Text of UTF-8 bytes, or undefined when they are none. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  // Names are ASCII, where a Buffer is several times faster than TextDecoder; a graph has tens of thousands of them.
  if (isAscii(bytes)) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

/** Bytes that are fetched only while the finished message is streamed out. */
export interface DeferredBytes {
  readonly byteLength: number;
  chunks(): AsyncIterable<Uint8Array>;
}

const encoder = new TextEncoder();

/**
 * Builds one message. A nested message is built in its own writer and added with `message`; since lengths come before
 * content in the wire format, large values are added as `DeferredBytes` that know their length.
 */
export class MessageWriter {
  #parts: (Uint8Array | DeferredBytes)[] = [];
  #buffer = new Uint8Array(64);
  #used = 0;
  #closed = 0;

  /** Encoded length so far. */
  get byteLength(): number {
    return this.#closed + this.#used;
  }

  integer(field: number, value: number | bigint): void {
    this.#tag(field, VARINT);
    this.#varint(value);
  }

  float(field: number, value: number): void {
    this.#tag(field, FIXED32);
    this.#append(new Uint8Array(new Float32Array([value]).buffer));
  }

  string(field: number, value: string): void {
    this.bytes(field, encoder.encode(value));
  }

  bytes(field: number, value: Uint8Array): void {
    this.#tag(field, LENGTH_DELIMITED);
    this.#varint(value.byteLength);
    this.#append(value);
  }

  /** A length-delimited field whose bytes come later. */
  deferred(field: number, value: DeferredBytes): void {
    this.#tag(field, LENGTH_DELIMITED);
    this.#varint(value.byteLength);
    this.#push(value);
  }

  message(field: number, content: MessageWriter): void {
    this.#tag(field, LENGTH_DELIMITED);
    this.#varint(content.byteLength);
    if (content.#parts.length === 0) this.#append(content.#buffer.subarray(0, content.#used));
    else for (const part of content.parts()) this.#push(part);
  }

  packedIntegers(field: number, values: Iterable<number | bigint>): void {
    const run = new MessageWriter();
    for (const value of values) run.#varint(value);
    this.message(field, run);
  }

  packedFloats(field: number, values: readonly number[]): void {
    const floats = Float32Array.from(values);
    this.bytes(field, new Uint8Array(floats.buffer));
  }

  /** Whole encoded fields, tags included. */
  raw(fields: Uint8Array): void {
    this.#append(fields);
  }

  /** The encoded message in order. */
  parts(): readonly (Uint8Array | DeferredBytes)[] {
    this.#close();
    return this.#parts;
  }

  #tag(field: number, wireType: number): void {
    this.#varint(field * 8 + wireType);
  }

  #varint(value: number | bigint): void {
    this.#reserve(10);
    // Negative numbers take ten bytes: they are written as their 64-bit two's complement.
    if (typeof value === "bigint" || value < 0) {
      let rest = BigInt.asUintN(64, BigInt(value));
      for (; rest >= 0x80n; rest >>= 7n) this.#buffer[this.#used++] = Number(rest & 0x7fn) | 0x80;
      this.#buffer[this.#used++] = Number(rest);
      return;
    }
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.#buffer[this.#used++] = (rest % 0x80) | 0x80;
    this.#buffer[this.#used++] = rest;
  }

  #append(bytes: Uint8Array): void {
    this.#reserve(bytes.byteLength);
    this.#buffer.set(bytes, this.#used);
    this.#used += bytes.byteLength;
  }

  #push(part: Uint8Array | DeferredBytes): void {
    this.#close();
    this.#parts.push(part);
    this.#closed += part.byteLength;
  }

  #close(): void {
    if (this.#used === 0) return;
    this.#parts.push(this.#buffer.slice(0, this.#used));
    this.#closed += this.#used;
    this.#used = 0;
  }

  #reserve(length: number): void {
    if (this.#used + length <= this.#buffer.byteLength) return;
    const larger = new Uint8Array(Math.max(this.#buffer.byteLength * 2, this.#used + length));
    larger.set(this.#buffer.subarray(0, this.#used));
    this.#buffer = larger;
  }
}
