// Places by every kind of name, and what stands behind them: read from the package, in range, never mixed; depends on its room.
import { createRequire } from "node:module";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LightfootError } from "../errors/lightfoot-error.ts";
import type { Figure } from "../quantity/figure.ts";
import { comparableIntensities, electricityMapsYears, incomparable, intensityMethod } from "./grid-intensity.ts";
import { hourlyShape, zonesWithShape } from "./intensity-shape.ts";
import { findPlace, listPlaces } from "./place.ts";
import { cloudRegions, countries, usStates } from "./place-tables.ts";

interface Co2 {
  averageIntensity: { data: Record<string, number> };
  marginalIntensity: { data: Record<string, string> };
  electricityMaps: Record<string, { data: Record<string, { carbonIntensity: { value: number } }> }>;
}
const co2 = createRequire(import.meta.url)("@tgwf/co2/data") as Co2;
const everywhere = listPlaces().map(({ id }) => findPlace(id));

function thrownBy(act: () => unknown): LightfootError {
  try {
    act();
  } catch (error) {
    if (error instanceof LightfootError) return error;
  }
  throw new Error("nothing was thrown");
}

describe("findPlace", () => {
  it.each([
    ["DE", "DE"],
    ["de", "DE"],
    ["Germany", "DE"],
    ["DEU", "DE"],
    ["  germany ", "DE"],
    ["aws:eu-central-1", "aws:eu-central-1"],
    ["AWS:EU-CENTRAL-1", "aws:eu-central-1"],
    ["europe-west4", "gcp:europe-west4"],
    ["US-CAL-CISO", "US-CAL-CISO"],
    ["egrid:camx", "egrid:CAMX"],
    ["cn:Beijing", "cn:Beijing"],
    ["CN-BJ", "cn:Beijing"],
    ["Singapore", "SG"],
    ["USA", "US"],
    ["德国", "DE"],
    ["Cayman Islands", "KY"],
    ["Cyprus", "CY"],
    ["south korea", "KR"],
    ["Sao Paulo", "gcp:southamerica-east1"],
    ["World", "world"],
  ])("'%s' is %s", (where, id) => {
    // AWS writes the city in brackets too, so São Paulo may be two regions: then both are offered.
    if (where === "Sao Paulo") expect(thrownBy(() => findPlace(where)).hint).toContain(id);
    else expect(findPlace(where).id).toBe(id);
  });

  it("finds every listed place by its own id, and each id is listed once", () => {
    const ids = listPlaces().map(({ id }) => id);
    expect(everywhere.map(({ id }) => id)).toEqual(ids);
    expect(new Set(ids.map((id) => id.toLowerCase())).size).toBe(ids.length);
    expect(ids.length).toBeGreaterThan(500);
  });

  it("takes AWS for a region name of two providers on one grid zone, and says so", () => {
    const { id, intensities, powerUsageEffectiveness } = findPlace("eu-central-1");
    expect(id).toBe("aws:eu-central-1");
    for (const part of [intensities[0].figure, powerUsageEffectiveness]) {
      expect(part?.assumptions.map(({ key }) => key)).toContain("place.provider");
    }
    expect(findPlace("aws:eu-central-1").intensities[0].figure.assumptions).toEqual([]);
  });

  it.each([
    ["eu-west-1", ["aws:eu-west-1", "alibaba:eu-west-1"]],
    ["Frankfurt", ["aws:eu-central-1", "gcp:europe-west3", "alibaba:eu-central-1"]],
    ["Georgia", ["GE", "egrid:SRSO", "alibaba:us-southeast-1"]],
    ["California", ["US-CAL-CISO", "egrid:CAMX", "aws:us-west-1"]],
  ])("'%s' is several places, and all are offered", (where, choices) => {
    const { code, hint } = thrownBy(() => findPlace(where));
    expect(code).toBe("E_PLACE_UNKNOWN");
    for (const choice of choices) expect(hint).toContain(choice);
  });

  it.each([
    ["Germny", "DE (Germany)"],
    ["aws:eu-centrl-1", "aws:eu-central-1"],
    ["US-CAL-CIS", "US-CAL-CISO"],
    ["Frankfrt", "gcp:europe-west3"],
  ])("'%s' is unknown, and the hint has %s", (where, near) => {
    const { code, hint } = thrownBy(() => findPlace(where));
    expect(code).toBe("E_PLACE_UNKNOWN");
    expect(hint).toContain(near);
  });

  it("answers any text with a place or E_PLACE_UNKNOWN", () => {
    const known = new Set(everywhere.map(({ id }) => id));
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.constantFrom("__proto__", "constructor", "x".repeat(100_000))), (where) => {
        try {
          return known.has(findPlace(where).id);
        } catch (error) {
          return error instanceof LightfootError && error.code === "E_PLACE_UNKNOWN";
        }
      }),
    );
  });
});

