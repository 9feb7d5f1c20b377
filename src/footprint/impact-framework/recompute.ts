// Runs a manifest from its inputs to its aggregated outputs, and tells what is wrong on the way; may depend on errors and its room.
//
//   const manifest = await readImpactManifest("pipeline.yml");                  // footprint/exchange/impact-framework.ts
//   const run = await recompute(manifest, { ports: localPorts("pipeline.yml") }); // exchange/impact-framework-ports.ts
//   run.tree.aggregated   // totals as the framework gives them
//   run.findings          // what is wrong: code, severity, where (path, line), says, right, factor, count
//   run.corrected         // the same tree with the right arithmetic, when a finding changes numbers; else undefined
//
// For a manifest that already has outputs (an output of if-run), `compareOutputs(manifest.tree, run.tree)` lists every
// number that the file states and that its own inputs and pipeline do not give.
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { FindingList, show, type ImpactFinding } from "./findings.ts";
import { aggregateTree, aggregationMethods } from "./aggregate.ts";
import { checkObservations } from "./check-observations.ts";
import { checkPipelines } from "./check-pipelines.ts";
import { rightRatios, sciNames } from "./check-ratios.ts";
import { computeTree } from "./compute.ts";
import type { ImpactManifest, TreeNode } from "./manifest.ts";
import { cellAt, type Observations } from "./observations.ts";
import type { Arithmetic, ImpactPorts, PluginInstance } from "./plugin.ts";
import { instantiate } from "./registry.ts";

export interface RecomputeOptions {
  readonly ports: ImpactPorts;
  readonly onComponent?: (path: string) => void;
  readonly signal?: AbortSignal;
}

export interface Recomputation {
  readonly manifest: ImpactManifest;
  /** With the framework's own arithmetic: what `if-run` gives, mistakes included. */
  readonly tree: TreeNode;
  /** With the right arithmetic; undefined where no finding changes a number. */
  readonly corrected: TreeNode | undefined;
  readonly findings: readonly ImpactFinding[];
  readonly plugins: ReadonlyMap<string, PluginInstance>;
}

/** Findings whose right number the plugins can give themselves. */
const CORRECTABLE: ReadonlySet<string> = new Set([
  "sci-functional-unit-zero",
  "sci-sum-of-ratios",
  "embodied-storage-swapped",
  "embodied-memory-unit",
  "embodied-memory-baseline",
  "divide-by-zero",
  "expression-last-row",
  "interpolation-points-sorted",
  "time-conversion-rounded",
  "time-sync-average",
  "time-sync-end",
]);

/**
 * Computes every node of the tree and aggregates as the manifest asks.
 *
 * @throws LightfootError E_IMPACT where the manifest cannot be run, E_NOT_ALLOWED where it asks for what a port refuses
 */
export async function recompute(manifest: ImpactManifest, options: RecomputeOptions): Promise<Recomputation> {
  const findings = new FindingList();
  const plugins = instancesOf(manifest);
  const once = { ...options, ports: askOnce(options.ports) };
  checkObservations(manifest.tree, findings.report);
  checkPipelines(manifest, plugins, findings.report);
  const tree = await runTree(manifest, "as-written", plugins, once, findings).catch((error: unknown) => {
    throw withFindings(error, findings.sorted(), manifest.file);
  });
  const names = sciNames(plugins.values());
  if (names !== undefined) rightRatios(tree, names, findings.report);
  const found = findings.sorted();
  if (!found.some(({ code }) => CORRECTABLE.has(code))) {
    return { manifest, tree, corrected: undefined, findings: found, plugins };
  }
  const silent = new FindingList();
  const again = await runTree(manifest, "corrected", instancesOf(manifest), once, silent);
  const corrected = names === undefined ? again : rightRatios(again, names, silent.report);
  return { manifest, tree, corrected, findings: found, plugins };
}

/** What was found before the run failed may be why it failed. */
function withFindings(error: unknown, found: readonly ImpactFinding[], file: string): unknown {
  const telling = found.filter(({ severity }) => severity !== "note");
  if (!(error instanceof LightfootError) || telling.length === 0) return error;
  const { code, message, hint, where, findings } = error;
  const more = telling.map((each) => ({ message: `${each.code}: ${each.message}`, where: { file, ...each.where } }));
  return new LightfootError(code, message, { hint, where, cause: error, findings: [...findings, ...more] });
}

