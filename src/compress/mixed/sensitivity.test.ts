// Tests of the table of layers on small nets: errors against the whole model, sizes, refusals, recipes that say the same; depends on this
// folder and the techniques' test models.
import { describe, expect, it } from "vitest";
import type { ModelGraph } from "../../model/graph.ts";
import { serializeOnnx } from "../../model/onnx/write.ts";
import { TECHNIQUES } from "../techniques/registry.ts";
import type { TechniqueContext } from "../techniques/technique.ts";
import { contextWith, convNet, gemmNet, matMulNet, outputsOf, samplesFor } from "../techniques/test-models.ts";
import { relativeError } from "./layer-costs.ts";
import { schemesFor } from "./mixed-search.ts";
import { FLOAT, recipeOf, SCHEMES, schemesOf } from "./scheme-catalogue.ts";
import { sensitivities } from "./sensitivity.ts";

const contextFor = (graph: ModelGraph): TechniqueContext => contextWith({ calibration: samplesFor(graph, 64) });

const tableOf = (graph: ModelGraph, timedBatch?: number, techniques?: readonly string[]) =>
  sensitivities(graph, {
    schemes: schemesOf(timedBatch === undefined ? "size" : "latency", (name) => techniques?.includes(name) ?? true),
    timedBatch,
    useDiskCache: false,
    data: samplesFor(graph, 64),
    context: contextFor(graph),
    onLayer: () => undefined,
  });

const NETS = [
  ["Gemm", gemmNet()],
  ["MatMul on three dimensions", matMulNet(["batch", 5, 24])],
  ["convolutions", convNet()],
] as const;

describe("sensitivities", () => {
  it.each(NETS)("finds that the last layer's own error is the error at the end: %s", async (_name, graph) => {
    const rows = await tableOf(graph);
    const last = rows.find(({ layer }) => layer === "y")!;
    expect(last.gain).toBeCloseTo(1, 3);
    for (const { schemes } of rows) {
      expect(schemes.find(({ id }) => id === FLOAT)).toMatchObject({ error: 0, reason: null });
      for (const { id, error, storedBytes, reason } of schemes) {
        expect(SCHEMES.has(id) || id === FLOAT).toBe(true);
        expect(reason === null).toBe(error !== null && storedBytes !== null);
      }
    }
  });

  it("agrees with the whole model about each scheme of the last layer", async () => {
    const graph = gemmNet();
    const data = samplesFor(graph, 64);
    const wanted = await outputsOf(graph, data);
    const { schemes } = (await tableOf(graph)).find(({ layer }) => layer === "y")!;
    for (const { id, error } of schemes.filter(({ error: known }) => known !== null && known > 0)) {
      // Static ranges are found on the model's own tensors there and on the cut-out's here: the same numbers.
      const { technique, options } = SCHEMES.get(id)!;
      const result = await TECHNIQUES[technique](graph, { ...options, layers: ["y"] }, contextFor(graph));
      if (result.kind === "refused") throw new Error(result.reason);
      const found = await outputsOf(result.model, data);
      expect(error! / relativeError(wanted, found), id).toBeCloseTo(1, 1);
    }
  });

  it("times every scheme when a batch is given, and takes only techniques that are wanted", async () => {
    const rows = await tableOf(gemmNet(), 4, ["dynamic-int8"]);
    for (const { schemes } of rows) {
      expect(schemes.map(({ id }) => id)).toEqual([FLOAT, "dynamic-int8"]);
      for (const { seconds } of schemes) expect(seconds).toBeGreaterThan(0);
    }
    expect(schemesFor(rows, "latency").map(({ schemes }) => schemes.length)).toEqual([2, 2]);
  });

  it("makes recipes whose steps change each layer once, in an order that works", async () => {
    const graph = convNet();
    const rows = await tableOf(graph);
    const assignment = new Map(rows.map(({ layer, kind }) => [layer, kind === "conv" ? "static-int8" : "weight-int8"]));
    const recipe = recipeOf("mixed", assignment);
    expect(recipe.steps.map(({ technique }) => technique)).toEqual(["weight-int8", "static-int8"]);
    let model: ModelGraph = graph;
    for (const { technique, options } of recipe.steps) {
      const result = await TECHNIQUES[technique](model, options, contextFor(graph));
      if (result.kind === "refused") throw new Error(result.reason);
      model = result.model;
    }
    expect((await serializeOnnx(model)).byteLength).toBeGreaterThan(0);
    const error = relativeError(
      await outputsOf(graph, samplesFor(graph, 16)),
      await outputsOf(model, samplesFor(graph, 16)),
    );
    expect(error).toBeLessThan(0.01);
  });
});
