// A run's chosen model against the rule pack: what the dossier proves, what the manifest declares, and its one place; may depend on policy, quantity and this room.
import { checkCase } from "../policy/rules/check.ts";
import { readPack } from "../policy/rules/pack.ts";
import { evidenceOfPlace } from "../policy/rules/place-evidence.ts";
import type { Assumption } from "../quantity/figure.ts";
import { evidenceOfDossier } from "./dossier-evidence.ts";
import type { Dossier } from "./dossier-schema.ts";
import type { Manifest } from "./manifest-schema.ts";

/** The check that the manifest asks for, and what it assumes; no check where it asks for none. */
export function checkRun(
  dossier: Dossier,
  { check: wanted, where }: Pick<Manifest, "check" | "where">,
): { readonly check: Dossier["check"]; readonly assumptions: readonly Assumption[] } {
  if (wanted === undefined) return { check: null, assumptions: [] };
  const evidence = evidenceOfDossier(dossier);
  for (const [field, value] of Object.entries(wanted.evidence)) {
    // What the run measured stands against what anybody declares.
    if (!evidence.has(field)) evidence.set(field, { value, method: "declared", source: dossier.manifest.file });
  }
  const place = where === undefined ? undefined : evidenceOfPlace(where, evidence);
  const subject = { roles: wanted.roles, evidence: new Map([...evidence, ...(place?.evidence ?? [])]) };
  const check = checkCase(readPack(), subject, {
    asOf: wanted.asOf ?? dossier.createdAt.slice(0, 10),
    proposals: wanted.proposals ?? [],
  });
  return { check, assumptions: place?.assumptions ?? [] };
}
