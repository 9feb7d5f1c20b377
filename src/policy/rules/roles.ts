// Who somebody is to the law, by name; may depend on nothing, so that `--help` can list the names without loading a schema.

/** What someone is to the law; asked once, decides what applies. */
export const ROLES = [
  "model-provider",
  "downstream-modifier",
  "deployer",
  "data-center-operator",
  "reporting-company",
  "public-buyer",
  "research-spender",
] as const;
export type Role = (typeof ROLES)[number];
