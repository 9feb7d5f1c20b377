// `lightfoot footprint`: carbon, water, materials and money of an energy, and the sub-verbs beside it; may depend on this room, footprint and errors.
import { Option, type Command } from "commander";
import { runAction, type ActionContext } from "../../action.ts";
import { addDefaultCommand } from "../../default-command.ts";
import { withExamples } from "../../help.ts";
import { addIntensityOptions } from "../../intensity-options.ts";
import type { FootprintFlags } from "./input.ts";
import { registerFootprintLlm } from "./llm.ts";
import { registerManifest } from "./manifest.ts";
import { registerSci } from "./sci.ts";

/** Sub-verbs, each from a file of its own: `(footprint) => void footprint.command("llm")…`. */
const SUB_VERBS: readonly ((footprint: Command) => void)[] = [registerSci, registerFootprintLlm, registerManifest];

// Written out, because their module loads what `--help` must not.
const BOUNDARIES = ["accelerator", "node", "IT", "facility"];

/** Adds the verb `footprint` to the program. */
export function registerFootprint(program: Command): void {
  const verb = program
    .command("footprint")
    .description("carbon, water, materials and money of an energy, each with its source and interval");
  const assess = addDefaultCommand(verb, "assess", "Quantities stand behind options: --energy 12.5kWh.");
  addOptions(assess);
  assess.action(runAction(footprint));
  withExamples(verb, [
    ["lightfoot footprint --energy 12.5kWh --where DE", "a metered energy in Germany"],
    [
      "lightfoot footprint --hardware nvidia-h100-sxm5-80gb:8 --hours 3 --where aws:eu-central-1",
      "a job before it runs",
    ],
    [
      "lightfoot footprint --energy 40kWh --part server=1 --part memory=512GB --hours 24 --where FR",
      "with the making of a server",
    ],
    ["lightfoot footprint --energy 12.5kWh --intensity 350gCO2e/kWh --pue 1.2 --json", "with factors of your own"],
  ]);
  for (const register of SUB_VERBS) register(verb);
}

function addOptions(command: Command): void {
  command
    .option("--energy <quantity>", "energy used, e.g. 12.5kWh, 3MWh, 900J")
    .addOption(new Option("--boundary <what>", "what --energy covers; left out, IT is assumed").choices(BOUNDARIES))
    .option("--where <place>", "country, grid zone or cloud region: DE, US-CAL-CISO, aws:eu-central-1")
    .option("--hardware <id>", "devices of the catalogue, e.g. nvidia-h100-sxm5-80gb:8")
    .option("--hours <hours>", "how long the hardware was reserved; left out, from --from to --to")
    .option(
      "--part <kind=amount>",
      "other hardware whose making counts: server=1, memory=512GB, ssd=4TB, hdd=8TB; repeatable",
      (text: string, before: readonly string[] | undefined) => [...(before ?? []), text],
    )
    .option("--intensity <rate>", "carbon intensity of the electricity, e.g. 350gCO2e/kWh")
    .option("--market-intensity <rate>", "intensity by contract or certificate, for the market-based figure")
    .option("--market-share <share>", "share of the energy that the contract covers, e.g. 60%")
    .option("--residual-mix <rate>", "intensity of what the contract does not cover")
    .option("--pue <ratio>", "power usage effectiveness: facility over IT energy, from 1")
    .option("--wue <rate>", "water consumed on the site, L per kWh of IT energy")
    .option("--price <price>", "of electricity, e.g. 0.12EUR/kWh")
    .option("--gpu-hour-price <price>", "of one device for an hour, e.g. 2.50USD/h")
    .option("--carbon-price <price>", "of emissions, e.g. 80EUR/tCO2e")
    .option("--life <duration>", "life of the hardware, e.g. 4y")
    .option("--use <share>", "share of its life for which the hardware is of use to anyone, e.g. 60%");
  addIntensityOptions(command);
}

async function footprint(context: ActionContext, flags: FootprintFlags): Promise<void> {
  const { footprintRequest } = await import("./request.ts");
  const { describeFootprint } = await import("./describe.ts");
  const { assessFootprint } = await import("../../../footprint/assess.ts");
  const input = await footprintRequest(flags, { thisYear: new Date().getUTCFullYear(), signal: context.signal });
  const found = assessFootprint(input);
  context.result(found, () => describeFootprint(found, context.columns), found.assumptions);
}
