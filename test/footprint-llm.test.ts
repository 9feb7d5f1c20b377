// The sub-verb `footprint llm` on the built command: the command line of the docs, both outputs, exit codes; depends on the build and vitest.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { llmFootprintSchema } from "../src/footprint/llm-schema.ts";

const folder = mkdtempSync(join(tmpdir(), "lightfoot-llm-"));
afterAll(() => rmSync(folder, { recursive: true }));

const llm = (...flags: string[]) =>
  spawnSync(process.execPath, ["dist/cli/main.js", "footprint", "llm", ...flags], { encoding: "utf8" });

const LLAMA =
  "--params 70.6e9 --weights bf16 --hardware nvidia-h100-sxm5-80gb:4 --batch 64 --tokens-in 512 --tokens-out 600".split(
    " ",
  );

const document = (...flags: string[]) => {
  const { status, stdout, stderr } = llm(...flags, "--json");
  expect([status, stderr]).toEqual([0, ""]);
  return llmFootprintSchema.parse(JSON.parse(stdout));
};

describe("lightfoot footprint llm", () => {
  it("prints one document under --json, at the accelerators by default", () => {
    const found = document(...LLAMA);
    expect(found).toMatchObject({ boundary: "accelerator", energyPerOutputToken: { unit: "J", method: "modelled" } });
    expect(found.latencyPerOutputToken.unit).toBe("s");
    expect(found.energyPerRequest.value / found.energyPerOutputToken.value).toBeCloseTo(600, 6);
  });

  it("raises energies to the boundary asked for", () => {
    const [boards, node] = [document(...LLAMA), document(...LLAMA, "--boundary", "node")];
    expect(node.boundary).toBe("node");
    expect(node.energyPerRequest.value / boards.energyPerRequest.value).toBeCloseTo(1.43, 6);
  });

  it("says on a terminal what it covers, where time goes and what it may stand beside", () => {
    const { status, stdout } = llm(...LLAMA);
    expect(status).toBe(0);
    for (const text of [
      "70.6 billion parameters",
      "64 requests in flight",
      "boundary: accelerator",
      "Comparable with ML.ENERGY",
      "Not comparable with AI Energy Score",
      "[architecture.typical]",
    ]) {
      expect(stdout).toContain(text);
    }
    expect(stdout).not.toContain("NaN");
  });

  it("assesses one request at a place or by factors given", () => {
    expect(document(...LLAMA).footprintPerRequest).toBeNull();
    const factors = [
      "--intensity",
      "400gCO2e/kWh",
      "--pue",
      "1.25",
      "--price",
      "0.2EUR/kWh",
      "--gpu-hour-price",
      "2USD/h",
    ];
    const { footprintPerRequest: request } = document(...LLAMA, ...factors);
    const kilowattHours = (request?.energy.value ?? 0) / 3.6e6;
    expect(request?.emissions.locationBased.value).toBeCloseTo(400 * kilowattHours, 12);
    expect(request?.money.electricity?.value).toBeCloseTo(0.2 * kilowattHours, 12);
    expect(request?.powerUsageEffectiveness.value).toBe(1.25);
    const { status, stdout } = llm(...LLAMA, "--where", "DE");
    expect(status).toBe(0);
    expect(stdout).toMatch(/One request\. Footprint of .* in Germany/);
    expect(stdout).toContain("carbon, location-based");
  });

  it("applies --pue alone to the boundaries", () => {
    const [node, facility] = [
      document(...LLAMA, "--boundary", "IT"),
      document(...LLAMA, "--boundary", "facility", "--pue", "1.1"),
    ];
    expect(facility.energyPerRequest.value / node.energyPerRequest.value).toBeCloseTo(1.1, 9);
    expect(facility.footprintPerRequest).toBeNull();
  });

  it("takes 70.6B for 70.6e9", () => {
    const worded = document("--params", "70.6B", ...LLAMA.slice(2));
    expect(worded.energyPerOutputToken.value).toBe(document(...LLAMA).energyPerOutputToken.value);
  });

  it("reads a configuration from a file or its folder", () => {
    const config = {
      model_type: "llama",
      hidden_size: 4096,
      num_hidden_layers: 32,
      num_attention_heads: 32,
      num_key_value_heads: 8,
      intermediate_size: 14336,
      vocab_size: 128256,
      hidden_act: "silu",
    };
    const model = join(folder, "model");
    mkdirSync(model);
    writeFileSync(join(model, "config.json"), JSON.stringify(config));
    const flags = [
      "--hardware",
      "nvidia-h100-sxm5-80gb",
      "--batch",
      "8",
      "--weights",
      "bf16",
      "--tokens-in",
      "600",
      "--tokens-out",
      "400",
    ];
    const found = document("--model", model, ...flags);
    expect(found.model).toMatchObject({ architecture: "config", layers: 32 });
    expect(found.model.parameters / 8.03e9).toBeCloseTo(1, 2);
    const byFile = document("--model", join(model, "config.json"), ...flags);
    expect(byFile.energyPerOutputToken.value).toBe(found.energyPerOutputToken.value);
  });

  it.each([
    [["--hardware", "nvidia-h100-sxm5-80gb"], 2, "E_USAGE"],
    [["--params", "8e9"], 2, "E_USAGE"],
    [["--params", "8e9", "--hardware", "cpu:this"], 2, "E_HARDWARE_DATA"],
    [["--params", "8e9", "--hardware", "nvidia-h100"], 2, "E_HARDWARE_UNKNOWN"],
    [["--params", "70.6e9", "--hardware", "nvidia-h100-sxm5-80gb"], 3, "E_RANGE"],
    [["--params", "8", "--hardware", "nvidia-h100-sxm5-80gb"], 3, "E_RANGE"],
    [["--model", "no-such-file.json", "--hardware", "nvidia-h100-sxm5-80gb"], 3, "E_FILE_NOT_FOUND"],
    [["--model", "package.json", "--hardware", "nvidia-h100-sxm5-80gb"], 3, "E_MODEL_CONFIG"],
    [["--params", "8e9", "--hardware", "nvidia-h100-sxm5-80gb", "--tokens-out", "-5"], 2, "E_USAGE"],
    [["--params", "8e9", "--hardware", "nvidia-h100-sxm5-80gb", "--where", "Atlantis"], 2, "E_PLACE_UNKNOWN"],
    [["--params", "8e9", "--hardware", "nvidia-h100-sxm5-80gb", "--pue", "0.9"], 2, "E_USAGE"],
  ])("refuses %j with exit code %i", (flags, exit, code) => {
    const { status, stdout, stderr } = llm(...flags, "--json");
    expect([status, stdout]).toEqual([exit, ""]);
    expect(JSON.parse(stderr)).toMatchObject({ code });
  });

  it("exits 1 under --strict, with the document", () => {
    const { status, stdout } = llm(...LLAMA, "--strict", "--json");
    expect(status).toBe(1);
    expect(JSON.parse(stdout)).toHaveProperty("energyPerOutputToken");
  });
});
