// Tests of choosing and fitting: what says the same is merged without loss, and fitting beats plain cutting; depends on this folder
// and runtime.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ModelGraph } from "../../model/graph.ts";
import { memoryTensor, readFloats } from "../../model/tensor-data.ts";
import { elementCount, float32Tensor } from "../../model/tensor-value.ts";
import { seededRandom } from "../../statistics/index.ts";
import { variablesKey } from "../axis-rows.ts";
import { secondMoments } from "../second-moments.ts";
import { convNet, gemmNet, matMulNet, outputsOf, samplesFor, signalToNoise } from "../techniques/test-models.ts";
import { countAt, mostWanted } from "./choose.ts";
import { findCoupling } from "./coupling.ts";
import { cutUnits } from "./cut.ts";
import { bestCombination } from "./reconstruct.ts";
import { findRows, type RowKind } from "./rows.ts";
import { randomConvNet, transformerBlock } from "./test-nets.ts";
import { thin } from "./thin.ts";

const KINDS: readonly RowKind[] = ["neurons", "channels", "heads"];

async function thinned(graph: ModelGraph, ratio: number, withData: boolean, kinds = KINDS) {
  const coupling = await findCoupling(graph);
  const rows = findRows(coupling).rows.filter(({ kind }) => kinds.includes(kind));
  const data = withData ? samplesFor(graph, 256, 3) : undefined;
  const { gone, weights, notes } = await thin(coupling, rows, ratio, data, { threads: 1 });
  return { fitted: cutUnits(coupling, gone, weights), plain: cutUnits(coupling, gone), notes };
}

/** The model with positions of a weight's axis overwritten by a function of its other positions. */
async function planted(
  graph: ModelGraph,
  name: string,
  axis: number,
  value: (read: (position: number) => number, position: number) => number | undefined,
): Promise<ModelGraph> {
  const tensor = graph.graph.initializers.get(name)!;
  const values = await readFloats(tensor);
  const inner = elementCount(tensor.shape.slice(axis + 1));
  const size = tensor.shape[axis];
  const changed = values.map((old, at) => {
    const position = Math.floor(at / inner) % size;
    const base = at - position * inner;
    return value((other) => values[base + other * inner], position) ?? old;
  });
  const initializers = new Map(graph.graph.initializers);
  initializers.set(name, memoryTensor(name, float32Tensor(tensor.shape, changed)));
  return { ...graph, graph: { ...graph.graph, initializers } };
}

describe("secondMoments", () => {
  it("are the sums by hand, along any axis, and along the last one of any rank", async () => {
    const graph = convNet();
    const data = samplesFor(graph, 70);
    const values = data.inputs.get("x")!.data as Float32Array;
    for (const [axis, width, stride] of [
      [1, 3, 144],
      [3, 12, 1],
      [-1, 12, 1],
    ] as const) {
      const wanted = { value: "x", axis, ...(axis === -1 ? { width } : {}) };
      const found = (await secondMoments(graph, [wanted], data, { kind: "products" })).get(variablesKey(wanted))!;
      const squares = (await secondMoments(graph, [wanted], data, { kind: "squares" })).get(variablesKey(wanted))!;
      const mean = new Float64Array(width);
      const second = new Float64Array(width * width);
      const count = values.length / width;
      values.forEach((value, at) => {
        const position = Math.floor(at / stride) % width;
        mean[position] += value / count;
        for (let other = 0; other < width; other++) {
          second[position * width + other] += (value * values[at + (other - position) * stride]) / count;
        }
      });
      expect(Math.max(...found.mean.map((value, at) => Math.abs(value - mean[at])))).toBeLessThan(1e-5);
      expect(Math.max(...found.second.map((value, at) => Math.abs(value - second[at])))).toBeLessThan(1e-5);
      squares.second.forEach((value, at) => expect(value).toBeCloseTo(second[at * (width + 1)], 5));
    }
  });
});

describe("bestCombination", () => {
  it("finds the mixture that a variable is of others, offset included", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e6 }), (seed) => {
        const random = seededRandom(seed);
        const [a, b, offset] = [random.normal(), random.normal(), random.normal()];
        const mean = new Float64Array(3);
        const second = new Float64Array(9);
        for (let sample = 0; sample < 50; sample++) {
          const [x, y] = [random.normal() + 1, random.normal()];
          const row = [x, a * x + b * y + offset, y];
          row.forEach((left, i) => {
            mean[i] += left / 50;
            row.forEach((right, j) => (second[i * 3 + j] += (left * right) / 50));
          });
        }
        const found = bestCombination({ width: 3, mean, second }, [0, 2], [1], true);
        expect(found.coefficients[0]).toBeCloseTo(a, 3);
        expect(found.coefficients[1]).toBeCloseTo(b, 3);
        expect(found.offsets[0]).toBeCloseTo(offset, 3);
      }),
      { seed: 3, numRuns: 30 },
    );
  });
});

