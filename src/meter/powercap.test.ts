// Powercap trees replayed with their faults: exact joules, nothing twice, nothing made up; depends on the fixtures of trees.
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { createTree, denying, zone, zonePath, type Tree } from "../../test/fixtures/sys-tree.ts";
import { openMeter, type MeterOptions } from "./open-meter.ts";
import { mostWattsOf, openPowercap } from "./powercap.ts";
import { realFiles } from "./small-files.ts";

let trees: Tree[] = [];
afterEach(() => {
  for (const made of trees) made.clean();
  trees = [];
});

function tree(...zones: readonly Record<string, string | bigint>[]): Tree {
  const made = createTree(Object.assign({}, ...zones) as Record<string, string | bigint>);
  trees.push(made);
  return made;
}

/** A meter on a tree alone, whose clock the test moves. */
async function replay(on: Tree, options: MeterOptions = {}) {
  let now = 100;
  const meter = await openMeter({
    openers: [async (environment) => openPowercap({ ...environment, cpu: undefined })],
    sysRoot: on.root,
    clock: () => now,
    cadenceSeconds: 0,
    ...options,
  });
  const window = await meter.start();
  return {
    meter,
    after: async (seconds: number, joules: Readonly<Record<string, number | string>>) => {
      now += seconds;
      for (const [key, value] of Object.entries(joules)) {
        on.write({
          [`${zonePath(key)}/energy_uj`]: typeof value === "string" ? value : BigInt(Math.round(value * 1e6)),
        });
      }
      return meter.sample();
    },
    stop: () => window.stop(),
  };
}

const TWO_SOCKETS = [
  zone("intel-rapl:0", "package-0", 1000, { limitWatts: 200 }),
  zone("intel-rapl:0:0", "dram", 500),
  zone("intel-rapl:1", "package-1", 2000, { limitWatts: 200 }),
  zone("intel-rapl:1:0", "dram", 700),
];

