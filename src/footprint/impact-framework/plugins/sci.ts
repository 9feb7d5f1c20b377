// Sci and SciEmbodied, with what is wrong in them; may depend on errors and its room.
import { LightfootError } from "../../../errors/lightfoot-error.ts";
import { ratio, show, type FindingCode } from "../findings.ts";
import { at, configError, findingPlace, numbersOf, operandOf, placeOf, writeNumbers } from "../plugin.ts";
import type { ParameterMetadata, PluginCall, PluginKind } from "../plugin.ts";
import { withDefaults } from "../observations.ts";
import { writeFinite } from "./arithmetic.ts";

const parameter = (
  unit: string,
  description: string,
  time: ParameterMetadata["aggregation-method"]["time"],
  component = time,
): ParameterMetadata => ({ unit, description, "aggregation-method": { time, component } });

/**
 * sci = carbon / functional unit.
 *
 * ISO/IEC 21031 asks for R > 0. With R = 0 the framework gives the carbon itself, as if R were 1.
 */
export const sci: PluginKind = {
  metadata: {
    inputs: {
      carbon: parameter("gCO2e", "an amount of carbon emitted into the atmosphere", "sum"),
      "functional-unit": parameter("none", "the name of the functional unit that sci is given for", "sum"),
    },
    outputs: { sci: parameter("gCO2e", "carbon for one functional unit", "avg", "sum") },
  },
  expressions: ["functional-unit"],
  run(call) {
    const unit = operandOf(call, "functional-unit");
    const carbon = numbersOf(call, "carbon");
    atLeast(call, "carbon", carbon, 0);
    atLeast(call, "duration", numbersOf(call, "duration"), 1);
    if (typeof unit !== "number") atLeast(call, String(call.config["functional-unit"]), unit, 0);
    const values = new Float64Array(carbon.length);
    const zeros: number[] = [];
    for (let row = 0; row < values.length; row++) {
      const divisor = at(unit, row);
      if (divisor === 0) zeros.push(row);
      const undefinedScore = call.arithmetic === "as-written" ? carbon[row] : Number.NaN;
      values[row] = divisor === 0 ? undefinedScore : carbon[row] / divisor;
    }
    if (zeros.length > 0) tellZero(call, carbon, zeros);
    // The zero was reported above; its NaN must not be told a second time.
    return writeNumbers(call, "sci", values);
  },
};

function tellZero(call: PluginCall, carbon: Float64Array, zeros: readonly number[]): void {
  // Shown where it matters: carbon of 0 over 0 looks harmless.
  const row = zeros.find((each) => carbon[each] !== 0) ?? zeros[0];
  call.report({
    code: "sci-functional-unit-zero",
    severity: "error",
    message: `R is 0 (${String(call.config["functional-unit"])}): SCI is undefined, and the carbon itself is given for it`,
    where: findingPlace(call, row, "sci"),
    says: show(carbon[row], "gCO2e"),
    right: "undefined: R > 0 is required (ISO/IEC 21031)",
    count: zeros.length,
  });
}

function atLeast(call: PluginCall, name: string, values: Float64Array, least: number): void {
  const bad = values.findIndex((value) => !(value >= least));
  if (bad < 0) return;
  throw new LightfootError("E_IMPACT", `${call.name}: '${name}' is ${values[bad]}, expected at least ${least}`, {
    where: placeOf(call, bad, name),
  });
}

const HOUR = 3_600;
/** 533 kg for 384 GB: the memory of a Dell R740 in its maker's life-cycle study, as Teads and Cloud Carbon Footprint use it. */
const MEMORY_KG_PER_GB = 533 / 384;
const DEFAULTS = {
  "baseline-vcpus": 1,
  "baseline-memory": 16,
  "baseline-emissions": 1_000_000,
  lifespan: 4 * 365 * 24 * HOUR,
  "vcpu-emissions-constant": 100_000,
  "memory-emissions-constant": MEMORY_KG_PER_GB,
  "ssd-emissions-constant": 50_000,
  "hdd-emissions-constant": 100_000,
  "gpu-emissions-constant": 150_000,
} as const;
type Constant = keyof typeof DEFAULTS;

const INPUT_DEFAULTS = { vCPUs: 1, memory: 16, ssd: 0, hdd: 0, gpu: 0, "usage-ratio": 1 } as const;
type Input = keyof typeof INPUT_DEFAULTS;
const MUST_BE_POSITIVE: ReadonlySet<Input> = new Set(["vCPUs", "memory", "usage-ratio"]);

