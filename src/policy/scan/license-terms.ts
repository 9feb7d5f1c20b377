// What licenses let one do with weights, by identifier, and how their texts are recognized; may depend on nothing.

/**
 * `yes`: change and distribution are allowed, with notices or share-alike at most. `conditions`: limited by use, user or
 * commerce, so a person has to read them. `no`: changed versions may not be distributed.
 */
export type Terms = "yes" | "conditions" | "no";

/** By SPDX identifier or the model card's name for it, in lower case. What is not here is not known, and never allowed. */
const TERMS: Readonly<Record<string, Terms>> = {
  ...each("yes", [
    "apache-2.0",
    "mit",
    "mit-0",
    "isc",
    "bsd",
    "bsd-2-clause",
    "bsd-3-clause",
    "bsl-1.0",
    "zlib",
    "unlicense",
    "cc0-1.0",
    "cc-by-2.0",
    "cc-by-2.5",
    "cc-by-3.0",
    "cc-by-4.0",
    "cc-by-sa-3.0",
    "cc-by-sa-4.0",
    "cdla-permissive-1.0",
    "cdla-permissive-2.0",
    "cdla-sharing-1.0",
    "mpl-2.0",
    "epl-2.0",
    "eupl-1.1",
    "eupl-1.2",
    "gpl-2.0",
    "gpl-3.0",
    "lgpl-2.1",
    "lgpl-3.0",
    "agpl-3.0",
    "artistic-2.0",
    "postgresql",
    "ms-pl",
    "wtfpl",
    "openmdw-1.0",
  ]),
  ...each("conditions", [
    "cc-by-nc-2.0",
    "cc-by-nc-3.0",
    "cc-by-nc-4.0",
    "cc-by-nc-sa-2.0",
    "cc-by-nc-sa-3.0",
    "cc-by-nc-sa-4.0",
    "openrail",
    "openrail++",
    "creativeml-openrail-m",
    "bigscience-openrail-m",
    "bigscience-bloom-rail-1.0",
    "bigcode-openrail-m",
    "llama2",
    "llama3",
    "llama3.1",
    "llama3.2",
    "llama3.3",
    "llama4",
    "gemma",
    "deepfloyd-if-license",
    "fair-noncommercial-research-license",
    "apple-amlr",
    "apple-ascl",
  ]),
  ...each("no", ["cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0"]),
};

function each(terms: Terms, ids: readonly string[]): Record<string, Terms> {
  return Object.fromEntries(ids.map((id) => [id, terms]));
}

/** An identifier in one spelling: `GPL-3.0-only` and `gpl-3.0-or-later` are `gpl-3.0` here. */
export const licenseId = (text: string): string =>
  text
    .trim()
    .toLowerCase()
    .replace(/-(only|or-later)$/, "");

/** Undefined for a license that is not in the table, among them `other`, `unknown` and expressions such as `MIT OR X`. */
export const termsOf = (id: string): Terms | undefined => (Object.hasOwn(TERMS, id) ? TERMS[id] : undefined);

/** In order: more telling phrases first. White space is folded before they are tried. */
const TEXTS: readonly (readonly [pattern: RegExp, id: string])[] = [
  [/GNU AFFERO GENERAL PUBLIC LICENSE Version 3/i, "agpl-3.0"],
  [/GNU LESSER GENERAL PUBLIC LICENSE Version 3/i, "lgpl-3.0"],
  [/GNU GENERAL PUBLIC LICENSE Version 3/i, "gpl-3.0"],
  [/GNU GENERAL PUBLIC LICENSE Version 2/i, "gpl-2.0"],
  [/Mozilla Public License,? Version 2\.0/i, "mpl-2.0"],
  [/Attribution-NonCommercial-NoDeriv\w* 4\.0/i, "cc-by-nc-nd-4.0"],
  [/Attribution-NonCommercial-ShareAlike 4\.0/i, "cc-by-nc-sa-4.0"],
  [/Attribution-NonCommercial 4\.0/i, "cc-by-nc-4.0"],
  [/Attribution-NoDeriv\w* 4\.0/i, "cc-by-nd-4.0"],
  [/Attribution-ShareAlike 4\.0/i, "cc-by-sa-4.0"],
  [/(Creative Commons )?Attribution 4\.0 International/i, "cc-by-4.0"],
  [/CC0 1\.0 Universal/i, "cc0-1.0"],
  [/BigScience [^.]*RAIL/i, "bigscience-openrail-m"],
  [/CreativeML Open ?RAIL-?M/i, "creativeml-openrail-m"],
  [/Open ?RAIL/i, "openrail"],
  [/LLAMA 4 COMMUNITY LICENSE/i, "llama4"],
  [/LLAMA 3\.3 COMMUNITY LICENSE/i, "llama3.3"],
  [/LLAMA 3\.2 COMMUNITY LICENSE/i, "llama3.2"],
  [/LLAMA 3\.1 COMMUNITY LICENSE/i, "llama3.1"],
  [/META LLAMA 3 COMMUNITY LICENSE/i, "llama3"],
  [/LLAMA 2 COMMUNITY LICENSE/i, "llama2"],
  [/Gemma Terms of Use/i, "gemma"],
  [/Apache License,? Version 2\.0/i, "apache-2.0"],
  [/Redistribution and use in source and binary forms[^]*Neither the name/i, "bsd-3-clause"],
  [/Redistribution and use in source and binary forms/i, "bsd-2-clause"],
  [/Permission is hereby granted, free of charge, to any person obtaining a copy/i, "mit"],
  [/Permission to use, copy, modify, and\/or distribute this software for any purpose/i, "isc"],
];

/** The license that a text is of, by phrases of its title and grant; undefined when none is found. */
export function recognizeLicense(text: string): string | undefined {
  const folded = text.replaceAll(/\s+/g, " ");
  return TEXTS.find(([pattern]) => pattern.test(folded))?.[1];
}
