// The chosen candidate's file as `compressed.onnx` beside the documents; may depend on compress, errors, io and model.
import { realpath, rm } from "node:fs/promises";
import { join, relative, resolve, sep } from "node:path";
import type { Candidate } from "../compress/candidate-schema.ts";
import { LightfootError } from "../errors/lightfoot-error.ts";
import { copyFileAtomic } from "../io/atomic-write.ts";
import { readOnnx } from "../model/onnx/read.ts";
import { SPLIT_THRESHOLD_BYTES, writeOnnx } from "../model/onnx/write.ts";
import { tensorsOf } from "../model/tensors.ts";

export const WINNER_FILE = "compressed.onnx";

/**
 * Refuses to compress what a search writes or clears away in its output folder: the winner of an earlier one, or a candidate.
 *
 * @throws LightfootError E_USAGE
 */
export async function refuseOwnOutput(model: string, outDir: string): Promise<void> {
  const [path, folder] = await Promise.all([model, outDir].map((name) => realpath(name).catch(() => resolve(name))));
  const inside = relative(folder, path);
  if (inside !== WINNER_FILE && !inside.startsWith(`candidates${sep}`)) return;
  throw new LightfootError("E_USAGE", `${model} would be replaced by the results in ${outDir}`, {
    hint: "Name another folder with --out, or copy the model elsewhere first.",
    where: { file: model },
  });
}

/**
 * Copies the winner; undefined, and no file from before, when there is none. External weights come into the file itself, or into
 * `compressed.onnx.data` where it cannot hold them: the result stands alone, without the candidates.
 */
export async function placeWinner(winner: Candidate | undefined, outDir: string): Promise<string | undefined> {
  const target = join(outDir, WINNER_FILE);
  await rm(target, { force: true });
  if (winner?.file === undefined || winner.file === null) return undefined;
  const source = join(outDir, winner.file);
  const model = await readOnnx(source);
  const isWhole = [...tensorsOf(model)].every(({ data }) => data.kind !== "file" || !data.external);
  if (isWhole) await copyFileAtomic(source, target);
  else {
    await writeOnnx(model, target, { externalData: "inline" }).catch(async (error: unknown) => {
      if (!(error instanceof LightfootError) || error.code !== "E_LIMIT") throw error;
      await writeOnnx(model, target, { externalData: { thresholdBytes: SPLIT_THRESHOLD_BYTES } });
    });
  }
  return target;
}
