// The losses' values against their formulas and their gradients against differences; depends on its room and vitest.
import { expect, test } from "vitest";
import { int } from "../../model/attributes.ts";
import { graph, model, node, tensorInfo } from "../../model/build.ts";
import { serializeOnnx } from "../../model/onnx/write.ts";
import type { TensorValue } from "../../model/tensor-value.ts";
import { int64Tensor } from "../../model/tensor-value.ts";
import { openSession } from "../session.ts";
import { Emitter } from "./emitter.ts";
import { forwardGraph } from "./forward-graph.ts";
import { emitLoss, LOSS_INPUTS, lossSource, type LossOptions, type TargetKind } from "./losses.ts";

const SHAPE = [2, 3];
const LOGITS = [1.5, -0.5, 0.25, 0.1, 2, -1];
const TEACHER = [0.5, 1, -1, 3, 0, 0.5];
const LABELS = [2, 0];

const tensor = (shape: readonly number[], values: readonly number[]): TensorValue => ({
  dtype: "float32",
  shape,
  data: Float32Array.from(values),
});

async function evaluated(options: LossOptions, targets: TargetKind, feeds: Record<string, TensorValue>) {
  const emit = new Emitter("l/");
  const loss = emitLoss(emit, options, { value: "z", shape: SHAPE, classAxis: 1 }, targets);
  const outputs = [loss.loss, loss.gradient];
  const source = graph({
    nodes: emit.nodes,
    initializers: emit.initializers,
    inputs: [tensorInfo("z", "float32", SHAPE), ...loss.inputs],
    outputs: outputs.map((name) => ({ name, type: undefined })),
  });
  const session = await openSession(await serializeOnnx(model(source)), { threads: 1 });
  const at = async (logits: readonly number[]) => {
    const results = await session.run({ z: tensor(SHAPE, logits), ...feeds });
    return { loss: Number(results[loss.loss].data[0]), gradient: Array.from(results[loss.gradient].data, Number) };
  };
  const { loss: value, gradient } = await at(LOGITS);
  for (const [i] of LOGITS.entries()) {
    const moved = (step: number) => at(LOGITS.map((logit, j) => (j === i ? logit + step : logit)));
    const numeric = ((await moved(1e-2)).loss - (await moved(-1e-2)).loss) / 2e-2;
    expect(gradient[i]).toBeCloseTo(numeric, 3);
  }
  await session.close();
  return value;
}

function softmaxRows(values: readonly number[], temperature = 1): number[][] {
  return [0, 3].map((start) => {
    const exponents = values.slice(start, start + 3).map((value) => Math.exp(value / temperature));
    const total = exponents.reduce((sum, value) => sum + value, 0);
    return exponents.map((value) => value / total);
  });
}

const crossEntropy = (): number => {
  const rows = softmaxRows(LOGITS);
  return -(Math.log(rows[0][2]) + Math.log(rows[1][0])) / 2;
};

const labels = { [LOSS_INPUTS.labels]: int64Tensor([2], LABELS) };

test("cross-entropy is the mean of −log p(label)", async () => {
  expect(await evaluated({ kind: "cross-entropy" }, "labels", labels)).toBeCloseTo(crossEntropy(), 5);
});

test("label smoothing spreads its share over all classes", async () => {
  const rows = softmaxRows(LOGITS);
  const spread = -(rows.flat().reduce((sum, p) => sum + Math.log(p), 0) / 3) / 2;
  const wanted = 0.9 * crossEntropy() + 0.1 * spread;
  expect(await evaluated({ kind: "cross-entropy", labelSmoothing: 0.1 }, "labels", labels)).toBeCloseTo(wanted, 5);
});

test("cross-entropy takes class probabilities as targets", async () => {
  const targets = { [LOSS_INPUTS.targets]: tensor(SHAPE, [0, 0, 1, 1, 0, 0]) };
  expect(await evaluated({ kind: "cross-entropy" }, "values", targets)).toBeCloseTo(crossEntropy(), 5);
});

test("mse is the mean over all elements", async () => {
  const targets = { [LOSS_INPUTS.targets]: tensor(SHAPE, TEACHER) };
  const wanted = LOGITS.reduce((sum, logit, i) => sum + (logit - TEACHER[i]) ** 2, 0) / 6;
  expect(await evaluated({ kind: "mse" }, "values", targets)).toBeCloseTo(wanted, 5);
});

test("kl is T² times the divergence from the teacher, mixed with cross-entropy", async () => {
  const [student, teacher] = [softmaxRows(LOGITS, 3), softmaxRows(TEACHER, 3)];
  const divergence =
    teacher
      .flatMap((row, n) => row.map((p, c) => p * Math.log(p / student[n][c])))
      .reduce((sum, part) => sum + part, 0) / 2;
  const feeds = { [LOSS_INPUTS.teacher]: tensor(SHAPE, TEACHER) };
  expect(await evaluated({ kind: "kl", temperature: 3 }, "labels", feeds)).toBeCloseTo(9 * divergence, 5);
  const mixed = await evaluated({ kind: "kl", temperature: 3, alpha: 0.25 }, "labels", { ...feeds, ...labels });
  expect(mixed).toBeCloseTo(0.25 * 9 * divergence + 0.75 * crossEntropy(), 5);
});

test.each([
  ["Softmax", 13],
  ["LogSoftmax", 17],
  ["Softmax", 11],
])("cross-entropy attaches before a final %s of operator set %i", async (opType, opset) => {
  const source = model(
    {
      nodes: [node("Relu", ["x"], ["scores"]), node(opType, ["scores"], ["y"], { axis: int(1) })],
      inputs: [tensorInfo("x", "float32", ["N", 3])],
      outputs: [tensorInfo("y", "float32", ["N", 3])],
    },
    opset,
  );
  const forward = await forwardGraph(source, { x: { dtype: "float32", shape: [4, 3] } }, new Set<string>());
  expect(lossSource(forward, "y", "cross-entropy")).toEqual({ value: "scores", shape: [4, 3], classAxis: 1 });
  expect(lossSource(forward, "y", "mse").value).toBe("y");
});
