// `lightfoot facts` as a user meets it: documents that hold to their schema, sources on screen, hints; runs dist/cli/main.js.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { factsSchema } from "../src/facts/facts-schema.ts";

const MAIN = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const lightfoot = (...args: string[]) => spawnSync(process.execPath, [MAIN, "facts", ...args], { encoding: "utf8" });

it("gives a document with both inventories of an H100", () => {
  const { status, stdout, stderr } = lightfoot("search", "h100", "sxm5", "--json");
  expect([status, stderr]).toEqual([0, ""]);
  const [card] = factsSchema.parse(JSON.parse(stdout)).subjects;
  const made = card.facts.find(({ name }) => name === "embodied emissions");
  expect(made?.figure.low).toBeLessThanOrEqual(164_000);
  expect(made?.figure.high).toBeGreaterThanOrEqual(278_000);
});

it("shows unit, year, method, source and licence, and warns against ranking across methods", () => {
  const { status, stdout } = lightfoot("show", "Germany");
  expect(status).toBe(0);
  expect(stdout).toMatch(/grid intensity .*gCO2e\/kWh {2}2025 {2}declared {2}life-cycle, consumption-based, average/);
  expect(stdout).toContain("Electricity Maps, zone DE");
  expect(stdout).toContain("ODbL 1.0");
  expect(stdout).toContain("must not be ranked");
});

it("exits 2 with a hint for what it does not know, 1 under --strict for what was assumed", () => {
  const unknown = lightfoot("show", "nvida-h100");
  expect([unknown.status, unknown.stdout]).toEqual([2, ""]);
  expect(unknown.stderr).toContain("nvidia-h100-sxm5-80gb");
  expect(lightfoot("show", "Georgia").stderr).toContain("GE, egrid:SRSO");
  expect(lightfoot("search", "--", "").status).toBe(2);
  expect(lightfoot("search", "azure", "polandcentral", "--strict").status).toBe(1);
});
