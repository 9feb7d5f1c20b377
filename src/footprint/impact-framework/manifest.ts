// The shape of an Impact Framework manifest after reading: checked head, tree of nodes with observations; may depend on zod, errors and its room.
import { z } from "zod";
import { closestName } from "../../errors/closest-name.ts";
import { LightfootError, type Finding } from "../../errors/lightfoot-error.ts";
import { fromRows, type Observations, type Row } from "./observations.ts";
import { AGGREGATION_METHODS, type PluginMetadata } from "./plugin.ts";

export const AGGREGATION_TYPES = ["horizontal", "time", "vertical", "component", "both"] as const;

const methodSchema = z.enum(AGGREGATION_METHODS);
const metadataSchema = z
  .record(
    z.string(),
    z.object({
      unit: z.string(),
      description: z.string(),
      "aggregation-method": z.object({ time: methodSchema, component: methodSchema }),
    }),
  )
  .nullish();

const pluginSchema = z.object({
  path: z.string(),
  method: z.string(),
  mapping: z.record(z.string(), z.string()).nullish(),
  config: z.record(z.string(), z.unknown()).nullish(),
  "parameter-metadata": z.object({ inputs: metadataSchema, outputs: metadataSchema }).nullish(),
});

const pipelineSchema = z.object({
  observe: z.array(z.string()).nullish(),
  regroup: z.array(z.string()).min(1, "a regroup needs at least one key").nullish(),
  compute: z.array(z.string()).nullish(),
});

const headSchema = z.looseObject({
  name: z.string(),
  description: z.string().nullish(),
  tags: z.record(z.string(), z.unknown()).nullish(),
  explainer: z.boolean().nullish(),
  aggregation: z
    .object({
      metrics: z.array(z.string()),
      type: z.enum(AGGREGATION_TYPES),
      "skip-components": z.array(z.string()).optional(),
    })
    .nullish(),
  initialize: z.looseObject({ plugins: z.record(z.string(), pluginSchema) }),
});

export interface PluginEntry {
  readonly path: string;
  readonly method: string;
  readonly mapping?: Readonly<Record<string, string>> | null;
  readonly config?: Readonly<Record<string, unknown>> | null;
  readonly "parameter-metadata"?: PluginMetadata | null;
}
export type Aggregation = NonNullable<z.infer<typeof headSchema>["aggregation"]>;
export type ImpactHead = z.infer<typeof headSchema>;
export type Pipeline = z.infer<typeof pipelineSchema>;

/** A group of nodes, or a component with observations. */
export interface TreeNode {
  /** In the YAML, e.g. `tree.children.web`. */
  readonly path: string;
  /** All keys but the ones below, as they were read: pipeline, defaults, config … */
  readonly own: Readonly<Record<string, unknown>>;
  readonly pipeline?: Pipeline;
  readonly defaults?: Row;
  readonly children?: ReadonlyMap<string, TreeNode>;
  readonly inputs?: Observations;
  readonly outputs?: Observations;
  readonly aggregated?: Row;
}

export interface ImpactManifest {
  readonly file: string;
  /** Everything but the tree. */
  readonly head: ImpactHead;
  readonly tree: TreeNode;
  /** Observations in all inputs. */
  readonly observationCount: number;
}

const MAX_DEPTH = 100;
const TREE_KEYS: ReadonlySet<string> = new Set(["children", "inputs", "outputs", "aggregated"]);

/**
 * Checks plain data against the format.
 *
 * @param listOf observations that the reader already has for a value standing in `inputs` or `outputs`
 * @throws LightfootError E_IMPACT with a finding for each mistake
 */
