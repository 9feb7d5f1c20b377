// The worked example's training step (784-128-10, batch 32, Adam) against PyTorch in the same run; depends on dist.
//
//   npm run build && node bench/train-step.mjs --peer /path/to/python-with-torch
//
// Both sides run in turns, so that a busy machine slows both. Printed are medians with the range, and their ratio.
import { execFileSync } from "node:child_process";
import { parseArgs } from "node:util";
import { buildMlp } from "../dist/runtime/architecture/mlp.js";
import { createDataset } from "../dist/runtime/sample-set.js";
import { finishTraining, train } from "../dist/runtime/train.js";
import { seededRandom } from "../dist/statistics/random.js";

const { values } = parseArgs({
  options: {
    peer: { type: "string" },
    rounds: { type: "string", default: "5" },
    steps: { type: "string", default: "1000" },
  },
});
const rounds = Number(values.rounds);
const steps = Number(values.steps);

const random = seededRandom(1);
const samples = steps * 32;
const pixels = Float32Array.from({ length: samples * 784 }, () => random.next());
const data = createDataset({
  name: "random pixels",
  inputs: new Map([["input", { dtype: "float32", shape: [samples, 784], data: pixels }]]),
  labels: { dtype: "int32", shape: [samples], data: Int32Array.from({ length: samples }, () => random.integer(10)) },
});

/** Milliseconds a step, after a first epoch that warms up. */
async function ours() {
  const options = {
    loss: { kind: "cross-entropy" },
    optimizer: { kind: "adam" },
    learningRate: 1e-3,
    epochs: 2,
    batch: 32,
    seed: 1,
  };
  let start = 0;
  let end = 0;
  await finishTraining(train(buildMlp({ layers: [784, 128, 10], seed: 1 }), data, options), (event) => {
    if (event.type !== "epoch") return;
    if (event.epoch === 1) start = performance.now();
    else end = performance.now();
  });
  return (end - start) / steps;
}

function peer(python) {
  const script = new URL("./peers/train-step.py", import.meta.url).pathname;
  return Number(execFileSync(python, [script, "1", String(steps)], { encoding: "utf8" }));
}

const median = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)];
const line = (name, list) =>
  `${name.padEnd(12)} ${median(list).toFixed(3)} ms/step (${Math.min(...list).toFixed(3)} … ${Math.max(...list).toFixed(3)})`;

const mine = [];
const theirs = [];
for (let round = 0; round < rounds; round++) {
  mine.push(await ours());
  if (values.peer !== undefined) theirs.push(peer(values.peer));
}
console.log(line("lightfoot", mine));
if (theirs.length > 0) {
  console.log(line("pytorch cpu", theirs));
  console.log(`ratio        ${(median(mine) / median(theirs)).toFixed(2)} (below 1: lightfoot is quicker)`);
} else {
  console.log("no peer: give --peer the path of a Python that has torch, for a ratio");
}
