// From a model, a loss and an optimizer to one ONNX graph that runs several training steps; may depend on model and this room.
import { LightfootError } from "../../errors/lightfoot-error.ts";
import * as attribute from "../../model/attributes.ts";
import { tensorInfo } from "../../model/build.ts";
import type { ModelGraph, Node, ValueInfo } from "../../model/graph.ts";
import { differentiate } from "./differentiate.ts";
import { Emitter } from "./emitter.ts";
import { assembleModel, type ForwardGraph } from "./forward-graph.ts";
import { emitFeatures, type TeacherFeatures } from "./features.ts";
import { emitLoss, LOSS_INPUTS, lossSource, type LossOptions, type TargetKind } from "./losses.ts";
import { optimizerOf, type OptimizerOptions } from "./optimizers.ts";
import { isWhole, layOut, packGradients, unpackGroup, type ParameterGroup } from "./parameter-layout.ts";
import { emitPenalties, type Penalty } from "./penalty.ts";
import { toTrainingForm, type DropoutMask } from "./training-form.ts";
import { liveNodes, unroll, type StateTensor, type StepGraph } from "./unroll.ts";

export interface TrainingGraphOptions {
  readonly loss: LossOptions;
  readonly targets: TargetKind;
  readonly optimizer: OptimizerOptions;
  /** Output of the model that the loss reads; left out, the first. */
  readonly output?: string;
  /** Training steps per run of the graph. */
  readonly stepsPerCall: number;
  /** `train`: statistics of the batch, running statistics move. `freeze`: as in inference. */
  readonly batchNormalization?: "train" | "freeze";
  /** Gradients are scaled down so that their joint L2 norm is at most this. */
  readonly clipNorm?: number;
  /** Parameters some of whose elements are held at exactly zero; which ones, the mask in the state says. */
  readonly masked?: ReadonlySet<string>;
  readonly penalties?: readonly Penalty[];
  /** What the loss also asks of values inside, for inputs of the forward graph's own shapes. */
  readonly features?: TeacherFeatures;
}

export interface TrainingGraph {
  readonly model: ModelGraph;
  readonly stepsPerCall: number;
  readonly groups: readonly ParameterGroup[];
  readonly state: readonly StateTensor[];
  /** For each step the graph's input name of each step input: the model's inputs, and those in LOSS_INPUTS. */
  readonly stepInputs: readonly ReadonlyMap<string, string>[];
  /** Types and shapes of the step inputs by their own names. */
  readonly inputTypes: readonly ValueInfo[];
  readonly dropouts: readonly DropoutMask[];
  /** `[stepsPerCall · scalarNames]`: the optimizer's numbers, step by step. */
  readonly scheduleInput: string;
  /** `[stepsPerCall]`: the mean loss of each step's batch before its update. */
  readonly lossOutput: string;
}

/**
 * A training graph of standard ONNX operators: forward, loss, gradients and update, `stepsPerCall` times in a row.
 *
 * @throws LightfootError E_GRADIENT when an operator between the loss and a trainable tensor has no rule
 */
