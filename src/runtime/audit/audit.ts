// The audit of a compressed classifier against its original: groups, flips, calibration, robustness, membership; may depend on errors, quantity, statistics and runtime.
import { LightfootError } from "../../errors/index.ts";
import { figure, type Assumption, type Figure } from "../../quantity/index.ts";
import {
  bootstrap,
  calibrationDrift,
  dropByGroup,
  holm,
  mcnemar,
  membershipAttack,
  membershipChange,
  pairedCounts,
  pairedDifferenceOfCounts,
  seededRandom,
  splitForMembership,
  type GroupDrop,
  type Interval,
  type MembershipAttack,
} from "../../statistics/index.ts";
import { evaluate } from "../evaluate.ts";
import { sampleElements, takeSamples, type Dataset } from "../sample-set.ts";
import { throwIfStopped, type StopSignal } from "../stop-signal.ts";
import type { Audit, AuditPartition } from "./audit-schema.ts";
import { chooseClasses, shareRight, type Choices } from "./choices.ts";
import type { Partition } from "./groups.ts";
import { canPerturb, imageLayout, perturb, PERTURBATIONS } from "./perturbations.ts";

type Model = string | Uint8Array;

export interface AuditOptions {
  /** Labelled samples that neither model was trained or chosen on. */
  readonly data: Dataset;
  readonly partitions?: readonly Partition[];
  /** Samples the original was trained on, and samples of the same kind that it was not; both with labels. */
  readonly membership?: { readonly members: Dataset; readonly others: Dataset };
  /** Layout of flat images, `28x28` or `3x32x32`. */
  readonly image?: string;
  readonly seed: number;
  readonly batch?: number;
  readonly threads?: number;
  readonly signal?: StopSignal;
  readonly onStep?: (title: string) => void;
}

/** Perturbed copies of the data stay below this. */
const MAX_PERTURBED_BYTES = 2 ** 28;
/** An attack learns little from more. */
const MAX_ATTACKED = 10_000;
const BOOTSTRAP = { resamples: 1000, method: "percentile" } as const;

/**
 * Compares two classifiers on the same samples.
 *
 * Everything is measured on the files as they are, by ONNX Runtime; intervals are 95 %. p-values are exact McNemar, adjusted
 * by Holm over the whole, the classes and all groups together.
 * @throws LightfootError E_METRIC when the data has no labels or the models make more than one decision a sample; E_DATA,
 *   E_RUNTIME, E_INTERRUPTED
 */
export async function audit(original: Model, compressed: Model, options: AuditOptions): Promise<Audit> {
  const { data, seed, signal, onStep } = options;
  const step = (title: string): void => {
    throwIfStopped(signal, "the audit");
    onStep?.(title);
  };
  const classes = labelPartition(data);
  step("Comparing answers");
  const settings = { batch: options.batch, threads: options.threads, signal };
  const first = await chooseClasses(original, data, settings);
  const second = await chooseClasses(compressed, data, { ...settings, reading: first.reading });
  const notMeasured: Audit["notMeasured"] = [];
  const omit = (what: string, why: string): null => {
    notMeasured.push({ what, why });
    return null;
  };
  const answers = compareAnswers(first, second, classes, options.partitions ?? []);
  step("Calibration");
  const calibration = calibrationOf(first, second, seed) ?? omit("calibration", "the outputs are class numbers");
  const robustness = canPerturb(data)
    ? await robustnessOf([original, compressed], options, step)
    : omit("robustness", "no input is float32, float64 or uint8");
  const membership =
    options.membership === undefined
      ? omit("membership inference", "no samples of the training data (members) and others were given")
      : [first.reading, second.reading].includes("classes")
        ? omit("membership inference", "the outputs are class numbers")
        : await membershipOf([original, compressed], options.membership, first, options, step);
  if (imageLayout([...data.inputs.values()][0].shape, options.image) === undefined && robustness !== null) {
    omit("robustness to shifts and blur", "the inputs are not known to be images");
  }
  return {
    data: describeSamples(data),
    seed,
    reading: first.reading,
    ...answers,
    calibration,
    robustness,
    membership,
    notMeasured,
    assumptions: distinct([...first.assumptions, ...second.assumptions]),
  };
}

const describeSamples = ({ name, sampleCount, digest }: Dataset) => ({ name, sampleCount, digest });

const distinct = (assumptions: readonly Assumption[]): Assumption[] => [
  ...new Map(assumptions.map((entry) => [entry.key, entry])).values(),
];

