// Dynamic int8 of a 100 MB and a 1 GB model, end to end, against Python's onnxruntime.quantization in the same run; may depend on dist.
//
//   npm run build && node bench/dynamic-int8.mjs --peer /path/to/python-with-onnxruntime-and-onnx [--rounds 5] [--sizes 0.1,1] [--save]
//
// Both run in turns, each time in a fresh process whose start counts. Printed are medians with their range, the ratios of each
// round's pair, peak resident memory (VmHWM), and how far each model's outputs are from the float model's on the same inputs.
// NODE_EXTRA_CA_CERTS is taken out of the environment: Node would read that file of certificates at each start (a system's whole
// list: some 40 ms), which has nothing to do with the work.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const SEED = 1;
const WIDTH = 1024;
const SELF = fileURLToPath(import.meta.url);

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    peer: { type: "string" },
    rounds: { type: "string", default: "5" },
    sizes: { type: "string", default: "0.1,1" },
    save: { type: "boolean", default: false },
  },
});
const [subject, ...files] = positionals;
const subjects = { write, compress, distances };
if (subject === undefined) await compare();
else await subjects[subject](...files);

async function compare() {
  const { record, summary } = await import("./record.mjs");
  if (values.peer === undefined) {
    console.error("Give --peer the path of a Python that has onnxruntime and onnx.");
    process.exit(2);
  }
  const folder = mkdtempSync(join(tmpdir(), "lightfoot-bench-"));
  if (process.env.NODE_EXTRA_CA_CERTS !== undefined) console.log("NODE_EXTRA_CA_CERTS is left out of the environment");
  try {
    const results = values.sizes.split(",").map((size) => compareAt(folder, Number(size), summary));
    if (values.save) record("dynamic-int8", SEED, { rounds: Number(values.rounds), sizes: results });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function compareAt(folder, gigabytes, summary) {
  const source = join(folder, "float.onnx");
  const [ours, theirs] = [join(folder, "ours.onnx"), join(folder, "theirs.onnx")];
  node("write", source, String(gigabytes * 1e9));
  const script = fileURLToPath(new URL("./peers/dynamic-int8.py", import.meta.url));
  const runs = Array.from({ length: Number(values.rounds) }, () => ({
    ours: timed(() => node("compress", source, ours)),
    theirs: timed(() => run(values.peer, [script, source, theirs])),
  }));
  const [oursDecibels, theirsDecibels] = JSON.parse(node("distances", source, ours, theirs));
  const result = {
    gigabytes,
    seconds: {
      lightfoot: summary(runs.map((pair) => pair.ours.seconds)),
      peer: summary(runs.map((pair) => pair.theirs.seconds)),
    },
    timesFaster: summary(runs.map((pair) => pair.theirs.seconds / pair.ours.seconds)),
    peakMemoryBytes: {
      lightfoot: summary(runs.map((pair) => pair.ours.peakMemoryBytes)),
      peer: summary(runs.map((pair) => pair.theirs.peakMemoryBytes)),
    },
    memoryShare: summary(runs.map((pair) => pair.ours.peakMemoryBytes / pair.theirs.peakMemoryBytes)),
    signalToNoiseDecibels: { lightfoot: oursDecibels, peer: theirsDecibels },
  };
  print(result);
  return result;
}

function run(program, parameters) {
  // Not imported above, where the process that is timed would load it too.
  const { execFileSync } = process.getBuiltinModule("node:child_process");
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
  return execFileSync(program, parameters, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"], env });
}

function node(...parameters) {
  return run(process.execPath, [SELF, ...parameters]);
}

function timed(start) {
  const begin = performance.now();
  const peakMemoryBytes = Number(start());
  return { seconds: (performance.now() - begin) / 1000, peakMemoryBytes };
}

function print({ gigabytes, seconds, timesFaster, peakMemoryBytes, memoryShare, signalToNoiseDecibels }) {
  const range = ({ median, low, high }, unit, digits = 2) =>
    `${median.toFixed(digits)}${unit} (${low.toFixed(digits)} … ${high.toFixed(digits)})`;
  const mebibytes = ({ median }) => `${(median / 2 ** 20).toFixed(0)} MiB peak`;
  console.log(`${gigabytes} GB of float32 weights, ${values.rounds} interleaved rounds, process start included`);
  for (const who of ["lightfoot", "peer"]) {
    const name = who === "peer" ? "onnxruntime.quantization" : who;
    const quality = `${signalToNoiseDecibels[who].toFixed(1)} dB`;
    console.log(`  ${name.padEnd(26)} ${range(seconds[who], " s")}  ${mebibytes(peakMemoryBytes[who])}  ${quality}`);
  }
  console.log(`  ${range(timesFaster, " times faster")}, ${range(memoryShare, " of its peak memory")}`);
}

/** A stack of feed-forward blocks as in a transformer: y = x + W2·Relu(W1·LayerNorm(x) + b1) + b2. */
async function write(path, bytes) {
  const [{ seededRandom }, build, tensors, { float32Tensor }, { writeOnnx }] = await Promise.all([
    import("../dist/statistics/random.js"),
    import("../dist/model/build.js"),
    import("../dist/model/tensor-data.js"),
    import("../dist/model/tensor-value.js"),
    import("../dist/model/onnx/write.js"),
  ]);
  const seed = seededRandom(SEED);
  const nodes = [];
  const initializers = [];
  const weight = (name, rows, columns) => {
    initializers.push(
      tensors.computedTensor(name, { dtype: "float32", shape: [rows, columns] }, async () => {
        const random = seed.fork(name);
        return Float32Array.from({ length: rows * columns }, () => random.normal() / Math.sqrt(rows));
      }),
    );
    return name;
  };
  const row = (name, width, value) => {
    initializers.push(tensors.memoryTensor(name, float32Tensor([width], new Float32Array(width).fill(value))));
    return name;
  };
  const blocks = Math.round(bytes / (WIDTH * WIDTH * 8 * 4));
  let x = "x";
  for (let at = 0; at < blocks; at++) {
    const name = (stem) => `${stem}${at}`;
    const y = at === blocks - 1 ? "y" : name("y");
    nodes.push(
      build.node("LayerNormalization", [x, row(name("scale"), WIDTH, 1), row(name("shift"), WIDTH, 0)], [name("n")]),
      build.node("MatMul", [name("n"), weight(name("up"), WIDTH, 4 * WIDTH)], [name("p")]),
      build.node("Add", [name("p"), row(name("upBias"), 4 * WIDTH, 0.1)], [name("b")]),
      build.node("Relu", [name("b")], [name("r")]),
      build.node("MatMul", [name("r"), weight(name("down"), 4 * WIDTH, WIDTH)], [name("d")]),
      build.node("Add", [name("d"), row(name("downBias"), WIDTH, 0.1)], [name("e")]),
      build.node("Add", [x, name("e")], [y]),
    );
    x = y;
  }
  const shape = ["batch", WIDTH];
  const inputs = [build.tensorInfo("x", "float32", shape)];
  const outputs = [build.tensorInfo("y", "float32", shape)];
  await writeOnnx(build.model({ nodes, inputs, outputs, initializers }, 17), path);
}

async function compress(source, target) {
  const [{ readOnnx }, { writeOnnx }, { dynamicInt8 }, { createThreadPool }, { describeThisMachine }, grid, usage] =
    await Promise.all([
      import("../dist/model/onnx/read.js"),
      import("../dist/model/onnx/write.js"),
      import("../dist/compress/techniques/dynamic-int8.js"),
      import("../dist/runtime/task-runner.js"),
      import("../dist/io/machine.js"),
      import("../dist/compress/weight-grid.js"),
      import("../dist/io/process-usage.js"),
    ]);
  const thisMachine = describeThisMachine();
  const runner = createThreadPool(thisMachine.logicalCpuCount);
  const model = await readOnnx(source);
  const context = { weightGrid: grid.weightGridFor(thisMachine).grid, runner };
  const result = await dynamicInt8(model, { activations: "tensor" }, context);
  await writeOnnx(result.model, target);
  console.log(usage.processUsage.peakMemoryBytes());
}

/** Signal to noise of each file's output against the first file's, in decibels, on 64 random rows. */
async function distances(reference, ...others) {
  const { decibels } = await import("./record.mjs");
  const { openSession } = await import("../dist/runtime/session.js");
  const { seededRandom } = await import("../dist/statistics/random.js");
  const random = seededRandom(SEED).fork("inputs");
  const data = Float32Array.from({ length: 64 * WIDTH }, () => random.normal());
  const answer = async (path) => {
    const session = await openSession(path, {});
    const { y } = await session.run({ x: { dtype: "float32", shape: [64, WIDTH], data } });
    await session.close();
    return y.data;
  };
  const wanted = await answer(reference);
  const ratios = [];
  for (const path of others) {
    const found = await answer(path);
    ratios.push(decibels(wanted, found));
  }
  console.log(JSON.stringify(ratios));
}
