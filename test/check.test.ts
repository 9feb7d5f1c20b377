// The verbs `check` and `policy` on the built command: exit codes, SARIF, a dossier as evidence; depends on the build and vitest.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "lightfoot-check-"));
afterAll(() => rmSync(folder, { recursive: true }));
const lightfoot = (...args: string[]) =>
  spawnSync(process.execPath, ["dist/cli/main.js", ...args], { encoding: "utf8" });

describe("lightfoot check", () => {
  const site = join(folder, "site.yaml");
  const write = (pue: number): void =>
    writeFileSync(
      site,
      `roles: [data-center-operator]\nevidence: { dc.country: DE, dc.nonRedundantKw: 900, dc.startedOn: 2026-08-01, dc.pueAnnual: ${pue} }\n`,
    );

  it("exits 1 when a rule fails, 0 when none does, and 1 under --strict while evidence is missing", () => {
    write(1.25);
    const failed = lightfoot("check", site, "--as-of", "2026-11-24");
    expect(failed.status).toBe(1);
    expect(failed.stdout).toContain("✗ fails  ENV-DE-PUE-NEW");
    write(1.2);
    expect(lightfoot("check", site, "--as-of", "2026-11-24").status).toBe(0);
    expect(lightfoot("check", site, "--as-of", "2026-11-24", "--strict").status).toBe(1);
  });

  it("tells a label that is not reached, and does not exit with 1 for it", () => {
    const label = join(folder, "label.yaml");
    writeFileSync(label, "roles: [deployer]\nevidence: { org.environmentCodeAdopted: false }\n");
    const found = lightfoot("check", label, "--as-of", "2026-11-24");
    expect(found.stdout).toMatch(/✗ fails {2}AI-EU-95-2B .* \[voluntary\]/);
    expect(found.status).toBe(0);
  });

  it("reads the sheet of key figures that export writes from the same site", () => {
    const sheet = join(folder, "kpi.csv");
    const meters = join(folder, "meters.yaml");
    const values = "dc.siteEnergyKwh: 1250, dc.itEnergyKwh: 1000, dc.pueMonths: 12, dc.pueCategory: 2";
    writeFileSync(meters, `where: DE\nevidence: { ${values} }\n`);
    expect(lightfoot("export", meters, "--format", "kpi-sheet", "--out", sheet).status).toBe(0);
    const checked = lightfoot("check", sheet, "--role", "data-center-operator", "--where", "DE", "--json");
    const { rules } = JSON.parse(checked.stdout) as {
      rules: { id: string; evidence: { field: string; value: unknown }[] }[];
    };
    const pue = rules.flatMap(({ evidence }) => evidence).find(({ field }) => field === "dc.pueAnnual");
    expect(pue?.value).toBe(1.25);
  });

  it("judges under a draft law, prints SARIF, and asks for a role", () => {
    write(1.25);
    const draft = lightfoot("check", site, "--as-of", "2026-11-24", "--with-proposals", "ENV-DE-DRAFT-2026", "--json");
    const document = JSON.parse(draft.stdout) as { overlays: string[]; rules: { id: string; outcome: string }[] };
    expect([draft.status, document.overlays]).toEqual([0, ["ENV-DE-DRAFT-2026"]]);
    expect(document.rules.find(({ id }) => id === "ENV-DE-PUE-NEW")?.outcome).toBe("pass");
    const sarif = JSON.parse(lightfoot("check", site, "--as-of", "2026-11-24", "--sarif").stdout) as {
      version: string;
    };
    expect(sarif.version).toBe("2.1.0");
    expect(lightfoot("check").status).toBe(2);
    expect(lightfoot("check", "--role", "king").status).toBe(2);
  });
});

describe("lightfoot policy", () => {
  it("tests its own pack, shows a rule, and suggests one", () => {
    expect(lightfoot("policy", "test").status).toBe(0);
    expect(lightfoot("policy", "show", "env-de-pue-new").stdout).toContain("pueMax");
    const unknown = lightfoot("policy", "show", "ENV-DE-PUE-NWE");
    expect([unknown.status, unknown.stderr.includes("Did you mean ENV-DE-PUE-NEW?")]).toEqual([2, true]);
  });

  it("writes a rule that its own test accepts, and writes over none", () => {
    const own = join(folder, "our rules");
    expect(lightfoot("policy", "new", "OWN-PUE-MAX", "--into", own).status).toBe(0);
    expect(lightfoot("policy", "test", "--pack", own).status).toBe(0);
    expect(lightfoot("policy", "new", "OWN-PUE-MAX", "--into", own).status).toBe(2);
    expect(lightfoot("policy", "new", "../OWN", "--into", own).status).toBe(2);
  });

  it("compares two days, and law with a draft", () => {
    const days = lightfoot("policy", "diff", "--as-of", "2026-12-31", "--as-of", "2027-01-01");
    expect(days.stdout).toMatch(/ENV-DE-RES +changes +shareMin +0\.5 +1 /);
    expect(lightfoot("policy", "diff", "ENV-DE-DRAFT-2026", "--as-of", "2027-07-01").stdout).toContain(
      "draft of 2026-04-09",
    );
    expect(lightfoot("policy", "diff").status).toBe(2);
    expect(lightfoot("policy", "diff", "--as-of", "2027-02-30").status).toBe(2);
  });

  it("shows what a rule costs, and no point for a stale price", () => {
    const workload = join(folder, "workload.yaml");
    writeFileSync(
      workload,
      "roles: [deployer]\nevidence: { site.inEu: true, site.energyMwh: 13600, site.marginalTonnesPerMwh: 0.2 }\n",
    );
    expect(lightfoot("check", workload, "--as-of", "2026-03-01").stdout).toMatch(/amount {4}159,022\.08 EUR/);
    const stale = lightfoot("check", workload, "--as-of", "2026-11-24").stdout;
    expect(stale).toContain("no point: price is older than 90 days");
    expect(stale).not.toContain("159,022.08 EUR");
  });
});