// Teads' data set, from which the constants come: an additional SSD 100 kg, an additional HDD 50 kg.
const SSD_GRAMS = 100_000;
const HDD_GRAMS = 50_000;
// No memory is near 20 kg/GB; numbers above were given in grams, as all of the plugin's other constants are.
const MEMORY_KG_LIMIT = 20;

/**
 * Embodied carbon of a slice of a server, amortized over its life.
 *
 * total = baseline + (vCPUs − vCPUs₀)·c + (memory − memory₀)·m·(memory₀/16)·1000 + ssd·s + hdd·h + gpu·g;
 * result = total × usage-ratio × time / lifespan. The factors memory₀/16 and 1000 are the framework's: right is m in g/GB.
 */
export const sciEmbodied: PluginKind = {
  metadata: {
    inputs: {
      vCPUs: parameter("CPUs", "number of CPUs allocated to an application", "copy"),
      memory: parameter("GB", "memory available for a resource", "copy"),
      ssd: parameter("SSDs", "number of SSDs available for a resource", "copy"),
      hdd: parameter("HDDs", "number of HDDs available for a resource", "copy"),
      gpu: parameter("GPUs", "number of GPUs available for a resource", "copy"),
      "usage-ratio": parameter("dimensionless", "share of the device that is used", "copy"),
      time: parameter("seconds", "time to scale by; left out: the duration", "copy"),
    },
    outputs: { "embodied-carbon": parameter("gCO2eq", "embodied carbon, scaled by use", "sum") },
  },
  expressions: Object.keys(DEFAULTS),
  run(call) {
    const rows = call.observations.length;
    const c = constantsOf(call);
    const filled = { ...call, observations: withDefaults(call.observations, INPUT_DEFAULTS) };
    const duration = numbersOf(filled, "duration");
    atLeast(filled, "duration", duration, Number.MIN_VALUE);
    const time = filled.observations.columns.has("time") ? numbersOf(filled, "time") : duration;
    atLeast(filled, "time", time, Number.MIN_VALUE);
    const amounts = amountsOf(filled);
    const { vCPUs, memory, ssd, hdd, gpu, "usage-ratio": usage } = amounts;
    const perGigabyte = memoryGramsPerGigabyte(c);
    const drive = rightDrives(c);
    const scale = (row: number): number => (usage[row] * time[row]) / c.lifespan;
    const written = new Float64Array(rows);
    const right = new Float64Array(rows);
    for (let row = 0; row < rows; row++) {
      const cpuGrams = (vCPUs[row] - c["baseline-vcpus"]) * c["vcpu-emissions-constant"];
      const gpuGrams = gpu[row] * c["gpu-emissions-constant"];
      const extra = memory[row] - c["baseline-memory"];
      const memoryGrams = extra * ((c["memory-emissions-constant"] * c["baseline-memory"]) / 16) * 1000;
      const [ssdGrams, hddGrams] = [ssd[row] * c["ssd-emissions-constant"], hdd[row] * c["hdd-emissions-constant"]];
      // In the framework's own order, so that the last digit is the same.
      const total = c["baseline-emissions"] + cpuGrams + memoryGrams + ssdGrams + hddGrams + gpuGrams;
      written[row] = total * usage[row] * (time[row] / c.lifespan);
      const drives = ssd[row] * drive.ssd + hdd[row] * drive.hdd;
      right[row] = (c["baseline-emissions"] + cpuGrams + extra * perGigabyte + drives + gpuGrams) * scale(row);
    }
    tellMistakes(filled, { c, written, scale, amounts, perGigabyte, drive });
    const target = call.config["output-parameter"];
    const name = typeof target === "string" && target !== "" ? target : "embodied-carbon";
    return writeFinite(filled, name, call.arithmetic === "corrected" ? right : written);
  },
};

function constantsOf(call: PluginCall): Record<Constant, number> {
  const constants = Object.fromEntries(
    (Object.keys(DEFAULTS) as Constant[]).map((key) => {
      if (call.config[key] === undefined) return [key, DEFAULTS[key]];
      const operand = operandOf(call, key);
      const value = at(operand, call.observations.length - 1);
      if (!(value >= 0) || (key === "lifespan" && value === 0)) {
        throw configError(call, `'${key}' is ${value}, expected ${key === "lifespan" ? "more than" : "at least"} 0`);
      }
      return [key, value];
    }),
  );
  return constants as Record<Constant, number>;
}

