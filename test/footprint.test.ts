// `lightfoot footprint` as a user meets it: sums done by hand against the built command, units, hints and exit codes; runs dist/cli/main.js.
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findPlace } from "../src/facts/place.ts";
import { footprintSchema, type Footprint } from "../src/footprint/footprint-schema.ts";

const MAIN = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-footprint-"));
});
afterAll(() => rm(folder, { recursive: true }));

interface Finished {
  readonly exit: number | string | null;
  readonly stdout: string;
  readonly stderr: string;
}

function footprint(...args: readonly string[]): Promise<Finished> {
  return new Promise((resolve) => {
    const env = { ...process.env, XDG_CACHE_HOME: folder };
    execFile(process.execPath, [MAIN, "footprint", ...args], { env }, (error, stdout, stderr) =>
      resolve({ exit: error === null ? 0 : (error.code ?? null), stdout, stderr }),
    );
  });
}

async function assessed(...args: readonly string[]): Promise<Footprint> {
  const { exit, stdout, stderr } = await footprint(...args, "--json");
  expect({ exit, stderr }).toEqual({ exit: 0, stderr: "" });
  return footprintSchema.parse(JSON.parse(stdout));
}

/** Options as they are typed. */
const words = (line: string): string[] => line.split(" ");

const keys = ({ assumptions }: Footprint): string[] => assumptions.map(({ key }) => key);

