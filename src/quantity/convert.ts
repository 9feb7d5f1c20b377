// Exact conversions between base units and those people read; may depend on nothing.

// Exact by definition. A rounded reciprocal such as 2.77778e-7 drifts when it is applied millions of times.
export const JOULES_PER_KWH = 3_600_000;
export const SECONDS_PER_HOUR = 3_600;
export const BYTES_PER_KIB = 1_024;
export const BYTES_PER_MIB = 1_048_576;
export const BYTES_PER_GIB = 1_073_741_824;
export const GRAMS_PER_KILOGRAM = 1_000;
export const GRAMS_PER_TONNE = 1_000_000;
/** By the international agreement of 1959, exact. */
export const GRAMS_PER_POUND = 453.592_37;

export const kwhFromJoules = (joules: number): number => joules / JOULES_PER_KWH;
export const joulesFromKwh = (kwh: number): number => kwh * JOULES_PER_KWH;
