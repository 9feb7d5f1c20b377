// `analyze`: from a model to its cost report, node by node; may depend on model, facts, io, quantity, errors and this room.
import { stat } from "node:fs/promises";
import { closestName } from "../errors/closest-name.ts";
import { LightfootError } from "../errors/lightfoot-error.ts";
import { findHardware, type HardwareProfile } from "../facts/hardware.ts";
import { sha256File } from "../io/digest.ts";
import { byteLengthOf } from "../model/dtype.ts";
import type { Graph, ModelGraph, Node, ValueInfo, ValueType } from "../model/graph.ts";
import { readOnnx } from "../model/onnx/read.ts";
import { loadConstants } from "../model/shapes/constants.ts";
import { symbolsOf } from "../model/shapes/expression.ts";
import { inferShapesWith } from "../model/shapes/infer.ts";
import { nodePath, typeIn, type Body, type GraphInference, type ShapeInference } from "../model/shapes/inference.ts";
import { nodesOf } from "../model/tensors.ts";
import { elementCount } from "../model/tensor-value.ts";
import type { Assumption } from "../quantity/figure.ts";
import { bytesOfType, peakActivationBytes } from "./activation-memory.ts";
import { PICKS, VIEWS, workOf, type ShapedNode } from "./operator-work.ts";
import { countParameters, type ParameterCount } from "./parameters.ts";
import type { CostReport, NodeCost, OperatorCost } from "./report-schema.ts";
import { durationFigure, nodeTime } from "./roofline.ts";

export interface AnalyzeOptions {
  /** Concrete shapes of inputs by name. */
  readonly inputs?: Readonly<Record<string, readonly number[]>>;
  /** Size of every input's first dimension that the file leaves open; 1 if left out. */
  readonly batch?: number;
  /** Catalogue id for the roofline, e.g. `nvidia-h100-sxm5-80gb:8`. */
  readonly hardware?: string;
}

/** An operator's name in reports: `Conv`, `com.microsoft:MatMulNBits`. */
export const operatorName = ({ domain, opType }: Pick<Node, "domain" | "opType">): string =>
  domain === "" || domain === "ai.onnx" ? opType : `${domain}:${opType}`;

