// Energy counters of Linux powercap (RAPL): zones, what contains or mirrors what, and reading them; may depend on its room and facts.
import { join } from "node:path";
import { matchCpu, type CpuIdentity } from "../facts/cpu.ts";
import type { CounterSpec } from "./counter.ts";
import { isDenied, namesIn, numberOf, parseCount, readOnce, reasonOf, textOf } from "./small-files.ts";
import type { SmallFileReader, SmallFiles } from "./small-files.ts";
import type { Domain, DomainKind, Reading, Source, SourceProblem } from "./source.ts";

export interface PowercapOptions {
  readonly files: SmallFiles;
  /** Where /sys is mounted. */
  readonly sysRoot: string;
  /** Monotonic seconds. */
  readonly clock: () => number;
  /** The processor, for the most a package can draw and for known wrong units. */
  readonly cpu?: CpuIdentity;
  /** A guest sees no counters, whatever it loads or mounts. */
  readonly isVirtual?: boolean;
}

/** One powercap zone as its files describe it. */
interface Zone {
  /** `intel-rapl:0:1`: unique, also where two sockets both have a zone called `dram`. */
  readonly key: string;
  readonly folder: string;
  readonly name: string;
  readonly kind: DomainKind;
  /** `intel-rapl`, `intel-rapl-mmio`. */
  readonly control: string;
  readonly parent?: string;
  readonly range?: bigint;
  /** W, the highest limit that a constraint names. */
  readonly limitWatts?: number;
  /** The counter when the zone was found, or why it cannot be read. */
  readonly first: bigint | { readonly error: string };
}

const ZONE_NAME = /^[A-Za-z][\w-]*(:\d+)+$/;
const CONTROL_NAME = /^[A-Za-z][\w-]*$/;
const NOT_ZONES: ReadonlySet<string> = new Set(["subsystem", "device", "power", "driver"]);
/** control type, package, subzone: deeper trees do not exist, except by links in a circle. */
const MOST_DEPTH = 4;
const MOST_ZONES = 4096;
const MOST_FOLDERS = 10_000;

/** The most that one domain of a kind draws, W, when nothing says it: above the largest parts sold. */
const CEILING_WATTS: Readonly<Partial<Record<DomainKind, number>>> = { dram: 500, psys: 6000 };
const PACKAGE_CEILING_WATTS = 1500;
/** Limits may be set far below what a part draws for a moment, or be 0 for "none". */
const FLOOR_WATTS = 100;
/** Turbo was seen at 2.6 times the thermal design power. */
const TURBO_OVER_TDP = 3;
/** Every counter of something that is switched on moves within milliseconds. */
const FROZEN_AFTER_SECONDS = 5;
/** Counters of separate dies rarely stand this close; a mirror read microseconds later does. `apartAfterAll` mends a chance. */
const MIRROR_MICROJOULES = 1_000_000n;

// Before Linux commit 80275ca9e525 DRAM of Sapphire Rapids was read in 15.3 µJ units; the counter's unit is 2⁻¹⁴ J.
const SAPPHIRE_RAPIDS = { family: 6, model: 143 };
const RANGE_OF_SMALL_UNIT = 65_712_999_613n;
const SMALL_UNIT_CORRECTION = { numerator: 6_103_515_625n, denominator: 1_530_000_000n };

function kindOf(name: string): DomainKind {
  if (/^package(-\d+)*(-die-\d+)?$/.test(name)) return "package";
  if (name === "core" || name === "uncore" || name === "dram" || name === "psys") return name;
  return "sensor";
}

/** All zones below `class/powercap`, or below the devices where the class is missing. */
function findZones({ files, sysRoot }: PowercapOptions): Zone[] {
  const zones = new Map<string, Zone>();
  let visited = 0;
  const visit = (folder: string, depth: number): void => {
    visited += 1;
    if (visited > MOST_FOLDERS) return;
    const names = namesIn(files, folder).filter((name) => !NOT_ZONES.has(name));
    const fresh = names.filter((name) => ZONE_NAME.test(name) && !zones.has(name));
    // The class lists each zone flat and nested, and copied trees hold it twice: a zone's name is unique in the kernel.
    for (const name of fresh) {
      const zone = zones.size < MOST_ZONES ? describeZone(files, join(folder, name), name) : undefined;
      if (zone !== undefined) zones.set(name, zone);
    }
    // Control types stand at the top, subzones in their zones; nothing else leads to a zone.
    const deeper = depth === 1 ? [...fresh, ...names.filter((name) => CONTROL_NAME.test(name))] : fresh;
    if (depth < MOST_DEPTH) for (const name of deeper) visit(join(folder, name), depth + 1);
  };
  for (const root of ["class/powercap", "devices/virtual/powercap"]) {
    if (zones.size === 0) visit(join(sysRoot, root), 1);
  }
  return [...zones.values()].toSorted((a, b) => a.key.localeCompare(b.key, "en", { numeric: true }));
}

