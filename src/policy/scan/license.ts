// Finds what is said about the license of weights, in them and beside them, and apart from it the license of the package around them; may depend on io, model and its room.
import { open } from "node:fs/promises";
import { basename } from "node:path";
import { parse as parseYaml } from "yaml";
import { readText } from "../../io/read-text.ts";
import { readOnnx } from "../../model/onnx/read.ts";
import { licenseId, recognizeLicense, termsOf, type Terms } from "./license-terms.ts";

/** Where a statement stands: what is nearer to the weights counts, and the package's own license is no statement on weights. */
export const LICENSE_PLACES = ["in the weights", "license file", "model card", "package"] as const;

export interface LicenseStatement {
  readonly file: string;
  readonly place: (typeof LICENSE_PLACES)[number];
  /** As it is written, or null for a text that is not recognized. */
  readonly license: string | null;
  readonly terms: Terms | "not known";
}

export interface LicenseVerdict {
  /** Null: a person has to read. */
  readonly allowsChange: boolean | null;
  readonly reason: string;
}

const WEIGHTS = /\.(onnx|safetensors)$/i;
const LICENSE_FILE = /^(licen[cs]e|copying|use_policy|notice)([._-][^/]*)?$/i;
const MAX_TEXT_BYTES = 1_048_576;
const MAX_HEADER_BYTES = 100 * 1_048_576;

/** What a file says of a license; undefined when it says nothing. Unreadable weights say nothing: other checks tell of them. */
export async function licenseIn(file: string): Promise<LicenseStatement | undefined> {
  const name = basename(file);
  const statement = (place: LicenseStatement["place"], license: string | undefined | null) => {
    if (license === undefined || license === "") return undefined;
    const terms = license === null ? undefined : termsOf(licenseId(license));
    return { file, place, license, terms: terms ?? "not known" } as const;
  };
  try {
    if (WEIGHTS.test(name)) return statement("in the weights", await licenseOfWeights(file));
    if (LICENSE_FILE.test(name)) {
      // A NOTICE lists attributions; only a license's own text is one.
      const found = recognizeLicense(await head(file));
      return found === undefined && /^notice/i.test(name) ? undefined : statement("license file", found ?? null);
    }
    if (/^(readme|model_?card)\.md$/i.test(name)) return statement("model card", licenseOfCard(await head(file)));
    if (name === "package.json" || name === "config.json") {
      const { license } = JSON.parse(await head(file)) as { license?: unknown };
      const place = name === "package.json" ? "package" : "in the weights";
      return statement(place, typeof license === "string" ? license : undefined);
    }
  } catch {
    return undefined;
  }
  return undefined;
}

const head = async (file: string): Promise<string> => ((await readText(file)) ?? "").slice(0, MAX_TEXT_BYTES);

async function licenseOfWeights(file: string): Promise<string | undefined> {
  if (!file.toLowerCase().endsWith(".safetensors")) {
    const { metadata } = await readOnnx(file);
    const found = [...metadata].find(([key]) => /(^|[._])licen[cs]es?$/i.test(key));
    return found?.[1];
  }
  const handle = await open(file);
  try {
    const length = Buffer.alloc(8);
    await handle.read(length, 0, 8, 0);
    const size = Number(length.readBigUInt64LE());
    if (size > MAX_HEADER_BYTES) return undefined;
    const header = Buffer.alloc(size);
    await handle.read(header, 0, size, 8);
    const { __metadata__: metadata } = JSON.parse(header.toString("utf8")) as { __metadata__?: Record<string, string> };
    return metadata?.["license"] ?? metadata?.["modelspec.license"];
  } finally {
    await handle.close();
  }
}

/** `license` of the front matter; `license_name` where that says `other`. */
function licenseOfCard(text: string): string | undefined {
  const [, matter] = /^---\r?\n([^]*?)\r?\n---/.exec(text) ?? [];
  if (matter === undefined) return undefined;
  const { license, license_name: name } = parseYaml(matter) as { license?: unknown; license_name?: unknown };
  const found = license === "other" && typeof name === "string" ? name : license;
  return typeof found === "string" ? found : undefined;
}

/**
 * Whether the weights may be changed and passed on, from everything that was said.
 *
 * All that is said of the weights has to name one license; a package's own license field is no word on them. Conditions,
 * contradictions and unknown licenses are for a person.
 */
export function judgeLicense(statements: readonly LicenseStatement[]): LicenseVerdict {
  const ofWeights = statements.filter(({ place }) => place !== "package");
  const ofPackage = statements.find(({ place }) => place === "package");
  if (ofWeights.length === 0) {
    const beside =
      ofPackage === undefined
        ? ""
        : `; ${ofPackage.license} in ${basename(ofPackage.file)} is the package's own license`;
    return { allowsChange: null, reason: `nothing is said about the license of the weights${beside}` };
  }
  const ids = [
    ...new Set(ofWeights.map(({ license }) => (license === null ? "a text that is not known" : licenseId(license)))),
  ];
  const other =
    ofPackage?.license != null && !ids.includes(licenseId(ofPackage.license))
      ? `, whatever the package's own license (${ofPackage.license}) says`
      : "";
  if (ofWeights.some(({ terms }) => terms === "no")) {
    return { allowsChange: false, reason: `${ids.join(" and ")}: changed versions may not be passed on${other}` };
  }
  if (ids.length > 1) return { allowsChange: null, reason: `the weights are said to be under ${ids.join(" and ")}` };
  const [{ terms }] = ofWeights;
  if (terms === "yes") return { allowsChange: true, reason: `${ids[0]} allows change and distribution${other}` };
  const why = terms === "conditions" ? "allows it under conditions that a person has to read" : "is not in the table";
  return { allowsChange: null, reason: `${ids[0]} ${why}${other}` };
}
