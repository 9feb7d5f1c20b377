// The footprint of a served request: how its energy is split, what each boundary adds, what is comparable with what; measured facts as anchors.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { findPlace } from "../facts/place.ts";
import { exact, figure } from "../quantity/figure.ts";
import { llmFootprint, type LlmInput } from "./llm.ts";
import { llmFootprintSchema } from "./llm-schema.ts";

const H100 = "nvidia-h100-sxm5-80gb";
const B200 = "nvidia-b200-sxm-180gb";
const llama70: LlmInput = {
  parameters: 70.6e9,
  weights: "bf16",
  hardware: `${H100}:4`,
  batch: 64,
  tokensIn: 512,
  tokensOut: 600,
};

/** Single measured values of ML.ENERGY's leaderboard and blog: J per output token of all GPUs, chat prompts of 634 tokens on average. */
const MEASURED: [name: string, joules: number, input: LlmInput][] = [
  ["Llama 3.1 8B, 8 at once", 0.455, { parameters: 8.03e9, hardware: H100, batch: 8, tokensIn: 634, tokensOut: 389 }],
  ["Llama 3.1 8B, 64 at once", 0.119, { parameters: 8.03e9, hardware: H100, batch: 64, tokensIn: 634, tokensOut: 396 }],
  [
    "Llama 3.1 8B, 512 at once",
    0.07,
    { parameters: 8.03e9, hardware: H100, batch: 512, tokensIn: 634, tokensOut: 397 },
  ],
  [
    "Llama 3.1 70B, 8 at once",
    3.76,
    { parameters: 70.6e9, hardware: `${H100}:4`, batch: 8, tokensIn: 634, tokensOut: 350 },
  ],
  [
    "Llama 3.1 70B, 64 at once",
    0.8,
    { parameters: 70.6e9, hardware: `${H100}:4`, batch: 64, tokensIn: 634, tokensOut: 352 },
  ],
  [
    "Llama 3.1 70B, 512 at once",
    0.42,
    { parameters: 70.6e9, hardware: `${H100}:4`, batch: 512, tokensIn: 634, tokensOut: 350 },
  ],
  ["Qwen 3 32B chat, B200", 0.209, { parameters: 32.8e9, hardware: B200, batch: 128, tokensIn: 634, tokensOut: 627 }],
  [
    "Qwen 3 32B reasoning, B200",
    0.312,
    { parameters: 32.8e9, hardware: B200, batch: 128, tokensIn: 224, tokensOut: 7035 },
  ],
];

