// Tests that every technique is tried where it is named alone, and that naming none changes nothing; depends on this room.
import { describe, expect, it } from "vitest";
import { float32Tensor } from "../model/tensor-value.ts";
import { createDataset } from "../runtime/dataset.ts";
import { namedRecipes } from "./named-recipes.ts";
import {
  CLEAN,
  CODEBOOKS,
  narrowRecipe,
  packedRecipe,
  POST_TRAINING,
  tableRecipe,
  techniquesOf,
  WIDTHS,
  type Recipe,
} from "./recipe.ts";
import { RANGE_KINDS } from "./quantize/range-observer.ts";
import { TECHNIQUE_NAMES } from "./search.ts";
import type { Goal } from "./search-options.ts";

const set = createDataset({ name: "one", inputs: new Map([["x", float32Tensor([1, 1], Float32Array.of(1))]]) });
const GOALS: readonly Goal[] = ["size", "latency", "energy", "memory"];

const recipesFor = (techniques: readonly string[] | undefined, goal: Goal, train = true): Recipe[] =>
  namedRecipes({ techniques, goal, data: { validation: set, ...(train ? { train: set } : {}) } });

describe("namedRecipes", () => {
  it.each(GOALS)("leaves no technique untried that is named alone, for the goal %s", (goal) => {
    const small = goal === "size" ? [...CODEBOOKS, packedRecipe(undefined)] : [];
    const planned = [CLEAN, ...POST_TRAINING, tableRecipe(8, 32), narrowRecipe(WIDTHS[0]), ...small];
    for (const name of TECHNIQUE_NAMES.filter((each) => each !== "widen")) {
      const tried = [...planned, ...recipesFor([name], goal)];
      expect(tried.filter((each) => techniquesOf(each).every((one) => one === name)).length, name).toBeGreaterThan(0);
    }
  });

  it("adds nothing where no technique was named, or what is planned uses all of them", () => {
    expect(recipesFor(undefined, "size")).toEqual([]);
    expect(recipesFor(["prune", "share-weights", "packed"], "size")).toEqual([]);
    expect(recipesFor(["weight-int8", "packed"], "size")).toEqual([]);
  });

  it("has every range of activations, and both forms, for who names static int8", () => {
    const [all] = [[...POST_TRAINING, ...recipesFor(["static-int8"], "latency")].flatMap(({ steps }) => steps)];
    const options = all.filter(({ technique }) => technique === "static-int8").map((one) => one.options);
    expect(new Set(options.map(({ range }) => range))).toEqual(new Set(RANGE_KINDS));
    expect(new Set(options.map(({ form }) => form))).toEqual(new Set(["qdq", "qoperator"]));
  });

  it("chains those that are named together", () => {
    const ids = (...names: string[]) => recipesFor(names, "size", false).map(({ id }) => id);
    expect(ids("activation-aware", "weight-blocks")).toContain("activation-aware+weight-int4-b128");
    expect(ids("prune", "packed")).toEqual(["prune-90", "prune-2-of-4", "prune-90+packed"]);
    expect(ids("static-int8", "qat")).toContain("static-int8+qat");
  });
});
