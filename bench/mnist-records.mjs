// How small three MNIST networks become as plain .onnx and as coded container, beside published records; depends on dist.
//
//   npm run build && node bench/mnist-records.mjs --net worked --seeds 1,2,3
//   node bench/mnist-records.mjs --net lenet-300-100      # minutes
//   node bench/mnist-records.mjs --net lenet-5            # an hour
//
// Every step's model stays in the state folder: a killed run goes on with the step it was in. Training sees 55,000 images (steps marked
// `shifted` also each one shifted by up to two pixels; the originals are trained without), 5,000 choose, the test images judge. Every
// model descends from its original's own layers. Sizes are those of written files; what the container gives back is what is evaluated. `--save` writes
// bench/results/mnist-records-<net>.json with all that the state folder holds of the net.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { pack, unpack } from "../dist/compress/container/pack.js";
import { TECHNIQUES } from "../dist/compress/techniques/registry.js";
import { readOnnx } from "../dist/model/onnx/read.js";
import { writeOnnx } from "../dist/model/onnx/write.js";
import { buildMlp } from "../dist/runtime/architecture/mlp.js";
import { evaluate } from "../dist/runtime/evaluate.js";
import { loadDataset } from "../dist/runtime/load-dataset.js";
import { finishTraining, train } from "../dist/runtime/train.js";
import { lenet5 } from "./models/lenet5.mjs";
import { withShifts } from "./models/shifted.mjs";
import { record } from "./record.mjs";

const prune = (sparsity, epochs) => [
  "prune",
  { sparsity, criterion: "second-order", scope: "global", pattern: "any", epochs, learningRate: 1e-3 },
];
const share = (values, epochs) => ["share-weights", { values, biasValues: 8, epochs, learningRate: 5e-4 }];
const narrow = (ratio) => ["narrow", { ratio }];
const fineTune = (epochs) => ["fine-tune", { epochs, learningRate: 1e-3 }];
/** The step with each training image also in shifted copies, so that an epoch with one is twice as long. */
const shifted = ([technique, options], copies = 1) => [technique, options, copies];
/** Steps of a recipe with more after them. */
const then = (recipe, ...steps) => ({ steps: [...recipe.steps, ...steps] });

const SPARSE_300 = { steps: [narrow(0.5), shifted(prune(0.86, 14)), shifted(share(17, 4))] };
const SPARSER_300 = then(SPARSE_300, shifted(prune(0.935, 10)), shifted(share(17, 4)));
const SPARSE_5 = { steps: [shifted(narrow(0.4)), shifted(prune(0.84, 12))] };
const cosine = { kind: "cosine" };

/** Nets with the training of the original, the recipes (tuned on seed 1's validation split), and what others reached. */
const NETS = {
  worked: {
    title: "784-128-10",
    build: (seed) => buildMlp({ layers: [784, 128, 10], seed }),
    training: { epochs: 10, batch: 32, learningRate: 1e-3 },
    recipes: {
      plain: { steps: [prune(0.966, 60), share(17, 20)] },
      shifted: { steps: [shifted(prune(0.967, 30)), shifted(share(17, 10))] },
    },
    others: ["goal: 50x as plain .onnx and 100x coded, at most 0.3 points below the original"],
  },
  "lenet-300-100": {
    title: "LeNet-300-100",
    build: (seed) => buildMlp({ layers: [784, 300, 100, 10], output: "none", seed }),
    training: { epochs: 20, batch: 128, learningRate: 1e-3, schedule: cosine },
    recipes: {
      accurate: SPARSE_300,
      small: SPARSER_300,
      smallest: then(SPARSER_300, shifted(prune(0.96, 10)), shifted(share(17, 4))),
    },
    others: ["Deep Compression 40x at 1.58 % error", "entropy-penalized reparameterization 124x at 1.9 %"],
  },
  "lenet-5": {
    title: "LeNet-5 (20-50-500-10)",
    build: lenet5,
    training: { epochs: 14, batch: 128, learningRate: 1e-3, schedule: cosine },
    recipes: {
      accurate: then(SPARSE_5, shifted(fineTune(12), 3), shifted(share(17, 3), 3)),
      small: then(
        SPARSE_5,
        shifted(share(17, 3)),
        shifted(prune(0.9715, 20)),
        shifted(fineTune(12), 3),
        shifted(share(13, 3), 3),
      ),
    },
    others: [
      "Deep Compression 39x at 0.74 % error",
      "entropy-penalized reparameterization 606x at 0.9 %",
      "MIRACLE 1110x at 0.96 %",
    ],
  },
};

const { values } = parseArgs({
  options: {
    net: { type: "string", default: "worked" },
    seeds: { type: "string", default: "1,2,3" },
    state: { type: "string", default: "out/mnist-records" },
    save: { type: "boolean", default: false },
  },
});
if (NETS[values.net] === undefined) throw new Error(`--net is ${values.net}, expected ${Object.keys(NETS).join(", ")}`);
mkdirSync(values.state, { recursive: true });

const images = await loadDataset("mnist:train[:55000]");
const validation = await loadDataset("mnist:train[55000:]");
const test = await loadDataset("mnist:test");
const say = (text) => console.log(`${new Date().toISOString().slice(11, 19)} ${text}`);

