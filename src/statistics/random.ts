// Seeded random numbers whose state can be saved and whose streams can be forked; may depend on errors only.
import { LightfootError } from "../errors/lightfoot-error.ts";

const UINT32_RANGE = 2 ** 32;
const MASK64 = (1n << 64n) - 1n;
const GOLDEN64 = 0x9e3779b97f4a7c15n;

/** Everything a stream needs to go on where it stopped; plain JSON for checkpoints. */
export interface RandomState {
  /** 64-bit key of the stream in hex; forks derive from it. */
  readonly key: string;
  /** The four 32-bit words of xoshiro128**. */
  readonly words: readonly [number, number, number, number];
}

/**
 * A deterministic stream: xoshiro128** (Blackman and Vigna 2021), its words filled by SplitMix64 from a 64-bit key.
 *
 * The same key gives the same numbers on every platform. Not for cryptography.
 */
export interface Random {
  /** Uniform in [0, 1), 53 random bits. */
  next(): number;
  /** Uniform integer in [0, 2^32). */
  nextUint32(): number;
  /** Uniform integer in [0, bound), without modulo bias; bound 1 … 2^32. */
  integer(bound: number): number;
  /** Standard normal: mean 0, variance 1. */
  normal(): number;
  /** Shuffles in place (Fisher-Yates, every order equally likely) and returns the same array. */
  shuffle<T extends Shuffleable>(items: T): T;
  /** The numbers 0 … count − 1 in random order. */
  permutation(count: number): Uint32Array;
  /**
   * An independent stream named by `label`.
   *
   * It depends on this stream's key and the label alone, not on how many numbers were drawn before: adding a draw in
   * one place does not change another place's numbers. The same label gives the same stream.
   */
  fork(label: string): Random;
  state(): RandomState;
}

interface Shuffleable {
  readonly length: number;
  [index: number]: unknown;
}

/**
 * The stream of a seed.
 *
 * @param seed integer from 0 to 2^53 − 1
 * @throws LightfootError E_RANGE for another seed
 * @example seededRandom(7).fork("weights").normal()
 */
export function seededRandom(seed: number): Random {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new LightfootError("E_RANGE", `a seed is an integer from 0 to 2^53 − 1, found ${seed}`);
  }
  return streamOfKey(BigInt(seed));
}

/** A stream that goes on where `state()` was taken. @throws LightfootError E_RANGE when the state is damaged */
export function randomFromState(state: RandomState): Random {
  const { key, words } = state;
  const sound =
    /^[0-9a-f]{16}$/.test(key) &&
    words.length === 4 &&
    words.every((word) => Number.isInteger(word) && word >= 0 && word < UINT32_RANGE) &&
    words.some((word) => word !== 0); // the all-zero state never leaves zero
  if (!sound)
    throw new LightfootError("E_RANGE", "a random state needs a 64-bit hex key and four 32-bit words, not all 0");
  return stream(BigInt(`0x${key}`), Uint32Array.from(words));
}

/** SplitMix64's output function (Steele, Lea and Flood 2014): a bijection that mixes all 64 bits. */
function mix64(value: bigint): bigint {
  let mixed = value & MASK64;
  mixed = ((mixed ^ (mixed >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK64;
  mixed = ((mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn) & MASK64;
  return mixed ^ (mixed >> 31n);
}

/** The first `count` outputs of SplitMix64 from a 64-bit seed. */
export function splitMix64(seed: bigint, count: number): bigint[] {
  return Array.from({ length: count }, (_, index) => mix64(seed + GOLDEN64 * BigInt(index + 1)));
}

function streamOfKey(key: bigint): Random {
  const [first, second] = splitMix64(key, 2) as [bigint, bigint];
  const words = [first, first >> 32n, second, second >> 32n].map((word) => Number(word & 0xffffffffn));
  return stream(key, Uint32Array.from(words));
}

/** FNV-1a over the label's UTF-8 bytes, 64 bits. */
function hashLabel(label: string): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(label)) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & MASK64;
  return hash;
}

const rotateLeft = (word: number, bits: number): number => (word << bits) | (word >>> (32 - bits));

function stream(key: bigint, words: Uint32Array): Random {
  let [a, b, c, d] = words as unknown as [number, number, number, number];

  function nextUint32(): number {
    const result = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotateLeft(d, 11);
    return result;
  }

  const next = (): number => ((nextUint32() >>> 5) * 67_108_864 + (nextUint32() >>> 6)) / 9_007_199_254_740_992;

  function integer(bound: number): number {
    if (!Number.isInteger(bound) || bound < 1 || bound > UINT32_RANGE) {
      throw new LightfootError("E_RANGE", `a random integer needs a bound from 1 to 2^32, found ${bound}`);
    }
    const fair = UINT32_RANGE - (UINT32_RANGE % bound);
    for (;;) {
      const word = nextUint32();
      if (word < fair) return word % bound;
    }
  }

  // Box-Muller gives two normals; the second is dropped, because keeping it would make the state more than four words.
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());

  function shuffle<T extends Shuffleable>(items: T): T {
    for (let last = items.length - 1; last > 0; last--) {
      const other = integer(last + 1);
      const kept = items[last];
      items[last] = items[other];
      items[other] = kept;
    }
    return items;
  }

  return {
    next,
    nextUint32,
    integer,
    normal,
    shuffle,
    permutation: (count) => shuffle(Uint32Array.from({ length: count }, (_, index) => index)),
    fork: (label) => streamOfKey(mix64(key ^ mix64(hashLabel(label) + GOLDEN64))),
    state: () => ({
      key: key.toString(16).padStart(16, "0"),
      words: [a >>> 0, b >>> 0, c >>> 0, d >>> 0],
    }),
  };
}
