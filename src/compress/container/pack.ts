// Packs a model file with its external data into one container, and gives the exact bytes back; may depend on this folder, runtime and io.
import { realpath, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { availableParallelism } from "node:os";
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { makeFolder, openAtomicWriter, type AtomicWriter } from "../../io/atomic-write.ts";
import { openFileRange } from "../../io/file-range.ts";
import { throwIfStopped } from "../../runtime/stop-signal.ts";
import { encodeContainer, openContainer } from "./container.ts";
import { layoutOf } from "./segments.ts";

export interface PackOptions {
  /** Left out, one for each processor. */
  readonly threads?: number;
  readonly signal?: AbortSignal;
  /** True: the file is packed as plain bytes, whatever it holds, and without its external data. */
  readonly asBytes?: boolean;
  /** @param total bytes of all files together */
  readonly onProgress?: (done: number, total: number) => void;
}

export interface Packed {
  /** Bytes of the model file and its external data files. */
  readonly contentBytes: number;
  readonly containerBytes: number;
  /** Paths of the files inside, relative to the model's folder; "" is the model. */
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
  /** False for a file that was packed as plain bytes, without knowing where its numbers are. */
  readonly isModel: boolean;
}

/** @param out where `write` brings the container, if anywhere */
async function packTo(
  path: string,
  out: string | undefined,
  options: PackOptions,
  write: (bytes: Uint8Array) => Promise<void>,
): Promise<Packed> {
  const { files, isModel } = await layoutOf(path, options.asBytes === true);
  if (out !== undefined) for (const file of files) await refuseReplacing(file.path, out);
  const contentBytes = files.reduce((sum, { byteLength }) => sum + byteLength, 0);
  if (contentBytes === 0) {
    throw new LightfootError("E_FORMAT_UNKNOWN", `${path} is empty`, { where: { file: path } });
  }
  let containerBytes = 0;
  const { signal, onProgress, threads = availableParallelism() } = options;
  const report = (done: number) => onProgress?.(done, contentBytes);
  for await (const bytes of encodeContainer(files, { threads, signal, onProgress: report })) {
    containerBytes += bytes.length;
    await write(bytes);
  }
  // What lies in one chunk is coded in one go, and the signal only seen afterwards.
  throwIfStopped(signal, "packing");
  const named = files.map(({ name, byteLength }) => ({ name, bytes: byteLength }));
  return { contentBytes, containerBytes, files: named, isModel };
}

/**
 * Writes the container of the model at `path` to `out`, which appears whole or not at all. The same model gives the same bytes.
 * @throws LightfootError E_USAGE when `out` is the model or its data, E_FILE_NOT_FOUND, E_FILE_CHANGED, E_FILE_WRITE, E_INTERRUPTED; E_EXTERNAL_DATA when a data file is missing; as
 *   `readOnnx` for a damaged `.onnx`
 */
export async function pack(path: string, out: string, options: PackOptions = {}): Promise<Packed> {
  const writer = await openAtomicWriter(out);
  try {
    const result = await packTo(path, out, options, (bytes) => writer.write(bytes));
    await writer.commit();
    return result;
  } catch (thrown) {
    await writer.abort();
    throw thrown;
  }
}

/** How many bytes the container of the model at `path` has, without writing it. @throws LightfootError as `pack` */
export async function packedBytes(path: string, options: PackOptions = {}): Promise<number> {
  return (await packTo(path, undefined, options, async () => undefined)).containerBytes;
}

export interface UnpackOptions extends Omit<PackOptions, "asBytes"> {
  /** Content beyond this is refused; left out, 16 MiB and 4096 times the container's bytes, which no known model exceeds. */
  readonly limitBytes?: number;
  /** Replace data files that are there already. */
  readonly force?: boolean;
}

export interface Unpacked {
  readonly contentBytes: number;
  readonly containerBytes: number;
  /** Paths of the files that were written, the model first. */
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
}

const LIMIT_BASE_BYTES = 16 * 2 ** 20;
const LIMIT_RATIO = 4096;

/**
 * Writes the model in the container at `path` to `out` and its data files beside it, byte for byte as they were packed. Nothing
 * becomes visible before all check sums held.
 * @throws LightfootError E_USAGE when a file would replace the container or another one of them, E_FORMAT_UNKNOWN, E_CONTAINER on
 *   damage, E_LIMIT, E_FILE_WRITE when a data file is there already
 */
export async function unpack(path: string, out: string, options: UnpackOptions = {}): Promise<Unpacked> {
  const range = await openFileRange(path);
  const writers: AtomicWriter[] = [];
  try {
    const limit = options.limitBytes ?? LIMIT_BASE_BYTES + LIMIT_RATIO * range.size;
    const container = await openContainer(range, limit);
    const contentBytes = container.files.reduce((sum, { byteLength }) => sum + byteLength, 0);
    const targets = container.files.map(({ name }) => (name === "" ? out : join(dirname(out), ...name.split("/"))));
    for (const target of targets) await refuseReplacing(path, target);
    for (const target of targets.slice(1)) {
      if (join(target) === join(out))
        throw new LightfootError("E_USAGE", `a data file is called ${basename(out)} too`, OTHER_NAME);
      if (options.force !== true) await refuseExisting(target);
    }
    for (const target of targets) {
      if (target !== out) await makeFolder(dirname(target));
      writers.push(await openAtomicWriter(target));
    }
    const { signal, onProgress, threads = availableParallelism() } = options;
    const report = (done: number) => onProgress?.(done, contentBytes);
    for await (const { file, bytes } of container.content({ threads, signal, onProgress: report })) {
      await writers[file].write(bytes);
    }
    throwIfStopped(signal, "unpacking");
    // The model last: whoever sees it finds its data.
    for (const writer of writers.toReversed()) await writer.commit();
    const files = container.files.map(({ byteLength }, at) => ({ path: targets[at], bytes: byteLength }));
    return { contentBytes, containerBytes: range.size, files };
  } catch (thrown) {
    for (const writer of writers) await writer.abort();
    throw thrown;
  } finally {
    await range.close();
  }
}

const OTHER_NAME = { hint: "Name another file with --out." };

/** Both names may lead to one file through links. */
async function refuseReplacing(source: string, target: string): Promise<void> {
  const [from, to] = await Promise.all([source, target].map((path) => realpath(path).catch(() => resolve(path))));
  if (from === to) throw new LightfootError("E_USAGE", `${source} would be replaced by the result`, OTHER_NAME);
}

async function refuseExisting(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return;
  throw new LightfootError("E_FILE_WRITE", `${path} exists already, and the container has a data file of that name`, {
    hint: "Unpack into another folder with --out, or replace the file with --force.",
    where: { file: path },
  });
}
