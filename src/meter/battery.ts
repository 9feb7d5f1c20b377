// What a battery gives while it discharges: the whole machine's power; may depend on its room.
import { join } from "node:path";
import type { MeterEnvironment, Opened } from "./environment.ts";
import { namesIn, reasonOf, textOf, type SmallFileReader } from "./small-files.ts";
import type { Domain, Reading } from "./source.ts";

const MOST_WATTS = 400;
// Fuel gauges update about every 2 to 30 s.
const LONGEST_STEP_SECONDS = 60;

interface Battery {
  readonly name: string;
  readonly status: SmallFileReader;
  /** µW, or µA and µV. */
  readonly power?: SmallFileReader;
  readonly current?: SmallFileReader;
  readonly voltage?: SmallFileReader;
}

/** A count that some drivers sign: negative while discharging. */
function magnitude(reader: SmallFileReader): number {
  const text = reader.read().trim();
  if (!/^-?\d{1,15}$/.test(text)) throw new Error(`not a number: ${JSON.stringify(text.slice(0, 40))}`);
  return Math.abs(Number(text));
}

function wattsOf({ power, current, voltage }: Battery): number {
  if (power !== undefined) return magnitude(power) / 1e6;
  if (current === undefined || voltage === undefined) throw new Error("neither power nor current and voltage");
  return (magnitude(current) / 1e6) * (magnitude(voltage) / 1e6);
}

const statusOf = ({ status }: Battery): string => status.read().trim();

/** The machine's batteries; those of mice and headsets have the scope `Device`. */
function findBatteries({ files, sysRoot }: MeterEnvironment): Battery[] {
  const root = join(sysRoot, "class/power_supply");
  return namesIn(files, root)
    .slice(0, 64)
    .filter((name) => textOf(files, join(root, name, "type")) === "Battery")
    .filter((name) => textOf(files, join(root, name, "scope")) !== "Device")
    .map((name) => {
      const open = (file: string) =>
        textOf(files, join(root, name, file)) === undefined ? undefined : files.reader(join(root, name, file));
      const [power, current, voltage] = [open("power_now"), open("current_now"), open("voltage_now")];
      return {
        name,
        status: files.reader(join(root, name, "status")),
        ...(power === undefined ? {} : { power }),
        ...(current === undefined ? {} : { current }),
        ...(voltage === undefined ? {} : { voltage }),
      };
    });
}

/** Opens the machine's batteries as one domain: their sum is what the machine draws, while it draws from them. */
export function openBattery(environment: MeterEnvironment): Opened {
  const batteries = findBatteries(environment);
  if (batteries.length === 0) {
    return { problems: [{ source: "battery", code: "absent", message: "the machine has no battery", remedies: [] }] };
  }
  const domain = "battery:all";
  const read = (): Reading => {
    const atSeconds = environment.clock();
    try {
      const status = batteries.map(statusOf);
      const onMains = status.every((each) => each !== "Discharging");
      // While it charges, the battery's power is not what the machine uses.
      if (onMains) return { domain, atSeconds, error: `on mains (${[...new Set(status)].join(", ").slice(0, 40)})` };
      const draining = batteries.filter((_, at) => status[at] === "Discharging");
      const powerWatts = draining.reduce((sum, each) => sum + wattsOf(each), 0);
      // Gauges without a value, and those just unplugged, show 0; a machine that runs this program draws something.
      if (powerWatts === 0) return { domain, atSeconds, error: "the gauge shows 0 W while it discharges" };
      return { domain, atSeconds, powerWatts };
    } catch (error) {
      return { domain, atSeconds, error: reasonOf(error) };
    }
  };
  const first = read();
  const all: Domain = {
    id: domain,
    label: batteries.map(({ name }) => name).join(" and "),
    kind: "battery",
    method: "measured",
    countsTowardsTotal: first.error === undefined,
    ...(first.error === undefined ? {} : { why: `no power of the machine: ${first.error}` }),
    power: { mostWatts: MOST_WATTS, longestStepSeconds: LONGEST_STEP_SECONDS },
    sources: ["battery fuel gauge (Linux power_supply)"],
  };
  return {
    problems:
      first.error === undefined
        ? []
        : [
            {
              source: "battery",
              code: "not-configured",
              message: `${all.label} shows no power of the machine: ${first.error}`,
              remedies: [{ what: "Unplug the charger to measure the whole machine with its battery" }],
            },
          ],
    source: {
      name: "battery",
      domains: () => [all],
      read: () => [read()],
      close() {
        for (const { status, power, current, voltage } of batteries) {
          for (const reader of [status, power, current, voltage]) reader?.close();
        }
      },
    },
  };
}
