// Between the evidence of a data center and its sheet of key figures; may depend on footprint, facts, errors and its room.
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { findPlace } from "../../facts/place.ts";
import { siteKpis, type SiteMeters } from "../../footprint/exchange/kpi-sheet.ts";
import { JOULES_PER_KWH } from "../../quantity/convert.ts";
import type { Evidence } from "./judge.ts";

/**
 * Meters from evidence of a site: energies, shares turned to energies, WUE to water; emissions from the grid of `where`.
 *
 * @throws LightfootError E_POLICY when the site's or the IT's energy is missing, or a stated PUE is another than theirs
 */
export function metersOfEvidence(evidence: ReadonlyMap<string, Evidence>, where: string | undefined): SiteMeters {
  const number = (field: string): number | undefined => {
    const value = evidence.get(field)?.value;
    return typeof value === "number" ? value : undefined;
  };
  const [siteKwh, itKwh] = [number("dc.siteEnergyKwh"), number("dc.itEnergyKwh")];
  if (siteKwh === undefined || itKwh === undefined) {
    throw new LightfootError("E_POLICY", "key figures need dc.siteEnergyKwh and dc.itEnergyKwh", {
      hint: "Give both for the same period; dc.pueMonths says how many months it has.",
    });
  }
  const joules = siteKwh * JOULES_PER_KWH;
  const [renewable, reused, wue] = [
    number("dc.renewableShare"),
    number("dc.reusedEnergyShare"),
    number("dc.wueAnnual"),
  ];
  const country = evidence.get("dc.country")?.value;
  const place = where ?? (typeof country === "string" ? country : undefined);
  const intensity = place === undefined ? undefined : findPlace(place).intensities[0]?.figure.value;
  const [months, pueCategory] = [number("dc.pueMonths"), number("dc.pueCategory")];
  const meters: SiteMeters = {
    siteEnergyJoules: joules,
    itEnergyJoules: itKwh * JOULES_PER_KWH,
    ...(renewable === undefined ? {} : { renewableEnergyJoules: renewable * joules }),
    ...(reused === undefined ? {} : { reusedEnergyJoules: reused * joules }),
    ...(wue === undefined ? {} : { waterLitres: wue * itKwh }),
    ...(intensity === undefined ? {} : { emissionsGrams: siteKwh * intensity }),
    ...(months === undefined ? {} : { months }),
    ...(pueCategory === undefined ? {} : { pueCategory }),
  };
  const [stated, computed] = [number("dc.pueAnnual"), siteKpis(meters).PUE!];
  if (stated !== undefined && Math.abs(stated / computed - 1) > 0.005) {
    throw new LightfootError("E_POLICY", `dc.pueAnnual is ${stated}, the energies give ${computed.toPrecision(4)}`);
  }
  return meters;
}

/** Evidence from a sheet's meters; the yearly PUE and WUE only where they cover twelve months. */
export function evidenceOfMeters(meters: SiteMeters, source: string): Map<string, Evidence> {
  const { PUE, WUE, REF, ERF } = siteKpis(meters);
  const isYear = meters.months === 12;
  const values: Record<string, number | undefined> = {
    "dc.siteEnergyKwh": meters.siteEnergyJoules / JOULES_PER_KWH,
    "dc.itEnergyKwh": meters.itEnergyJoules / JOULES_PER_KWH,
    "dc.pueAnnual": isYear ? PUE : undefined,
    "dc.wueAnnual": isYear ? WUE : undefined,
    "dc.renewableShare": REF,
    "dc.reusedEnergyShare": ERF,
    "dc.pueMonths": meters.months,
    "dc.pueCategory": meters.pueCategory,
  };
  return new Map(
    Object.entries(values).flatMap(([field, value]): [string, Evidence][] =>
      value === undefined ? [] : [[field, { value, method: "declared", source }]],
    ),
  );
}
