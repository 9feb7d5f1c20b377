// Intensity files as people have them: every export's columns, units, zones, the hours clocks repeat, gaps, and what is refused.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LightfootError } from "../errors/lightfoot-error.ts";
import { readIntensityCsv, type SeriesFile, type SeriesFileOptions } from "./intensity-csv.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-intensity-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function read(text: string, options: SeriesFileOptions = {}, name = "series.csv"): Promise<SeriesFile> {
  const file = join(folder, name);
  await writeFile(file, text);
  return readIntensityCsv(file, options);
}

const starts = ({ series }: SeriesFile): string[] =>
  Array.from(series.startSeconds, (seconds) => new Date(seconds * 1000).toISOString().slice(0, 16));
const values = ({ series }: SeriesFile): number[] => [...series.gramsPerKwh];

const ELECTRICITY_MAPS = `Datetime (UTC),Country,Zone name,Zone id,Carbon intensity gCO₂eq/kWh (direct),Carbon intensity gCO₂eq/kWh (Life cycle),Carbon-free energy percentage (CFE%),Renewable energy percentage (RE%),Data source,Data estimated,Data estimation method
2025-01-01 00:00:00,Sweden,Sweden,SE,2.5,30,99.4,60.1,svk.se,true,ESTIMATED_FORECASTS_HIERARCHY
2025-01-01 01:00:00,Sweden,Sweden,SE,2.6,31.5,99.4,59.5,svk.se,false,
2025-01-01 02:00:00,Sweden,Sweden,SE,,,,,svk.se,false,
2025-01-01 03:00:00,Sweden,Sweden,SE,2.8,33,99.4,59.5,svk.se,false,
`;

