// Sums outputs up over time (each component) and over components (each group), as the metadata says; may depend on errors and its room.
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { ratio, show, type Report } from "./findings.ts";
import type { Aggregation, TreeNode } from "./manifest.ts";
import {
  ABSENT,
  cellAt,
  columnOf,
  NO_OBSERVATIONS,
  numberColumn,
  type Column,
  type Observations,
  type Row,
} from "./observations.ts";
import type { AggregationMethod, PluginInstance } from "./plugin.ts";

type Direction = "time" | "component";

export interface AggregationMethods {
  readonly of: (direction: Direction, parameter: string) => AggregationMethod;
  /** Parameters that some plugin declares. */
  readonly declared: { has(parameter: string): boolean };
}

/** How each parameter is aggregated: the last plugin that declares it decides; of undeclared ones the last value is copied. */
/** The framework warns "Omitting from the output", and copies. */
const UNDECLARED: AggregationMethod = "copy";

export function aggregationMethods(plugins: Iterable<PluginInstance>): AggregationMethods {
  const declared = new Map<string, { time: AggregationMethod; component: AggregationMethod }>();
  for (const { metadata } of plugins) {
    for (const [name, parameter] of Object.entries({ ...metadata.inputs, ...metadata.outputs })) {
      declared.set(name, parameter["aggregation-method"]);
    }
  }
  return { of: (direction, parameter) => declared.get(parameter)?.[direction] ?? UNDECLARED, declared };
}

interface Context {
  readonly metrics: readonly string[];
  readonly type: Aggregation["type"];
  readonly methods: AggregationMethods;
  readonly report: Report;
  readonly file: string;
  /** SCI: its totals are held against Σ carbon / Σ R instead of a weighted mean. */
  readonly ratioMetric: string | undefined;
}

/** The tree with `aggregated` in components (time) and `outputs` and `aggregated` in groups (component). */
export function aggregateTree(
  tree: TreeNode,
  aggregation: Aggregation,
  context: Omit<Context, "metrics" | "type">,
): TreeNode {
  if ((aggregation["skip-components"]?.length ?? 0) > 0) {
    context.report({
      code: "skip-components-ignored",
      severity: "warning",
      message: "'skip-components' is accepted and not acted on: every component is in the totals",
      where: { path: "aggregation.skip-components" },
      says: "skipped",
      right: "counted",
    });
  }
  return aggregateNode(tree, { ...context, metrics: aggregation.metrics, type: aggregation.type });
}

function aggregateNode(node: TreeNode, context: Context): TreeNode {
  const overTime = ["horizontal", "time", "both"].includes(context.type);
  const overComponents = ["vertical", "component", "both"].includes(context.type);
  if (node.children === undefined) {
    if (!overTime) return node;
    const outputs = node.outputs ?? NO_OBSERVATIONS;
    if (node.outputs === undefined) {
      throw new LightfootError("E_IMPACT", "the component has no outputs to aggregate", {
        where: { file: context.file, path: node.path },
        hint: "Give it a compute pipeline, or leave 'aggregation' out.",
      });
    }
    requireMetrics(outputs, node.path, context);
    return { ...node, aggregated: sumOverTime(outputs, `${node.path}.outputs`, context) };
  }
  const children = new Map(Array.from(node.children, ([name, child]) => [name, aggregateNode(child, context)]));
  if (!overComponents) return { ...node, children };
  const outputs = sumOverComponents([...children.values()], context);
  return { ...node, children, outputs, aggregated: sumOverTime(outputs, `${node.path}.outputs`, context) };
}

function requireMetrics(outputs: Observations, path: string, { metrics, file }: Context): void {
  for (const name of [...metrics, "timestamp", "duration"]) {
    const column = outputs.columns.get(name);
    const missing = missingRow(column, outputs.length);
    if (missing < 0) continue;
    throw new LightfootError("E_IMPACT", `'${name}' is to be aggregated and is missing`, {
      where: { file, path: `${path}.outputs[${missing}]` },
      hint: `Outputs here: ${[...outputs.columns.keys()].join(", ")}.`,
    });
  }
}

function missingRow(column: Column | undefined, length: number): number {
  if (length === 0) return -1;
  if (column === undefined) return 0;
  return column.kind === "any" ? column.values.indexOf(ABSENT) : -1;
}

/** The framework takes text that starts with a number as that number, and everything else as NaN. */
function numberAt(column: Column | undefined, row: number): number {
  const value = cellAt(column, row);
  return typeof value === "number" ? value : Number.parseFloat(String(value));
}

function sumOverTime(outputs: Observations, path: string, context: Context): Row {
  const aggregated: Record<string, unknown> = {};
  for (const metric of context.metrics) {
    const method = context.methods.of("time", metric);
    const column = outputs.columns.get(metric);
    if (method === "none" || !context.methods.declared.has(metric)) tellUnknown(metric, context);
    if (method === "none") continue;
    if (outputs.length === 0) continue;
    if (method === "copy") {
      aggregated[metric] = cellAt(column, outputs.length - 1);
      continue;
    }
    let total = 0;
    for (let row = 0; row < outputs.length; row++) total += numberAt(column, row);
    if (method === "avg") {
      total /= outputs.length;
      tellUnweighted(outputs, metric, total, path, context);
    }
    aggregated[metric] = total;
  }
  return aggregated;
}

