// The chosen candidate's file as `compressed.onnx` beside the documents; may depend on compress, io and model.
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Candidate } from "../compress/candidate-schema.ts";
import { copyFileAtomic } from "../io/atomic-write.ts";
import { readOnnx } from "../model/onnx/read.ts";
import { writeOnnx } from "../model/onnx/write.ts";
import { tensorsOf } from "../model/tensors.ts";

export const WINNER_FILE = "compressed.onnx";

/** Copies the winner, its external weights included; undefined, and no file from before, when there is none. */
export async function placeWinner(winner: Candidate | undefined, outDir: string): Promise<string | undefined> {
  const target = join(outDir, WINNER_FILE);
  await rm(target, { force: true });
  if (winner?.file === undefined || winner.file === null) return undefined;
  const source = join(outDir, winner.file);
  const model = await readOnnx(source);
  const isWhole = [...tensorsOf(model)].every(({ data }) => data.kind !== "file" || !data.external);
  if (isWhole) await copyFileAtomic(source, target);
  else await writeOnnx(model, target);
  return target;
}
