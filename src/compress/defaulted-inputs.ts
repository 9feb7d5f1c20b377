// Inputs that a model as it came let a caller leave out, and a compressed one no longer has; may depend on model.
import type { ModelGraph } from "../model/graph.ts";

/** Before IR 4 every constant had to be an input as well: those are no defaults. */
const IR_WITH_DEFAULTS = 4;

const defaulted = ({ graph, irVersion }: ModelGraph): string[] =>
  irVersion < IR_WITH_DEFAULTS
    ? []
    : graph.inputs.map(({ name }) => name).filter((name) => graph.initializers.has(name));

/** What techniques do not do on purpose, and a caller who overrides a default has to know: one note, or none. */
export function lostDefaults(original: ModelGraph, compressed: ModelGraph): string[] {
  const inputs = new Set(compressed.graph.inputs.map(({ name }) => name));
  const count = defaulted(original).filter((name) => !inputs.has(name)).length;
  if (count === 0) return [];
  return [`${count} ${count === 1 ? "input" : "inputs"} with a default value became constant`];
}