/** Errors in percent. */
async function errorsOf(path) {
  const error = async (data) => {
    const { metrics } = await evaluate(path, data, { metrics: ["accuracy"], threads: 1 });
    return Number((100 * (1 - metrics.accuracy.figure.value)).toFixed(3));
  };
  return { validationErrorPercent: await error(validation), testErrorPercent: await error(test) };
}

async function original(name, seed) {
  const path = join(values.state, `${name}-${seed}.onnx`);
  if (existsSync(path)) return path;
  say(`${name} ${seed}: training the original`);
  const { build, training } = NETS[name];
  const options = { loss: { kind: "cross-entropy" }, optimizer: { kind: "adam" }, seed, threads: 1, ...training };
  const checkpoint = { folder: join(values.state, `${name}-${seed}`) };
  const run = train(build(seed), images, { ...options, checkpoint, resume: true });
  const { model } = await finishTraining(run);
  await writeOnnx(model, path);
  return path;
}

/** The model after all steps; each step's result is kept under a name that says all that led to it. */
async function descend(name, seed, { steps }, source) {
  let path = source;
  for (let count = 1; count <= steps.length; count++) {
    const before = path;
    const key = createHash("sha256")
      .update(JSON.stringify(steps.slice(0, count)))
      .digest("hex")
      .slice(0, 10);
    path = join(values.state, `${name}-${seed}-${key}.onnx`);
    if (existsSync(path)) continue;
    const [technique, options, shifts = 0] = steps[count - 1];
    say(`${name} ${seed}: ${technique} ${JSON.stringify(options)}`);
    const context = {
      calibration: images,
      train: shifts === 0 ? images : withShifts(images, shifts, seed),
      original: source,
      seed,
      threads: 1,
      retrain: { epochs: 10, batch: 128, learningRate: 1e-3 },
      signal: undefined,
      onEpoch: () => {},
    };
    const result = await TECHNIQUES[technique](await readOnnx(before), options, context);
    if (result.kind === "refused") throw new Error(result.reason);
    await writeOnnx(result.model, path);
  }
  return path;
}

/** Writes the plain small file and the container, unpacks the container, and judges both files. */
async function measure(name, seed, id, path, originalPath) {
  const stem = join(values.state, `${name}-${seed}-${id}`);
  const packed = await TECHNIQUES.packed(await readOnnx(path), {}, {});
  if (packed.kind === "refused") throw new Error(packed.reason);
  await writeOnnx(packed.model, `${stem}.packed.onnx`);
  await pack(path, `${stem}.lfz`);
  await unpack(`${stem}.lfz`, `${stem}.unpacked.onnx`);
  const [plain, coded] = [await errorsOf(`${stem}.packed.onnx`), await errorsOf(`${stem}.unpacked.onnx`)];
  const originalBytes = statSync(originalPath).size;
  const sizes = {
    originalBytes,
    onnxBytes: statSync(`${stem}.packed.onnx`).size,
    codedBytes: statSync(`${stem}.lfz`).size,
  };
  const rates = { onnxRate: originalBytes / sizes.onnxBytes, codedRate: originalBytes / sizes.codedBytes };
  return { ...sizes, ...rates, onnx: plain, coded, original: await errorsOf(originalPath) };
}

const stateFile = join(values.state, "results.json");
const results = existsSync(stateFile) ? JSON.parse(readFileSync(stateFile, "utf8")) : {};
const net = NETS[values.net];
for (const seed of values.seeds.split(",").map(Number)) {
  const source = await original(values.net, seed);
  for (const [id, recipe] of Object.entries(net.recipes)) {
    const path = await descend(values.net, seed, recipe, source);
    const found = await measure(values.net, seed, id, path, source);
    ((results[values.net] ??= {})[id] ??= { recipe, seeds: {} }).recipe = recipe;
    results[values.net][id].seeds[seed] = found;
    writeFileSync(stateFile, JSON.stringify(results, null, 2));
    say(
      `${net.title} ${id}, seed ${seed}: .onnx ${found.onnxBytes} B (${found.onnxRate.toFixed(1)}x) ${found.onnx.testErrorPercent} %, ` +
        `coded ${found.codedBytes} B (${found.codedRate.toFixed(1)}x) ${found.coded.testErrorPercent} %, original ${found.original.testErrorPercent} %`,
    );
  }
}

const mean = (list) => list.reduce((sum, value) => sum + value, 0) / list.length;
for (const [id, { seeds }] of Object.entries(results[values.net])) {
  const all = Object.values(seeds);
  const rates = (key) =>
    `${mean(all.map((one) => one[key])).toFixed(1)}x (worst ${Math.min(...all.map((one) => one[key])).toFixed(1)}x)`;
  const losses = all.map((one) => one.coded.testErrorPercent - one.original.testErrorPercent);
  const errors = all.map((one) => one.coded.testErrorPercent);
  console.log(
    `${net.title} ${id}, ${all.length} seeds: .onnx ${rates("onnxRate")}, coded ${rates("codedRate")}; ` +
      `test error ${mean(errors).toFixed(2)} % (worst ${Math.max(...errors).toFixed(2)} %), ` +
      `${mean(losses).toFixed(2)} points above the original (worst ${Math.max(...losses).toFixed(2)})`,
  );
}
for (const other of net.others) console.log(`  ${other}`);
if (values.save) record(`mnist-records-${values.net}`, values.seeds, { recipes: results[values.net] });
