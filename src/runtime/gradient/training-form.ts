// Turns forward nodes into what they are while training: dropout with masks from outside, batch statistics; may depend on model and the emitter.
import * as attribute from "../../model/attributes.ts";
import { floatAttribute } from "../../model/attributes.ts";
import { tensorInfo } from "../../model/build.ts";
import type { Node, ValueInfo } from "../../model/graph.ts";
import type { StaticValues } from "./differentiate.ts";
import type { Emitter } from "./emitter.ts";

/** A mask that the trainer draws for each step: 1/(1 − ratio) where kept, 0 where dropped. */
export interface DropoutMask {
  readonly input: ValueInfo;
  readonly shape: readonly number[];
  readonly ratio: number;
}

/** A running statistic of a batch normalization. */
export interface RunningStatistic {
  /** Name of the initializer that holds it. */
  readonly name: string;
  readonly shape: readonly number[];
  /** Name of the value after the step. */
  readonly updated: string;
}

export interface TrainingForm {
  readonly nodes: Node[];
  readonly dropouts: readonly DropoutMask[];
  readonly statistics: readonly RunningStatistic[];
}

/**
 * Forward nodes in training form.
 *
 * Dropout multiplies by a mask that is an input: the operator's own generator lives inside the session, could not be
 * saved in a checkpoint, and a resumed run would differ. BatchNormalization normalizes by the batch and moves its running
 * statistics: running ← momentum·running + (1 − momentum)·batch. The engine is asked for momentum 0, so that its second
 * and third outputs are the statistics of the batch, which the gradient needs.
 */
export function toTrainingForm(
  nodes: readonly Node[],
  values: StaticValues,
  initializers: ReadonlyMap<string, unknown>,
  emit: Emitter,
  trainBatchNormalization: boolean,
): TrainingForm {
  const dropouts: DropoutMask[] = [];
  const statistics: RunningStatistic[] = [];
  const result: Node[] = [];
  for (const node of nodes) {
    if (node.domain === "" && node.opType === "Dropout") {
      const [x, ratioName] = node.inputs as [string, string | undefined];
      const shape = values.shapes.get(x) ?? [];
      const ratio = ratioName ? (values.constants.get(ratioName)?.[0] ?? 0.5) : 0.5;
      if (ratio === 0) {
        result.push({
          ...node,
          opType: "Identity",
          inputs: [x],
          outputs: node.outputs.slice(0, 1),
          attributes: new Map(),
        });
        continue;
      }
      const input = tensorInfo(emit.fresh("dropout/mask"), emit.floatType, shape);
      dropouts.push({ input, shape, ratio });
      result.push({
        ...node,
        opType: "Mul",
        inputs: [x, input.name],
        outputs: node.outputs.slice(0, 1),
        attributes: new Map(),
      });
    } else if (trainBatchNormalization && isTrainableBatchNormalization(node, initializers)) {
      const momentum = floatAttribute(node, "momentum", 0.9);
      const batch = [emit.fresh("batch_mean"), emit.fresh("batch_variance")];
      const attributes = new Map([
        ...node.attributes,
        ["training_mode", attribute.int(1)] as const,
        ["momentum", attribute.float(0)] as const,
      ]);
      result.push({ ...node, outputs: [node.outputs[0], ...batch], attributes });
      const before = emit.nodes.length;
      for (const [at, name] of node.inputs.slice(3, 5).entries()) {
        const updated = emit.add(emit.scale(name, momentum), emit.scale(batch[at], 1 - momentum));
        statistics.push({ name, shape: values.shapes.get(name) ?? [], updated });
      }
      result.push(...emit.nodes.splice(before));
    } else {
      result.push(node);
    }
  }
  return { nodes: result, dropouts, statistics };
}

function isTrainableBatchNormalization(node: Node, initializers: ReadonlyMap<string, unknown>): boolean {
  return (
    node.domain === "" &&
    node.opType === "BatchNormalization" &&
    node.inputs.slice(3, 5).every((name) => initializers.has(name))
  );
}
