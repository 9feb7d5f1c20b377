// One model of a dossier as a document of an exchange format; may depend on pipeline, errors, io and its room.
import { readFile } from "node:fs/promises";
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { fileError } from "../../io/file-range.ts";
import { dossierSchema, type Dossier, type DossierModel } from "../../pipeline/dossier-schema.ts";
import type { Assumption } from "../../quantity/figure.ts";
import { cycloneDxOf } from "./cyclonedx.ts";
import type { ExportFormat } from "./export-schema.ts";
import { gpaiFormOf } from "./gpai-form.ts";
import { modelCardOf } from "./model-card.ts";
import { sciOf } from "./sci.ts";
import { subjectOf, type Subject } from "./subject.ts";
import type { Supplement } from "./supplement.ts";

export interface Exported {
  readonly text: string;
  /** Digest of the model that it is about. */
  readonly model: string;
  readonly assumptions: readonly Assumption[];
}

type Codec = (subject: Subject) => { readonly text: string; readonly assumptions: readonly Assumption[] };

const asJson =
  (codec: (subject: Subject) => { readonly document: object; readonly assumptions: readonly Assumption[] }): Codec =>
  (subject) => {
    const { document, assumptions } = codec(subject);
    return { text: `${JSON.stringify(document, undefined, 2)}\n`, assumptions };
  };

const CODECS: Readonly<Record<ExportFormat, Codec>> = {
  cyclonedx: asJson(cycloneDxOf),
  "model-card": modelCardOf,
  sci: asJson(sciOf),
  "gpai-form": asJson(gpaiFormOf),
};

/**
 * The document, the same bytes for the same dossier and supplement.
 *
 * @param role left out, the compressed model, or the original when no candidate was accepted
 * @throws LightfootError E_DATA when the dossier lacks the model or, for an SCI, its energy
 */
export function exportDossier(
  dossier: Dossier,
  format: ExportFormat,
  supplement: Supplement = {},
  role?: DossierModel["role"],
): Exported {
  const subject = subjectOf(dossier, supplement, role);
  return { ...CODECS[format](subject), model: subject.model.digest };
}

const LARGEST_BYTES = 1 << 28;

/** @throws LightfootError E_DATA for anything that is no `lightfoot.dossier/1`; E_FILE_NOT_FOUND, E_LIMIT */
export async function readDossier(file: string): Promise<Dossier> {
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw fileError(cause, file);
  });
  if (bytes.length > LARGEST_BYTES) {
    throw new LightfootError("E_LIMIT", `the dossier has ${bytes.length} bytes, at most ${LARGEST_BYTES} are read`, {
      where: { file },
    });
  }
  const hint = "Give the dossier.json that `lightfoot run` writes, for example out/mnist/dossier.json.";
  let document: unknown;
  try {
    document = JSON.parse(bytes.toString("utf8"));
  } catch (cause) {
    throw new LightfootError("E_DATA", "the dossier is no JSON", { where: { file }, hint, cause });
  }
  const parsed = dossierSchema.safeParse(document);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const path = issue?.path.map(String).join(".") ?? "";
  const isOther = path === "schema" || path === "";
  throw new LightfootError("E_DATA", `the file is no lightfoot.dossier/1: ${issue?.message ?? "unknown"}`, {
    where: { file, ...(path !== "" && { path }) },
    hint: isOther ? hint : "It may be cut off, or of another version of Lightfoot: run the manifest again.",
  });
}