describe("powercap", () => {
  it("adds both sockets and both DRAM zones, which are nested and not contained: 240 J, not 200 J", async () => {
    const { after, stop, meter } = await replay(tree(...TWO_SOCKETS));
    await after(1, { "intel-rapl:0": 1100, "intel-rapl:1": 2100, "intel-rapl:0:0": 520, "intel-rapl:1:0": 720 });
    const use = await stop();
    expect(use.energy).toMatchObject({ value: 240, low: 240, high: 240, unit: "J", method: "measured" });
    expect(use.coverage).toBe(1);
    expect(meter.domains.map(({ id }) => id)).toEqual([
      "powercap:intel-rapl:0",
      "powercap:intel-rapl:0:0",
      "powercap:intel-rapl:1",
      "powercap:intel-rapl:1:0",
    ]);
    expect(meter.domains[1].label).toBe("dram of package-0");
  });

  it("gives 40 J for four samples of 10 J with a failed read among them", async () => {
    const { after, stop } = await replay(tree(zone("intel-rapl:0", "package-0", 1000)));
    await after(1, { "intel-rapl:0": 1010 });
    expect((await after(1, { "intel-rapl:0": "" })).domains[0].trouble).toMatch(/not a number/);
    await after(1, { "intel-rapl:0": 1030 });
    await after(1, { "intel-rapl:0": 1040 });
    expect(await stop()).toMatchObject({ energy: { value: 40, low: 40, high: 40 }, gaps: [], coverage: 1 });
  });

  it("adds neither psys nor core nor uncore to their packages, nor the MMIO twin to the register", async () => {
    const { after, stop, meter } = await replay(
      tree(
        zone("intel-rapl:0", "package-0", 10),
        zone("intel-rapl:0:0", "core", 10),
        zone("intel-rapl:0:1", "uncore", 10),
        zone("intel-rapl:0:2", "dram", 10),
        zone("intel-rapl:1", "psys", 10),
        zone("intel-rapl-mmio:0", "package-0", 10),
        zone("intel-rapl-mmio:0:0", "dram", 10),
      ),
    );
    const all = ["intel-rapl:0", "intel-rapl:0:0", "intel-rapl:0:1", "intel-rapl:0:2", "intel-rapl:1"];
    await after(1, Object.fromEntries([...all, "intel-rapl-mmio:0", "intel-rapl-mmio:0:0"].map((key) => [key, 20])));
    const use = await stop();
    expect(use.energy?.value).toBe(20); // package 10, dram 10
    expect(use.domains.filter(({ domain }) => domain.countsTowardsTotal).map(({ domain }) => domain.label)).toEqual([
      "package-0",
      "dram of package-0",
    ]);
    for (const domain of meter.domains) expect(domain.countsTowardsTotal || domain.why !== undefined).toBe(true);
    for (const { microjoules } of use.domains) expect(microjoules).toBe(10_000_000n);
  });

  it("counts MMIO where the register cannot be read, and psys where it is alone", async () => {
    const mmio = await replay(tree(zone("intel-rapl:0", "package-0", 1), zone("intel-rapl-mmio:0", "package-0", 1)), {
      files: denying(/intel-rapl:0\/energy_uj$/),
    });
    await mmio.after(1, { "intel-rapl-mmio:0": 5 });
    expect((await mmio.stop()).energy?.value).toBe(4);
    expect(mmio.meter.problems).toMatchObject([{ code: "permission" }]);
    const psys = await replay(tree(zone("intel-rapl:0", "psys", 1)));
    await psys.after(1, { "intel-rapl:0": 9 });
    expect((await psys.stop()).energy?.value).toBe(8);
  });

  it("does not call 0 J of a frozen processor measured and complete", async () => {
    const { after, stop } = await replay(tree(zone("intel-rapl:0", "package-0", 7, { limitWatts: 150 })));
    await after(2, {});
    expect(await stop()).toMatchObject({
      energy: { value: 0, high: 300 },
      coverage: 0,
      gaps: [{ fromSeconds: 100, toSeconds: 102, reason: "frozen" }],
    });
  });

  it("takes psys alone where its package cannot be read", async () => {
    const made = tree(
      zone("intel-rapl:0", "package-0", 1),
      zone("intel-rapl:0:0", "dram", 1),
      zone("intel-rapl:1", "psys", 1),
    );
    const { after, stop } = await replay(made, { files: denying(/intel-rapl:0\/energy_uj$/) });
    await after(1, { "intel-rapl:0:0": 3, "intel-rapl:1": 31 });
    expect(await stop()).toMatchObject({ energy: { value: 30, high: 30 }, coverage: 1, gaps: [] });
  });

  it("adds separate dies and leaves out the one that mirrors another", async () => {
    const dies = (second: number) =>
      tree(zone("intel-rapl:0", "package-0-die-0", 5000), zone("intel-rapl:1", "package-0-die-1", second));
    const separate = await replay(dies(7123));
    await separate.after(1, { "intel-rapl:0": 5068, "intel-rapl:1": 7191 });
    expect((await separate.stop()).energy?.value).toBe(136);
    const mirror = await replay(dies(5000.01));
    await mirror.after(1, { "intel-rapl:0": 5068, "intel-rapl:1": 5068.01 });
    expect((await mirror.stop()).energy?.value).toBe(68);
    expect(mirror.meter.domains[1].why).toMatch(/mirrors package-0-die-0/);
    const chance = await replay(dies(5000.5));
    await chance.after(1, { "intel-rapl:0": 5068, "intel-rapl:1": 5040.5 });
    const use = await chance.stop();
    expect(use.energy?.value).toBe(108);
    expect(use.domains[1].domain.why).toMatch(/no mirror, so it is added/);
  });

  it("goes over the range of an AMD package, and tells a decrease where no range is known", async () => {
    const amd = await replay(tree(zone("intel-rapl:0", "package-0", 65_532, { range: "65532610987" })));
    await amd.after(1, { "intel-rapl:0": 99.389013 });
    expect((await amd.stop()).energy?.value).toBeCloseTo(100, 6);
    const bare = await replay(tree(zone("intel-rapl:0", "package-0", 900, { range: null, limitWatts: 300 })));
    await bare.after(1, { "intel-rapl:0": 5 });
    await bare.after(1, { "intel-rapl:0": 25 });
    const use = await bare.stop();
    expect(use).toMatchObject({ energy: { value: 20, low: 20, high: 320 }, coverage: 0.5 });
    expect(use.gaps).toEqual([{ fromSeconds: 100, toSeconds: 101, reason: "reset", mostJoules: 300 }]);
    expect(use.energy?.assumptions[0].text).toMatch(/least it used/);
  });

  it("corrects the DRAM unit of Sapphire Rapids on old kernels: 15.3 µJ are 61.04 µJ", async () => {
    const made = tree(
      zone("intel-rapl:0", "package-0", 1),
      zone("intel-rapl:0:0", "dram", 1, { range: "65712999613" }),
    );
    const sapphire = { modelName: "", family: 6, model: 143 };
    const { after, stop } = await replay(made, {
      openers: [async (environment) => openPowercap({ ...environment, cpu: sapphire })],
    });
    await after(1, { "intel-rapl:0:0": 1 + 15.3 });
    const dram = (await stop()).domains[1];
    expect(dram.energy?.value).toBeCloseTo(61.035156, 6);
    expect(dram.domain.why).toMatch(/15.3 µJ/);
  });

  it("bounds the power by limits, and absurd limits by what such parts can draw", () => {
    expect(mostWattsOf("package", 225, undefined)).toBe(225);
    expect(mostWattsOf("package", 3408, undefined)).toBe(1500);
    expect(mostWattsOf("package", 3408, 45)).toBe(135);
    expect(mostWattsOf("package", 0, undefined)).toBe(100);
    expect(mostWattsOf("dram", undefined, 280)).toBe(500);
  });

  it("keeps on when a zone goes and comes back, and tells a zone that stays away", async () => {
    const made = tree(...TWO_SOCKETS);
    const { after, stop } = await replay(made);
    made.remove(zonePath("intel-rapl:1"));
    expect((await after(1, { "intel-rapl:0": 1100 })).domains[2].trouble).toBe("no such file");
    const use = await stop();
    expect(use.energy?.value).toBe(100);
    expect(use.energy?.high).toBe(100 + 200 + 500); // one socket for a second, its memory for a second
    expect(use.coverage).toBe(0);
    made.write(Object.assign({}, TWO_SOCKETS[2], TWO_SOCKETS[3]));
    expect((await after(1, { "intel-rapl:1": 2150 })).domains[2].addedMicrojoules).toBe(150_000_000n);
  });

  it("tells a zone that appears while it reads, and counts nothing of it", async () => {
    const made = tree(TWO_SOCKETS[0]);
    const { after, stop, meter } = await replay(made);
    expect(meter.problems).toEqual([]);
    made.write(zone("intel-rapl:1", "package-1", 7));
    await after(1, { "intel-rapl:0": 1100, "intel-rapl:1": 20 });
    expect((await stop()).energy?.value).toBe(100);
    expect(meter.problems).toMatchObject([{ code: "broken", message: expect.stringContaining("intel-rapl:1") }]);
  });

  it("takes another socket's memory for no twin of one that cannot be read", async () => {
    const made = tree(
      zone("intel-rapl:0", "package-0", 1),
      zone("intel-rapl:0:0", "dram", 1),
      zone("intel-rapl-mmio:1", "package-1", 1),
      zone("intel-rapl-mmio:1:0", "dram", 1),
    );
    const { meter } = await replay(made, { files: denying(/intel-rapl:0:0\/energy_uj$/) });
    expect(meter.domains.find(({ id }) => id === "powercap:intel-rapl:0:0")?.countsTowardsTotal).toBe(true);
  });

  it("does not pass for complete when one socket cannot be read", async () => {
    const { after, stop } = await replay(tree(...TWO_SOCKETS), { files: denying(/intel-rapl:1\/energy_uj$/) });
    await after(1, { "intel-rapl:0": 1050 });
    const use = await stop();
    expect(use.energy).toMatchObject({ value: 50, high: 250 });
    expect(use.coverage).toBe(0);
    expect(use.gaps).toMatchObject([{ reason: "failed-read", mostJoules: 200 }]);
  });

  it("never throws on a hostile tree, and says what is wrong with it", async () => {
    const made = tree(
      zone("intel-rapl:0", "package-0", 1),
      zone("intel-rapl:1", "x".repeat(100_000), 1),
      zone("intel-rapl:2", "package-2", 1, { range: "0" }),
    );
    made.write({
      [`${zonePath("intel-rapl:3")}/energy_uj`]: "9".repeat(400),
      [`${zonePath("intel-rapl:4")}/energy_uj`]: "-5",
      [`${zonePath("intel-rapl:5")}/energy_uj`]: "NaN",
      [`${zonePath("intel-rapl:6")}/energy_uj`]: "\u0000\u0001",
      [`${zonePath("intel-rapl:7")}/energy_uj`]: "1e9",
      [`${zonePath("intel-rapl:0")}/constraint_0_power_limit_uw`]: "9".repeat(19),
    });
    mkdirSync(join(made.root, zonePath("intel-rapl:8"), "energy_uj"), { recursive: true });
    symlinkSync("energy_uj", join(made.root, zonePath("intel-rapl:9")));
    symlinkSync("..", join(made.root, zonePath("intel-rapl:0"), "intel-rapl:0:5"));
    symlinkSync(".", join(made.root, "class/powercap/loop"));
    const { after, stop, meter } = await replay(made);
    await after(1, { "intel-rapl:0": 51, "intel-rapl:2": "99999999999999999999", "intel-rapl:1": 9 });
    expect((await stop()).energy?.value).toBe(50);
    expect(meter.problems[0]).toMatchObject({ source: "powercap", code: "broken" });
    expect(meter.problems[0].message).toMatch(/not a number.*not a file/s);
  });

  it("comes to an end in a maze of links, and still finds the zone", () => {
    const made = tree(zone("intel-rapl:0", "package-0", 1));
    for (let link = 0; link < 60; link++) symlinkSync(".", join(made.root, "class/powercap", `maze${link}`));
    const { source } = openPowercap({ files: realFiles, clock: () => 0, sysRoot: made.root });
    expect(source?.domains().map(({ id }) => id)).toEqual(["powercap:intel-rapl:0"]);
  });

  it("says that there is nothing, or nothing that may be read, and how that changes", () => {
    const options = { files: realFiles, clock: () => 0 };
    const absent = openPowercap({ ...options, sysRoot: tree().root });
    expect(absent).toMatchObject({ problems: [{ code: "absent" }] });
    expect(absent.source).toBeUndefined();
    const denied = openPowercap({ ...options, sysRoot: tree(...TWO_SOCKETS).root, files: denying(/energy_uj$/) });
    expect(denied.source).toBeUndefined();
    expect(denied.problems[0].message).toMatch(/4 of 4 zones cannot be read \(permission denied\)/);
    expect(denied.problems[0].remedies[0].command).toMatch(/groupadd.*\n.*udev.*\n.*chmod g\+r/);
  });
});
