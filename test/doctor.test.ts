// The built `lightfoot doctor`: exit 0 whatever works, one document on stdout, readable text; depends on the build.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { doctorSchema } from "../src/meter/doctor-schema.ts";
import { createTree, zone } from "./fixtures/sys-tree.ts";

const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const doctor = (...args: string[]) =>
  spawnSync(process.execPath, [main, "doctor", "--seconds", "0.05", ...args], { encoding: "utf8" });

const counters = createTree({ ...zone("intel-rapl:0", "package-0", 1), ...zone("intel-rapl:1", "psys", 1) });
const nothing = createTree({ "class/powercap/intel-rapl:0/energy_uj": "garbage" });
afterAll(() => [counters, nothing].forEach((tree) => tree.clean()));

describe("lightfoot doctor", () => {
  it("prints one document with what it found under the named roots", () => {
    const { status, stdout, stderr } = doctor("--sys-root", counters.root, "--json");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const report = doctorSchema.parse(JSON.parse(stdout));
    expect(report.sysRoot).toBe(counters.root);
    expect(report.sources[0].domains.map(({ id, countsTowardsTotal }) => [id, countsTowardsTotal])).toEqual([
      ["powercap:intel-rapl:0", true],
      ["powercap:intel-rapl:1", false],
    ]);
  });

  it("ends well when nothing works at all, and says so", () => {
    const { status, stdout } = doctor("--sys-root", nothing.root, "--proc-root", nothing.root);
    expect(status).toBe(0);
    expect(stdout).toMatch(/nothing can be read or modelled here/);
    expect(stdout).toMatch(/not a number: "garbage"/);
  });

  it("refuses a duration that is none, as usage", () => {
    expect(doctor("--seconds", "0").status).toBe(2);
  });
});
