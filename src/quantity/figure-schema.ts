// The zod schema of a `Figure` for result documents; apart from the room's index because zod is slow to load; may depend on figure.
import { z } from "zod";
import { METHODS, type Figure } from "./figure.ts";

/** A `Figure` as JSON: finite numbers, `low ≤ value ≤ high`. */
export const figureSchema: z.ZodType<Figure> = z
  .object({
    value: z.number(),
    unit: z.string(),
    low: z.number(),
    high: z.number(),
    method: z.enum(METHODS),
    sources: z.array(z.string()),
    assumptions: z.array(z.object({ key: z.string(), text: z.string() })),
  })
  .refine(({ low, value, high }) => low <= value && value <= high, "a figure needs low ≤ value ≤ high");
