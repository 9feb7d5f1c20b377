// Peak memory of percentile calibration on 500 samples, against Python's onnxruntime.quantization in the same run; depends on dist.
//
//   npm run build && node bench/calibration-memory.mjs --peer /path/to/python-with-onnxruntime-and-onnx [--samples 500] [--save]
//
// Both start as fresh processes and read the same model and samples from disk. Printed: peak resident memory (VmHWM), seconds, and how
// far each int8 model's answers are from the float model's on samples that calibration never saw.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { staticInt8 } from "../dist/compress/techniques/static-int8.js";
import { weightGridFor } from "../dist/compress/weight-grid.js";
import { describeThisMachine } from "../dist/io/machine.js";
import { processUsage } from "../dist/io/process-usage.js";
import { readOnnx } from "../dist/model/onnx/read.js";
import { writeOnnx } from "../dist/model/onnx/write.js";
import { createDataset } from "../dist/runtime/dataset.js";
import { openSession } from "../dist/runtime/session.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    peer: { type: "string" },
    samples: { type: "string", default: "500" },
    save: { type: "boolean", default: false },
  },
});
const SEED = 1;
const SAMPLE = [3, 112, 112];
/** What onnxruntime.quantization takes when nobody says. */
const PERCENTILE = 99.999;
const count = Number(values.samples);

const [source, target, raw] = positionals;
if (source === undefined) await compare();
else await calibrate();

/** The measured process: one model and its samples in, one int8 model out. */
async function calibrate() {
  const bytes = readFileSync(raw);
  const x = { dtype: "float32", shape: [count, ...SAMPLE], data: new Float32Array(bytes.buffer, bytes.byteOffset) };
  const calibration = createDataset({ name: "calibration", inputs: new Map([["x", x]]) });
  const weightGrid = weightGridFor(describeThisMachine()).grid;
  const range = { kind: "percentile", percentile: PERCENTILE };
  const options = { range, samples: count, form: "qdq", biasCorrection: true };
  const result = await staticInt8(await readOnnx(source), options, { calibration, threads: 1, weightGrid });
  await writeOnnx(result.model, target);
  console.log(processUsage.peakMemoryBytes());
}

function measured(program, parameters) {
  const start = performance.now();
  const answer = execFileSync(program, parameters, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  const peakMemoryBytes = Number(answer.trim().split("\n").at(-1));
  return { peakMemoryBytes, seconds: (performance.now() - start) / 1000 };
}

async function compare() {
  const { normalInput, residualNet } = await import("./models/int8-models.mjs");
  const { decibels, record } = await import("./record.mjs");
  const folder = mkdtempSync(join(tmpdir(), "lightfoot-bench-"));
  try {
    const path = (name) => join(folder, name);
    await writeOnnx(residualNet({ seed: SEED }), path("float.onnx"));
    writeFileSync(path("samples.f32"), new Uint8Array(normalInput([count, ...SAMPLE], SEED + 10).data.buffer));
    const inputs = { x: normalInput([32, ...SAMPLE], SEED + 20) };
    const answer = async (file) => {
      const session = await openSession(path(file), { threads: 1 });
      const { y } = await session.run(inputs);
      await session.close();
      return y.data;
    };
    const wanted = await answer("float.onnx");
    const rows = {};
    const self = fileURLToPath(import.meta.url);
    const files = [path("float.onnx"), path("ours.onnx"), path("samples.f32")];
    rows.lightfoot = measured(process.execPath, [self, ...files, "--samples", String(count)]);
    rows.lightfoot.signalToNoiseDecibels = decibels(wanted, await answer("ours.onnx"));
    if (values.peer !== undefined) {
      const script = fileURLToPath(new URL("./peers/int8.py", import.meta.url));
      const shape = [count, ...SAMPLE].join(",");
      const parameters = [
        script,
        "static-percentile",
        path("float.onnx"),
        path("theirs.onnx"),
        path("samples.f32"),
        shape,
      ];
      rows.peer = measured(values.peer, parameters);
      rows.peer.signalToNoiseDecibels = decibels(wanted, await answer("theirs.onnx"));
    }
    console.log(`percentile ${PERCENTILE} on ${count} samples of ${SAMPLE.join("x")}, residual CNN`);
    for (const [who, row] of Object.entries(rows)) {
      const name = who === "peer" ? "onnxruntime.quantization" : who;
      const memory = `${(row.peakMemoryBytes / 2 ** 20).toFixed(0)} MiB peak`;
      console.log(
        `  ${name.padEnd(26)} ${memory}  ${row.seconds.toFixed(1)} s  ${row.signalToNoiseDecibels.toFixed(2)} dB`,
      );
    }
    if (rows.peer !== undefined) {
      const memoryShare = rows.lightfoot.peakMemoryBytes / rows.peer.peakMemoryBytes;
      console.log(`  ${memoryShare.toFixed(3)} of the peer's peak memory`);
      rows.memoryShare = memoryShare;
    } else {
      console.log("no peer: give --peer the path of a Python that has onnxruntime and onnx");
    }
    if (values.save) record("calibration-memory", SEED, { samples: count, percentile: PERCENTILE, ...rows });
  } finally {
    rmSync(folder, { recursive: true });
  }
}
