// NVIDIA cards through nvidia-smi and through the driver's library: stub program, stub library; depends on the fixtures of sources.
import { spawnSync } from "node:child_process";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { createdTree, folder, meterOf, noCommands } from "../../test/fixtures/one-source.ts";
import type { Commands } from "./command.ts";
import { createEnvironment } from "./environment.ts";
import { openNvidia, parseSmiCards, parseSmiLine } from "./nvidia.ts";
import { openMeter } from "./open-meter.ts";

describe("nvidia-smi", () => {
  it("reads cards, also those without a sensor", () => {
    const text = "0, GPU-1, NVIDIA L4, 16.5, 72.00\n1, GPU-2, NVIDIA GRID, vGPU, [N/A], [N/A]\nNo devices were found\n";
    expect(parseSmiCards(text)).toEqual([
      { index: 0, uuid: "GPU-1", name: "NVIDIA L4", mostWatts: 72 },
      { index: 1, uuid: "GPU-2", name: "NVIDIA GRID, vGPU" },
    ]);
    expect(parseSmiLine("0, 71.25")).toEqual({ index: 0, watts: 71.25 });
    for (const bad of ["", "0, [N/A]", "x, 1", "0, -1", "0, 1e9", "0, 1, 2"]) expect(parseSmiLine(bad)).toBeUndefined();
  });

  it("runs one process, integrates its lines on their own times, and ends it", async () => {
    const bin = folder();
    const log = join(bin, "starts");
    writeFileSync(
      join(bin, "nvidia-smi"),
      `#!/bin/sh
echo "$@" >> ${log}
case "$*" in
  *-lms*) echo "0, 100.00"; echo "junk"; exec sleep 60;;
  *) echo "0, GPU-abc, NVIDIA L4, 16.50, 72.00";;
esac
`,
    );
    chmodSync(join(bin, "nvidia-smi"), 0o755);
    const path = process.env["PATH"];
    process.env["PATH"] = `${bin}:${path}`;
    onTestFinished(() => {
      process.env["PATH"] = path;
    });
    let now = 0;
    const meter = await openMeter({
      openers: [openNvidia],
      procRoot: createdTree().root,
      clock: () => now,
      cadenceSeconds: 0,
    });
    expect(meter.domains).toMatchObject([{ id: "nvidia-smi:0", label: "NVIDIA L4", device: "GPU-abc" }]);
    // The stub needs a moment to start; the clock of the meter stands still meanwhile.
    while ((await meter.sample()).domains[0].powerWatts === undefined)
      await new Promise((resolve) => setTimeout(resolve, 5));
    const window = await meter.start();
    now = 2;
    const use = await window.stop();
    await meter.close();
    expect(use.energy?.value).toBe(200);
    expect(spawnSync("wc", ["-l", log]).stdout.toString()).toMatch(/^2 /);
  });

  it("keeps a card without a sensor in the total as not read", async () => {
    const commands: Commands = {
      run: () => Promise.resolve({ stdout: "0, GPU-1, L4, 10, 72\n1, GPU-2, GRID, [N/A], [N/A]" }),
      stream(_, __, onLine) {
        onLine("0, 10");
        onLine("1, [N/A]");
        return { stop: () => undefined };
      },
    };
    const { move, stop } = await meterOf(openNvidia, { commands, procRoot: createdTree().root });
    move(2);
    const use = await stop();
    expect(use.energy?.value).toBe(20);
    expect(use.coverage).toBe(0);
    expect(use.domains.map(({ domain, coverage }) => [domain.id, coverage])).toEqual([
      ["nvidia-smi:0", 1],
      ["nvidia-smi:1", 0],
    ]);
  });

  it("tells a stream that ended, and that no driver is there", async () => {
    const commands: Commands = {
      run: () => Promise.resolve({ stdout: "0, GPU-1, L4, 10, 72" }),
      stream(_, __, ___, onEnd) {
        onEnd("nvidia-smi ended with 255");
        return { stop: () => undefined };
      },
    };
    const { meter } = await meterOf(openNvidia, { commands, procRoot: createdTree().root });
    expect((await meter.sample()).domains[0].trouble).toBe("nvidia-smi ended with 255");
    const absent = await openNvidia(createEnvironment({ commands: noCommands, procRoot: createdTree().root }));
    expect(absent).toMatchObject({ problems: [{ source: "nvidia-smi", code: "absent" }] });
  });
});