/** Reads and analyzes a model file; the report names the file, its size and digest. @see analyze */
export async function analyzeFile(path: string, options: AnalyzeOptions = {}): Promise<CostReport> {
  const model = await readOnnx(path);
  const report = await analyze(model, options);
  const { size } = await stat(path);
  return { ...report, model: { ...report.model, path, fileBytes: size, digest: await sha256File(path) } };
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
  const counted = countParameters(model);
  const tally = new Tally(inference, counted, hardware, assumptions);
  tally.graph(inference.root, 1);

  const byNode = tally.nodes;
  const total = (pick: (node: NodeCost) => number | null) => byNode.reduce((sum, node) => sum + (pick(node) ?? 0), 0);
  const timed = byNode.filter((node) => node.rooflineSeconds !== undefined);
  const seconds = timed.reduce((sum, node) => sum + (node.rooflineSeconds ?? 0), 0);
  const computeSeconds = timed.reduce((sum, n) => sum + (n.bound === "compute" ? (n.rooflineSeconds ?? 0) : 0), 0);
  const duration = hardware === undefined || timed.length === 0 ? undefined : durationFigure(seconds, hardware);
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

/** Old files list initializers among the inputs: those are defaults, not data to feed. */
const realInputs = (graph: Graph): readonly ValueInfo[] =>
  graph.inputs.filter(({ name }) => !graph.initializers.has(name));

async function concreteShapes(
  model: ModelGraph,
  options: AnalyzeOptions,
  assumptions: Map<string, Assumption>,
): Promise<ShapeInference> {
  const { batch, inputs = {} } = options;
  const known = realInputs(model.graph);
  checkInputs(known, inputs, batch);
  const constants = await loadConstants(model);
  const given = inferShapesWith(model, constants, { inputs });
  const shapes: Record<string, readonly number[]> = { ...inputs };
  for (const { name } of known) {
    const type = given.root.types.get(name);
    if (type?.kind !== "tensor" || type.shape === undefined || Object.hasOwn(inputs, name)) continue;
    shapes[name] = type.shape.map((size, axis) => {
      if (typeof size === "number") return size;
      if (axis === 0 && batch !== undefined) return batch;
      const symbol = symbolsOf(size)[0] ?? `${name}[${axis}]`;
      const key = `shape.${symbol}`;
      assumptions.set(key, {
        key,
        text: `the open dimension '${symbol}' of input '${name}' is 1; give it with --input ${name}=… or --batch`,
      });
      return 1;
    });
  }
  try {
    return inferShapesWith(model, constants, { inputs: shapes });
  } catch (thrown) {
    if (!(thrown instanceof LightfootError) || thrown.code !== "E_SHAPE" || assumptions.size === 0) throw thrown;
    // Size 1 is a guess, and a window of 512 samples does not fit into 1: what needs no guess is still worth having.
    assumptions.clear();
    assumptions.set("shape.open", {
      key: "shape.open",
      text: `open dimensions of size 1 do not fit this graph (${thrown.message}), so the work that depends on them is missing; give them with --input`,
    });
    return given;
  }
}

function checkInputs(
  known: readonly ValueInfo[],
  inputs: Readonly<Record<string, readonly number[]>>,
  batch: number | undefined,
): void {
  const describe = ({ name, type }: ValueInfo) =>
    `${name}=${type?.kind === "tensor" && type.shape !== undefined ? type.shape.map((size) => size ?? "?").join("x") : "?"}`;
  const hint = `The model's inputs are ${known.map(describe).join(", ")}.`;
  for (const [name, shape] of Object.entries(inputs)) {
    const info = known.find((one) => one.name === name);
    if (info === undefined) {
      const near = closestName(
        name,
        known.map((one) => one.name),
      );
      throw new LightfootError(
        "E_USAGE",
        `the model has no input '${name}'${near === undefined ? "" : `; did you mean '${near}'?`}`,
        {
          hint,
        },
      );
    }
    const declared = info.type?.kind === "tensor" ? info.type.shape : undefined;
    if (declared !== undefined && declared.length !== shape.length) {
      const message = `--input ${name}=${shape.join("x")} has ${shape.length} dimensions, the model declares ${declared.length}`;
      throw new LightfootError("E_USAGE", message, { hint });
    }
    declared?.forEach((size, axis) => {
      if (typeof size !== "number" || size < 0 || size === shape[axis]) return;
      const message = `--input ${name}=${shape.join("x")}: the model fixes dimension ${axis} at ${size}`;
      throw new LightfootError("E_USAGE", message, { hint });
    });
  }
  const open = known.some(({ name, type }) => {
    if (type?.kind !== "tensor" || Object.hasOwn(inputs, name)) return false;
    const first = type.shape?.[0];
    return typeof first !== "number" || first < 0;
  });
  if (batch !== undefined && !open) {
    throw new LightfootError("E_USAGE", `--batch ${batch}: no input has an open first dimension`, { hint });
  }
}

function shapesOf(infos: readonly ValueInfo[], inference: GraphInference): Record<string, number[] | null> {
  return Object.fromEntries(infos.map(({ name }) => [name, numericShape(inference.types.get(name)) ?? null]));
}

function numericShape(type: ValueType | undefined): number[] | undefined {
  if (type?.kind !== "tensor" || type.shape === undefined) return undefined;
  return type.shape.every((size) => typeof size === "number") ? [...(type.shape as readonly number[])] : undefined;
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

/** Walks every graph that runs and adds up. */
class Tally {
  readonly nodes: NodeCost[] = [];
  readonly unknown: CostReport["coverage"]["unknown"] = [];
  readonly #reasons: ReadonlyMap<string, string>;
  readonly #parameters: ParameterCount;
  readonly #hardware: HardwareProfile | undefined;
  readonly #assumptions: Map<string, Assumption>;

  constructor(
    { unknown }: ShapeInference,
    parameters: ParameterCount,
    hardware: HardwareProfile | undefined,
    assumptions: Map<string, Assumption>,
  ) {
    this.#reasons = new Map(unknown.map(({ path, reason }) => [path, reason]));
    this.#parameters = parameters;
    this.#hardware = hardware;
    this.#assumptions = assumptions;
  }

  graph(inference: GraphInference, executions: number): void {
    inference.graph.nodes.forEach((node, index) =>
      this.#node(node, nodePath(inference.path, node, index), inference, executions),
    );
  }

  #node(node: Node, path: string, inference: GraphInference, executions: number): void {
    const bodies = inference.bodies.get(node) ?? [];
    const shaped = shapedNode(node, inference);
    const known = shaped === undefined || bodies.length > 0 ? undefined : workOf(shaped);
    if (known === undefined && bodies.length === 0) {
      const reason =
        this.#reasons.get(path) ??
        (shaped === undefined ? "a shape depends on data" : `operator ${operatorName(node)} has no cost rule`);
      this.unknown.push({ path, opType: operatorName(node), reason });
    }
    const own = bodies.length > 0 ? { macs: 0, flops: 0 } : known;
    const bytes = bodies.length > 0 ? 0 : trafficOf(node, inference);
    const cost: NodeCost = {
      path,
      opType: operatorName(node),
      inputShapes: node.inputs.map((name) => numericShape(typeIn(inference, name)) ?? null),
      outputShapes: node.outputs.map((name) => numericShape(inference.types.get(name)) ?? null),
      parameters: this.#parameters.byNode.get(node) ?? 0,
      macs: own === undefined ? null : own.macs * executions,
      flops: own === undefined ? null : own.flops * executions,
      bytesMoved: bytes === undefined ? null : bytes * executions,
      executions,
    };
    this.nodes.push({ ...cost, ...this.#time(cost, node, inference) });
    this.#bodies(path, bodies, executions);
  }

  #time(cost: NodeCost, node: Node, inference: GraphInference): Pick<NodeCost, "rooflineSeconds" | "bound"> {
    if (this.#hardware === undefined || cost.flops === null || cost.bytesMoved === null) return {};
    const types = [...node.inputs, ...node.outputs].map((name) => typeIn(inference, name));
    const first = types.find((type) => type?.kind === "tensor");
    const dtype = first?.kind === "tensor" ? first.dtype : "float32";
    const time = nodeTime({ flops: cost.flops, bytesMoved: cost.bytesMoved, dtype }, this.#hardware);
    return time === undefined ? {} : { rooflineSeconds: time.seconds, bound: time.bound };
  }

  #bodies(path: string, bodies: readonly Body[], executions: number): void {
    const branches = bodies.filter(({ kind }) => kind === "branch");
    const dearest = branches.toSorted((left, right) => this.#flopsOf(right) - this.#flopsOf(left))[0];
    for (const body of bodies) {
      if (body.kind === "branch") {
        this.graph(body.inference, body === dearest ? executions : 0);
        continue;
      }
      let trips = typeof body.executions === "number" ? body.executions : undefined;
      if (trips === undefined) {
        trips = 1;
        const key = `loop.${path}`;
        this.#assumptions.set(key, { key, text: `the data decides how often '${path}' loops; counted once` });
      }
      this.graph(body.inference, executions * trips);
    }
  }

  /** What a branch would cost, found by a tally of its own that leaves no trace in this one. */
  #flopsOf(body: Body): number {
    const trial = new Tally(EMPTY, this.#parameters, undefined, new Map());
    trial.graph(body.inference, 1);
    return trial.nodes.reduce((sum, { flops }) => sum + (flops ?? 0), 0);
  }
}

const EMPTY = { unknown: [] } as unknown as ShapeInference;

/** The node with numbers for shapes; undefined when a value that is there has none. */
function shapedNode(node: Node, inference: GraphInference): ShapedNode | undefined {
  let complete = true;
  const shapes = (names: readonly string[], typeOf: (name: string) => ValueType | undefined) =>
    names.map((name) => {
      if (name === "") return undefined;
      const type = typeOf(name);
      const shape = numericShape(type);
      if (shape === undefined && (type === undefined || type.kind === "tensor")) complete = false;
      return shape;
    });
  const inputs = shapes(node.inputs, (name) => typeIn(inference, name));
  const outputs = shapes(node.outputs, (name) => inference.types.get(name));
  return complete ? { node, inputs, outputs } : undefined;
}

/** Bytes that a node reads and writes once each; views move nothing, picking operators read what they give out. */
function trafficOf(node: Node, inference: GraphInference): number | undefined {
  if (VIEWS.has(node.opType)) return 0;
  const written = node.outputs.filter((name) => name !== "").map((name) => bytesOfType(inference.types.get(name)));
  const read = node.inputs
    .filter((name) => name !== "")
    .map((name, index) => {
      const type = typeIn(inference, name);
      if (index > 0 || !PICKS.has(node.opType)) return bytesOfType(type);
      const output = numericShape(inference.types.get(node.outputs[0]));
      return type?.kind !== "tensor" || output === undefined
        ? undefined
        : byteLengthOf(type.dtype, elementCount(output));
    });
  let total = 0;
  for (const bytes of [...read, ...written]) {
    if (bytes === undefined) return undefined;
    total += bytes;
  }
  return total;
}
