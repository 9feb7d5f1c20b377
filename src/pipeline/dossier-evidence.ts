// What a dossier proves about its chosen model, as evidence for rules; may depend on its room and policy.
import { evidenceOfAudit } from "../policy/rules/audit-evidence.ts";
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

/**
 * Evidence by field, all measured on the data that the dossier names:
 *
 * - `evaluation.dropHigh`: upper end of the paired 95 % interval of the loss on test data, else on validation data
 * - `evaluation.accuracyLow`: lower end of the chosen model's accuracy
 * - `evaluation.agreement`: share of samples answered like the original
 * - what the audit measured (see `evidenceOfAudit`), where there is one
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
