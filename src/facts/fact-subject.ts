// Everything known about one subject of the tables, as properties with year, basis and licence; may depend on quantity and its room.
import type { Figure } from "../quantity/figure.ts";
import { figure } from "../quantity/figure.ts";
import { accelerators } from "./accelerator-table.ts";
import { cpuParts, matchCpu, microarchitectures } from "./cpu.ts";
import { embodiedComponents, embodiedDevices, embodiedOfDevice } from "./embodied.ts";
import type { FactKind } from "./fact-kinds.ts";
import type { FactProperty, FactSubject } from "./facts-schema.ts";
import { intensityMethod } from "./grid-intensity.ts";
import { findHardware, listHardware, type HardwareProfile } from "./hardware.ts";
import { listPlaces, placeById, type Place } from "./place.ts";
import { cloudRegions, countries, gridWater } from "./place-tables.ts";
import { gpuHourPrices, launchPrice, priceOf, priceTable, type Price } from "./prices.ts";
import { readTable } from "./table.ts";

/** A subject that can be found, its facts not yet gathered. */
export interface SubjectEntry {
  readonly id: string;
  readonly name: string;
  readonly kind: FactKind;
  /** Words it should be found by besides id and name. */
  readonly words: string;
  readonly gather: () => FactProperty[];
}

interface TechnologyRow {
  readonly technology: string;
  readonly water_l_per_kwh: number;
}

const technologies = () => readTable<TechnologyRow>("places/water-by-technology");

/** Every subject of every table; `cpu:this` is left out, as it is of no table. */
export function subjectEntries(): SubjectEntry[] {
  const isCpu = (id: string): boolean => id.startsWith("cpu:");
  const hardware = listHardware()
    .filter(({ id }) => id !== "cpu:this")
    .map(({ id, name, vendor, kind }): SubjectEntry => ({
      id,
      name,
      kind: isCpu(id) ? "processor" : "hardware",
      words: `${vendor} ${kind} hardware ${isCpu(id) ? "cpu processor power" : "accelerator embodied price gpu hour power memory"}`,
      gather: () => hardwareFacts(findHardware(id)),
    }));
  const places = listPlaces().map(({ id, name, kind, countryCode }): SubjectEntry => ({
    id,
    name,
    kind: "place",
    words: `${kind.replace("-", " ")} ${countryCode === undefined ? "" : countryName(countryCode)} grid intensity carbon water electricity price ${kind === "cloud-region" ? "pue wue" : ""}`,
    gather: () => placeFacts(placeById(id)),
  }));
  return [...hardware, ...places, ...waterEntries(), ...embodiedEntries(), ...priceEntries()];
}

let names: ReadonlyMap<string, string> | undefined;
const countryName = (iso2: string): string => {
  names ??= new Map(countries().rows.map((row) => [row.iso2, row.name]));
  return names.get(iso2) ?? iso2;
};

/** A subject with its facts. */
export const subjectOf = ({ id, name, kind, gather }: SubjectEntry): FactSubject => ({
  id,
  name,
  kind,
  facts: gather(),
});

type Part = Figure | undefined;

const present = (properties: readonly (Omit<FactProperty, "figure"> & { readonly figure: Part })[]): FactProperty[] =>
  properties.flatMap((property) => (property.figure === undefined ? [] : [{ ...property, figure: property.figure }]));

function hardwareFacts(device: HardwareProfile): FactProperty[] {
  const licence = device.kind === "cpu" ? cpuParts().licence : accelerators().licence;
  const year = device.year ?? null;
  const line = (name: string, part: Part, basis: string) => ({ name, figure: part, year, basis, licence });
  const embodied = embodiedDevices();
  const made = embodied.rows.find((row) => row.device === device.id);
  return [
    ...present([
      ...Object.entries(device.peakRate).map(([type, rate]) =>
        line(`peak ${type}`, rate, device.kind === "cpu" ? "vector units, at base to boost clock" : "dense"),
      ),
      line("memory", device.memoryCapacity, "per device"),
      line("memory bandwidth", device.memoryBandwidth, "per device"),
      line("power limit", device.thermalDesignPower, "thermal design or board power: a limit, not a measurement"),
      line("link bandwidth", device.linkBandwidth, "one direction"),
      {
        name: "embodied emissions",
        figure: embodiedOfDevice(device.id),
        year: made?.year ?? embodiedComponents().compiled,
        basis: made?.boundary ?? "modelled from die area and memory",
        licence: made === undefined ? embodiedComponents().licence : embodied.licence,
      },
    ]),
    ...vcpuFacts(device),
    ...gpuHourPrices(device.id).map((price) => priceFact("device hour", price)),
    ...[launchPrice(device.id)].flatMap((price) => (price === undefined ? [] : [priceFact("price at launch", price)])),
  ];
}

