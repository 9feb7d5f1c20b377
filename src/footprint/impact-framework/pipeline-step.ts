// A plugin as a step of arithmetic on named parameters, for following units and factors along a pipeline; depends on its room.
import type { PluginInstance } from "./plugin.ts";

/** One plugin as arithmetic on named parameters. */
export interface Step {
  readonly kind: "product" | "sum" | "copy" | "other";
  readonly inputs: readonly string[];
  readonly output: string;
  /** What the inputs are multiplied by. */
  readonly constant?: number;
}

/** What a plugin does to which parameters; undefined for plugins that no unit can be followed through. */
export function stepOf({ method, config }: PluginInstance): Step | undefined {
  const text = (key: string): string | undefined => (typeof config[key] === "string" ? config[key] : undefined);
  const list = Array.isArray(config["input-parameters"]) ? config["input-parameters"].map(String) : [];
  const output = text("output-parameter") ?? text("output") ?? text("to");
  if (output === undefined) return undefined;
  switch (method) {
    case "Multiply":
      return { kind: "product", inputs: list, output };
    case "Sum":
    case "Subtract":
      return { kind: "sum", inputs: list, output };
    case "Coefficient": {
      const input = text("input-parameter");
      const constant = Number(config["coefficient"]);
      if (input === undefined || !Number.isFinite(constant)) return undefined;
      return { kind: "product", inputs: [input], output, constant };
    }
    case "Divide": {
      const numerator = text("numerator");
      const constant = 1 / Number(config["denominator"]);
      if (numerator === undefined) return undefined;
      return Number.isFinite(constant)
        ? { kind: "product", inputs: [numerator], output, constant }
        : { kind: "other", inputs: [numerator], output };
    }
    case "Copy": {
      const from = text("from");
      return from === undefined ? undefined : { kind: "copy", inputs: [from], output };
    }
    default:
      return undefined;
  }
}
