// The audit on models whose answers are known: a table of scores, and a copy that is spoiled for one class on purpose; depends on the engine.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { int } from "../../model/attributes.ts";
import { model, node, tensorInfo } from "../../model/build.ts";
import { serializeOnnx } from "../../model/onnx/write.ts";
import { memoryTensor } from "../../model/tensor-data.ts";
import { float32Tensor } from "../../model/tensor-value.ts";
import { seededRandom } from "../../statistics/index.ts";
import { createDataset, type Dataset } from "../sample-set.ts";
import { auditSchema } from "./audit-schema.ts";
import { audit } from "./audit.ts";
import { readPartition } from "./groups.ts";

const COUNT = 900;
const random = seededRandom(8);
/** Three scores, the label's raised. */
const labels = Int32Array.from({ length: COUNT }, (_, at) => at % 3);
const inputs = Float32Array.from(
  { length: COUNT * 3 },
  (_, at) => random.normal() + (at % 3 === labels[Math.floor(at / 3)] ? 3 : 0),
);
const data: Dataset = createDataset({
  name: "bumps",
  inputs: new Map([["x", { dtype: "float32", shape: [COUNT, 3], data: inputs }]]),
  labels: { dtype: "int32", shape: [COUNT], data: labels },
});

let original: Uint8Array;
let spoiled: Uint8Array;
let folder: string;

/** y = x + bias */
async function biased(bias: readonly number[]): Promise<Uint8Array> {
  return serializeOnnx(
    model({
      inputs: [tensorInfo("x", "float32", ["N", 3])],
      outputs: [tensorInfo("y", "float32", ["N", 3])],
      initializers: [memoryTensor("b", float32Tensor([3], Float32Array.from(bias)))],
      nodes: [node("Add", ["x", "b"], ["y"])],
    }),
  );
}

beforeAll(async () => {
  original = await biased([0, 0, 0]);
  spoiled = await biased([0, 0, -2]);
  folder = await mkdtemp(join(tmpdir(), "lightfoot-audit-"));
});
afterAll(() => rm(folder, { recursive: true }));

const withFiles = <Body>(body: Body) => ({
  schema: "lightfoot.audit/1",
  original: { file: "a", digest: "sha256:a" },
  compressed: { file: "b", digest: "sha256:b" },
  ...body,
});