describe("grid intensities", () => {
  it("are what @tgwf/co2 holds: every zone and year, every country", () => {
    for (const [set, { data }] of Object.entries(co2.electricityMaps)) {
      if (!set.startsWith("yearly")) continue;
      for (const [zone, { carbonIntensity }] of Object.entries(data)) {
        const ours = electricityMapsYears(zone).find(({ year }) => year === Number(set.slice(6)));
        expect(ours?.figure.value, `${zone} ${set}`).toBe(
          carbonIntensity.value > 0 ? carbonIntensity.value : undefined,
        );
      }
    }
    for (const { iso2, iso3, ember_year: year } of countries().rows) {
      const ember = findPlace(iso2).intensities.find(({ dataset }) => dataset === "Ember yearly");
      expect(ember?.figure.value, iso3).toBe(year === null ? undefined : co2.averageIntensity.data[iso3]);
      if (ember !== undefined) expect(ember.year).toBe(year);
    }
    expect(findPlace("world").intensities[0].figure.value).toBe(co2.averageIntensity.data["WORLD"]);
  });

  it("have unit, year, method and licence, lie in their interval and below what any plant emits", () => {
    for (const { id, intensities } of everywhere) {
      for (const { figure, year, dataset, licence } of intensities) {
        expect(figure.unit).toBe("gCO2e/kWh");
        expect(figure.low > 0 && figure.low < figure.value && figure.value < figure.high, id).toBe(true);
        expect(figure.value, id).toBeLessThanOrEqual(2000);
        expect(year >= 2021 && year <= 2026, `${id} ${year}`).toBe(true);
        expect(figure.sources.join() && dataset && licence).not.toBe("");
      }
    }
  });

  it("are unknown, not 0, where the source says 0, and a marginal 0 is left out", () => {
    expect(co2.averageIntensity.data["CAF"]).toBe(0);
    expect(findPlace("CF").intensities.map(({ dataset }) => dataset)).not.toContain("Ember yearly");
    expect(Number(co2.marginalIntensity.data["ISL"])).toBe(0);
    expect(findPlace("IS").intensities.map(({ kind }) => kind)).not.toContain("marginal");
    expect(findPlace("DE").intensities.at(-1)?.figure.value).toBe(Number(co2.marginalIntensity.data["DEU"]));
  });

  it("span the zone's own largest change from year to year", () => {
    for (const zone of ["DE", "FR", "US-CAL-CISO"]) {
      const years = electricityMapsYears(zone);
      const { figure } = years[0];
      for (const [index, { figure: before }] of years.slice(1).entries()) {
        const change = years[index].figure.value / before.value;
        expect(figure.high / figure.value).toBeGreaterThanOrEqual(Math.max(change, 1 / change, 1.1) - 1e-12);
      }
    }
  });

  it("of one method may be compared, of two are refused with both named", () => {
    const [germany, france, california] = ["DE", "FR", "egrid:CAMX"].map((id) => findPlace(id).intensities[0]);
    expect(comparableIntensities([germany, france])).toEqual([germany, france]);
    const { code, message } = thrownBy(() => comparableIntensities([germany, california]));
    expect(code).toBe("E_BASIS");
    expect(message).toContain(intensityMethod(germany));
    expect(message).toContain(intensityMethod(california));
    expect(incomparable([])).toBeUndefined();
  });

  it("of China are direct CO2, of eGRID direct and generated, of the zones life-cycle and consumed", () => {
    expect(intensityMethod(findPlace("cn:Beijing").intensities[0])).toBe("direct CO2 only, consumption-based, average");
    expect(intensityMethod(findPlace("egrid:CAMX").intensities[0])).toBe("direct, generation-based, average");
    expect(intensityMethod(findPlace("US-CAL-CISO").intensities[0])).toBe("life-cycle, consumption-based, average");
    expect(findPlace("alibaba:cn-beijing").intensities.map(({ dataset }) => dataset)).toEqual([
      "Electricity Maps yearly",
      "China MEE/NBS",
    ]);
  });
});

