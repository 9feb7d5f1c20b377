// A meter of the whole machine outside of it: a file, an HTTP address or a Prometheus server; may depend on its room.
import type { MeterEnvironment, Opened } from "./environment.ts";
import { polledSource, type Polled } from "./polled.ts";
import { readOnce } from "./small-files.ts";
import type { Domain } from "./source.ts";

const RACK_WATTS = 100_000;
const LIMIT_MILLISECONDS = 1800;
const MOST_BYTES = 1 << 20;

type Unit = "W" | "kW" | "J" | "Wh" | "kWh";

const WATTS: Readonly<Partial<Record<Unit, number>>> = { W: 1, kW: 1000 };
const JOULES: Readonly<Partial<Record<Unit, bigint>>> = { J: 1n, Wh: 3600n, kWh: 3_600_000n };
const UNITS: readonly string[] = ["W", "kW", "J", "Wh", "kWh"];

const isUnit = (text: string | undefined): text is Unit => text !== undefined && UNITS.includes(text);

/** A decimal number of joules (or Wh) as whole µJ, without the rounding of a double: meters count for years. */
function microjoulesOf(number: string, unit: Unit): bigint | undefined {
  const factor = JOULES[unit];
  const found = /^(\d{1,18})(?:\.(\d+))?$/.exec(number);
  if (factor === undefined) return undefined;
  if (found === null) {
    const value = Number(number); // 1.5e9
    return Number.isFinite(value) && value >= 0 && value < 1e18 ? BigInt(Math.round(value * 1e6)) * factor : undefined;
  }
  const fraction = (found[2] ?? "").slice(0, 12).padEnd(12, "0");
  return (BigInt(found[1] ?? "0") * 10n ** 12n * factor + BigInt(fraction) * factor) / 10n ** 6n;
}

function polledOf(number: string, unit: Unit): Polled {
  if (!/^\d/.test(number)) return { error: `not a number from 0 up: ${JSON.stringify(number.slice(0, 40))}` };
  const factor = WATTS[unit];
  if (factor !== undefined) {
    const watts = Number(number) * factor;
    return Number.isFinite(watts) && watts >= 0 ? { watts } : { error: `not a power: ${number.slice(0, 40)}` };
  }
  const microjoules = microjoulesOf(number, unit);
  return microjoules === undefined ? { error: `not an energy: ${number.slice(0, 40)}` } : { microjoules };
}

/** The unit at the end of a Prometheus name: `_watts`, `_joules_total`, `_kilowatt_hours`. */
function unitOfName(name: string): Unit | undefined {
  const base = /^[\w:]+/.exec(name)?.[0].replace(/_total$/, "") ?? "";
  if (base.endsWith("_kilowatts")) return "kW";
  if (/_watts$|_power_watts/.test(base)) return "W";
  if (base.endsWith("_joules")) return "J";
  if (/_(kwh|kilowatt_hours)$/i.test(base)) return "kWh";
  return /_(wh|watt_hours)$/i.test(base) ? "Wh" : undefined;
}

/** How to read an answer: its unit and, in Prometheus text, the metric. */
export interface RackHint {
  readonly metric?: string;
  readonly unit?: string;
}

/**
 * A power or a counter in a meter's answer: `412.5`, `412.5 W`, `1834.2 kWh`, Prometheus text with `metric`, or the JSON of
 * a Prometheus query. A bare number is watts.
 *
 * @example parseRack("pdu_power_watts{outlet=\"3\"} 412", { metric: "pdu_power_watts" }) // { watts: 412 }
 */
export function parseRack(text: string, hint: RackHint = {}): Polled {
  if (hint.unit !== undefined && !isUnit(hint.unit))
    return { error: `unit ${hint.unit.slice(0, 20)} is none of ${UNITS.join(", ")}` };
  const unit = isUnit(hint.unit) ? hint.unit : undefined;
  const body = text.trim();
  if (body.startsWith("{")) return parseQuery(body, unit);
  if (hint.metric !== undefined) return parseExposition(body, hint.metric, unit);
  const line = body.split("\n").at(-1)?.trim() ?? "";
  const found = /^([\d.]+(?:e[+-]?\d+)?)\s*(kWh|Wh|kW|W|J)?$/i.exec(line);
  if (found === null) return { error: `neither a number nor a known format: ${JSON.stringify(body.slice(0, 60))}` };
  const said = UNITS.find((each) => each.toLowerCase() === found[2]?.toLowerCase());
  return polledOf(found[1] ?? "", unit ?? (isUnit(said) ? said : "W"));
}

interface QueryAnswer {
  readonly status?: unknown;
  readonly data?: {
    readonly result?: readonly { readonly metric?: Record<string, string>; readonly value?: readonly unknown[] }[];
  };
}

