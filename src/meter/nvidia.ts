// NVIDIA cards: the driver's library, or one nvidia-smi that runs as long as the meter; may depend on its room.
import { join } from "node:path";
import type { CommandStream } from "./command.ts";
import type { MeterEnvironment, Opened } from "./environment.ts";
import { openNvml, type Nvml, type NvmlDevice } from "./nvml.ts";
import { textOf } from "./small-files.ts";
import type { Domain, Reading, Remedy, Source, SourceProblem } from "./source.ts";

const CEILING_WATTS = 2000;
/** Seen on cards of several generations; windows shorter than this read 0. */
const COUNTER_STEP_SECONDS = 0.1;
/** NVIDIA states ±5 % for the sensors of those generations for which it states anything. */
const RELATIVE_ERROR = 0.05;
const FROZEN_AFTER_SECONDS = 5;
const LONGEST_STEP_SECONDS = 15;

/** Opens the cards through NVML; where that fails, through `nvidia-smi`. */
export async function openNvidia(environment: MeterEnvironment): Promise<Opened> {
  const { nvmlLibrary, files, procRoot } = environment;
  const hasDriver = textOf(files, join(procRoot, "driver/nvidia/version")) !== undefined;
  const problems: SourceProblem[] = [];
  if (nvmlLibrary !== undefined || hasDriver) {
    const opened = await openNvml(nvmlLibrary ?? (process.platform === "win32" ? "nvml.dll" : "libnvidia-ml.so.1"));
    if ("nvml" in opened && opened.nvml.devices.length > 0) {
      return { source: nvmlSource(opened.nvml, environment.clock), problems };
    }
    if ("nvml" in opened) opened.nvml.close();
    problems.push(nvmlProblem("error" in opened ? opened : { error: "the driver shows no card" }));
  }
  const fallback = await openSmi(environment);
  // Two messages about cards that are not there help nobody.
  return {
    ...fallback,
    problems:
      hasDriver || fallback.source !== undefined
        ? [...problems, ...fallback.problems]
        : [...problems, ...fallback.problems].slice(0, 1),
  };
}

function nvmlProblem({
  error,
  lacksKoffi = false,
}: {
  readonly error: string;
  readonly lacksKoffi?: boolean;
}): SourceProblem {
  const remedies: Remedy[] = lacksKoffi
    ? [{ what: "Install the package that calls the driver's library", command: "npm install koffi" }]
    : [{ what: "In a container, let the NVIDIA runtime hand in the driver", command: "docker run --gpus all …" }];
  return { source: "nvml", code: lacksKoffi ? "dependency" : "broken", message: error, remedies };
}

function cardDomains(card: NvmlDevice, hasEnergy: boolean, hasPower: boolean): Domain[] {
  const mostWatts = card.mostWatts ?? CEILING_WATTS;
  const device = card.uuid || `card ${card.index}`;
  const base = { label: card.name || `NVIDIA card ${card.index}`, kind: "gpu", device, method: "measured" } as const;
  const energy: Domain = {
    ...base,
    id: `nvml:${card.index}`,
    countsTowardsTotal: true,
    counter: { mostWatts, frozenAfterSeconds: FROZEN_AFTER_SECONDS },
    updateSeconds: COUNTER_STEP_SECONDS,
    relativeError: RELATIVE_ERROR,
    sources: ["NVML total energy counter"],
  };
  const power: Domain = {
    ...base,
    id: `nvml:${card.index}:power`,
    label: `${base.label}, power integrated`,
    countsTowardsTotal: !hasEnergy,
    ...(hasEnergy
      ? { why: "the card's energy counter is added instead; this is a second opinion", checks: energy.id }
      : {}),
    power: { mostWatts, longestStepSeconds: LONGEST_STEP_SECONDS },
    relativeError: RELATIVE_ERROR,
    sources: ["NVML power, trapezoids on actual times"],
  };
  // A card without any sensor stays in, unread: left out, the total would look complete without it.
  return [...(hasEnergy ? [energy] : []), ...(hasPower || !hasEnergy ? [power] : [])];
}

function nvmlSource(nvml: Nvml, clock: () => number): Source {
  const cards = nvml.devices.map((card) => {
    const hasEnergy = card.energyMillijoules() !== undefined;
    return { card, hasEnergy, domains: cardDomains(card, hasEnergy, card.powerWatts() !== undefined) };
  });
  const domains = cards.flatMap((each) => each.domains);
  return {
    name: "nvml",
    domains: () => domains,
    read: () =>
      cards.flatMap((each) =>
        each.domains.map(({ id, counter }) => readCard(each.card, id, counter !== undefined, clock)),
      ),
    close: () => nvml.close(),
  };
}

function readCard(card: NvmlDevice, domain: string, isEnergy: boolean, clock: () => number): Reading {
  if (isEnergy) {
    const millijoules = card.energyMillijoules();
    const atSeconds = clock();
    if (millijoules === undefined) return { domain, atSeconds, error: "the driver gave no energy" };
    return { domain, atSeconds, energyMicrojoules: millijoules * 1000n };
  }
  const powerWatts = card.powerWatts();
  const atSeconds = clock();
  return powerWatts === undefined
    ? { domain, atSeconds, error: "the driver gave no power" }
    : { domain, atSeconds, powerWatts };
}

