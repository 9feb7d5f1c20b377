// Tests of quantising a stored matrix piece by piece: the same integers as at once, from anywhere, on any thread; depends on the file beside it, model and runtime.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { model } from "../../model/build.ts";
import type { TensorRef } from "../../model/graph.ts";
import { readOnnx } from "../../model/onnx/read.ts";
import { writeOnnx } from "../../model/onnx/write.ts";
import { computedTensor, memoryTensor, readFloats } from "../../model/tensor-data.ts";
import { float32Tensor } from "../../model/tensor-value.ts";
import { createThreadPool } from "../../runtime/task-runner.ts";
import { seededRandom } from "../../statistics/index.ts";
import { quantizeChannels, roundHalfEven, type WeightGrid } from "./affine.ts";
import { columnsHere, columnsOn, LazyColumns, quantizeStored } from "./stored-weight.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-stored-"));
});
afterAll(() => rm(folder, { recursive: true }));

function matrix(rows: number, columns: number): TensorRef {
  const random = seededRandom(rows * 10_000 + columns);
  const data = Float32Array.from({ length: rows * columns }, () => random.normal());
  return memoryTensor("w", float32Tensor([rows, columns], data));
}

/** The matrix by definition, one number at a time. */
async function byHand(weight: TensorRef, transposed: boolean, { dtype, bits }: WeightGrid) {
  const values = await readFloats(weight);
  const [rows, columns] = weight.shape as [number, number];
  const [k, n] = transposed ? [columns, rows] : [rows, columns];
  const at = (row: number, column: number) => values[transposed ? column * k + row : row * n + column];
  const limit = 2 ** (bits - 1) - 1;
  const scales = Float32Array.from(
    { length: n },
    (_, column) => Math.max(...Array.from({ length: k }, (__, row) => Math.abs(at(row, column)))) / limit,
  );
  const shift = dtype === "uint8" ? 128 : 0;
  const integers = Array.from(
    { length: k * n },
    (_, i) => roundHalfEven(Math.fround(at(Math.floor(i / n), i % n) / scales[i % n])) + shift,
  );
  return { data: dtype === "uint8" ? Uint8Array.from(integers) : Int8Array.from(integers), scales };
}

async function stored(weight: TensorRef): Promise<TensorRef> {
  const path = join(folder, `${weight.shape.join("x")}.onnx`);
  await writeOnnx(model({ nodes: [], initializers: [weight] }), path);
  return (await readOnnx(path)).graph.initializers.get("w")!;
}

const GRIDS: readonly WeightGrid[] = [
  { dtype: "int8", bits: 8 },
  { dtype: "int8", bits: 7 },
  { dtype: "uint8", bits: 8 },
];

describe("quantizeStored", () => {
  it("gives what the definition gives, for any shape and grid", async () => {
    const size = fc.integer({ min: 1, max: 70 });
    await fc.assert(
      fc.asyncProperty(size, size, fc.boolean(), fc.constantFrom(...GRIDS), async (rows, columns, transposed, grid) => {
        const weight = matrix(rows, columns);
        expect(await quantizeStored({ weight, transposed, grid })).toEqual(await byHand(weight, transposed, grid));
      }),
      { numRuns: 40 },
    );
  });

  it.each([false, true])("joins the pieces of a matrix in a file seamlessly (transposed: %s)", async (transposed) => {
    // 1.6 MB with rows of a length that no piece is a multiple of.
    const weight = matrix(521, 769);
    const at = await stored(weight);
    expect(at.data.kind).toBe("file");
    const found = await quantizeStored({ weight: at, transposed, grid: GRIDS[0] });
    expect(found).toEqual(await byHand(weight, transposed, GRIDS[0]));
    if (!transposed) {
      const { data, scales } = quantizeChannels(await readFloats(weight), [521, 769], 1, GRIDS[0]);
      expect(found).toEqual({ data, scales });
    }
  });
});

