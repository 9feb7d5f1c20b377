// Distillation of intermediate features: which values of student and teacher belong together, and the loss on them with its gradient in
// closed form; may depend on errors, model and this folder.
import { LightfootError } from "../../errors/lightfoot-error.ts";
import * as attribute from "../../model/attributes.ts";
import type { ModelGraph, Node, TensorRef } from "../../model/graph.ts";
import { elementCount, range, type Emitter } from "./emitter.ts";
import { forwardGraph, type ForwardGraph, type InputSpec } from "./forward-graph.ts";
import { lossSource, type LossKind } from "./losses.ts";
import { liveNodes, renamedNode } from "./unroll.ts";

/** What of the teacher's inside a student learns to give too. Plain data. */
export interface FeatureOptions {
  /** What the features' loss is multiplied with before it is added, above 0. */
  readonly weight: number;
  /** Values that belong together; left out, the outputs of layers that have one name in both. */
  readonly pairs?: readonly FeaturePair[];
  /** For a layer of which only some units are left: their positions in the teacher, by the layer's output. */
  readonly kept?: Readonly<Record<string, readonly number[]>>;
}

export interface FeaturePair {
  readonly student: string;
  readonly teacher: string;
}

/** How two values are compared. */
type Comparison =
  | { readonly kind: "whole" }
  /** The student has the units at these positions of the teacher's axis. */
  | { readonly kind: "units"; readonly axis: number; readonly positions: readonly number[] }
  /** Channels differ: where in space there is much, not what. */
  | { readonly kind: "attention" };

export interface MatchedPair extends FeaturePair {
  readonly shape: readonly number[];
  readonly teacherShape: readonly number[];
  readonly comparison: Comparison;
}

/** The part of a teacher that makes the features, to run within the student's training step. */
export interface TeacherFeatures {
  readonly weight: number;
  /** Names in `teacher` are those of `nodes`. */
  readonly pairs: readonly MatchedPair[];
  readonly nodes: readonly Node[];
  readonly initializers: ReadonlyMap<string, TensorRef>;
  readonly opsets: ReadonlyMap<string, number>;
}

/** By position of their weights; their outputs are what techniques leave the names of. */
const LAYERS: Readonly<Record<string, "channels" | "columns">> = {
  Conv: "channels",
  ConvTranspose: "channels",
  Gemm: "columns",
  MatMul: "columns",
};

/** What belongs to the layer before it: bias, normalization, activation, the sum that closes a residual block. */
const FOLLOWERS = new Set([
  "Add",
  "BatchNormalization",
  "Clip",
  "Elu",
  "Gelu",
  "HardSigmoid",
  "HardSwish",
  "LeakyRelu",
  "Mish",
  "PRelu",
  "Relu",
  "Selu",
  "Sigmoid",
  "Softplus",
  "Tanh",
]);

/** The layer's output, then what those that belong to it make of it, as far as nobody else reads what is before. */
function chainFrom(layer: Node, forward: ForwardGraph): string[] {
  const chain = [layer.outputs[0]];
  for (;;) {
    const last = chain.at(-1)!;
    const readers = forward.nodes.filter((node) => node.inputs.includes(last));
    const [next] = readers;
    if (readers.length !== 1 || forward.outputs.includes(last) || !FOLLOWERS.has(next.opType)) return chain;
    chain.push(next.outputs[0]);
  }
}

const same = (left: readonly number[], right: readonly number[]): boolean =>
  left.length === right.length && left.every((size, at) => size === right[at]);

/** Undefined where values of these shapes have nothing to compare. */
function comparisonOf(
  shape: readonly number[],
  teacherShape: readonly number[],
  axis: number,
  positions: readonly number[] | undefined,
): Comparison | undefined {
  if (same(shape, teacherShape)) return { kind: "whole" };
  const others = (sizes: readonly number[]) => sizes.filter((_, at) => at !== axis);
  if (shape.length !== teacherShape.length || !same(others(shape), others(teacherShape))) return undefined;
  if (positions?.length === shape[axis] && positions.every((at) => at < teacherShape[axis])) {
    return { kind: "units", axis, positions };
  }
  const hasPlaces = axis === 1 && elementCount(shape.slice(2)) > 1;
  return hasPlaces ? { kind: "attention" } : undefined;
}

