// `lightfoot audit`: how a compressed classifier behaves beside its original, beyond accuracy; may depend on this room, runtime, io and quantity.
import type { Command } from "commander";
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { formatFraction, formatNumber } from "../../quantity/format.ts";
import type { AuditDocument } from "../../runtime/audit/audit-schema.ts";
import { runAction, type ActionContext } from "../action.ts";
import { withExamples } from "../help.ts";
import { formatTable } from "../terminal-table.ts";
import { wrapText } from "../wrap-text.ts";
import { wholeNumber } from "../whole-number.ts";

interface AuditFlags {
  readonly against: string;
  readonly data: string;
  readonly groups: readonly string[];
  readonly members?: string;
  readonly nonMembers?: string;
  readonly image?: string;
  readonly batch?: number;
  readonly threads?: number;
  readonly seed: number;
  readonly out?: string;
}

/** Adds the verb `audit` to the program. */
export function registerAudit(program: Command): void {
  const command = program
    .command("audit")
    .description(
      "what compression did to a classifier beyond accuracy: classes and groups, flips, calibration, robustness, membership",
    )
    .argument("<compressed>", "the compressed model, an ONNX file")
    .requiredOption("--against <original>", "the model it was made from")
    .requiredOption("--data <data>", "labelled data that neither was trained or chosen on: .npz, .csv, mnist:test, …")
    .option(
      "--groups <file>",
      "a group for each sample: people.csv#column=sex or sex.npy; repeatable",
      (text: string, before: string[]) => [...before, text],
      [],
    )
    .option("--members <data>", "samples the original was trained on, to try membership inference with")
    .option("--non-members <data>", "samples of the same kind that it was not trained on; left out, --data")
    .option("--image <layout>", "layout of images that come flat, for shifts and blur: 28x28 or 3x32x32")
    .option("--batch <n>", "samples in one run; left out, 256 or what the model fixes", wholeNumber(1))
    .option("--threads <n>", "threads of the engine; left out, one per core", wholeNumber(1))
    .option("--seed <n>", "decides perturbations, halves and bootstrap intervals", wholeNumber(0), 0)
    .option("--out <file>", "write the document (JSON) here too")
    .action(runAction(auditAction));
  withExamples(command, [
    ["lightfoot audit int8.onnx --against net.onnx --data test.npz", "every class, calibration, robustness"],
    [
      "lightfoot audit int8.onnx --against net.onnx --data test.csv#label=y --groups people.csv#column=sex",
      "who pays for the compression",
    ],
    [
      "lightfoot audit out/mnist/compressed.onnx --against out/mnist/original.onnx --data mnist:test --members mnist:train --image 28x28 --out audit.json",
      "membership inference too; lightfoot check audit.json takes the result as evidence",
    ],
  ]);
}

async function auditAction(context: ActionContext, compressed: string, flags: AuditFlags): Promise<void> {
  const { audit } = await import("../../runtime/audit/audit.ts");
  const { readPartition } = await import("../../runtime/audit/groups.ts");
  const { loadDataset } = await import("../../runtime/load-dataset.ts");
  const { sha256File } = await import("../../io/digest.ts");
  const { writeFileAtomic } = await import("../../io/atomic-write.ts");
  const { against, members, nonMembers, image, batch, threads, seed } = flags;
  if (nonMembers !== undefined && members === undefined) {
    throw new LightfootError("E_USAGE", "--non-members says nothing without --members");
  }
  context.progress.phase("Reading models and data");
  const files = {
    original: { file: against, digest: await sha256File(against) },
    compressed: { file: compressed, digest: await sha256File(compressed) },
  };
  const data = await loadDataset(flags.data);
  const partitions = [];
  for (const groups of flags.groups) partitions.push(await readPartition(groups, data.sampleCount));
  const found = await audit(against, compressed, {
    data,
    partitions,
    membership:
      members === undefined
        ? undefined
        : {
            members: await loadDataset(members),
            others: nonMembers === undefined ? data : await loadDataset(nonMembers),
          },
    image,
    seed,
    batch,
    threads,
    signal: context.signal,
    onStep: (title) => context.progress.phase(title),
  });
  const document: AuditDocument = { schema: "lightfoot.audit/1", ...files, ...found };
  if (flags.out !== undefined) await writeFileAtomic(flags.out, `${JSON.stringify(document, undefined, 2)}\n`);
  context.result(document, () => describe(document, context.columns), document.assumptions);
}

const MOST_ROWS = 12;

function describe(document: AuditDocument, columns: number): string {
  const { original, compressed, data, accuracy, agreement, partitions, calibration, robustness, membership } = document;
  const flips = `${agreement.onlyOriginalRight} lost, ${agreement.onlyCompressedRight} won, ${agreement.bothWrongDifferently} wrong otherwise`;
  const share = (value: number): string => `${formatNumber(100 * value, "", 4).trim()} %`;
  const rows = [
    [
      "accuracy",
      formatFraction(accuracy.original),
      formatFraction(accuracy.compressed),
      `drop ${formatFraction(accuracy.drop)}`,
    ],
    ["agreement", "", formatFraction(agreement.share), flips],
    ...(calibration === null
      ? []
      : [
          [
            "calibration error",
            share(calibration.original),
            share(calibration.compressed),
            `drift ${formatFraction(calibration.drift)}`,
          ],
        ]),
    ...(robustness === null
      ? []
      : [
          [
            "under perturbation",
            share(robustness.original),
            share(robustness.compressed),
            robustness.ratio === null ? "" : `ratio ${formatFraction(robustness.ratio)}`,
          ],
          ...robustness.perturbations.map((row) => [`  ${row.name}`, share(row.original), share(row.compressed), ""]),
        ]),
    ...(membership === null
      ? []
      : [
          [
            "membership advantage",
            formatFraction(membership.original.advantage),
            formatFraction(membership.compressed.advantage),
            `change ${formatFraction(membership.change)}`,
          ],
        ]),
  ];
  const head = [{ title: "" }, { title: "original" }, { title: "compressed" }, { title: "difference (95 %)" }];
  const tables = partitions.map(({ name, groups, gap, smallestSampleCount }) => {
    const sorted = groups.toSorted((left, right) => right.drop.value - left.drop.value);
    const shown = sorted
      .slice(0, MOST_ROWS)
      .map((group) => [
        group.name,
        String(group.sampleCount),
        share(group.original),
        share(group.compressed),
        formatFraction(group.drop),
        group.adjustedP < 0.001 ? "< 0.001" : group.adjustedP.toFixed(3),
      ]);
    const titles = [name, "samples", "original", "compressed", "drop (95 %)", "p (Holm)"].map((title) => ({ title }));
    const rest =
      groups.length > MOST_ROWS ? `\nand ${groups.length - MOST_ROWS} more that lose less; --json lists them` : "";
    const few = smallestSampleCount < 200 ? ` The smallest has ${smallestSampleCount} samples: few to judge by.` : "";
    return `${formatTable(titles, shown, columns)}${rest}\ngap between best and worst: ${share(gap.original)} before, ${share(gap.compressed)} after.${few}`;
  });
  const omitted = document.notMeasured.flatMap(({ what, why }) => wrapText(`Not measured: ${what}: ${why}.`, columns));
  return [
    `${compressed.file} against ${original.file} on ${data.name}, ${data.sampleCount} samples`,
    formatTable(head, rows, columns),
    ...tables,
    ...(omitted.length === 0 ? [] : [omitted.join("\n")]),
  ].join("\n\n");
}
