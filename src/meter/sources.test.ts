// Every source but powercap: recorded formats, replayed trees, stub programs, hostile answers; depends on the fixtures of trees.
import { createServer } from "node:http";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { createdTree, meterOf, noCommands } from "../../test/fixtures/one-source.ts";
import { openBattery } from "./battery.ts";
import type { Commands } from "./command.ts";
import { createEnvironment, type MeterEnvironment, type SourceOpener } from "./environment.ts";
import { openHwmon } from "./hwmon.ts";
import { openIpmi, parseDcmi } from "./ipmi.ts";
import { openPowermetrics, parsePowermetricsLine } from "./powermetrics.ts";
import { openRack, parseRack } from "./rack.ts";

const hwmon: SourceOpener = async (environment) => openHwmon(environment);
const battery: SourceOpener = async (environment) => openBattery(environment);

describe("hwmon", () => {
  it("adds sockets of amd_energy and cards, and only shows cores, integrated graphics and unknown chips", async () => {
    const sys = createdTree({
      "class/hwmon/hwmon0/name": "amd_energy",
      "class/hwmon/hwmon0/energy1_input": 5_000_000,
      "class/hwmon/hwmon0/energy1_label": "Ecore000",
      "class/hwmon/hwmon0/energy65_input": 90_000_000,
      "class/hwmon/hwmon0/energy65_label": "Esocket0",
      "class/hwmon/hwmon1/name": "amdgpu",
      "class/hwmon/hwmon1/power1_average": 80_000_000,
      "class/hwmon/hwmon1/device/mem_info_vram_total": 17_163_091_968,
      "class/hwmon/hwmon2/name": "amdgpu",
      "class/hwmon/hwmon2/power1_input": 12_000_000,
      "class/hwmon/hwmon3/name": "ina238",
      "class/hwmon/hwmon3/power1_input": 1_000_000,
      "class/hwmon/hwmon4/name": "nvme",
    });
    const { meter, move, stop } = await meterOf(hwmon, { sysRoot: sys.root });
    move(2);
    sys.write({ "class/hwmon/hwmon0/energy65_input": 190_000_000, "class/hwmon/hwmon1/power1_average": 120_000_000 });
    const use = await stop();
    expect(use.energy?.value).toBe(100 + ((80 + 120) / 2) * 2);
    expect(meter.domains.filter((each) => each.countsTowardsTotal).map(({ label }) => label)).toEqual([
      "amd_energy Esocket0",
      "amdgpu power1",
    ]);
    for (const domain of meter.domains) expect(domain.countsTowardsTotal || domain.why !== undefined).toBe(true);
  });

  it("is a node where the firmware has a power meter, and nothing where there is nothing", async () => {
    const sys = createdTree({
      "class/hwmon/hwmon0/name": "power_meter",
      "class/hwmon/hwmon0/power1_average": 200_000_000,
    });
    const { move, stop } = await meterOf(hwmon, { sysRoot: sys.root });
    move(3);
    expect((await stop()).energy?.value).toBe(600);
    sys.write({ "class/hwmon/hwmon0/device/power1_oem_info": "CPU Power Socket 0" });
    expect(openHwmon(createEnvironment({ sysRoot: sys.root })).source?.domains()).toMatchObject([
      { label: "power_meter CPU Power Socket 0", countsTowardsTotal: false },
    ]);
    const old = createdTree({
      "class/hwmon/hwmon0/device/name": "power_meter",
      "class/hwmon/hwmon0/device/power1_average": 1,
    });
    expect(openHwmon(createEnvironment({ sysRoot: old.root })).source?.domains()).toMatchObject([
      { id: "hwmon:hwmon0:power1", kind: "node", countsTowardsTotal: true },
    ]);
    const empty = openHwmon(createEnvironment({ sysRoot: createdTree().root }));
    expect(empty.problems[0]).toMatchObject({ source: "hwmon", code: "absent" });
  });

  it("does not believe text, signs or gigawatts", async () => {
    const sys = createdTree({
      "class/hwmon/hwmon0/name": "power_meter",
      "class/hwmon/hwmon0/power1_average": 1_000_000,
    });
    const { meter, move, stop } = await meterOf(hwmon, { sysRoot: sys.root });
    for (const bad of ["ENODATA", "-5", "99999999999999999999", ""]) {
      sys.write({ "class/hwmon/hwmon0/power1_average": bad });
      move(1);
      expect((await meter.sample()).domains[0].trouble, bad).toBeDefined();
    }
    sys.write({ "class/hwmon/hwmon0/power1_average": 1_000_000 });
    expect(await stop()).toMatchObject({ energy: { value: 4 }, gaps: [] });
  });
});