/** A metric whose method is none is left out; one that nobody declares is taken for a property, such as a name. */
function tellUnknown(metric: string, { report, metrics, methods }: Context): void {
  const isDeclared = methods.declared.has(metric);
  report({
    code: "aggregation-metric-unknown",
    severity: isDeclared ? "warning" : "error",
    message: isDeclared
      ? `'${metric}' is to be aggregated and its aggregation-method is none: it is left out of the totals`
      : `no plugin declares how '${metric}' is aggregated: its total is the last value, whatever the others are`,
    where: { path: `aggregation.metrics[${metrics.indexOf(metric)}]` },
    says: isDeclared ? "left out" : "the last value",
    right: "declare it in parameter-metadata, with aggregation-method sum or avg",
  });
}

/** A plain mean of observations of different length weighs a minute as much as a day. */
function tellUnweighted(outputs: Observations, metric: string, mean: number, path: string, context: Context): void {
  const { report, metrics, ratioMetric } = context;
  if (metric === ratioMetric) return;
  const column = outputs.columns.get(metric);
  const lengths = outputs.columns.get("duration");
  if (lengths === undefined || lengths.kind === "constant") return;
  let weighted = 0;
  let seconds = 0;
  for (let row = 0; row < outputs.length; row++) {
    const duration = numberAt(lengths, row);
    weighted += numberAt(column, row) * duration;
    seconds += duration;
  }
  const right = weighted / seconds;
  if (!Number.isFinite(right) || Math.abs(right - mean) <= 1e-9 * Math.abs(mean)) return;
  report({
    code: "aggregation-average-unweighted",
    severity: "warning",
    message: `the mean of '${metric}' over time weighs observations of different duration alike, first in ${path}`,
    where: { path: `aggregation.metrics[${metrics.indexOf(metric)}]` },
    says: show(mean),
    right: show(right),
    factor: ratio(mean, right),
  });
}

function sumOverComponents(children: readonly TreeNode[], context: Context): Observations {
  const lists = children.map((child) => child.outputs ?? NO_OBSERVATIONS);
  const [first] = lists;
  if (first === undefined) return NO_OBSERVATIONS;
  const length = first.length;
  for (const [index, list] of lists.entries()) {
    if (list.length < length) {
      throw new LightfootError(
        "E_IMPACT",
        `components have ${list.length} and ${length} outputs: they cannot be summed up moment by moment`,
        {
          where: { file: context.file, path: children[index].path },
          hint: "Bring them onto one grid with TimeSync, or aggregate over time only.",
        },
      );
    }
    if (list.length > length) {
      context.report({
        code: "aggregation-length",
        severity: "error",
        message: `the first component has ${length} outputs, this one ${list.length}: the rest is in no total`,
        where: { path: `${children[index].path}.outputs` },
        says: `${length} outputs`,
        right: `${list.length} outputs`,
        count: list.length - length,
      });
    }
    requireMetrics(list, children[index].path, context);
  }
  tellGrid(lists, children, length, context);
  const columns = new Map<string, Column>();
  for (const metric of context.metrics) {
    const method = context.methods.of("component", metric);
    if (method === "none" || !context.methods.declared.has(metric)) tellUnknown(metric, context);
    if (method === "none") continue;
    const parts = lists.map((list) => list.columns.get(metric));
    if (method === "copy") {
      columns.set(metric, takeFirst(parts.at(-1), length));
      continue;
    }
    const totals = new Float64Array(length);
    for (const part of parts) for (let row = 0; row < length; row++) totals[row] += numberAt(part, row);
    if (method === "avg") for (let row = 0; row < length; row++) totals[row] /= lists.length;
    columns.set(metric, numberColumn(totals));
  }
  for (const name of ["timestamp", "duration"]) columns.set(name, takeFirst(lists.at(-1)?.columns.get(name), length));
  return { length, columns };
}

function takeFirst(column: Column | undefined, length: number): Column {
  if (column?.kind === "number" || column?.kind === "date")
    return { ...column, values: column.values.subarray(0, length) };
  return columnOf(Array.from({ length }, (_, row) => cellAt(column, row)));
}

/** Outputs are added by their place in the list, whatever their time: the last component's timestamps are shown. */
function tellGrid(
  lists: readonly Observations[],
  children: readonly TreeNode[],
  length: number,
  context: Context,
): void {
  const [first] = lists;
  for (const [index, list] of lists.entries()) {
    if (index === 0) continue;
    if (
      ["timestamp", "duration"].every((name) => isSameColumn(first.columns.get(name), list.columns.get(name), length))
    )
      continue;
    for (let row = 0; row < length; row++) {
      for (const name of ["timestamp", "duration"]) {
        const [left, right] = [first, list].map((each) => String(plain(cellAt(each.columns.get(name), row))));
        if (left === right) continue;
        context.report({
          code: "aggregation-grid",
          severity: "error",
          message: `outputs of different ${name === "timestamp" ? "moments" : "durations"} are added: they are matched by their place in the list`,
          where: { path: `${children[index].path}.outputs[${row}].${name}` },
          says: right,
          right: left,
        });
        return;
      }
    }
  }
}

function isSameColumn(left: Column | undefined, right: Column | undefined, length: number): boolean {
  if (left === undefined || right === undefined || left.kind !== right.kind) return false;
  if (left.kind === "constant" || right.kind === "constant") return false;
  const [a, b] = [left.values, right.values];
  for (let row = 0; row < length; row++) if (a[row] !== b[row]) return false;
  return true;
}

const plain = (value: unknown): unknown => (value instanceof Date ? value.toISOString() : value);
