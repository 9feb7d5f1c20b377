// Modelled CPU energy: its band, its boundary, what it admits to assume, and what it refuses; depends on its room and fast-check.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { MachineDescription } from "../io/machine.ts";
import { cpuEnergyModel, energyOfCpuSeconds, measureCpu } from "./cpu-energy.ts";

function machine(cpuName: string, more: Partial<MachineDescription> = {}): MachineDescription {
  return {
    platform: "linux",
    architecture: "x64",
    cpuName,
    logicalCpuCount: 8,
    flags: [],
    isVirtual: true,
    memoryBytes: 32e9,
    ...more,
  };
}

const MACHINES = [
  machine("AMD EPYC", { family: 25, model: 1 }),
  machine("AMD EPYC 7763 64-Core Processor"),
  machine("AMD EPYC 7B13"),
  machine("Intel(R) Core(TM) i7-8700 CPU @ 3.20GHz", { isVirtual: false, logicalCpuCount: 12 }),
  machine("AMD Ryzen 9 9999Z 8-Core Processor"),
  machine("Intel(R) Xeon(R) Processor @ 2.80GHz"),
  machine(""),
];

describe("power model", () => {
  it("is never called measured, says that no counter was read, and spans at least ÷2 … ×2", () => {
    for (const each of MACHINES) {
      const { marginalPower } = cpuEnergyModel(each);
      expect(["modelled", "assumed"]).toContain(marginalPower.method);
      expect(marginalPower.assumptions.map(({ key }) => key)).toContain("power-model.no-counter");
      expect(marginalPower.sources.length).toBeGreaterThan(0);
      expect(marginalPower.value / marginalPower.low, each.cpuName).toBeGreaterThanOrEqual(2);
      expect(marginalPower.high / marginalPower.value, each.cpuName).toBeGreaterThanOrEqual(2);
    }
  });

  it("takes the generation's watts per vCPU on a server whose name hides the part", () => {
    const model = cpuEnergyModel(machine("AMD EPYC", { family: 25, model: 1 }));
    expect(model).toMatchObject({ name: "AMD Zen 3 (EPYC 7003)", boundary: "server at the wall" });
    expect(model.marginalPower.value).toBeCloseTo(1.937 - 0.452, 9); // microarchitectures.json, Zen 3
    expect(model.idlePower.value).toBeCloseTo(8 * 0.452, 9);
    expect(model.marginalPower.assumptions.map(({ key }) => key)).toContain("cpu.part-unknown");
  });

  it("takes shares of the thermal design power for a desktop part: 65 W over 12 threads", () => {
    const model = cpuEnergyModel(
      machine("Intel(R) Core(TM) i7-8700 CPU @ 3.20GHz", { isVirtual: false, logicalCpuCount: 12 }),
    );
    expect(model.boundary).toBe("processor package and memory");
    expect(model.marginalPower.value).toBeCloseTo((65 / 12) * 0.61, 9);
    expect(model.idlePower.value).toBeCloseTo(65 * 0.11 + 32 * 0.3725, 9);
  });

  it("gives the span of all generations, as assumed, for a processor that nothing identifies", () => {
    const { marginalPower } = cpuEnergyModel(machine("Intel(R) Xeon(R) Processor @ 2.80GHz"));
    expect(marginalPower.method).toBe("assumed");
    for (const each of MACHINES.slice(0, 3)) {
      const other = cpuEnergyModel(each).marginalPower;
      expect(marginalPower.low).toBeLessThanOrEqual(other.low);
      expect(marginalPower.high).toBeGreaterThanOrEqual(other.high);
    }
  });
});

describe("energy of CPU time", () => {
  const model = cpuEnergyModel(machine("AMD EPYC", { family: 25, model: 1 }));

  it("is CPU seconds times watts, and idle adds the machine's share over the wall time", () => {
    expect(energyOfCpuSeconds(10, 5, { model })).toMatchObject({ unit: "J", method: "modelled" });
    expect(energyOfCpuSeconds(10, 5, { model }).value).toBeCloseTo(14.85, 9);
    expect(energyOfCpuSeconds(10, 5, { model, idle: true }).value).toBeCloseTo(14.85 + 5 * 8 * 0.452, 9);
  });

  it("is additive: two windows cost what their union costs", () => {
    const seconds = fc.double({ min: 0, max: 1e5, noNaN: true });
    fc.assert(
      fc.property(seconds, seconds, fc.boolean(), (one, two, idle) => {
        const parts = [one, two].map((part) => energyOfCpuSeconds(part, part, { model, idle }));
        const whole = energyOfCpuSeconds(one + two, one + two, { model, idle });
        for (const end of ["value", "low", "high"] as const) {
          expect(parts[0][end] + parts[1][end]).toBeCloseTo(whole[end], 4);
        }
      }),
      { seed: 1 },
    );
  });

  it("refuses swapped or impossible times, which would be a silent unit mistake", () => {
    expect(() => energyOfCpuSeconds(100, 1, { model })).toThrow(/do not fit/);
    expect(() => energyOfCpuSeconds(-1, 1, { model })).toThrow(/≥ 0/);
    expect(() => energyOfCpuSeconds(1, Number.NaN, { model })).toThrow(/≥ 0/);
    expect(energyOfCpuSeconds(0, 0, { model }).value).toBe(0);
  });
});

describe("measuring CPU time", () => {
  it("returns the work's result, and times that fit together", async () => {
    const { result, cpuSeconds, wallSeconds } = await measureCpu(() => {
      let sum = 0;
      for (let index = 0; index < 3e6; index++) sum += Math.sqrt(index);
      return sum;
    });
    expect(result).toBeGreaterThan(1e9);
    expect(cpuSeconds).toBeGreaterThan(0);
    expect(wallSeconds).toBeGreaterThan(0);
    expect(energyOfCpuSeconds(cpuSeconds, wallSeconds).value).toBeGreaterThan(0);
  });

  it("lets the work's error through", async () => {
    await expect(measureCpu(() => Promise.reject(new Error("boom")))).rejects.toThrow("boom");
  });
});
