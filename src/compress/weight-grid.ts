// How int8 weights must be stored so that this machine multiplies them correctly; may depend on io and quantize.
import type { MachineDescription } from "../io/machine.ts";
import type { WeightGrid } from "./quantize/affine.ts";

/** Instructions that add four products at once in 32 bits, so that nothing saturates on the way. */
const DOT_PRODUCT_FLAGS = ["avx512_vnni", "avx_vnni", "amx_int8"];

/**
 * The grid for u8 activations × 8-bit weights.
 *
 * x86 without VNNI adds pairs of products in 16 bits, where 2·255·127 saturates: it gets 7-bit weights, which are right on every
 * machine. Where the flags are unknown (no /proc/cpuinfo), the safe grid is taken too.
 */
export function weightGridFor(machine: Pick<MachineDescription, "architecture" | "flags">): {
  readonly grid: WeightGrid;
  readonly reason: string;
} {
  const isX86 = machine.architecture === "x64" || machine.architecture === "ia32";
  if (!isX86)
    return { grid: { dtype: "int8", bits: 8 }, reason: `${machine.architecture} adds 8-bit products exactly` };
  const flag = DOT_PRODUCT_FLAGS.find((name) => machine.flags.includes(name));
  if (flag !== undefined) return { grid: { dtype: "int8", bits: 8 }, reason: `${flag} adds 8-bit products exactly` };
  return {
    grid: { dtype: "int8", bits: 7 },
    reason: "x86 without VNNI saturates sums of 8-bit products, so int8 weights use 7 bits",
  };
}