describe("lightfoot footprint", () => {
  it("is the sum done by hand when every factor is given", async () => {
    const found = await assessed(
      ...words("--energy 12.5kWh --boundary IT --intensity 350gCO2e/kWh --kind average"),
      ...words("--pue 1.2 --wue 0.3 --price 0.12EUR/kWh --carbon-price 80EUR/tCO2e"),
      ...words("--market-intensity 20g/kWh --market-share 60% --residual-mix 600g/kWh"),
    );
    expect(found.energy.value).toBeCloseTo(15 * 3.6e6, 6);
    expect(found.emissions.locationBased.value).toBeCloseTo(5250, 9); // 12.5 · 1.2 · 350
    expect(found.emissions.marketBased?.value).toBeCloseTo(15 * (0.6 * 20 + 0.4 * 600), 9);
    expect(found.water.onSite.value).toBeCloseTo(3.75, 12); // 12.5 · 0.3
    expect(found.money.electricity).toMatchObject({ unit: "EUR", value: expect.closeTo(1.8, 12) as number });
    expect(found.money.carbon?.value).toBeCloseTo(0.42, 12); // 5.25 kg · 80 €/t
    expect(keys(found)).toEqual(["grid-water.unknown"]);
  });

  it("speaks of the energy that was given, at the boundary where it was given", async () => {
    const { stdout } = await footprint(...words("--energy 1kWh --boundary facility --pue 1.25 --intensity 100g/kWh"));
    expect(stdout).toMatch(/^Footprint of 1\u202fkWh\n/);
    const found = await assessed(...words("--energy 1kWh --boundary facility --pue 1.25 --intensity 100g/kWh"));
    expect(found.energyKnownAt).toBe("facility");
    expect(found.energyByBoundary[0]).toMatchObject({
      boundary: "IT",
      value: expect.closeTo(0.8 * 3.6e6, 6) as number,
    });
  });

  it("refuses a period without length", async () => {
    const { exit, stderr } = await footprint(
      ...words("--energy 1kWh --where DE --from 2026-01-01T00:00Z --to 2026-01-01T00:00Z"),
    );
    expect(exit).toBe(2);
    expect(stderr).toContain("is the same time as --from");
  });

  it("takes an energy in any unit and gives the same figures", async () => {
    const all = await Promise.all(
      ["12.5kWh", "0.0125MWh", "12500Wh", "45MJ", "45000000J", "45000kJ"].map((energy) =>
        assessed("--energy", energy, "--where", "DE"),
      ),
    );
    for (const one of all) {
      const { value } = one.emissions.locationBased;
      expect(value / all[0].emissions.locationBased.value).toBeCloseTo(1, 12);
    }
  });

  it("uses a cloud region's own PUE and grid, and says by which data set and year", async () => {
    const place = findPlace("aws:eu-central-1");
    const found = await assessed("--energy", "1MWh", "--boundary", "IT", "--where", "aws:eu-central-1");
    const [grid] = place.intensities;
    expect(found.place).toMatchObject({ id: "aws:eu-central-1" });
    expect(found.powerUsageEffectiveness.value).toBe(place.powerUsageEffectiveness?.value);
    const { locationBased } = found.emissions;
    expect(locationBased.value).toBeCloseTo(
      1000 * (place.powerUsageEffectiveness?.value ?? Number.NaN) * grid.figure.value,
      6,
    );
    expect(locationBased).toMatchObject({
      boundary: "facility",
      kind: grid.kind,
      scope: grid.scope,
      vintage: String(grid.year),
      dataset: grid.dataset,
    });
    expect(found.emissions.otherMethods).toHaveLength(place.intensities.length - 1);
    const marginal = await assessed("--energy", "1MWh", "--where", "DE", "--kind", "marginal");
    expect(marginal.emissions.locationBased.kind).toBe("marginal");
  });

  it("models hardware's energy at its boards, carries it outwards, and amortizes its making", async () => {
    const found = await assessed(
      ...words("--hardware nvidia-h100-sxm5-80gb:8 --hours 3 --where DE --life 4y --gpu-hour-price 2.5USD/h"),
    );
    const boards = found.energyByBoundary[0];
    expect(boards.boundary).toBe("accelerator");
    expect(boards.value).toBeCloseTo(8 * 700 * 0.7 * 3 * 3600, 3);
    expect(boards.high).toBeGreaterThanOrEqual(8 * 700 * 3 * 3600);
    expect(found.energyByBoundary.map(({ boundary }) => boundary)).toEqual(["accelerator", "node", "IT", "facility"]);
    const [cards] = found.embodied?.parts ?? [];
    expect(cards.share.value).toBeCloseTo((8 * 164_000 * 3) / (4 * 8760), 6);
    expect(cards.perUnit.high).toBeGreaterThanOrEqual(278_000);
    expect(found.money.deviceHours).toMatchObject({ value: 60, unit: "USD" });
    expect(found.boundary).toBe("facility+embodied");
    expect(keys(found)).toContain("hardware.power-share");
    const metered = await assessed(
      "--hardware",
      "nvidia-h100-sxm5-80gb:8",
      "--hours",
      "3h",
      "--energy",
      "12.5kWh",
      "--boundary",
      "node",
    );
    expect(metered.energyByBoundary[0]).toMatchObject({ boundary: "node", value: 45e6 });
    expect(keys(metered)).not.toContain("hardware.power-share");
    expect(metered.embodied?.parts[0].count).toBe(8);
  });

  it("counts a server, memory and storage of one's own in place of the assumed share", async () => {
    const line =
      "--energy 1kWh --hardware nvidia-h100-sxm5-80gb:8 --hours 24 --part server=1 --part memory=2TB --part ssd=30TB";
    const found = await assessed(...words(line), "--where", "DE", "--life", "4y", "--use", "50%");
    const parts = found.embodied?.parts ?? [];
    expect(parts.map(({ name, count }) => [name, count])).toEqual([
      ["nvidia-h100-sxm5-80gb", 8],
      ["server", 1],
      ["GB of memory", 2000],
      ["GB of SSD", 30_000],
    ]);
    for (const { count, perUnit, share } of parts) {
      expect(share.value).toBeCloseTo((count * perUnit.value * 24) / (4 * 8760) / 0.5, 6);
    }
    expect(found.emissions.withEmbodied?.value).toBeCloseTo(
      found.emissions.locationBased.value + parts.reduce((sum, { share }) => sum + share.value, 0),
      6,
    );
    expect(keys(found)).not.toContain("embodied.server-share");
    expect((await footprint("--energy", "1kWh", "--hours", "1", "--part", "disk=3")).stderr).toContain("hdd=8TB");
  });

  it("integrates a series over the time given, and refuses one that does not cover it", async () => {
    const file = join(folder, "series.csv");
    await writeFile(file, "timestamp,gCO2e/kWh\n2026-01-01T00:00Z,100\n2026-01-01T01:00Z,500\n");
    const base = [
      "--energy",
      "2kWh",
      "--boundary",
      "IT",
      "--pue",
      "1.5",
      "--series",
      file,
      "--kind",
      "average",
      "--scope",
      "direct",
    ];
    const both = await assessed(...base, "--from", "2026-01-01T00:00Z", "--to", "2026-01-01T02:00Z");
    expect(both.emissions.locationBased.value).toBeCloseTo(2 * 1.5 * 300, 9);
    expect(both.period).toEqual({ from: "2026-01-01T00:00:00Z", to: "2026-01-01T02:00:00Z" });
    const second = await assessed(...base, "--from", "2026-01-01T01:00Z", "--to", "2026-01-01T02:00Z");
    expect(second.emissions.locationBased.value).toBeCloseTo(2 * 1.5 * 500, 9);
    const late = await footprint(...base, "--from", "2026-01-01T01:00Z", "--to", "2026-01-01T05:00Z");
    expect(late.exit).toBe(3);
    expect(late.stderr).toContain("E_SERIES");
    expect((await footprint(...base)).exit).toBe(2);
  });

  it("follows a grid's hours: noon in California is cleaner than evening", async () => {
    const at = (from: string, to: string) =>
      assessed(
        "--energy",
        "1kWh",
        "--where",
        "US-CAL-CISO",
        "--from",
        `2026-06-10T${from}Z`,
        "--to",
        `2026-06-10T${to}Z`,
      );
    const [noon, evening] = await Promise.all([at("19:00", "20:00"), at("04:00", "05:00")]);
    expect(noon.emissions.locationBased.value).toBeLessThan(evening.emissions.locationBased.value);
    expect(keys(noon)).toContain("intensity-series.shape");
  });

  it("works without a place, says so, and exits 1 for it under --strict", async () => {
    const found = await assessed("--energy", "1kWh");
    expect(keys(found)).toContain("place.unknown");
    const strict = await footprint("--energy", "1kWh", "--strict", "--json");
    expect(strict.exit).toBe(1);
    expect(JSON.parse(strict.stdout)).toMatchObject({ schema: "lightfoot.footprint/1" });
  });

  it.each([
    [["--energy", "12.5"], /--energy has no unit.*hint: .*12\.5kWh/s],
    [["--energy", "12.5kwh"], /Did you mean 'kWh'/],
    [["--energy", "-1kWh"], /expected 0 or more/],
    [["--energy", "NaNkWh"], /expected a number/],
    [["--energy", "1kWh", "--pue", "0.9"], /--pue is 0\.9, expected a ratio of 1 to 10/],
    [["--energy", "1kWh", "--where", "Germny"], /Did you mean DE/],
    [["--energy", "1kWh", "--hours", "3"], /--hours changes nothing without --hardware/],
    [["--hardware", "nvidia-h100-sxm5-80g", "--hours", "3"], /Did you mean nvidia-h100-sxm5-80gb/],
    [["--hardware", "nvidia-l4"], /--hours 3/],
    [["--energy", "1kWh", "--price", "0.12"], /0\.12EUR\/kWh/],
    [["--energy", "1kWh", "--intensity", "350"], /no unit/],
    [["--energy", "1kWh", "--where", "DE", "--life", "4y"], /--life changes nothing without --hardware/],
    [["--energy", "1kWh", "--use", "50%"], /--use changes nothing without --hardware/],
    [["--energy", "1kWh", "--kind", "marginal"], /--kind changes nothing without --where/],
    [["--energy", "1kWh", "--where", "DE", "--offline"], /--offline changes nothing/],
    [["--boundary", "IT"], /--energy covers/],
    [[], /--energy 12\.5kWh/],
    [["lml"], /Did you mean llm/],
  ])("refuses %j with exit 2 and a hint", async (args, message) => {
    const { exit, stdout, stderr } = await footprint(...args);
    expect(exit).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toMatch(message);
  });

  it("refuses what no grid and no site has: a unit slipped", async () => {
    for (const args of [
      ["--intensity", "350kg/kWh"],
      ["--intensity", "350g/kWh", "--wue", "900"],
    ]) {
      const { exit, stderr } = await footprint("--energy", "1kWh", ...args);
      expect(exit).toBe(3);
      expect(stderr).toMatch(/E_RANGE.*Check its unit/s);
    }
  });
});
