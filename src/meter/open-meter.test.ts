// The meter as a whole: windows, models where nothing is read, sources that hang or throw; depends on the fixtures of trees.
import { afterEach, describe, expect, it } from "vitest";
import { createTree, zone, zonePath, type Tree } from "../../test/fixtures/sys-tree.ts";
import type { SourceOpener } from "./environment.ts";
import { openMeter } from "./open-meter.ts";
import type { Domain, Reading, Source } from "./source.ts";
import { settleTotals } from "./totals.ts";

let trees: Tree[] = [];
afterEach(() => {
  for (const tree of trees) tree.clean();
  trees = [];
});
function createdTree(files: Record<string, string | bigint> = {}): Tree {
  const made = createTree(files);
  trees.push(made);
  return made;
}

const gpu: Domain = {
  id: "test:gpu",
  label: "test",
  kind: "gpu",
  method: "measured",
  countsTowardsTotal: true,
  counter: { mostWatts: 1000 },
};

/** A source whose readings the test writes. */
function scripted(domain: Domain, next: () => readonly Reading[] | Promise<readonly Reading[]>): SourceOpener {
  const source: Source = { name: "test", domains: () => [domain], read: next, close: () => undefined };
  return async () => ({ source, problems: [] });
}

describe("a meter", () => {
  it("gives the work's result with its energy, and lets the work's error through", async () => {
    let [now, energyMicrojoules] = [0, 5_000_000n];
    const read = () => [{ domain: gpu.id, atSeconds: now, energyMicrojoules }];
    const meter = await openMeter({ openers: [scripted(gpu, read)], clock: () => now, cadenceSeconds: 0 });
    const { result, use } = await meter.measure(() => {
      now += 2;
      energyMicrojoules += 300_000_000n;
      return "done";
    });
    expect(result).toBe("done");
    expect(use).toMatchObject({
      energy: { value: 300, unit: "J", method: "measured" },
      durationSeconds: 2,
      coverage: 1,
    });
    await expect(meter.measure(() => Promise.reject(new Error("boom")))).rejects.toThrow("boom");
    await meter.close();
  });

  it("gives overlapping windows their own energy", async () => {
    let [now, energyMicrojoules] = [0, 0n];
    const read = () => [{ domain: gpu.id, atSeconds: now, energyMicrojoules }];
    const meter = await openMeter({ openers: [scripted(gpu, read)], clock: () => now, cadenceSeconds: 0 });
    const step = () => {
      now += 1;
      energyMicrojoules += 10_000_000n;
    };
    const outer = await meter.start();
    step();
    const inner = await meter.start();
    step();
    expect((await inner.stop()).energy?.value).toBe(10);
    step();
    expect((await outer.stop()).energy?.value).toBe(30);
  });

  it("begins a window at the first good reading when the one at its beginning failed", async () => {
    let [now, energyMicrojoules, fails] = [0, 0n, false];
    const read = (): Reading[] => [
      fails ? { domain: gpu.id, atSeconds: now, error: "x" } : { domain: gpu.id, atSeconds: now, energyMicrojoules },
    ];
    const meter = await openMeter({ openers: [scripted(gpu, read)], clock: () => now, cadenceSeconds: 0 });
    energyMicrojoules = 500_000_000n; // before the window: not its own
    fails = true;
    now = 1;
    const window = await meter.start();
    fails = false;
    now = 2;
    energyMicrojoules = 600_000_000n;
    await meter.sample();
    now = 4;
    energyMicrojoules = 700_000_000n;
    const use = await window.stop();
    expect(use.energy).toMatchObject({ value: 100, high: 100 + 1000 });
    expect(use.gaps).toEqual([{ fromSeconds: 1, toSeconds: 2, reason: "failed-read", mostJoules: 1000 }]);
    expect(use.coverage).toBeCloseTo(2 / 3, 9);
  });

  it("tells one long standstill as one gap, however often it was read", async () => {
    let now = 0;
    const frozen: Domain = { ...gpu, counter: { mostWatts: 10, frozenAfterSeconds: 5 } };
    const read = () => [{ domain: gpu.id, atSeconds: now, energyMicrojoules: 7n }];
    const meter = await openMeter({ openers: [scripted(frozen, read)], clock: () => now, cadenceSeconds: 0 });
    const window = await meter.start();
    for (; now < 60; now += 1) await meter.sample();
    const use = await window.stop();
    expect(use.gaps).toEqual([{ fromSeconds: 0, toSeconds: 60, reason: "frozen", mostJoules: 600 }]);
    expect(use.energy).toMatchObject({ value: 0, high: 600 });
  });

  it("survives a source that throws, and has no energy for one that never answered", async () => {
    const read = (): never => {
      throw new Error("driver lost");
    };
    const meter = await openMeter({ openers: [scripted(gpu, read)], cadenceSeconds: 0 });
    const { use } = await meter.measure(() => 1);
    expect(use.energy).toBeUndefined();
    expect(use.coverage).toBe(0);
    expect((await meter.sample()).domains[0].trouble).toBe("driver lost");
  });

  it("models what cannot be read, says so, and keeps the band: hand sum over /proc/stat", async () => {
    const stat = (busy: number) => `cpu  ${busy} 0 0 900000 50 0 0 777 0 0\ncpu0 1 0 0 0 0 0 0 0 0 0`;
    const cpuinfo = [
      "processor\t: 0",
      "cpu family\t: 25",
      "model\t\t: 1",
      "model name\t: AMD EPYC",
      "flags\t: hypervisor",
    ];
    const proc = createdTree({
      stat: stat(1000),
      cpuinfo: `${cpuinfo.join("\n")}\n\nprocessor\t: 1\n`,
      meminfo: "MemTotal:       8000000 kB",
    });
    let now = 0;
    const options = { sysRoot: createdTree().root, procRoot: proc.root, clock: () => now, cadenceSeconds: 0 };
    const meter = await openMeter(options);
    const window = await meter.start();
    now = 10;
    proc.write({ stat: stat(1000 + 700) }); // 7 s of 20 thread-seconds
    const use = await window.stop();
    const joules = 7 * (1.937 - 0.452) + 10 * 2 * 0.452; // data/hardware/microarchitectures.json, Zen 3
    expect(use.energy?.value).toBeCloseTo(joules, 5);
    expect(use.energy?.low).toBeCloseTo(joules / 2.2, 5);
    expect(use.energy?.high).toBeCloseTo(joules * 2.2, 5);
    expect(use.energy?.method).toBe("modelled");
    expect(use.energy?.assumptions.map(({ key }) => key)).toContain("power-model.no-counter");
    expect(use.domains.find(({ domain }) => domain.kind === "memory-model")?.domain.countsTowardsTotal).toBe(false);
  });

  it("never invents a design power for a name that hides the part", async () => {
    const proc = createdTree({
      stat: "cpu  1 0 0 0 0 0 0 0 0 0",
      cpuinfo: "processor\t: 0\nmodel name\t: Intel(R) Xeon(R) Processor @ 2.80GHz\nflags\t: hypervisor",
    });
    const meter = await openMeter({ sysRoot: createdTree().root, procRoot: proc.root, cadenceSeconds: 0 });
    const [cpu] = meter.domains;
    expect(cpu).toMatchObject({
      kind: "cpu-model",
      method: "assumed",
      label: expect.stringContaining("unknown processor"),
    });
    expect(cpu.assumptions?.map(({ key }) => key)).toContain("cpu.part-unknown");
  });

  it.each(["", "cpu", "cpu  a b c d e f g", "cpu  99999999999999999999 0 0 0 0 0 0 0"])(
    "reports a /proc/stat of %j and counts nothing for it",
    async (text) => {
      const proc = createdTree({ stat: "cpu  100 0 0 0 0 0 0 0", cpuinfo: "processor\t: 0\nmodel name\t: x" });
      let now = 0;
      const options = { sysRoot: createdTree().root, procRoot: proc.root, clock: () => now, cadenceSeconds: 0 };
      const meter = await openMeter(options);
      const window = await meter.start();
      now = 1;
      proc.write({ stat: text });
      const use = await window.stop();
      expect(use.domains[0].microjoules).toBe(0n);
      expect(use.domains[0].gaps).toMatchObject([{ reason: "failed-read", fromSeconds: 0, toSeconds: 1 }]);
    },
  );

  it("measures where a package can be read, and then adds no model of it or of measured memory", async () => {
    const sys = createdTree({ ...zone("intel-rapl:0", "package-0", 1), ...zone("intel-rapl:0:0", "dram", 1) });
    sys.write({ "block/sda/size": 2_000_000_000, "block/sda/queue/rotational": 1 });
    let now = 0;
    const meter = await openMeter({ sysRoot: sys.root, clock: () => now, cadenceSeconds: 0, addModels: true });
    const window = await meter.start();
    now = 1;
    sys.write({ [`${zonePath("intel-rapl:0")}/energy_uj`]: 11_000_000n });
    const use = await window.stop();
    const counting = use.domains.filter(({ domain }) => domain.countsTowardsTotal).map(({ domain }) => domain.kind);
    expect(counting).toEqual(["package", "dram", "disk-model"]);
    expect(use.energy?.value).toBeCloseTo(10 + 1.024 * 0.65, 6);
    expect(use.energy?.method).toBe("modelled");
  });
});

