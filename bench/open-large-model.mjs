// Opens a 2.5 GiB model and compares with decoding one of 1 GiB by a protobuf library, in fresh processes; may depend on dist and onnx-buf.
// Run: npm run build && node bench/open-large-model.mjs
import { execFileSync } from "node:child_process";
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MessageWriter } from "../dist/io/protobuf.js";
import { GRAPH, MODEL, NODE, TENSOR } from "../dist/model/onnx/fields.js";

const GIB = 2 ** 30;
const TENSORS = 200;
const RUNS = 5;

const [subject, file] = process.argv.slice(2);
if (subject === undefined) compare();
else await measure(subject, file);

/** Makes the files (sparse: they take next to no disk), measures each reader in its own process, prints the ratios. */
function compare() {
  const folder = mkdtempSync(join(tmpdir(), "lightfoot-bench-"));
  try {
    const large = writeModel(join(folder, "large.onnx"), 2.5 * GIB);
    const small = writeModel(join(folder, "small.onnx"), GIB);
    const ours = median(large, "lightfoot");
    const oursSmall = median(small, "lightfoot");
    const peer = median(small, "onnx-buf");
    console.log(`${TENSORS} tensors and ${TENSORS} nodes; medians of ${RUNS} fresh processes each`);
    print("Lightfoot, 2.5 GiB", ours);
    print("Lightfoot, 1 GiB", oursSmall);
    print("onnx-buf, 1 GiB", peer);
    const { milliseconds, peakMiB } = oursSmall;
    const faster = (peer.milliseconds / milliseconds).toFixed(0);
    console.log(`same 1 GiB file: ${faster} times faster, ${(peer.peakMiB / peakMiB).toFixed(1)} times less memory`);
    const within = ours.milliseconds < 100 && ours.peakMiB < 120;
    console.log(`2.5 GiB under 100 ms and 120 MiB: ${within ? "yes" : "NO"}`);
    if (!within) process.exitCode = 1;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function median(path, reader) {
  const runs = Array.from({ length: RUNS }, () =>
    JSON.parse(execFileSync(process.execPath, [fileURLToPath(import.meta.url), reader, path], { encoding: "utf8" })),
  );
  const middle = (key) => runs.map((run) => run[key]).sort((a, b) => a - b)[Math.floor(RUNS / 2)];
  return { milliseconds: middle("milliseconds"), peakMiB: middle("peakMiB") };
}

/** One reader, one file: the time from path to structure, and the peak resident memory of the whole process. */
async function measure(reader, path) {
  const { open, count } = await { lightfoot, "onnx-buf": onnxBuf }[reader]();
  const start = performance.now();
  const model = await open(path);
  const milliseconds = performance.now() - start;
  if (count(model) !== TENSORS) throw new Error(`${reader} found ${count(model)} tensors, ${TENSORS} were written`);
  console.log(JSON.stringify({ milliseconds, peakMiB: process.resourceUsage().maxRSS / 1024 }));
}

async function lightfoot() {
  const { readOnnx } = await import("../dist/model/onnx/read.js");
  return { open: readOnnx, count: (model) => model.graph.initializers.size };
}

async function onnxBuf() {
  const [{ readFile }, { fromBinary }, { ModelProtoSchema }] = await Promise.all([
    import("node:fs/promises"),
    import("@bufbuild/protobuf"),
    import("onnx-buf"),
  ]);
  const open = async (path) => fromBinary(ModelProtoSchema, await readFile(path));
  return { open, count: (model) => model.graph.initializer.length };
}

/** A chain of additions over weights of zeros that together take `weightBytes`. */
function writeModel(path, weightBytes) {
  const elements = Math.floor(weightBytes / TENSORS / 4);
  const graph = new MessageWriter();
  for (let index = 0; index < TENSORS; index++) {
    const node = new MessageWriter();
    node.string(NODE.input, index === 0 ? "w0" : `y${index - 1}`);
    node.string(NODE.input, `w${index}`);
    node.string(NODE.output, `y${index}`);
    node.string(NODE.opType, "Add");
    graph.message(GRAPH.node, node);
    const tensor = new MessageWriter();
    tensor.packedIntegers(TENSOR.dims, [elements]);
    tensor.integer(TENSOR.dataType, 1);
    tensor.string(TENSOR.name, `w${index}`);
    tensor.deferred(TENSOR.rawData, { byteLength: elements * 4 });
    graph.message(GRAPH.initializer, tensor);
  }
  const model = new MessageWriter();
  model.integer(MODEL.irVersion, 10);
  model.message(MODEL.graph, graph);
  const handle = openSync(path, "w");
  let at = 0;
  for (const part of model.parts()) {
    if (part instanceof Uint8Array) writeSync(handle, part, 0, part.byteLength, at);
    at += part.byteLength;
  }
  ftruncateSync(handle, at);
  closeSync(handle);
  return path;
}

function print(name, { milliseconds, peakMiB }) {
  console.log(
    `${name.padEnd(20)} ${milliseconds.toFixed(1).padStart(9)} ms ${peakMiB.toFixed(0).padStart(6)} MiB peak`,
  );
}