/** The second, corrected pass sees the same files and answers, and runs no command twice. */
function askOnce(ports: ImpactPorts): ImpactPorts {
  const remember = <A extends readonly string[]>(ask: (...question: A) => Promise<string>) => {
    const answers = new Map<string, Promise<string>>();
    return (...question: A): Promise<string> => {
      const key = JSON.stringify(question);
      const answer = answers.get(key) ?? ask(...question);
      answers.set(key, answer);
      return answer;
    };
  };
  const { readFile, fetchText, runCommand } = ports;
  return {
    ...ports,
    readFile: remember(readFile),
    ...(fetchText !== undefined && { fetchText: remember(fetchText) }),
    ...(runCommand !== undefined && { runCommand: remember(runCommand) }),
  };
}

function instancesOf({ head, file }: ImpactManifest): Map<string, PluginInstance> {
  return new Map(
    Object.entries(head.initialize.plugins).map(([name, entry]) => [name, instantiate(name, entry as never, file)]),
  );
}

async function runTree(
  manifest: ImpactManifest,
  arithmetic: Arithmetic,
  plugins: ReadonlyMap<string, PluginInstance>,
  options: RecomputeOptions,
  findings: FindingList,
): Promise<TreeNode> {
  const methods = aggregationMethods(plugins.values());
  const { file, head } = manifest;
  const { report } = findings;
  const computed = await computeTree(manifest.tree, {
    ...options,
    file,
    plugins,
    arithmetic,
    report,
    methodOf: (parameter) => methods.of("time", parameter),
  });
  if (head.aggregation === undefined || head.aggregation === null) return computed;
  const ratioMetric = sciNames(plugins.values())?.sci;
  return aggregateTree(computed, head.aggregation, { methods, report, file, ratioMetric });
}

/** One number of a file that its own inputs do not give. */
export interface OutputDifference {
  readonly path: string;
  readonly stated: string;
  readonly recomputed: string;
  /** stated over recomputed, where both are numbers. */
  readonly factor: number | null;
}

/**
 * Every output and total that `stated` holds and `recomputed` does not repeat within `tolerance` (relative).
 *
 * @param limit differences listed; the rest is not looked at
 */
export function compareOutputs(
  stated: TreeNode,
  recomputed: TreeNode,
  tolerance = 1e-9,
  limit = 100,
): OutputDifference[] {
  const differences: OutputDifference[] = [];
  const compare = (path: string, left: unknown, right: unknown): void => {
    if (differences.length >= limit || isSame(left, right, tolerance)) return;
    const factor = typeof left === "number" && typeof right === "number" ? left / right : Number.NaN;
    differences.push({
      path,
      stated: text(left),
      recomputed: text(right),
      factor: Number.isFinite(factor) ? factor : null,
    });
  };
  const list = (path: string, left: Observations, right: Observations | undefined): void => {
    compare(`${path}.length`, left.length, right?.length ?? 0);
    if (right === undefined) return;
    for (const [name, column] of left.columns) {
      const other = right.columns.get(name);
      for (let row = 0; row < Math.min(left.length, right.length) && differences.length < limit; row++) {
        compare(`${path}[${row}]["${name}"]`, cellAt(column, row), cellAt(other, row));
      }
    }
  };
  const walk = (left: TreeNode, right: TreeNode | undefined): void => {
    if (left.outputs !== undefined) list(`${left.path}.outputs`, left.outputs, right?.outputs);
    for (const [name, value] of Object.entries(left.aggregated ?? {})) {
      compare(`${left.path}.aggregated.${name}`, value, right?.aggregated?.[name]);
    }
    for (const [name, child] of left.children ?? []) walk(child, right?.children?.get(name));
  };
  walk(stated, recomputed);
  return differences;
}

const text = (value: unknown): string =>
  typeof value === "number"
    ? show(value)
    : typeof value === "symbol" || value === undefined
      ? "missing"
      : JSON.stringify(plain(value));

/** A date and its text are one moment: YAML writers differ in the quotes. */
const plain = (value: unknown): unknown => (value instanceof Date ? value.toISOString() : value);

function isSame(left: unknown, right: unknown, tolerance: number): boolean {
  if (typeof left === "number" && typeof right === "number") {
    return Object.is(left, right) || Math.abs(left - right) <= tolerance * Math.max(Math.abs(left), Math.abs(right));
  }
  const [a, b] = [plain(left), plain(right)];
  return a === b || (typeof a === "object" && JSON.stringify(a) === JSON.stringify(b));
}
