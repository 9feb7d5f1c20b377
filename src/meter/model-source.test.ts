// Models against the wrong numbers that other tools print: no steps, no floors, no cubes, no constant for a whole maker; depends on the fixtures of trees.
import { afterEach, describe, expect, it } from "vitest";
import { createTree, type Tree } from "../../test/fixtures/sys-tree.ts";
import { openMeter } from "./open-meter.ts";

let trees: Tree[] = [];
afterEach(() => {
  for (const made of trees) made.clean();
  trees = [];
});
function createdTree(files: Record<string, string | number> = {}): Tree {
  const made = createTree(files);
  trees.push(made);
  return made;
}

interface Guest {
  readonly name: string;
  readonly threads?: number;
  readonly memoryKilobytes?: number;
}

/** Joules by domain of an hour during which `busyShare` of all threads were busy. */
async function hour({ name, threads = 4, memoryKilobytes = 1e6 }: Guest, busyShare: number, files = {}) {
  const processors = Array.from({ length: threads }, (_, at) => `processor\t: ${at}\nmodel name\t: ${name}\n`);
  const stat = (busySeconds: number) => `cpu  ${Math.round(busySeconds * 100)} 0 0 0 0 0 0 0 0 0`;
  const proc = createdTree({
    cpuinfo: processors.join("\n"),
    meminfo: `MemTotal: ${memoryKilobytes} kB`,
    stat: stat(0),
  });
  let now = 0;
  const options = { sysRoot: createdTree(files).root, procRoot: proc.root, cadenceSeconds: 0 };
  const meter = await openMeter({ ...options, clock: () => now });
  const window = await meter.start();
  now = 3600;
  proc.write({ stat: stat(busyShare * threads * 3600) });
  const { domains } = await window.stop();
  return Object.fromEntries(
    domains.flatMap(({ domain, energy }) => (energy === undefined ? [] : [[domain.kind, energy]])),
  );
}

describe("modelled energy", () => {
  it("goes in a line with load: half of it costs the middle, not an eighth", async () => {
    const [idle, half, full] = await Promise.all(
      [0, 0.5, 1].map(
        async (share) => (await hour({ name: "AMD EPYC 7763 64-Core Processor" }, share))["cpu-model"].value,
      ),
    );
    expect(idle).toBeGreaterThan(0);
    expect(half).toBeCloseTo((idle + full) / 2, 3);
  });

  it("takes memory in watts per GB, without a step near 1 TB and without a floor: 100 GB for an hour are 0.03725 kWh", async () => {
    const memory = async (gigabytes: number) =>
      (await hour({ name: "x", memoryKilobytes: Math.round((gigabytes * 1e9) / 1024) }, 0))["memory-model"];
    const hundred = await memory(100);
    expect(hundred.value / 3.6e6).toBeCloseTo(0.03725, 6);
    expect([hundred.low / 3.6e6, hundred.high / 3.6e6].map((end) => end.toFixed(4))).toEqual(["0.0284", "0.0392"]);
    expect((await memory(1024)).value / (await memory(1007)).value).toBeCloseTo(1024 / 1007, 6);
    expect((await memory(1)).value).toBeLessThan(0.5 * 3600);
  });

  it("has no one wattage for all of Apple: unknown to the table, it is assumed, with a band over what such machines draw", async () => {
    const energy = (await hour({ name: "Apple M2", threads: 8 }, 1))["cpu-model"];
    expect(energy.method).toBe("assumed");
    expect(energy.value / 3600).not.toBeCloseTo(85, 0);
    expect(energy.low / 3600).toBeLessThan(10);
    expect(energy.high / 3600).toBeGreaterThan(40);
  });

  it("takes disks by size and kind, whole disks only, and not an exabyte", async () => {
    const energy = await hour({ name: "x" }, 0, {
      "block/nvme0n1/size": 2_000_000_000,
      "block/nvme0n1/queue/rotational": 0,
      "block/sda/size": 4_000_000_000,
      "block/sda/queue/rotational": 1,
      "block/loop0/size": 9_000_000_000,
      "block/dm-0/size": 9_000_000_000,
      "block/sdb/size": "99999999999999999999",
      "block/sdc/size": "big",
    });
    expect(energy["disk-model"].value / 3600).toBeCloseTo(1.024 * 1.2 + 2.048 * 0.65, 6);
  });
});