describe("battery", () => {
  const files = { "class/power_supply/BAT0/type": "Battery", "class/power_supply/BAT0/status": "Discharging" };

  it("gives the whole machine's power while it discharges, also from current and voltage, also negative", async () => {
    const powers: Record<string, number>[] = [
      { "class/power_supply/BAT0/power_now": 15_000_000 },
      { "class/power_supply/BAT0/current_now": -1_250_000, "class/power_supply/BAT0/voltage_now": 12_000_000 },
    ];
    for (const power of powers) {
      const sys = createdTree({ ...files, ...power, "class/power_supply/AC/type": "Mains" });
      const { move, stop } = await meterOf(battery, { sysRoot: sys.root });
      move(10);
      expect((await stop()).energy?.value).toBeCloseTo(150, 9);
    }
  });

  it("says nothing of the machine on mains, and ignores a mouse", async () => {
    const sys = createdTree({
      ...files,
      "class/power_supply/BAT0/status": "Charging",
      "class/power_supply/BAT0/power_now": 60_000_000,
    });
    const opened = openBattery(createEnvironment({ sysRoot: sys.root }));
    expect(opened.source?.domains()[0]).toMatchObject({
      countsTowardsTotal: false,
      why: expect.stringContaining("mains"),
    });
    sys.write({ "class/power_supply/BAT0/scope": "Device" });
    expect(openBattery(createEnvironment({ sysRoot: sys.root })).problems[0].code).toBe("absent");
  });

  it("is a gap from the moment the charger is plugged in", async () => {
    const sys = createdTree({ ...files, "class/power_supply/BAT0/power_now": 10_000_000 });
    const { meter, move, stop } = await meterOf(battery, { sysRoot: sys.root });
    move(10);
    await meter.sample();
    sys.write({ "class/power_supply/BAT0/status": "Charging" });
    move(30);
    const use = await stop();
    expect(use.energy).toMatchObject({ value: 100, high: 100 + 30 * 400 });
    expect(use.coverage).toBeCloseTo(0.25, 9);
  });

  it("believes no machine that draws 0 W", async () => {
    const sys = createdTree({ ...files, "class/power_supply/BAT0/power_now": 0 });
    const { meter, move, stop } = await meterOf(battery, { sysRoot: sys.root });
    move(2);
    expect((await stop()).energy).toBeUndefined();
    expect(meter.problems[0].message).toMatch(/0 W while it discharges/);
  });
});

const DCMI = `
    Instantaneous power reading:                   190 Watts
    Minimum during sampling period:                 12 Watts
    Maximum during sampling period:                402 Watts
    Average power reading over sample period:      188 Watts
    IPMI timestamp:                           Tue Nov 24 20:00:00 2026
    Sampling period:                          00000001 Seconds.
    Power reading state is:                   activated
`;

