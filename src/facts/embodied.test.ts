// Embodied emissions and prices: intervals span the sources, formulas by hand, age widens; depends on its room.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  embodiedIncludesHost,
  embodiedOfDevice,
  embodiedOfMemoryPerGigabyte,
  embodiedOfServer,
  embodiedOfStoragePerGigabyte,
} from "./embodied.ts";
import { listHardware } from "./hardware.ts";
import { carbonPrice, electricityPrice, gpuHourPrices, launchPrice, priceAsOf, priceOf, priceTable } from "./prices.ts";

describe("embodied emissions", () => {
  it("of an H100 reach from its maker's 164 kg to another inventory's 278 kg, and both are named", () => {
    const made = embodiedOfDevice("nvidia-h100-sxm5-80gb");
    expect(made).toMatchObject({ value: 164_000, unit: "gCO2e", method: "declared" });
    expect(made?.low).toBeLessThanOrEqual(164_000);
    expect(made?.high).toBeGreaterThanOrEqual(278_000);
    expect(made?.sources.join()).toMatch(/164 kg.*278 kg/);
  });

  it("by the model meet the published cards that it was not made from", () => {
    // 26.97 + 1.97 × cm² + 1.388 × GB by hand, against 164…278, 284.25 and 127.6 kg.
    const model = (cm2: number, gigabytes: number) => 26.97 + 1.97 * cm2 + 1.388 * gigabytes;
    for (const [id, kilograms] of [
      ["nvidia-h100-sxm5-80gb", model(8.14, 80)],
      ["nvidia-b200-sxm-180gb", model(16, 180)],
      ["nvidia-a100-sxm4-40gb", model(8.26, 40)],
    ] as const) {
      const made = embodiedOfDevice(id);
      expect(made && made.value / 1000 / kilograms, id).toBeGreaterThan(1 / 1.35);
      expect(made && made.value / 1000 / kilograms, id).toBeLessThan(1.35);
    }
  });

  it("of a card nobody published are modelled and say so; without die or memory they are unknown", () => {
    const card = embodiedOfDevice("nvidia-l4");
    expect(card?.value).toBeCloseTo(1000 * (26.97 + 1.97 * 2.94 + 1.388 * 24), 6);
    expect(card?.method).toBe("modelled");
    expect(card?.assumptions.map(({ key }) => key)).toEqual(["embodied.modelled"]);
    expect(embodiedOfDevice("cpu:epyc-7763")).toBeUndefined();
    expect(embodiedOfDevice("no-such-device")).toBeUndefined();
  });

  it("of every device lie between 10 kg and 2 t", () => {
    const made = listHardware().flatMap(({ id }) => embodiedOfDevice(id) ?? []);
    expect(made.length).toBeGreaterThan(40);
    for (const part of made) expect(part.low > 5_000 && part.high < 2_000_000 && part.low < part.high).toBe(true);
  });

  it("of a TPU hold its host's share already", () => {
    expect(embodiedIncludesHost("google-tpu-v5p")).toBe(true);
    expect(embodiedIncludesHost("nvidia-h100-sxm5-80gb")).toBe(false);
    expect(embodiedOfDevice("google-tpu-v5p")?.assumptions[0]?.key).toBe("embodied.includes-host");
  });

  it("of a server are the model's sum, and missing parts are recorded", () => {
    const server = embodiedOfServer({ cpus: 2, memoryGigabytes: 384, ssds: 2, hdds: 1 });
    expect(server.value).toBeCloseTo(1000 * (1000 + 100 + 1.388 * 368 + 200 + 50), 6);
    expect(server.assumptions).toEqual([]);
    expect(embodiedOfServer({}).value).toBe(1_000_000);
    expect(embodiedOfServer({}).assumptions[0]?.key).toBe("embodied.server-parts");
    for (const bad of [-1, Number.NaN, Infinity]) expect(() => embodiedOfServer({ cpus: bad })).toThrow(/from 0/);
  });

  it("of memory and storage span the table's factors", () => {
    expect(embodiedOfMemoryPerGigabyte()).toMatchObject({ value: 1388, low: 65, high: 1388, unit: "gCO2e/GB" });
    const [ssd, hdd] = [embodiedOfStoragePerGigabyte("ssd"), embodiedOfStoragePerGigabyte("hdd")];
    expect(ssd.value).toBeCloseTo(10.7, 9);
    expect([ssd.low, ssd.high]).toEqual([3.948, 31]);
    expect(hdd.value).toBeCloseTo(1.653, 9);
    expect(hdd.high).toBeLessThan(ssd.low + 1);
  });
});

describe("prices", () => {
  it("carry currency, year, basis and licence, and none is converted", () => {
    for (const row of priceTable().rows) {
      const price = priceOf(row);
      expect(price.figure.unit).toBe(`${row.currency}/${row.per}`);
      expect(price.figure.low > 0 && price.figure.low < row.value && row.value < price.figure.high).toBe(true);
      expect(price.figure.sources[0]).toMatch(/\w{3}/);
      expect(price.basis && price.licence).not.toBe("");
    }
    expect(electricityPrice("DEU")?.figure.unit).toBe("EUR/kWh");
    expect(electricityPrice("US-VA")?.figure.unit).toBe("USD/kWh");
    expect(electricityPrice("GBR")).toBeUndefined();
    expect(launchPrice("nvidia-rtx-4090")?.figure.value).toBe(1599);
    expect(carbonPrice()?.figure.unit).toBe("EUR/tCO2e");
  });

  it("of hours come newest first and name devices of the catalogue", () => {
    const years = gpuHourPrices("nvidia-h100-sxm5-80gb").map(({ year }) => year);
    expect(years).toEqual(years.toSorted((a, b) => b - a));
    const ids = new Set(listHardware().map(({ id }) => id));
    for (const { kind, key } of priceTable().rows)
      if (kind === "gpu-hour" || kind === "launch") expect(ids).toContain(key);
  });

  it("past a year of age become a range that only widens, keep their value and say their age", () => {
    const [newest] = gpuHourPrices("nvidia-t4");
    expect(priceAsOf(newest, newest.year + 1)).toMatchObject({ stale: false, figure: newest.figure });
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 40 }), (age) => {
        const [now, later] = [age, age + 1].map((years) => priceAsOf(newest, newest.year + years));
        expect(now.stale && now.figure.value === newest.figure.value).toBe(true);
        expect(now.figure.assumptions.at(-1)?.key).toBe("price.stale");
        expect(later.figure.low).toBeLessThan(now.figure.low);
        expect(later.figure.high).toBeGreaterThan(now.figure.high);
      }),
    );
    expect(priceAsOf(newest, newest.year + 3).figure.low).toBeCloseTo(newest.figure.low * 0.7 ** 2, 12);
    for (const bad of [newest.year - 1, Number.NaN, 2025.5, 1e9])
      expect(() => priceAsOf(newest, bad)).toThrow(/cannot be brought/);
  });
});
