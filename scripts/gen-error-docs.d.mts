// Types of gen-error-docs.mjs for the test that checks the page against the catalogue; depends on nothing.
export function errorDocs(
  catalog: Readonly<Record<string, { readonly exit: number; readonly meaning: string }>>,
  exits: Readonly<Record<string, number>>,
): string;
