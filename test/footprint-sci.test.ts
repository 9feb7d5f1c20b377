// `lightfoot footprint sci` as a user meets it: the built command with options, files and a publisher on this machine; runs dist/cli/main.js.
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { SciDocument } from "../src/footprint/sci-schema.ts";

const MAIN = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-sci-"));
});
afterAll(() => rm(folder, { recursive: true }));

interface Finished {
  readonly exit: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function sci(args: readonly string[], env: Record<string, string> = {}): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [MAIN, "footprint", "sci", ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, XDG_CACHE_HOME: folder, ELECTRICITY_MAPS_TOKEN: "", ...env },
    });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    child.on("error", reject);
    child.on("close", (exit) => resolve({ exit, stdout, stderr }));
  });
}

const document = ({ stdout }: Finished): SciDocument => JSON.parse(stdout) as SciDocument;
const keys = (finished: Finished): string[] => document(finished).assumptions.map(({ key }) => key);
const BASIC = ["--energy", "12.5kWh", "--embodied", "200gCO2e", "--per", "request=1000"];
const FULL = [...BASIC, "--pue", "1", "--kind", "average", "--scope", "direct", "--boundary", "two servers"];

describe("lightfoot footprint sci", () => {
  it("prints terms, score and a statement, and the document under --json, which verify finds right", async () => {
    const told = await sci([...FULL, "--intensity", "400gCO2e/kWh"]);
    expect(told).toMatchObject({ exit: 0, stderr: "" });
    expect(told.stdout.replaceAll("\u202f", " ")).toMatch(/SCI per request +5\.2 gCO2e +declared +C \/ R\n/);
    const json = await sci([...FULL, "--intensity", "881.849lb/MWh", "--json", "--strict"]);
    expect(json.exit).toBe(0);
    expect(document(json)).toMatchObject({ schema: "lightfoot.sci/1", assumptions: [] });
    expect(document(json).score.value).toBeCloseTo((12.5 * 881.849 * 0.453_592_37 + 200) / 1000, 12);
  });

  it("says what it assumed, and exits 1 for it under --strict", async () => {
    const told = await sci([...BASIC, "--intensity", "400g/kWh", "--json", "--strict"]);
    expect(told.exit).toBe(1);
    expect(keys(told)).toEqual(["sci.intensity-kind", "sci.overhead", "sci.intensity-scope", "sci.boundary"]);
  });

  it("takes the grid hour by hour from a file", async () => {
    const file = join(folder, "grid.csv");
    await writeFile(file, "timestamp,gCO2e/kWh\n2026-01-01T00:00Z,100\n2026-01-01T01:00Z,400\n2026-01-01T02:00Z,400\n");
    const period = ["--from", "2026-01-01T00:30Z", "--to", "2026-01-01T02:00Z"];
    const told = await sci([...FULL, "--series", file, ...period, "--json"]);
    expect(document(told).intensity.value).toBeCloseTo(300, 9);
    expect(document(told).period).toBe("2026-01-01T00:30Z to 2026-01-01T02:00Z");
    expect(keys(told)).toEqual(["sci.even-power"]);
    const late = await sci([...FULL, "--series", file, "--from", "2026-01-01T02:00Z", "--to", "2026-01-01T04:00Z"]);
    expect(late.exit).toBe(3);
    expect(late.stderr).toContain("no value from 2026-01-01T03:00:00Z to 2026-01-01T04:00:00Z");
  });

  it("asks Electricity Maps once, then its cache, also when the network is gone or the token too", async () => {
    let requests = 0;
    const server = createServer((request, response) => {
      requests++;
      const url = new URL(request.url ?? "", "http://x");
      if (request.headers["auth-token"] !== "right") {
        response.writeHead(401).end('{"message":"Invalid auth-token"}');
        return;
      }
      const start = Date.parse(url.searchParams.get("start") ?? "");
      const data = Array.from({ length: 24 }, (_, hour) => ({
        datetime: new Date(start + hour * 3_600_000).toISOString(),
        carbonIntensity: 300,
        isEstimated: false,
      }));
      response.end(JSON.stringify({ zone: url.searchParams.get("zone"), data }));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const env = { ELECTRICITY_MAPS_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v3` };
    const asked = (
      "--energy 10kWh --embodied 0g --per call=1 --json " +
      "--electricity-maps DE --from 2024-01-01T00:00Z --to 2024-01-01T12:00Z"
    ).split(" ");
    const refused = await sci(asked, { ...env, ELECTRICITY_MAPS_TOKEN: "wrong" });
    expect(refused.exit).toBe(5);
    expect(JSON.parse(refused.stderr)).toMatchObject({ code: "E_CREDENTIALS" });
    const live = await sci(asked, { ...env, ELECTRICITY_MAPS_TOKEN: "right" });
    expect(document(live)).toMatchObject({
      intensityKind: "average",
      intensityScope: "life-cycle",
      total: { value: expect.closeTo(3000, 6) as number },
    });
    expect((await sci(asked, { ...env, ELECTRICITY_MAPS_TOKEN: "right" })).exit).toBe(0);
    expect(requests).toBe(2);
    await new Promise((resolve) => server.close(resolve));
    const offline = await sci([...asked, "--offline"], env);
    expect(document(offline).total.value).toBeCloseTo(3000, 6);
    expect(keys(offline)).not.toContain("intensity-series.offline"); // that day cannot change any more
    const other = await sci([...asked.join(" ").replaceAll("2024", "2023").split(" "), "--offline"], env);
    expect(JSON.parse(other.stderr)).toMatchObject({ code: "E_SERIES" });
    const tokenless = await sci(asked, env);
    expect(JSON.parse(tokenless.stderr)).toMatchObject({
      code: "E_CREDENTIALS",
      hint: expect.stringContaining("export ELECTRICITY_MAPS_TOKEN") as string,
    });
  });

  it("takes the grid of a place by its year, or by the hours of its shape when told when", async () => {
    const year = await sci([
      ...FULL.filter((word) => !["--scope", "direct"].includes(word)),
      "--where",
      "DE",
      "--json",
    ]);
    expect(document(year)).toMatchObject({
      intensityKind: "average",
      intensityScope: "life-cycle",
      intensityVintage: expect.stringMatching(/^20\d\d$/) as string,
    });
    expect(keys(year)).toEqual(["sci.yearly-average"]);
    const hours = ["--from", "2026-06-21T10:00Z", "--to", "2026-06-21T14:00Z", "--json"];
    const noon = await sci([...BASIC, "--pue", "1", "--boundary", "x", "--where", "DE", ...hours]);
    expect(keys(noon)).toEqual(["intensity-series.shape", "sci.even-power"]);
    expect(document(noon).intensity.value).toBeLessThan(document(year).intensity.value);
    expect(document(noon).intensity.high / document(noon).intensity.low).toBeGreaterThan(
      document(year).intensity.high / document(year).intensity.low,
    );
    const unknown = await sci([...BASIC, "--where", "Atlantis", "--json"]);
    expect(JSON.parse(unknown.stderr)).toMatchObject({ code: "E_PLACE_UNKNOWN" });
    const direct = await sci([...BASIC, "--where", "egrid:CAMX", "--scope", "life-cycle", "--json"]);
    expect(JSON.parse(direct.stderr)).toMatchObject({ code: "E_USAGE", hint: "Known: direct average." });
  });

  it("reports under SCI for AI with what is missing", async () => {
    const told = await sci(
      (
        "--energy 16MWh --intensity 312.5gCO2e/kWh --embodied 1500kg --per token=50e9 --json " +
        "--ai consumer --counted API --counted storage"
      ).split(" "),
    );
    expect(document(told).readableScore).toMatchObject({
      multiple: 1e6,
      figure: { value: expect.closeTo(130, 9) as number },
    });
    expect(document(told).ai).toMatchObject({ persona: "consumer", isComplete: false });
    expect(keys(told)).toContain("sci-ai.disclosures");
  });

  it.each([
    [[...FULL, "--intensity", "400gCO2e/kWh", "--per", "request=0"], 3, "E_RANGE"],
    [[...FULL, "--intensity", "400gCO2e/kWh", "--per", "request"], 2, "E_USAGE"],
    [[...FULL, "--intensity", "400"], 3, "E_UNIT"],
    [[...FULL, "--intensity", "400gCO2e/kWh", "--intensity-basis", "market-based"], 3, "E_BASIS"],
    [[...FULL, "--intensity", "400gCO2e/kWh", "--ai", "provider"], 3, "E_RANGE"],
    [[...FULL, "--intensity", "400gCO2e/kWh", "--counted", "API"], 2, "E_USAGE"],
    [[...FULL, "--intensity", "400gCO2e/kWh", "--series", "x.csv"], 2, "E_USAGE"],
    [["--energy", "1kWh", "--per", "a=1", "--intensity", "4g/kWh"], 2, "E_USAGE"],
    [
      [
        "--energy",
        "1kWh",
        "--per",
        "a=1",
        "--intensity",
        "4g/kWh",
        "--embodied-total",
        "1t",
        "--reserved",
        "5y",
        "--lifespan",
        "4y",
      ],
      3,
      "E_RANGE",
    ],
    [FULL, 2, "E_USAGE"],
    [[...FULL, "--series", "none.csv"], 2, "E_USAGE"],
    [
      [...FULL, "--series", "none.csv", "--from", "2026-01-01T00:00Z", "--to", "2026-01-02T00:00Z"],
      3,
      "E_FILE_NOT_FOUND",
    ],
    [[...FULL, "--series", "none.csv", "--from", "2026-01-01T00:00", "--to", "2026-01-02T00:00Z"], 2, "E_USAGE"],
    [[...FULL, "--watttime", "--from", "2026-01-01T00:00Z", "--to", "2026-01-02T00:00Z"], 2, "E_USAGE"],
  ])("refuses %j", async (args, exit, code) => {
    const refused = await sci([...args, "--json"]);
    expect({ exit: refused.exit, stdout: refused.stdout }).toEqual({ exit, stdout: "" });
    expect(JSON.parse(refused.stderr)).toMatchObject({ code });
  });
});