const PERIOD_MILLISECONDS = 500;
/** A line this old no longer says what the card draws now. */
const STALE_SECONDS = 3;
const RESTART_AFTER_SECONDS = 15;

interface SmiCard {
  readonly index: number;
  readonly name: string;
  readonly uuid: string;
  readonly mostWatts?: number;
}

/** Cards in `nvidia-smi --query-gpu=index,uuid,name,power.draw,power.max_limit --format=csv,noheader,nounits`. */
export function parseSmiCards(text: string): SmiCard[] {
  return text.split("\n").flatMap((line) => {
    const fields = line.split(",").map((field) => field.trim());
    const [index = "", uuid = "", ...rest] = fields;
    const [draw = "", limit = ""] = rest.slice(-2);
    // Names may hold commas; "[N/A]" and "[Not Supported]" stand for a card without the sensor, which stays in, unread.
    if (!/^\d{1,3}$/.test(index) || rest.length < 3 || !/^(\d+(\.\d+)?|\[.+\])$/.test(draw)) return [];
    const mostWatts = /^\d+(\.\d+)?$/.test(limit) ? Number(limit) : undefined;
    const name = rest.slice(0, -2).join(", ");
    return [{ index: Number(index), uuid, name, ...(mostWatts === undefined || mostWatts === 0 ? {} : { mostWatts }) }];
  });
}

/** Index and W in a line of `--query-gpu=index,power.draw`; undefined for anything else. */
export function parseSmiLine(line: string): { readonly index: number; readonly watts: number } | undefined {
  const found = /^\s*(\d{1,3})\s*,\s*(\d+(?:\.\d+)?)\s*$/.exec(line);
  return found === null ? undefined : { index: Number(found[1]), watts: Number(found[2]) };
}

async function openSmi(environment: MeterEnvironment): Promise<Opened> {
  const query = "--query-gpu=index,uuid,name,power.draw,power.max_limit";
  const { stdout, error, isMissing } = await environment.commands.run(
    "nvidia-smi",
    [query, "--format=csv,noheader,nounits"],
    5,
  );
  const cards = error === undefined ? parseSmiCards(stdout) : [];
  if (cards.length > 0) return { source: smiSource(cards, environment), problems: [] };
  const message = error ?? "nvidia-smi shows no card";
  return {
    problems: [{ source: "nvidia-smi", code: isMissing === true ? "absent" : "broken", message, remedies: [] }],
  };
}

/** One process for all cards and the whole run: starting one a second costs more than many a card's idle watt. */
function smiSource(cards: readonly SmiCard[], { commands, clock }: MeterEnvironment): Source {
  const domains = cards.map((card): Domain => {
    const mostWatts = card.mostWatts ?? CEILING_WATTS;
    return {
      id: `nvidia-smi:${card.index}`,
      label: card.name,
      kind: "gpu",
      device: card.uuid,
      method: "measured",
      countsTowardsTotal: true,
      power: { mostWatts, longestStepSeconds: LONGEST_STEP_SECONDS },
      relativeError: RELATIVE_ERROR,
      sources: ["nvidia-smi power.draw, trapezoids on actual times"],
    };
  });
  const last = new Map<number, { readonly watts: number; readonly atSeconds: number }>();
  let waiting: Reading[] = [];
  let stream: CommandStream | undefined;
  let ended: { readonly reason: string; readonly atSeconds: number } | undefined;
  const listen = (line: string): void => {
    const found = parseSmiLine(line);
    if (found === undefined || !cards.some(({ index }) => index === found.index)) return;
    const atSeconds = clock();
    last.set(found.index, { watts: found.watts, atSeconds });
    waiting.push({ domain: `nvidia-smi:${found.index}`, atSeconds, powerWatts: found.watts });
    if (waiting.length > 10_000) waiting.splice(0, 5_000);
  };
  const start = (): void => {
    ended = undefined;
    const args = ["--query-gpu=index,power.draw", "--format=csv,noheader,nounits", "-lms", String(PERIOD_MILLISECONDS)];
    stream = commands.stream("nvidia-smi", args, listen, (reason) => {
      ended = { reason, atSeconds: clock() };
    });
  };
  start();
  return {
    name: "nvidia-smi",
    domains: () => domains,
    read() {
      if (ended !== undefined && clock() - ended.atSeconds > RESTART_AFTER_SECONDS) start();
      const queued = waiting;
      waiting = [];
      const atSeconds = clock();
      // The newest line holds until now, so that windows end where they end.
      const held = cards.map(({ index }): Reading => {
        const domain = `nvidia-smi:${index}`;
        const line = last.get(index);
        if (line !== undefined && atSeconds - line.atSeconds <= STALE_SECONDS)
          return { domain, atSeconds, powerWatts: line.watts };
        return { domain, atSeconds, error: ended?.reason ?? "nvidia-smi has printed no power of this card" };
      });
      return [...queued, ...held];
    },
    close: () => stream?.stop(),
  };
}
