// The Sigstore bundle of an OpenSSF model signature: its DSSE envelope, in-toto statement and who signed; may depend on zod, errors.
import { createHash } from "node:crypto";
import { z } from "zod";
import { LightfootError } from "../../errors/lightfoot-error.ts";

const base64 = z.string().regex(/^[A-Za-z0-9+/_-]*={0,2}$/, "expected base64");

const bundleSchema = z.object({
  mediaType: z.string().startsWith("application/vnd.dev.sigstore.bundle"),
  verificationMaterial: z.object({
    publicKey: z.object({ hint: z.string().default("") }).optional(),
    x509CertificateChain: z.object({ certificates: z.array(z.object({ rawBytes: base64 })).min(1) }).optional(),
    /** Of keyless signing. */
    certificate: z.object({ rawBytes: base64 }).optional(),
    tlogEntries: z.array(z.unknown()).default([]),
  }),
  dsseEnvelope: z.object({
    payload: base64,
    payloadType: z.string(),
    signatures: z.array(z.object({ sig: base64 })).length(1),
  }),
});

const statementSchema = z.object({
  _type: z.literal("https://in-toto.io/Statement/v1"),
  predicateType: z.literal("https://model_signing/signature/v1.0"),
  subject: z.array(z.object({ name: z.string(), digest: z.object({ sha256: z.string() }) })).length(1),
  predicate: z.object({
    serialization: z.object({
      method: z.enum(["files", "shards"]),
      hash_type: z.string(),
      allow_symlinks: z.boolean().default(false),
      ignore_paths: z.array(z.string()).default([]),
    }),
    resources: z
      .array(z.object({ name: z.string(), algorithm: z.string(), digest: z.string().regex(/^([0-9a-f]{2})+$/) }))
      .min(1),
  }),
});

export type Statement = z.output<typeof statementSchema>["predicate"];

export interface ModelSignature {
  /** Bytes that were signed: DSSE's pre-authentication encoding of the payload. */
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
  /** SHA-256 of the signer's public key in PEM; empty where the bundle does not say. */
  readonly keyHint: string | undefined;
  /** DER, the signer's first. */
  readonly certificates: readonly Uint8Array[];
  /** Signed without a key of one's own: the transparency log says who it was. */
  readonly isKeyless: boolean;
  readonly statement: Statement;
}

const PAYLOAD_TYPE = "application/vnd.in-toto+json";

/**
 * Reads a bundle, and checks that it agrees with itself: the subject's digest is the SHA-256 over all resources' digests.
 *
 * @throws LightfootError E_DATA that says what is wrong
 * @source OpenSSF Model Signing 1.0; DSSE 1.0 (PAE); in-toto Statement v1
 */
export function readModelSignature(text: string): ModelSignature {
  const bundle = parse(bundleSchema, text, "Sigstore bundle");
  const { payload, payloadType, signatures } = bundle.dsseEnvelope;
  if (payloadType !== PAYLOAD_TYPE) {
    throw new LightfootError("E_DATA", `the envelope holds ${payloadType}, expected ${PAYLOAD_TYPE}`);
  }
  const body = Buffer.from(payload, "base64");
  const { subject, predicate } = parse(statementSchema, body.toString("utf8"), "statement of a model signature");
  const root = createHash("sha256");
  for (const { digest } of predicate.resources) root.update(Buffer.from(digest, "hex"));
  if (root.digest("hex") !== subject[0].digest.sha256) {
    throw new LightfootError("E_DATA", "the statement's digest is not the one of its resources");
  }
  const { publicKey, x509CertificateChain, certificate, tlogEntries } = bundle.verificationMaterial;
  return {
    signed: Buffer.concat([Buffer.from(`DSSEv1 ${PAYLOAD_TYPE.length} ${PAYLOAD_TYPE} ${body.length} `), body]),
    signature: Buffer.from(signatures[0].sig, "base64"),
    keyHint: publicKey?.hint,
    certificates: (x509CertificateChain?.certificates ?? []).map(({ rawBytes }) => Buffer.from(rawBytes, "base64")),
    isKeyless: certificate !== undefined || tlogEntries.length > 0,
    statement: predicate,
  };
}

function parse<Schema extends z.ZodType>(schema: Schema, text: string, what: string): z.output<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new LightfootError("E_DATA", `it is no ${what}: not JSON`, { cause });
  }
  const { data, error } = schema.safeParse(value);
  if (error === undefined) return data;
  const [{ path, message }] = error.issues;
  throw new LightfootError("E_DATA", `it is no ${what}: ${path.join(".")}: ${message}`);
}
