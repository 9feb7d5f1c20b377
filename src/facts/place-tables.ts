// The tables of places as typed rows; may depend on its room.
import { readTable, type Table } from "./table.ts";

export interface CountryRow {
  readonly iso2: string;
  readonly iso3: string;
  readonly name: string;
  /** Year of Ember's value in `@tgwf/co2`. */
  readonly ember_year: number | null;
}

export interface SubregionRow {
  readonly key: string;
  readonly name: string;
  readonly g_2023: number;
  readonly g_2022: number | null;
}

export interface ChinaRow {
  readonly code: string | null;
  readonly name: string;
  readonly level: "province" | "region";
  readonly g_2022: number;
  readonly g_2021: number | null;
}

export interface CloudRegionRow {
  readonly provider: string;
  readonly region: string;
  readonly location: string;
  readonly country: string;
  readonly zone: string;
  readonly state: string | null;
  readonly pue: number | null;
  readonly pue_year: number | null;
  readonly pue_basis: "published" | "design" | "declared by a third party" | null;
  readonly wue: number | null;
  readonly wue_year: number | null;
  readonly wue_basis: "region" | "provider mean" | null;
  readonly cfe_share: number | null;
  readonly cfe_year: number | null;
  readonly cfe_kind: "hourly" | "annual" | null;
  readonly source: string;
  readonly note: string | null;
}

/** What a provider says about all its sites together, for regions it says nothing about. */
export interface FleetValue {
  readonly provider: string;
  readonly pue?: number;
  readonly wue?: number;
  readonly year: number;
  readonly basis: string;
}

export interface GridWaterRow {
  readonly iso3: string;
  readonly water_l_per_kwh: number;
}

export interface UsStateRow {
  readonly code: string;
  readonly name: string;
  readonly egrid: readonly string[];
  readonly zones: readonly string[];
}

export const countries = () => readTable<CountryRow>("places/countries");
export const egridSubregions = () => readTable<SubregionRow>("places/egrid");
export const chinaAreas = () => readTable<ChinaRow>("places/china");
export const cloudRegions = () =>
  readTable<CloudRegionRow>("places/cloud-regions") as Table<CloudRegionRow> & {
    readonly fleet: readonly FleetValue[];
  };
export const gridWater = () => readTable<GridWaterRow>("places/grid-water");
export const usStates = () => readTable<UsStateRow>("places/us-states");
