// Finds direct identifiers in a piece of text, and never gives their value on; depends on checksums and Node.
import { isIPv6 } from "node:net";
import {
  chineseResidentId,
  frenchNir,
  germanTaxId,
  iban,
  koreanResidentNumber,
  luhn,
  singaporeNric,
  unitedStatesSsn,
} from "./checksums.ts";

export const IDENTIFIER_KINDS = [
  "e-mail address",
  "IBAN",
  "payment card",
  "Chinese resident id",
  "Korean resident number",
  "French NIR",
  "German tax id",
  "Singapore NRIC",
  "US social security number",
  "IPv6 address",
  "IPv4 address",
  "phone number",
] as const;

export type IdentifierKind = (typeof IDENTIFIER_KINDS)[number];

/** Where a match lies in the text, and its shape: letters as x, digits as 9. */
export interface IdentifierMatch {
  readonly kind: IdentifierKind;
  readonly start: number;
  readonly end: number;
  readonly mask: string;
}

interface Detector {
  readonly kind: IdentifierKind;
  readonly pattern: RegExp;
  readonly holds: (match: string) => boolean;
}

const bare = (text: string): string => text.replaceAll(/[ -]/g, "");
/** Not inside a longer number, a decimal fraction or a Latin word; other scripts write no space before a number. */
const FREE = String.raw`(?<![\p{Script=Latin}\p{N}_]|\d[.,-])`;
const END = String.raw`(?![\p{Script=Latin}\p{N}_]|[.,-]\d)`;
const bounded = (body: string, flags = "gu"): RegExp => new RegExp(`${FREE}(?:${body})${END}`, flags);

/** IPv4 blocks that name no one's connection: private, loopback, link-local, documentation, multicast, reserved (RFC 6890). */
const NOT_PERSONAL_IPV4 =
  /^(0|10|127|22[4-9]|2[3-5]\d)\.|^192\.168\.|^169\.254\.|^172\.(1[6-9]|2\d|3[01])\.|^192\.0\.[02]\.|^198\.(18|19)\.|^198\.51\.100\.|^203\.0\.113\.|^100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\./;

/** The order decides who keeps digits that two detectors claim. */
const DETECTORS: readonly Detector[] = [
  {
    kind: "e-mail address",
    pattern:
      /(?<![\p{L}\p{N}._%+-])[\p{L}\p{N}._%+-]{1,64}@(?:[\p{L}\p{N}-]{1,63}\.){1,8}\p{L}{2,24}(?![\p{L}\p{N}])/gu,
    holds: (text) => !text.includes("..") && !text.startsWith("."),
  },
  {
    kind: "IBAN",
    pattern: bounded(String.raw`[A-Za-z]{2}\d{2}(?: ?[A-Za-z\d]){11,30}`),
    holds: () => true, // cut to its country's length and checked in `findIdentifiers`
  },
  {
    kind: "Chinese resident id",
    pattern: bounded(String.raw`[1-9]\d{16}[\dXx]`),
    holds: chineseResidentId,
  },
  { kind: "Korean resident number", pattern: bounded(String.raw`\d{6}-[0-9]\d{6}`), holds: koreanResidentNumber },
  {
    kind: "French NIR",
    pattern: bounded(String.raw`[1278] ?\d{2} ?(?:0[1-9]|1[0-2]|[2-9]\d) ?\d[\dAaBb] ?\d{3} ?\d{3} ?\d{2}`),
    holds: frenchNir,
  },
  {
    kind: "payment card",
    // Numbers of the issuers 2 to 6, whole or in groups of three to six.
    pattern: bounded(String.raw`(?:[2-6]\d{12,18}|[2-6]\d{3}(?:[ -]\d{3,7}){2,4})`),
    holds: (text) => {
      const digits = bare(text);
      return digits.length >= 13 && digits.length <= 19 && luhn(digits) && ISSUERS.test(digits);
    },
  },
  {
    kind: "US social security number",
    pattern: bounded(String.raw`\d{3}-\d{2}-\d{4}`),
    holds: unitedStatesSsn,
  },
  { kind: "Singapore NRIC", pattern: bounded(String.raw`[STFGstfg]\d{7}[A-Za-z]`), holds: singaporeNric },
  {
    kind: "German tax id",
    pattern: bounded(String.raw`[1-9]\d{10}|[1-9]\d \d{3} \d{3} \d{3}`),
    holds: germanTaxId,
  },
  {
    kind: "IPv6 address",
    pattern: /(?<![\p{Script=Latin}\p{N}_:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\p{Script=Latin}\p{N}_:])/gu,
    // Global unicast (2000::/3) without the documentation block.
    holds: (text) => isIPv6(text) && /^[23][0-9a-f]{3}:/i.test(text) && !/^2001:0?db8:/i.test(text),
  },
  {
    kind: "IPv4 address",
    pattern:
      /(?<![\p{Script=Latin}\p{N}_.-])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\p{Script=Latin}\p{N}_]|[.-]\d)/gu,
    holds: (text) => !NOT_PERSONAL_IPV4.test(text),
  },
  {
    kind: "phone number",
    pattern: new RegExp(
      String.raw`(?<![\p{Script=Latin}\p{N}_+.,-])(?:` +
        [
          String.raw`(?:\+|00)[1-9]\d{0,2}(?:[ .\-/]?\(?\d{1,5}\)?){2,6}`, // E.164, however grouped
          String.raw`(?:\(\d{3}\) ?|\d{3}[-.])\d{3}[-.]\d{4}`, // North America
          String.raw`1[3-9]\d{9}|1[3-9]\d[ -]\d{4}[ -]\d{4}`, // China, mobile
          String.raw`0[1-9](?:[ .]\d{2}){4}`, // France
          String.raw`0[1-9]\d{1,4}(?:[/-]| / | - )\d{3,9}`, // Germany
          String.raw`07\d{3} \d{6}|07\d{3} \d{3} \d{3}|0\d{2} \d{4} \d{4}`, // United Kingdom
          String.raw`01[016789]-\d{3,4}-\d{4}`, // Korea, mobile
        ].join("|") +
        String.raw`)(?![\p{Script=Latin}\p{N}_]|[.,-]\d)`,
      "gu",
    ),
    holds: (text) => {
      const digits = text.replaceAll(/\D/g, "").replace(/^00/, "");
      return digits.length >= (text.startsWith("+") ? 8 : 9) && digits.length <= 15 && new Set(digits).size > 2;
    },
  },
];