export function checkManifest(
  data: unknown,
  file: string,
  listOf: (value: unknown) => Observations | undefined = () => undefined,
): ImpactManifest {
  if (data === null || typeof data !== "object" || Array.isArray(data)) {
    throw new LightfootError(
      "E_IMPACT",
      "the file holds no manifest: expected keys such as name, initialize and tree",
      {
        where: { file },
        hint: "A manifest of the Impact Framework is YAML with 'initialize.plugins' and 'tree'.",
      },
    );
  }
  const { tree, ...rest } = data as Record<string, unknown>;
  const findings: Finding[] = [];
  const head = headSchema.safeParse(rest);
  if (!head.success) findings.push(...head.error.issues.map((issue) => findingOf(issue, rest, file, [])));
  let observationCount = 0;

  const list = (value: unknown, path: string): Observations | undefined => {
    if (value === undefined || value === null) return undefined;
    const known = listOf(value);
    if (known !== undefined) return known;
    if (!Array.isArray(value)) {
      findings.push({ message: "found no list of observations", where: { file, path } });
      return undefined;
    }
    const bad = value.findIndex((row) => row === null || typeof row !== "object" || Array.isArray(row));
    if (bad >= 0) {
      findings.push({
        message: `found ${JSON.stringify(value[bad])}, expected an observation such as {timestamp: …, duration: …}`,
        where: { file, path: `${path}[${bad}]` },
      });
      return undefined;
    }
    return fromRows(value as Row[]);
  };

  const node = (value: unknown, path: string, depth: number): TreeNode => {
    if (depth > MAX_DEPTH) {
      throw new LightfootError("E_LIMIT", `the tree is more than ${MAX_DEPTH} levels deep`, { where: { file, path } });
    }
    if (value === null || typeof value !== "object" || Array.isArray(value)) {
      findings.push({ message: "found no node: expected children, or inputs and a pipeline", where: { file, path } });
      return { path, own: {} };
    }
    const fields = value as Record<string, unknown>;
    const own = Object.fromEntries(Object.entries(fields).filter(([key]) => !TREE_KEYS.has(key)));
    const pipeline = pipelineSchema.safeParse(own["pipeline"] ?? {});
    if (!pipeline.success) {
      findings.push(
        ...pipeline.error.issues.map((issue) => findingOf(issue, own["pipeline"], file, [path, "pipeline"])),
      );
    }
    const { defaults } = own;
    if (defaults !== undefined && defaults !== null && (typeof defaults !== "object" || Array.isArray(defaults))) {
      findings.push({ message: "found no group of keys", where: { file, path: `${path}.defaults` } });
    }
    const kids = fields["children"];
    const inputs = list(fields["inputs"], `${path}.inputs`);
    const outputs = list(fields["outputs"], `${path}.outputs`);
    observationCount += inputs?.length ?? 0;
    const aggregated = fields["aggregated"];
    return {
      path,
      own,
      ...(own["pipeline"] !== undefined && own["pipeline"] !== null && pipeline.success && { pipeline: pipeline.data }),
      ...(defaults !== null && typeof defaults === "object" && { defaults: defaults as Row }),
      ...(kids !== undefined && kids !== null && { children: childrenOf(kids, path, depth) }),
      ...(inputs !== undefined && { inputs }),
      ...(outputs !== undefined && { outputs }),
      ...(typeof aggregated === "object" && aggregated !== null && { aggregated: aggregated as Row }),
    };
  };
  const childrenOf = (kids: unknown, path: string, depth: number): ReadonlyMap<string, TreeNode> => {
    if (typeof kids !== "object" || kids === null || Array.isArray(kids)) {
      findings.push({ message: "found no group of children by name", where: { file, path: `${path}.children` } });
      return new Map();
    }
    return new Map(
      Object.entries(kids).map(([name, child]) => [name, node(child, `${path}.children.${name}`, depth + 1)]),
    );
  };

  if (tree === undefined || tree === null) {
    findings.push({ message: "'tree' is missing, expected a group of nodes", where: { file, path: "tree" } });
  }
  const root = tree === undefined || tree === null ? { path: "tree", own: {} } : node(tree, "tree", 0);
  if (head.success && findings.length === 0) return { file, head: head.data, tree: root, observationCount };
  const [first] = findings;
  throw new LightfootError(
    "E_IMPACT",
    `the manifest has ${findings.length} mistake${findings.length === 1 ? "" : "s"}`,
    {
      where: first?.where ?? { file },
      findings,
    },
  );
}

const HEAD_KEYS: ReadonlySet<string> = new Set([
  "name",
  "description",
  "tags",
  "initialize",
  "aggregation",
  "explainer",
  "tree",
]);

function findingOf(issue: z.core.$ZodIssue, data: unknown, file: string, base: readonly string[]): Finding {
  const path = [...base, ...issue.path.map(String)].join(".");
  let value = data;
  for (const step of issue.path) value = (value as Record<PropertyKey, unknown> | undefined)?.[step];
  const name = String(issue.path.at(-1) ?? "");
  const message = value === undefined ? `'${name}' is missing` : `found ${JSON.stringify(value)}: ${issue.message}`;
  const mistyped =
    value === undefined && data !== null && typeof data === "object" && issue.path.length === 1
      ? Object.keys(data).find((key) => !HEAD_KEYS.has(key) && closestName(key, [name]) === name)
      : undefined;
  return {
    message,
    where: { file, path },
    ...(mistyped !== undefined && { hint: `Did '${mistyped}' mean '${name}'?` }),
  };
}
