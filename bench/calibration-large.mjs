// Peak memory of calibrating and compressing a transformer of more than 2 GiB, against its largest tensor and 300 MB; depends on dist.
//
//   npm run build && node bench/calibration-large.mjs [--blocks 64] [--samples 16] [--technique static-int8] [--save]
//
// The model is written with external data first. Each technique then runs in a fresh process that reads the model, calibrates on the
// samples and writes the result. Printed: its peak resident memory (VmHWM) beside the bound, seconds, and how far the result's answers are
// from the float model's on samples that calibration never saw, both run by ONNX Runtime in this process. GPTQ is beyond the bound by its moments, 12·K² bytes.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { TECHNIQUES } from "../dist/compress/techniques/registry.js";
import { weightGridFor } from "../dist/compress/weight-grid.js";
import { describeThisMachine } from "../dist/io/machine.js";
import { processUsage } from "../dist/io/process-usage.js";
import { readOnnx } from "../dist/model/onnx/read.js";
import { writeOnnx } from "../dist/model/onnx/write.js";
import { tensorByteLength } from "../dist/model/tensor-data.js";
import { createDataset } from "../dist/runtime/dataset.js";
import { openSession } from "../dist/runtime/session.js";
import { createThreadPool } from "../dist/runtime/task-runner.js";
import { normalInput, transformerStack } from "./models/int8-models.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    blocks: { type: "string", default: "64" },
    samples: { type: "string", default: "16" },
    technique: { type: "string", multiple: true, default: ["static-int8"] },
    save: { type: "boolean", default: false },
  },
});
const SEED = 1;
const WIDTH = 1024;
const TOKENS = 32;
const SPARE_BYTES = 300e6;
const STATIC = { range: "percentile", percentile: 99.999, form: "qdq", biasCorrection: true };
const BLOCKS = { bits: 4, blockSize: 32, symmetric: true, accuracyLevel: 4 };
/** Steps of each choice, as a recipe has them. */
const CHOICES = {
  "static-int8": (samples) => [["static-int8", { ...STATIC, samples }]],
  smooth: (samples) => [
    ["smooth", { insert: false }],
    ["static-int8", { ...STATIC, samples }],
  ],
  awq: () => [
    ["activation-aware", BLOCKS],
    ["weight-blocks", BLOCKS],
  ],
  gptq: () => [["weight-blocks", { ...BLOCKS, rounding: "gptq" }]],
};
const samples = Number(values.samples);
const input = (count, seed) => normalInput([count, TOKENS, WIDTH], seed);

const [source, target, choice] = positionals;
if (source === undefined) await compare();
else await compress();

/** The measured process. */
async function compress() {
  const calibration = createDataset({ name: "calibration", inputs: new Map([["x", input(samples, SEED + 10)]]) });
  const weightGrid = weightGridFor(describeThisMachine()).grid;
  const context = { calibration, threads: 1, weightGrid, runner: createThreadPool(1), signal: undefined };
  let model = await readOnnx(source);
  for (const [technique, options] of CHOICES[choice](samples)) {
    const result = await TECHNIQUES[technique](model, options, context);
    if (result.kind === "refused") throw new Error(result.reason);
    ({ model } = result);
  }
  await writeOnnx(model, target);
  console.log(processUsage.peakMemoryBytes());
}

async function answer(path) {
  const session = await openSession(path, { threads: 1 });
  try {
    return (await session.run({ x: input(2, SEED + 20) })).y.data;
  } finally {
    await session.close();
  }
}

async function compare() {
  const { decibels, record } = await import("./record.mjs");
  const folder = mkdtempSync(join(tmpdir(), "lightfoot-bench-"));
  try {
    const path = join(folder, "float.onnx");
    const model = transformerStack({
      seed: SEED,
      width: WIDTH,
      heads: 16,
      blocks: Number(values.blocks),
      outliers: 20,
    });
    const { fileBytes, dataBytes } = await writeOnnx(model, path, { externalData: { thresholdBytes: 1024 } });
    const largest = Math.max(...[...model.graph.initializers.values()].map(tensorByteLength));
    const wanted = await answer(path);
    const mega = (bytes) => `${(bytes / 1e6).toFixed(0)} MB`;
    console.log(
      `${((fileBytes + dataBytes) / 2 ** 30).toFixed(2)} GiB, largest tensor ${mega(largest)}, ${samples} samples`,
    );
    const rows = {};
    for (const name of values.technique) {
      const out = join(folder, `${name}.onnx`);
      const start = performance.now();
      const self = fileURLToPath(import.meta.url);
      const output = execFileSync(process.execPath, [self, path, out, name, "--samples", String(samples)], {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "inherit"],
      });
      const seconds = (performance.now() - start) / 1000;
      const peakMemoryBytes = Number(output.trim().split("\n").at(-1));
      const signalToNoiseDecibels = decibels(wanted, await answer(out));
      const bound = largest + SPARE_BYTES;
      rows[name] = { peakMemoryBytes, bound, seconds, resultBytes: statSync(out).size, signalToNoiseDecibels };
      const verdict = peakMemoryBytes <= bound ? "within" : "beyond";
      console.log(
        `  ${name.padEnd(12)} ${mega(peakMemoryBytes)} peak, ${verdict} ${mega(bound)}  ${seconds.toFixed(0)} s  ${signalToNoiseDecibels.toFixed(2)} dB`,
      );
    }
    if (values.save) record("calibration-large", SEED, { blocks: Number(values.blocks), samples, ...rows });
  } finally {
    rmSync(folder, { recursive: true });
  }
}
