// The serving model against a sum by hand, the physics, and what must hold for every model, device and load.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { findHardware } from "../../facts/hardware.ts";
import { asAccelerators } from "./accelerator.ts";
import { routedParametersRead, typicalArchitecture, type TransformerArchitecture } from "./architecture.ts";
import { requestCapacity, servingStep, type ServingLoad } from "./serving-step.ts";
import { WEIGHT_FORMATS, type WeightFormat } from "./weight-format.ts";

const devices = (id: string) => asAccelerators(findHardware(id));
const dense = (parameters: number) => typicalArchitecture(parameters, parameters).architecture;
const load = (batch: number, tokensIn = 512, tokensOut = 600, cachedTokens = 0): ServingLoad => ({
  batch,
  tokensIn,
  cachedTokens,
  tokensOut,
  meanContext: tokensIn + tokensOut / 2,
});
const perToken = (architecture: TransformerArchitecture, format: WeightFormat, id: string, what: ServingLoad) => {
  const step = servingStep(architecture, format, devices(id), what);
  return step.energyJoules / step.inFlight;
};

const anyLoad = fc
  .tuple(
    fc.double({ min: 1, max: 4096, noNaN: true }),
    fc.integer({ min: 0, max: 20_000 }),
    fc.integer({ min: 1, max: 20_000 }),
    fc.double({ min: 0, max: 1, noNaN: true }),
  )
  .map(([batch, tokensIn, tokensOut, cached]) => load(batch, tokensIn, tokensOut, Math.floor(cached * tokensIn)));
const anyModel = fc
  .tuple(fc.double({ min: 1e8, max: 2e11, noNaN: true }), fc.double({ min: 0.02, max: 1, noNaN: true }))
  .map(([parameters, share]) => typicalArchitecture(parameters, parameters * share).architecture);
const anyFormat = fc.constantFrom(...WEIGHT_FORMATS);
const anyDevices = fc.constantFrom(
  "nvidia-h100-sxm5-80gb:8",
  "nvidia-b200-sxm-180gb:8",
  "nvidia-a100-sxm4-80gb:16",
  "amd-mi300x:8",
);

describe("servingStep", () => {
  it("sums to what was worked out by hand for a dense 8 B model, 8 requests, one H100", () => {
    // fixed 1.52 ms + 32 · 77.4 µs + 8 · 36.1 µs + 8/600 · 0.311 ms; read 16 GB at 0.911 · 3.35 TB/s = 5.243 ms;
    // FLOPs 2 · 8e9 · (8 + 8/600 · 512) + 4 · 32 · 4096 · 8 · 812 = 2.406e11 at 0.9 · 989.4e12 = 0.270 ms;
    // joined 5.264 ms; cache 8 · 812 · 65,536 · 2 B at 0.683 · 3.35 TB/s = 0.372 ms
    const step = servingStep(dense(8e9), "bf16", devices("nvidia-h100-sxm5-80gb"), load(8));
    expect(step.parts.fixed * 1e3).toBeCloseTo(4.29, 2);
    expect(step.parts.weights * 1e3).toBeCloseTo(5.264, 2);
    expect(step.parts.cache * 1e3).toBeCloseTo(0.372, 3);
    expect(step.parts.communication).toBe(0);
    // power 700 · (0.264 + 0.611 · (5.243 + 0.372)/9.926 + 0.679 · 0.270/9.926)
    expect(step.powerWatts).toBeCloseTo(439.7, 0);
    expect(step.energyJoules / 8).toBeCloseTo((439.7 * 9.926e-3) / 8, 3);
  });

  it("never falls below the physics: bytes at full bandwidth, FLOPs at full peak, the busy floor's power", () => {
    fc.assert(
      fc.property(anyModel, anyFormat, anyDevices, anyLoad, (model, format, id, what) => {
        const machine = devices(id);
        const step = servingStep(model, format, machine, what);
        expect(step.stepSeconds).toBeGreaterThanOrEqual(step.floorSeconds);
        expect(step.energyJoules).toBeGreaterThanOrEqual(
          step.floorSeconds * machine.floorShare * machine.boardWatts * machine.count,
        );
        expect(step.powerWatts).toBeLessThan(machine.count * machine.boardWatts);
        const { fixed, communication, weights, cache } = step.parts;
        expect(fixed + communication + weights + cache).toBeCloseTo(step.stepSeconds, 9);
      }),
    );
  });

  it("spreads over more requests: no token of a larger batch costs more, no step of a larger batch is shorter", () => {
    fc.assert(
      fc.property(
        anyModel,
        anyFormat,
        anyDevices,
        anyLoad,
        fc.double({ min: 1, max: 8, noNaN: true }),
        (model, format, id, what, times) => {
          const larger = { ...what, batch: what.batch * times };
          const slack = 1 + 1e-9;
          expect(perToken(model, format, id, larger)).toBeLessThanOrEqual(perToken(model, format, id, what) * slack);
          expect(servingStep(model, format, devices(id), larger).stepSeconds * slack).toBeGreaterThanOrEqual(
            servingStep(model, format, devices(id), what).stepSeconds,
          );
        },
      ),
    );
  });

  it("grows with the model: more parameters, or more of them active, never cost less", () => {
    const size = fc.double({ min: 1e8, max: 2e11, noNaN: true });
    fc.assert(
      fc.property(
        size,
        fc.double({ min: 1, max: 1.5, noNaN: true }),
        anyFormat,
        anyDevices,
        anyLoad,
        (parameters, times, format, id, what) => {
          expect(perToken(dense(parameters * times), format, id, what)).toBeGreaterThanOrEqual(
            perToken(dense(parameters), format, id, what) * (1 - 1e-9),
          );
        },
      ),
    );
    fc.assert(
      fc.property(
        size,
        fc.double({ min: 0.02, max: 0.4, noNaN: true }),
        fc.double({ min: 1, max: 2, noNaN: true }),
        anyFormat,
        anyLoad,
        (parameters, share, times, format, what) => {
          const id = "nvidia-b200-sxm-180gb:8";
          const few = typicalArchitecture(parameters, parameters * share).architecture;
          const many = typicalArchitecture(parameters, parameters * share * times).architecture;
          expect(perToken(many, format, id, what)).toBeGreaterThanOrEqual(perToken(few, format, id, what) * (1 - 1e-9));
        },
      ),
    );
  });

  it("charges uncached input more than cached input, and cached input more than none", () => {
    fc.assert(
      fc.property(
        anyModel,
        anyFormat,
        anyDevices,
        fc.integer({ min: 1, max: 512 }),
        fc.integer({ min: 1, max: 8000 }),
        fc.integer({ min: 1, max: 4000 }),
        (model, format, id, batch, tokensIn, tokensOut) => {
          const fresh = perToken(model, format, id, load(batch, tokensIn, tokensOut));
          const cached = perToken(model, format, id, load(batch, tokensIn, tokensOut, tokensIn));
          const none = perToken(model, format, id, load(batch, 0, tokensOut));
          expect(fresh).toBeGreaterThan(cached);
          expect(cached).toBeGreaterThan(none);
        },
      ),
    );
  });

  it("reads at most all experts, and at least one token's", () => {
    const model = typicalArchitecture(235e9, 22e9).architecture;
    const one = model.routedShare * model.routedParameters;
    expect(routedParametersRead(model, 1)).toBeCloseTo(one, -3);
    expect(routedParametersRead(model, 1e6)).toBeCloseTo(model.routedParameters, -3);
    // 8 of 128 drawn 16 times: 1 − (15/16)^16 of them
    const even = { ...model, routedParameters: 128, routedShare: 8 / 128 };
    expect(routedParametersRead(even, 16)).toBeCloseTo(128 * (1 - (15 / 16) ** 16), 9);
  });
});

