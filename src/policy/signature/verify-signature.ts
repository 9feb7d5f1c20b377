// Verifies an OpenSSF model signature offline: files against the statement, the statement against a key or a trusted root; may depend on errors and its room.
import { createHash, createPublicKey, verify, X509Certificate, type KeyObject } from "node:crypto";
import { readFile } from "node:fs/promises";
import { asLightfootError } from "../../errors/lightfoot-error.ts";
import { fileError } from "../../io/file-range.ts";
import { readModelSignature, type ModelSignature } from "./bundle.ts";
import { certificateExtensions } from "./der.ts";
import { compareSignedFiles, type SignedFiles } from "./signed-files.ts";

export interface TrustedKeys {
  /** PEM of the public key that must have signed. */
  readonly publicKey?: string;
  /** PEM of one or more root certificates to which the signer's must lead. */
  readonly trustRoot?: string;
}

export interface SignatureReport {
  /** `valid`: files and signer hold. `invalid`: one of them does not. `unknown`: nothing is wrong, and something could not be verified. */
  readonly outcome: "valid" | "invalid" | "unknown";
  readonly signer: "key" | "certificate" | "sigstore" | "not known";
  /** Subject of the signer's certificate, or the key's hint. */
  readonly identity: string | null;
  /** Why it is not valid. */
  readonly reasons: readonly string[];
  readonly files: SignedFiles | null;
}

/**
 * Verifies the signature of the model in `folder`.
 *
 * Files that changed, are missing, or came in unsigned make it invalid, with or without a key. A signer is accepted by the
 * key that is given, or by a certificate chain to the root that is given, at the first day of the signer's certificate, as the
 * reference implementation does. Keyless signatures hang on a transparency log and are never called valid here.
 * @throws LightfootError for files that cannot be read, and E_DATA for a key or root that is none
 * @source OpenSSF Model Signing 1.0
 */
export async function verifyModelSignature(
  file: string,
  folder: string,
  trusted: TrustedKeys = {},
): Promise<SignatureReport> {
  const text = await readFile(file, "utf8").catch((thrown: unknown) => {
    throw fileError(thrown, file);
  });
  let signature: ModelSignature;
  try {
    signature = readModelSignature(text);
  } catch (thrown) {
    const reasons = [asLightfootError(thrown).message];
    return { outcome: "invalid", signer: "not known", identity: null, reasons, files: null };
  }
  const files = await compareSignedFiles(folder, signature.statement, file);
  const signer = judgeSigner(signature, trusted);
  const wrong = [
    ...(["changed", "missing", "unsigned"] as const).flatMap((what) =>
      files[what].length === 0 ? [] : [`${what}: ${few(files[what])}`],
    ),
    ...(signer.outcome === "invalid" ? [signer.reason] : []),
  ];
  const open = [
    ...(files.unread.length === 0 ? [] : [`digests of a kind that is not computed here: ${few(files.unread)}`]),
    ...(signer.outcome === "unknown" ? [signer.reason] : []),
  ];
  return {
    outcome: wrong.length > 0 ? "invalid" : open.length > 0 ? "unknown" : "valid",
    signer: signer.kind,
    identity: signer.identity,
    reasons: [...wrong, ...open],
    files,
  };
}

const few = (paths: readonly string[]): string =>
  paths.length <= 5 ? paths.join(", ") : `${paths.slice(0, 5).join(", ")} and ${paths.length - 5} more`;

interface SignerVerdict {
  readonly outcome: SignatureReport["outcome"];
  readonly kind: SignatureReport["signer"];
  readonly identity: string | null;
  readonly reason: string;
}