export function buildTrainingGraph(forward: ForwardGraph, options: TrainingGraphOptions): TrainingGraph {
  const emit = new Emitter("train/");
  const source = lossSource(forward, options.output ?? forward.outputs[0], options.loss.kind);
  const trainsStatistics = (options.batchNormalization ?? "train") === "train";
  const { values } = forward;
  const form = toTrainingForm(forward.nodes, values, forward.initializers, emit, trainsStatistics);
  const loss = emitLoss(emit, options.loss, source, options.targets);
  const features = options.features === undefined ? undefined : emitFeatures(emit, options.features);
  const total = features === undefined ? loss.loss : emit.add(loss.loss, features.loss);
  const seeds = new Map([[source.value, loss.gradient]]);
  for (const [value, gradient] of features?.gradients ?? []) {
    const known = seeds.get(value);
    seeds.set(value, known === undefined ? gradient : emit.add(known, gradient));
  }

  // Only what the loss reads is differentiated: other outputs of the model may use operators without a rule.
  const nodes = liveNodes(form.nodes, [...seeds.keys(), ...form.statistics.map(({ updated }) => updated)]);
  const gradients = differentiate({ forward: nodes, values, seeds, wanted: forward.trainable, emit });
  const parameters = [...forward.trainable]
    .filter((name) => gradients.has(name))
    .map((name) => ({ name, shape: values.shapes.get(name)! }));
  if (parameters.length === 0) {
    throw new LightfootError("E_GRADIENT", "the loss depends on none of the trainable tensors", {
      hint: "Choose tensors before the output that the loss reads, or another output.",
    });
  }
  emitPenalties(emit, options.penalties ?? [], gradients);
  const groups = layOut(parameters);
  const unpacking = new Emitter("unpack/");
  for (const group of groups) if (!isWhole(group)) unpackGroup(unpacking, group, weightsName(group));

  const updates = emitUpdates(emit, groups, gradients, options);
  const statistics = form.statistics.map(({ name, shape, updated }) => ({
    name,
    shape,
    role: "statistic" as const,
    of: name,
    result: updated,
  }));
  const taken = new Set([...parameters.map(({ name }) => name), ...statistics.map(({ name }) => name)]);
  const step: StepGraph = {
    nodes: [...unpacking.nodes, ...(options.features?.nodes ?? []), ...nodes, ...emit.nodes],
    initializers: new Map(
      [
        ...forward.initializers,
        ...unpacking.initializers,
        ...emit.initializers,
        ...(options.features?.initializers ?? []),
      ].filter(([name]) => !taken.has(name)),
    ),
    inputs: [...forward.inputs, ...loss.inputs, ...form.dropouts.map(({ input }) => input)],
    scalars: optimizerOf(options.optimizer).scalarNames.map(scalarName),
    state: [...updates, ...statistics],
    loss: total,
  };
  const unrolled = unroll(step, options.stepsPerCall);
  return {
    ...unrolled,
    model: assembleModel(withTeacher(forward, options.features), {
      ...unrolled.graph,
      name: `${forward.model.graph.name} training`,
    }),
    stepsPerCall: options.stepsPerCall,
    groups,
    inputTypes: step.inputs,
    dropouts: form.dropouts,
  };
}

/** Operator sets that student and teacher both find their operators in. */
function withTeacher(
  { model, opset }: ForwardGraph,
  features: TeacherFeatures | undefined,
): Pick<ForwardGraph, "model" | "opset"> {
  if (features === undefined) return { model, opset };
  const { opsets } = features;
  return {
    model: { ...model, opsets: new Map([...opsets, ...model.opsets]) },
    opset: Math.max(opset, opsets.get("")!),
  };
}

const weightsName = (group: ParameterGroup): string =>
  isWhole(group) ? group.members[0].name : `state/weights/${group.id}`;
const scalarName = (name: string): string => `scalar/${name}`;

type StateUpdate = StepGraph["state"][number];

function emitUpdates(
  emit: Emitter,
  groups: readonly ParameterGroup[],
  gradients: ReadonlyMap<string, string>,
  options: TrainingGraphOptions,
): StateUpdate[] {
  const optimizer = optimizerOf(options.optimizer);
  const packed = groups.map((group) => packGradients(emit, group, gradients));
  const clipped = options.clipNorm === undefined ? packed : clipByNorm(emit, packed, options.clipNorm);
  return groups.flatMap((group, at) => {
    const weights = weightsName(group);
    const slots = optimizer.slots.map((slot) => `state/${slot}/${group.id}`);
    const scalars = optimizer.scalarNames.map(scalarName);
    const updated = optimizer.update(emit, { weights, gradient: clipped[at], slots, scalars });
    const { id: of, shape } = group;
    const mask = group.members.some(({ name }) => options.masked?.has(name)) ? `state/mask/${group.id}` : undefined;
    const result = mask === undefined ? updated.weights : keepMasked(emit, mask, updated.weights);
    return [
      { name: weights, shape, role: "weights" as const, of, result },
      ...(mask === undefined
        ? []
        : [{ name: mask, shape, role: "mask" as const, of, result: emit.op("Identity", [mask]) }]),
      ...slots.map((name, slot) => ({ name, shape, role: "slot" as const, of, result: updated.slots[slot] })),
    ];
  });
}