const measured = (interval: Interval, source: string, unit = "1"): Figure =>
  figure({
    value: interval.value,
    low: interval.low,
    high: interval.high,
    unit,
    method: "measured",
    sources: [source],
  });

function labelPartition({ labels, name }: Dataset): Partition {
  if (labels === undefined) {
    throw new LightfootError("E_METRIC", `an audit needs labels, '${name}' has none`, {
      hint: "Add an array 'labels' to the .npz, or name it with #labels= or #label=.",
    });
  }
  const groups = labels.data as Int32Array;
  const classCount = groups.reduce((most, label) => Math.max(most, label), 0) + 1;
  return { name: "class", groups, groupNames: Array.from({ length: classCount }, (_, label) => String(label)) };
}

function compareAnswers(
  first: Choices,
  second: Choices,
  classes: Partition,
  given: readonly Partition[],
): Pick<Audit, "accuracy" | "agreement" | "partitions"> {
  const counts = pairedCounts(first.correct, second.correct);
  const { difference, low, high } = pairedDifferenceOfCounts(counts);
  const whole = mcnemar(counts.onlyFirst, counts.onlySecond).exact;
  const partitions = [classes, ...given].map((partition) => ({
    partition,
    rows: dropByGroup(first.correct, second.correct, partition.groups),
  }));
  const [wholeAdjusted, ...adjusted] = holm([whole, ...partitions.flatMap(({ rows }) => rows.map(({ p }) => p))]);
  const same = Uint8Array.from(first.predicted, (chosen, at) =>
    chosen >= 0 && chosen === second.predicted[at] ? 1 : 0,
  );
  const agreeing = same.reduce((total, one) => total + one, 0);
  const source = `paired difference over ${first.correct.length} samples, Newcombe's interval (method 10)`;
  return {
    accuracy: {
      original: shareRight(first.correct),
      compressed: shareRight(second.correct),
      drop: measured({ value: difference, low, high }, source),
      mcnemarP: whole,
      adjustedP: wholeAdjusted,
    },
    agreement: {
      share: shareRight(same),
      onlyOriginalRight: counts.onlyFirst,
      onlyCompressedRight: counts.onlySecond,
      bothWrongDifferently: same.length - agreeing - counts.onlyFirst - counts.onlySecond,
    },
    partitions: partitions.map(({ partition, rows }) =>
      describePartition(partition, rows, adjusted.splice(0, rows.length)),
    ),
  };
}

function describePartition(
  { name, groupNames }: Partition,
  rows: readonly GroupDrop[],
  adjusted: readonly number[],
): AuditPartition {
  const gap = (side: "first" | "second"): number => {
    const shares = rows.map((row) => row[side]);
    return Math.max(...shares) - Math.min(...shares);
  };
  const worst = rows.reduce((found, row) => (row.drop.value > found.drop.value ? row : found));
  return {
    name,
    groups: rows.map((row, at) => ({
      name: groupNames[row.group],
      sampleCount: row.count,
      original: row.first,
      compressed: row.second,
      drop: measured(row.drop, `paired difference over ${row.count} samples, Newcombe's interval (method 10)`),
      onlyOriginalRight: row.onlyFirst,
      onlyCompressedRight: row.onlySecond,
      mcnemarP: row.p,
      adjustedP: adjusted[at],
    })),
    worst: groupNames[worst.group],
    smallestSampleCount: Math.min(...rows.map(({ count }) => count)),
    gap: { original: gap("first"), compressed: gap("second") },
  };
}

function calibrationOf(first: Choices, second: Choices, seed: number): Audit["calibration"] {
  if (first.confidence === undefined || second.confidence === undefined) return null;
  const found = calibrationDrift(
    { confidences: first.confidence, correct: first.correct },
    { confidences: second.confidence, correct: second.correct },
    { random: seededRandom(seed).fork("audit calibration") },
  );
  const source = `rise of the expected calibration error, 15 bins, ${first.correct.length} samples, basic bootstrap (seed ${seed})`;
  return { original: found.first, compressed: found.second, drift: measured(found.drift, source) };
}