function judgeSigner(signature: ModelSignature, { publicKey, trustRoot }: TrustedKeys): SignerVerdict {
  if (signature.certificates.length > 0 && !signature.isKeyless) return judgeCertificate(signature, trustRoot);
  if (signature.isKeyless || signature.keyHint === undefined) {
    const reason = "signed without a key: who signed hangs on a transparency log, which is not asked offline";
    return { outcome: "unknown", kind: "sigstore", identity: null, reason };
  }
  const verdict = (outcome: SignatureReport["outcome"], reason = ""): SignerVerdict => ({
    outcome,
    kind: "key",
    identity: signature.keyHint || null,
    reason,
  });
  if (publicKey === undefined) return verdict("unknown", "signed with a key; no public key was given");
  const key = createPublicKey(publicKey);
  const hint = createHash("sha256")
    .update(key.export({ type: "spki", format: "pem" }))
    .digest("hex");
  if (signature.keyHint !== "" && signature.keyHint !== hint) return verdict("invalid", "signed with another key");
  return isSignedBy(signature, key) ? verdict("valid") : verdict("invalid", "the signature does not hold");
}

const HASHES: Readonly<Record<string, string>> = { prime256v1: "sha256", secp384r1: "sha384", secp521r1: "sha512" };

function isSignedBy({ signed, signature }: ModelSignature, key: KeyObject): boolean {
  const hash = HASHES[key.asymmetricKeyDetails?.namedCurve ?? ""];
  return hash !== undefined && verify(hash, signed, key, signature);
}

function judgeCertificate(signature: ModelSignature, trustRoot: string | undefined): SignerVerdict {
  const verdict = (outcome: SignatureReport["outcome"], identity: string | null, reason = ""): SignerVerdict => ({
    outcome,
    kind: "certificate",
    identity,
    reason,
  });
  let chain: X509Certificate[];
  try {
    chain = signature.certificates.map((raw) => new X509Certificate(raw));
  } catch {
    return verdict("invalid", null, "the bundle holds no readable certificate");
  }
  const [leaf, ...between] = chain;
  const { subject } = leaf;
  if (!isSignedBy(signature, leaf.publicKey)) return verdict("invalid", subject, "the signature does not hold");
  if (trustRoot === undefined) {
    return verdict("unknown", subject, "signed with a certificate; no root to trust was given");
  }
  const roots = (trustRoot.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).map(
    (pem) => new X509Certificate(pem),
  );
  const { keyUsage, codeSigning, hasUnknownCritical } = certificateExtensions(leaf.raw);
  if (keyUsage?.digitalSignature !== true && !codeSigning) {
    return verdict("invalid", subject, "the certificate's key is not for signing");
  }
  if (hasUnknownCritical)
    return verdict("unknown", subject, "the certificate has a critical extension that is not understood");
  const flaw = chainFlaw(leaf, between, roots);
  return flaw === undefined ? verdict("valid", subject) : verdict("invalid", subject, flaw);
}

/** Why the certificate does not lead to a root, or undefined when it does. */
function chainFlaw(
  leaf: X509Certificate,
  between: readonly X509Certificate[],
  roots: readonly X509Certificate[],
): string | undefined {
  const moment = Date.parse(leaf.validFrom);
  const isIssuer = (issuer: X509Certificate, of: X509Certificate, authoritiesBelow: number): boolean => {
    const { isAuthority, pathLength, keyUsage, hasUnknownCritical } = certificateExtensions(issuer.raw);
    return (
      of.checkIssued(issuer) &&
      of.verify(issuer.publicKey) &&
      isAuthority &&
      keyUsage?.certificateSign !== false &&
      !hasUnknownCritical &&
      (pathLength === undefined || authoritiesBelow <= pathLength) &&
      Date.parse(issuer.validFrom) <= moment &&
      moment <= Date.parse(issuer.validTo)
    );
  };
  let current = leaf;
  for (let authoritiesBelow = 0; authoritiesBelow <= between.length; authoritiesBelow++) {
    const below = authoritiesBelow;
    const of = current;
    if (roots.some((root) => isIssuer(root, of, below))) return undefined;
    const next = between.find((issuer) => isIssuer(issuer, of, below));
    if (next === undefined) break;
    current = next;
  }
  return "the certificate does not lead to the root that was given";
}
