// Structured compression without any training, on LeNet-5 and the worked example's network, against cutting by weight norm alone
// (what a pruner without data does) in the same run; may depend on dist.
//
//   npm run build && node bench/structure.mjs [--epochs 2] [--save]
//
// Trains both networks on the first 55,000 training images of MNIST, takes structure out with 2,048 of them as calibration data, and
// judges on the test images: points of accuracy lost, bytes and multiply-adds as ratios. Three seeds of training.
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { TECHNIQUES } from "../dist/compress/techniques/registry.js";
import { analyze } from "../dist/cost/analyze.js";
import { float32Tensor, ints, memoryTensor, model, node, tensorInfo } from "../dist/model/index.js";
import { writeOnnx } from "../dist/model/onnx/write.js";
import { buildMlp } from "../dist/runtime/architecture/mlp.js";
import { sliceDataset } from "../dist/runtime/dataset.js";
import { evaluate } from "../dist/runtime/evaluate.js";
import { loadDataset } from "../dist/runtime/load-dataset.js";
import { finishTraining, train } from "../dist/runtime/train.js";
import { seededRandom } from "../dist/statistics/index.js";
import { record } from "./record.mjs";

const { values } = parseArgs({
  options: { epochs: { type: "string", default: "2" }, save: { type: "boolean", default: false } },
});
const SEEDS = [1, 2, 3];

function lenet5(seed) {
  const random = seededRandom(seed);
  const tensors = [];
  const weight = (name, shape, fanIn) => {
    const data = Float32Array.from(
      { length: shape.reduce((a, b) => a * b, 1) },
      () => random.normal() * Math.sqrt(1.5 / fanIn),
    );
    tensors.push(memoryTensor(name, float32Tensor(shape, data)));
    tensors.push(
      memoryTensor(
        `${name}_b`,
        float32Tensor([shape[name.startsWith("c") ? 0 : 1]], new Float32Array(shape[name.startsWith("c") ? 0 : 1])),
      ),
    );
    return [name, `${name}_b`];
  };
  const pool = { kernel_shape: ints([2, 2]), strides: ints([2, 2]) };
  const nodes = [
    node("Conv", ["input", ...weight("c1", [20, 1, 5, 5], 25)], ["h1"]),
    node("MaxPool", ["h1"], ["p1"], pool),
    node("Conv", ["p1", ...weight("c2", [50, 20, 5, 5], 500)], ["h2"]),
    node("MaxPool", ["h2"], ["p2"], pool),
    node("Flatten", ["p2"], ["flat"]),
    node("Gemm", ["flat", ...weight("d1", [800, 500], 800)], ["h3"]),
    node("Relu", ["h3"], ["r3"]),
    node("Gemm", ["r3", ...weight("d2", [500, 10], 500)], ["output"]),
  ];
  const inputs = [tensorInfo("input", "float32", ["batch", 1, 28, 28])];
  return model({ nodes, inputs, outputs: [tensorInfo("output", "float32", ["batch", 10])], initializers: tensors }, 17);
}

const NETWORKS = [
  { name: "784-128-10", shape: "", build: (seed) => buildMlp({ layers: [784, 128, 10], seed }) },
  { name: "LeNet-5", shape: "#shape=1x28x28", build: lenet5 },
];
const STEPS = [
  { technique: "dead-inputs", options: {} },
  { technique: "fewer-inputs", options: { ratio: 0.5 } },
  { technique: "fewer-inputs", options: { ratio: 0.25 } },
  { technique: "narrow", options: { ratio: 0.75 } },
  { technique: "narrow", options: { ratio: 0.5 } },
  { technique: "narrow", options: { ratio: 0.25 } },
  { technique: "low-rank", options: { energy: 0.99 } },
  { technique: "low-rank", options: { energy: 0.95 } },
];

const folder = mkdtempSync(join(tmpdir(), "lightfoot-bench-"));
const rows = [];
try {
  for (const { name, shape, build } of NETWORKS) {
    const images = await loadDataset(`mnist:train${shape}`);
    const [learn, test] = [sliceDataset(images, 0, 55_000), await loadDataset(`mnist:test${shape}`)];
    for (const seed of SEEDS) {
      const run = train(build(seed), learn, {
        loss: { kind: "cross-entropy" },
        optimizer: { kind: "adam" },
        learningRate: 1e-3,
        epochs: Number(values.epochs),
        batch: 64,
        seed,
        threads: 1,
      });
      const { model: original } = await finishTraining(run);
      const judge = async (candidate) => {
        const path = join(folder, "candidate.onnx");
        await writeOnnx(candidate, path);
        const { metrics } = await evaluate(path, test, { metrics: ["accuracy"], threads: 1, seed });
        const { macs } = await analyze(candidate);
        return { accuracy: metrics.accuracy.figure.value, bytes: statSync(path).size, macs };
      };
      const before = await judge(original);
      for (const { technique, options } of STEPS) {
        const make = async (calibration) => {
          const start = performance.now();
          const result = await TECHNIQUES[technique](original, options, {
            calibration,
            train: undefined,
            original: "",
            seed,
            threads: 1,
          });
          if (result.kind === "refused") return undefined;
          return { seconds: (performance.now() - start) / 1000, ...(await judge(result.model)) };
        };
        const ours = await make(learn);
        if (ours === undefined) continue;
        const blind = technique === "narrow" ? await make(undefined) : undefined;
        const row = {
          network: name,
          seed,
          technique,
          ...options,
          accuracyBefore: before.accuracy,
          pointsLost: 100 * (before.accuracy - ours.accuracy),
          pointsLostByWeightNormAlone: blind === undefined ? null : 100 * (before.accuracy - blind.accuracy),
          timesFewerBytes: before.bytes / ours.bytes,
          timesFewerMacs: before.macs / ours.macs,
          seconds: ours.seconds,
        };
        rows.push(row);
        const blindly =
          blind === undefined ? "" : `, by weight norm alone ${row.pointsLostByWeightNormAlone.toFixed(2)}`;
        console.log(
          `${name} seed ${seed} ${technique} ${JSON.stringify(options)}: ${row.timesFewerBytes.toFixed(2)}x fewer bytes, ` +
            `${row.timesFewerMacs.toFixed(2)}x fewer multiply-adds, ${row.pointsLost.toFixed(2)} points lost${blindly}`,
        );
      }
    }
  }
  const groups =
    Map.groupBy?.(rows, keyOf) ??
    rows.reduce((map, row) => map.set(keyOf(row), [...(map.get(keyOf(row)) ?? []), row]), new Map());
  for (const [key, group] of groups) {
    const lost = group.map(({ pointsLost }) => pointsLost);
    console.log(
      `${key}: mean ${(lost.reduce((a, b) => a + b, 0) / lost.length).toFixed(2)}, worst ${Math.max(...lost).toFixed(2)} points lost`,
    );
  }
  if (values.save) record("structure", SEEDS, { epochs: Number(values.epochs), rows });
} finally {
  rmSync(folder, { recursive: true });
}

function keyOf({ network, technique, ratio, energy }) {
  return `${network} ${technique} ${ratio ?? energy ?? ""}`;
}
