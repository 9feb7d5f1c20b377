// What facts are about; apart from their schema, so that help texts need no zod; depends on nothing.
export const FACT_KINDS = ["hardware", "processor", "place", "water", "embodied", "price"] as const;
export type FactKind = (typeof FACT_KINDS)[number];
