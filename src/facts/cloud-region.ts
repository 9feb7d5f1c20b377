// What a cloud provider says of a region, PUE, WUE and carbon-free share, with what stands in where it is silent; may depend on quantity and its room.
import { figure, type Figure } from "../quantity/figure.ts";
import { cloudRegions, type CloudRegionRow } from "./place-tables.ts";

export interface CarbonFreeShare {
  readonly figure: Figure;
  readonly kind: "hourly" | "annual" | "grid";
  readonly year: number;
}

const highest = (provider: string, column: "pue" | "wue"): number =>
  Math.max(0, ...cloudRegions().rows.map((row) => (row.provider === provider ? (row[column] ?? 0) : 0)));

/** PUE of a region; a fleet mean stands in where the provider publishes one, and says so. */
export function powerUsage(row: CloudRegionRow): Figure | undefined {
  const { interval, sources = {}, fleet } = cloudRegions();
  const top = highest(row.provider, "pue");
  if (row.pue === null) {
    const mean = fleet.find(({ provider, pue }) => provider === row.provider && pue !== undefined);
    if (mean?.pue === undefined) return undefined;
    return figure({
      value: mean.pue,
      low: 1,
      high: Math.max(top, mean.pue) * 1.05,
      unit: "1",
      method: "assumed",
      sources: [`${sources["fleet"]}: ${row.provider}, ${mean.basis}, ${mean.year}`],
      assumptions: [
        {
          key: "place.pue-fleet",
          text: `${row.provider} publishes no PUE for ${row.region}: its ${mean.basis} stands in.`,
        },
      ],
    });
  }
  const half = Number(interval[row.pue_basis === "declared by a third party" ? "pue_third_party" : "pue_published"]);
  const design = row.pue_basis === "design";
  return figure({
    value: row.pue,
    low: Math.max(1, row.pue * (1 - half)),
    high: design ? Math.max(top, row.pue) : row.pue * (1 + half),
    unit: "1",
    method: "declared",
    sources: [`${sources[row.source]}: ${row.provider} ${row.region}, ${row.pue_basis}, ${row.pue_year}`],
    assumptions: design
      ? [
          {
            key: "place.pue-design",
            text: `The PUE of ${row.region} is what the site was designed for, not a measurement.`,
          },
        ]
      : [],
  });
}

/** WUE of a region, L/kWh of IT energy on site; the provider's mean stands in, and says so. */
export function waterUsage(row: CloudRegionRow): Figure | undefined {
  const { interval, sources = {}, fleet } = cloudRegions();
  const mean = fleet.find(({ provider, wue }) => provider === row.provider && wue !== undefined);
  const regional = row.wue !== null && row.wue_basis === "region";
  const value = row.wue ?? mean?.wue;
  if (value === undefined) return undefined;
  const half = Number(interval["wue_region"]);
  return figure({
    value,
    low: regional ? value * (1 - half) : 0,
    high: regional ? value * (1 + half) : highest(row.provider, "wue"),
    unit: "L/kWh",
    method: regional ? "declared" : "assumed",
    sources: [
      `${sources[row.source]}: ${row.provider} ${row.region}, ${row.wue_basis ?? mean?.basis}, ${row.wue_year ?? mean?.year}`,
    ],
    assumptions: regional
      ? []
      : [
          {
            key: "place.wue-fleet",
            text: `${row.provider} publishes no WUE for ${row.region}: its mean over all sites stands in.`,
          },
        ],
  });
}

/** The provider's own claim. */
export function carbonFree(row: CloudRegionRow): { readonly carbonFreeShare?: CarbonFreeShare } {
  if (row.cfe_share === null || row.cfe_year === null || row.cfe_kind === null) return {};
  const { sources = {} } = cloudRegions();
  return {
    carbonFreeShare: {
      kind: row.cfe_kind,
      year: row.cfe_year,
      figure: figure({
        value: row.cfe_share,
        unit: "1",
        method: "declared",
        sources: [`${sources[row.source]}: ${row.provider} ${row.region}, ${row.cfe_kind} matching, ${row.cfe_year}`],
      }),
    },
  };
}