/** For each layer of the teacher, the last value of its chain that the student has too. */
function pairsByName(
  student: ForwardGraph,
  teacher: ForwardGraph,
  lossValue: string,
  kept: FeatureOptions["kept"],
): MatchedPair[] {
  return teacher.nodes.flatMap((layer): MatchedPair[] => {
    const kind = layer.domain === "" ? LAYERS[layer.opType] : undefined;
    if (kind === undefined || !teacher.initializers.has(layer.inputs[1])) return [];
    const chain = chainFrom(layer, teacher);
    // The scores are distilled as such.
    if (chain.includes(lossValue)) return [];
    const positions = chain.map((name) => kept?.[name]).find((found) => found !== undefined);
    for (const name of chain.toReversed()) {
      const made = student.nodes.some(({ outputs }) => outputs.includes(name));
      const [shape, teacherShape] = [student, teacher].map(({ values }) => values.shapes.get(name));
      if (!made || shape === undefined || teacherShape === undefined) continue;
      const axis = kind === "channels" ? 1 : shape.length - 1;
      const comparison = comparisonOf(shape, teacherShape, axis, positions);
      if (comparison !== undefined) return [{ student: name, teacher: name, shape, teacherShape, comparison }];
    }
    return [];
  });
}

function pairsGiven(student: ForwardGraph, teacher: ForwardGraph, pairs: readonly FeaturePair[]): MatchedPair[] {
  return pairs.map((pair) => {
    const shapeIn = (graph: ForwardGraph, name: string, whose: string): readonly number[] => {
      const isMade = graph.nodes.some(({ outputs }) => outputs.includes(name));
      const shape = isMade && graph.values.dtypes.get(name) === "float32" ? graph.values.shapes.get(name) : undefined;
      if (shape !== undefined) return shape;
      throw new LightfootError("E_USAGE", `the ${whose} computes no float32 tensor '${name}'`, {
        hint: `Its nodes give, among others, ${graph.nodes
          .slice(0, 6)
          .flatMap(({ outputs }) => outputs)
          .join(", ")}.`,
      });
    };
    const shape = shapeIn(student, pair.student, "student");
    const teacherShape = shapeIn(teacher, pair.teacher, "teacher");
    const comparison = comparisonOf(shape, teacherShape, 1, undefined);
    if (comparison !== undefined) return { ...pair, shape, teacherShape, comparison };
    const shapes = `[${shape.join(", ")}] and [${teacherShape.join(", ")}]`;
    throw new LightfootError(
      "E_USAGE",
      `features '${pair.student}' and '${pair.teacher}' of shapes ${shapes} do not fit`,
      {
        hint: "Shapes must be equal; maps [N, C, H, W] may differ in C.",
      },
    );
  });
}

/** The student's inputs under the names that the teacher has for them. */
function teacherInputs(student: ForwardGraph, teacher: ModelGraph): Map<string, string> {
  const wanted = teacher.graph.inputs.filter(({ name }) => !teacher.graph.initializers.has(name));
  const [own] = student.inputs;
  if (wanted.length === 1 && student.inputs.length === 1) return new Map([[wanted[0].name, own.name]]);
  return new Map(wanted.map(({ name }) => [name, name]));
}

/**
 * The features of `teacher` that `student` is to give too, and the nodes that make them from the student's own inputs.
 *
 * By default each layer (Conv, Gemm, MatMul with constant weights) gives one pair: its output, or what bias, normalization, activation and
 * residual sum after it make of it, where the student computes a value of that name. Equal shapes are compared whole; of a layer with fewer units
 * those that `kept` names; else, for `[N, C, …]` of one size in space, maps of attention.
 *
 * @throws LightfootError E_USAGE when nothing belongs together, E_DATA when the teacher takes other inputs, as `forwardGraph`
 */
