// A site's evidence as a sheet and back: the same values, and rules that judge them alike; depends on the pack.
import { describe, expect, it } from "vitest";
import { readKpiSheet, writeKpiSheet } from "../../footprint/exchange/kpi-sheet.ts";
import type { Evidence } from "./judge.ts";
import { evidenceOfMeters, metersOfEvidence } from "./site-evidence.ts";

const declared = (values: Record<string, number | string>): Map<string, Evidence> =>
  new Map(Object.entries(values).map(([field, value]) => [field, { value, method: "declared" as const }]));

const SITE = {
  "dc.siteEnergyKwh": 13.6e6,
  "dc.itEnergyKwh": 10e6,
  "dc.pueAnnual": 1.36,
  "dc.wueAnnual": 0.58,
  "dc.renewableShare": 0.5,
  "dc.reusedEnergyShare": 0.1,
  "dc.pueMonths": 12,
  "dc.pueCategory": 2,
};

describe("evidence of a site", () => {
  it("comes back from the sheet, field by field", () => {
    const sheet = writeKpiSheet(metersOfEvidence(declared(SITE), undefined));
    const back = evidenceOfMeters(readKpiSheet(sheet, "kpi.csv"), "kpi.csv");
    expect([...back.keys()].toSorted()).toEqual(Object.keys(SITE).toSorted());
    for (const [field, value] of Object.entries(SITE)) {
      expect(Math.abs(Number(back.get(field)!.value) / value - 1)).toBeLessThan(1e-12);
    }
  });

  it("counts emissions where the place is known, and calls no half year annual", () => {
    expect(metersOfEvidence(declared(SITE), undefined).emissionsGrams).toBeUndefined();
    const { emissionsGrams } = metersOfEvidence(declared({ ...SITE, "dc.country": "FR" }), undefined);
    expect(emissionsGrams).toBe(metersOfEvidence(declared(SITE), "FR").emissionsGrams);
    expect(emissionsGrams! / 13.6e6).toBeGreaterThan(10);
    expect(emissionsGrams! / 13.6e6).toBeLessThan(120);
    const half = evidenceOfMeters({ siteEnergyJoules: 3, itEnergyJoules: 2, months: 6 }, "kpi.csv");
    expect(half.has("dc.pueAnnual")).toBe(false);
  });

  it("refuses missing energies and a PUE that is not theirs", () => {
    expect(() => metersOfEvidence(declared({ "dc.itEnergyKwh": 1 }), undefined)).toThrow(/dc\.siteEnergyKwh/);
    expect(() => metersOfEvidence(declared({ ...SITE, "dc.pueAnnual": 1.2 }), undefined)).toThrow(
      /the energies give 1\.36/,
    );
  });
});