describe("ipmitool", () => {
  it("reads the instantaneous power and nothing else", () => {
    expect(parseDcmi(DCMI)).toEqual({ watts: 190 });
    for (const bad of [
      "",
      "garbage",
      DCMI.replace("190", "0"),
      DCMI.replace(": activated", ": deactivated").replace("is:                   activated", "is: deactivated"),
      DCMI.replace("190", "-3"),
    ]) {
      expect(parseDcmi(bad), bad).toHaveProperty("error");
    }
  });

  it("is asked at most every 5 s, holds in between, and is a gap when it stops answering", async () => {
    let asked = 0;
    let fails = false;
    const commands: Commands = {
      ...noCommands,
      run() {
        asked += 1;
        return Promise.resolve(
          fails ? { stdout: "", error: "ipmitool gave no answer within 2.5 s" } : { stdout: DCMI },
        );
      },
    };
    const { meter, move, stop } = await meterOf(openIpmi, { commands, devRoot: createdTree({ ipmi0: "" }).root });
    for (let second = 0; second < 10; second++) {
      move(1);
      await meter.sample();
    }
    expect(asked).toBe(1 + 3); // opening, then at 0, 5 and 10 s
    fails = true;
    move(40);
    const use = await stop();
    expect(use.energy?.value).toBe(1900);
    expect(use.gaps).toMatchObject([{ fromSeconds: 10, toSeconds: 50, reason: "failed-read" }]);
  });

  it("says what is missing and how to get it", async () => {
    const devRoot = createdTree({ "ipmi/0": "" }).root;
    const absent = await openIpmi(createEnvironment({ commands: noCommands, devRoot }));
    expect(absent.problems[0]).toMatchObject({
      code: "absent",
      remedies: [{ command: "sudo apt-get install ipmitool" }],
    });
    const bare = await openIpmi(createEnvironment({ devRoot: createdTree().root }));
    expect(bare.problems[0]).toMatchObject({
      code: "absent",
      message: expect.stringContaining("no management controller"),
    });
    const denied: Commands = {
      ...noCommands,
      run: () => Promise.resolve({ stdout: "", error: "ipmitool failed: Could not open device at /dev/ipmi0" }),
    };
    expect((await openIpmi(createEnvironment({ commands: denied, devRoot }))).problems[0].code).toBe("permission");
  });
});

describe("a meter outside of the machine", () => {
  it.each([
    ["412.5", {}, { watts: 412.5 }],
    ["2026-11-24\n412.5 W\n", {}, { watts: 412.5 }],
    ["0.4125 kW", {}, { watts: 412.5 }],
    ["1834.2 kWh", {}, { microjoules: 6_603_120_000_000_000n }],
    ["12345678901.123456 J", {}, { microjoules: 12_345_678_901_123_456n }],
    ["7", { unit: "Wh" }, { microjoules: 25_200_000_000n }],
    ['# TYPE pdu_watts gauge\npdu_watts{outlet="3"} 412 1700000000000', { metric: "pdu_watts" }, { watts: 412 }],
    ['energy_joules_total{a="b"} 1e3', { metric: 'energy_joules_total{a="b"}' }, { microjoules: 1_000_000_000n }],
    [
      '{"status":"success","data":{"result":[{"metric":{"__name__":"node_watts"},"value":[1,"5.5"]}]}}',
      {},
      { watts: 5.5 },
    ],
  ])("reads %j with %j", (text, hint, expected) => expect(parseRack(text, hint)).toEqual(expected));

  it.each([
    ["", {}],
    ["NaN", {}],
    ["-4 W", {}],
    ["4 horsepower", {}],
    ["<html>", {}],
    ["4", { unit: "furlong" }],
    ["a_watts 1\na_watts 2", { metric: "a_watts" }],
    ["a_thing 1", { metric: "a_thing" }],
    ["a_watts NaN", { metric: "a_watts" }],
    ["{", {}],
    ["{}", {}],
    ['{"status":"success","data":{"result":[]}}', {}],
    ['{"status":"success","data":{"result":[null]}}', {}],
    ['{"status":"success","data":{"result":[{"value":[1,"5"]}]}}', {}],
  ])("says what is wrong with %j", (text, hint) => expect(parseRack(text, hint)).toHaveProperty("error"));

  it("reads a file, and counts as the whole machine", async () => {
    const tree = createdTree({ meter: "100 kWh" });
    const { move, stop } = await meterOf(openRack, { rackMeter: join(tree.root, "meter") });
    move(10);
    tree.write({ meter: "100.001 kWh" });
    expect((await stop()).energy?.value).toBe(3600);
  });

  it("does not take a counter that it did not ask again for one that stands still, and tells what it did not see", async () => {
    let body = "1000 J";
    const fetch = async () => new Response(body);
    const { meter, move, stop } = await meterOf(openRack, { rackMeter: "http://pdu/", fetch });
    move(2);
    body = "1100 J";
    expect((await meter.sample()).powerWatts).toBe(50);
    move(0.5);
    expect((await meter.sample()).powerWatts).toBe(50);
    const { energy, gaps, coverage } = await stop();
    expect(energy?.value).toBe(100);
    expect(gaps).toMatchObject([{ fromSeconds: 2, toSeconds: 2.5, reason: "failed-read" }]);
    expect(coverage).toBe(0.8);
  });

  it("reads a file up to the last moment", async () => {
    const tree = createdTree({ meter: "1000 J" });
    const { meter, move, stop } = await meterOf(openRack, { rackMeter: join(tree.root, "meter") });
    move(2);
    await meter.sample();
    move(0.1);
    tree.write({ meter: "1100 J" });
    expect(await stop()).toMatchObject({ energy: { value: 100, high: 100 }, gaps: [], coverage: 1 });
  });

  it("asks an HTTP address with the real client, and tells a status, a refused connection and a page that is none", async () => {
    let body = "watts 250";
    let status = 200;
    const server = createServer((_, response) => response.writeHead(status).end(body));
    const port = await new Promise<number>((resolve) => {
      server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
    });
    onTestFinished(() => void server.close());
    const address = `http://127.0.0.1:${port}/metrics`;
    const problem = async (rackMeter: string) =>
      (await openRack(createEnvironment({ rackMeter }))).problems[0]?.message;
    const { move, stop } = await meterOf(openRack, { rackMeter: `${address}#metric=watts&unit=W` });
    move(4);
    expect((await stop()).energy?.value).toBe(1000);
    expect(await problem(address)).toMatch(/neither a number/);
    status = 503;
    expect(await problem(address)).toMatch(/HTTP 503/);
    body = "";
    expect(await problem("http://127.0.0.1:1/")).toMatch(/fetch failed/);
    expect(await problem("/no/such/file")).toMatch(/no such file/);
  });

  it("stops reading an answer without end", async () => {
    let sent = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += 2 ** 16;
        controller.enqueue(new Uint8Array(2 ** 16).fill(49));
      },
    });
    const fetch = async () => new Response(endless);
    const { problems } = await openRack(createEnvironment({ rackMeter: "http://pdu/", fetch }));
    expect(problems[0].message).toMatch(/larger than 1 MiB/);
    expect(sent).toBeLessThan(2 ** 21);
  });
});