/** Visa, Mastercard, Amex, Diners, Discover, JCB, UnionPay, Maestro; with their lengths. */
const ISSUERS =
  /^(4(\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}|3(0[0-5]|[689]\d)\d{11,16}|6(011|4[4-9]\d|5\d\d)\d{12,15}|35(2[89]|[3-8]\d)\d{12,15}|62\d{14,17}|(50|5[6-9]|6[037])\d{11,17})$/;

/** Longest text that any detector can take; pieces of a long text must overlap by as much. */
export const LONGEST_IDENTIFIER = 320;

/**
 * Every direct identifier in a text, in order, none inside another.
 *
 * @example findIdentifiers("write to jane@example.org") // [{ kind: "e-mail address", start: 9, end: 25, mask: "xxxx@xxxxxxx.xxx" }]
 */
export function findIdentifiers(written: string): IdentifierMatch[] {
  const text = written.replaceAll(/[\uff01-\uff5e]/g, halfWidth);
  // Nothing below matches without a digit or an at sign; most text has neither.
  if (!/[\d@:]/.test(text)) return [];
  const found: IdentifierMatch[] = [];
  const isTaken = (start: number, end: number): boolean =>
    found.some((other) => start < other.end && other.start < end);
  for (const { kind, pattern, holds } of DETECTORS) {
    for (const match of text.matchAll(pattern)) {
      const value = kind === "IBAN" ? ibanIn(match[0]) : match[0];
      const start = match.index;
      if (value === undefined || !holds(value) || isTaken(start, start + value.length)) continue;
      found.push({ kind, start, end: start + value.length, mask: maskOf(value) });
    }
  }
  return found.toSorted((left, right) => left.start - right.start);
}

/** Full-width digits and signs of East Asian text as ASCII, one for one, so that places stay. */
const halfWidth = (char: string): string => String.fromCharCode(char.charCodeAt(0) - 0xfee0);

/** An IBAN written in groups runs into the words behind it: the longest beginning that holds is it. */
function ibanIn(text: string): string | undefined {
  for (let length = text.length; length >= 15; length--) {
    const next = text[length];
    const candidate = text.slice(0, length);
    if ((next === undefined || next === " ") && iban(bare(candidate).toUpperCase())) return candidate;
  }
  return undefined;
}

/** The shape of a value without its content. */
export const maskOf = (value: string): string => value.replaceAll(/\p{L}/gu, "x").replaceAll(/\p{N}/gu, "9");