describe("audit", () => {
  it("finds no difference between a model and itself", async () => {
    const found = await audit(original, original, { data, seed: 1 });
    auditSchema.parse(withFiles(found));
    expect(found.accuracy.drop.value).toBe(0);
    expect(found.accuracy.adjustedP).toBe(1);
    expect(found.agreement.share.value).toBe(1);
    expect(found.calibration!.drift).toMatchObject({ value: 0, low: 0, high: 0 });
    expect(found.robustness!.ratio).toMatchObject({ value: 1, low: 1, high: 1 });
    expect(found.partitions).toHaveLength(1);
    expect(found.notMeasured.map(({ what }) => what)).toEqual([
      "membership inference",
      "robustness to shifts and blur",
    ]);
  });

  it("finds the class that pays, and says by how much and how surely", async () => {
    const found = await audit(original, spoiled, { data, seed: 1 });
    const [classes] = found.partitions;
    expect(classes.worst).toBe("2");
    expect(classes.smallestSampleCount).toBe(300);
    const worst = classes.groups[2];
    const right = (bias: number): number => {
      let count = 0;
      for (let at = 2; at < COUNT; at += 3) {
        const [a, b, c] = inputs.subarray(at * 3, at * 3 + 3);
        if (c + bias > Math.max(a, b)) count++;
      }
      return count / 300;
    };
    expect(worst.original).toBeCloseTo(right(0), 12);
    expect(worst.compressed).toBeCloseTo(right(-2), 12);
    expect(worst.adjustedP).toBeLessThan(1e-6);
    expect(classes.groups[0].drop.value).toBeLessThanOrEqual(0);
    expect(classes.gap.compressed).toBeGreaterThan(classes.gap.original + 0.1);
    const { share, ...flips } = found.agreement;
    const counted = flips.onlyOriginalRight + flips.onlyCompressedRight + flips.bothWrongDifferently;
    expect(counted / COUNT).toBeCloseTo(1 - share.value, 12);
    expect(found.robustness!.ratio!.high).toBeLessThan(1);
    const { original: before, compressed: after, drift } = found.calibration!;
    expect(drift.value).toBeCloseTo(after - before, 12);
    expect(drift.high).toBeGreaterThan(drift.low);
  });

  it("divides by the groups of a file beside the classes, under one Holm adjustment", async () => {
    const file = join(folder, "people.csv");
    await writeFile(
      file,
      `age,sex\n${Array.from({ length: COUNT }, (_, at) => `${at},${at % 2 ? "m" : "f"}`).join("\n")}\n`,
    );
    const sex = await readPartition(`${file}#column=sex`, COUNT);
    expect(sex).toMatchObject({ name: "sex", groupNames: ["f", "m"] });
    const found = await audit(original, spoiled, { data, partitions: [sex], seed: 1 });
    expect(found.partitions.map(({ name }) => name)).toEqual(["class", "sex"]);
    const rows = found.partitions.flatMap(({ groups }) => groups);
    const least = Math.min(found.accuracy.mcnemarP, ...rows.map(({ mcnemarP }) => mcnemarP));
    expect(Math.min(found.accuracy.adjustedP, ...rows.map(({ adjustedP }) => adjustedP))).toBeCloseTo(
      Math.min(1, least * (rows.length + 1)),
      12,
    );
    await expect(readPartition(`${file}#column=sex`, COUNT - 1)).rejects.toThrow(/900 rows/);
    await expect(readPartition(`${file}#column=race`, COUNT)).rejects.toThrow(/no column 'race'/);
  });

  it("sees members that one model was surer of than of others", async () => {
    const others = createDataset({
      name: "others",
      inputs: new Map([["x", { dtype: "float32", shape: [COUNT, 3], data: inputs.map((value) => value / 3) }]]),
      labels: data.labels!,
    });
    const found = await audit(original, original, { data, seed: 1, membership: { members: data, others } });
    auditSchema.parse(withFiles(found));
    expect(found.membership!.original.advantage.low).toBeGreaterThan(0.1);
    expect(found.membership!.change.value).toBe(0);
    const none = await audit(original, spoiled, { data, seed: 1, membership: { members: data, others: data } });
    expect(Math.abs(none.membership!.original.advantage.value)).toBeLessThan(0.15);
  });

  it("leaves out what class numbers do not say, when either model gives nothing else", async () => {
    const decided = await serializeOnnx(
      model({
        inputs: [tensorInfo("x", "float32", ["N", 3])],
        outputs: [tensorInfo("y", "int64", ["N"])],
        initializers: [],
        nodes: [node("ArgMax", ["x"], ["y"], { axis: int(1), keepdims: int(0) })],
      }),
    );
    for (const pair of [
      [original, decided],
      [decided, original],
    ]) {
      const found = await audit(pair[0], pair[1], { data, seed: 1, membership: { members: data, others: data } });
      expect(found.agreement.share.value).toBe(1);
      expect([found.calibration, found.membership]).toEqual([null, null]);
      expect(found.notMeasured.map(({ what }) => what)).toEqual(
        expect.arrayContaining(["calibration", "membership inference"]),
      );
    }
  });

  it("gives the same numbers for the same seed, and refuses data without labels", async () => {
    const [one, two] = [
      await audit(original, spoiled, { data, seed: 5 }),
      await audit(original, spoiled, { data, seed: 5 }),
    ];
    expect(one).toEqual(two);
    const bare = createDataset({ name: "bare", inputs: data.inputs });
    await expect(audit(original, spoiled, { data: bare, seed: 1 })).rejects.toMatchObject({
      code: "E_METRIC",
      message: expect.stringContaining("an audit needs labels"),
    });
  });
});
