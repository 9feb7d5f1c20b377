// Which processor a model name means, from names as real systems report them; depends on its room.
import { describe, expect, it } from "vitest";
import { cpuKey, cpuParts, matchCpu, type CpuIdentity } from "./cpu.ts";

describe("a processor's model name", () => {
  it.each([
    ["AMD EPYC 7763 64-Core Processor", "AMD EPYC 7763", "zen3"],
    ["Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz", "Intel Xeon Platinum 8375C", "ice-lake-sp"],
    ["Intel(R) Xeon(R) CPU E5-2680 v4 @ 2.40GHz", "Intel Xeon E5-2680 v4", "broadwell"],
    ["Intel(R) Xeon(R) CPU E5-2670 0 @ 2.60GHz", "Intel Xeon E5-2670", "sandy-bridge"],
    ["Intel(R) Core(TM) i7-8700 CPU @ 3.20GHz", "Intel Core i7-8700", "coffee-lake"],
    ["AMD Ryzen 7 5800X 8-Core Processor", "AMD Ryzen 7 5800X", undefined],
    ["AMD Ryzen 5 2400G with Radeon Vega Graphics", "AMD Ryzen 5 2400G with Radeon RX Vega 11 Graphics", undefined],
    ["AMD Ryzen Threadripper PRO 5995WX 64-Cores", "AMD Ryzen Threadripper PRO 5995WX", undefined],
  ])("%s is the part %s", (modelName, name, generation) => {
    const match = matchCpu({ modelName });
    expect(match).toMatchObject({ how: "part", name });
    expect(match.microarchitecture?.key).toBe(generation);
    expect(match.assumptions).toEqual([]);
  });

  it.each([
    ["AMD EPYC 7B13", "EPYC 7003 Series"],
    ["AMD EPYC 9V74 80-Core Processor", "EPYC 9004 Series"],
    ["Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz", "Xeon Platinum 84xx"],
    ["13th Gen Intel(R) Core(TM) i7-1399X", "Core i7 gen 13"],
    ["AMD Ryzen 9 9999Z 8-Core Processor", "Ryzen 9000 Series"],
  ])("%s is no part of the table, and its family %s stands in and says so", (modelName, family) => {
    const match = matchCpu({ modelName });
    expect(match).toMatchObject({ how: "family", name: family });
    expect(match.family?.length).toBeGreaterThanOrEqual(3);
    expect(match.assumptions[0]).toMatchObject({ key: "cpu.part-unknown" });
    expect(match.assumptions[0]?.text).toContain(family);
  });

  it.each<[CpuIdentity, string]>([
    [{ modelName: "Intel(R) Xeon(R) Processor @ 2.80GHz", family: 6, model: 85, stepping: 4 }, "skylake-sp"],
    [{ modelName: "Intel(R) Xeon(R) Processor @ 2.80GHz", family: 6, model: 85, stepping: 7 }, "cascade-lake"],
    [{ modelName: "Intel(R) Xeon(R) Processor @ 2.80GHz", family: 6, model: 143, stepping: 8 }, "sapphire-rapids"],
    [{ modelName: "AMD EPYC", family: 25, model: 1, stepping: 1 }, "zen3"],
    [{ modelName: "AMD EPYC Processor", family: 23, model: 49 }, "zen2"],
  ])("%o hides the part in a cloud, and its CPUID gives %s", (identity, generation) => {
    const match = matchCpu(identity);
    expect(match.how).toBe("microarchitecture");
    expect(match.microarchitecture?.key).toBe(generation);
    expect(match.assumptions.map(({ key }) => key)).toEqual(["cpu.part-unknown"]);
  });

  it.each(["Intel(R) Xeon(R) Processor @ 2.80GHz", "AMD EPYC", "Apple M2", ""])(
    "'%s' alone gives nothing, and no part's power is invented",
    (modelName) => {
      const match = matchCpu({ modelName });
      expect(match).toMatchObject({ how: "none" });
      expect([match.part, match.family, match.microarchitecture]).toEqual([undefined, undefined, undefined]);
      expect(match.assumptions).toHaveLength(1);
    },
  );

  it("finds every part of the table by its own name", () => {
    const lost = cpuParts().rows.filter((part) => matchCpu({ modelName: part.name }).part !== part);
    expect(lost.map(({ key, name }) => `${key} | ${cpuKey(name)}`)).toEqual([]);
  });
});