function describeZone(files: SmallFiles, folder: string, key: string): Zone | undefined {
  const energy = readOnce(files, join(folder, "energy_uj"));
  if ("error" in energy && energy.error === "no such file") return undefined; // a zone that limits power and counts nothing
  const name = (textOf(files, join(folder, "name")) ?? key).slice(0, 80);
  const value = "text" in energy ? parseCount(energy.text) : undefined;
  const range = numberOf(files, join(folder, "max_energy_range_uj"));
  const limits = namesIn(files, folder)
    .filter((file) => /^constraint_\d+_(power_limit|max_power)_uw$/.test(file))
    .map((file) => Number(numberOf(files, join(folder, file)) ?? 0n) / 1e6);
  const colons = key.split(":");
  return {
    key,
    folder,
    name,
    kind: kindOf(name),
    control: colons[0],
    ...(colons.length > 2 ? { parent: colons.slice(0, -1).join(":") } : {}),
    ...(range === undefined || range === 0n ? {} : { range }),
    ...(limits.some((limit) => limit > 0) ? { limitWatts: Math.max(...limits) } : {}),
    first: value ?? {
      error: "error" in energy ? energy.error : `not a number: ${JSON.stringify(energy.text.slice(0, 40))}`,
    },
  };
}

const isReadable = (zone: Zone): boolean => typeof zone.first === "bigint";

/** Why a zone does not count towards the total; undefined when it does. */
function whyNot(zone: Zone, zones: readonly Zone[]): string | undefined {
  const readable = zones.filter(isReadable);
  const others = readable.filter((other) => other !== zone);
  const twin = (control: string): Zone | undefined =>
    others.find(
      (other) =>
        other.control === control && other.name === zone.name && packageOf(other, zones) === packageOf(zone, zones),
    );
  if (!isReadable(zone)) {
    const other = others.find(
      (each) =>
        each.name === zone.name && each.control !== zone.control && packageOf(each, zones) === packageOf(zone, zones),
    );
    if (other !== undefined) return `cannot be read; ${other.key} shows the same counter`;
    const platform = others.find(({ kind }) => kind === "psys");
    if (zone.kind === "package" && platform !== undefined) return `cannot be read; contained in ${platform.name}`;
  }
  if (zone.control.endsWith("-mmio")) {
    const msr = twin(zone.control.replace(/-mmio$/, ""));
    if (msr !== undefined) return `the same counter as ${msr.key}, read through memory instead of a register`;
  }
  if (zone.kind === "psys") {
    const packages = new Set(others.filter(({ kind }) => kind === "package").map(({ name }) => name));
    if (packages.size > 0) return `contains ${[...packages].join(", ")}; what it contains is added instead`;
  }
  if (zone.kind === "core" || zone.kind === "uncore") {
    const parent = others.find(({ key }) => key === zone.parent);
    if (parent !== undefined) return `contained in ${parent.name}`;
    const platform = others.find(({ kind }) => kind === "psys" || kind === "package");
    if (platform !== undefined) return `contained in ${platform.name}`;
  }
  if (
    zone.kind === "dram" &&
    others.every(({ kind }) => kind !== "package") &&
    others.some(({ kind }) => kind === "psys")
  ) {
    return "contained in psys";
  }
  if (zone.kind === "sensor") return `no known kind of zone, so what it contains is not known`;
  const mirrored = mirroredBy(zone, readable);
  return mirrored === undefined ? undefined : `mirrors ${mirrored.name}: both show one counter`;
}

/** Dies of one package that show one and the same counter: seen on AMD Threadripper. */
function mirroredBy(zone: Zone, readable: readonly Zone[]): Zone | undefined {
  const die = /^(package-\d+)-die-\d+$/.exec(zone.name);
  if (die === null || typeof zone.first !== "bigint") return undefined;
  const before = readable.slice(0, readable.indexOf(zone));
  return before.find(({ name, control, first }) => {
    if (control !== zone.control || !name.startsWith(`${die[1]}-die-`) || typeof first !== "bigint") return false;
    const apart = first - (zone.first as bigint);
    return apart < MIRROR_MICROJOULES && -apart < MIRROR_MICROJOULES;
  });
}

