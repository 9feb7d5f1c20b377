// `lightfoot footprint sci`: a Software Carbon Intensity with the statement to paste; may depend on the room cli, footprint, quantity and errors.
import { InvalidArgumentError, Option, type Command } from "commander";
import { LightfootError } from "../../../errors/lightfoot-error.ts";
import type { SciDocument } from "../../../footprint/sci-schema.ts";
import { figure, type Figure } from "../../../quantity/figure.ts";
import { formatFigure, formatNumber } from "../../../quantity/format.ts";
import { declaredQuantity } from "../../../quantity/parse-quantity.ts";
import { runAction, type ActionContext } from "../../action.ts";
import { withExamples } from "../../help.ts";
import { addIntensityOptions } from "../../intensity-options.ts";
import { formatTable } from "../../terminal-table.ts";
import { wrapText } from "../../wrap-text.ts";
import type { SciFlags } from "./sci-input.ts";

/** Adds `sci` below the verb `footprint`. */
export function registerSci(footprint: Command): void {
  const command = footprint
    .command("sci")
    .description("Software Carbon Intensity, ISO/IEC 21031: ((E · I) + M) / R, and SCI for AI")
    .requiredOption("--energy <quantity>", "E: energy for all units, e.g. 12.5kWh")
    .option("--pue <number>", "power usage effectiveness to multiply the energy with", parsePue)
    .option("--intensity <quantity>", "I: grid intensity, e.g. 400gCO2e/kWh")
    .option("--where <place>", "place whose grid is counted with: DE, US-CAL-CISO, aws:eu-central-1")
    .addOption(
      new Option("--intensity-basis <basis>", "the standard takes location-based intensities only")
        .choices(["location-based", "market-based"])
        .default("location-based"),
    )
    .option("--embodied <quantity>", "M: share of embodied emissions for all units, e.g. 200gCO2e")
    .option("--embodied-total <quantity>", "TE: embodied emissions of the hardware, with --reserved and --lifespan")
    .option("--reserved <duration>", "TiR: how long it was reserved, e.g. 168h")
    .option("--lifespan <duration>", "EL: how long it is expected to serve, e.g. 4y")
    .option("--resources <part/whole>", "RR/ToR: share of it that was reserved, e.g. 8/64", parseResources)
    .requiredOption("--per <unit=count>", "R: functional unit and how many there were, e.g. request=1000", parsePer)
    .addOption(new Option("--ai <persona>", "report under SCI for AI").choices(["consumer", "provider"]))
    .option("--counted <part>", "part of the persona's boundary that was counted; repeatable", collect)
    .option("--absent <part>", "part of the boundary that this system does not have; repeatable", collect)
    .addOption(new Option("--count-basis <basis>", "provider: how units were counted").choices(["gross", "effective"]))
    .option("--reason <text>", "provider: why this functional unit")
    .option("--notes <text>", "what else is material: sparsity, allocation, synthetic data")
    .option("--subject <text>", "the model or service, with its version")
    .option("--period <text>", "when energy and units were counted")
    .option("--boundary <text>", "the software boundary in words")
    .action(runAction(score));
  addIntensityOptions(command);
  withExamples(command, [
    [
      "lightfoot footprint sci --energy 12.5kWh --intensity 400gCO2e/kWh --embodied 200gCO2e --per request=1000",
      "a score for 1,000 requests",
    ],
    [
      "lightfoot footprint sci --energy 12.5kWh --pue 1.2 --where DE --embodied 200gCO2e --per request=1000",
      "with the grid of a place",
    ],
    [
      "lightfoot footprint sci --energy 12.5kWh --pue 1.2 --series DE_2025_hourly.csv --from 2025-03-01T08:00Z --to 2025-03-02T08:00Z --embodied-total 1000kg --reserved 24h --lifespan 4y --per request=1000",
      "with the grid hour by hour and a share of a server",
    ],
    [
      "lightfoot footprint sci --energy 16MWh --intensity 312gCO2e/kWh --embodied 1500kg --per token=50e9 --ai consumer --counted API --period 2026-W47 --subject 'chat v2'",
      "SCI for AI, with what is left to disclose",
    ],
  ]);
}

function parsePue(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && value >= 1 && Number.isFinite(value)) return value;
  throw new InvalidArgumentError("Expected a number of 1 or more.");
}

