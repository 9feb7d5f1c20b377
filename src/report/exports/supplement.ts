// What no run can know about its model (license, provider, place of training), from a YAML file; may depend on io, facts, errors.
import { readFile } from "node:fs/promises";
import { z } from "zod";
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { findPlace } from "../../facts/place.ts";
import { fileError } from "../../io/file-range.ts";
import { checkAgainst, inReadingOrder, locateYaml } from "../../io/yaml-findings.ts";

const line = z.string().trim().min(1).max(2_000);

/** The energy sources that CycloneDX knows; a grid mix is `other`. */
export const ENERGY_SOURCES = [
  "coal",
  "oil",
  "natural-gas",
  "nuclear",
  "wind",
  "solar",
  "geothermal",
  "hydropower",
  "biofuel",
  "unknown",
  "other",
] as const;

const placeSchema = line.superRefine((name, context) => {
  try {
    findPlace(name);
  } catch (error) {
    if (!(error instanceof LightfootError)) throw error;
    context.addIssue({ code: "custom", message: error.message, params: { hint: error.hint } });
  }
});

function isDay(text: string): boolean {
  const day = new Date(`${text}T00:00:00Z`);
  return /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(day.valueOf()) && day.toISOString().startsWith(text);
}

export const supplementSchema = z.strictObject({
  /** Who places the model on the market. */
  provider: line.optional(),
  /** SPDX identifier, or a name. */
  license: line.optional(),
  /** Where the run's energy was used: a country, a grid zone or a cloud region. */
  trainingLocation: placeSchema.optional(),
  /** Left out, the run's machine. */
  hardware: line.optional(),
  energyProvider: z.strictObject({ name: line, source: z.enum(ENERGY_SOURCES).default("unknown") }).optional(),
  /** gCO2e of making the hardware, the share of one inference: the M of the SCI. */
  embodiedGramsPerInference: z.number().nonnegative().optional(),
  task: line.optional(),
  acceptableUse: line.optional(),
  releaseDate: z.string().refine(isDay, "expected a day of the calendar such as 2026-11-24").optional(),
  distribution: line.optional(),
  architecture: line.optional(),
  inputModalities: line.optional(),
  outputModalities: line.optional(),
  integration: line.optional(),
  designSpecifications: line.optional(),
  trainingMethod: line.optional(),
  dataProvenance: line.optional(),
});

export type Supplement = z.infer<typeof supplementSchema>;

const MOST_BYTES = 1_048_576;

/** @throws LightfootError E_MANIFEST with every mistake, each with line and column; E_FILE_NOT_FOUND, E_LIMIT */
export async function readSupplement(file: string): Promise<Supplement> {
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw fileError(cause, file);
  });
  if (bytes.length > MOST_BYTES) {
    throw new LightfootError("E_LIMIT", `the supplement has ${bytes.length} bytes, at most ${MOST_BYTES} are read`, {
      where: { file },
    });
  }
  return parseSupplement(bytes.toString("utf8"), file);
}

/** The supplement in a text; an empty one says nothing. @throws LightfootError E_MANIFEST */
export function parseSupplement(text: string, file: string): Supplement {
  const located = locateYaml(text, file);
  if (located.findings.length === 0 && located.data === null) return {};
  const { value, findings } = checkAgainst(supplementSchema, located);
  if (value !== undefined) return value;
  const count = findings.length === 1 ? "a mistake" : `${findings.length} mistakes`;
  throw new LightfootError("E_MANIFEST", `the supplement has ${count}`, {
    where: { file },
    findings: inReadingOrder(findings),
  });
}
