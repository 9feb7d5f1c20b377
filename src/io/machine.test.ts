// What is read from /proc/cpuinfo, and that this machine can describe itself; depends on its file.
import { describe, expect, it } from "vitest";
import { describeProcessor, describeThisMachine } from "./machine.ts";

const known = { cpuName: "from node:os", logicalCpuCount: 2, clockMegahertz: 2000 };

describe("a processor's description", () => {
  it("takes name, identity, clock and flags of the first processor", () => {
    const text = [
      "processor\t: 0\nmodel name\t: Intel(R) Xeon(R) CPU @ 2.20GHz\ncpu family\t: 6\nmodel\t\t: 79\nstepping\t: 0",
      "cpu MHz\t\t: 2199.998\nflags\t\t: fpu avx2 hypervisor\n\nprocessor\t: 1\nmodel name\t: Other\nmodel\t\t: 80\n",
    ].join("\n");
    expect(describeProcessor(text, known)).toEqual({
      cpuName: "Intel(R) Xeon(R) CPU @ 2.20GHz",
      logicalCpuCount: 2,
      family: 6,
      model: 79,
      stepping: 0,
      clockHertz: 2_199_998_000,
      flags: ["fpu", "avx2", "hypervisor"],
      isVirtual: true,
    });
  });

  it("falls back on node:os where there is no cpuinfo, and leaves the rest out", () => {
    expect(describeProcessor("", known)).toEqual({
      cpuName: "from node:os",
      logicalCpuCount: 2,
      clockHertz: 2e9,
      flags: [],
      isVirtual: false,
    });
    expect(describeProcessor("", { ...known, clockMegahertz: 0 })).not.toHaveProperty("clockHertz");
  });

  it("reads an ARM text, which has other fields", () => {
    const found = describeProcessor("processor : 0\nFeatures : fp asimd\nCPU implementer : 0x41\n", known);
    expect(found).toMatchObject({ cpuName: "from node:os", flags: ["fp", "asimd"] });
    expect(found.family).toBeUndefined();
  });
});

it("this machine has processors and memory", () => {
  const machine = describeThisMachine();
  expect(machine.logicalCpuCount).toBeGreaterThanOrEqual(1);
  expect(machine.memoryBytes).toBeGreaterThan(1e8);
});
