// Roofline seconds: the time a device needs at least for arithmetic or for memory traffic; may depend on facts, quantity, errors, model.
import type { HardwareProfile, PeakType } from "../facts/hardware.ts";
import type { DType } from "../model/dtype.ts";
import { figure, type Assumption, type Figure } from "../quantity/figure.ts";

/**
 * Share of the data-sheet peak that real kernels reach. GEMMs reach 0.69–0.86 when large and 0.29–0.72 at 256 rows, memory-bound
 * kernels 0.57–0.90 of the bandwidth (profiled tables of vidur, A100, H100 and A40); small graphs do worse, so the low end is wide.
 */
const REACHED = { value: 0.6, low: 0.1, high: 1 };
const SOURCE =
  "roofline (Williams, Waterman, Patterson 2009) on data-sheet peaks; reached share from vidur's profiled tables";

export interface RooflineNode {
  readonly flops: number;
  readonly bytesMoved: number;
  readonly dtype: DType;
}

export interface NodeTime {
  readonly seconds: number;
  readonly bound: "compute" | "memory";
}

const PEAK_OF: Partial<Record<DType, readonly PeakType[]>> = {
  float32: ["float32"],
  float64: ["float32"],
  float16: ["float16", "float32"],
  bfloat16: ["bfloat16", "float16", "float32"],
  float8e4m3fn: ["float8", "float16", "float32"],
  float8e5m2: ["float8", "float16", "float32"],
  int8: ["int8", "float16", "float32"],
  uint8: ["int8", "float16", "float32"],
  int4: ["int4", "int8", "float16", "float32"],
  uint4: ["int4", "int8", "float16", "float32"],
};

/** The device's dense peak for a number type, FLOP/s; the nearest wider type where it has none of its own. */
export function peakFor(hardware: HardwareProfile, dtype: DType): Figure | undefined {
  for (const type of PEAK_OF[dtype] ?? ["float32"]) {
    const peak = hardware.peakRate[type];
    if (peak !== undefined) return peak;
  }
  return Object.values(hardware.peakRate)[0];
}

/**
 * max(flops / peak, bytes / bandwidth) at the full data-sheet rates of all devices together; undefined without a known peak. A
 * device of unknown bandwidth is bound by arithmetic alone, which `durationFigure` says.
 */
export function nodeTime(node: RooflineNode, hardware: HardwareProfile): NodeTime | undefined {
  const peak = peakFor(hardware, node.dtype);
  if (peak === undefined) return undefined;
  const compute = node.flops / (peak.value * hardware.count);
  const bandwidth = hardware.memoryBandwidth?.value ?? Infinity;
  const memory = node.bytesMoved / (bandwidth * hardware.count);
  return compute > memory ? { seconds: compute, bound: "compute" } : { seconds: memory, bound: "memory" };
}

/** Total seconds with the band that the reached share of the peak spans; what is not modelled is an assumption. */
export function durationFigure(boundSeconds: number, hardware: HardwareProfile): Figure {
  const assumptions: Assumption[] = [
    {
      key: "roofline.no-overheads",
      text: "launch, synchronization and framework time are not in the roofline; small models take longer than it says",
    },
  ];
  if (hardware.memoryBandwidth === undefined) {
    assumptions.push({
      key: "roofline.no-bandwidth",
      text: `the memory bandwidth of ${hardware.name} is not known, so only arithmetic bounds the time`,
    });
  }
  if (hardware.count > 1) {
    assumptions.push({
      key: "roofline.perfect-split",
      text: `the work is split evenly over ${hardware.count} devices and communication costs nothing`,
    });
  }
  return figure({
    value: boundSeconds / REACHED.value,
    low: boundSeconds / REACHED.high,
    high: boundSeconds / REACHED.low,
    unit: "s",
    method: "modelled",
    sources: [SOURCE],
    assumptions,
  });
}
