// The checksums that a model states of its external files, compared with their content; may depend on the model and io.
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { hashFile } from "../../io/digest.ts";
import type { ModelGraph } from "../graph.ts";
import { tensorsOf } from "../tensors.ts";

/**
 * Compares every external file that carries a `checksum` entry (SHA-1 of the whole file) with its content. Reads those
 * files fully, which is why the reader does not do it unasked. @returns the number of files compared
 * @throws LightfootError E_EXTERNAL_DATA on a difference
 */
export async function verifyExternalChecksums(model: ModelGraph): Promise<number> {
  const expected = new Map<string, Set<string>>();
  for (const { data } of tensorsOf(model)) {
    const checksum = data.kind === "file" ? data.external?.entries.get("checksum") : undefined;
    if (data.kind !== "file" || checksum === undefined || checksum === "") continue;
    expected.set(data.file, (expected.get(data.file) ?? new Set()).add(checksum.toLowerCase()));
  }
  for (const [file, checksums] of expected) {
    const found = await hashFile(file, "sha1");
    for (const checksum of checksums) {
      if (checksum === found) continue;
      const message = `${file} has the SHA-1 ${found}, the model expects ${checksum}`;
      throw new LightfootError("E_EXTERNAL_DATA", message, { hint: "Fetch the data file again.", where: { file } });
    }
  }
  return expected.size;
}
