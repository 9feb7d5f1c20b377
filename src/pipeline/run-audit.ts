// The audit of a run's chosen model against its original, on the run's own data; may depend on runtime, errors and this room.
import { LightfootError } from "../errors/lightfoot-error.ts";
import type { Audit } from "../runtime/audit/audit-schema.ts";
import { audit } from "../runtime/audit/audit.ts";
import { readPartition } from "../runtime/audit/groups.ts";
import type { Assumption } from "../quantity/figure.ts";
import type { Manifest } from "./manifest-schema.ts";
import type { RunData } from "./run-data.ts";

export interface RunAudit {
  readonly audit: Audit | null;
  readonly assumptions: readonly Assumption[];
}

/**
 * Audits on test data, else on validation data. Members for membership inference are the training data.
 *
 * A model that no audit can be made of (no labels, several decisions a sample) is told as an assumption, and ends no run.
 * @throws LightfootError E_DATA for groups that do not fit the data; E_RUNTIME, E_INTERRUPTED
 */
export async function auditRun(
  models: { readonly original: string; readonly compressed: string },
  manifest: Pick<Manifest, "model" | "audit" | "seed" | "threads">,
  { train, validation, test }: RunData,
  signal: AbortSignal,
): Promise<RunAudit> {
  const data = test ?? validation;
  const { model, audit: wanted, seed, threads } = manifest;
  const none = (why: string): RunAudit => ({
    audit: null,
    assumptions: [{ key: "audit.none", text: `Behavior beyond the budget's metric was not audited: ${why}.` }],
  });
  if (data.labels === undefined) return none(`'${data.name}' has no labels`);
  const partitions = await Promise.all((wanted?.groups ?? []).map((groups) => readPartition(groups, data.sampleCount)));
  const membership = train?.labels === undefined ? undefined : { members: train, others: data };
  const assumptions: Assumption[] =
    membership === undefined || model.file === undefined
      ? []
      : [
          {
            key: "audit.members",
            text: "The original came as a file: that it was trained on data.train, whose samples count as members, is taken on trust.",
          },
        ];
  try {
    const found = await audit(models.original, models.compressed, {
      data,
      partitions,
      membership,
      image: wanted?.image,
      seed,
      threads,
      signal,
    });
    return { audit: found, assumptions };
  } catch (thrown) {
    if (thrown instanceof LightfootError && thrown.code === "E_METRIC") return none(thrown.message);
    throw thrown;
  }
}
