// `lightfoot pack` and `lightfoot unpack`: a model as a coded container for transport, and back; may depend on this room, compress, io and quantity.
import { basename, dirname, join } from "node:path";
import type { Command } from "commander";
import type { PackDocument, UnpackDocument } from "../../compress/container/pack-schema.ts";
import { formatCount, formatNumber } from "../../quantity/format.ts";
import { parseQuantity } from "../../quantity/parse-quantity.ts";
import { runAction, type ActionContext } from "../action.ts";
import { withExamples } from "../help.ts";

interface PackFlags {
  readonly out?: string;
  readonly asBytes: boolean;
}

interface UnpackFlags {
  readonly out?: string;
  readonly limit?: string;
  readonly force: boolean;
}

const CONTAINER_ENDING = ".lfz";
const MODEL_ENDING = ".onnx";

/** Adds the verbs `pack` and `unpack` to the program. */
export function registerPack(program: Command): void {
  const pack = program
    .command("pack")
    .description("code a model and its external data into one small container; unpack gives back the exact bytes")
    .argument("<model>", "an ONNX file; a file of another ending that is no model is packed as plain bytes")
    .option("--out <file>", "the container; left out, the model's name with .lfz")
    .option("--as-bytes", "pack the file as it is, also a damaged .onnx, without its external data", false)
    .action(runAction(packAction));
  withExamples(pack, [
    ["lightfoot pack net.onnx", "writes net.lfz"],
    ["lightfoot pack pruned.onnx --out pruned.lfz --json", "the rate as a document"],
  ]);
  const unpack = program
    .command("unpack")
    .description("give back the model in a container of lightfoot pack, byte for byte, after all check sums held")
    .argument("<container>", "an .lfz file")
    .option("--out <file>", "the model; left out, the container's name with .onnx. Data files go beside it")
    .option("--limit <size>", "refuse more content than this; left out, 16 MiB and 4096 times the container")
    .option("--force", "replace data files that are there already", false)
    .action(runAction(unpackAction));
  withExamples(unpack, [
    ["lightfoot unpack net.lfz", "writes net.onnx"],
    ["lightfoot unpack big.lfz --out models/big.onnx --limit 20GB", "a model of many bytes that are alike"],
  ]);
}

/** The path with another ending. */
function renamed(path: string, from: string, to: string): string {
  const name = basename(path);
  return join(dirname(path), `${name.endsWith(from) ? name.slice(0, -from.length) : name}${to}`);
}

async function rateOf(contentBytes: number, containerBytes: number) {
  const { compressionRate } = await import("../../footprint/efficiency.ts");
  return compressionRate(contentBytes, containerBytes, "bytes on disk");
}

function progressOf(context: ActionContext, title: string): (done: number, total: number) => void {
  context.progress.phase(title);
  let isCounted = false;
  return (done, total) => {
    if (!isCounted) context.progress.phase(title, total / 1e6, "MB");
    isCounted = true;
    context.progress.advance(done / 1e6);
  };
}

async function packAction(context: ActionContext, model: string, flags: PackFlags): Promise<void> {
  const { pack } = await import("../../compress/container/pack.ts");
  const { sha256File } = await import("../../io/digest.ts");
  const out = flags.out ?? renamed(model, MODEL_ENDING, CONTAINER_ENDING);
  const onProgress = progressOf(context, `Packing ${model}`);
  const { contentBytes, containerBytes, files, isModel } = await pack(model, out, {
    signal: context.signal,
    asBytes: flags.asBytes,
    onProgress,
  });
  const document: PackDocument = {
    schema: "lightfoot.pack/1",
    container: out,
    digest: await sha256File(out),
    files: files.map(({ name, bytes }) => ({ file: name === "" ? basename(model) : name, bytes })),
    isModel,
    contentBytes,
    containerBytes,
    compressionRate: await rateOf(contentBytes, containerBytes),
  };
  context.result(document, () => {
    const reason = flags.asBytes ? "As asked" : "No ONNX model";
    const note = isModel ? "" : `\n${reason}: packed as plain bytes, without knowing where its numbers are.`;
    return `Wrote ${out}: ${sizeLine(document)}${note}`;
  });
}

async function unpackAction(context: ActionContext, container: string, flags: UnpackFlags): Promise<void> {
  const { unpack } = await import("../../compress/container/pack.ts");
  const out = flags.out ?? renamed(container, CONTAINER_ENDING, MODEL_ENDING);
  const limitBytes = flags.limit === undefined ? undefined : parseQuantity(flags.limit, "data", "--limit");
  const onProgress = progressOf(context, `Unpacking ${container}`);
  const { signal } = context;
  const { contentBytes, containerBytes, files } = await unpack(container, out, {
    signal,
    onProgress,
    limitBytes,
    force: flags.force,
  });
  const document: UnpackDocument = {
    schema: "lightfoot.unpack/1",
    container,
    files: files.map(({ path, bytes }) => ({ file: path, bytes })),
    contentBytes,
    containerBytes,
    compressionRate: await rateOf(contentBytes, containerBytes),
  };
  context.result(document, () => {
    const names = files.map(({ path }) => path).join(", ");
    return `Wrote ${names}: ${sizeLine(document)}; all check sums hold`;
  });
}

function sizeLine({ contentBytes, containerBytes, compressionRate }: PackDocument | UnpackDocument): string {
  const rate = formatNumber(compressionRate.value, "", 4);
  return `${formatCount(contentBytes)} bytes in ${formatCount(containerBytes)}, CompressionRate ${rate}`;
}
