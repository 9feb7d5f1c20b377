// The device catalogue: every row inside physical limits, every unknown left unknown, every source named; depends on its room.
import { describe, expect, it } from "vitest";
import { LightfootError } from "../errors/lightfoot-error.ts";
import { describeProcessor, type MachineDescription } from "../io/machine.ts";
import type { Figure } from "../quantity/figure.ts";
import { cpuParts, microarchitectures } from "./cpu.ts";
import { findHardware, listHardware, machineProfile, parseHardwareId, type HardwareProfile } from "./hardware.ts";
import { readTable } from "./table.ts";

const everything = listHardware().map(({ id }) => findHardware(id));
const figuresOf = (device: HardwareProfile): Figure[] =>
  [
    ...Object.values(device.peakRate),
    device.memoryBandwidth,
    device.memoryCapacity,
    device.thermalDesignPower,
    device.linkBandwidth,
  ].filter((part) => part !== undefined);

const within = (part: Figure | undefined, low: number, high: number, what: string): void => {
  if (part !== undefined) expect(part.value >= low && part.value <= high, `${what}: ${part.value}`).toBe(true);
};

describe("every table", () => {
  it.each(["hardware/accelerators", "hardware/cpus", "hardware/microarchitectures"])(
    "%s says its year, licence, units and interval, and has no cell where it should have null",
    (path) => {
      const table = readTable<Record<string, unknown>>(path);
      expect(table.compiled).toBeGreaterThanOrEqual(2026);
      for (const text of [table.title, table.licence, table.interval["text"]]) expect(text).toMatch(/\w{3}/);
      for (const column of Object.keys(table.units).flatMap((names) => names.split(/, | … /))) {
        expect(Object.keys(table.rows[0])).toContain(column);
      }
      for (const row of table.rows) {
        for (const [column, cell] of Object.entries(row)) {
          expect(cell, `${path} ${column}`).not.toBe("");
          expect(cell, `${path} ${column}`).not.toBe(0);
          expect(cell, `${path} ${column}`).toBeDefined();
        }
      }
    },
  );

  it("names a source for each row", () => {
    for (const part of cpuParts().rows) expect(cpuParts().sources).toHaveProperty(part.source);
    for (const row of microarchitectures().rows) expect(microarchitectures().sources).toHaveProperty(row.watts_source);
    for (const row of readTable<{ source: string }>("hardware/accelerators").rows) expect(row.source).toMatch(/\w{3}/);
  });

  it("has each key once", () => {
    const ids = listHardware().map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const generations = microarchitectures().rows.flatMap(({ families }) => families);
    expect(new Set(generations).size).toBe(generations.length);
  });
});

describe("every device", () => {
  it("has figures in base units, above zero, with a source", () => {
    for (const device of everything) {
      for (const part of figuresOf(device)) {
        expect(part.low, device.id).toBeGreaterThan(0);
        expect(part.sources.length, device.id).toBeGreaterThan(0);
      }
    }
  });

  it("lies within what silicon can do", () => {
    for (const device of everything) {
      within(device.peakRate.float32, 1e9, 2e14, `${device.id} float32`);
      within(device.peakRate.float16, 1e11, 5e15, `${device.id} float16`);
      within(device.memoryBandwidth, 1e10, 1e14, `${device.id} bandwidth`);
      within(device.memoryCapacity, 2e8, 1e12, `${device.id} memory`);
      within(device.thermalDesignPower, 1, 1500, `${device.id} power`);
      if (device.year !== undefined) expect(device.year >= 2006 && device.year <= 2027, device.id).toBe(true);
    }
  });

  it("is not faster in a wider type than in a narrower one of the same family", () => {
    for (const { id, peakRate } of everything) {
      const { float32, float16, bfloat16, float8 } = peakRate;
      if (float32 && float16) expect(float16.high, id).toBeGreaterThanOrEqual(float32.low);
      if (float16 && bfloat16 && id !== "amd-mi100") expect(bfloat16.value, id).toBe(float16.value);
      if (float16 && float8) expect(float8.value, id).toBeGreaterThanOrEqual(float16.value);
    }
  });
});

