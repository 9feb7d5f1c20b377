// Typed rates: every unit to its base, and every way of getting one wrong; depends on its room.
import { describe, expect, it } from "vitest";
import { LightfootError } from "../errors/lightfoot-error.ts";
import { parseIntensity, parsePrice, parseRatio, parseWaterPerEnergy } from "./parse-rate.ts";

const failure = (run: () => unknown): LightfootError => {
  try {
    run();
  } catch (error) {
    if (error instanceof LightfootError) return error;
  }
  throw new Error("nothing was refused");
};

describe("typed rates", () => {
  it.each([
    ["350gCO2e/kWh", 350],
    ["350 g/kWh", 350],
    ["350 gCO₂e/kWh", 350],
    ["0.35kg/kWh", 350],
    ["350kg/MWh", 350],
    ["0.35tCO2e/MWh", 350],
    ["1000lb/MWh", 453.59237],
    ["0g/kWh", 0],
    ["3.5e2g/kWh", 350],
  ])("reads the intensity %s", (text, grams) => expect(parseIntensity(text)).toBeCloseTo(grams, 9));

  it.each(["350", "350 g", "350kWh", "kg/kWh", "1,5kg/kWh", "nang/kWh", "", "350ton/MWh", "350constructor"])(
    "refuses the intensity '%s' with a hint",
    (text) => {
      const { code, hint } = failure(() => parseIntensity(text));
      expect(code).toBe("E_UNIT");
      expect(hint).toBeDefined();
    },
  );

  it("refuses what is negative or beyond numbers", () => {
    expect(failure(() => parseIntensity("-1g/kWh")).code).toBe("E_RANGE");
    expect(failure(() => parseIntensity("1e308t/MWh")).code).toBe("E_RANGE");
    expect(failure(() => parseIntensity("1e999g/kWh")).code).toBe("E_UNIT");
  });

  it("takes a bare WUE as L/kWh, a bare ratio and percent", () => {
    expect(parseWaterPerEnergy("0.3")).toBe(0.3);
    expect(parseWaterPerEnergy("300mL/kWh")).toBeCloseTo(0.3, 12);
    expect(parseWaterPerEnergy("2m3/MWh")).toBe(2);
    expect(failure(() => parseWaterPerEnergy("0.3gal/kWh")).code).toBe("E_UNIT");
    expect(parseRatio("1.2")).toBe(1.2);
    expect(parseRatio("60%")).toBeCloseTo(0.6, 12);
    expect(failure(() => parseRatio("1.2kWh")).code).toBe("E_UNIT");
  });

  it("reads a price in its own currency, and no sign for one", () => {
    expect(parsePrice("0.12EUR/kWh", "kWh")).toEqual({ value: 0.12, currency: "EUR", unit: "EUR/kWh" });
    expect(parsePrice("120 EUR/MWh", "kWh").value).toBeCloseTo(0.12, 12);
    expect(parsePrice("2.5USD/h", "h").unit).toBe("USD/h");
    expect(parsePrice("0.08EUR/kg", "tCO2e")).toEqual({ value: 80, currency: "EUR", unit: "EUR/tCO2e" });
    for (const text of ["0.12", "$0.12/kWh", "0.12EUR", "0.12EUR/h", "0.12Euro/kWh", "0.12eur/kWh", "EUR/kWh"]) {
      const { code, hint } = failure(() => parsePrice(text, "kWh"));
      expect(code, text).toBe("E_UNIT");
      expect(hint, text).toContain("0.12EUR/kWh");
    }
    for (const text of ["0.12EUE/kWh", "0.12XXX/kWh"]) {
      expect(
        failure(() => parsePrice(text, "kWh")),
        text,
      ).toMatchObject({ code: "E_UNIT", message: expect.stringContaining("no currency") as string });
    }
  });
});
