// Sci and SciEmbodied, with what is wrong in them; may depend on its room.
import { LightfootError } from "../../../errors/lightfoot-error.ts";
import { ratio, show } from "../findings.ts";
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
      values[row] = divisor === 0 && call.arithmetic === "as-written" ? carbon[row] : carbon[row] / divisor;
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
    const [cpus, memory, ssd, hdd, gpu, usage] = (Object.keys(INPUT_DEFAULTS) as Input[]).map((name) => {
      const values = numbersOf(filled, name);
      atLeast(filled, name, values, MUST_BE_POSITIVE.has(name) ? Number.MIN_VALUE : 0);
      return values;
    });
    const perGigabyte = memoryGramsPerGigabyte(c);
    const drive = rightDrives(c);
    const storageMatters = drive.swapped && (ssd.some((n) => n !== 0) || hdd.some((n) => n !== 0));
    const written = new Float64Array(rows);
    const right = new Float64Array(rows);
    for (let row = 0; row < rows; row++) {
      const scale = (usage[row] * time[row]) / c.lifespan;
      const rest = c["baseline-emissions"] + (cpus[row] - c["baseline-vcpus"]) * c["vcpu-emissions-constant"];
      const gpus = gpu[row] * c["gpu-emissions-constant"];
      const extra = memory[row] - c["baseline-memory"];
      written[row] =
        (rest +
          extra * ((c["memory-emissions-constant"] * c["baseline-memory"]) / 16) * 1000 +
          ssd[row] * c["ssd-emissions-constant"] +
          hdd[row] * c["hdd-emissions-constant"] +
          gpus) *
        scale;
      right[row] = (rest + extra * perGigabyte + ssd[row] * drive.ssd + hdd[row] * drive.hdd + gpus) * scale;
    }
    tellMistakes(filled, { c, written, right, memory, cpus, perGigabyte, storageMatters });
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

function memoryGramsPerGigabyte(c: Record<Constant, number>): number {
  const constant = c["memory-emissions-constant"];
  return constant > MEMORY_KG_LIMIT ? constant : constant * 1000;
}

/** The two constants the other way round, where they are the framework's own. */
function rightDrives(c: Record<Constant, number>): { ssd: number; hdd: number; swapped: boolean } {
  const swapped =
    c["ssd-emissions-constant"] === DEFAULTS["ssd-emissions-constant"] &&
    c["hdd-emissions-constant"] === DEFAULTS["hdd-emissions-constant"];
  return swapped
    ? { ssd: SSD_GRAMS, hdd: HDD_GRAMS, swapped }
    : { ssd: c["ssd-emissions-constant"], hdd: c["hdd-emissions-constant"], swapped };
}

interface Mistakes {
  readonly c: Record<Constant, number>;
  readonly written: Float64Array;
  readonly right: Float64Array;
  readonly memory: Float64Array;
  readonly cpus: Float64Array;
  readonly perGigabyte: number;
  readonly storageMatters: boolean;
}

function tellMistakes(
  call: PluginCall,
  { c, written, right, memory, cpus, perGigabyte, storageMatters }: Mistakes,
): void {
  const path = `initialize.plugins.${call.name}`;
  const row = written.findIndex((value, index) => value !== right[index]);
  const amounts = {
    says: row < 0 ? null : show(written[row], "g"),
    right: row < 0 ? null : show(right[row], "g"),
    factor: row < 0 ? null : ratio(written[row], right[row]),
  };
  if (storageMatters) {
    call.report({
      code: "embodied-storage-swapped",
      severity: "error",
      message:
        "an SSD is counted with 50 kg and an HDD with 100 kg; in the source of the constants it is the other way round",
      where: { path: `${path}.config` },
      ...amounts,
    });
  }
  const usesMemory = memory.some((value) => value !== c["baseline-memory"]);
  if (usesMemory && c["memory-emissions-constant"] > MEMORY_KG_LIMIT) {
    call.report({
      code: "embodied-memory-unit",
      severity: "error",
      message:
        `'memory-emissions-constant' is ${show(c["memory-emissions-constant"])} and is multiplied by 1,000: ` +
        `it is read as kg/GB, while every other constant is in g`,
      where: { path: `${path}.config.memory-emissions-constant` },
      ...amounts,
    });
  }
  if (usesMemory && c["baseline-memory"] !== 16) {
    call.report({
      code: "embodied-memory-baseline",
      severity: "error",
      message: `memory beyond the baseline is scaled by baseline-memory/16 = ${show(c["baseline-memory"] / 16)}, which has no meaning`,
      where: { path: `${path}.config.baseline-memory` },
      ...amounts,
    });
  }
  if (cpus.some((value) => value !== c["baseline-vcpus"]) && c["vcpu-emissions-constant"] === 100_000) {
    call.report({
      code: "embodied-cpu-per-vcpu",
      severity: "warning",
      message: "100 kg is the source's figure for an additional processor (a socket); it is counted for each vCPU",
      where: { path: `${path}.config.vcpu-emissions-constant` },
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
      right: `at least 0 g; with memory at ${show(perGigabyte, "g/GB")}, ${show(right[negative], "g")}`,
    });
  }
}