describe("finding a device", () => {
  it("gives the data sheet's numbers in base units", () => {
    const h100 = findHardware("nvidia-h100-sxm5-80gb");
    expect(h100.peakRate.float16).toMatchObject({ value: 989.4e12, unit: "FLOP/s", method: "declared" });
    expect(h100.memoryBandwidth).toMatchObject({ value: 3350e9, unit: "B/s" });
    expect(h100.thermalDesignPower).toMatchObject({ value: 700, unit: "W" });
    // The sheet gives 900 GB/s for both directions together.
    expect(h100.linkBandwidth?.value).toBe(450e9);
    expect(h100.count).toBe(1);
  });

  it("reads a count behind the id, for accelerators and processors", () => {
    expect(findHardware("nvidia-l4:8")).toMatchObject({ id: "nvidia-l4", count: 8 });
    expect(findHardware("cpu:epyc-7763:2")).toMatchObject({ id: "cpu:epyc-7763", count: 2 });
    expect(parseHardwareId(" NVIDIA-L4 ")).toEqual({ name: "nvidia-l4", count: 1 });
    expect(() => findHardware("nvidia-l4:0")).toThrow(/count/);
  });

  it("leaves what makers do not publish unknown", () => {
    expect(findHardware("google-tpu-v5e").thermalDesignPower).toBeUndefined();
    expect(findHardware("nvidia-h100-sxm5-80gb").peakRate).not.toHaveProperty("int4");
    expect(findHardware("cpu:xeon-platinum-8375c").peakRate).toEqual({}); // its clock is not in the table
  });

  it("widens an interval to what a second source says", () => {
    expect(findHardware("amd-mi250").thermalDesignPower).toMatchObject({ value: 500, high: 560 });
    const unchecked = findHardware("nvidia-a2").peakRate.float16;
    expect(unchecked?.low).toBeCloseTo(18e12 * 0.9, -6);
  });

  it.each([
    ["h100", /nvidia-h100-sxm5-80gb/],
    ["nvidia-h100-smx5-80gb", /nvidia-h100-sxm5-80gb/],
    ["cpu:epyc-7b13", /cpu:epyc-7b12/],
    ["zzz", /Ids look like/],
  ])("answers %s with a hint", (id, hint) => {
    expect.assertions(2);
    try {
      findHardware(id);
    } catch (error) {
      expect((error as LightfootError).code).toBe("E_HARDWARE_UNKNOWN");
      expect((error as LightfootError).hint).toMatch(hint);
    }
  });

  it("models a processor's peak as cores × clock × FLOP per cycle, with the assumption on the clock", () => {
    const { float32 } = findHardware("cpu:epyc-7763").peakRate;
    expect(float32?.value).toBeCloseTo(64 * 2.45e9 * 32, -3);
    expect(float32?.high).toBeCloseTo(64 * 3.5e9 * 32, -3);
    expect(float32).toMatchObject({ method: "modelled" });
    expect(float32?.assumptions.map(({ key }) => key)).toContain("cpu.vector-clock");
  });
});

describe("this machine as a device", () => {
  const machine: MachineDescription = {
    platform: "linux",
    architecture: "x64",
    memoryBytes: 16e9,
    ...describeProcessor("model name : AMD EPYC\ncpu family : 25\nmodel : 1\nflags : avx2 hypervisor\n", {
      cpuName: "",
      logicalCpuCount: 4,
      clockMegahertz: 2500,
    }),
  };

  it("knows its generation from CPUID where the name says nothing, and records that", () => {
    const device = machineProfile(machine);
    expect(device.architecture).toBe("AMD Zen 3 (EPYC 7003)");
    expect(device.peakRate.float32?.value).toBeCloseTo(4 * 2.5e9 * 32, -3);
    const keys = device.peakRate.float32?.assumptions.map(({ key }) => key);
    expect(keys).toEqual(expect.arrayContaining(["cpu.part-unknown", "cpu.threads-per-core", "cpu.vector-clock"]));
  });

  it("gives no bandwidth for a share of a socket, and no peak for an unknown processor", () => {
    expect(machineProfile(machine).memoryBandwidth).toBeUndefined();
    expect(machineProfile({ ...machine, isVirtual: false }).memoryBandwidth?.value).toBe(204.8e9);
    expect(machineProfile({ ...machine, family: 6, model: 1 }).peakRate).toEqual({});
  });

  it("is found as cpu:this", () => expect(findHardware("cpu:this").memoryCapacity?.value).toBeGreaterThan(1e8));
});