function amountsOf(call: PluginCall): Record<Input, Float64Array> {
  const amounts = (Object.keys(INPUT_DEFAULTS) as Input[]).map((name) => {
    const values = numbersOf(call, name);
    atLeast(call, name, values, MUST_BE_POSITIVE.has(name) ? Number.MIN_VALUE : 0);
    return [name, values];
  });
  return Object.fromEntries(amounts) as Record<Input, Float64Array>;
}

function memoryGramsPerGigabyte(c: Record<Constant, number>): number {
  const constant = c["memory-emissions-constant"];
  return constant > MEMORY_KG_LIMIT ? constant : constant * 1000;
}

/** The two constants the other way round, where they are the framework's own. */
function rightDrives(c: Record<Constant, number>): { ssd: number; hdd: number } {
  const isSwapped =
    c["ssd-emissions-constant"] === DEFAULTS["ssd-emissions-constant"] &&
    c["hdd-emissions-constant"] === DEFAULTS["hdd-emissions-constant"];
  return isSwapped
    ? { ssd: SSD_GRAMS, hdd: HDD_GRAMS }
    : { ssd: c["ssd-emissions-constant"], hdd: c["hdd-emissions-constant"] };
}

interface Mistakes {
  readonly c: Record<Constant, number>;
  readonly written: Float64Array;
  readonly scale: (row: number) => number;
  readonly amounts: Readonly<Record<Input, Float64Array>>;
  readonly perGigabyte: number;
  readonly drive: { readonly ssd: number; readonly hdd: number };
}

/** Each mistake by itself: what the result is, and what it would be with this one put right. */
function tellMistakes(call: PluginCall, { c, written, scale, amounts, perGigabyte, drive }: Mistakes): void {
  const path = `initialize.plugins.${call.name}.config`;
  const tell = (code: FindingCode, key: string, message: string, excessOf: (row: number) => number): void => {
    const excess = written.map((_, row) => excessOf(row) * scale(row));
    const row = excess.findIndex((grams) => grams !== 0);
    if (row < 0) return;
    const right = written[row] - excess[row];
    call.report({
      code,
      severity: "error",
      message,
      where: { path: `${path}${key}` },
      says: show(written[row], "g"),
      right: show(right, "g"),
      factor: ratio(written[row], right),
      count: excess.reduce((sum, grams) => sum + (grams === 0 ? 0 : 1), 0),
    });
  };
  const { ssd, hdd, memory, vCPUs } = amounts;
  tell(
    "embodied-storage-swapped",
    "",
    "an SSD is counted with 50 kg and an HDD with 100 kg; in the source of the constants it is the other way round",
    (row) =>
      ssd[row] * (c["ssd-emissions-constant"] - drive.ssd) + hdd[row] * (c["hdd-emissions-constant"] - drive.hdd),
  );
  const constant = c["memory-emissions-constant"];
  const stretch = c["baseline-memory"] / 16;
  const extra = (row: number): number => memory[row] - c["baseline-memory"];
  if (constant > MEMORY_KG_LIMIT) {
    tell(
      "embodied-memory-unit",
      ".memory-emissions-constant",
      `'memory-emissions-constant' is ${show(constant)} and is multiplied by 1,000: it is read as kg/GB, while every other constant is in g`,
      (row) => extra(row) * stretch * (constant * 1000 - perGigabyte),
    );
  }
  tell(
    "embodied-memory-baseline",
    ".baseline-memory",
    `memory beyond the baseline is scaled by baseline-memory/16 = ${show(stretch)}, which has no meaning`,
    (row) => extra(row) * (stretch - 1) * constant * 1000,
  );
  if (vCPUs.some((value) => value !== c["baseline-vcpus"]) && c["vcpu-emissions-constant"] === 100_000) {
    call.report({
      code: "embodied-cpu-per-vcpu",
      severity: "warning",
      message: "100 kg is the source's figure for an additional processor (a socket); it is counted for each vCPU",
      where: { path: `${path}.vcpu-emissions-constant` },
      says: "100 kg a vCPU",
      right: "100 kg a processor",
    });
  }
  const negative = written.findIndex((value) => value < 0);
  if (negative >= 0) {
    call.report({
      code: "embodied-negative",
      severity: "error",
      message: "embodied carbon is negative: less memory or fewer vCPUs than the baseline take more away than it holds",
      where: findingPlace(call, negative, "embodied-carbon"),
      says: show(written[negative], "g"),
      right: "at least 0 g",
    });
  }
}
