// `analyze`: from a model to its cost report, node by node; may depend on model, facts, io, quantity, errors and this room.
import { stat } from "node:fs/promises";
import { findHardware } from "../facts/hardware.ts";
import { sha256File } from "../io/digest.ts";
import type { ModelGraph, ValueInfo } from "../model/graph.ts";
import { readOnnx } from "../model/onnx/read.ts";
import type { GraphInference } from "../model/shapes/inference.ts";
import { nodesOf, tensorsOf } from "../model/tensors.ts";
import type { Assumption } from "../quantity/figure.ts";
import { peakActivationBytes } from "./activation-memory.ts";
import { concreteShapes, realInputs, type GivenShapes } from "./concrete-shapes.ts";
import { rebuiltWeights } from "./load-time.ts";
import { countParameters } from "./parameters.ts";
import type { CostReport, NodeCost, OperatorCost } from "./report-schema.ts";
import { durationFigure } from "./roofline.ts";
import { numericShape, operatorName, Tally } from "./tally.ts";

export interface AnalyzeOptions extends GivenShapes {
  /** Catalogue id for the roofline, e.g. `nvidia-h100-sxm5-80gb:8`. */
  readonly hardware?: string;
}

/** Files beside the model that hold its weights. */
function externalFiles(model: ModelGraph): string[] {
  return [...tensorsOf(model)].flatMap(({ data }) => (data.kind === "file" && data.external ? [data.file] : []));
}

/**
 * Reads and analyzes a model file; the report names the file, its digest and its size, files of external data included.
 * @see analyze
 */
export async function analyzeFile(path: string, options: AnalyzeOptions = {}): Promise<CostReport> {
  const model = await readOnnx(path);
  const report = await analyze(model, options);
  const files = new Set([path, ...externalFiles(model)]);
  const sizes = await Promise.all([...files].map(async (file) => (await stat(file)).size));
  const fileBytes = sizes.reduce((sum, size) => sum + size, 0);
  return { ...report, model: { ...report.model, path, fileBytes, digest: await sha256File(path) } };
}

/**
 * What one run of a model costs: parameters, multiply-adds, FLOPs (2 · multiply-adds + 1 per arithmetic element), bytes moved
 * and peak activation bytes, per node, per operator and in total.
 *
 * Open dimensions become `batch` (first axis) or 1, and the report says so. Of an `If` the dearer branch counts; a loop
 * counts its trips, or one where only the data decides, and says so. A node whose work is not known is listed in
 * `coverage`, never counted as free.
 * @throws LightfootError E_USAGE for an input the model does not have, E_SHAPE for shapes that contradict each other,
 *   E_HARDWARE_UNKNOWN
 * @example (await analyze(await readOnnx("net.onnx"), { batch: 8 })).macs
 */
export async function analyze(model: ModelGraph, options: AnalyzeOptions = {}): Promise<CostReport> {
  const hardware = options.hardware === undefined ? undefined : findHardware(options.hardware);
  const assumptions = new Map<string, Assumption>();
  const inference = await concreteShapes(model, options, assumptions);
  const counted = countParameters(model, rebuiltWeights(inference.root));
  const tally = new Tally(inference, counted, hardware, assumptions);
  tally.graph(inference.root, 1);

  const byNode = tally.nodes;
  const total = (pick: (node: NodeCost) => number | null) => byNode.reduce((sum, node) => sum + (pick(node) ?? 0), 0);
  const timed = byNode.filter((node) => node.rooflineSeconds !== undefined);
  const seconds = timed.reduce((sum, node) => sum + (node.rooflineSeconds ?? 0), 0);
  const computeSeconds = timed.reduce((sum, n) => sum + (n.bound === "compute" ? (n.rooflineSeconds ?? 0) : 0), 0);
  const duration = hardware === undefined || timed.length === 0 ? undefined : durationFigure(seconds, hardware);
  if (hardware !== undefined && duration === undefined) {
    const key = "roofline.no-peak";
    assumptions.set(key, { key, text: `no peak rate of ${hardware.name} is known, so there are no roofline seconds` });
  }
  for (const entry of duration?.assumptions ?? []) assumptions.set(entry.key, entry);
  const operators = countOperators(model);
  return {
    schema: "lightfoot.analysis/1",
    model: {
      path: null,
      format: model.format,
      digest: null,
      opset: model.opsets.get("") ?? model.opsets.get("ai.onnx") ?? 1,
      irVersion: model.irVersion,
      producer: [model.producerName, model.producerVersion].filter((part) => part !== "").join(" "),
      fileBytes: null,
    },
    inputs: shapesOf(realInputs(model.graph), inference.root),
    outputs: shapesOf(model.graph.outputs, inference.root),
    parameters: counted.parameters,
    weightBytes: counted.weightBytes,
    macs: total(({ macs }) => macs),
    flops: total(({ flops }) => flops),
    bytesMoved: total(({ bytesMoved }) => bytesMoved),
    peakActivationBytes: peakActivationBytes(inference.root),
    nodeCount: Object.values(operators).reduce((sum, count) => sum + count, 0),
    operators,
    byOperator: groupByOperator(byNode, operators),
    byNode,
    coverage: {
      knownFraction: byNode.length === 0 ? 1 : 1 - tally.unknown.length / byNode.length,
      unknown: tally.unknown,
    },
    roofline:
      hardware === undefined || duration === undefined
        ? null
        : {
            hardware: `${hardware.id}${hardware.count > 1 ? `:${hardware.count}` : ""}`,
            duration,
            computeBoundFraction: seconds > 0 ? computeSeconds / seconds : 0,
          },
    assumptions: [...assumptions.values()],
  };
}

function shapesOf(infos: readonly ValueInfo[], inference: GraphInference): Record<string, number[] | null> {
  return Object.fromEntries(infos.map(({ name }) => [name, numericShape(inference.types.get(name)) ?? null]));
}

function countOperators(model: ModelGraph): Record<string, number> {
  const counts = new Map<string, number>();
  for (const node of nodesOf(model)) counts.set(operatorName(node), (counts.get(operatorName(node)) ?? 0) + 1);
  return Object.fromEntries([...counts].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1)));
}

function groupByOperator(nodes: readonly NodeCost[], operators: Record<string, number>): Record<string, OperatorCost> {
  const groups = new Map<string, OperatorCost>(
    Object.entries(operators).map(([name, count]) => [
      name,
      { count, macs: 0, flops: 0, bytesMoved: 0, parameters: 0 },
    ]),
  );
  for (const node of nodes) {
    const group = groups.get(node.opType);
    if (group === undefined) continue;
    group.macs += node.macs ?? 0;
    group.flops += node.flops ?? 0;
    group.bytesMoved += node.bytesMoved ?? 0;
    group.parameters += node.parameters;
  }
  return Object.fromEntries(groups);
}