describe("requestCapacity", () => {
  it("is what is left of 92 % of the memory beside the weights, over one request's cache", () => {
    const model = { ...dense(8e9), cacheValuesPerToken: 65_536 };
    const machine = devices("nvidia-h100-sxm5-80gb");
    expect(requestCapacity(model, "bf16", machine, 1000)).toBeCloseTo((73.6e9 - 16e9) / (1000 * 131_072), 3);
  });

  it("caps the batch", () => {
    const machine = devices("nvidia-h100-sxm5-80gb");
    const step = servingStep(dense(32e9), "bf16", machine, load(512, 512, 8000));
    expect(step.inFlight).toBeLessThan(512);
    expect(step.inFlight).toBe(step.capacity);
  });

  it("refuses a context that does not fit beside the weights", () => {
    expect(() => requestCapacity(dense(8e9), "bf16", devices("nvidia-h100-sxm5-80gb"), 1e6)).toThrow(
      expect.objectContaining({
        code: "E_RANGE",
        message: expect.stringContaining("a context of 1000000 tokens") as string,
      }),
    );
  });

  it("refuses weights that do not fit and says what would", () => {
    expect(() => requestCapacity(dense(70.6e9), "bf16", devices("nvidia-h100-sxm5-80gb"), 1000)).toThrow(
      expect.objectContaining({ code: "E_RANGE", hint: expect.stringContaining(":2") }),
    );
  });
});

describe("typicalArchitecture", () => {
  it("refuses the slips people make", () => {
    expect(() => typicalArchitecture(70, 70)).toThrow(/1e6 to 1e14/);
    expect(() => typicalArchitecture(7e9, 70e9)).toThrow(/active parameters/);
    for (const count of [0, -1, Number.NaN, Infinity]) expect(() => typicalArchitecture(count, count)).toThrow();
  });

  it("lies within a third of published depths", () => {
    for (const [parameters, layers] of [
      [8e9, 32],
      [14.8e9, 40],
      [70.6e9, 80],
      [405e9, 126],
    ] as const) {
      expect(Math.abs(dense(parameters).layers / layers - 1)).toBeLessThan(0.34);
    }
  });
});

describe("asAccelerators", () => {
  it("refuses processors and devices whose figures nobody published", () => {
    expect(() => devices("cpu:epyc-7763")).toThrow(expect.objectContaining({ code: "E_HARDWARE_DATA" }));
  });

  it("takes every accelerator of the catalogue or names the figure it lacks", async () => {
    const { listHardware } = await import("../../facts/hardware.ts");
    let served = 0;
    for (const { id, kind } of listHardware()) {
      if (kind === "cpu") continue;
      try {
        const machine = devices(id);
        const step = servingStep(dense(1e7), "int4", machine, load(1, 10, 10));
        expect(step.energyJoules).toBeGreaterThan(0);
        served++;
      } catch (error) {
        expect(error).toMatchObject({ code: "E_HARDWARE_DATA", message: expect.stringContaining("published") });
      }
    }
    expect(served).toBeGreaterThan(30);
  });
});
