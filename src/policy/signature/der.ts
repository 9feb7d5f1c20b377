// Reads the extensions of an X.509 certificate from its DER bytes, as far as node:crypto does not tell them; may depend on errors.
import { LightfootError } from "../../errors/lightfoot-error.ts";

interface Element {
  readonly tag: number;
  readonly content: Uint8Array;
}

/** The elements that follow one another. @throws LightfootError E_DATA when a length reaches beyond the bytes */
function elements(bytes: Uint8Array): Element[] {
  const found: Element[] = [];
  let at = 0;
  while (at < bytes.length) {
    const tag = bytes[at++];
    let length = bytes[at++] ?? Number.NaN;
    if (length >= 0x80) {
      const count = length & 0x7f;
      if (count === 0 || count > 4) throw new LightfootError("E_DATA", "the certificate is no DER");
      length = 0;
      for (let index = 0; index < count; index++) length = length * 256 + (bytes[at++] ?? Number.NaN);
    }
    if (!(at + length <= bytes.length)) throw new LightfootError("E_DATA", "the certificate ends early");
    found.push({ tag, content: bytes.subarray(at, at + length) });
    at += length;
  }
  return found;
}

const EXTENSIONS_TAG = 0xa3;
const OCTET_STRING = 0x04;
const BOOLEAN = 0x01;
const INTEGER = 0x02;
const BIT_STRING = 0x03;
/** Arc 2.5.29 of certificate extensions. */
const KEY_USAGE = 15;
const BASIC_CONSTRAINTS = 19;
const CODE_SIGNING = "2b06010505070303";
const EXTENDED_KEY_USAGE = 37;
/** What this reader understands; a certificate with another critical extension must be refused (RFC 5280, 4.2). */
const UNDERSTOOD = new Set([KEY_USAGE, BASIC_CONSTRAINTS, EXTENDED_KEY_USAGE]);

export interface CertificateExtensions {
  /** Undefined: the certificate does not restrict its key. */
  readonly keyUsage: { readonly digitalSignature: boolean; readonly certificateSign: boolean } | undefined;
  readonly isAuthority: boolean;
  /** How many authorities may stand below; undefined: any number. */
  readonly pathLength: number | undefined;
  readonly codeSigning: boolean;
  /** True when an extension that must be understood is not. */
  readonly hasUnknownCritical: boolean;
}

/** @throws LightfootError E_DATA when the bytes are no certificate */
export function certificateExtensions(raw: Uint8Array): CertificateExtensions {
  const [certificate] = elements(raw);
  const [body] = elements(certificate.content);
  const wrapped = elements(body.content).find(({ tag }) => tag === EXTENSIONS_TAG);
  const extensions = wrapped === undefined ? [] : elements(elements(wrapped.content)[0].content);
  let keyUsage: CertificateExtensions["keyUsage"];
  let [isAuthority, codeSigning, hasUnknownCritical] = [false, false, false];
  let pathLength: number | undefined;
  for (const { content } of extensions) {
    const parts = elements(content);
    const [{ content: oid }] = parts;
    const value = parts.find(({ tag }) => tag === OCTET_STRING)!.content;
    const number = oid.length === 3 && oid[0] === 0x55 && oid[1] === 0x1d ? oid[2] : undefined;
    const isCritical = parts.some(({ tag, content: truth }) => tag === BOOLEAN && truth[0] !== 0);
    if (number === undefined || !UNDERSTOOD.has(number)) hasUnknownCritical ||= isCritical;
    else if (number === KEY_USAGE) {
      const bits = elements(value).find(({ tag }) => tag === BIT_STRING)!.content[1] ?? 0;
      keyUsage = { digitalSignature: (bits & 0x80) !== 0, certificateSign: (bits & 0x04) !== 0 };
    } else if (number === BASIC_CONSTRAINTS) {
      const fields = elements(elements(value)[0].content);
      isAuthority = fields.some(({ tag, content: truth }) => tag === BOOLEAN && truth[0] !== 0);
      pathLength = fields.find(({ tag }) => tag === INTEGER)?.content[0];
    } else {
      const purposes = elements(elements(value)[0].content);
      codeSigning = purposes.some(({ content: purpose }) => Buffer.from(purpose).toString("hex") === CODE_SIGNING);
    }
  }
  return { keyUsage, isAuthority, pathLength, codeSigning, hasUnknownCritical };
}
