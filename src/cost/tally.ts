// Adds up the work of every graph that runs: branches, loops and functions included; may depend on model, facts and this room.
import type { HardwareProfile } from "../facts/hardware.ts";
import { byteLengthOf } from "../model/dtype.ts";
import type { Node, ValueType } from "../model/graph.ts";
import { nodePath, typeIn, type Body, type GraphInference, type ShapeInference } from "../model/shapes/inference.ts";
import { elementCount } from "../model/tensor-value.ts";
import type { Assumption } from "../quantity/figure.ts";
import { bytesOfType } from "./activation-memory.ts";
import { foldedAtLoad } from "./load-time.ts";
import { PICKS, VIEWS, workOf } from "./operator-work.ts";
import type { ParameterCount } from "./parameters.ts";
import type { CostReport, NodeCost } from "./report-schema.ts";
import { nodeTime } from "./roofline.ts";
import type { ShapedNode } from "./work.ts";

/** An operator's name in reports: `Conv`, `com.microsoft:MatMulNBits`. */
export const operatorName = ({ domain, opType }: Pick<Node, "domain" | "opType">): string =>
  domain === "" || domain === "ai.onnx" ? opType : `${domain}:${opType}`;

/** The shape of a tensor type when all its sizes are numbers. */
export function numericShape(type: ValueType | undefined): number[] | undefined {
  if (type?.kind !== "tensor" || type.shape === undefined) return undefined;
  return type.shape.every((size) => typeof size === "number") ? [...type.shape] : undefined;
}

/** Walks every graph that runs and adds up. */
export class Tally {
  readonly nodes: NodeCost[] = [];
  readonly unknown: CostReport["coverage"]["unknown"] = [];
  readonly #reasons: ReadonlyMap<string, string>;
  readonly #parameters: ParameterCount;
  readonly #hardware: HardwareProfile | undefined;
  readonly #assumptions: Map<string, Assumption>;
  readonly #branchFlops = new Map<GraphInference, number>();

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
    const folded = foldedAtLoad(inference.graph);
    inference.graph.nodes.forEach((node, index) =>
      this.#node(node, nodePath(inference.path, node, index), inference, folded.has(node) ? 0 : executions),
    );
  }

  #node(node: Node, path: string, inference: GraphInference, executions: number): void {
    const bodies = inference.bodies.get(node) ?? [];
    const shaped = shapedNode(node, inference);
    const known = shaped === undefined || bodies.length > 0 ? undefined : workOf(shaped);
    if (known === undefined && bodies.length === 0 && executions > 0) {
      const reason =
        this.#reasons.get(path) ??
        (shaped === undefined ? "a shape depends on data" : `operator ${operatorName(node)} has no cost rule`);
      this.unknown.push({ path, opType: operatorName(node), reason });
    }
    const isIdle = bodies.length > 0 || executions === 0;
    const own = isIdle ? { macs: 0, flops: 0 } : known;
    const bytes = isIdle ? 0 : trafficOf(node, inference);
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
    const dearest = branches.toSorted(
      (left, right) => flopsOf(right.inference, this.#branchFlops) - flopsOf(left.inference, this.#branchFlops),
    )[0];
    for (const body of bodies) {
      if (body.kind === "branch") {
        this.graph(body.inference, body === dearest ? executions : 0);
        continue;
      }
      let trips = tripsOf(body);
      if (trips === undefined) {
        trips = 1;
        const key = `loop.${path}`;
        this.#assumptions.set(key, { key, text: `the data decides how often '${path}' loops; counted once` });
      }
      this.graph(body.inference, executions * trips);
    }
  }
}

/** FLOPs of one run of a body, remembered: nested branches are otherwise weighed again at every level. */
function flopsOf(inference: GraphInference, memory: Map<GraphInference, number>): number {
  const known = memory.get(inference);
  if (known !== undefined) return known;
  let total = 0;
  for (const node of inference.graph.nodes) {
    const bodies = inference.bodies.get(node);
    if (bodies === undefined) {
      const shaped = shapedNode(node, inference);
      total += (shaped === undefined ? undefined : workOf(shaped)?.flops) ?? 0;
      continue;
    }
    const branches = bodies.filter(({ kind }) => kind === "branch").map((body) => flopsOf(body.inference, memory));
    total += Math.max(0, ...branches);
    for (const body of bodies) {
      if (body.kind !== "branch") total += flopsOf(body.inference, memory) * (tripsOf(body) ?? 1);
    }
  }
  memory.set(inference, total);
  return total;
}

const tripsOf = ({ executions }: Body): number | undefined => (typeof executions === "number" ? executions : undefined);

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