export async function teacherFeatures(
  student: ForwardGraph,
  teacher: ModelGraph,
  loss: LossKind,
  options: FeatureOptions,
): Promise<TeacherFeatures> {
  const inputs = teacherInputs(student, teacher);
  const specs = Object.fromEntries(
    [...inputs].flatMap(([theirs, ours]): [string, InputSpec][] => {
      const type = student.inputs.find(({ name }) => name === ours)?.type;
      return type?.kind === "tensor" ? [[theirs, { dtype: type.dtype, shape: type.shape as readonly number[] }]] : [];
    }),
  );
  const forward = await forwardGraph(teacher, specs, new Set<string>());
  const { value } = lossSource(forward, forward.outputs[0], loss);
  const pairs =
    options.pairs === undefined
      ? pairsByName(student, forward, value, options.kept)
      : pairsGiven(student, forward, options.pairs);
  if (pairs.length === 0) {
    throw new LightfootError(
      "E_USAGE",
      "no layer of the teacher has an output of the same name and a fitting shape in the student",
      {
        hint: "Name pairs of values that belong together (--feature student=teacher), or distil the scores alone.",
      },
    );
  }
  const rename = (name: string): string => (name === "" ? "" : (inputs.get(name) ?? `teacher/${name}`));
  const nodes = liveNodes(
    forward.nodes,
    pairs.map((pair) => pair.teacher),
  ).map((node) => renamedNode(node, "teacher/", rename));
  return {
    weight: options.weight,
    pairs: pairs.map((pair) => ({ ...pair, teacher: rename(pair.teacher) })),
    nodes,
    initializers: new Map(
      [...forward.initializers].map(([name, tensor]) => [rename(name), { ...tensor, name: rename(name) }]),
    ),
    opsets: new Map([...teacher.opsets, ["", forward.opset]]),
  };
}

export interface EmittedFeatures {
  /** `[1]` */
  readonly loss: string;
  /** dLoss/dFeature by the student's value. */
  readonly gradients: ReadonlyMap<string, string>;
}

/** Keeps the quotient finite where a teacher's feature is zero throughout. */
const TINY = 1e-12;

/**
 * Emits `weight · mean over pairs` of
 *
 * - values of one shape: ‖s − t‖² / ‖t‖², norms over the whole batch (Romero et al. 2015, with the teacher's own scale taken out, so that
 *   layers count alike)
 * - maps with different channels: the mean over samples of ‖s̄/‖s̄‖ − t̄/‖t̄‖‖², with x̄ the mean of x² over the channels (Zagoruyko and
 *   Komodakis 2017)
 */
export function emitFeatures(
  emit: Emitter,
  { pairs, weight }: Pick<TeacherFeatures, "pairs" | "weight">,
): EmittedFeatures {
  const gradients = new Map<string, string>();
  const losses = pairs.map((pair) => {
    const { loss, gradient } = (pair.comparison.kind === "attention" ? attentionLoss : squaredLoss)(
      emit,
      pair,
      weight / pairs.length,
    );
    const before = gradients.get(pair.student);
    gradients.set(pair.student, before === undefined ? gradient : emit.add(before, gradient));
    return loss;
  });
  return { loss: losses.reduce((sum, loss) => emit.add(sum, loss)), gradients };
}

const squareSum = (emit: Emitter, value: string): string =>
  emit.reshape(emit.op("ReduceSumSquare", [value], { keepdims: attribute.int(0) }), [1]);

function squaredLoss(emit: Emitter, { student, teacher, comparison }: MatchedPair, weight: number) {
  const target =
    comparison.kind === "units"
      ? emit.op("Gather", [teacher, emit.ints(comparison.positions)], { axis: attribute.int(comparison.axis) })
      : teacher;
  const difference = emit.sub(student, target);
  const scale = emit.div(emit.scalar(weight), emit.op("Max", [squareSum(emit, target), emit.scalar(TINY)]));
  const gradient = emit.mul(difference, emit.scale(scale, 2));
  return { loss: emit.mul(squareSum(emit, difference), scale), gradient };
}

function attentionLoss(emit: Emitter, { student, teacher, shape }: MatchedPair, weight: number) {
  const places = range(shape.length).slice(1);
  const attention = (value: string) => {
    const map = emit.reduceMean(emit.mul(value, value), [1], true);
    const norm = emit.op("Sqrt", [emit.add(emit.reduceSum(emit.mul(map, map), places, true), emit.scalar(TINY))]);
    return { unit: emit.div(map, norm), norm };
  };
  const [ours, theirs] = [attention(student), attention(teacher)];
  const difference = emit.sub(ours.unit, theirs.unit);
  const share = weight / shape[0];
  const atUnit = emit.scale(difference, 2 * share);
  // u = m/‖m‖: what points along u changes nothing.
  const along = emit.mul(ours.unit, emit.reduceSum(emit.mul(ours.unit, atUnit), places, true));
  const atMap = emit.div(emit.sub(atUnit, along), ours.norm);
  const gradient = emit.mul(emit.scale(student, 2 / shape[1]), atMap);
  return { loss: emit.scale(squareSum(emit, difference), share), gradient };
}
