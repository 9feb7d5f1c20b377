// Weight-only 4-bit: speed at M = 1 against float32, and quantising end to end against Python's MatMulNBitsQuantizer in the same run;
// may depend on dist.
//
//   npm run build && node bench/weight-only.mjs --peer /path/to/python [--rounds 3] [--layers 8] [--save]
//
// The peer needs onnxruntime, onnx and onnx_ir. Quantisers run in turns, each time in a fresh process whose start counts. Models run
// in turns too, pair by pair, in one thread, and in several sessions: where a session's weights come to lie in memory moves its speed by
// more than its pairs show. A ratio is the median over sessions of the median over pairs, from the lowest to the highest end of their
// 95 % intervals. Errors are those of the whole stack's output on the same random rows, against float32.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { describeThisMachine } from "../dist/io/machine.js";

const SEED = 1;
const [NARROW, WIDE] = [1024, 4096];
const BLOCK = 32;
/** Pairs of runs behind each ratio, or as many as this time allows. */
const [PAIRS, SECONDS] = [300, 4];
/** Fresh sessions of both models behind each ratio. */
const SESSIONS = 5;
const SELF = fileURLToPath(import.meta.url);

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    peer: { type: "string" },
    rounds: { type: "string", default: "3" },
    layers: { type: "string", default: "8" },
    save: { type: "boolean", default: false },
  },
});
const [subject, ...parameters] = positionals;
if (subject === undefined) await compare();
else await { write, quantize }[subject](...parameters);

