// Tests that a search compresses embedding tables by itself, together with the layers after them; depends on the build in dist.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { int, ints } from "../model/attributes.ts";
import { model, node, tensorInfo } from "../model/build.ts";
import type { ModelGraph } from "../model/graph.ts";
import { readOnnx } from "../model/onnx/read.ts";
import { writeOnnx } from "../model/onnx/write.ts";
import { int64Tensor } from "../model/tensor-value.ts";
import type { Dataset } from "../runtime/dataset.ts";
import { seededRandom } from "../statistics/index.ts";
import type { SearchResult } from "./candidate-schema.ts";
import { tableBlocks, tableCandidates } from "./lookup-tables.ts";
import { narrowRecipe, WIDTHS, type Recipe } from "./recipe.ts";
import type { SearchOptions } from "./search-options.ts";
import { SearchRun } from "./search-run.ts";
import { search } from "./search.ts";
import { randomTensor, selfLabelled } from "./techniques/test-models.ts";

const [WORDS, WIDTH, LENGTH, HIDDEN, CLASSES] = [400, 64, 8, 128, 4];

/** The mean of a sentence's words, and two layers that make a class of it. */
function wordsNet({ words = WORDS, width = WIDTH } = {}): ModelGraph {
  const random = seededRandom(3);
  return model(
    {
      nodes: [
        node("Gather", ["table", "x"], ["e"]),
        node("ReduceMean", ["e"], ["m"], { axes: ints([1]), keepdims: int(0) }),
        node("Gemm", ["m", "w1", "b1"], ["h"]),
        node("Relu", ["h"], ["r"]),
        node("Gemm", ["r", "w2", "b2"], ["y"]),
      ],
      inputs: [tensorInfo("x", "int64", ["batch", LENGTH])],
      outputs: [tensorInfo("y", "float32", ["batch", CLASSES])],
      initializers: [
        randomTensor("table", [words, width], random),
        randomTensor("w1", [width, HIDDEN], random, 0.3),
        randomTensor("b1", [HIDDEN], random, 0.1),
        randomTensor("w2", [HIDDEN, CLASSES], random, 0.3),
        randomTensor("b2", [CLASSES], random, 0.1),
      ],
    },
    17,
  );
}

/** Random sentences, labelled by the model itself. */
function sentences(count: number, seed: number): Promise<Dataset> {
  const random = seededRandom(seed);
  const words = Array.from({ length: count * LENGTH }, () => random.integer(WORDS));
  return selfLabelled(wordsNet(), int64Tensor([count, LENGTH], words), `sentences ${seed}`);
}

let folder: string;
let path: string;
let validation: Dataset;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-tables-"));
  path = join(folder, "words.onnx");
  await writeOnnx(wordsNet(), path);
  validation = await sentences(600, 1);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

async function finish(name: string, points: number, changes: Partial<SearchOptions> = {}): Promise<SearchResult> {
  const run = search({
    model: path,
    outDir: join(folder, name),
    data: { validation },
    budget: { metric: "accuracy", maxDrop: { kind: "points", value: points } },
    goal: "size",
    seed: 1,
    batches: [1],
    threads: 1,
    clock: () => 0,
    ...changes,
  });
  for (let next = await run.next(); ; next = await run.next()) if (next.done === true) return next.value;
}

describe("a search over a model with a lookup table", () => {
  it("by itself comes to tables and layers in few bits", { timeout: 120_000 }, async () => {
    const result = await finish("default", 15, { maxCandidates: 26 });
    const chosen = result.candidates.find(({ selected }) => selected)!;
    expect(chosen.techniques).toContain("embedding-blocks");
    expect(chosen.techniques.length).toBeGreaterThan(1);
    const { graph } = await readOnnx(join(folder, "default", chosen.file!));
    expect(graph.nodes.map(({ opType }) => opType)).toContain("GatherBlockQuantized");
    const without = result.candidates.filter(
      ({ techniques, accepted }) => accepted && !techniques.includes("embedding-blocks"),
    );
    expect(chosen.fileBytes!).toBeLessThan(0.6 * Math.min(...without.map(({ fileBytes }) => fileBytes!)));
  });
});

