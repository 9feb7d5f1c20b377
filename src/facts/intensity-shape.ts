// The mean day of each month of a grid, to spread a yearly average over hours; may depend on its room.
import { readTable } from "./table.ts";

export interface IntensityShape {
  readonly zone: string;
  readonly year: number;
  /** gCO2e/kWh of the mean hour: 12 months of 24 hours from 0 to 23. A shape: scale it to the level of the year in question. */
  readonly byMonthHour: readonly (readonly number[])[];
  /** Whose hours: `UTC`, or `as published` where the source does not say. */
  readonly clock: "UTC" | "as published";
  readonly scope: "direct";
  readonly basis: "generation";
  readonly source: string;
  readonly licence: string;
}

interface ShapeRow {
  readonly zone: string;
  readonly year: number;
  readonly month: number;
  readonly clock: "UTC" | "as published";
  readonly by_hour: readonly number[];
  readonly source: string;
}

const shapes = () => readTable<ShapeRow>("places/hourly-shapes");

/** Zones that have a shape. */
export const zonesWithShape = (): string[] => [...new Set(shapes().rows.map(({ zone }) => zone))];

/** The shape of a zone (`US-CAL-CISO`, `DE`); undefined for most: hourly data is rarely free. */
export function hourlyShape(zone: string): IntensityShape | undefined {
  const { rows, sources = {}, licence } = shapes();
  const months = rows.filter((row) => row.zone === zone).sort((a, b) => a.month - b.month);
  const [first] = months;
  if (first === undefined) return undefined;
  return {
    zone,
    year: first.year,
    byMonthHour: months.map(({ by_hour }) => by_hour),
    clock: first.clock,
    scope: "direct",
    basis: "generation",
    source: sources[first.source] ?? first.source,
    licence,
  };
}