/** Watts per hardware thread, from the generation of a server processor. */
function vcpuFacts(device: HardwareProfile): FactProperty[] {
  if (device.kind !== "cpu") return [];
  const generation = matchCpu({ modelName: device.name }).microarchitecture;
  if (generation === undefined) return [];
  const { interval, sources = {}, licence, compiled } = microarchitectures();
  const factor = Number(interval["watts"]);
  const watts = (value: number): Figure =>
    figure({
      value,
      low: value / factor,
      high: value * factor,
      unit: "W",
      method: "modelled",
      sources: [`${sources[generation.watts_source] ?? generation.watts_source}: ${generation.name}`],
    });
  const line = (name: string, value: number): FactProperty => ({
    name,
    figure: watts(value),
    year: compiled,
    basis: `whole server at the wall per hardware thread, fleet mean of ${generation.name}`,
    licence,
  });
  return [
    line("idle power per vCPU", generation.idle_w_per_vcpu),
    line("full power per vCPU", generation.full_w_per_vcpu),
  ];
}

function priceFact(name: string, price: Price): FactProperty {
  const where = [price.provider, price.region, price.instance].filter((part) => part !== undefined).join(" ");
  return {
    name,
    figure: price.figure,
    year: price.year,
    basis: where === "" ? price.basis : `${where}: ${price.basis}`,
    licence: price.licence,
  };
}

function placeFacts(place: Place): FactProperty[] {
  const row = cloudRegions().rows.find(
    ({ provider, region }) => provider === place.provider && region === place.region,
  );
  const { licence } = cloudRegions();
  const share = place.carbonFreeShare;
  const facts: FactProperty[] = place.intensities.map((intensity) => ({
    name: intensity.kind === "marginal" ? "marginal grid intensity" : "grid intensity",
    figure: intensity.figure,
    year: intensity.year,
    basis: `${intensityMethod(intensity)} (${intensity.dataset})`,
    licence: intensity.licence,
  }));
  return [
    ...facts,
    ...present([
      {
        name: "PUE",
        figure: place.powerUsageEffectiveness,
        year: row?.pue_year ?? fleetYear(place, "pue"),
        basis: row?.pue_basis ?? "mean over the provider's sites",
        licence,
      },
      {
        name: "WUE",
        figure: place.waterUsageEffectiveness,
        year: row?.wue_year ?? fleetYear(place, "wue"),
        basis: `on site, per kWh of IT energy, ${row?.wue_basis ?? "mean over the provider's sites"}`,
        licence,
      },
      {
        name: "carbon-free share",
        figure: share?.figure,
        year: share?.year ?? null,
        basis: share?.kind === "grid" ? "the grid's electricity" : `the provider's claim, ${share?.kind} matching`,
        licence: share?.kind === "grid" ? "ODbL 1.0, credit Electricity Maps" : licence,
      },
      {
        name: "grid water",
        figure: place.gridWater,
        year: 2020,
        basis: "consumed off site, reservoirs' evaporation included",
        licence: gridWater().licence,
      },
    ]),
    ...(place.electricityPrice === undefined ? [] : [priceFact("electricity, industry", place.electricityPrice)]),
  ];
}

const fleetYear = (place: Place, column: "pue" | "wue"): number | null =>
  cloudRegions().fleet.find((entry) => entry.provider === place.provider && entry[column] !== undefined)?.year ?? null;

function waterEntries(): SubjectEntry[] {
  const { rows, interval, source = "", licence } = technologies();
  const factor = Number(interval["factor"]);
  return rows.map(({ technology, water_l_per_kwh: value }) => ({
    id: `water:${technology}`,
    name: `${technology.replaceAll("-", " ")} power plants`,
    kind: "water",
    words: "water consumption cooling generation electricity litres",
    gather: () => [
      {
        name: "water consumed",
        figure: figure({
          value,
          low: value / factor,
          high: value * factor,
          unit: "L/kWh",
          method: "declared",
          sources: [source],
        }),
        year: 2012,
        basis: "consumption in operation, median of published studies",
        licence,
      },
    ],
  }));
}

function embodiedEntries(): SubjectEntry[] {
  return embodiedComponents().rows.map((row) => ({
    id: `embodied:${row.key}`,
    name: row.key.replaceAll("-", " "),
    kind: "embodied",
    words: `${row.unit} embodied making manufacture emissions server memory storage ${row.boundary ?? ""}`,
    gather: () => [
      {
        name: "factor",
        figure: figure({ value: row.value, unit: row.unit, method: "declared", sources: [row.source] }),
        year: row.year,
        basis: [row.boundary, row.note].filter((part) => part !== null).join("; ") || "parameter",
        licence: row.licence,
      },
    ],
  }));
}

/** Prices that hang on no device and no country: US states and carbon. */
function priceEntries(): SubjectEntry[] {
  const own = priceTable().rows.filter(({ kind, key }) => kind === "carbon" || key.startsWith("US-"));
  const states = new Map(
    readTable<{ readonly code: string; readonly name: string }>("places/us-states").rows.map((row) => [
      row.code,
      row.name,
    ]),
  );
  return own.map((row) => ({
    id: `price:${row.key}`,
    name:
      row.kind === "carbon"
        ? "EU emissions trading (EU ETS), carbon price"
        : `${states.get(row.key) ?? row.key}, electricity`,
    kind: "price",
    words: "price electricity industry United States",
    gather: () => [priceFact(row.kind === "carbon" ? "carbon price" : "electricity, industry", priceOf(row))],
  }));
}
