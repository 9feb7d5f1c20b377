// Apple's powermetrics: processor, graphics and neural engine power from one process that runs as long as the meter; may depend on its room.
// Written from its recorded text and plist formats; nobody has run this file on a Mac yet.
import type { CommandStream } from "./command.ts";
import type { MeterEnvironment, Opened } from "./environment.ts";
import type { Domain, DomainKind, Reading, Source } from "./source.ts";

const PERIOD_MILLISECONDS = 500;
const STALE_SECONDS = 3;
const MOST_WATTS = 400;
const LONGEST_STEP_SECONDS = 15;
const FIRST_LINE_SECONDS = 2;

const PARTS: readonly {
  readonly id: string;
  readonly label: string;
  readonly kind: DomainKind;
  readonly line: RegExp;
}[] = [
  {
    id: "cpu",
    label: "processor",
    kind: "package",
    line: /^\s*(?:CPU Power:\s*([\d.]+) mW|<key>cpu_power<\/key>\s*<real>([\d.]+)<\/real>)\s*$/,
  },
  {
    id: "gpu",
    label: "graphics",
    kind: "gpu",
    line: /^\s*(?:GPU Power:\s*([\d.]+) mW|<key>gpu_power<\/key>\s*<real>([\d.]+)<\/real>)\s*$/,
  },
  {
    id: "ane",
    label: "neural engine",
    kind: "gpu",
    line: /^\s*(?:ANE Power:\s*([\d.]+) mW|<key>ane_power<\/key>\s*<real>([\d.]+)<\/real>)\s*$/,
  },
];

/** Part and W in a line of powermetrics; undefined for every other line, the sum of all parts included. */
export function parsePowermetricsLine(line: string): { readonly part: string; readonly watts: number } | undefined {
  for (const { id, line: pattern } of PARTS) {
    const found = pattern.exec(line);
    const watts = Number(found?.[1] ?? found?.[2] ?? Number.NaN) / 1e3;
    if (Number.isFinite(watts)) return { part: id, watts };
  }
  return undefined;
}

/** Opens powermetrics on a Mac; it answers to root alone. */
export async function openPowermetrics(environment: MeterEnvironment): Promise<Opened> {
  if (environment.machine.platform !== "darwin") return { problems: [] };
  const last = new Map<string, { readonly watts: number; readonly atSeconds: number }>();
  let ended: string | undefined;
  let wake: () => void = () => undefined;
  const first = new Promise<void>((resolve) => {
    wake = resolve;
    setTimeout(resolve, FIRST_LINE_SECONDS * 1e3).unref();
  });
  const listen = (line: string): void => {
    const found = parsePowermetricsLine(line);
    if (found === undefined) return;
    last.set(found.part, { watts: found.watts, atSeconds: environment.clock() });
    wake();
  };
  // sudo -n never asks for a password: it works where the rule below was added, or fails at once.
  const [program, ...prefix] = process.getuid?.() === 0 ? ["powermetrics"] : ["sudo", "-n", "powermetrics"];
  const args = [...prefix, "--samplers", "cpu_power,gpu_power", "--sample-rate", String(PERIOD_MILLISECONDS)];
  const stream = environment.commands.stream(program, args, listen, (reason) => {
    ended = reason;
    wake();
  });
  await first;
  if (last.size === 0) {
    stream.stop();
    return {
      problems: [
        {
          source: "powermetrics",
          code: "permission",
          message: ended ?? `powermetrics printed no power within ${FIRST_LINE_SECONDS} s`,
          remedies: [
            {
              what: "powermetrics answers to root alone; allow this one program without a password",
              command: `echo "$USER ALL=(root) NOPASSWD: /usr/bin/powermetrics" | sudo tee /etc/sudoers.d/powermetrics`,
            },
          ],
        },
      ],
    };
  }
  return { problems: [], source: powermetricsSource(stream, last, () => ended, environment.clock) };
}

function powermetricsSource(
  stream: CommandStream,
  last: ReadonlyMap<string, { readonly watts: number; readonly atSeconds: number }>,
  ended: () => string | undefined,
  clock: () => number,
): Source {
  const domains = PARTS.map(({ id, label, kind }): Domain => ({
    id: `powermetrics:${id}`,
    label,
    kind,
    method: "measured",
    countsTowardsTotal: true,
    power: { mostWatts: MOST_WATTS, longestStepSeconds: LONGEST_STEP_SECONDS },
    sources: ["Apple powermetrics (an estimate of the maker's, from its own sensors)"],
  }));
  return {
    name: "powermetrics",
    domains: () => domains,
    read() {
      const atSeconds = clock();
      return PARTS.map(({ id }): Reading => {
        const line = last.get(id);
        const domain = `powermetrics:${id}`;
        if (line !== undefined && atSeconds - line.atSeconds <= STALE_SECONDS)
          return { domain, atSeconds, powerWatts: line.watts };
        return { domain, atSeconds, error: ended() ?? "powermetrics has printed nothing for 3 s" };
      });
    },
    close: () => stream.stop(),
  };
}
