// A meter opened later begins at readings taken earlier: same joules as if it had been open; depends on its room.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { holdAt, takeFirstReadings } from "./first-readings.ts";
import { openMeter } from "./open-meter.ts";
import { realFiles } from "./small-files.ts";

let root = "";
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "lightfoot-first-"));
  mkdirSync(join(root, "proc"));
  writeFileSync(join(root, "proc/stat"), "cpu  100 0 0 900 0 0 0 0 0 0\n");
});
afterEach(() => rmSync(root, { recursive: true }));

function zone(path: string, name: string, microjoules: number): string {
  const folder = join(root, "class/powercap", path);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "name"), name);
  writeFileSync(join(folder, "max_energy_range_uj"), "262143328850");
  writeFileSync(join(folder, "energy_uj"), String(microjoules));
  return join(folder, "energy_uj");
}

/** Joules of each domain that counts, for a meter opened after `change` from readings taken before it. */
async function joulesAfter(change: () => void): Promise<Record<string, bigint>> {
  let seconds = 100;
  const now = (): number => seconds;
  const first = takeFirstReadings(root, join(root, "proc"), now);
  seconds = 100.8; // slower than opening ever is on an idle machine
  change();
  const world = holdAt(first, realFiles, now);
  const meter = await openMeter({
    sysRoot: root,
    procRoot: join(root, "proc"),
    files: world.files,
    clock: world.clock,
    cadenceSeconds: 0,
  });
  const window = await meter.start();
  world.release();
  seconds = 101;
  const use = await window.stop();
  await meter.close();
  expect(use).toMatchObject({ durationSeconds: 1, coverage: 1, gaps: [] });
  return Object.fromEntries(
    use.domains
      .filter(({ domain }) => domain.countsTowardsTotal)
      .map(({ domain, microjoules }) => [domain.id, microjoules]),
  );
}

it("counts what was used while it was being opened, flat and nested zones alike", async () => {
  const flat = zone("intel-rapl:0", "package-0", 1_000_000);
  const nested = zone("intel-rapl/intel-rapl:1/intel-rapl:1:0", "dram", 5);
  const inner = zone("intel-rapl/intel-rapl:1", "package-1", 7);
  const found = await joulesAfter(() => {
    writeFileSync(flat, "3000000");
    writeFileSync(nested, "1000005");
    writeFileSync(inner, "500007");
  });
  expect(found).toEqual({
    "powercap:intel-rapl:0": 2_000_000n,
    "powercap:intel-rapl:1": 500_000n,
    "powercap:intel-rapl:1:0": 1_000_000n,
  });
});

it("takes the processor time of a model from the same moment", async () => {
  const found = await joulesAfter(() => undefined);
  const busy = await joulesAfter(() => writeFileSync(join(root, "proc/stat"), "cpu  150 0 0 950 0 0 0 0 0 0\n"));
  expect(found["model:cpu"]).toBeGreaterThan(0n);
  expect(busy["model:cpu"]).toBeGreaterThan(found["model:cpu"]);
});

it("does not hang on a named pipe, nor on folders that go in a circle", () => {
  const file = zone("intel-rapl:0", "package-0", 1);
  rmSync(file);
  execFileSync("mkfifo", [file]);
  execFileSync("ln", ["-s", ".", join(root, "class/powercap/loop")]);
  execFileSync("ln", ["-s", "..", join(root, "class/powercap/intel-rapl:0/intel-rapl:9")]);
  expect(takeFirstReadings(root, join(root, "proc"), () => 1).texts.size).toBeGreaterThan(0);
});
