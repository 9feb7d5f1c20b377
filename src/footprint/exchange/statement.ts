// Reads prose and Markdown for what can be checked: labelled quantities and equations, line by line; may depend on its room.
import { parseWritten, type WrittenQuantity } from "./written-quantity.ts";

/** One side of an equation, or the only value of a labelled line. */
export interface StatedSide {
  readonly text: string;
  /** Undefined where the side is prose or symbols: `SCI = C / R`. */
  readonly quantity: WrittenQuantity | undefined;
}

/** A line such as `Total tokens processed: 50 billion tokens/week` or `Consumer SCI = a / b = c`. */
export interface StatedLine {
  /** 1-based. */
  readonly line: number;
  /** Empty for an equation of quantities alone: `6 kg / 3 requests = 2 kg/request`. */
  readonly label: string;
  readonly sides: readonly StatedSide[];
  /** Headings above the line, outermost first. */
  readonly sections: readonly string[];
}

const BULLET = /^\s*(?:[-*+•]\s+|\d+[.)]\s+|>\s*)*/;
const HEADING = /^(#{1,6})\s+(.*)$/;
const LABELLED = /^([^:=]{1,120}?)\s*(?::(?!\/)|=)\s*(.*)$/;
const CONTINUED = /^=\s*(.*)$/;
// `energy_kWh = 280.488` and `Energy (kWh): 280.488` name the unit in the label.
const UNIT_IN_LABEL = /(?:_|\bin |\()(kWh|MWh|Wh|kg|g|t|L|W)\)?$/;

const withoutMarkup = (text: string): string => text.replaceAll(/\*\*|__|`/g, "").trim();

const isQuantity = (text: string): boolean => parseWritten(text) !== undefined;

function sidesOf(text: string, label: string): StatedSide[] {
  const unit = UNIT_IN_LABEL.exec(label)?.[1];
  return text
    .split("=")
    .map((side) => side.trim())
    .filter((side) => side !== "")
    .map((side) => {
      const quantity = parseWritten(side);
      const named = quantity?.units.size === 0 && unit !== undefined ? parseWritten(`${side} ${unit}`) : undefined;
      return { text: side, quantity: named ?? quantity };
    });
}

/**
 * Every labelled line of a text, with the headings above it. Prose lines are passed over.
 *
 * @param text Markdown or plain text; a YAML front matter is prose to this reader
 */
export function readStatement(text: string): StatedLine[] {
  const found: StatedLine[] = [];
  const sections: string[] = [];
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const heading = HEADING.exec(raw);
    if (heading !== null) {
      sections.length = Math.min(sections.length, heading[1].length - 1);
      sections[heading[1].length - 1] = withoutMarkup(heading[2]);
      continue;
    }
    const line = withoutMarkup(raw.replace(BULLET, ""));
    const before = found.at(-1);
    const continued = CONTINUED.exec(line);
    if (continued !== null && before !== undefined) {
      found[found.length - 1] = { ...before, sides: [...before.sides, ...sidesOf(continued[1], before.label)] };
      continue;
    }
    const labelled = LABELLED.exec(line);
    if (labelled === null || labelled[2] === "") continue;
    const label = withoutMarkup(labelled[1]);
    const isEquation = isQuantity(label);
    // Array holes (a `###` right below a `#`) would come out as undefined headings.
    found.push({
      line: index + 1,
      // `6,500 kg / 50 billion tokens = 0.13 g/million tokens` has no label: what stands first is a side, too.
      label: isEquation ? "" : label,
      sides: isEquation ? sidesOf(line, "") : sidesOf(labelled[2], label),
      sections: sections.filter((section) => section !== undefined),
    });
  }
  return found;
}
