// `lightfoot footprint` and what stands below it; may depend on commander and this folder.
import type { Command } from "commander";
import { registerSci } from "./sci.ts";

/** Adds the verb `footprint` with its sub-commands to the program. */
export function registerFootprint(program: Command): void {
  const footprint = program.command("footprint").description("from joules to carbon, water, materials and money");
  registerSci(footprint);
}