describe("what counts towards the total", () => {
  const make = (id: string, kind: Domain["kind"], device?: string): Domain => ({
    ...gpu,
    id,
    kind,
    label: id,
    ...(device === undefined ? {} : { device }),
  });
  const counting = (domains: Domain[], rules = {}) =>
    settleTotals(domains, rules)
      .filter(({ countsTowardsTotal }) => countsTowardsTotal)
      .map(({ id }) => id);

  it("is the components, and the node only where no processor is measured or it was asked for", () => {
    const parts = [
      make("powercap:a", "package"),
      make("nvml:0", "gpu"),
      make("ipmi:0", "node"),
      make("model:cpu", "cpu-model"),
    ];
    expect(counting(parts)).toEqual(["powercap:a", "nvml:0"]);
    expect(counting(parts, { boundary: "node" })).toEqual(["ipmi:0"]);
    expect(counting(parts.slice(1))).toEqual(["ipmi:0"]);
    expect(counting([...parts, make("rack:0", "rack")])).toEqual(["rack:0"]);
    expect(counting([...parts, make("rack:0", "rack")], { boundary: "components" })).toEqual(["powercap:a", "nvml:0"]);
    expect(counting([parts[1], parts[3]])).toEqual(["nvml:0", "model:cpu"]);
  });

  it("is one view of the processors, and never a model of what is measured", () => {
    expect(counting([make("powercap:a", "package"), make("hwmon:amd_energy", "package")])).toEqual(["powercap:a"]);
    const memory = [make("powercap:a", "package"), make("model:memory", "memory-model")];
    expect(counting(memory)).toEqual(["powercap:a"]);
    expect(counting(memory, { addModels: true })).toEqual(["powercap:a", "model:memory"]);
    expect(counting([...memory, make("powercap:b", "dram")], { addModels: true })).toEqual([
      "powercap:a",
      "powercap:b",
    ]);
    const walled = [make("model:cpu", "cpu-model", "server at the wall"), make("model:disk", "disk-model")];
    expect(counting(walled, { addModels: true })).toEqual(["model:cpu"]);
  });

  it("is the model of the whole where only parts of a processor are measured, not both", () => {
    const parts = [make("powercap:c", "core"), make("powercap:d", "dram"), make("model:cpu", "cpu-model")];
    expect(counting(parts)).toEqual(["model:cpu"]);
    expect(counting(parts.slice(0, 2))).toEqual(["powercap:c", "powercap:d"]);
  });

  it("gives a reason for everything left out", () => {
    const domains = settleTotals([
      make("powercap:a", "package"),
      make("bat:0", "battery"),
      make("model:cpu", "cpu-model"),
    ]);
    for (const { countsTowardsTotal, why } of domains) expect(countsTowardsTotal || why !== undefined).toBe(true);
  });
});