/** Ids that are tried in order, `holds` telling which of them hold the budget. */
async function tried(
  holds: (id: string) => boolean,
  prefix?: Parameters<typeof tableCandidates>[1],
): Promise<string[]> {
  const ids: string[] = [];
  const run = {
    options: { goal: "size" },
    start: { id: "original", path },
    wants: () => true,
    wanted: (recipes: readonly Recipe[]) => recipes,
    fromStart: (recipe: Recipe) => recipe,
    holds,
    async *attempt({ id }: Recipe) {
      ids.push(id);
      yield* [];
      const loss = { value: 0, high: 0 };
      return { path: id, candidate: { accepted: holds(id), validation: { loss, bound: null, allowedLoss: 0.01 } } };
    },
    async *sensitivity(of: string) {
      ids.push(`layers of ${of}`);
      yield* [];
    },
    attemptEach(recipes: readonly Recipe[]) {
      return SearchRun.prototype.attemptEach.call(this as unknown as SearchRun, recipes);
    },
  };
  for await (const event of tableCandidates(run as unknown as SearchRun, prefix)) expect(event).toBeUndefined();
  return ids;
}

describe("tableCandidates", () => {
  const chain = (bits: number, ...ends: string[]) => ends.map((end) => `embedding-int${bits}+${end}`);
  const plain = ["half-float16", "weight-int8", "weight-int4-b32", "weight-int4-b128"];
  const careful = ["weight-int4-b128-gptq", "activation-aware+weight-int4-b128"];

  it("stay with the narrowest tables where layers in 4 bits hold too", async () => {
    expect(await tried(() => true)).toEqual([
      "embedding-int4",
      "embedding-int8",
      ...chain(4, ...plain),
      "layers of embedding-int4",
    ]);
  });

  it("go to wider tables, and to more careful rounding, where 4 bits fail", async () => {
    const tables = ["embedding-int4", "embedding-int8"];
    expect(await tried((id) => tables.includes(id))).toEqual([
      ...tables,
      ...chain(4, ...plain, ...careful),
      ...chain(8, ...plain, ...careful),
      "layers of embedding-int4",
    ]);
    expect(await tried((id) => id === "embedding-int8" || id.endsWith("int8+weight-int4-b128"))).toEqual([
      ...tables,
      ...chain(8, ...plain),
      "layers of embedding-int8",
    ]);
  });

  it("try nothing more where no table holds", async () => {
    expect(await tried(() => false)).toEqual(["embedding-int4", "embedding-int8"]);
  });

  it("follow a narrowed network", async () => {
    const recipe = narrowRecipe(WIDTHS[0]);
    const ids = await tried(() => true, { recipe, base: { path, stepsDone: 1 } });
    expect(ids).toEqual(expect.arrayContaining([`${recipe.id}+embedding-int4+weight-int4-b32`]));
  });
});

describe("tableBlocks", () => {
  const blocksOf = async (sizes: { words?: number; width?: number }, options: Parameters<typeof tableBlocks>[1]) => {
    const other = join(folder, `${sizes.words}-${sizes.width}.onnx`);
    await writeOnnx(wordsNet(sizes), other);
    return tableBlocks(other, options);
  };

  it("are the cheapest that divide the width", async () => {
    expect(await blocksOf({ width: 64 }, { goal: "size" })).toBe(32);
    expect(await blocksOf({ width: 48 }, { goal: "memory" })).toBe(16);
    expect(await blocksOf({ width: 20 }, { goal: "size" })).toBeUndefined();
  });

  it("are none where tables are a crumb of the model, or the goal is time", async () => {
    expect(await blocksOf({ words: 1 }, { goal: "size" })).toBeUndefined();
    expect(await blocksOf({}, { goal: "latency" })).toBeUndefined();
    expect(await blocksOf({}, { goal: "size", techniques: ["weight-int8"] })).toBeUndefined();
  });

  it("are there for who names the technique", async () => {
    expect(await blocksOf({ words: 1 }, { goal: "latency", techniques: ["embedding-blocks"] })).toBe(32);
    expect(await blocksOf({ width: 20 }, { goal: "size", techniques: ["embedding-blocks"] })).toBe(32);
  });
});
