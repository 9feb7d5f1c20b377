// Evidence for rules: a YAML file of fields with values, each checked against the vocabulary; may depend on errors, io, quantity and its room.
import { z } from "zod";
import { LightfootError, type Finding } from "../../errors/lightfoot-error.ts";
import { checkAgainst, inReadingOrder, locateYaml } from "../../io/yaml-findings.ts";
import { METHODS } from "../../quantity/figure.ts";
import type { Case, Evidence } from "./judge.ts";
import { computeSchema, evidenceOfCompute } from "./compute-ledger.ts";
import { ROLES } from "./roles.ts";
import { evidenceValueSchema, type Vocabulary } from "./rule-schema.ts";
import { evidenceMistake } from "./vocabulary.ts";

const entrySchema = z.union([
  evidenceValueSchema,
  z.strictObject({
    value: evidenceValueSchema,
    method: z.enum(METHODS).optional(),
    source: z.string().min(1).optional(),
  }),
]);

const fileSchema = z.strictObject({
  schema: z.literal("lightfoot.evidence/1").optional(),
  roles: z.array(z.enum(ROLES)).min(1).optional(),
  evidence: z.record(z.string(), entrySchema).default({}),
  /** Country, grid zone or cloud region that answers every country field which `evidence` leaves open. */
  where: z.string().min(1).optional(),
  /** Training compute, run by run. */
  compute: computeSchema.optional(),
});

/**
 * The case of an evidence file.
 *
 * @param text YAML or JSON
 * @throws LightfootError E_POLICY with every mistake, each with line, column and path
 */
export function parseEvidence(
  text: string,
  vocabulary: Vocabulary,
  file = "evidence.yaml",
): Case & { readonly where?: string } {
  const located = locateYaml(text, file);
  const { value, findings } = checkAgainst(fileSchema, located);
  const more: Finding[] = [];
  const evidence = new Map<string, Evidence>();
  for (const [path, entry] of Object.entries(value?.evidence ?? {})) {
    const given = typeof entry === "object" ? entry : { value: entry };
    const mistake = evidenceMistake(path, given.value, vocabulary);
    if (mistake !== undefined) more.push(located.find(["evidence", path], mistake.message, mistake.hint));
    evidence.set(path, { ...given, method: given.method ?? "declared" });
  }
  for (const [field, entry] of computed(value?.compute, (message, hint) =>
    more.push(located.find(["compute"], message, hint)),
  )) {
    if (evidence.has(field)) more.push(located.find(["evidence", field], `${field} is given here and by 'compute'`));
    evidence.set(field, entry);
  }
  const all = inReadingOrder([...findings, ...more]);
  if (all.length > 0) {
    throw new LightfootError(
      "E_POLICY",
      `the evidence has ${all.length === 1 ? "a mistake" : `${all.length} mistakes`}`,
      {
        where: { file },
        findings: all,
      },
    );
  }
  return { roles: value?.roles ?? [], evidence, ...(value?.where === undefined ? {} : { where: value.where }) };
}

function computed(
  ledger: z.output<typeof computeSchema> | undefined,
  onMistake: (message: string, hint: string | undefined) => void,
): ReadonlyMap<string, Evidence> {
  try {
    return ledger === undefined ? new Map() : evidenceOfCompute(ledger);
  } catch (thrown) {
    if (!(thrown instanceof LightfootError)) throw thrown;
    onMistake(thrown.message, thrown.hint);
    return new Map();
  }
}
