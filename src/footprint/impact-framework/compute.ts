// Walks the tree: defaults, observe, regroup, compute, as the framework orders them; may depend on errors and its room.
import { closestName } from "../../errors/closest-name.ts";
import { LightfootError } from "../../errors/lightfoot-error.ts";
import type { Report } from "./findings.ts";
import type { Pipeline, TreeNode } from "./manifest.ts";
import { cellAt, NO_OBSERVATIONS, pick, withDefaults, type Observations, type Row } from "./observations.ts";
import { runPlugin, type AggregationMethod, type Arithmetic, type ImpactPorts, type PluginInstance } from "./plugin.ts";

export interface ComputeContext {
  readonly file: string;
  readonly plugins: ReadonlyMap<string, PluginInstance>;
  readonly arithmetic: Arithmetic;
  readonly ports: ImpactPorts;
  readonly report: Report;
  readonly methodOf: (parameter: string) => AggregationMethod;
  /** Called before each component, for progress. */
  readonly onComponent?: (path: string) => void;
  readonly signal?: AbortSignal;
}

interface Inherited {
  readonly pipeline?: Pipeline;
  readonly defaults?: Row;
  /** Names of the nodes down to here, since the last node with a pipeline of its own. */
  readonly names: readonly string[];
}

/** The tree with `outputs` in every component that has a compute pipeline. */
export function computeTree(tree: TreeNode, context: ComputeContext): Promise<TreeNode> {
  return computeNode(tree, { names: [] }, context);
}

async function computeNode(node: TreeNode, inherited: Inherited, context: ComputeContext): Promise<TreeNode> {
  context.signal?.throwIfAborted();
  const pipeline = node.pipeline ?? inherited.pipeline;
  const defaults = node.defaults ?? inherited.defaults;
  const names = node.pipeline === undefined ? inherited.names : [];
  if (node.own["config"] !== undefined && node.own["config"] !== null) {
    context.report({
      code: "node-config-ignored",
      severity: "warning",
      message: "'config' of a node is ignored: plugins take their config from initialize.plugins",
      where: { path: `${node.path}.config` },
    });
  }
  if (node.children !== undefined) {
    const children = await computeChildren(node.children, { pipeline, defaults, names }, context);
    return { ...node, children };
  }
  context.onComponent?.(node.path);
  let inputs = node.inputs;
  let storage = inputs ?? NO_OBSERVATIONS;
  if (pipeline?.observe) {
    for (const name of pipeline.observe) storage = await runNamed(name, storage, `${node.path}.inputs`, context);
    storage = withDefaults(storage, defaults);
    inputs = storage;
  }
  storage = withDefaults(storage, defaults);
  if (pipeline?.regroup && !isRegrouped(pipeline.regroup, storage, names)) {
    const groups = regroup(storage, pipeline.regroup, node.path, context.file);
    const rest: Pipeline = { observe: pipeline.observe, compute: pipeline.compute };
    const children = await computeChildren(groups, { pipeline: rest, defaults, names }, context);
    return { path: node.path, own: node.own, children };
  }
  let outputs: Observations | undefined;
  for (const name of pipeline?.compute ?? []) {
    const wasEmpty = storage.length === 0;
    storage = await runNamed(name, storage, `${node.path}.inputs`, context);
    if (wasEmpty) storage = withDefaults(storage, defaults);
    outputs = storage;
  }
  const { inputs: _inputs, outputs: _outputs, ...rest } = node;
  return { ...rest, ...(inputs !== undefined && { inputs }), ...(outputs !== undefined && { outputs }) };
}

async function computeChildren(
  children: ReadonlyMap<string, TreeNode>,
  inherited: Inherited,
  context: ComputeContext,
): Promise<ReadonlyMap<string, TreeNode>> {
  const done = new Map<string, TreeNode>();
  for (const [name, child] of children) {
    done.set(name, await computeNode(child, { ...inherited, names: [...inherited.names, name] }, context));
  }
  return done;
}

function runNamed(
  name: string,
  observations: Observations,
  path: string,
  context: ComputeContext,
): Promise<Observations> {
  const plugin = context.plugins.get(name);
  if (plugin === undefined) {
    const known = [...context.plugins.keys()];
    const guess = closestName(name, known);
    throw new LightfootError("E_IMPACT", `the pipeline runs '${name}', which initialize.plugins does not have`, {
      where: { file: context.file, path: path.replace(/\.inputs$/, ".pipeline") },
      hint: guess === undefined ? `Plugins here: ${known.join(", ") || "none"}.` : `Did you mean '${guess}'?`,
    });
  }
  const { file, arithmetic, ports, report, methodOf } = context;
  return runPlugin(plugin, { observations, arithmetic, ports, report, path, file, methodOf });
}

/** True when the node already lies under the names that its observations would be grouped by. */
function isRegrouped(keys: readonly string[], observations: Observations, names: readonly string[]): boolean {
  if (names.length < keys.length) return false;
  const last = names.slice(-keys.length);
  return keys.every((key, index) => {
    const column = observations.columns.get(key);
    for (let row = 0; row < observations.length; row++) if (cellAt(column, row) !== last[index]) return false;
    return true;
  });
}

/** Components by the values of `keys`, nested in their order; groups stand in the order in which they are met. */
function regroup(
  observations: Observations,
  keys: readonly string[],
  path: string,
  file: string,
): ReadonlyMap<string, TreeNode> {
  const [key, ...rest] = keys;
  const column = observations.columns.get(key);
  const rows = new Map<string, number[]>();
  for (let row = 0; row < observations.length; row++) {
    const value = cellAt(column, row);
    const isUsable =
      (typeof value === "string" && value !== "") || (typeof value === "number" && value !== 0) || value === true;
    if (!isUsable) {
      throw new LightfootError("E_IMPACT", `'${key}' has no value to group by`, {
        where: { file, path: `${path}.inputs[${row}]`, ...lineAt(observations, row) },
        hint: `Give '${key}' in every observation, or take it out of 'regroup'.`,
      });
    }
    const name = String(value);
    const group = rows.get(name);
    if (group === undefined) rows.set(name, [row]);
    else group.push(row);
  }
  return new Map(
    Array.from(rows, ([name, group]): [string, TreeNode] => {
      const below = `${path}.children.${name}`;
      const part = pick(observations, group);
      if (rest.length === 0) return [name, { path: below, own: {}, inputs: part }];
      return [name, { path: below, own: {}, children: regroup(part, rest, below, file) }];
    }),
  );
}

function lineAt(observations: Observations, row: number): { line?: number } {
  const line = observations.lineOf?.(row);
  return line === undefined ? {} : { line };
}
