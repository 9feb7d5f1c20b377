// A dossier's model as a Hugging Face model card, README.md with YAML front matter; may depend on its room, quantity and yaml.
import { stringify } from "yaml";
import type { DossierModel } from "../../pipeline/dossier-schema.ts";
import type { Assumption, Figure } from "../../quantity/figure.ts";
import { formatCount, formatFigure, formatFraction, formatNumber } from "../../quantity/format.ts";
import { CROSSWALK, inUnit, significant } from "../../footprint/exchange/crosswalk.ts";
import { noLicense } from "./cyclonedx.ts";
import { isLicenseId, runAmounts, unique, type Subject } from "./subject.ts";

const { emissions: EMISSIONS, energy: ENERGY, intensity: INTENSITY } = CROSSWALK["model-card"];

const DIGITS = 6;

/**
 * Free text in a Markdown line or cell: no markup of its own, one line, and no `label: value`, which a reader of the account
 * (people's and `lightfoot verify`'s) would take for one of its lines.
 */
export const inert = (text: string): string =>
  text
    .replaceAll(/\s+/g, " ")
    .trim()
    .replaceAll(/&/g, "&amp;")
    .replaceAll(/</g, "&lt;")
    .replaceAll(/[|\\`*_[\]#]/g, (sign) => `&#${sign.charCodeAt(0)};`)
    .replaceAll(/:(?!\/\/)/g, "&#58;")
    .replaceAll("=", "&#61;");

const shown = (part: Figure): string => (part.unit === "1" ? formatFraction(part) : formatFigure(part));

/** @source https://huggingface.co/docs/hub/model-cards-co2: grams, source, training_type, geographical_location, hardware_used */
export function modelCardOf(subject: Subject): { text: string; assumptions: readonly Assumption[] } {
  const { dossier, supplement, isTrainedHere, runPlace, run } = subject;
  const own: Assumption[] = supplement.license === undefined ? [noLicense] : [];
  const { emissions } = runAmounts(run);
  if (isTrainedHere && runPlace === undefined) {
    own.push({
      key: "export.training-location",
      text: "Where the model was trained is not said: geographical_location is left out. Supplement: trainingLocation.",
    });
  }
  const assumptions = unique([...own, ...subject.assumptions]);
  const front = {
    ...licenseOf(supplement.license),
    library_name: "onnx",
    tags: ["onnx", "lightfoot"],
    metrics: [dossier.task.metric],
    ...(isTrainedHere && {
      co2_eq_emissions: {
        emissions: Number(significant(inUnit(emissions, EMISSIONS.unit).value, DIGITS)),
        source: sourceOf(subject, emissions),
        training_type: "pre-training",
        ...(runPlace !== undefined && { geographical_location: runPlace }),
        hardware_used: hardwareOf(subject),
      },
    }),
  };
  return { text: `---\n${stringify(front, { lineWidth: 0 })}---\n\n${bodyOf(subject, assumptions)}`, assumptions };
}

/** Who computed it and how; and that the place is the one of use, where nobody said where the training was. */
function sourceOf({ dossier, supplement, runPlace }: Subject, { method }: Figure): string {
  const isPlaceOfUse = supplement.trainingLocation === undefined && runPlace !== undefined;
  return `Lightfoot ${dossier.tool.version}, ${method}, location-based${isPlaceOfUse ? ", counted at the place of use" : ""}`;
}

const hardwareOf = ({ dossier: { machine }, supplement }: Subject): string =>
  supplement.hardware ?? `${machine.cpuName}, ${machine.logicalCpuCount} logical CPUs`;

/** The hub's identifiers are SPDX in small letters; everything else is `other` with a name. */
function licenseOf(license: string | undefined): object {
  if (license === undefined) return {};
  return isLicenseId(license) ? { license: license.toLowerCase() } : { license: "other", license_name: license };
}

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n");

function bodyOf(subject: Subject, assumptions: readonly Assumption[]): string {
  const { dossier, model, ancestor, supplement, results } = subject;
  const about: (readonly [string, string])[] = [
    ["Model", `${model.title} (${model.role})`],
    ["File", `${model.file}, ${formatNumber(model.fileBytes, "B")}`],
    ["SHA-256", model.digest.replace(/^sha256:/, "")],
    ["Parameters", formatCount(model.parameters)],
    ["Work of one inference", formatNumber(model.flops, "FLOP")],
    ...(ancestor === undefined
      ? []
      : ([
          ["Made from", `${ancestor.title}, SHA-256 ${ancestor.digest.replace(/^sha256:/, "")}`],
          ...(model.compressionRate === null
            ? []
            : ([["Compression rate, bytes on disk", significant(model.compressionRate.bytesOnDisk, 4)]] as const)),
          ...containerRows(model),
        ] as const)),
    ...(supplement.provider === undefined ? [] : ([["Provider", supplement.provider]] as const)),
    ...(supplement.task === undefined ? [] : ([["Task", supplement.task]] as const)),
    ["Machine", hardwareOf(subject)],
    ...dossier.data.map(
      ({ role, name, sampleCount }) => [`Data, ${role}`, `${name}, ${formatCount(sampleCount)} samples`] as const,
    ),
  ];
  return [
    `# ${inert(dossier.title)}`,
    "",
    table(
      ["", ""],
      about.map(([term, text]) => [inert(term), inert(text)]),
    ),
    "",
    "## Results",
    "",
    "Each value with its 95 % interval in brackets.",
    "",
    table(
      ["Quantity", "Value", "How it is known", "On"],
      results.map(({ name, figure, slice }) => [
        inert(name),
        inert(shown(figure)),
        inert(`${figure.method}; ${figure.sources.join("; ")}`),
        inert(slice ?? ""),
      ]),
    ),
    "",
    ...accountOf(subject),
    ...useOf(subject),
    "## What was assumed",
    "",
    ...assumptions.map(({ text }) => `- ${inert(text)}`),
    "",
    `Written by Lightfoot ${dossier.tool.version} from the dossier of ${inert(dossier.createdAt.slice(0, 10))}.`,
    "",
  ].join("\n");
}

/** What is sent may be smaller than what is opened: a rate of its own, never mixed with that of the file. */
function containerRows({ container, compressionRate }: DossierModel): [string, string][] {
  const rate = compressionRate?.codedContainer;
  if (container === null || rate === undefined || rate === null) return [];
  const held =
    container.holds === "file" ? "this file" : "the same weights stored plainly, same outputs to the last bit";
  return [
    [
      "Coded container, for transport",
      `${formatNumber(container.bytes, "B")}, holds ${held}; lightfoot unpack opens it`,
    ],
    [
      "Compression rate, coded container, bytes",
      `${significant(rate, 4)} (the original's bytes on disk / the container's)`,
    ],
  ];
}

/** The run's account as labelled lines that anybody can recompute: energy × intensity is the emissions. */
function accountOf({ run, isTrainedHere }: Subject): string[] {
  const { energy, emissions, intensity } = runAmounts(run);
  const energyKwh = inUnit(energy, ENERGY.unit);
  const grams = inUnit(emissions, EMISSIONS.unit);
  const perKwh = inUnit(intensity, INTENSITY.unit);
  const what = isTrainedHere
    ? "The whole run, training of all its models, search and judging, at the meter of the facility."
    : "The run that compressed and judged the model, at the meter of the facility. The model's training is not in it.";
  return [
    "## Energy and carbon",
    "",
    what,
    "",
    `- Energy: ${significant(energyKwh.value, DIGITS)} kWh`,
    `- Grid intensity: ${significant(perKwh.value, DIGITS)} g CO2e/kWh`,
    `- Emissions: ${significant(grams.value, DIGITS)} g CO2e`,
    "",
    table(
      ["Quantity", "Value and 95 % interval", "How it is known"],
      (
        [
          ["energy", energy],
          ["grid intensity", intensity],
          ["emissions", emissions],
        ] as const
      ).map(([name, part]) => [name, inert(formatFigure(part)), inert(`${part.method}; ${part.sources.join("; ")}`)]),
    ),
    "",
  ];
}

function useOf({ dossier, model: { footprint } }: Subject): string[] {
  if (footprint === null) return [];
  const { locationBased } = footprint.emissions;
  return [
    `### ${formatCount(dossier.footprintInferences)} inferences`,
    "",
    table(
      ["Quantity", "Value and 95 % interval", "How it is known"],
      (
        [
          ["energy", footprint.energy],
          ["emissions", locationBased],
          ["water", footprint.water.consumption],
        ] as const
      ).map(([name, part]) => [name, inert(formatFigure(part)), part.method]),
    ),
    "",
  ];
}