describe("Electricity Maps' export", () => {
  it("is read as life-cycle averages in UTC, with its zone, its estimates and its gap", async () => {
    const file = await read(ELECTRICITY_MAPS, {}, "SE_2025_hourly.csv");
    expect(starts(file)).toEqual(["2025-01-01T00:00", "2025-01-01T01:00", "2025-01-01T03:00"]);
    expect(values(file)).toEqual([30, 31.5, 33]);
    expect(file.series).toMatchObject({
      kind: "average",
      scope: "life-cycle",
      zone: "SE",
      method: "modelled",
      vintage: "data of 2025-01-01",
    });
    expect(file.series.source).toContain("Electricity Maps");
    expect(file.series.band).toEqual([1 / 1.1, 1.1]);
    expect([...(file.series.estimated ?? [])]).toEqual([1, 0, 0]);
    expect(file.facts).toMatchObject({ stepSeconds: 3600, gapSeconds: 3600, emptyCount: 1, rowCount: 4 });
    expect(file.series.assumptions).toEqual([]);
  });

  it("gives its direct column when asked, and refuses others", async () => {
    const direct = await read(ELECTRICITY_MAPS, { scope: "direct" });
    expect(values(direct)).toEqual([2.5, 2.6, 2.8]);
    expect(direct.series.scope).toBe("direct");
    await expect(read(ELECTRICITY_MAPS, { scope: "direct CO2 only" })).rejects.toMatchObject({ code: "E_SERIES" });
  });

  it("reads the older headings too, and months of unequal length without gaps", async () => {
    const months = [
      "2024-01-01 00:00:00,X,X,DE,400,450",
      "2024-02-01 00:00:00,X,X,DE,410,460",
      "2024-03-01 00:00:00,X,X,DE,420,470",
    ];
    const header =
      "Datetime (UTC),Country,Zone Name,Zone Id,Carbon Intensity gCO₂eq/kWh (direct),Carbon Intensity gCO₂eq/kWh (LCA)";
    const file = await read([header, ...months].join("\n"));
    expect(values(file)).toEqual([450, 460, 470]);
    expect(file.facts.gapSeconds).toBe(0);
    expect(new Date(file.facts.toSeconds * 1000).toISOString()).toBe("2024-04-01T00:00:00.000Z");
  });

  it("needs the zone named where several stand in one file", async () => {
    const two = `${ELECTRICITY_MAPS}2025-01-01 00:00:00,Norway,Norway,NO-NO1,1,26,99,99,x,false,\n2025-01-01 01:00:00,Norway,Norway,NO-NO1,1,27,99,99,x,false,\n`;
    await expect(read(two)).rejects.toThrow(/2 zones \(NO-NO1, SE/);
    expect(values(await read(two, { zone: "NO-NO1" }))).toEqual([26, 27]);
    await expect(read(two, { zone: "FR" })).rejects.toThrow(/no values for zone FR/);
  });
});

describe("WattTime's files", () => {
  const client =
    "point_time,value,imputed_data_used,last_updated\n2026-01-01T00:00:00+00:00,1000,False,2026-01-02\n2026-01-01T00:05:00+00:00,870,True,2026-01-02\n";

  it("are marginal and in lb/MWh, by the name that its client gives them", async () => {
    const file = await read(client, {}, "CAISO_NORTH_co2_moer_2026-01-01_2026-01-02.csv");
    expect(values(file)).toEqual([1000 * 0.45359237, 870 * 0.45359237]);
    expect(file.series).toMatchObject({ kind: "marginal", scope: "direct CO2 only", zone: "CAISO_NORTH" });
    expect(file.series.assumptions.map(({ key }) => key)).toEqual(["intensity-series.watttime-unit"]);
    expect([...(file.series.estimated ?? [])]).toEqual([0, 1]);
    expect(file.facts.stepSeconds).toBe(300);
  });

  it("are refused under another name until the unit is given: health damage looks the same", async () => {
    await expect(read(client)).rejects.toMatchObject({
      code: "E_UNIT",
      hint: expect.stringContaining("--series-unit") as string,
    });
    const given = await read(client, { unit: "lb/MWh", kind: "marginal", scope: "direct CO2 only" });
    expect(values(given)[0]).toBe(453.59237);
    expect(given.series.assumptions).toEqual([]);
  });

  it("of the older archives name the rate", async () => {
    const file = await read(
      "timestamp,MOER,MOER version,frequency\n2021-05-01 00:00:00+00:00,934,3.0,300\n2021-05-01 00:05:00+00:00,940,3.0,300\n",
    );
    expect(values(file)[0]).toBeCloseTo(423.655_27, 4);
    expect(file.series.kind).toBe("marginal");
  });
});

describe("any other file", () => {
  it("says what it does not say: average or marginal, life-cycle or direct", async () => {
    const file = await read("timestamp,gCO2e/kWh\n2026-01-01T00:00Z,300\n2026-01-01T01:00Z,310\n");
    expect(file.series).toMatchObject({ kind: "average", scope: "undeclared", method: "declared" });
    expect(file.series.assumptions.map(({ key }) => key)).toEqual(["intensity-series.kind", "intensity-series.scope"]);
    const told = await read("timestamp,gCO2e/kWh\n2026-01-01T00:00Z,300\n2026-01-01T01:00Z,310\n", {
      kind: "marginal",
      scope: "direct",
    });
    expect(told.series).toMatchObject({ kind: "marginal", scope: "direct", assumptions: [] });
  });

  it.each([
    ["timestamp;CI [g/kWh]\n2026-01-01T00:00Z;300,5\n2026-01-01T01:00Z;310", [300.5, 310]],
    ["time\tintensity_kg_per_mwh\n2026-01-01T00:00Z\t300\n2026-01-01T01:00Z\t310", [300, 310]],
    ["from,to,gCO2/kWh\n2026-01-01T00:00Z,2026-01-01T00:30Z,300\n2026-01-01T00:30Z,2026-01-01T01:00Z,310", [300, 310]],
    ["timestamp_utc,value,unit\n2026-01-01 00:00,0.3,kgCO2e/kWh\n2026-01-01 01:00,0.31,kgCO2e/kWh", [300, 310]],
    ["timestamp,co2 (lb/MWh)\n1767225600,1000\n1767229200,2000", [453.59237, 907.18474]],
    ["\uFEFFtimestamp,gCO2e/kWh\r\n2026-01-01T00:00Z,300\r\n\r\n2026-01-01T01:00Z,310\r\n", [300, 310]],
  ])("is read whatever its delimiter, unit and times: %j", async (text, expected) => {
    const file = await read(text);
    expect(values(file)).toEqual(expected.map((value) => expect.closeTo(value, 9) as number));
    expect(starts(file)[0]).toBe("2026-01-01T00:00");
  });

  it("takes local times only with their zone, repeats the hour of autumn and refuses the hour that spring skips", async () => {
    const autumn = ["2026-10-25T01:00,1", "2026-10-25T02:00,2", "2026-10-25T02:00,3", "2026-10-25T03:00,4"];
    const text = ["timestamp,g/kWh", ...autumn].join("\n");
    await expect(read(text)).rejects.toMatchObject({ code: "E_SERIES", where: { line: 2, column: 1 } });
    const expected = ["2026-10-24T23:00", "2026-10-25T00:00", "2026-10-25T01:00", "2026-10-25T02:00"];
    const forwards = await read(text, { timeZone: "Europe/Berlin" });
    expect(starts(forwards)).toEqual(expected);
    expect(values(forwards)).toEqual([1, 2, 3, 4]);
    const backwards = await read(["timestamp,g/kWh", ...autumn.toReversed()].join("\n"), { timeZone: "Europe/Berlin" });
    expect(starts(backwards)).toEqual(expected);
    expect(values(backwards)).toEqual([1, 2, 3, 4]);
    await expect(read(text, { timeZone: "UTC" })).rejects.toThrow(/two values, 2 \(line 3\) and 3/);
    const spring = "timestamp,g/kWh\n2026-03-29T01:00,1\n2026-03-29T02:00,2\n";
    await expect(read(spring, { timeZone: "Europe/Berlin" })).rejects.toMatchObject({
      code: "E_SERIES",
      where: { line: 3 },
    });
    expect(starts(await read(spring, { timeZone: "+01:00" }))[1]).toBe("2026-03-29T01:00");
    await expect(read(spring, { timeZone: "Mars/Olympus" })).rejects.toMatchObject({ code: "E_USAGE" });
  });

  it("drops rows that repeat, names rows that contradict, and sorts the rest", async () => {
    const hours = (rows: readonly string[]) =>
      ["timestamp,gCO2e/kWh", ...rows.map((row) => `2026-01-01T${row}`)].join("\n");
    const file = await read(hours(["02:00Z,3", "00:00Z,1", "01:00Z,2", "01:00Z,2"]));
    expect(values(file)).toEqual([1, 2, 3]);
    expect(file.facts).toMatchObject({ duplicateCount: 1, unsortedAtLine: 3 });
    const clash = read(hours(["00:00Z,1", "01:00Z,2", "01:00Z,5"]));
    await expect(clash).rejects.toMatchObject({ code: "E_SERIES", where: { line: 4 } });
    await expect(clash).rejects.toThrow(/2 \(line 3\) and 5/);
  });

  it("tells its gaps, and takes a single row only with its step", async () => {
    const file = await read(
      "timestamp,gCO2e/kWh\n2026-01-01T00:00Z,1\n2026-01-01T00:05Z,1\n2026-01-01T00:10Z,NaN\n2026-01-01T00:30Z,2\n2026-01-01T00:35Z,2\n",
    );
    expect(file.facts.stepSeconds).toBe(300);
    expect(file.facts.gapSeconds).toBe(1200);
    expect(file.facts.gaps).toHaveLength(1);
    await expect(read("timestamp,gCO2e/kWh\n2026-01-01,400\n", { timeZone: "UTC" })).rejects.toThrow(
      /how long it holds/,
    );
    const year = await read("timestamp,gCO2e/kWh\n2024-01-01,400\n", { timeZone: "UTC", stepSeconds: 365 * 86_400 });
    expect(new Date(year.facts.toSeconds * 1000).toISOString()).toBe("2025-01-01T00:00:00.000Z");
  });

  it.each([
    ["", "E_SERIES"],
    ["timestamp,gCO2e/kWh\n", "E_SERIES"],
    ["timestamp,value\n2026-01-01T00:00Z,300\n", "E_UNIT"],
    ["timestamp,tons/MWh\n2026-01-01T00:00Z,300\n", "E_UNIT"],
    ["timestamp,price EUR/MWh\n2026-01-01T00:00Z,300\n", "E_UNIT"],
    ["a,gCO2e/kWh\n1,2\n", "E_SERIES"],
    ["timestamp\n2026-01-01T00:00Z\n", "E_SERIES"],
    ["timestamp,gCO2e/kWh,kgCO2e/MWh\n2026-01-01T00:00Z,1,1\n", "E_SERIES"],
    ["timestamp,gCO2e/kWh\n01/02/2026 00:00,300\n", "E_SERIES"],
    ["timestamp,gCO2e/kWh\n2026-02-30T00:00Z,300\n", "E_SERIES"],
    ["timestamp,gCO2e/kWh\n2026-01-01T00:00Z,abc\n", "E_SERIES"],
    ["timestamp,gCO2e/kWh\n2026-01-01T00:00Z,-5\n2026-01-01T01:00Z,5\n", "E_RANGE"],
    ["timestamp,gCO2e/kWh\n2026-01-01T00:00Z,1e9\n2026-01-01T01:00Z,5\n", "E_RANGE"],
    ["timestamp,gCO2e/kWh\n2026-01-01T00:00Z\n", "E_DATA"],
    ['timestamp,"gCO2e/kWh\n2026-01-01T00:00Z,3\n', "E_DATA"],
    ["timestamp,value,unit\n2026-01-01T00:00Z,1,g/kWh\n2026-01-01T01:00Z,1,lb/MWh\n", "E_UNIT"],
    ["\u0000\u0001\u0002PK\u0003\u0004", "E_SERIES"],
  ])("is refused with a code when it is %j", async (text, code) => {
    await expect(read(text)).rejects.toMatchObject({ code, where: { file: expect.any(String) as string } });
  });

  it("puts no control character of the file into a message", async () => {
    for (const text of [
      "\u001B[2J\u0007,x\n1,2\n",
      "timestamp,gCO2e/kWh\n\u001B[31m,5\n",
      "timestamp,gCO2e/kWh\n2026-01-01T00:00Z,\u001B[31m\n",
    ]) {
      const message = await read(text).then(
        () => "",
        (error: unknown) => (error as Error).message,
      );
      expect(message).toMatch(/\uFFFD/u);
      expect(message).not.toMatch(/\p{Cc}/u);
    }
  });

  it("is refused when it is not there, or the unit asked for is none", async () => {
    await expect(readIntensityCsv(join(folder, "none.csv"))).rejects.toMatchObject({ code: "E_FILE_NOT_FOUND" });
    await expect(read("timestamp,x\n", { unit: "furlong" })).rejects.toMatchObject({ code: "E_UNIT" });
    await expect(read("timestamp,x\n", { column: "y" })).rejects.toMatchObject({ code: "E_SERIES" });
  });

  it("gives back any series that was written, shuffled or not", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.integer({ min: 0, max: 300 }), { minLength: 2, maxLength: 40 }),
        fc.constantFrom(300, 900, 1800, 3600),
        async (hours, step) => {
          const start = Date.UTC(2026, 2, 1) / 1000;
          const rows = hours.map((hour) => `${new Date((start + hour * step) * 1000).toISOString()},${hour + 1}`);
          const file = await read(["timestamp,gCO2e/kWh", ...rows].join("\n"), { stepSeconds: step });
          const sorted = hours.toSorted((a, b) => a - b);
          expect(values(file)).toEqual(sorted.map((hour) => hour + 1));
          expect(file.facts.gapSeconds).toBe((sorted[sorted.length - 1] - sorted[0] + 1 - hours.length) * step);
        },
      ),
      { numRuns: 40 },
    );
  });

  it("ends in a series or in an error with a code, whatever bytes it holds", async () => {
    const sound = "timestamp,gCO2e/kWh,unit,zone\n2026-01-01T00:00Z,300,g/kWh,DE\n2026-01-01T01:00Z,310,g/kWh,DE\n";
    const damaged = fc
      .array(
        fc.tuple(
          fc.nat(sound.length),
          fc.constantFrom("", ",", ";", '"', "\n", "\u0000", "9", "-", "e", "Z", "₂", "\t"),
        ),
        {
          minLength: 1,
          maxLength: 6,
        },
      )
      .map((edits) => edits.reduce((text, [at, piece]) => text.slice(0, at) + piece + text.slice(at + 1), sound));
    await fc.assert(
      fc.asyncProperty(fc.oneof(damaged, fc.string({ unit: "binary", maxLength: 200 })), async (text) => {
        try {
          const { series } = await read(text);
          expect(series.gramsPerKwh.every((value) => value >= 0 && value <= 5000)).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(LightfootError);
          expect((error as LightfootError).code).not.toBe("E_INTERNAL");
        }
      }),
      { numRuns: 300 },
    );
  });
});