describe("powermetrics", () => {
  it("reads parts of text and plist, and not their sum", () => {
    expect(parsePowermetricsLine("CPU Power: 1234 mW")).toEqual({ part: "cpu", watts: 1.234 });
    expect(parsePowermetricsLine("GPU Power: 45 mW")).toEqual({ part: "gpu", watts: 0.045 });
    expect(parsePowermetricsLine("ANE Power: 0 mW")).toEqual({ part: "ane", watts: 0 });
    expect(parsePowermetricsLine("\t<key>cpu_power</key><real>2500.5</real>")).toEqual({ part: "cpu", watts: 2.5005 });
    for (const other of [
      "Combined Power (CPU + GPU + ANE): 1279 mW",
      "E-Cluster Power: 20 mW",
      "",
      "CPU Power: x mW",
    ]) {
      expect(parsePowermetricsLine(other)).toBeUndefined();
    }
  });

  it("adds processor, graphics and neural engine of a stream, on a Mac only", async () => {
    let say: (line: string) => void = () => undefined;
    const commands: Commands = {
      ...noCommands,
      stream(_, __, onLine) {
        say = onLine;
        for (const line of ["CPU Power: 2000 mW", "GPU Power: 1000 mW", "ANE Power: 0 mW"]) onLine(line);
        return { stop: () => undefined };
      },
    };
    const mac = (environment: MeterEnvironment) =>
      openPowermetrics({ ...environment, machine: { ...environment.machine, platform: "darwin" } });
    const { move, stop } = await meterOf(mac, { commands });
    move(2);
    for (const line of ["CPU Power: 2000 mW", "GPU Power: 1000 mW", "ANE Power: 0 mW"]) say(line);
    expect((await stop()).energy?.value).toBe(6);
    const silent = await openPowermetrics(createEnvironment({ commands }));
    expect(silent).toEqual({ problems: [] });
  });
});