describe("the vector loops", () => {
  it("give what the definition gives, for any number of columns and rows and any grid", async () => {
    const size = fc.integer({ min: 1, max: 40 });
    await fc.assert(
      fc.asyncProperty(
        size,
        fc.integer({ min: 1, max: 300 }),
        fc.constantFrom(...GRIDS),
        async (sixteens, rows, grid) => {
          const weight = matrix(rows, sixteens * 16);
          const found = await quantizeStored({ weight: await stored(weight), transposed: false, grid });
          expect(found).toEqual(await quantizeStored({ weight, transposed: false, grid }));
        },
      ),
      { numRuns: 30 },
    );
  });

  it("take no number for zero, and nothing for a column of zeros", async () => {
    const values = new Float32Array(32).fill(1);
    values.set([NaN, -2], 0);
    for (let column = 3; column < 32; column += 16) values[column] = 0;
    const weight = memoryTensor("w", float32Tensor([2, 16], values));
    for (const one of [weight, await stored(weight)]) {
      const { data, scales } = await quantizeStored({ weight: one, transposed: false, grid: GRIDS[0] });
      expect([data[0], data[1], data[17], data[3]]).toEqual([0, -127, 64, 0]);
      expect(scales[0]).toBe(Math.fround(1 / 127));
      expect(scales[3]).toBeGreaterThan(0);
    }
  });
});

describe("LazyColumns", () => {
  it("gives the same on a thread as here, in whichever order it is asked", async () => {
    const weight = await stored(matrix(300, 200));
    const task = { weight, transposed: false, grid: GRIDS[1] };
    const here = await quantizeStored(task);
    const pool = createThreadPool(2);
    for (const quantize of [columnsOn(pool), columnsHere()]) {
      const scalesFirst = new LazyColumns(task, quantize);
      expect(await scalesFirst.scales()).toEqual(here.scales);
      expect(await scalesFirst.data()).toEqual(here.data);
      const dataFirst = new LazyColumns(task, quantize);
      expect(await dataFirst.data()).toEqual(here.data);
      expect(await dataFirst.scales()).toEqual(here.scales);
    }
    await pool.close();
  });

  it("reads the matrix once where the integers are asked for before the scales", async () => {
    let made = 0;
    const { data } = matrix(8, 8);
    if (data.kind !== "memory") throw new Error("made in memory");
    const weight = computedTensor("w", { dtype: "float32", shape: [8, 8] }, async () => {
      made += 1;
      return new Uint8Array(data.bytes);
    });
    const columns = new LazyColumns({ weight, transposed: false, grid: GRIDS[0] }, columnsHere());
    await columns.data();
    const once = made;
    await columns.scales();
    expect(made).toBe(once);
  });

  it("works on one matrix after another here, in the order in which they were asked for", async () => {
    const events: string[] = [];
    const weightOf = (name: string) => {
      const { data, shape } = matrix(8, 16);
      if (data.kind !== "memory") throw new Error("made in memory");
      return computedTensor(name, { dtype: "float32", shape }, async () => {
        events.push(`${name} begins`);
        await new Promise((resolve) => setTimeout(resolve, 5));
        events.push(`${name} ends`);
        return new Uint8Array(data.bytes);
      });
    };
    const quantize = columnsHere();
    const fails = quantize({ weight: { ...weightOf("a"), dtype: "int8" }, transposed: false, grid: GRIDS[0] });
    const others = ["b", "c"].map((name) => quantize({ weight: weightOf(name), transposed: false, grid: GRIDS[0] }));
    // One that fails holds up nobody.
    await expect(fails).rejects.toMatchObject({ code: "E_TENSOR" });
    await Promise.all(others);
    // Each is read twice: once for its range, once for rounding.
    expect(events).toEqual(["b", "b", "c", "c"].flatMap((name) => [`${name} begins`, `${name} ends`]));
  });
});
