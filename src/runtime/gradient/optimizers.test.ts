// The optimizers' graphs against their textbook formulas; depends on its room and vitest.
import { expect, test } from "vitest";
import { graph, model, tensorInfo } from "../../model/build.ts";
import { serializeOnnx } from "../../model/onnx/write.ts";
import { float32Tensor, type TensorValue } from "../../model/tensor-value.ts";
import { openSession } from "../session.ts";
import { Emitter } from "./emitter.ts";
import { optimizerOf, type OptimizerOptions } from "./optimizers.ts";

const GRADIENTS = [
  [0.5, -2, 0.01],
  [-0.25, 1, 0.02],
  [1, 0, -0.03],
  [0.125, 4, 0],
];
const START = [1, -1, 0.5];
const RATE = 0.1;

/** Weights after each step, as the graph computes them. */
async function stepped(options: OptimizerOptions): Promise<number[][]> {
  const optimizer = optimizerOf(options);
  const emit = new Emitter("o/");
  const updated = optimizer.update(emit, {
    weights: "w",
    gradient: "g",
    slots: optimizer.slots,
    scalars: optimizer.scalarNames,
  });
  const info = (name: string) => tensorInfo(name, "float32", optimizer.scalarNames.includes(name) ? [1] : [3]);
  const source = graph({
    nodes: emit.nodes,
    initializers: emit.initializers,
    inputs: ["w", "g", ...optimizer.slots, ...optimizer.scalarNames].map(info),
    outputs: [updated.weights, ...updated.slots].map((name) => ({ name, type: undefined })),
  });
  const session = await openSession(await serializeOnnx(model(source)), { threads: 1 });
  let weights = float32Tensor([3], Float32Array.from(START));
  let slots: TensorValue[] = optimizer.slots.map(() => float32Tensor([3], new Float32Array(3)));
  const path: number[][] = [];
  for (const [at, gradient] of GRADIENTS.entries()) {
    const scalars = optimizer.scalars(at + 1, RATE);
    const results = await session.run({
      w: weights,
      g: float32Tensor([3], Float32Array.from(gradient)),
      ...Object.fromEntries(optimizer.slots.map((name, slot) => [name, slots[slot]])),
      ...Object.fromEntries(
        optimizer.scalarNames.map((name, i) => [name, float32Tensor([1], Float32Array.of(scalars[i]))]),
      ),
    });
    weights = results[updated.weights];
    slots = updated.slots.map((name) => results[name]);
    path.push([...(weights.data as Float32Array)]);
  }
  await session.close();
  return path;
}

function textbookSgd(momentum: number, nesterov: boolean, decay: number): number[][] {
  let w = [...START];
  let velocity = [0, 0, 0];
  return GRADIENTS.map((gradient) => {
    const g = gradient.map((value, i) => value + decay * w[i]);
    velocity = velocity.map((value, i) => momentum * value + g[i]);
    w = w.map((value, i) => value - RATE * (nesterov ? g[i] + momentum * velocity[i] : velocity[i]));
    return w;
  });
}

function textbookAdam(coupled: number, decoupled: number): number[][] {
  let w = [...START];
  let m = [0, 0, 0];
  let v = [0, 0, 0];
  return GRADIENTS.map((gradient, at) => {
    const step = at + 1;
    const g = gradient.map((value, i) => value + coupled * w[i]);
    m = m.map((value, i) => 0.9 * value + 0.1 * g[i]);
    v = v.map((value, i) => 0.999 * value + 0.001 * g[i] ** 2);
    w = w.map((value, i) => {
      const mHat = m[i] / (1 - 0.9 ** step);
      const vHat = v[i] / (1 - 0.999 ** step);
      return value - RATE * decoupled * value - (RATE * mHat) / (Math.sqrt(vHat) + 1e-8);
    });
    return w;
  });
}

function expectClose(found: readonly (readonly number[])[], wanted: readonly (readonly number[])[]): void {
  for (const [step, row] of wanted.entries()) {
    for (const [i, value] of row.entries()) expect(found[step][i]).toBeCloseTo(value, 5);
  }
}

test("plain SGD subtracts rate times gradient", async () => {
  expectClose(await stepped({ kind: "sgd" }), textbookSgd(0, false, 0));
});

test("momentum, Nesterov and L2 follow the textbook", async () => {
  expectClose(await stepped({ kind: "sgd", momentum: 0.9 }), textbookSgd(0.9, false, 0));
  expectClose(
    await stepped({ kind: "sgd", momentum: 0.9, nesterov: true, weightDecay: 0.1 }),
    textbookSgd(0.9, true, 0.1),
  );
});

test("Adam with bias correction follows the paper, with and without L2", async () => {
  expectClose(await stepped({ kind: "adam" }), textbookAdam(0, 0));
  expectClose(await stepped({ kind: "adam", weightDecay: 0.1 }), textbookAdam(0.1, 0));
});

test("AdamW takes the decay off the weights, not into the moments", async () => {
  expectClose(await stepped({ kind: "adamw", weightDecay: 0.1 }), textbookAdam(0, 0.1));
});

test("Adam's first step is the learning rate in the gradient's direction", async () => {
  const [first] = await stepped({ kind: "adam" });
  expectClose([first], [[1 - RATE, -1 + RATE, 0.5 - RATE]]);
});

test("a momentum of 1 is refused", () => {
  expect(() => optimizerOf({ kind: "sgd", momentum: 1 })).toThrow("expected 0 ≤ momentum < 1");
});
