// What doctor finds on replayed trees, and that its document keeps to its schema; depends on the fixtures of trees.
import { afterEach, describe, expect, it } from "vitest";
import { createTree, denying, zone, zonePath, type Tree } from "../../test/fixtures/sys-tree.ts";
import { doctorSchema } from "./doctor-schema.ts";
import { examineSources, type DoctorOptions } from "./doctor.ts";

let trees: Tree[] = [];
afterEach(() => {
  for (const made of trees) made.clean();
  trees = [];
});
function createdTree(files: Record<string, string | number | bigint> = {}): Tree {
  const made = createTree(files);
  trees.push(made);
  return made;
}

/** A machine on bare metal, whose clock moves 1 s at each look; its commands do not exist. */
async function examine(sys: Tree, options: DoctorOptions = {}) {
  const proc = createdTree({ cpuinfo: "processor\t: 0\nmodel name\t: x", stat: "cpu  1 0 0 1 0 0 0 0" });
  const report = await examineSources({
    sysRoot: sys.root,
    procRoot: proc.root,
    seconds: 0.01,
    commands: {
      run: (program) => Promise.resolve({ stdout: "", error: `${program} is not installed`, isMissing: true }),
      stream: () => ({ stop: () => undefined }),
    },
    ...options,
  });
  expect(doctorSchema.parse(JSON.parse(JSON.stringify(report)))).toEqual(JSON.parse(JSON.stringify(report)));
  return report;
}

describe("doctor", () => {
  it("finds counters that move, and says how the total is known", async () => {
    const sys = createdTree(zone("intel-rapl:0", "package-0", 100));
    let now = 0;
    const clock = () => {
      now += 0.5;
      sys.write({ [`${zonePath("intel-rapl:0")}/energy_uj`]: BigInt(Math.round((100 + now * 10) * 1e6)) });
      return now;
    };
    const { sources, method, power } = await examine(sys, { clock });
    expect(method).toBe("measured");
    expect(sources[0]).toMatchObject({ name: "powercap", works: true, domains: [{ state: "works" }] });
    expect(power?.value).toBeGreaterThan(0);
    expect(sources.find(({ name }) => name === "model")?.domains.every((each) => !each.countsTowardsTotal)).toBe(true);
  });

  it("tells a counter that stands still from one that works", async () => {
    const { sources } = await examine(createdTree(zone("intel-rapl:0", "package-0", 100)));
    expect(sources[0]).toMatchObject({ works: false, domains: [{ state: "still" }] });
  });

  it("gives the least-privileged way to counters that are for root alone", async () => {
    const { problems, method } = await examine(createdTree(zone("intel-rapl:0", "package-0", 100)), {
      files: denying(/energy_uj$/),
    });
    expect(method).toBe("assumed");
    const powercap = problems.find(({ source }) => source === "powercap");
    expect(powercap).toMatchObject({ code: "permission" });
    const commands = powercap?.remedies.map(({ command }) => command ?? "").join("\n");
    expect(commands).toMatch(/udev/);
    expect(commands).toMatch(/chmod g\+r/);
    expect(commands).not.toMatch(/chmod (a|o)\+r|777|666/);
  });

  it("tells a masked tree, a missing one and a guest apart", async () => {
    const masked = createdTree({ "class/powercap/intel-rapl:0/name": "package-0" });
    const messageOf = async (sys: Tree, options: DoctorOptions = {}) =>
      (await examine(sys, options)).problems.find(({ source }) => source === "powercap")?.message;
    expect(await messageOf(masked)).toMatch(/masks/);
    expect(await messageOf(createdTree())).toMatch(/not loaded/);
    const guest = createdTree({ cpuinfo: "processor\t: 0\nmodel name\t: x\nflags\t: hypervisor" });
    expect(await messageOf(createdTree(), { procRoot: guest.root })).toMatch(/virtual machine/);
  });

  it("refuses a duration that is none", async () => {
    for (const seconds of [0, -1, Number.NaN, 1e9])
      await expect(examineSources({ seconds })).rejects.toThrow(/expected/);
  });
});