function parsePer(text: string): SciFlags["per"] {
  const at = text.lastIndexOf("=");
  const [name, written] = [
    text.slice(0, Math.max(at, 0)).trim(),
    text
      .slice(at + 1)
      .replaceAll("_", "")
      .trim(),
  ];
  const count = Number(written);
  if (at > 0 && written !== "" && !Number.isNaN(count)) return { name, count };
  throw new InvalidArgumentError("Expected unit=count, e.g. request=1000.");
}

function parseResources(text: string): SciFlags["resources"] {
  const [reserved, total, ...rest] = text.split("/").map((part) => (part.trim() === "" ? Number.NaN : Number(part)));
  if (rest.length === 0 && reserved !== undefined && total !== undefined && reserved > 0 && total >= reserved)
    return { reserved, total };
  throw new InvalidArgumentError("Expected part/whole, e.g. 8/64.");
}

const collect = (text: string, before: readonly string[] = []): string[] => [...before, text];

async function score(context: ActionContext, flags: SciFlags): Promise<void> {
  const energy = declaredQuantity(flags.energy, "energy", "--energy");
  const pue =
    flags.pue === undefined
      ? undefined
      : figure({ value: flags.pue, unit: "1", method: "declared", sources: ["--pue"] });
  const { embodiedOf, intensityOf } = await import("./sci-input.ts");
  const embodied = await embodiedOf(flags);
  const { perWhat, sciDocument } = await import("../../../footprint/sci-document.ts");
  const intensity = await intensityOf(context, flags, energy);
  const boundaryOption = flags.counted === undefined ? "--absent" : "--counted";
  if (flags.ai === undefined && (flags.counted ?? flags.absent) !== undefined) {
    throw new LightfootError("E_USAGE", `${boundaryOption} was given without --ai`, {
      hint: "Add --ai consumer or --ai provider.",
    });
  }
  const { persona, ...ai } = {
    persona: flags.ai,
    counted: flags.counted ?? [],
    absent: flags.absent,
    countBasis: flags.countBasis,
    reason: flags.reason,
    notes: flags.notes,
  };
  const document = sciDocument({
    energy,
    powerUsageEffectiveness: pue,
    ...intensity,
    intensityBasis: flags.intensityBasis,
    embodied,
    units: flags.per,
    subject: flags.subject,
    period: flags.period ?? periodText(flags),
    boundary: flags.boundary,
    ...(persona === undefined ? {} : { ai: { persona, ...ai } }),
  });
  const per = perWhat(document.functionalUnit, document.readableScore.multiple);
  context.result(document, () => describe(document, per, context.columns), document.assumptions);
}

const periodText = ({ from, to }: SciFlags): string | undefined =>
  from === undefined || to === undefined ? undefined : `${from} to ${to}`;

const formatAmount = ({ units }: SciDocument): string => (units < 1e15 ? formatNumber(units, "1", 15) : String(units));

function describe(document: SciDocument, per: string, columns: number): string {
  const { readableScore, ai } = document;
  const scope = document.intensityScope === "undeclared" ? "" : `, ${document.intensityScope}`;
  const vintage = document.intensityVintage === null ? "" : `, ${document.intensityVintage}`;
  const rows: [name: string, part: Figure, from: string][] = [
    [`SCI per ${per}`, readableScore.figure, "C / R"],
    ["E  energy", document.energy, ""],
    ["I  intensity", document.intensity, `location-based, ${document.intensityKind}${scope}${vintage}`],
    ["O  operational", document.operational, "E · I"],
    ["M  embodied", document.embodied, ""],
    ["C  carbon", document.total, "O + M"],
  ];
  const lines = [
    formatTable(
      [{ title: "" }, { title: "figure" }, { title: "known" }, { title: "from" }],
      [
        ...rows.map(([name, part, from]) => [name, formatFigure(part), part.method, from]),
        ["R  functional units", formatAmount(document), "", document.functionalUnit],
      ],
      columns,
    ),
  ];
  if (ai !== null) {
    lines.push("", `SCI for AI, ${ai.persona} persona: ${ai.stages}`);
    for (const { component, state, isRequired } of ai.boundary) {
      const note = state === "absent" ? " (absent)" : isRequired || state === "counted" ? "" : " (if material)";
      lines.push(`  ${state === "counted" ? "●" : "○"} ${component}${note}`);
    }
    for (const { requirement, given } of ai.disclosures) {
      lines.push(
        ...wrapText(`  ${given === null ? "missing" : "said   "}  ${requirement}`, columns - 2, "           "),
      );
    }
  }
  lines.push("", "Statement", ...wrapText(document.statement, columns - 2, "").map((line) => `  ${line}`));
  return lines.join("\n");
}