describe("llmFootprint", () => {
  it.each(MEASURED)("is within 1.6 times of a published measurement: %s", (_name, joules, input) => {
    const { energyPerOutputToken } = llmFootprint({ weights: "bf16", ...input });
    const fold = Math.max(energyPerOutputToken.value / joules, joules / energyPerOutputToken.value);
    expect(fold).toBeLessThan(1.6);
    expect(energyPerOutputToken.low).toBeLessThan(joules);
    expect(energyPerOutputToken.high).toBeGreaterThan(joules);
  });

  it("adds up: a request is its output, input and cached tokens, and energy per output token is all of it over the output", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1000 }),
        fc.integer({ min: 1, max: 30_000 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.integer({ min: 1, max: 10_000 }),
        fc.constantFrom(1, 0.1),
        (batch, tokensIn, cachedShare, tokensOut, activeShare) => {
          const cachedTokens = Math.floor(tokensIn * cachedShare);
          const found = llmFootprint({
            parameters: 30e9,
            activeParameters: 30e9 * activeShare,
            hardware: `${B200}:2`,
            batch,
            tokensIn,
            cachedTokens,
            tokensOut,
          });
          const parts =
            tokensOut * found.energyPerDecodedToken.value +
            cachedTokens * found.energyPerCachedToken.value +
            (tokensIn - cachedTokens) * found.energyPerInputToken.value;
          expect(parts / found.energyPerRequest.value).toBeCloseTo(1, 9);
          expect((found.energyPerOutputToken.value * tokensOut) / found.energyPerRequest.value).toBeCloseTo(1, 9);
          expect(found.energyPerInputToken.value).toBeGreaterThan(found.energyPerCachedToken.value);
          expect(found.energyPerCachedToken.value).toBeGreaterThan(0);
          expect(found.power.value * found.latencyPerOutputToken.value).toBeCloseTo(
            found.energyPerOutputToken.value * found.load.requestsInFlight,
            6,
          );
        },
      ),
      { numRuns: 200 },
    );
  });

  it("gives each kind of token a price, also without a prompt", () => {
    const found = llmFootprint({ ...llama70, tokensIn: 0 });
    expect(found.energyPerInputToken.value).toBeGreaterThan(found.energyPerCachedToken.value);
    expect(found.energyPerRequest.value).toBeCloseTo(600 * found.energyPerDecodedToken.value, 9);
  });

  it("raises energies, and nothing else, to the boundary asked for, by the factors given", () => {
    const factors = {
      nodePerAccelerator: exact(1.5, "1", "given"),
      itPerNode: exact(1.1, "1", "given"),
      powerUsageEffectiveness: figure({ value: 1.2, low: 1.1, high: 1.3, unit: "1", method: "declared" }),
    };
    const inner = llmFootprint(llama70);
    const outer = llmFootprint({ ...llama70, boundary: "facility", factors });
    expect(outer.energyPerRequest.value / inner.energyPerRequest.value).toBeCloseTo(1.5 * 1.1 * 1.2, 9);
    expect(outer.energyPerRequest.high / inner.energyPerRequest.high).toBeCloseTo(1.5 * 1.1 * 1.3, 9);
    expect(outer.acceleratorEnergyPer1000Requests.value).toBe(inner.acceleratorEnergyPer1000Requests.value);
    expect(outer.latencyPerOutputToken.value).toBe(inner.latencyPerOutputToken.value);
    expect(outer.energyPerRequestByBoundary.map((part) => part.boundary)).toEqual([
      "accelerator",
      "node",
      "IT",
      "facility",
    ]);
    expect(inner.acceleratorEnergyPer1000Requests.value).toBeCloseTo((1000 * inner.energyPerRequest.value) / 3600, 9);
  });

  it("assesses one request where a place is given: its energy once, its share of the devices' time, the place's PUE at each boundary", () => {
    const place = findPlace("aws:eu-central-1");
    const found = llmFootprint({ ...llama70, boundary: "facility", surroundings: { place, thisYear: 2026 } });
    const request = found.footprintPerRequest!;
    expect(request.energy.value).toBe(found.energyPerRequest.value);
    expect(request.energyByBoundary).toEqual(found.energyPerRequestByBoundary);
    expect(request.powerUsageEffectiveness.value).toBe(place.powerUsageEffectiveness?.value);
    const deviceSeconds = (600 * found.latencyPerOutputToken.value) / found.load.requestsInFlight;
    expect(request.deviceHours?.value).toBeCloseTo((4 * deviceSeconds) / 3600, 12);
    expect(request.embodied?.usedSeconds).toBeCloseTo(deviceSeconds, 12);
    const grams = (request.energy.value / 3.6e6) * request.emissions.locationBased.intensity.value;
    expect(request.emissions.locationBased.value).toBeCloseTo(grams, 12);
    expect(llmFootprint(llama70).footprintPerRequest).toBeNull();
    expect(llmFootprintSchema.parse(structuredClone(found))).toEqual(found);
  });

  it("says what it assumed, and nothing when everything was given", () => {
    const keys = (input: LlmInput) => llmFootprint(input).assumptions.map(({ key }) => key);
    expect(keys({ parameters: 8e9, hardware: H100 })).toEqual(
      expect.arrayContaining([
        "load.batch",
        "load.tokens-in",
        "load.tokens-out",
        "weights.16-bit",
        "architecture.typical",
      ]),
    );
    expect(keys(llama70)).not.toContain("load.batch");
    expect(keys({ ...llama70, hardware: "nvidia-a100-sxm4-80gb:4" })).toEqual(
      expect.arrayContaining(["hardware.unseen", "power.busy-floor"]),
    );
    expect(keys({ ...llama70, weights: "fp8", hardware: "nvidia-a100-sxm4-80gb:4" })).toContain("hardware.no-fp8");
    expect(keys({ ...llama70, weights: "fp8" })).not.toContain("hardware.no-fp8");
    expect(keys({ ...llama70, batch: 100_000 })).toContain("load.memory");
    expect(keys({ ...llama70, boundary: "node" })).toContain("boundary.node-per-accelerator");
  });

  it("draws a wider interval for a device it has not seen and a load outside what it was fitted to, a narrower one for a known architecture", () => {
    const width = (input: LlmInput) => {
      const { low, high } = llmFootprint(input).energyPerOutputToken;
      return high / low;
    };
    const config = {
      where: "config.json",
      text: JSON.stringify({
        model_type: "llama",
        hidden_size: 8192,
        num_hidden_layers: 80,
        num_attention_heads: 64,
        num_key_value_heads: 8,
        intermediate_size: 28672,
        vocab_size: 128256,
      }),
    };
    expect(width({ ...llama70, hardware: "amd-mi300x:4" })).toBeGreaterThan(width(llama70));
    expect(width({ ...llama70, batch: 1 })).toBeGreaterThan(width(llama70));
    expect(width({ ...llama70, weights: "int4" })).toBeGreaterThan(width(llama70));
    expect(width({ ...llama70, config, parameters: undefined })).toBeLessThan(width(llama70));
  });

  it("carries the error it had on models it was not fitted to, no larger than the interval it draws", () => {
    for (const input of [llama70, { ...llama70, hardware: "amd-mi300x:4" }]) {
      const { errorOnUnseenModels: error, energyPerOutputToken: energy } = llmFootprint(input);
      expect(error.medianFold).toBeLessThanOrEqual(1.3);
      expect(error.p95Fold).toBeLessThanOrEqual(energy.high / energy.value);
      expect(error.appliesHere).toBe(input === llama70);
    }
  });

  it("is comparable with ML.ENERGY in its conditions only, and with AI Energy Score in its own", () => {
    const boards = (input: LlmInput) =>
      Object.fromEntries(
        llmFootprint(input).comparability.map(({ board, isComparable, why }) => [board, isComparable || why]),
      );
    expect(boards(llama70)).toMatchObject({
      "ML.ENERGY": true,
      "AI Energy Score": ["it runs one query at a time, this batch is 64"],
    });
    expect(boards({ ...llama70, batch: 1, hardware: `${H100}:4` })).toMatchObject({ "AI Energy Score": true });
    expect(boards({ ...llama70, batch: undefined })["ML.ENERGY"]).toEqual([
      "the server's batch was assumed, not given",
    ]);
    expect(boards({ ...llama70, boundary: "node" })["ML.ENERGY"]).toEqual([
      "it counts GPUs only, this boundary is 'node'",
    ]);
    expect(boards({ ...llama70, hardware: "nvidia-l40s:8" })["ML.ENERGY"]).toEqual([
      "it has H100 SXM and B200, this is nvidia-l40s",
    ]);
  });

  it("is a document of its schema", () => {
    for (const input of [
      llama70,
      { ...llama70, boundary: "facility" as const },
      { parameters: 1e9, hardware: "amd-mi300x" },
    ]) {
      const found = llmFootprint(input);
      expect(llmFootprintSchema.parse(structuredClone(found))).toEqual(found);
    }
  });

  it.each([
    [{ batch: 0.5 }, "E_RANGE"],
    [{ batch: Number.NaN }, "E_RANGE"],
    [{ tokensOut: 0 }, "E_RANGE"],
    [{ tokensOut: Infinity }, "E_RANGE"],
    [{ tokensIn: -1 }, "E_RANGE"],
    [{ cachedTokens: 513 }, "E_RANGE"],
    [{ meanContext: 0 }, "E_RANGE"],
    [{ tokensIn: 1e8 }, "E_RANGE"],
    [{ parameters: 70 }, "E_RANGE"],
    [{ parameters: undefined }, "E_USAGE"],
    [{ weights: "int2" as never }, "E_USAGE"],
    [{ boundary: "rack" as never }, "E_USAGE"],
    [{ hardware: "nvidia-h101" }, "E_HARDWARE_UNKNOWN"],
    [{ hardware: "cpu:this" }, "E_HARDWARE_DATA"],
    [{ hardware: H100 }, "E_RANGE"],
  ] satisfies [Partial<LlmInput>, string][])("refuses %j with %s", (change, code) => {
    expect(() => llmFootprint({ ...llama70, ...change })).toThrow(expect.objectContaining({ code }));
  });
});
