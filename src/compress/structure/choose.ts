// Which units of a row stay: those that say most to what follows, beyond what the ones already chosen say; may depend on model,
// second-moments and this folder.
import type { TensorRef } from "../../model/graph.ts";
import { readFloats } from "../../model/tensor-data.ts";
import { elementCount } from "../../model/tensor-value.ts";
import { variablesKey } from "../axis-rows.ts";
import { type Moments } from "../second-moments.ts";
import type { Coupling } from "./coupling.ts";
import type { Contraction } from "./coupling-call.ts";
import type { Row } from "./rows.ts";

/** Rows this wide stay multiples of eight, which is what vector kernels work in. */
const KERNEL_WIDTH = 8;
/** What is left of a variable below this share of its variance is rounding. */
const NOTHING_LEFT = 1e-6;

/** How many of `units` stay at a share of `ratio`. */
export function countAt(ratio: number, units: number): number {
  const wanted = Math.max(1, Math.round(units * ratio));
  return wanted < 4 * KERNEL_WIDTH ? wanted : Math.round(wanted / KERNEL_WIDTH) * KERNEL_WIDTH;
}

/** Squared norm of the weights that read each position, `[width]`. */
async function readingNorms(weight: TensorRef, axis: number): Promise<Float64Array> {
  const values = await readFloats(weight);
  const width = weight.shape[axis];
  const inner = elementCount(weight.shape.slice(axis + 1));
  const norms = new Float64Array(width);
  for (let at = 0; at < values.length; at++) norms[Math.floor(at / inner) % width] += values[at] ** 2;
  return norms;
}

/**
 * How much of each position the positions taken so far leave unexplained, in the least-squares sense: E[x²] or the variance at first, then the
 * diagonal of the Schur complement, kept up to date by a pivoted Cholesky factorisation. With squares alone nothing explains
 * anything else.
 */
class Unexplained {
  readonly left: Float64Array;
  readonly #moments: Moments;
  readonly #floor: Float64Array;
  readonly #columns: Float64Array[] = [];

  /** @param mean what a bias takes care of: the variables' means, or zeros */
  constructor(moments: Moments, mean: Float64Array) {
    const { width, second } = moments;
    this.#moments = { ...moments, mean };
    const step = second.length === width ? 1 : width + 1;
    this.left = Float64Array.from({ length: width }, (_, at) => Math.max(0, second[at * step] - mean[at] ** 2));
    this.#floor = this.left.map((value) => value * NOTHING_LEFT);
  }

  take(position: number): void {
    const { width, second, mean } = this.#moments;
    const pivot = this.left[position];
    if (second.length > width && pivot > this.#floor[position]) {
      const column = second.slice(position * width, (position + 1) * width);
      for (let at = 0; at < width; at++) column[at] -= mean[position] * mean[at];
      for (const earlier of this.#columns) {
        const factor = earlier[position];
        for (let at = 0; at < width; at++) column[at] -= factor * earlier[at];
      }
      const scale = 1 / Math.sqrt(pivot);
      for (let at = 0; at < width; at++) {
        column[at] *= scale;
        this.left[at] = Math.max(0, this.left[at] - column[at] ** 2);
      }
      this.#columns.push(column);
    }
    this.left[position] = 0;
  }
}

/** Means that a bias makes up for; without one they count as much as anything else. */
const meansToSpare = ({ width, mean }: Moments, hasBias: boolean): Float64Array =>
  hasBias ? mean : new Float64Array(width);

/**
 * The `count` positions of a weight's axis that say most to its outputs, each beyond what the ones before it say; ascending.
 *
 * @param moments of kind `products`
 */
export async function mostTelling(
  { weight, weightAxis, bias }: { readonly weight: TensorRef; readonly weightAxis: number; readonly bias: unknown },
  moments: Moments,
  count: number,
): Promise<number[]> {
  const norms = await readingNorms(weight, weightAxis);
  const unexplained = new Unexplained(moments, meansToSpare(moments, bias !== undefined));
  const chosen = new Set<number>();
  while (chosen.size < count) {
    let [best, most] = [-1, -1];
    norms.forEach((norm, position) => {
      const telling = chosen.has(position) ? -1 : norm * unexplained.left[position];
      if (telling > most) [best, most] = [position, telling];
    });
    chosen.add(best);
    unexplained.take(best);
  }
  return [...chosen].sort((left, right) => left - right);
}

