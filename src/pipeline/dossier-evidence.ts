// What a dossier proves about its chosen model, as evidence for rules; may depend on its room, policy and io.
import { join } from "node:path";
import { evidenceOfAudit } from "../policy/rules/audit-evidence.ts";
import { sha256File } from "../io/digest.ts";
import { LightfootError } from "../errors/lightfoot-error.ts";
import type { Evidence } from "../policy/rules/judge.ts";
import { dossierSchema, type Dossier } from "./dossier-schema.ts";

/** The dossier in a document, or undefined when it is none. */
export function asDossier(document: unknown): Dossier | undefined {
  const isOne =
    typeof document === "object" &&
    document !== null &&
    (document as { schema?: unknown }).schema === "lightfoot.dossier/1";
  return isOne ? dossierSchema.parse(document) : undefined;
}

/** More than any processor's hardware thread does in float32: 2 × 2 × 16 operations a cycle at 6 GHz are 0.4e12. */
const MOST_FLOP_PER_THREAD_SECOND = 1e12;

/**
 * Evidence by field, measured on the data that the dossier names where nothing else is said:
 *
 * - `evaluation.dropHigh`: upper end of the paired 95 % interval of the loss on test data, else on validation data
 * - `evaluation.accuracyLow`: lower end of the chosen model's accuracy
 * - `evaluation.agreement`: share of samples answered like the original
 * - what the audit measured (see `evidenceOfAudit`), where there is one
 * - `mod.flop`: an upper bound of what the search computed, modelled from its processor seconds
 * - `artifact.lineageComplete`: original, chosen model and every data set carry a digest, and the recipe is recorded
 */
export function evidenceOfDossier(dossier: Dossier): Map<string, Evidence> {
  const chosen = dossier.candidates.find(({ selected }) => selected);
  if (chosen === undefined) return new Map();
  const { audit } = dossier;
  const evidence: Map<string, Evidence> =
    audit === null ? new Map() : evidenceOfAudit(audit, `audit of ${chosen.id} on ${audit.data.name}`);
  const loss = chosen.test ?? chosen.validation;
  const measured = (field: string, value: number | boolean, source: string): void => {
    evidence.set(field, { value, method: "measured", source });
  };
  if (loss !== null && loss.loss.unit === "1") {
    measured("evaluation.dropHigh", loss.loss.high, `${chosen.id} on ${loss.split} data, ${loss.sampleCount} samples`);
    measured("evaluation.accuracyLow", loss.candidate.low, `${chosen.id} on ${loss.split} data`);
  }
  if (chosen.agreement !== null)
    measured("evaluation.agreement", chosen.agreement.value, `${chosen.id} against the original`);
  const search = dossier.stages.find(({ stage }) => stage === "compress");
  if (search !== undefined) {
    evidence.set("mod.flop", {
      value: search.cpuSeconds * MOST_FLOP_PER_THREAD_SECOND,
      method: "modelled",
      source: "upper bound: processor seconds of the search times 1e12 FLOP/s",
    });
  }
  const digests = [
    ...dossier.models.map(({ digest }) => digest),
    ...dossier.data.map(({ digest }) => digest),
    chosen.digest ?? "",
  ];
  measured(
    "artifact.lineageComplete",
    digests.every((digest) => digest.startsWith("sha256:")) && chosen.recipe.length > 0,
    "digests of the dossier",
  );
  return evidence;
}

/** Model files beside a dossier whose digest is no longer the one that was recorded; what is not there cannot be told. */
export async function changedModels({ models }: Dossier, folder: string): Promise<string[]> {
  const changed: string[] = [];
  for (const { file, digest } of models) {
    const found = await sha256File(join(folder, file)).catch((thrown: unknown) => {
      if (thrown instanceof LightfootError && thrown.code === "E_FILE_NOT_FOUND") return undefined;
      throw thrown;
    });
    if (found !== undefined && found !== digest) changed.push(file);
  }
  return changed;
}
