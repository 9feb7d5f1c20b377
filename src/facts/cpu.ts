// Which processor a machine's model name means, and how sure that is; may depend on quantity and its room.
import type { Assumption } from "../quantity/figure.ts";
import { readTable } from "./table.ts";

/** A row of `data/hardware/cpus.json`: one part as its maker sells it. */
export interface CpuPart {
  readonly key: string;
  readonly name: string;
  readonly vendor: string;
  readonly family: string;
  readonly segment: "server" | "desktop";
  readonly cores: number;
  readonly threads: number | null;
  readonly base_ghz: number | null;
  readonly boost_ghz: number | null;
  readonly tdp_w: number;
  readonly launch_year: number | null;
  readonly source: string;
}

/** A row of `data/hardware/microarchitectures.json`: one server processor generation. */
export interface Microarchitecture {
  readonly key: string;
  readonly name: string;
  readonly vendor: string;
  readonly cpuid: readonly (readonly [
    family: number,
    models: readonly number[],
    steppings: readonly [number, number] | null,
  ])[];
  readonly families: readonly string[];
  readonly float32_flop_per_cycle: number;
  readonly int8_op_per_cycle: number | null;
  readonly bandwidth_gbs: number;
  readonly idle_w_per_vcpu: number;
  readonly full_w_per_vcpu: number;
  readonly watts_source: string;
}

/** What a machine says about its processor; `/proc/cpuinfo` gives all four on x86, cloud names often hide the part. */
export interface CpuIdentity {
  readonly modelName: string;
  readonly family?: number;
  readonly model?: number;
  readonly stepping?: number;
}

export interface CpuMatch {
  /** How far the identification went: the very part, its product family, its generation alone, or nothing. */
  readonly how: "part" | "family" | "microarchitecture" | "none";
  /** What was matched, for people. */
  readonly name: string;
  readonly part?: CpuPart;
  /** Parts of the family, when only that is known. */
  readonly family?: readonly CpuPart[];
  readonly microarchitecture?: Microarchitecture;
  /** Filled in whenever the part itself is not known. */
  readonly assumptions: readonly Assumption[];
}

export const cpuParts = () => readTable<CpuPart>("hardware/cpus");
export const microarchitectures = () => readTable<Microarchitecture>("hardware/microarchitectures");

/** A model name without trademarks, filler and clock, as the table's keys are written: `xeon platinum 8259cl`. */
export function cpuKey(modelName: string): string {
  return modelName
    .toLowerCase()
    .replace(/\((r|tm)\)|®|™/g, " ")
    .replace(/@.*$|\([^)]*\)|\bx-series\b/g, " ")
    .replace(/\bwith radeon.*$|\bw\/ radeon.*$/, " ")
    .replace(/\b(amd|intel|cpu|processor|\d+-cores?|(dual|quad|six|eight)-core|\d+th gen|genuine)\b/g, " ")
    .replace(/\b0\b/g, " ") // "Intel(R) Xeon(R) CPU E5-2680 v4 0 @ 2.40GHz"
    .replace(/\s+/g, " ")
    .trim();
}

let partsByKey: ReadonlyMap<string, CpuPart> | undefined;

function partOf(key: string): CpuPart | undefined {
  // Clouds say "AMD EPYC": a bare brand names no part, and the large table need not be read for it.
  if (/^(epyc|xeon|core|ryzen)?$/.test(key)) return undefined;
  partsByKey ??= new Map(cpuParts().rows.map((part) => [part.key, part]));
  return partsByKey.get(key);
}

/** Product family by the maker's numbering scheme, as the column `family` writes it. */
function familyOf(key: string): string | undefined {
  const xeon = /^xeon (platinum|gold|silver) (\d\d)\d\d/.exec(key);
  if (xeon) return `Xeon ${xeon[1][0].toUpperCase()}${xeon[1].slice(1)} ${xeon[2]}xx`;
  // The first E5 generation carries no version at all.
  const versioned = /^xeon (e[57])-\d+\w*( v[2-4])?$/.exec(key);
  if (versioned) return `Xeon ${versioned[1].toUpperCase()}${versioned[2] ?? ""}`;
  // The last digit of an EPYC number is its generation; cloud parts put a letter in the second place (7R13, 9V74).
  const epyc = /^epyc ([4789])[0-9a-z]\d?([1-5])\w?$/.exec(key);
  if (epyc) return `EPYC ${epyc[1]}00${epyc[2]} Series`;
  const core = /^core (i[3579])-(\d{4,5})/.exec(key);
  // Four digits that begin with 1 are a mobile part of generation 10 or later: i7-1365U is of the 13th.
  if (core) return `Core ${core[1]} gen ${/^1\d{3}$/.test(core[2]) ? core[2].slice(0, 2) : core[2].slice(0, -3)}`;
  const ryzen = /^ryzen (threadripper |\d )?(pro )?(\d)\d{3}/.exec(key);
  if (ryzen)
    return `Ryzen ${/threadripper/.test(key) ? "Threadripper " : ""}${ryzen[2] ? "PRO " : ""}${ryzen[3]}000 Series`;
  return undefined;
}

function generationOf(identity: CpuIdentity): Microarchitecture | undefined {
  const { family, model, stepping } = identity;
  if (family === undefined || model === undefined) return undefined;
  return microarchitectures().rows.find(({ cpuid }) =>
    cpuid.some(
      ([wantedFamily, models, steppings]) =>
        wantedFamily === family &&
        models.includes(model) &&
        (steppings === null || stepping === undefined || (stepping >= steppings[0] && stepping <= steppings[1])),
    ),
  );
}

/**
 * The best match for a processor: the part itself, else its family, else its generation by CPUID, else nothing.
 *
 * A part that is not in the table is never given another part's power: the result says how far the match went and
 * carries an assumption with the key `cpu.part-unknown`.
 *
 * @example matchCpu({ modelName: "AMD EPYC", family: 25, model: 1 }).name // "AMD Zen 3 (EPYC 7003)"
 */
export function matchCpu(identity: CpuIdentity): CpuMatch {
  const key = cpuKey(identity.modelName);
  const part = partOf(key);
  const generation = generationOf(identity);
  if (part !== undefined) {
    return {
      how: "part",
      name: part.name,
      part,
      microarchitecture: generation ?? generationOfFamily(familyOf(key) ?? part.family),
      assumptions: [],
    };
  }
  const familyName = familyOf(key);
  const family = familyName === undefined ? [] : cpuParts().rows.filter((row) => row.family === familyName);
  if (familyName !== undefined && family.length >= 3) {
    return {
      how: "family",
      name: familyName,
      family,
      microarchitecture: generation ?? generationOfFamily(familyName),
      assumptions: [unknownPart(identity, `its family ${familyName} (${family.length} parts) stands in`)],
    };
  }
  if (generation !== undefined) {
    return {
      how: "microarchitecture",
      name: generation.name,
      microarchitecture: generation,
      assumptions: [unknownPart(identity, `its CPUID says ${generation.name}, whose fleet mean stands in`)],
    };
  }
  return {
    how: "none",
    name: "unknown processor",
    assumptions: [unknownPart(identity, "the span of all server generations in the table stands in")],
  };
}

const generationOfFamily = (family: string): Microarchitecture | undefined =>
  microarchitectures().rows.find((row) => row.families.includes(family));

function unknownPart(identity: CpuIdentity, instead: string): Assumption {
  return {
    key: "cpu.part-unknown",
    text: `The machine calls its processor "${identity.modelName.trim()}", which names no part of the table; ${instead}.`,
  };
}