interface Reader {
  readonly norms: Float64Array;
  readonly unexplained: Unexplained;
  /** Positions of each unit of the row. */
  readonly positions: readonly (readonly number[])[];
}

async function readersOf(
  coupling: Coupling,
  row: Row,
  moments: ReadonlyMap<string, Moments>,
  hasBias: (contraction: Contraction) => boolean,
): Promise<Reader[]> {
  const { atoms, model } = coupling;
  const place = new Map(row.units.map((unit, at) => [unit, at]));
  const readers: Reader[] = [];
  for (const contraction of row.contractions) {
    const width = contraction.atoms.length;
    // Without data every position counts alike.
    const even = { width, mean: new Float64Array(width), second: new Float64Array(width).fill(1) };
    const found = moments.get(variablesKey(contraction)) ?? even;
    const positions: number[][] = row.units.map(() => []);
    contraction.atoms.forEach((atom, position) => {
      const unit = place.get(atoms.find(atom));
      if (unit !== undefined) positions[unit].push(position);
    });
    readers.push({
      norms: await readingNorms(model.graph.initializers.get(contraction.weight)!, contraction.weightAxis),
      unexplained: new Unexplained(found, meansToSpare(found, hasBias(contraction))),
      positions,
    });
  }
  return readers;
}

/** Σ over the products that read a unit of √(Σ over its positions of unexplained E[x²]·‖w‖²). */
function weightOf(readers: readonly Reader[], unit: number): number {
  let total = 0;
  for (const { norms, unexplained, positions } of readers) {
    let sum = 0;
    for (const position of positions[unit]) sum += norms[position] * unexplained.left[position];
    total += Math.sqrt(sum);
  }
  return total;
}

/**
 * The units of a row, most wanted first, up to `count`: each one is the unit that says most to the next layers that the ones before
 * it do not say already (greedy column subset selection). Ties go to the earlier unit, so that equal input gives equal bytes.
 *
 * @param hasBias whether a bias can take the mean of what a product reads: then only the variance counts
 * @param moments by `variablesKey`; where only squares are known the order is that of root mean square times weight norm
 * @returns places in `row.units`
 */
export async function mostWanted(
  coupling: Coupling,
  row: Row,
  moments: ReadonlyMap<string, Moments>,
  hasBias: (contraction: Contraction) => boolean,
  count: number,
): Promise<number[]> {
  const readers = await readersOf(coupling, row, moments, hasBias);
  const waiting = new Set(row.units.keys());
  const chosen: number[] = [];
  while (chosen.length < count) {
    let [best, most] = [-1, -1];
    for (const unit of waiting) {
      const weight = weightOf(readers, unit);
      if (weight > most) [best, most] = [unit, weight];
    }
    waiting.delete(best);
    chosen.push(best);
    for (const { unexplained, positions } of readers)
      for (const position of positions[best]) unexplained.take(position);
  }
  return chosen;
}

/** The units that go: all but the `count` most wanted ones, and on each axis at least one stays. */
export async function unitsToCut(
  coupling: Coupling,
  row: Row,
  moments: ReadonlyMap<string, Moments>,
  hasBias: (contraction: Contraction) => boolean,
  count: number,
): Promise<number[]> {
  const { atoms } = coupling;
  const place = new Map(row.units.map((unit, at) => [unit, at]));
  const kept = new Set(await mostWanted(coupling, row, moments, hasBias, count));
  for (const axis of row.axes) {
    const here = [...axis].map((atom) => place.get(atoms.find(atom)));
    // A position that is no unit of the row never goes.
    if (here.some((unit) => unit === undefined || kept.has(unit))) continue;
    kept.add(here[0]!);
  }
  return row.units.filter((_, at) => !kept.has(at));
}
