// Tests that a search trains what rounding left just outside the budget, and nothing else; depends on the build in dist.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeOnnx } from "../model/onnx/write.ts";
import { float32Tensor } from "../model/tensor-value.ts";
import { buildMlp } from "../runtime/architecture/mlp.ts";
import type { Dataset } from "../runtime/dataset.ts";
import { seededRandom } from "../statistics/index.ts";
import type { SearchResult } from "./candidate-schema.ts";
import { recoveries } from "./near-misses.ts";
import { techniquesOf, type Recipe } from "./recipe.ts";
import type { SearchOptions } from "./search-options.ts";
import type { SearchRun } from "./search-run.ts";
import { search } from "./search.ts";
import type { Step } from "./techniques/technique.ts";
import { selfLabelled } from "./techniques/test-models.ts";

const net = buildMlp({ layers: [12, 64, 4], seed: 5 });

/** Random inputs, labelled by the model itself. */
function samples(count: number, seed: number): Promise<Dataset> {
  const random = seededRandom(seed);
  const values = Float32Array.from({ length: count * 12 }, () => random.normal());
  return selfLabelled(net, float32Tensor([count, 12], values), `samples ${seed}`);
}

let folder: string;
let model: string;
let data: { train: Dataset; validation: Dataset };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-near-"));
  model = join(folder, "original.onnx");
  await writeOnnx(net, model);
  data = { train: await samples(3000, 1), validation: await samples(2000, 2) };
});

afterAll(() => rm(folder, { recursive: true, force: true }));

async function finish(name: string, points: number, changes: Partial<SearchOptions>): Promise<SearchResult> {
  const run = search({
    model,
    outDir: join(folder, name),
    data,
    budget: { metric: "accuracy", maxDrop: { kind: "points", value: points } },
    goal: "size",
    seed: 1,
    batches: [1],
    threads: 1,
    retrain: { epochs: 5, batch: 64 },
    clock: () => 0,
    ...changes,
  });
  for (let next = await run.next(); ; next = await run.next()) if (next.done === true) return next.value;
}

const lossOf = ({ candidates }: SearchResult, id: string): number =>
  candidates.find((each) => each.id === id)!.validation!.loss.value;

describe("a candidate just outside the budget", () => {
  it("is tuned where it is of a form that trains, and loses less", { timeout: 60_000 }, async () => {
    const result = await finish("books", 2, { techniques: ["codebooks", "tune-small"] });
    expect(lossOf(result, "codebooks-2x256")).toBeGreaterThan(0.02);
    expect(lossOf(result, "codebooks-2x256+tune-small")).toBeLessThan(lossOf(result, "codebooks-2x256"));
    // Beyond four times the budget nothing small helps.
    expect(lossOf(result, "codebooks-4x256")).toBeGreaterThan(0.08);
    expect(result.candidates.map(({ id }) => id)).not.toContain("codebooks-4x256+tune-small");
  });
});

const loss = (value: number) => ({ loss: { value: value / 100, high: value / 100 }, bound: null, allowedLoss: 0.01 });

type Tried = Readonly<
  Record<string, { readonly steps: readonly Step[]; readonly bytes: number; readonly lost: number }>
>;

/** Ids that are trained after `tried`, where training does not help; each loss in points, under a budget of one. */
async function trainedAfter(
  tried: Tried,
  { techniques, canTrain = true }: { techniques?: string[]; canTrain?: boolean } = {},
) {
  const wants = (name: string): boolean => techniques?.includes(name) ?? true;
  const attempts = Object.entries(tried).map(([id, { steps, bytes, lost }]) => ({
    path: id,
    candidate: {
      id,
      title: id,
      recipe: steps,
      techniques: steps.map(({ technique }) => technique),
      fileBytes: bytes,
      validation: loss(lost),
    },
  }));
  const ids: string[] = [];
  const run = {
    options: { goal: "size", data: canTrain ? data : { validation: data.validation } },
    attempts,
    original: { fileBytes: 1000 },
    best: attempts.map(({ candidate }) => candidate).find(({ validation }) => validation.loss.high <= 0.01),
    wanted: (recipes: readonly Recipe[]) => recipes.filter((recipe) => techniquesOf(recipe).every(wants)),
    async *attempt({ id }: Recipe) {
      ids.push(id);
      yield* [];
      return { candidate: { accepted: false } };
    },
  };
  for await (const event of recoveries(run as unknown as SearchRun)) expect(event).toBeUndefined();
  return ids;
}

const rounded = (technique: string, options: Step["options"] = {}): Step[] => [{ technique, options }];
const near: Tried = {
  columns: { steps: rounded("weight-int8"), bytes: 300, lost: 2 },
  static: { steps: rounded("static-int8", { form: "qdq" }), bytes: 280, lost: 3 },
  blocks: { steps: rounded("weight-blocks", { bits: 4 }), bytes: 200, lost: 3 },
};

describe("recoveries", () => {
  it("tunes the cheapest that can be tuned, then trains the cheapest of all through its rounding", async () => {
    expect(await trainedAfter(near)).toEqual(["static+tune-small", "columns+tune-small", "blocks-qat"]);
  });

  it("leaves alone what could not win, what lost too much, and what was trained before", async () => {
    const held = { steps: rounded("weight-int8"), bytes: 290, lost: 0.5 };
    expect(await trainedAfter({ ...near, held })).toEqual(["static+tune-small", "blocks-qat"]);
    expect(await trainedAfter({ lossy: { ...near.columns, lost: 9 } })).toEqual([]);
    expect(await trainedAfter({ narrow: { ...near.columns, steps: rounded("narrow") } })).toEqual([]);
    expect(
      await trainedAfter({ qoperator: { ...near.columns, steps: rounded("static-int8", { form: "qoperator" }) } }),
    ).toEqual([]);
  });

  it("trains only with training data, and by what may be used", async () => {
    expect(await trainedAfter(near, { canTrain: false })).toEqual([]);
    expect(await trainedAfter(near, { techniques: ["tune-small"] })).toEqual([
      "static+tune-small",
      "columns+tune-small",
    ]);
    expect(await trainedAfter(near, { techniques: ["qat"] })).toEqual(["blocks-qat"]);
    const { columns } = near;
    expect(await trainedAfter({ columns }, { techniques: ["qat"] })).toEqual(["columns+qat"]);
  });
});