/** Name of the package a zone belongs to, its own for a package. */
function packageOf(zone: Zone, zones: readonly Zone[]): string {
  return zones.find(({ key }) => key === zone.parent)?.name ?? zone.name;
}

/** The most a zone can draw, W: its highest limit, capped by what such parts can draw at all. */
export function mostWattsOf(kind: DomainKind, limitWatts: number | undefined, designWatts: number | undefined): number {
  const part = designWatts === undefined ? PACKAGE_CEILING_WATTS : TURBO_OVER_TDP * designWatts;
  const ceiling = CEILING_WATTS[kind] ?? Math.max(part, FLOOR_WATTS);
  return Math.min(Math.max(limitWatts ?? ceiling, FLOOR_WATTS), ceiling);
}

function counterOf(zone: Zone, zones: readonly Zone[], cpu: CpuIdentity | undefined): CounterSpec {
  const parent = zones.find(({ key }) => key === zone.parent);
  // Limits of a subzone are often 0 or missing: what the package may draw bounds its cores, not its memory.
  const limit = zone.limitWatts ?? (zone.kind === "dram" ? undefined : parent?.limitWatts);
  const design = cpu === undefined ? undefined : matchCpu(cpu).part?.tdp_w;
  return {
    mostWatts: mostWattsOf(zone.kind, limit, design),
    ...(zone.range === undefined ? {} : { range: zone.range }),
    ...(hasSmallUnit(zone, cpu) ? { scale: SMALL_UNIT_CORRECTION } : {}),
    ...(zone.kind === "core" || zone.kind === "uncore" || zone.kind === "sensor"
      ? {}
      : { frozenAfterSeconds: FROZEN_AFTER_SECONDS }),
  };
}

const hasSmallUnit = (zone: Zone, cpu: CpuIdentity | undefined): boolean =>
  zone.kind === "dram" &&
  zone.range === RANGE_OF_SMALL_UNIT &&
  cpu?.family === SAPPHIRE_RAPIDS.family &&
  cpu.model === SAPPHIRE_RAPIDS.model;

function domainOf(zone: Zone, zones: readonly Zone[], cpu: CpuIdentity | undefined): Domain {
  const why = whyNot(zone, zones);
  const note = hasSmallUnit(zone, cpu)
    ? "this kernel takes the counter's unit for 15.3 µJ; corrected to 61.04 µJ (Linux commit 80275ca9e525)"
    : undefined;
  const parent = zones.find(({ key }) => key === zone.parent);
  const mirrored = mirroredBy(zone, zones.filter(isReadable));
  return {
    id: `powercap:${zone.key}`,
    label: parent === undefined ? zone.name : `${zone.name} of ${parent.name}`,
    kind: zone.kind,
    device: packageOf(zone, zones),
    method: "measured",
    countsTowardsTotal: why === undefined,
    ...(why === undefined && note === undefined
      ? {}
      : { why: [why, note].filter((text) => text !== undefined).join("; ") }),
    ...(mirrored !== undefined && { mirrors: `powercap:${mirrored.key}` }),
    counter: counterOf(zone, zones, cpu),
    sources: ["Linux powercap energy counter (RAPL)"],
  };
}

/** Zones that can be read, and what is wrong with the others. */
export function openPowercap(options: PowercapOptions): { source?: Source; problems: SourceProblem[] } {
  const zones = findZones(options);
  const readable = zones.filter(isReadable);
  const problems = problemsOf(options, zones);
  if (readable.length === 0) return { problems };
  // A package that cannot be read stays in: left out, the total would look complete without it.
  const readers = zones.map((zone) => ({
    id: `powercap:${zone.key}`,
    file: options.files.reader(join(zone.folder, "energy_uj")),
  }));
  const domains = zones.map((zone) => domainOf(zone, zones, options.cpu));
  return {
    problems,
    source: {
      name: "powercap",
      domains: () => domains,
      read: () => readers.map(({ id, file }) => readZone(id, file, options.clock)),
      problems: () => newcomersOf(options, zones),
      close: () => readers.forEach(({ file }) => file.close()),
    },
  };
}

/** Zones that were not there when the meter was opened (a module loaded meanwhile) are not counted, and that is told. */
function newcomersOf(options: PowercapOptions, zones: readonly Zone[]): SourceProblem[] {
  const known = new Set(zones.map(({ key }) => key));
  const keys = findZones(options).flatMap(({ key }) => (known.has(key) ? [] : [key]));
  if (keys.length === 0) return [];
  const named = `${keys.slice(0, 8).join(", ")}${keys.length > 8 ? ", …" : ""}`;
  const message = `${keys.length} zone${keys.length === 1 ? "" : "s"} appeared after reading began and nothing of them was counted: ${named}`;
  return [{ source: "powercap", code: "broken", message, remedies: [{ what: "Start the run again" }] }];
}