async function robustnessOf(
  models: readonly [Model, Model],
  { data, image, seed, batch, threads, signal }: AuditOptions,
  step: (title: string) => void,
): Promise<Audit["robustness"]> {
  const random = seededRandom(seed).fork("audit robustness");
  const sampleBytes = [...data.inputs.values()].reduce(
    (sum, value) => sum + sampleElements(value) * value.data.BYTES_PER_ELEMENT,
    0,
  );
  const most = Math.max(1, Math.floor(MAX_PERTURBED_BYTES / sampleBytes));
  const chosen = data.sampleCount <= most ? data : drawSamples(data, most, seed);
  const isImage = [...chosen.inputs.values()].some(({ shape }) => imageLayout(shape, image) !== undefined);
  const set = PERTURBATIONS.filter(({ needsImage }) => isImage || !needsImage);
  const right = models.map(() => new Float64Array(chosen.sampleCount));
  const rows = [];
  for (const perturbation of set) {
    step(`Robustness: ${perturbation.name}`);
    const perturbed = perturb(chosen, perturbation, random, image);
    const shares: number[] = [];
    for (const [side, model] of models.entries()) {
      const { metrics } = await evaluate(model, perturbed, { metrics: ["accuracy"], batch, threads, signal });
      const { perSample, figure: share } = metrics["accuracy"];
      perSample!.forEach((one, at) => (right[side][at] += one));
      shares.push(share.value);
    }
    rows.push({ name: perturbation.name, what: perturbation.what, original: shares[0], compressed: shares[1] });
  }
  const total = right.map((counts) => counts.reduce((sum, count) => sum + count, 0));
  const [original, compressed] = total.map((sum) => sum / (chosen.sampleCount * set.length));
  return {
    sampleCount: chosen.sampleCount,
    perturbations: rows,
    original,
    compressed,
    ratio: ratioOf(right, total, seed),
  };
}

/** Sum over sum, with a bootstrap over samples that keeps each sample's perturbations and both models together. */
function ratioOf(right: readonly Float64Array[], total: readonly number[], seed: number): Figure | null {
  const [before, after] = right;
  if (total[0] === 0 || before.length < 2) return null;
  const interval = bootstrap(
    before.length,
    (indices) => {
      let [over, under] = [0, 0];
      for (const index of indices) {
        over += after[index];
        under += before[index];
      }
      // A resample without a single right answer of the original says nothing of a loss.
      return under === 0 ? 1 : over / under;
    },
    { random: seededRandom(seed).fork("audit ratio"), ...BOOTSTRAP },
  );
  return measured(
    interval,
    `accuracy under perturbation, compressed over original, ${before.length} samples, bootstrap (seed ${seed})`,
  );
}

async function membershipOf(
  models: readonly [Model, Model],
  membership: { readonly members: Dataset; readonly others: Dataset },
  { reading }: Choices,
  { seed, batch, threads, signal }: AuditOptions,
  step: (title: string) => void,
): Promise<Audit["membership"]> {
  const members = drawSamples(membership.members, MAX_ATTACKED, seed);
  const others = drawSamples(membership.others, MAX_ATTACKED, seed);
  const random = seededRandom(seed).fork("audit membership");
  const split = splitForMembership(members.sampleCount, others.sampleCount, random);
  const attacks: MembershipAttack[] = [];
  for (const model of models) {
    step("Membership inference");
    const scores = async (dataset: Dataset): Promise<Float64Array> => {
      const { loss } = await chooseClasses(model, dataset, { batch, threads, signal, reading });
      return loss!.map((value) => -value);
    };
    attacks.push(membershipAttack({ members: await scores(members), others: await scores(others) }, split));
  }
  const [before, after] = attacks;
  return {
    members: describeSamples(members),
    others: describeSamples(others),
    original: describeAttack(before),
    compressed: describeAttack(after),
    change: measured(
      membershipChange(before, after),
      "rise of the advantage on the same samples, square-and-add of paired intervals",
    ),
  };
}

const describeAttack = ({ advantage, tprAtLowFpr }: MembershipAttack) => ({
  advantage: measured(
    advantage,
    "TPR − FPR of a loss threshold chosen on the other half, Newcombe's interval (method 10)",
  ),
  tprAtLowFpr:
    tprAtLowFpr === undefined
      ? null
      : measured(tprAtLowFpr, "TPR at a loss threshold with FPR ≤ 1 % on the other half, Wilson's interval"),
});

function drawSamples(data: Dataset, most: number, seed: number): Dataset {
  if (data.sampleCount <= most) return data;
  const order = seededRandom(seed).fork("audit samples").permutation(data.sampleCount);
  return takeSamples(data, order.slice(0, most).sort(), `${data.name}, ${most} drawn (seed ${seed})`);
}
