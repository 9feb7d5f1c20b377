// Hardware for some hours: boards' energy, what was made for it, what its hours cost, against sums by hand; depends on its room and facts.
import { describe, expect, it } from "vitest";
import { embodiedOfServer } from "../facts/embodied.ts";
import { listHardware } from "../facts/hardware.ts";
import { gpuHourPrices } from "../facts/prices.ts";
import { amortizedEmbodied } from "./embodied.ts";
import { deviceHourPrice, embodiedPart, embodiedPartsOf, energyOfHardware, hardwareUse } from "./hardware-use.ts";

const H100 = "nvidia-h100-sxm5-80gb";

describe("hardware in use", () => {
  it("draws 0.7 (0.3…1) of its boards' power, said as an assumption and at the boards' boundary", () => {
    const found = energyOfHardware(hardwareUse(`${H100}:8`, 3600));
    expect(found.value).toBeCloseTo(8 * 700 * 0.7 * 3600, 3);
    expect(found.low).toBeLessThanOrEqual(8 * 700 * 0.3 * 3600);
    expect(found).toMatchObject({ boundary: "accelerator", unit: "J", method: "assumed" });
    expect(found.assumptions.map(({ key }) => key)).toEqual(["hardware.power-share"]);
    expect(energyOfHardware(hardwareUse(H100, 0)).value).toBe(0);
  });

  it("has no modelled energy for processors, nor where no board power is published", () => {
    for (const id of ["cpu:this", "google-tpu-v5p"]) {
      expect(() => energyOfHardware(hardwareUse(id, 1))).toThrow(expect.objectContaining({ code: "E_USAGE" }));
    }
    expect(() => hardwareUse(H100, -1)).toThrow(expect.objectContaining({ code: "E_RANGE" }));
    expect(() => hardwareUse("nvidia-h100-sxm5-80g", 1)).toThrow(
      expect.objectContaining({ code: "E_HARDWARE_UNKNOWN" }),
    );
  });

  it("counts an accelerator with an eighth of its server, unless the server is counted or in the figure", () => {
    const [cards, server, ...none] = embodiedPartsOf(hardwareUse(`${H100}:4`, 1)) ?? [];
    expect(none).toEqual([]);
    expect(cards).toMatchObject({ count: 4, perUnit: { value: 164_000, unit: "gCO2e" } });
    const whole = embodiedOfServer({ cpus: 2, memoryGigabytes: 8 * 2 * 80, ssds: 8, hdds: 0 });
    expect(server.perUnit.value).toBeCloseTo(whole.value / 8, 6);
    expect(embodiedPartsOf(hardwareUse(H100, 1), true)).toHaveLength(1);
    expect(embodiedPartsOf(hardwareUse("google-tpu-v6e", 1))).toHaveLength(1);
    const [processors] = embodiedPartsOf(hardwareUse("cpu:epyc-7763:2", 1)) ?? [];
    expect(processors).toMatchObject({ name: "server", count: 1, perUnit: { value: 1_100_000 } });
  });

  it("adds servers, memory and storage by hand: 1000 kg, 1.388 kg/GB, and the drives' own", () => {
    const parts = [
      embodiedPart("server", 0.5),
      embodiedPart("memory", 512),
      embodiedPart("ssd", 1000),
      embodiedPart("hdd", 1000),
    ];
    const found = amortizedEmbodied({ parts, usedSeconds: 4 * 365 * 86_400 });
    const [server, memory, ssd, hdd] = found.parts.map(({ share }) => share.value);
    expect(server).toBeCloseTo(500_000, 6);
    expect(memory / 512).toBeGreaterThan(1_300);
    expect(memory / 512).toBeLessThan(1_400);
    expect(ssd).toBeGreaterThan(hdd);
    expect(found.value).toBeCloseTo(server + memory + ssd + hdd, 3);
    for (const amount of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => embodiedPart("memory", amount)).toThrow(expect.objectContaining({ code: "E_RANGE" }));
    }
  });

  it("finds parts with a positive, finite mass, or none, for the whole catalogue", () => {
    for (const { id } of listHardware()) {
      for (const { perUnit } of embodiedPartsOf(hardwareUse(id, 1)) ?? []) {
        expect(perUnit.low, id).toBeGreaterThan(0);
        expect(perUnit.unit).toBe("gCO2e");
      }
    }
  });
});

describe("the price of a device hour", () => {
  it("is the place's own provider's, else the newest with an interval over every offer", () => {
    const offers = gpuHourPrices(H100);
    expect(offers.length).toBeGreaterThan(1);
    const any = deviceHourPrice(H100, undefined, 2026);
    for (const { figure } of offers.filter((offer) => offer.figure.unit === any?.figure.unit)) {
      expect(any?.figure.low).toBeLessThanOrEqual(figure.value);
      expect(any?.figure.high).toBeGreaterThanOrEqual(figure.value);
    }
    expect(any?.figure.assumptions.map(({ key }) => key)).toContain("price.device-hour.offer");
    const own = offers.find(({ provider }) => provider !== undefined);
    expect(deviceHourPrice(H100, own?.provider, 2026)).toEqual(own);
    expect(deviceHourPrice("cpu:this", undefined, 2026)).toBeUndefined();
  });
});