/** A driver library with three cards: one with counter and instant power, one with power alone, one with neither. */
const STUB = `
#include <string.h>
#include <stdlib.h>
#include <stdint.h>
typedef struct { unsigned fieldId, scopeId; long long timestamp, latencyUsec; int valueType, nvmlReturn; union { double d; unsigned u; unsigned long long ull; } value; } field_t;
static unsigned long long number(const char *name) { const char *text = getenv(name); return text ? strtoull(text, 0, 10) : 0; }
int nvmlInit_v2(void) { return (int)number("STUB_INIT"); }
int nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(int code) { return code == 9 ? "Driver Not Loaded" : "error"; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 3; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) { *device = (void *)(uintptr_t)(index + 1); return 0; }
int nvmlDeviceGetName(void *device, char *name, unsigned length) { strncpy(name, device == (void *)1 ? "NVIDIA H100" : "Tesla P4", length); return 0; }
int nvmlDeviceGetUUID(void *device, char *uuid, unsigned length) { strncpy(uuid, device == (void *)1 ? "GPU-a" : "GPU-b", length); return 0; }
int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *energy) { if (device != (void *)1) return 3; *energy = number("STUB_MILLIJOULES"); return 0; }
int nvmlDeviceGetPowerUsage(void *device, unsigned *power) { if (device == (void *)3) return 3; *power = device == (void *)1 ? 1 : 50000; return 0; }
int nvmlDeviceGetPowerManagementLimitConstraints(void *device, unsigned *least, unsigned *most) { *least = 100000; *most = 700000; return device == (void *)1 ? 0 : 3; }
int nvmlDeviceGetFieldValues(void *device, int count, field_t *values) {
  if (sizeof(field_t) != 40 || count != 1 || values->fieldId != 186) return 2;
  values->nvmlReturn = device == (void *)1 ? 0 : 3; values->valueType = 1; values->value.u = (unsigned)number("STUB_MILLIWATTS"); return 0;
}
`;
const hasCompiler = process.platform === "linux" && spawnSync("gcc", ["--version"]).status === 0;

describe.skipIf(!hasCompiler)("NVML, through koffi, against a driver library compiled here", () => {
  function library(): string {
    const at = folder();
    writeFileSync(join(at, "stub.c"), STUB);
    const built = spawnSync("gcc", ["-shared", "-fPIC", "-o", join(at, "libstub.so"), join(at, "stub.c")]);
    expect(built.status, built.stderr.toString()).toBe(0);
    return join(at, "libstub.so");
  }

  // The stub reads the environment of the process, which only a native setenv changes: koffi calls it.
  async function setStub(values: Readonly<Record<string, number>>): Promise<void> {
    const { default: koffi } = await import("koffi");
    const setenv = koffi.load("libc.so.6").func("int setenv(const char *, const char *, int)");
    for (const [name, value] of Object.entries(values)) setenv(name, String(value), 1);
  }

  it("takes the counter where there is one, else integrates power, and reports when both are more than 10 % apart", async () => {
    await setStub({ STUB_INIT: 0, STUB_MILLIJOULES: 1_000_000, STUB_MILLIWATTS: 300_000 });
    const options = { nvmlLibrary: library(), procRoot: createdTree().root, commands: noCommands };
    const { meter, move, stop } = await meterOf(openNvidia, options);
    expect(meter.domains.map(({ id, label, countsTowardsTotal }) => [id, label, countsTowardsTotal])).toEqual([
      ["nvml:0", "NVIDIA H100", true],
      ["nvml:0:power", "NVIDIA H100, power integrated", false],
      ["nvml:1:power", "Tesla P4, power integrated", true],
      ["nvml:2:power", "Tesla P4, power integrated", true],
    ]);
    expect(meter.domains[0].counter?.mostWatts).toBe(700);
    move(10);
    await setStub({ STUB_MILLIJOULES: 1_000_000 + 2_500_000 });
    const use = await stop();
    expect(use.energy?.value).toBe(2500 + 500);
    expect(use.coverage).toBe(0);
    expect(use.domains.map(({ coverage }) => coverage)).toEqual([1, 1, 1, 0]);
    expect(use.disagreements).toEqual([{ domain: "nvml:0", counterJoules: 2500, integratedJoules: 3000 }]);
    const [first] = use.domains;
    expect(first.energy?.low).toBeCloseTo(2500 * 0.95 - 70, 6);
    await meter.close();
  });

  it("says that a driver is not loaded, or that the library is none", async () => {
    await setStub({ STUB_INIT: 9 });
    const base = { procRoot: createdTree().root, commands: noCommands };
    const failing = await openNvidia(createEnvironment({ ...base, nvmlLibrary: library() }));
    expect(failing.problems[0]).toMatchObject({
      source: "nvml",
      message: expect.stringContaining("Driver Not Loaded"),
    });
    const missing = await openNvidia(createEnvironment({ ...base, nvmlLibrary: "/no/such.so" }));
    expect(missing.problems[0]).toMatchObject({ source: "nvml", code: "broken" });
    await setStub({ STUB_INIT: 0 });
  });
});