/** g ← g · min(1, limit / ‖g‖₂), the norm taken over all parameters together. (Pascanu et al. 2013.) */
function clipByNorm(emit: Emitter, gradients: readonly string[], limit: number): string[] {
  const squares = gradients.map((gradient) => emit.op("ReduceSumSquare", [gradient], { keepdims: attribute.int(0) }));
  const norm = emit.op("Sqrt", [squares.length === 1 ? squares[0] : emit.op("Sum", squares)]);
  const factor = emit.op("Min", [emit.scalar(1), emit.div(emit.scalar(limit), emit.add(norm, emit.scalar(1e-6)))]);
  return gradients.map((gradient) => emit.mul(gradient, factor));
}

/** Where, not a product: 0 · w is −0 for negative w, and NaN for an infinite one. */
const keepMasked = (emit: Emitter, mask: string, weights: string): string =>
  emit.keepWhere(emit.cast(mask, "bool"), weights);

/** A graph that evaluates the loss in inference form, with the weights and statistics of training as inputs. */
export interface EvaluationGraph {
  readonly model: ModelGraph;
  readonly inputTypes: readonly ValueInfo[];
  /** `[1]`: mean loss of the batch. */
  readonly lossOutput: string;
  /** `[1]`: share of positions whose highest score is the label; undefined without labels. */
  readonly accuracyOutput: string | undefined;
}

/** @param state the state tensors of the training graph that this graph shares: weights and statistics */
export function buildEvaluationGraph(
  forward: ForwardGraph,
  training: Pick<TrainingGraph, "groups" | "state">,
  options: Pick<TrainingGraphOptions, "loss" | "targets" | "output">,
): EvaluationGraph {
  const emit = new Emitter("evaluate/");
  const source = lossSource(forward, options.output ?? forward.outputs[0], options.loss.kind);
  const loss = emitLoss(emit, options.loss, source, options.targets);
  const labels = loss.inputs.find((input) => input.name === LOSS_INPUTS.labels);
  let accuracyOutput: string | undefined;
  if (labels !== undefined) {
    const guess = emit.op("ArgMax", [source.value], {
      axis: attribute.int(source.classAxis),
      keepdims: attribute.int(0),
    });
    const hits = emit.indicator(emit.op("Equal", [guess, labels.name]));
    accuracyOutput = emit.reshape(emit.op("ReduceMean", [hits], { keepdims: attribute.int(0) }), [1]);
  }
  const unpacking = new Emitter("unpack/");
  for (const group of training.groups) if (!isWhole(group)) unpackGroup(unpacking, group, weightsName(group));
  const shared = training.state.filter(({ role }) => role === "weights" || role === "statistic");
  const taken = new Set([
    ...shared.map(({ name }) => name),
    ...training.groups.flatMap((group) => group.members.map(({ name }) => name)),
  ]);
  const outputs = [loss.loss, ...(accuracyOutput === undefined ? [] : [accuracyOutput])];
  const nodes: Node[] = liveNodes([...unpacking.nodes, ...forward.nodes, ...emit.nodes], outputs);
  const read = new Set(nodes.flatMap((node) => node.inputs));
  const all = new Map([...forward.initializers, ...unpacking.initializers, ...emit.initializers]);
  const inputTypes = [...forward.inputs, ...loss.inputs];
  const model = assembleModel(forward, {
    ...forward.model.graph,
    nodes,
    initializers: new Map([...all].filter(([name]) => !taken.has(name))),
    inputs: [
      ...inputTypes,
      ...shared.filter(({ name }) => read.has(name)).map(({ name, shape }) => tensorInfo(name, "float32", shape)),
    ],
    outputs: outputs.map((name) => tensorInfo(name, "float32", [1])),
    valueInfo: [],
  });
  return { model, inputTypes, lossOutput: loss.loss, accuracyOutput };
}
