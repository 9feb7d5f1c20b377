// Speed of int8 models in ONNX Runtime as ratios to the float model, ours beside Python's onnxruntime.quantization; depends on dist.
//
//   npm run build && node bench/int8-speed.mjs --peer /path/to/python-with-onnxruntime-and-onnx [--rounds 40] [--save]
//
// All files of one model run in turns in one process, one thread, so that a busy machine slows all alike. Printed: the float model's
// time over each file's, median of the rounds with the 5th and 95th percentile; signal to noise on inputs that calibration never saw.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { dynamicInt8 } from "../dist/compress/techniques/dynamic-int8.js";
import { staticInt8 } from "../dist/compress/techniques/static-int8.js";
import { weightGridFor } from "../dist/compress/weight-grid.js";
import { describeThisMachine } from "../dist/io/machine.js";
import { writeOnnx } from "../dist/model/onnx/write.js";
import { createDataset } from "../dist/runtime/dataset.js";
import { executedPrecision } from "../dist/runtime/executed-precision.js";
import { openSession } from "../dist/runtime/session.js";
import { normalInput, residualNet, transformerStack } from "./models/int8-models.mjs";
import { decibels, record, summary } from "./record.mjs";

const { values } = parseArgs({
  options: {
    peer: { type: "string" },
    rounds: { type: "string", default: "40" },
    save: { type: "boolean", default: false },
  },
});
const SEED = 1;
const CALIBRATION_SAMPLES = 16;
const weightGrid = weightGridFor(describeThisMachine()).grid;

const staticOurs = (form) => ({
  name: `lightfoot static, ${form}`,
  make: (model, calibration) =>
    staticInt8(
      model,
      { range: { kind: "minmax" }, samples: CALIBRATION_SAMPLES, form, biasCorrection: true },
      { calibration, threads: 1, weightGrid },
    ),
});
const dynamicOurs = (activations) => ({
  name: `lightfoot dynamic, a range per ${activations}`,
  make: (model) => dynamicInt8(model, { activations }, { weightGrid }),
});
const python = (mode) => ({ name: `onnxruntime.quantization ${mode}`, mode });

const CASES = [
  {
    name: "residual CNN, 3x112x112, batch 1",
    model: residualNet({ seed: SEED }),
    sample: [3, 112, 112],
    target: 2,
    files: [staticOurs("qdq"), staticOurs("qoperator"), python("static-minmax")],
  },
  {
    name: "four transformer blocks, width 768, 128 tokens",
    model: transformerStack({ seed: SEED }),
    sample: [128, 768],
    target: 2.5,
    files: [
      dynamicOurs("tensor"),
      dynamicOurs("token"),
      staticOurs("qoperator"),
      python("dynamic"),
      python("dynamic-per-channel"),
      python("static-minmax"),
    ],
  },
];

function peerFile(mode, source, target, calibration) {
  const script = fileURLToPath(new URL("./peers/int8.py", import.meta.url));
  const parameters = [script, mode, source, target];
  if (mode.startsWith("static")) {
    const raw = join(target, "..", "calibration.f32");
    writeFileSync(raw, new Uint8Array(calibration.data.buffer));
    parameters.push(raw, calibration.shape.join(","));
  }
  execFileSync(values.peer, parameters, { stdio: ["ignore", "ignore", "ignore"] });
}

async function variant({ name, make, mode }, { model, source, calibration, folder }) {
  const path = join(folder, `${name.replaceAll(/\W+/g, "-")}.onnx`);
  if (make === undefined) {
    peerFile(mode, source, path, calibration);
  } else {
    const data = createDataset({ name: "calibration", inputs: new Map([["x", calibration]]) });
    const result = await make(model, data);
    if (result.kind === "refused") throw new Error(`${name}: ${result.reason}`);
    await writeOnnx(result.model, path);
  }
  return { name, path };
}

async function runCase({ name, model, sample, target, files }, folder) {
  const source = join(folder, "float.onnx");
  await writeOnnx(model, source);
  const calibration = normalInput([CALIBRATION_SAMPLES, ...sample], SEED + 10);
  const inputs = { x: normalInput([1, ...sample], SEED + 20) };
  const circumstances = { model, source, calibration, folder };
  const wanted = files.filter(({ mode }) => mode === undefined || values.peer !== undefined);
  const subjects = [{ name: "float32", path: source }];
  for (const file of wanted) subjects.push(await variant(file, circumstances));
  for (const subject of subjects) {
    subject.session = await openSession(subject.path, { threads: 1 });
    subject.times = [];
    subject.answer = (await subject.session.run(inputs)).y.data;
  }
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const { session, times } of subjects) {
      const start = performance.now();
      await session.run(inputs);
      times.push(performance.now() - start);
    }
  }
  const [float] = subjects;
  const rows = [];
  for (const { name: file, path, session, times, answer } of subjects.slice(1)) {
    await session.close();
    const ratios = times.map((time, round) => float.times[round] / time).toSorted((a, b) => a - b);
    const at = (share) => ratios[Math.min(ratios.length - 1, Math.floor(share * ratios.length))];
    const executed = await executedPrecision(path, { inputs: { x: inputs.x.shape } });
    rows.push({
      file,
      timesFaster: { median: at(0.5), low: at(0.05), high: at(0.95) },
      milliseconds: summary(times),
      signalToNoiseDecibels: decibels(float.answer, answer),
      int8Share: executed.int8Share,
      leftoverQuantizeNodes: executed.leftoverQuantizeNodes,
      bytes: statSync(path).size,
    });
  }
  await float.session.close();
  console.log(`${name}: float32 ${summary(float.times).median.toFixed(2)} ms`);
  for (const row of rows) {
    const { median, low, high } = row.timesFaster;
    const speed = `${median.toFixed(2)} times faster (${low.toFixed(2)} … ${high.toFixed(2)})`;
    const share = `${(row.int8Share * 100).toFixed(1)} % of multiply-adds in int8`;
    console.log(`  ${row.file.padEnd(48)} ${speed}  ${row.signalToNoiseDecibels.toFixed(1)} dB  ${share}`);
  }
  return { name, target, float32Milliseconds: summary(float.times), files: rows };
}

const cases = [];
for (const one of CASES) {
  const folder = mkdtempSync(join(tmpdir(), "lightfoot-bench-"));
  try {
    cases.push(await runCase(one, folder));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
if (values.peer === undefined) console.log("no peer: give --peer the path of a Python that has onnxruntime and onnx");
if (values.save) record("int8-speed", SEED, { rounds: Number(values.rounds), cases });
