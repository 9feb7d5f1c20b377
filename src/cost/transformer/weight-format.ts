// How a language model's weights are stored, and the bytes that makes; depends on nothing.

/** How weights are stored. `mxfp4` leaves what is outside experts in 16 bits, as its published models do. */
export const WEIGHT_FORMATS = ["bf16", "fp8", "mxfp4", "int4"] as const;
export type WeightFormat = (typeof WEIGHT_FORMATS)[number];

/** Four bits and a shared scale per block: 4.25 bits. */
const FOUR_BIT_BYTES = 0.53125;
/** Bytes of one parameter outside and inside routed experts. */
export function weightBytes(
  format: WeightFormat,
  sparse: boolean,
): { readonly outside: number; readonly routed: number } {
  const routed = { bf16: 2, fp8: 1, mxfp4: FOUR_BIT_BYTES, int4: FOUR_BIT_BYTES }[format];
  return { outside: format === "mxfp4" && sparse ? 2 : routed, routed };
}
