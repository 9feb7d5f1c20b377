// Training in a worker thread gives the events and bytes of training here; depends on its room and vitest.
import { expect, test } from "vitest";
import { serializeOnnx } from "../model/onnx/write.ts";
import { float32Tensor, int64Tensor } from "../model/tensor-value.ts";
import { seededRandom } from "../statistics/random.ts";
import { buildMlp } from "./architecture/mlp.ts";
import { createDataset, sliceDataset } from "./sample-set.ts";
import { createThreadPool } from "./task-runner.ts";
import { trainInWorker } from "./train-in-worker.ts";
import { finishTraining, train } from "./train.ts";
import type { TrainEvent } from "./train-options.ts";

const random = seededRandom(1);
const whole = createDataset({
  name: "noise",
  inputs: new Map([
    [
      "input",
      float32Tensor(
        [100, 4],
        Float32Array.from({ length: 400 }, () => random.normal()),
      ),
    ],
  ]),
  labels: int64Tensor(
    [100],
    Array.from({ length: 100 }, () => random.integer(3)),
  ),
});
const data = sliceDataset(whole, 10, 90);
const options = {
  loss: { kind: "cross-entropy" },
  optimizer: { kind: "adam" },
  learningRate: 1e-3,
  batch: 8,
  seed: 1,
  threads: 1,
  stepsPerCall: 1,
} as const;

test("a worker gives the same events and the same bytes, and leaves the main thread free", async () => {
  const pool = createThreadPool(1);
  const network = buildMlp({ layers: [4, 8, 3], seed: 1 });
  const [here, there]: [TrainEvent[], TrainEvent[]] = [[], []];
  const local = await finishTraining(train(network, data, { ...options, epochs: 3 }), (event) => here.push(event));
  const remote = await finishTraining(trainInWorker(pool, network, data, { ...options, epochs: 3 }), (event) =>
    there.push(event),
  );
  expect(there).toEqual(here);
  expect(Buffer.from(await serializeOnnx(remote.model)).equals(Buffer.from(await serializeOnnx(local.model)))).toBe(
    true,
  );
  await pool.close();
});

test("an abort stops the worker, and so does leaving the loop", async () => {
  const pool = createThreadPool(1);
  const network = buildMlp({ layers: [4, 8, 3], seed: 1 });
  const abort = new AbortController();
  const endless = trainInWorker(pool, network, data, { ...options, epochs: 1_000_000, signal: abort.signal });
  const stopped = finishTraining(endless, (event) => event.type === "step" && abort.abort());
  await expect(stopped).rejects.toMatchObject({ code: "E_INTERRUPTED" });
  for await (const event of trainInWorker(pool, network, data, { ...options, epochs: 1_000_000 })) {
    if (event.type === "step") break;
  }
  await pool.close(); // returns only when the worker is free
});
