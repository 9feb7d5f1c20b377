// The framework's built-in plugins by method name, and how an instance is made of a manifest's entry; may depend on errors and its room.
import { closestName } from "../../errors/closest-name.ts";
import { LightfootError } from "../../errors/lightfoot-error.ts";
import type { PluginEntry } from "./manifest.ts";
import type { PluginInstance, PluginKind } from "./plugin.ts";
import { coefficient, copy, divide, exponent, multiply, subtract, sum } from "./plugins/arithmetic.ts";
import { interpolation } from "./plugins/interpolation.ts";
import { csvImport, csvLookup, mockObservations, regex, shell } from "./plugins/outside.ts";
import { sci, sciEmbodied } from "./plugins/sci.ts";
import { timeConverter } from "./plugins/time-converter.ts";
import { timeSync } from "./plugins/time-sync.ts";

export const PLUGIN_KINDS: Readonly<Record<string, PluginKind>> = {
  Coefficient: coefficient,
  Copy: copy,
  CSVImport: csvImport,
  CSVLookup: csvLookup,
  Divide: divide,
  Exponent: exponent,
  Interpolation: interpolation,
  MockObservations: mockObservations,
  Multiply: multiply,
  Regex: regex,
  Sci: sci,
  SciEmbodied: sciEmbodied,
  Shell: shell,
  Subtract: subtract,
  Sum: sum,
  TimeConverter: timeConverter,
  TimeSync: timeSync,
};

/**
 * The plugin that an entry of `initialize.plugins` names.
 *
 * @throws LightfootError E_IMPACT for a method that is unknown, E_NOT_ALLOWED for code from outside
 */
export function instantiate(name: string, entry: PluginEntry, file: string): PluginInstance {
  const where = { file, path: `initialize.plugins.${name}` };
  if (entry.path !== "builtin") {
    throw new LightfootError("E_NOT_ALLOWED", `the plugin '${name}' is code from outside: ${entry.path}`, {
      where: { ...where, path: `${where.path}.path` },
      hint: "Only 'path: builtin' is run. Express it with built-in plugins, or run it with if-run and read its output manifest here.",
    });
  }
  const kind = Object.hasOwn(PLUGIN_KINDS, entry.method) ? PLUGIN_KINDS[entry.method] : undefined;
  if (kind === undefined) {
    const known = Object.keys(PLUGIN_KINDS);
    const guess = closestName(entry.method, known);
    throw new LightfootError("E_IMPACT", `the plugin '${name}' has the unknown method '${entry.method}'`, {
      where: { ...where, path: `${where.path}.method` },
      hint: guess === undefined ? `Built in are ${known.join(", ")}.` : `Did you mean '${guess}'?`,
    });
  }
  const declared = entry["parameter-metadata"];
  return {
    name,
    method: entry.method,
    kind,
    config: entry.config ?? {},
    mapping: entry.mapping ?? {},
    runs: 0,
    metadata: {
      inputs: { ...kind.metadata?.inputs, ...declared?.inputs },
      outputs: declared?.outputs ?? kind.metadata?.outputs ?? {},
    },
  };
}