function parseQuery(body: string, unit: Unit | undefined): Polled {
  let series: NonNullable<QueryAnswer["data"]>["result"];
  try {
    const { status, data } = JSON.parse(body) as QueryAnswer;
    series = status === "success" && Array.isArray(data?.result) ? data.result : undefined;
  } catch {
    return { error: "the answer is broken JSON" };
  }
  if (series === undefined) return { error: "not the answer to a Prometheus query" };
  const [first] = series;
  if (series.length !== 1 || typeof first !== "object" || first === null) {
    return { error: `the query gives ${series.length} series; one is needed, for example with sum(…)` };
  }
  const known = unit ?? unitOfName(first.metric?.["__name__"] ?? "");
  if (known === undefined) return { error: "the series names no unit; add #unit=W (or kW, J, Wh, kWh) to the address" };
  const value = first.value?.[1];
  return typeof value === "string" ? polledOf(value, known) : { error: "the series has no value" };
}

function parseExposition(body: string, metric: string, unit: Unit | undefined): Polled {
  const known = unit ?? unitOfName(metric);
  if (known === undefined) return { error: `${metric} names no unit; add &unit=W (or kW, J, Wh, kWh)` };
  const lines = body
    .split("\n")
    .filter((line) => line === metric || line.startsWith(`${metric} `) || line.startsWith(`${metric}{`));
  if (lines.length !== 1) return { error: `${metric} is there ${lines.length} times; name one series with its labels` };
  const value = /(?:\}|\s)\s*([\d.eE+-]+)(?:\s+\d+)?\s*$/.exec(lines[0] ?? "")?.[1] ?? "";
  return polledOf(value, known);
}

/** What `--rack-meter` names: an address with `#metric=…&unit=…`, or a file. */
function splitAddress(rackMeter: string): { readonly address: string; readonly hint: RackHint } {
  const at = rackMeter.indexOf("#");
  if (at === -1) return { address: rackMeter, hint: {} };
  const fields = new URLSearchParams(rackMeter.slice(at + 1));
  const [metric, unit] = [fields.get("metric"), fields.get("unit")];
  return {
    address: rackMeter.slice(0, at),
    hint: { ...(metric === null ? {} : { metric }), ...(unit === null ? {} : { unit }) },
  };
}

/** Opens the meter that the user named; without one there is nothing to open. */
export async function openRack(environment: MeterEnvironment): Promise<Opened> {
  const { rackMeter, clock } = environment;
  if (rackMeter === undefined) {
    return {
      problems: [
        {
          source: "rack",
          code: "not-configured",
          message: "no meter outside of the machine was named",
          remedies: [
            {
              what: "Name a wall or rack meter of this machine: a file with a number, an HTTP address, a Prometheus query",
              command: "lightfoot doctor --rack-meter 'http://pdu/metrics#metric=outlet_power_watts{outlet=\"3\"}'",
            },
          ],
        },
      ],
    };
  }
  const { address, hint } = splitAddress(rackMeter);
  const isRemote = /^https?:\/\//i.test(address);
  const poll = async (): Promise<Polled> => {
    const body = isRemote ? await download(environment, address) : readFile(environment, address);
    return "error" in body ? body : parseRack(body.text, hint);
  };
  const first = await poll();
  if ("error" in first) {
    const message = `${address.slice(0, 120)}: ${first.error}`;
    return { problems: [{ source: "rack", code: "broken", message, remedies: [] }] };
  }
  const domain: Domain = {
    id: "rack:0",
    label: `meter at ${address.slice(0, 60)}`,
    kind: "rack",
    method: "measured",
    countsTowardsTotal: true,
    ...("watts" in first
      ? { power: { mostWatts: RACK_WATTS, longestStepSeconds: 60 } }
      : { counter: { mostWatts: RACK_WATTS } }),
    sources: [`meter named by the user: ${address.slice(0, 120)}`],
  };
  return { problems: [], source: polledSource({ name: "rack", domain, poll, everySeconds: isRemote ? 1 : 0, clock }) };
}

const readFile = ({ files }: MeterEnvironment, path: string) => readOnce(files, path);

async function download({ fetch }: MeterEnvironment, address: string): Promise<{ text: string } | { error: string }> {
  try {
    const answer = await fetch(address, { signal: AbortSignal.timeout(LIMIT_MILLISECONDS) });
    if (!answer.ok) return { error: `HTTP ${answer.status}` };
    const pieces: Uint8Array[] = [];
    let length = 0;
    // An answer without end would fill the memory within the time limit.
    for await (const piece of answer.body ?? []) {
      pieces.push(piece);
      length += piece.byteLength;
      if (length > MOST_BYTES) return { error: "the answer is larger than 1 MiB" };
    }
    return { text: Buffer.concat(pieces).toString() };
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : "";
    return { error: error instanceof Error ? `${error.message}${cause}` : String(error) };
  }
}
