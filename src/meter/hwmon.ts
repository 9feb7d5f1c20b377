// Energy and power sensors of Linux hwmon: known chips count, the rest is shown; may depend on its room.
import { basename, join } from "node:path";
import type { MeterEnvironment, Opened } from "./environment.ts";
import { isDenied, namesIn, numberOf, parseCount, readOnce, reasonOf, textOf } from "./small-files.ts";
import type { SmallFileReader } from "./small-files.ts";
import type { Domain, DomainKind, Reading, SourceProblem } from "./source.ts";

interface Sensor {
  readonly chip: string;
  /** `energy1`, `power2`. */
  readonly name: string;
  readonly label: string;
  /** File with µJ or µW. */
  readonly file: string;
  readonly isEnergy: boolean;
  readonly folder: string;
}

interface Meaning {
  readonly kind: DomainKind;
  /** Why it does not count. */
  readonly why?: string;
}

const LONGEST_STEP_SECONDS = 15;
const MOST_WATTS: Readonly<Partial<Record<DomainKind, number>>> = { package: 1500, gpu: 1500 };
const NODE_WATTS = 20_000;
const LEAST_CARD_MEMORY_BYTES = 4n * 1024n ** 3n;
const MOST_SENSORS = 4096;

/** What each driver's sensors cover, from the kernel's hwmon documentation. */
function meaningOf(sensor: Sensor, { files }: MeterEnvironment, meterCount: number): Meaning {
  switch (sensor.chip) {
    case "amd_energy":
      if (/socket/i.test(sensor.label)) return { kind: "package" };
      return { kind: "core", why: "contained in its socket" };
    case "fam15h_power":
      return { kind: "package" };
    case "amdgpu": {
      const memory = numberOf(files, join(sensor.folder, "device/mem_info_vram_total"));
      if (memory !== undefined && memory >= LEAST_CARD_MEMORY_BYTES) return { kind: "gpu" };
      return { kind: "gpu", why: "a graphics unit without memory of its own: contained in the processor's package" };
    }
    case "i915":
    case "xe":
      if (sensor.isEnergy && sensor.name === "energy1") return { kind: "gpu" };
      return { kind: "gpu", why: "contained in the card's first energy counter" };
    case "power_meter":
      // Grace modules have several meters, for sockets and parts of them; a lone one is the machine's.
      if (meterCount === 1 && !/socket|cpu|sysio|module/i.test(sensor.label)) return { kind: "node" };
      return { kind: "sensor", why: "one of several firmware meters, of which some contain others" };
    default:
      return { kind: "sensor", why: `what ${sensor.chip} covers is not known, so it may overlap with what is counted` };
  }
}

function findSensors({ files, sysRoot }: MeterEnvironment): Sensor[] {
  const root = join(sysRoot, "class/hwmon");
  return (
    namesIn(files, root)
      .filter((name) => /^hwmon\d+$/.test(name))
      // Drivers of the old kind keep their files with the device, not with the hwmon entry.
      .flatMap((name) => {
        const folder = join(root, name);
        return textOf(files, join(folder, "name")) === undefined
          ? sensorsOf(folder, join(folder, "device"))
          : sensorsOf(folder, folder);
      })
      .slice(0, MOST_SENSORS)
  );

  function sensorsOf(folder: string, place: string): Sensor[] {
    const chip = (textOf(files, join(place, "name")) ?? "unknown").slice(0, 40);
    const present = new Set(namesIn(files, place));
    return [...present].flatMap((file) => {
      const found = /^((?:energy|power)\d+)_(input|average)$/.exec(file);
      if (found === null) return [];
      const [, name = "", what = ""] = found;
      // A driver with both shows an instant and an average of the same sensor.
      if (what === "average" && present.has(`${name}_input`)) return [];
      const said =
        textOf(files, join(place, `${name}_label`)) ?? textOf(files, join(folder, `device/${name}_oem_info`));
      const label = (said ?? name).slice(0, 40);
      return [{ chip, name, label, file: join(place, file), isEnergy: name.startsWith("energy"), folder }];
    });
  }
}