describe("thin", () => {
  it("merges twins without loss: dense layers", async () => {
    // Odd columns are half of their left neighbour, biases too: Relu keeps that.
    const twin = (read: (position: number) => number, at: number) => (at % 2 === 1 ? 0.5 * read(at - 1) : undefined);
    const graph = await planted(await planted(gemmNet(), "w1", 1, twin), "b1", 0, twin);
    const { fitted, plain } = await thinned(graph, 0.5, true);
    const data = samplesFor(graph, 20, 8);
    const wanted = await outputsOf(graph, data);
    expect(signalToNoise(wanted, await outputsOf(fitted, data))).toBeGreaterThan(70);
    expect(signalToNoise(wanted, await outputsOf(plain, data))).toBeLessThan(40);
  });

  it("merges twins without loss: channels, through padding and pooling", async () => {
    const twin = (read: (position: number) => number, at: number) => (at % 2 === 1 ? 2 * read(at - 1) : undefined);
    let graph = convNet();
    for (const name of ["w1", "b1", "w2", "b2"]) graph = await planted(graph, name, 0, twin);
    const { fitted, notes } = await thinned(graph, 0.5, true);
    expect(notes.join()).toContain("channels 8 → 4");
    const data = samplesFor(graph, 20, 8);
    expect(signalToNoise(await outputsOf(graph, data), await outputsOf(fitted, data))).toBeGreaterThan(70);
  });

  it("folds a unit that never changes into the next bias", async () => {
    // Saturated far below zero or held by its bias alone.
    const still = (_: unknown, at: number) => (at < 8 ? 0 : undefined);
    const graph = await planted(gemmNet(), "w1", 1, still);
    const weak = await planted(graph, "w2", 0, (read, at) => (at < 8 ? 1e-4 * read(at) : undefined));
    const strong = await planted(weak, "b1", 0, (_, at) => (at < 8 ? 300 : undefined));
    const { fitted, plain } = await thinned(strong, 0.75, true);
    const data = samplesFor(graph, 20, 8);
    const wanted = await outputsOf(strong, data);
    const better = signalToNoise(wanted, await outputsOf(fitted, data));
    expect(better).toBeGreaterThan(signalToNoise(wanted, await outputsOf(plain, data)));
  });

  it.each([
    ["Gemm", gemmNet()],
    ["MatMul on three dimensions", matMulNet(["batch", "time", 24])],
    ["convolutions", convNet()],
    ["random blocks", randomConvNet(21)],
    [
      "a transformer block",
      transformerBlock({
        heads: 4,
        keyHeads: 4,
        headWidth: 8,
        hidden: 64,
        gated: true,
        fused: false,
        computedShapes: true,
      }),
    ],
  ] as const)("answers nearer to the original than plain cutting: %s", async (_name, graph) => {
    const { fitted, plain } = await thinned(graph, 0.75, true);
    const data = samplesFor(graph, 40, 8);
    const wanted = await outputsOf(graph, data);
    const [with_, without] = [await outputsOf(fitted, data), await outputsOf(plain, data)];
    expect(signalToNoise(wanted, with_)).toBeGreaterThan(signalToNoise(wanted, without) + 0.5);
  });

  it("gives the same bytes twice, and works from the weights alone", async () => {
    const bytes = async (withData: boolean) => {
      const { fitted } = await thinned(convNet(), 0.5, withData);
      return Promise.all([...fitted.graph.initializers.values()].map((tensor) => readFloats(tensor)));
    };
    expect(await bytes(true)).toEqual(await bytes(true));
    expect(await bytes(false)).not.toEqual(await bytes(true));
  });
});

describe("the order of units", () => {
  it("is what they say to the next layer, ties to the earlier", async () => {
    const graph = gemmNet();
    const coupling = await findCoupling(graph);
    const [row] = findRows(coupling).rows;
    const [{ value, axis }] = row.contractions;
    const second = new Float64Array(32).fill(1).fill(0, 4, 8);
    const squares = new Map([[variablesKey({ value, axis }), { width: 32, mean: second, second }]]);
    const order = await mostWanted(coupling, row, squares, () => false, 32);
    expect(order.slice(28)).toEqual([4, 5, 6, 7]);
    const weight = await readFloats(coupling.model.graph.initializers.get("w2")!);
    const norms = order.slice(0, 28).map((unit) => Math.hypot(...weight.subarray(unit * 6, unit * 6 + 6)));
    expect(norms).toEqual(norms.toSorted((left, right) => right - left));
  });

  it("keeps wide rows at multiples of eight and at least one unit", () => {
    expect([countAt(0.5, 128), countAt(0.3, 128), countAt(0.5, 7), countAt(0.01, 10)]).toEqual([64, 40, 4, 1]);
  });
});
