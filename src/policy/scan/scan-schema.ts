// `lightfoot.scan/1`: what files hold that runs code when loaded or identifies a person, who signed them and under which license they come, as plain JSON; may depend on zod and its room.
import { z } from "zod";
import { IDENTIFIER_KINDS } from "./identifiers.ts";
import { LICENSE_PLACES } from "./license.ts";

const fileFields = {
  file: z.string(),
  bytes: z.int().nonnegative(),
  digest: z.string().meta({ description: "sha256:<hex> of the file" }),
  /** Nothing found is weak evidence; never said of a file of which a part was not scanned. */
  outcome: z.enum(["nothing found", "found", "incomplete"]),
  /** What could not be scanned, and why. */
  incomplete: z.array(z.string()),
};

const checkpointSchema = z.object({
  ...fileFields,
  container: z.enum(["pickle", "zip", "tar", "compressed pickle", "numpy array"]),
  pickles: z.int().nonnegative(),
  opcodes: z.int().nonnegative(),
  findings: z.array(
    z.object({
      opcode: z.string(),
      offset: z.int().nonnegative(),
      /** `module.name`; null where it cannot be told. */
      target: z.string().nullable(),
      reason: z.string(),
      /** Entry of the archive. */
      entry: z.string().nullable(),
      /** Offset of the byte string that holds the pickle; then `offset` counts from there. */
      within: z.int().nonnegative().nullable(),
    }),
  ),
  /** Imports from the list of harmless ones. */
  imports: z.array(z.string()),
});

const dataSchema = z.object({
  ...fileFields,
  format: z.enum(["table", "JSON lines", "text", "arrays"]),
  counts: z.partialRecord(z.enum(IDENTIFIER_KINDS), z.int().positive()),
  places: z.array(
    z.object({
      kind: z.enum(IDENTIFIER_KINDS),
      line: z.int().positive().nullable(),
      column: z.int().positive().nullable(),
      path: z.string().nullable(),
      /** Letters as x, digits as 9; the value itself is nowhere in the document. */
      mask: z.string(),
    }),
  ),
});

const paths = z.array(z.string());
const signatureSchema = z.object({
  file: z.string(),
  outcome: z.enum(["valid", "invalid", "unknown"]),
  signer: z.enum(["key", "certificate", "sigstore", "not known"]),
  /** Subject of the certificate, or digest of the key. */
  identity: z.string().nullable(),
  /** Why it is not valid. */
  reasons: z.array(z.string()),
  /** Files against the signed digests; null where the signature cannot be read. */
  files: z
    .object({ matching: z.int().nonnegative(), changed: paths, missing: paths, unsigned: paths, unread: paths })
    .nullable(),
});

const licenseSchema = z.object({
  /** Null where a person has to read, or there are no weights. */
  allowsChange: z.boolean().nullable(),
  reason: z.string(),
  statements: z.array(
    z.object({
      file: z.string(),
      place: z.enum(LICENSE_PLACES),
      /** Null for a text that is not recognized. */
      license: z.string().nullable(),
      terms: z.enum(["yes", "conditions", "no", "not known"]),
    }),
  ),
});

export const scanSchema = z.object({
  schema: z.literal("lightfoot.scan/1"),
  /** Of everything below: what evidence refers to. */
  digest: z.string(),
  limits: z.array(z.string()),
  /** Imports the user vouched for. */
  allowed: z.array(z.string()),
  counts: z.object({
    checkpoints: z.int().nonnegative(),
    dataFiles: z.int().nonnegative(),
    unsafeOpcodes: z.int().nonnegative(),
    directIdentifiers: z.int().nonnegative(),
    incomplete: z.int().nonnegative(),
    invalidSignatures: z.int().nonnegative(),
  }),
  /** Fields for `lightfoot check`; absent where the scan proves nothing. */
  evidence: z.object({
    "artifact.unsafeOpcodes": z.int().nonnegative().optional(),
    "privacy.directIdentifiers": z.int().nonnegative().optional(),
    "artifact.signatureValid": z.boolean().optional(),
    "artifact.licenseAllowsChange": z.boolean().optional(),
  }),
  checkpoints: z.array(checkpointSchema),
  data: z.array(dataSchema),
  /** OpenSSF model signatures (`model.sig`) of the folders they lie in. */
  signatures: z.array(signatureSchema),
  license: licenseSchema,
  skipped: z.array(z.object({ file: z.string(), reason: z.string() })),
});

export type ScanDocument = z.infer<typeof scanSchema>;
export type CheckpointReport = z.infer<typeof checkpointSchema>;
export type DataReport = z.infer<typeof dataSchema>;
