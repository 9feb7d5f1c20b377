// One chunk of a container, coded and decoded by itself: the layout in the first one, then its pieces; may depend on this folder.
import { BitDecoder, BitEncoder, type BitCoder } from "./arithmetic-coder.ts";
import { ByteModel } from "./byte-model.ts";
import { ElementModel } from "./element-models.ts";
import type { ElementLayout } from "./layout.ts";
import { LightfootError } from "../../errors/lightfoot-error.ts";

/** What is coded: bytes with the layout of their elements, if they are elements. */
export interface CodedPiece {
  readonly bytes: Uint8Array;
  readonly elements: ElementLayout | undefined;
}

export interface CodedChunk {
  /** The arithmetic code. */
  readonly coded: Uint8Array;
  /** Bits that no model makes shorter. */
  readonly plain: Uint8Array;
}

/** How much shorter coding makes a layout at the most; a claim beyond it would only take time. */
const LAYOUT_LIMIT_BASE_BYTES = 4096;
const LAYOUT_LIMIT_RATIO = 256;

/** The models of one chunk; the one of bytes has seen the primer before. */
class ChunkModels {
  readonly #coder: BitCoder;
  readonly #elements: ElementModel;
  readonly #isEncoder: boolean;
  #byteModel: ByteModel | undefined;

  constructor(coder: BitCoder, isEncoder: boolean) {
    this.#coder = coder;
    this.#isEncoder = isEncoder;
    this.#elements = new ElementModel(coder, isEncoder);
  }

  /** Codes `bytes` in place. */
  bytes(bytes: Uint8Array): void {
    const model = (this.#byteModel ??= ByteModel.primed());
    for (let at = 0; at < bytes.length; at++) bytes[at] = model.code(this.#coder, bytes[at]);
  }

  /** Codes a number of up to 28 bits. */
  number(value: number): number {
    const bytes = Uint8Array.of(value & 127, (value >> 7) & 127, (value >> 14) & 127, (value >> 21) & 127);
    let length = value < 128 ? 1 : value < 2 ** 14 ? 2 : value < 2 ** 21 ? 3 : 4;
    let found = 0;
    for (let at = 0; at < length; at++) {
      const byte = bytes.subarray(at, at + 1);
      if (at < length - 1) byte[0] |= 128;
      this.bytes(byte);
      found += (byte[0] & 127) * 128 ** at;
      if (!this.#isEncoder) length = byte[0] >= 128 && at < 3 ? at + 2 : at + 1;
    }
    return found;
  }

  piece({ bytes, elements }: CodedPiece): void {
    if (elements === undefined) {
      this.bytes(bytes);
      return;
    }
    const { width } = elements;
    const count = bytes.length / width;
    const values = new Uint32Array(count);
    if (this.#isEncoder) {
      for (let at = 0; at < count; at++) {
        let value = 0;
        for (let byte = width - 1; byte >= 0; byte--) value = value * 256 + bytes[at * width + byte];
        values[at] = value;
      }
    }
    this.#elements.code({ values, ...elements });
    if (this.#isEncoder) return;
    for (let at = 0; at < count; at++) {
      for (let byte = 0; byte < width; byte++) bytes[at * width + byte] = (values[at] >>> (8 * byte)) & 255;
    }
  }
}

/** @param layout stands before the pieces of the first chunk */
export function encodeChunk(pieces: readonly CodedPiece[], layout?: Uint8Array): CodedChunk {
  const coder = new BitEncoder();
  const models = new ChunkModels(coder, true);
  if (layout !== undefined) {
    models.number(layout.length);
    models.bytes(layout.slice());
  }
  for (const { bytes, elements } of pieces) {
    models.piece({ bytes: elements === undefined ? bytes.slice() : bytes, elements });
  }
  return coder.finish();
}

type Specification = Pick<CodedPiece, "elements"> & { readonly byteLength: number };

function decodePieces(models: ChunkModels, pieces: readonly Specification[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let at = 0;
  for (const { byteLength, elements } of pieces) {
    models.piece({ bytes: whole.subarray(at, at + byteLength), elements });
    at += byteLength;
  }
  return whole;
}

/** The bytes of the chunk's pieces, one after another. */
export function decodeChunk({ coded, plain }: CodedChunk, pieces: readonly Specification[]): Uint8Array {
  return decodePieces(new ChunkModels(new BitDecoder(coded, plain), false), pieces);
}

/**
 * The first chunk: its layout, and the bytes of the pieces that `piecesIn` finds in it.
 * @throws LightfootError E_CONTAINER
 */
export function decodeFirstChunk(
  { coded, plain }: CodedChunk,
  piecesIn: (layout: Uint8Array) => readonly Specification[],
): Uint8Array {
  const models = new ChunkModels(new BitDecoder(coded, plain), false);
  const length = models.number(0);
  const limit = LAYOUT_LIMIT_BASE_BYTES + LAYOUT_LIMIT_RATIO * coded.length;
  if (length > limit) {
    throw new LightfootError("E_CONTAINER", `the container's layout claims ${length} bytes, at most ${limit}`);
  }
  const layout = new Uint8Array(length);
  models.bytes(layout);
  return decodePieces(models, piecesIn(layout));
}
