// A footprint as text for the terminal: one table, each line with what it covers and how it is known; may depend on this room, footprint and quantity.
import type { Cost, Footprint, GridEmissions } from "../../../footprint/footprint-schema.ts";
import type { Figure } from "../../../quantity/figure.ts";
import { formatFigure, formatNumber } from "../../../quantity/format.ts";
import { formatTable } from "../../terminal-table.ts";
import { wrapText } from "../../wrap-text.ts";

/** The text of `lightfoot footprint`. */
export function describeFootprint(found: Footprint, columns: number): string {
  const { emissions, water, embodied, money, place, period } = found;
  const rows: Row[] = [
    ...found.energyByBoundary.map((part): Row => [`energy, ${part.boundary}`, part, part.boundary, ""]),
    [
      "carbon, location-based",
      emissions.locationBased,
      emissions.locationBased.boundary,
      gridBasis(emissions.locationBased),
    ],
  ];
  const { marketBased } = emissions;
  if (marketBased !== null) {
    const parts = marketBased.parts.map(({ kind, fraction }) => `${kind} ${formatNumber(100 * fraction, "%", 3)}`);
    rows.push(["carbon, market-based", marketBased, marketBased.boundary, parts.join(", ")]);
  }
  if (embodied !== null) {
    const parts = embodied.parts.map(({ name, count }) => (count === 1 ? name : `${count} × ${name}`)).join(", ");
    rows.push([
      "carbon, embodied",
      embodied,
      embodied.boundary,
      `${parts}, ${formatNumber(embodied.usedSeconds, "s")}`,
    ]);
  }
  if (emissions.withEmbodied !== null) {
    rows.push(["carbon, with embodied", emissions.withEmbodied, emissions.withEmbodied.boundary, "location-based"]);
  }
  rows.push(
    ["water consumed", water.consumption, water.consumption.boundary, ""],
    ["  on the site", water.onSite, water.onSite.boundary, formatFigure(water.waterUsageEffectiveness)],
    ["  at power plants", water.offSite, water.offSite.boundary, formatFigure(water.gridWater)],
  );
  if (water.offSiteWithdrawal !== null) {
    rows.push(["water withdrawn", water.offSiteWithdrawal, water.offSiteWithdrawal.boundary, "at power plants"]);
  }
  if (money.electricity !== null)
    rows.push(["electricity", money.electricity, "facility", priceBasis(money.electricity)]);
  if (money.deviceHours !== null) rows.push(["device hours", money.deviceHours, "", priceBasis(money.deviceHours)]);
  if (money.carbon !== null) rows.push(["price of carbon", money.carbon, "facility", priceBasis(money.carbon)]);
  const where = place === null ? "" : ` in ${place.name}`;
  const when = period === null ? "" : `, ${period.from} to ${period.to}`;
  const table = formatTable(
    [{ title: "" }, { title: "figure" }, { title: "covers" }, { title: "known" }, { title: "from" }],
    rows.map(([name, part, boundary, from]) => [name, formatFigure(part), boundary, part.method, from]),
    columns,
  );
  const closing = [...otherMethods(found), ...(marketBased?.notes ?? []), ...unknownLine(found)];
  return [
    `Footprint of ${formatFigure(found.energyByBoundary[0])}${where}${when}`,
    table,
    ...closing.map((text) => wrapText(text, columns).join("\n")),
  ].join("\n\n");
}

type Row = [name: string, part: Figure, boundary: string, from: string];

function gridBasis({ intensity, kind, scope, vintage, coveredFraction }: GridEmissions): string {
  const covered =
    coveredFraction === null || coveredFraction === 1 ? "" : `, ${(100 * coveredFraction).toFixed(1)} % covered`;
  const declared = [kind, scope, vintage].filter((word) => word !== "undeclared").join(", ");
  return `${formatFigure(intensity)}, ${declared}${covered}`;
}

function priceBasis({ price, priceYear, isStale, basis }: Cost): string {
  if (priceYear === null) return formatFigure(price);
  return `${formatFigure(price)}, ${priceYear}${isStale ? ", stale" : ""}, ${basis}`;
}

function otherMethods({ emissions }: Footprint): string[] {
  if (emissions.otherMethods.length === 0) return [];
  const list = emissions.otherMethods.map(
    (other) => `  ${formatFigure(other)} by ${gridBasis(other)} (${other.dataset})`,
  );
  return [["By other data sets, which count something else and are not to be ranked:", ...list].join("\n")];
}

function unknownLine({ unknown }: Footprint): string[] {
  if (unknown.length === 0) return [];
  return [`Not in it: ${unknown.map(({ what, why }) => `${what} (${why})`).join("; ")}.`];
}
