// The zod schemas of `Figure` and `Assumption` for result documents; may depend on zod and figure.
// Apart from the room's index, because loading zod costs start-up time that `lightfoot --help` must not pay.
import { z } from "zod";
import { METHODS, type Assumption, type Figure } from "./figure.ts";

export const assumptionSchema: z.ZodType<Assumption> = z
  .object({
    key: z.string().min(1).meta({ description: "stable key; two assumptions with one key are one assumption" }),
    text: z.string().min(1).meta({ description: "what was assumed and why" }),
  })
  .meta({ id: "Assumption", description: "something that was missing and was filled in" });

/** The keys of a figure, for documents that put more beside them; such an object is refined with `isOrdered`. */
export const figureFields = {
  value: z.number(),
  unit: z.string().meta({
    description:
      "as on paper: J, gCO2e, s, B, FLOP, 1/kWh; 1 for a share or a ratio; empty for a score without scale, such as a squared error",
  }),
  low: z.number().meta({ description: "lower end of the 95 % interval" }),
  high: z.number().meta({ description: "upper end of the 95 % interval" }),
  method: z.enum(METHODS).meta({ description: "how the number is known, best to worst" }),
  sources: z.array(z.string()) as z.ZodType<readonly string[]>,
  assumptions: z.array(assumptionSchema) as z.ZodType<readonly Assumption[]>,
};

export const isOrdered = ({ low, value, high }: { low: number; value: number; high: number }): boolean =>
  low <= value && value <= high;

/** A `Figure` as JSON: finite numbers, `low ≤ value ≤ high`. */
export const figureSchema: z.ZodType<Figure> = z
  .object(figureFields)
  .refine(isOrdered, "a figure needs low ≤ value ≤ high")
  .meta({ id: "Figure", description: "a number with unit, 95 % interval, method, sources and assumptions" });