function readZone(domain: string, file: SmallFileReader, clock: () => number): Reading {
  try {
    const text = file.read();
    const energyMicrojoules = parseCount(text);
    const atSeconds = clock();
    if (energyMicrojoules !== undefined) return { domain, atSeconds, energyMicrojoules };
    return { domain, atSeconds, error: `not a number: ${JSON.stringify(text.slice(0, 40))}` };
  } catch (error) {
    return { domain, atSeconds: clock(), error: reasonOf(error) };
  }
}

function problemsOf({ files, sysRoot, isVirtual = false }: PowercapOptions, zones: readonly Zone[]): SourceProblem[] {
  const folder = join(sysRoot, "class/powercap");
  if (zones.length === 0) {
    return [{ source: "powercap", code: "absent", ...absence(namesIn(files, folder), folder, isVirtual) }];
  }
  const bad = zones.filter((zone) => !isReadable(zone));
  if (bad.length === 0) return [];
  const denied = bad.filter(({ first }) => typeof first !== "bigint" && isDenied(first.error));
  const reasons = [...new Set(bad.map(({ first }) => (typeof first === "bigint" ? "" : first.error)))].slice(0, 8);
  return [
    {
      source: "powercap",
      code: denied.length > 0 ? "permission" : "broken",
      message: `${bad.length} of ${zones.length} zones cannot be read (${reasons.join("; ")}): ${bad
        .slice(0, 8)
        .map(({ key }) => key)
        .join(", ")}${bad.length > 8 ? ", …" : ""}`,
      remedies: denied.length > 0 ? PERMISSION_REMEDIES : [],
    },
  ];
}

const LOAD_MODULE = {
  what: "On bare metal, load the module (Intel; AMD from Linux 5.11)",
  command: "sudo modprobe intel_rapl_msr",
};
const MOUNT_TREE = {
  what: "In a container on bare metal, mount the host's tree (read-only) and name it",
  command:
    "docker run -v /sys/class/powercap:/host/sys/class/powercap:ro -v /sys/devices/virtual/powercap:/host/sys/devices/virtual/powercap:ro IMAGE lightfoot doctor --sys-root /host/sys",
};

/** Why there is no zone at all: nothing there, links into a masked tree, or a guest. */
function absence(
  listed: readonly string[],
  folder: string,
  isVirtual: boolean,
): Pick<SourceProblem, "message" | "remedies"> {
  const found =
    listed.length === 0
      ? `${folder} has no zones`
      : `${folder} lists ${listed.length} entries, none of which counts energy`;
  if (isVirtual) {
    return {
      message: `${found}: this is a virtual machine, and only its host can read the counters`,
      remedies: [{ what: "Measure on the host or on bare metal; here, the model below stands in" }],
    };
  }
  if (listed.length > 0) {
    return { message: `${found}: a container masks what its links lead to`, remedies: [MOUNT_TREE, LOAD_MODULE] };
  }
  return {
    message: `${found}: the module is not loaded, or a container hides it`,
    remedies: [LOAD_MODULE, MOUNT_TREE],
  };
}

/** Counters are for root alone since Linux 5.10, because they can betray secrets (PLATYPUS): a group of trusted users is enough. */
const PERMISSION_REMEDIES = [
  {
    what: "Let a group read the counters, now and after each start (a udev rule); log in again afterwards",
    command: [
      "sudo groupadd --force --system energy && sudo usermod --append --groups energy $USER",
      "sudo tee /etc/udev/rules.d/70-energy-counters.rules <<'RULE'",
      `SUBSYSTEM=="powercap", KERNEL=="intel-rapl*:*", ACTION=="add", RUN+="/bin/sh -c 'chgrp energy /sys%p/energy_uj; chmod g+r /sys%p/energy_uj'"`,
      "RULE",
      "sudo udevadm control --reload && sudo udevadm trigger --subsystem-match=powercap --action=add",
    ].join("\n"),
  },
  {
    what: "Or only until the next start, without a rule",
    command:
      "sudo sh -c 'chgrp energy /sys/class/powercap/intel-rapl*:*/energy_uj && chmod g+r /sys/class/powercap/intel-rapl*:*/energy_uj'",
  },
];