function domainOf(sensor: Sensor, environment: MeterEnvironment, meterCount: number): Domain {
  const { kind, why } = meaningOf(sensor, environment, meterCount);
  const mostWatts = MOST_WATTS[kind] ?? NODE_WATTS;
  return {
    id: idOf(sensor),
    label: `${sensor.chip} ${sensor.label}`,
    kind,
    method: "measured",
    countsTowardsTotal: why === undefined,
    ...(why === undefined ? {} : { why }),
    ...(sensor.isEnergy
      ? { counter: { mostWatts } }
      : { power: { mostWatts, longestStepSeconds: LONGEST_STEP_SECONDS } }),
    sources: [`Linux hwmon, driver ${sensor.chip}`],
  };
}

const idOf = ({ folder, name }: Sensor): string => `hwmon:${basename(folder)}:${name}`;

/** Opens the sensors that can be read. */
export function openHwmon(environment: MeterEnvironment): Opened {
  const { files, clock } = environment;
  const sensors = findSensors(environment).map((sensor) => ({ sensor, first: readOnce(files, sensor.file) }));
  const readable = sensors.filter(({ first }) => "text" in first && parseCount(first.text) !== undefined);
  const problems = problemsOf(
    sensors.length,
    sensors.filter((each) => !readable.includes(each)),
  );
  if (readable.length === 0) return { problems };
  const meterCount = sensors.filter(({ sensor }) => sensor.chip === "power_meter").length;
  const domains = readable.map(({ sensor }) => domainOf(sensor, environment, meterCount));
  const readers = readable.map(({ sensor }) => ({ sensor, id: idOf(sensor), file: files.reader(sensor.file) }));
  return {
    problems,
    source: {
      name: "hwmon",
      domains: () => domains,
      read: () => readers.map(({ sensor, id, file }) => readSensor(id, sensor.isEnergy, file, clock)),
      close: () => readers.forEach(({ file }) => file.close()),
    },
  };
}

function readSensor(domain: string, isEnergy: boolean, file: SmallFileReader, clock: () => number): Reading {
  try {
    const text = file.read();
    const value = parseCount(text);
    const atSeconds = clock();
    if (value === undefined) return { domain, atSeconds, error: `not a number: ${JSON.stringify(text.slice(0, 40))}` };
    return isEnergy
      ? { domain, atSeconds, energyMicrojoules: value }
      : { domain, atSeconds, powerWatts: Number(value) / 1e6 };
  } catch (error) {
    return { domain, atSeconds: clock(), error: reasonOf(error) };
  }
}

type Failed = { readonly sensor: Sensor; readonly first: { readonly text: string } | { readonly error: string } };

function problemsOf(count: number, bad: readonly Failed[]): SourceProblem[] {
  if (count === 0) {
    const message = "no energy or power sensor below class/hwmon: usual in virtual machines";
    return [{ source: "hwmon", code: "absent", message, remedies: [] }];
  }
  if (bad.length === 0) return [];
  const reasons = [...new Set(bad.map(({ first }) => ("error" in first ? first.error : "not a number")))].slice(0, 8);
  const isPermission = reasons.some(isDenied);
  const chips = [...new Set(bad.map(({ sensor }) => sensor.chip))].slice(0, 8).join(", ");
  return [
    {
      source: "hwmon",
      code: isPermission ? "permission" : "broken",
      message: `${bad.length} of ${count} sensors cannot be read (${reasons.join("; ")}): ${chips}`,
      remedies: isPermission
        ? [
            {
              what: "Let a group read them (the amd_energy driver shows them to root alone)",
              command:
                "sudo groupadd --force --system energy && sudo usermod --append --groups energy $USER && sudo sh -c 'chgrp energy /sys/class/hwmon/hwmon*/energy*_input && chmod g+r /sys/class/hwmon/hwmon*/energy*_input'",
            },
          ]
        : [],
    },
  ];
}
