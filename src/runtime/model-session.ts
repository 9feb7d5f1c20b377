// A session of a model that is no file yet: its weights are mapped from where they lie, not copied; may depend on io, model and session.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ModelGraph } from "../model/graph.ts";
import { serializeOnnx } from "../model/onnx/write.ts";
import { serializeMapped } from "../model/onnx/write-mapped.ts";
import { totalBytes } from "../model/tensor-data.ts";
import { tensorsOf } from "../model/tensors.ts";
import { openSession, type Session, type SessionOptions } from "./session.ts";

/** Up to here a copy of the weights costs less than files do. */
const COPIED_BYTES = 16 * 2 ** 20;

/**
 * Opens a model of any size. Beyond 16 MiB ONNX Runtime maps the weights from the files that they were read from; computed and changed
 * ones are written to a temporary file first, which is gone with the session, and after a crash as well.
 *
 * @throws LightfootError E_FILE_CHANGED, E_FILE_WRITE, E_RUNTIME when the engine refuses the model
 */
export async function openModel(model: ModelGraph, options: SessionOptions = {}): Promise<Session> {
  if (totalBytes(tensorsOf(model)) <= COPIED_BYTES) return openSession(await serializeOnnx(model), options);
  const folder = await mkdtemp(join(tmpdir(), "lightfoot-weights-"));
  const remove = () => rm(folder, { recursive: true, force: true });
  let session: Session;
  try {
    const { bytes, root } = await serializeMapped(model, join(folder, "weights.bin"));
    const entries = { ...(options.extra?.["session"] as object), model_external_initializers_file_folder_path: root };
    session = await openSession(bytes, { ...options, extra: { ...options.extra, session: entries } });
  } catch (error) {
    await remove();
    throw error;
  }
  // A mapped file needs no name any more; only Windows holds it until the session is closed.
  await remove().catch(() => undefined);
  return {
    name: session.name,
    inputs: session.inputs,
    outputs: session.outputs,
    run: (feeds, fetches) => session.run(feeds, fetches),
    close: async () => {
      await session.close();
      await remove();
    },
  };
}
