// Fresh weights for a layer, by name of the scheme and seed; may depend on errors and statistics.
import { LightfootError } from "../../errors/index.ts";
import type { Random } from "../../statistics/random.ts";

export type Initialization = "glorot-uniform" | "glorot-normal" | "he-uniform" | "he-normal" | "zeros";

/**
 * Weights drawn with the variance that keeps signals at their size: 2/(fanIn + fanOut) for Glorot (Glorot and Bengio
 * 2010), 2/fanIn for He (He et al. 2015). Uniform on ±√(3·variance), or normal.
 *
 * @returns `[count]`
 * @throws LightfootError E_RANGE when a fan is not positive
 * @example initialWeights("glorot-uniform", 784 * 128, 784, 128, seededRandom(1).fork("layer1"))
 */
export function initialWeights(
  scheme: Initialization,
  count: number,
  fanIn: number,
  fanOut: number,
  random: Random,
): Float32Array {
  if (!(fanIn > 0 && fanOut > 0)) {
    throw new LightfootError("E_RANGE", `a layer from ${fanIn} to ${fanOut} units cannot be initialized`);
  }
  if (scheme === "zeros") return new Float32Array(count);
  const variance = scheme.startsWith("glorot") ? 2 / (fanIn + fanOut) : 2 / fanIn;
  const bound = Math.sqrt(3 * variance);
  const deviation = Math.sqrt(variance);
  const draw = scheme.endsWith("uniform") ? () => (2 * random.next() - 1) * bound : () => random.normal() * deviation;
  return Float32Array.from({ length: count }, draw);
}

/** Fan-in and fan-out of a weight `[out, in, …kernel]` (Conv) or, with `transposed`, `[in, out]` (MatMul, Gemm). */
export function fansOf(shape: readonly number[], transposed: boolean): { fanIn: number; fanOut: number } {
  const [first = 1, second = 1, ...kernel] = shape;
  const taps = kernel.reduce((product, size) => product * size, 1);
  return transposed ? { fanIn: first * taps, fanOut: second * taps } : { fanIn: second * taps, fanOut: first * taps };
}
