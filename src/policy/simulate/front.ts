// The measured front of a dossier: accuracy, energy and device time of every model that was judged; may depend on zod, errors and its room.
import { readFile } from "node:fs/promises";
import { z } from "zod";
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { fileError } from "../../io/file-range.ts";
import type { ModelOption } from "./scenario-schema.ts";

// Only what is read here: the dossier's own schema belongs to a room above.
const figure = z.object({ value: z.number() });
const measured = z.object({
  accuracy: figure,
  energyPerInference: figure.nullable(),
  latency: z.array(z.object({ batch: z.int().positive(), median: figure })).min(1),
});
const dossierFront = z.object({
  models: z.array(measured.extend({ role: z.string() })),
  candidates: z.array(measured.extend({ id: z.string() })).optional(),
});

/**
 * The models of a dossier as options: the original first, then narrow and compressed ones.
 *
 * Device time is the median latency of the largest batch, per inference.
 * @throws LightfootError E_DATA when the file is no dossier or has no energies
 */
export async function readFront(file: string): Promise<ModelOption[]> {
  const text = await readFile(file, "utf8").catch((thrown: unknown) => {
    throw fileError(thrown, file);
  });
  const read = dossierFront.safeParse(parseJson(text, file));
  if (!read.success) {
    throw new LightfootError("E_DATA", "the file is no dossier of a run: it has no models with accuracy and latency", {
      hint: "Give the dossier.json that lightfoot run wrote.",
      where: { file },
    });
  }
  const options = read.data.models.flatMap((model): ModelOption[] => {
    const slowest = model.latency.reduce((most, entry) => (entry.batch > most.batch ? entry : most));
    if (model.energyPerInference === null || model.energyPerInference.value <= 0) return [];
    return [
      {
        id: model.role,
        accuracy: model.accuracy.value,
        energy: model.energyPerInference.value,
        deviceTime: slowest.median.value / slowest.batch,
      },
    ];
  });
  if (options.length > 0) return options;
  throw new LightfootError("E_DATA", "no model of the dossier has an energy per inference", { where: { file } });
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new LightfootError("E_DATA", "the dossier is no JSON", { where: { file }, cause });
  }
}
