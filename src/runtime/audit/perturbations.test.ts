// The perturbation set: seeded, within range, and what each one does on small arrays by hand; depends on fast-check.
import { describe, expect, it } from "vitest";
import type { TensorValue } from "../../model/tensor-value.ts";
import { seededRandom } from "../../statistics/index.ts";
import { createDataset, type Dataset } from "../sample-set.ts";
import { canPerturb, imageLayout, perturb, PERTURBATIONS } from "./perturbations.ts";

const named = (name: string) => PERTURBATIONS.find((perturbation) => perturbation.name === name)!;
const dataset = (value: TensorValue): Dataset =>
  createDataset({ name: "toy", inputs: new Map([["x", value]]), unnamed: true });
const changed = (value: TensorValue, name: string, image?: string): number[] =>
  Array.from(perturb(dataset(value), named(name), seededRandom(4), image).inputs.get("x")!.data as Float32Array);

const random = seededRandom(9);
const table: TensorValue = {
  dtype: "float32",
  shape: [500, 2],
  data: Float32Array.from({ length: 1000 }, (_, at) => (at % 2 === 0 ? random.normal() : 1000 + 100 * random.normal())),
};
const picture: TensorValue = {
  dtype: "uint8",
  shape: [1, 1, 3, 3],
  data: Uint8Array.of(0, 0, 0, 0, 90, 0, 0, 0, 180),
};

describe("perturbations", () => {
  it("keep type, shape and range, and give the same bytes for the same seed", () => {
    for (const perturbation of PERTURBATIONS) {
      for (const value of [table, picture]) {
        const [one, two] = [1, 2].map(() => perturb(dataset(value), perturbation, seededRandom(4)));
        expect(one.digest).toBe(two.digest);
        const after = one.inputs.get("x")!;
        expect([after.dtype, after.shape]).toEqual([value.dtype, value.shape]);
        const before = value.data as Float32Array;
        expect(Math.max(...(after.data as Float32Array))).toBeLessThanOrEqual(Math.max(...before));
        expect(Math.min(...(after.data as Float32Array))).toBeGreaterThanOrEqual(Math.min(...before));
      }
    }
  });

  it("noise follows the spread of each column of a table", () => {
    const after = changed(table, "noise");
    const spread = (column: number): number => {
      const differences = after.flatMap((value, at) => (at % 2 === column ? [value - (table.data[at] as number)] : []));
      return Math.sqrt(differences.reduce((sum, one) => sum + one * one, 0) / differences.length);
    };
    expect(spread(0)).toBeGreaterThan(0.2);
    expect(spread(0)).toBeLessThan(0.3);
    expect(spread(1)).toBeGreaterThan(20);
    expect(spread(1)).toBeLessThan(30);
  });

  it("dropout puts the column's mean in about one of twenty places", () => {
    const after = changed(table, "dropout");
    const replaced = after.filter((value, at) => value !== table.data[at]).length;
    expect(replaced).toBeGreaterThan(25);
    expect(replaced).toBeLessThan(80);
  });

  it("shifts and blurs pictures with their edges repeated, in either layout, also when they come flat", () => {
    expect(changed(picture, "shift-right")).toEqual([0, 0, 0, 0, 0, 90, 0, 0, 0]);
    expect(changed(picture, "shift-down")).toEqual([0, 0, 0, 0, 0, 0, 0, 90, 0]);
    expect(changed(picture, "blur")).toEqual([10, 10, 10, 10, 30, 50, 10, 50, 90]);
    const last = { ...picture, shape: [1, 3, 3, 1] };
    const flat = { ...picture, shape: [1, 9] };
    expect(changed(last, "shift-right")).toEqual(changed(picture, "shift-right"));
    expect(changed(flat, "shift-right", "3x3")).toEqual(changed(picture, "shift-right"));
    expect(changed(flat, "shift-right")).toEqual(Array.from(flat.data as Uint8Array));
  });

  it("finds pictures by their channels and refuses a layout that does not fit", () => {
    expect(imageLayout([8, 3, 32, 20])).toEqual({ channels: 3, height: 32, width: 20, channelsLast: false });
    expect(imageLayout([8, 32, 20, 3])).toEqual({ channels: 3, height: 32, width: 20, channelsLast: true });
    expect(imageLayout([8, 784])).toBeUndefined();
    expect(() => imageLayout([8, 784], "28x27")).toThrow(/784 elements/);
  });

  it("leaves token numbers alone", () => {
    const tokens: TensorValue = { dtype: "int64", shape: [2, 2], data: BigInt64Array.of(1n, 2n, 3n, 4n) };
    expect(canPerturb(dataset(tokens))).toBe(false);
    expect(canPerturb(dataset(table))).toBe(true);
  });
});
