// Colors, type and marks that every chart shares; may depend on quantity.
import type { Method } from "../../quantity/figure.ts";

/** Colors by role. The report gives CSS variables, a canvas gives plain colors. */
export interface ChartTheme {
  readonly ink: string;
  readonly muted: string;
  readonly line: string;
  readonly surface: string;
  readonly accepted: string;
  readonly refused: string;
  readonly original: string;
  readonly narrow: string;
}

/** Follows the page's light or dark colors; works in SVG that stands inside the page. */
export const CSS_THEME: ChartTheme = {
  ink: "var(--ink)",
  muted: "var(--muted)",
  line: "var(--line)",
  surface: "var(--surface)",
  accepted: "var(--accepted)",
  refused: "var(--refused)",
  original: "var(--original)",
  narrow: "var(--narrow)",
};

export const FONT = "ui-sans-serif, system-ui, 'Segoe UI', 'Helvetica Neue', Arial, 'Noto Sans CJK SC', sans-serif";

/** An element of ECharts' custom series, as far as the marks need it. */
export interface Shape {
  readonly type: "circle" | "line" | "text";
  readonly [key: string]: unknown;
}

/**
 * The mark of a method at a place: measured a disc, modelled a striped disc, declared a ring, assumed a broken ring.
 *
 * Shape tells them apart, so that nobody needs to see color.
 */
export function methodMark(
  method: Method,
  x: number,
  y: number,
  radius: number,
  color: string,
  surface: string,
): Shape[] {
  const circle = (style: Record<string, unknown>): Shape => ({
    type: "circle",
    shape: { cx: x, cy: y, r: radius },
    style: { lineWidth: 1.6, stroke: color, fill: surface, ...style },
  });
  if (method === "measured") return [circle({ fill: color })];
  if (method === "declared") return [circle({})];
  if (method === "assumed") return [circle({ lineDash: [2.5, 2.5] })];
  const stripes = [-0.5, 0, 0.5].map((share): Shape => {
    const half = radius * Math.sqrt(1 - share * share);
    const at = y + radius * share;
    return {
      type: "line",
      shape: { x1: x - half, y1: at, x2: x + half, y2: at },
      style: { stroke: color, fill: "none", lineWidth: radius / 3.2 },
    };
  });
  return [circle({}), ...stripes];
}