describe("cloud regions", () => {
  it("lie on zones that exist, in states that exist", () => {
    const states = new Set(usStates().rows.map(({ code }) => code));
    for (const { provider, region, zone, state } of cloudRegions().rows) {
      expect(electricityMapsYears(zone).length, `${provider}:${region} ${zone}`).toBeGreaterThan(0);
      if (state?.startsWith("US-")) expect(states).toContain(state);
    }
    for (const { zones, egrid } of usStates().rows) {
      for (const id of [...zones, ...egrid.map((key) => `egrid:${key}`)]) expect(findPlace(id).id).toBe(id);
    }
  });

  it("have PUE from 1 to 2 and WUE from 0 to 5, or none: unknown is never 1 and never 0", () => {
    for (const { id, powerUsageEffectiveness: pue, waterUsageEffectiveness: wue } of everywhere) {
      if (pue !== undefined) expect(pue.low >= 1 && pue.value > 1 && pue.high < 2, id).toBe(true);
      if (wue !== undefined) expect(wue.low >= 0 && wue.high <= 5, id).toBe(true);
    }
    expect(findPlace("azure:francecentral").powerUsageEffectiveness).toBeUndefined();
    expect(findPlace("gcp:us-central1").waterUsageEffectiveness).toBeUndefined();
  });

  it("say when a fleet mean or a design value stands in", () => {
    const keys = (part: Figure | undefined) => part?.assumptions.map(({ key }) => key);
    expect(keys(findPlace("gcp:europe-west3").powerUsageEffectiveness)).toEqual(["place.pue-fleet"]);
    expect(keys(findPlace("azure:polandcentral").powerUsageEffectiveness)).toEqual(["place.pue-design"]);
    expect(keys(findPlace("aws:ap-east-1").waterUsageEffectiveness)).toEqual(["place.wue-fleet"]);
    expect(keys(findPlace("aws:us-east-1").powerUsageEffectiveness)).toEqual([]);
  });

  it("are free of the errors found in the source", () => {
    const row = (region: string) =>
      cloudRegions().rows.filter((entry) => entry.provider === "azure" && entry.region === region);
    expect(row("northeurope")).toMatchObject([{ country: "IE", zone: "IE" }]);
    expect(row("westus")).toMatchObject([{ zone: "US-CAL-CISO", pue: null, wue: null, cfe_share: null }]);
    expect(row("westus2")).toMatchObject([{ state: "US-WA", pue: 1.15 }]);
    expect(row("northcentralus")).toMatchObject([{ zone: "US-MIDA-PJM", state: "US-IL" }]);
  });
});

describe("electricity prices", () => {
  const keysAt = (where: string) => findPlace(where).electricityPrice?.figure.assumptions.map(({ key }) => key);

  it("are the state's where region or zone lie in one, else the country's, which is then said", () => {
    expect(findPlace("aws:us-east-1").electricityPrice?.figure).toMatchObject({ value: 0.0899, unit: "USD/kWh" });
    expect(keysAt("aws:us-east-1")).toEqual([]);
    expect(findPlace("US-CAL-CISO").electricityPrice?.figure.value).toBe(0.2153);
    expect(keysAt("US-CAL-CISO")).toEqual([]);
    expect(keysAt("egrid:CAMX")).toEqual(["place.national-price"]);
    expect(keysAt("aws:eu-central-1")).toEqual(["place.national-price"]);
    expect(keysAt("DE")).toEqual([]);
  });

  it("are unknown where nobody published one that may be passed on", () => {
    expect(findPlace("GB").electricityPrice).toBeUndefined();
  });
});

describe("shapes", () => {
  it("have 12 months of 24 hours above zero, and levels near the grid's own", () => {
    expect(zonesWithShape().length).toBe(11);
    for (const zone of zonesWithShape()) {
      const shape = hourlyShape(zone);
      expect(shape?.byMonthHour.map((hours) => hours.length)).toEqual(Array.from({ length: 12 }, () => 24));
      for (const value of shape?.byMonthHour.flat() ?? []) expect(value > 0 && value < 1000, zone).toBe(true);
    }
    expect(hourlyShape("XX")).toBeUndefined();
  });

  it("dip at noon in sunny California: 20:00 UTC in May is cleaner than 04:00", () => {
    const may = hourlyShape("US-CAL-CISO")?.byMonthHour[4] ?? [];
    expect(may[20]).toBeLessThan(may[4]);
  });
});