async function compare() {
  const folder = mkdtempSync(join(tmpdir(), "lightfoot-bench-"));
  try {
    const source = join(folder, "float.onnx");
    node("write", source, values.layers);
    const ours = (bits, symmetric, block = BLOCK) => {
      const path = join(folder, `ours-${bits}-${symmetric}-${block}.onnx`);
      return { path, make: () => node("quantize", source, path, String(bits), String(symmetric), String(block)) };
    };
    const script = fileURLToPath(new URL("./peers/weight-only.py", import.meta.url));
    const peer = join(folder, "peer.onnx");
    const [mine, asymmetric, wide, two] = [ours(4, true), ours(4, false), ours(4, true, 128), ours(2, false)];
    const rounds = Array.from({ length: Number(values.rounds) }, () => ({
      lightfoot: timed(mine.make),
      ...(values.peer === undefined
        ? {}
        : { peer: timed(() => run(values.peer, [script, source, peer, String(BLOCK)])) }),
    }));
    for (const { make } of [asymmetric, wide, two]) make();
    const others = [
      ["lightfoot 4-bit", mine.path],
      ["lightfoot 4-bit, zero points", asymmetric.path],
      ["lightfoot 4-bit, blocks of 128", wide.path],
      ["lightfoot 2-bit, zero points", two.path],
      ...(values.peer === undefined ? [] : [["MatMulNBitsQuantizer 4-bit", peer]]),
    ];
    const results = { quantising: quantising(rounds), models: [], againstPeer: null };
    for (const [name, path] of others) {
      results.models.push({
        name,
        fileShare: statSync(path).size / statSync(source).size,
        runs: await against(source, path),
      });
    }
    if (values.peer !== undefined) results.againstPeer = await against(peer, mine.path);
    print(results);
    if (values.save) save(results);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Speed-up of `second` over `first` and its distance from it, for few and many rows. */
async function against(first, second) {
  const { compareModels } = await import("../dist/runtime/compare-models.js");
  const { seededRandom } = await import("../dist/statistics/random.js");
  const { createDataset } = await import("../dist/runtime/dataset.js");
  const random = seededRandom(SEED).fork("inputs");
  const data = Float32Array.from({ length: 128 * NARROW }, () => random.normal());
  const x = { dtype: "float32", shape: [128, NARROW], data };
  const dataset = createDataset({ name: "normal rows", inputs: new Map([["x", x]]) });
  const runs = [];
  for (const batch of [1, 16, 128]) {
    const options = { dataset, batch, threads: 1, pairs: PAIRS, maxSeconds: SECONDS };
    const sessions = [];
    for (let at = 0; at < SESSIONS; at++) sessions.push(await compareModels(first, second, options));
    const { relativeDifference } = sessions[0].outputs[0];
    const of = (end) => summary(sessions.map(({ speedUp }) => speedUp[end]));
    const speedUp = { value: of("value").median, low: of("low").low, high: of("high").high };
    runs.push({ rows: batch, speedUp, relativeDifference });
  }
  return runs;
}

function run(program, options) {
  return execFileSync(program, options, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
}

function node(...options) {
  return run(process.execPath, [SELF, ...options]);
}

function timed(start) {
  const begin = performance.now();
  const peakMemoryBytes = Number(start());
  return { seconds: (performance.now() - begin) / 1000, peakMemoryBytes };
}

function summary(list) {
  const sorted = list.toSorted((a, b) => a - b);
  return { median: sorted[Math.floor(sorted.length / 2)], low: sorted[0], high: sorted.at(-1) };
}

function quantising(rounds) {
  const of = (who) => ({
    seconds: summary(rounds.map((round) => round[who].seconds)),
    peakMemoryBytes: summary(rounds.map((round) => round[who].peakMemoryBytes)),
  });
  if (rounds[0].peer === undefined) return { lightfoot: of("lightfoot"), peer: null, timesFaster: null };
  const timesFaster = summary(rounds.map(({ lightfoot, peer }) => peer.seconds / lightfoot.seconds));
  return { lightfoot: of("lightfoot"), peer: of("peer"), timesFaster };
}

function print({ quantising: { lightfoot, peer, timesFaster }, models, againstPeer }) {
  const cost = ({ seconds, peakMemoryBytes }) =>
    `${seconds.median.toFixed(1)} s (${seconds.low.toFixed(1)} … ${seconds.high.toFixed(1)}), ${(peakMemoryBytes.median / 2 ** 20).toFixed(0)} MiB peak`;
  const times = ({ speedUp }) => `${speedUp.value.toFixed(2)} (${speedUp.low.toFixed(2)} … ${speedUp.high.toFixed(2)})`;
  const row = (runs) => runs.map((one) => `M=${one.rows}: ${times(one)}`).join("  ");
  console.log(`${values.layers} layers of ${NARROW}×${WIDE}, blocks of ${BLOCK}, accuracy_level 4, 1 thread`);
  console.log(`quantising  lightfoot ${cost(lightfoot)}`);
  if (peer !== null) {
    console.log(`            MatMulNBitsQuantizer ${cost(peer)}`);
    const { median, low, high } = timesFaster;
    console.log(`            ${median.toFixed(2)} times faster (${low.toFixed(2)} … ${high.toFixed(2)})`);
  }
  console.log("times faster than float32; error of the output; share of the file");
  for (const { name, runs, fileShare } of models) {
    const error = `${(runs.at(-1).relativeDifference * 100).toFixed(1)} %`;
    console.log(`  ${name.padEnd(30)} ${row(runs)}  error ${error}  file ${(fileShare * 100).toFixed(1)} %`);
  }
  if (againstPeer !== null) console.log(`lightfoot 4-bit against the peer's file: ${row(againstPeer)}`);
}

/** Keeps the ratios with what they were measured on. */
function save(results) {
  const commit = run("git", ["rev-parse", "--short", "HEAD"]).trim();
  const { cpuName, logicalCpuCount, memoryBytes } = describeThisMachine();
  const machine = { cpuName, logicalCpuCount, memoryBytes, loadAverage: loadavg() };
  const folder = fileURLToPath(new URL("./results/", import.meta.url));
  mkdirSync(folder, { recursive: true });
  const setting = {
    layers: Number(values.layers),
    shape: [NARROW, WIDE],
    blockSize: BLOCK,
    rounds: Number(values.rounds),
    sessions: SESSIONS,
  };
  const document = { bench: "weight-only", commit, seed: SEED, setting, machine, results };
  writeFileSync(join(folder, "weight-only.json"), `${JSON.stringify(document, null, 2)}\n`);
}

/** Products 1024→4096→1024→… with Relu between, as a decoder's feed-forward layers; prints nothing. */
async function write(path, layers) {
  const [{ seededRandom }, build, { computedTensor }, { writeOnnx }] = await Promise.all([
    import("../dist/statistics/random.js"),
    import("../dist/model/build.js"),
    import("../dist/model/tensor-data.js"),
    import("../dist/model/onnx/write.js"),
  ]);
  const seed = seededRandom(SEED);
  const nodes = [];
  const initializers = [];
  const count = Number(layers);
  let x = "x";
  for (let at = 0; at < count; at++) {
    const [rows, columns] = at % 2 === 0 ? [NARROW, WIDE] : [WIDE, NARROW];
    const make = async () => {
      const random = seed.fork(`w${at}`);
      return Float32Array.from({ length: rows * columns }, () => random.normal() * Math.sqrt(2 / rows));
    };
    initializers.push(computedTensor(`w${at}`, { dtype: "float32", shape: [rows, columns] }, make));
    const y = at === count - 1 ? "y" : `r${at}`;
    nodes.push(build.node("MatMul", [x, `w${at}`], [`p${at}`]), build.node("Relu", [`p${at}`], [y]));
    x = y;
  }
  const info = (name) => build.tensorInfo(name, "float32", ["batch", count % 2 === 0 || name === "x" ? NARROW : WIDE]);
  await writeOnnx(build.model({ nodes, inputs: [info("x")], outputs: [info("y")], initializers }, 21), path);
}

/** Prints its peak resident memory. */
async function quantize(source, target, bits, symmetric, block) {
  const [{ readOnnx }, { writeOnnx }, { weightOnlyBlocks }, { createThreadPool }, usage] = await Promise.all([
    import("../dist/model/onnx/read.js"),
    import("../dist/model/onnx/write.js"),
    import("../dist/compress/techniques/weight-blocks.js"),
    import("../dist/runtime/task-runner.js"),
    import("../dist/io/process-usage.js"),
  ]);
  const options = { bits: Number(bits), blockSize: Number(block), symmetric: symmetric === "true", accuracyLevel: 4 };
  const runner = createThreadPool(describeThisMachine().logicalCpuCount);
  const result = await weightOnlyBlocks(await readOnnx(source), options, { runner });
  await writeOnnx(result.model, target);
  console.log(usage.processUsage.peakMemoryBytes());
}
