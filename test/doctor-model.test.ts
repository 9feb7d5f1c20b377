// The built `lightfoot doctor model`: exit codes, the document, a repaired file that is clean; depends on the build.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { modelCheckSchema } from "../src/compress/doctor/model-check-schema.ts";
import { weightOnlyBlocks } from "../src/compress/techniques/weight-blocks.ts";
import { gemmNet } from "../src/compress/techniques/test-models.ts";
import { writeOnnx } from "../src/model/onnx/write.ts";

const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "lightfoot-doctor-model-"));
const slow = join(folder, "slow.onnx");
const fixed = join(folder, "fixed.onnx");
const doctor = (...args: string[]) =>
  spawnSync(process.execPath, [main, "doctor", "model", ...args], { encoding: "utf8" });

beforeAll(async () => {
  const options = { bits: 4, blockSize: 16, symmetric: true, accuracyLevel: 0 } as const;
  const result = await weightOnlyBlocks(gemmNet(), options, { calibration: undefined, threads: 1, signal: undefined });
  if (result.kind === "refused") throw new Error(result.reason);
  await writeOnnx(result.model, slow);
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("lightfoot doctor model", () => {
  it("exits 1 on a slow model and says how to repair it", () => {
    const { status, stdout, stderr } = doctor(slow);
    expect(status).toBe(1);
    expect(stdout).toMatch(/accuracy-level: Gemm|accuracy-level: MatMulNBits/);
    expect(stderr).toMatch(/E_MODEL_CHECK/);
    expect(stderr).toMatch(/--repair --out fixed.onnx/);
  });

  it("repairs it, exits 0, and the repaired file is clean", () => {
    const repaired = doctor(slow, "--repair", "--out", fixed, "--batch", "4", "--json");
    expect(repaired.status).toBe(0);
    const document = modelCheckSchema.parse(JSON.parse(repaired.stdout));
    expect(document.repair).toMatchObject({ mended: { "accuracy-level": 2 }, remaining: {}, batch: 4 });
    const again = doctor(fixed, "--json");
    expect(again.status).toBe(0);
    expect(modelCheckSchema.parse(JSON.parse(again.stdout)).findings).toEqual([]);
  });

  it("leaves what rounds alone under --exact-only, and then still exits 1", () => {
    const { status, stdout } = doctor(slow, "--repair", "--out", join(folder, "exact.onnx"), "--exact-only", "--json");
    expect(status).toBe(1);
    expect(modelCheckSchema.parse(JSON.parse(stdout)).repair).toBeNull();
  });

  it("refuses --repair without --out as usage", () => {
    expect(doctor(slow, "--repair").status).toBe(2);
  });

  it("neither shows nor takes the options of doctor itself, which it would ignore", () => {
    const help = doctor("--help").stdout;
    expect(help).toContain("--exact-only");
    for (const option of ["--seconds", "--sys-root", "--proc-root", "--rack-meter"]) expect(help).not.toContain(option);
    const behind = doctor(slow, "--seconds", "5");
    expect([behind.status, behind.stderr]).toEqual([2, expect.stringContaining("unknown option '--seconds'")]);
    expect(behind.stderr).not.toContain("Did you mean");
    const before = spawnSync(process.execPath, [main, "doctor", "--seconds", "5", "model", slow], { encoding: "utf8" });
    expect([before.status, before.stderr]).toEqual([2, expect.stringContaining("before model")]);
  });
});
