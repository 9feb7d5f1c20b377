// The table of accelerators as typed rows; may depend on its room.
import { readTable } from "./table.ts";

/** A row of `data/hardware/accelerators.json`; units in the table's head. */
export interface AcceleratorRow {
  readonly id: string;
  readonly name: string;
  readonly vendor: string;
  readonly kind: string;
  readonly architecture: string;
  readonly year: number | null;
  readonly power_w: number | null;
  readonly memory_gb: number | null;
  readonly bandwidth_gbs: number | null;
  readonly float32_tflops: number | null;
  readonly tf32_tflops: number | null;
  readonly float16_tflops: number | null;
  readonly bfloat16_tflops: number | null;
  readonly float8_tflops: number | null;
  readonly float4_tflops: number | null;
  readonly int8_tops: number | null;
  readonly int4_tops: number | null;
  readonly link: string | null;
  readonly link_gbs_bidirectional: number | null;
  readonly source: string;
  readonly agrees: readonly string[];
  readonly differs: Readonly<Record<string, number>>;
  readonly note: string | null;
}

export const accelerators = () => readTable<AcceleratorRow>("hardware/accelerators");
