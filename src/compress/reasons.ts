// Why a candidate was accepted or refused, in sentences; may depend on quantity and this room's schema.
import { formatCount } from "../quantity/index.ts";
import type { Candidate, Execution, Loss } from "./candidate-schema.ts";
import { estimateHolds, within } from "./loss.ts";

const isShare = (loss: Loss): boolean => loss.original.unit === "1";

/** An amount of the metric: percentage points for shares of 1, else plain. */
function amount(loss: Loss, value: number): string {
  return isShare(loss) ? (value * 100).toFixed(2) : value.toPrecision(3);
}

/** Estimate, interval and budget on one split: the three numbers that decide. */
export function lossReason(metric: string, loss: Loss): string {
  const unit = isShare(loss) ? " points" : loss.loss.unit === "" ? "" : ` ${loss.loss.unit}`;
  const bound =
    loss.bound === null
      ? ""
      : `far end at ${loss.bound.confidence * 100} % confidence ${amount(loss, loss.bound.loss)}, `;
  const verdict = within(loss)
    ? "within the budget"
    : estimateHolds(loss)
      ? "the estimate is within the budget, the far end beyond twice the budget"
      : "beyond the budget";
  return (
    `${metric} lost ${amount(loss, loss.loss.value)}${unit} (95 % interval ${amount(loss, loss.loss.low)}…` +
    `${amount(loss, loss.loss.high)}) on ${formatCount(loss.sampleCount)} ${loss.split} samples, ` +
    `${bound}budget ${amount(loss, loss.allowedLoss)}: ${verdict}`
  );
}

const percent = (share: number): string => `${(share * 100).toFixed(0)} %`;

/** How the candidate compares in bytes and time with the original; "smaller but slower" is said in those words. */
export function sizeAndSpeedReasons(candidate: Candidate, original: Candidate): string[] {
  if (candidate.fileBytes === null || original.fileBytes === null) return [];
  const smaller = candidate.fileBytes < original.fileBytes;
  return candidate.latency.flatMap((own) => {
    const before = original.latency.find(({ batch }) => batch === own.batch);
    if (before === undefined) return [];
    const ratio = own.median.value / before.median.value;
    // Overlapping intervals are no difference worth a word.
    const slower = own.median.low > before.median.high;
    const faster = own.median.high < before.median.low;
    const times = `${ratio.toFixed(2)} times the original's time at batch ${own.batch}`;
    if (smaller && slower) return [`smaller but slower: ${times}`];
    if (slower) return [`not smaller and slower: ${times}`];
    if (faster) return [`${smaller ? "smaller and faster" : "faster but not smaller"}: ${times}`];
    return [];
  });
}

/** What is sent instead of the file, and how far that is from the original. */
export function containerReason({ container, compressionRate }: Candidate): string[] {
  if (container === null || compressionRate?.codedContainer == null) return [];
  const { bytes, holds, file } = container;
  const held =
    holds === "file" ? "of the file" : "of the same weights stored plainly, with the same outputs to the last bit";
  const kept = file === null ? "" : `, kept as ${file}`;
  return [
    `for transport a coded container ${held} takes ${formatCount(bytes)} bytes: ` +
      `CompressionRate ${compressionRate.codedContainer.toPrecision(3)} (coded container, bytes)${kept}`,
  ];
}

/** What of the multiply-adds runs in integers. */
export function executionReason(execution: Execution): string {
  const { int8Share, int4Share, floatShare, leftoverQuantizeNodes } = execution;
  const shares = [
    int8Share > 0 ? `${percent(int8Share)} in int8` : "",
    int4Share > 0 ? `${percent(int4Share)} with 4-bit weights` : "",
    floatShare > 0 ? `${percent(floatShare)} in float` : "",
  ].filter((part) => part !== "");
  const rest = leftoverQuantizeNodes === 0 ? "" : `, ${leftoverQuantizeNodes} quantise/dequantise nodes left over`;
  return `the optimised graph runs ${shares.join(", ")} of its multiply-adds${rest}`;
}

/** Less than this share of what was promised and the name "int8" would be a lie. */
const LEAST_KEPT = 0.5;

/**
 * The reason why a candidate may not carry its name, or undefined: less than half of the multiply-adds that its recipe promises to run in
 * int8 do.
 */
export function nameIsWrong({
  promisedInt8Share,
  execution,
}: Pick<Candidate, "promisedInt8Share" | "execution">): string | undefined {
  const least = LEAST_KEPT * promisedInt8Share;
  if (execution === null || execution.int8Share >= least) return undefined;
  return (
    `not called int8: only ${percent(execution.int8Share)} of the multiply-adds run in int8 in ONNX Runtime's optimised graph ` +
    `(${percent(least)} wanted)`
  );
}

/** Another recipe came to the same file: one model, one candidate. */
export const twinReason = (twin: string): string =>
  `the very bytes of '${twin}', which was tried before and stands for both`;

const points = (share: number): string => (share * 100).toFixed(2);

/** The class that lost most, and whether confidence became less honest. */
export function classReasons({ worst, calibrationError }: NonNullable<Candidate["classes"]>): string[] {
  const { loss } = worst;
  const ofClass =
    `largest loss of one class: class ${worst.class}, recall ${points(worst.original)} % → ${points(worst.candidate)} %, ` +
    `${points(loss.value)} points (95 % interval ${points(loss.low)}…${points(loss.high)}) on ${formatCount(worst.sampleCount)} samples, ` +
    `p ${worst.adjustedP.toPrecision(2)} after Holm over all classes`;
  if (calibrationError === null) return [ofClass];
  const { original, candidate, rise } = calibrationError;
  const ofConfidence =
    `calibration error (ECE) ${points(original)} → ${points(candidate)} points, rise ${points(rise.value)} ` +
    `(95 % interval ${points(rise.low)}…${points(rise.high)})`;
  return [ofClass, ofConfidence];
}
