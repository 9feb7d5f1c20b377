// Typed quantities: every unit to its base, and every way of getting one wrong.
import { describe, expect, it } from "vitest";
import { declaredQuantity, parseQuantity } from "./parse-quantity.ts";

describe("parseQuantity", () => {
  it.each([
    ["12.5kWh", "energy", 45_000_000],
    [" 1e3 J ", "energy", 1000],
    ["1_000Wh", "energy", 3_600_000],
    ["40 kgCO2e", "carbon", 40_000],
    ["1000kg", "carbon", 1e6],
    ["2 t CO2eq", "carbon", 2e6],
    ["4y", "duration", 4 * 365 * 24 * 3600],
    ["90min", "duration", 5400],
    ["2m3", "volume", 2000],
    ["700W", "power", 700],
    ["0g", "carbon", 0],
  ] as const)("reads %j", (text, dimension, base) => {
    expect(parseQuantity(text, dimension, "--x")).toBe(base);
  });

  it.each([
    ["12.5", "energy", "E_UNIT"],
    ["12.5kwh", "energy", "E_UNIT"],
    ["12.5kg", "energy", "E_UNIT"],
    ["12.5constructor", "energy", "E_UNIT"],
    ["-1kWh", "energy", "E_RANGE"],
    ["1e400kWh", "energy", "E_RANGE"],
    ["kWh", "energy", "E_RANGE"],
    ["", "energy", "E_RANGE"],
    ["NaNkWh", "energy", "E_RANGE"],
    ["1,5kWh", "energy", "E_UNIT"],
  ] as const)("refuses %j", (text, dimension, code) => {
    expect(() => parseQuantity(text, dimension, "--x")).toThrow(expect.objectContaining({ code }));
  });

  it("suggests the unit that differs in case alone, and names the option", () => {
    expect(() => parseQuantity("5kwh", "energy", "--energy")).toThrow(
      expect.objectContaining({ hint: "Did you mean 'kWh'?", message: expect.stringContaining("--energy") as string }),
    );
    expect(declaredQuantity("1kWh", "energy", "--energy")).toMatchObject({
      value: 3.6e6,
      unit: "J",
      method: "declared",
    });
  });
});
