// The sheet of key figures by hand, there and back, and what it refuses; depends on fast-check.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readKpiSheet, siteKpis, writeKpiSheet, type SiteMeters } from "./kpi-sheet.ts";

const KWH = 3.6e6;
const SITE: SiteMeters = {
  siteEnergyJoules: 13.6e6 * KWH,
  itEnergyJoules: 10e6 * KWH,
  renewableEnergyJoules: 6.8e6 * KWH,
  reusedEnergyJoules: 1.36e6 * KWH,
  waterLitres: 5.8e6,
  emissionsGrams: 2720e6,
  months: 12,
  pueCategory: 2,
};

describe("key figures of a data center", () => {
  it("are PUE 1.36, WUE 0.58 L/kWh, REF 0.5, ERF 0.1 and CUE 0.272 kg/kWh for the worked site", () => {
    const { PUE, WUE, REF, ERF, CUE } = siteKpis(SITE);
    for (const [found, right] of [
      [PUE, 1.36],
      [WUE, 0.58],
      [REF, 0.5],
      [ERF, 0.1],
      [CUE, 0.272],
    ] as const) {
      expect(found).toBeCloseTo(right, 12);
    }
    expect(siteKpis({ siteEnergyJoules: 2, itEnergyJoules: 1 })).toEqual({ PUE: 2 });
  });

  it("come back from the sheet as they were, in kWh, cubic metres and tonnes on the way", () => {
    const sheet = writeKpiSheet(SITE);
    expect(sheet).toContain("Energy of the site,13600000,kWh");
    expect(sheet).toContain("Water consumed,5800,m3");
    expect(sheet).toContain('"Emissions, location-based",2720,tCO2e');
    const positive = fc.double({ min: 1e-3, max: 1e12, noNaN: true });
    const share = fc.integer({ min: 0, max: 1000 }).map((thousandths) => thousandths / 1000);
    fc.assert(
      fc.property(
        positive,
        share,
        share,
        share,
        positive,
        positive,
        (used, overhead, renewable, reused, water, carbon) => {
          const site = used * (1 + overhead);
          const meters: SiteMeters = {
            siteEnergyJoules: site,
            itEnergyJoules: used,
            renewableEnergyJoules: renewable * site,
            reusedEnergyJoules: reused * site,
            waterLitres: water,
            emissionsGrams: carbon,
          };
          const back = readKpiSheet(writeKpiSheet(meters), "sheet.csv");
          for (const [key, value] of Object.entries(meters) as [keyof SiteMeters, number][]) {
            expect(Math.abs(back[key]! - value)).toBeLessThanOrEqual(1e-12 * value);
          }
        },
      ),
    );
  });

  it("refuse other units, figures that do not follow, and parts above the whole", () => {
    const sheet = writeKpiSheet(SITE);
    const read = (text: string) => () => readKpiSheet(text, "sheet.csv");
    expect(read(sheet.replace("5800,m3", "5800,L"))).toThrow(/in L, expected m3/);
    expect(read(sheet.replace(/^PUE,[^,]+/m, "PUE,1.26"))).toThrow(/PUE is 1\.26 in the sheet/);
    expect(read(sheet.replace(/^PUE,[^,]+/m, "PUE,1.361"))).not.toThrow();
    expect(read(sheet.replace(/^Energy of the IT.*\n/m, ""))).toThrow(/lacks the energy/);
    expect(read(`${sheet}Charm,3,1,x\n`)).toThrow(/no row/);
    expect(() => siteKpis({ siteEnergyJoules: 1, itEnergyJoules: 2 })).toThrow(/no more than the site/);
    expect(() => siteKpis({ ...SITE, reusedEnergyJoules: 14e6 * KWH })).toThrow(/reused energy/);
  });
});
