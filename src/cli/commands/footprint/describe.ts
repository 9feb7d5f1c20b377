// A footprint as text for the terminal: one table, each line with what it covers and how it is known; may depend on this room, footprint and quantity.
import type { Cost, Footprint, GridEmissions } from "../../../footprint/footprint-schema.ts";
import type { Figure } from "../../../quantity/figure.ts";
import { formatCount, formatFigure, formatNumber } from "../../../quantity/format.ts";
import { formatTable, type Column } from "../../terminal-table.ts";
import { wrapText } from "../../wrap-text.ts";

type Row = readonly [name: string, part: Figure, boundary: string, from: string];

/** Below this the column of factors would break the table into blocks; it becomes a list. */
const WIDE_COLUMNS = 120;

/** The text of `lightfoot footprint`. */
export function describeFootprint(found: Footprint, columns: number): string {
  const { place, period, emissions } = found;
  const where =
    place === null ? "" : place.kind === "world" ? ", counted with the world's average" : ` in ${place.name}`;
  const when = period === null ? "" : `, ${period.from} to ${period.to}`;
  const rows = [...energyRows(found), ...carbonRows(found), ...waterRows(found), ...moneyRows(found)];
  const isWide = columns >= WIDE_COLUMNS;
  const head: Column[] = [{ title: "" }, { title: "figure", align: "right" }, { title: "covers" }, { title: "known" }];
  const cells = rows.map(([name, part, boundary, from]) => {
    const shown = [name, formatFigure(part), boundary, part.method];
    return isWide ? [...shown, from] : shown;
  });
  const table = formatTable(isWide ? [...head, { title: "from" }] : head, cells, columns);
  const factors = rows.flatMap(([name, , boundary, from]) =>
    from === "" ? [] : [`${name.trim()}${name === "energy" ? ` of the ${boundary}` : ""}: ${from}`],
  );
  const notes = emissions.marketBased?.notes ?? [];
  return [
    wrapText(`Footprint of ${formatFigure(knownEnergy(found))}${where}${when}`, columns).join("\n"),
    table,
    ...(isWide ? [] : [list("From:", factors, columns)]),
    ...otherMethods(found, columns),
    ...(notes.length === 0 ? [] : [list("Of the market-based figure:", notes, columns)]),
    ...unknownLine(found).map((text) => wrapText(text, columns).join("\n")),
  ].join("\n\n");
}

function list(title: string, items: readonly string[], columns: number): string {
  return [title, ...items.flatMap((item) => wrapText(`  ${item}`, columns, "    "))].join("\n");
}

const knownEnergy = ({ energyByBoundary, energyKnownAt, energy }: Footprint): Figure =>
  energyByBoundary.find(({ boundary }) => boundary === energyKnownAt) ?? energy;

/** Each boundary's energy, with the factor that led to it. */
function energyRows({ energyByBoundary: chain, energyKnownAt, powerUsageEffectiveness }: Footprint): Row[] {
  return chain.map((part, at): Row => {
    if (energyKnownAt === "facility") {
      const division = `facility / PUE ${formatNumber(powerUsageEffectiveness.value, "1", 3)}`;
      return ["energy", part, part.boundary, part.boundary === "facility" ? "" : division];
    }
    const inner = chain[at - 1];
    if (inner === undefined || inner.value === 0) return ["energy", part, part.boundary, ""];
    const factor = part.boundary === "facility" ? powerUsageEffectiveness.value : part.value / inner.value;
    const name = part.boundary === "facility" ? "PUE " : "× ";
    return ["energy", part, part.boundary, `${name}${formatNumber(factor, "1", 3)}`];
  });
}

function carbonRows({ emissions, embodied }: Footprint): Row[] {
  const { locationBased, marketBased, withEmbodied } = emissions;
  const rows: Row[] = [["carbon, location-based", locationBased, locationBased.boundary, gridBasis(locationBased)]];
  if (marketBased !== null) {
    const parts = marketBased.parts.map(({ kind, fraction }) => `${kind} ${formatNumber(100 * fraction, "%", 3)}`);
    rows.push(["carbon, market-based", marketBased, marketBased.boundary, parts.join(", ")]);
  }
  if (embodied !== null) {
    const life = formatNumber(embodied.lifetime.value / YEAR_SECONDS, "years", 3);
    rows.push([
      "carbon, embodied",
      embodied,
      embodied.boundary,
      `${formatNumber(embodied.usedSeconds, "s")} of ${life}`,
    ]);
    for (const { name, count, share } of embodied.parts)
      rows.push([`  ${formatCount(count)} × ${name}`, share, embodied.boundary, ""]);
  }
  if (withEmbodied !== null)
    rows.push(["carbon, with embodied", withEmbodied, withEmbodied.boundary, "location-based"]);
  return rows;
}

const YEAR_SECONDS = 365 * 86_400;

function waterRows({ water }: Footprint): Row[] {
  const { consumption, onSite, offSite, withdrawal } = water;
  const rows: Row[] = [
    ["water consumed", consumption, consumption.boundary, ""],
    [
      "  on the site",
      onSite,
      onSite.boundary,
      `${formatNumber(water.waterUsageEffectiveness.value, "L/kWh", 3)} of IT`,
    ],
    ["  at power plants", offSite, offSite.boundary, formatNumber(water.gridWater.value, "L/kWh", 3)],
  ];
  if (withdrawal !== null) rows.push(["water withdrawn", withdrawal, withdrawal.boundary, "at power plants"]);
  return rows;
}

function moneyRows({ money }: Footprint): Row[] {
  const named = [
    ["electricity", money.electricity],
    ["device hours", money.deviceHours],
    ["price of carbon", money.carbon],
  ] as const;
  return named.flatMap(([name, cost]): Row[] =>
    cost === null ? [] : [[name, cost, name === "device hours" ? "as priced" : cost.boundary, priceBasis(cost)]],
  );
}

function gridBasis({ intensity, kind, scope, vintage, coveredFraction }: GridEmissions): string {
  const covered =
    coveredFraction === null || coveredFraction === 1 ? "" : `${(100 * coveredFraction).toFixed(1)} % covered`;
  const words = [kind, scope, vintage, covered].filter((word) => word !== "undeclared" && word !== "");
  return `${formatNumber(intensity.value, intensity.unit, 3)}, ${words.join(", ")}`;
}

function priceBasis({ price, priceYear, isStale }: Cost): string {
  const age = priceYear === null ? "given" : `${priceYear}${isStale ? ", stale: a range" : ""}`;
  return `${formatNumber(price.value, price.unit, 3)}, ${age}`;
}

function otherMethods({ emissions }: Footprint, columns: number): string[] {
  if (emissions.otherMethods.length === 0) return [];
  const items = emissions.otherMethods.map((other) => `${formatFigure(other)}: ${gridBasis(other)} (${other.dataset})`);
  return [list("By other data sets, which count something else and are not to be ranked:", items, columns)];
}

function unknownLine({ unknown }: Footprint): string[] {
  if (unknown.length === 0) return [];
  return [`Not in it: ${unknown.map(({ what, why }) => `${what} (${why})`).join("; ")}.`];
}
