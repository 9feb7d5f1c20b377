// Small pictures inside text: the mark of a method, and an interval strip for a card; may depend on quantity and html.
import type { Figure, Method } from "../quantity/figure.ts";
import { html, type Html } from "./html.ts";

/** The same four shapes as in the charts: disc, striped disc, ring, broken ring. */
export function methodGlyph(method: Method, label: string): Html {
  const ring = html`<circle cx="6" cy="6" r="4.6" fill="none" stroke="currentColor" stroke-width="1.5" />`;
  const shape = {
    measured: html`<circle cx="6" cy="6" r="5.2" fill="currentColor" />`,
    modelled: html`${ring}<path d="M1.6 4h8.8M1.2 6h9.6M1.6 8h8.8" stroke="currentColor" stroke-width="1.1" />`,
    declared: ring,
    assumed: html`<circle
      cx="6"
      cy="6"
      r="4.6"
      fill="none"
      stroke="currentColor"
      stroke-width="1.5"
      stroke-dasharray="2.4 2.4"
    />`,
  }[method];
  return html`<svg class="mark" viewBox="0 0 12 12" role="img" aria-label="${label}">
    <title>${label}</title>
    ${shape}
  </svg>`;
}

interface StripRow {
  readonly figure: Figure;
  readonly color: "original" | "accepted" | "refused";
  readonly label: string;
}

const STRIP = { width: 240, rowHeight: 16, left: 4, right: 236 };

/** Two or more intervals on one scale, from the smallest end to the largest; exact values are a single mark. */
export function intervalStrip(rows: readonly StripRow[]): Html {
  const ends = rows.flatMap(({ figure }) => [figure.low, figure.high]);
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  const place = (value: number) =>
    high > low ? STRIP.left + 6 + ((value - low) / (high - low)) * (STRIP.right - STRIP.left - 12) : STRIP.width / 2;
  const height = rows.length * STRIP.rowHeight + 4;
  return html`<svg
    viewBox="0 0 ${STRIP.width} ${height}"
    role="img"
    aria-label="${rows.map(({ label }) => label).join("; ")}"
  >
    ${rows.map(({ figure, color, label }, at) => {
      const y = (at + 0.5) * STRIP.rowHeight + 2;
      const [from, middle, to] = [figure.low, figure.value, figure.high].map((end) => place(end).toFixed(1));
      return html`<g stroke="var(--${color})" fill="var(--${color})"
        ><title>${label}</title>
        <line x1="${STRIP.left}" x2="${STRIP.right}" y1="${y}" y2="${y}" stroke="var(--line)" stroke-width="1" />
        <line x1="${from}" x2="${to}" y1="${y}" y2="${y}" stroke-width="3" opacity=".55" stroke-linecap="round" />
        ${stripMark(figure.method, Number(middle), y, color)}</g
      >`;
    })}
  </svg>`;
}

function stripMark(method: Method, x: number, y: number, color: string): Html {
  if (method === "measured") return html`<circle cx="${x}" cy="${y}" r="5" stroke="none" />`;
  const dash = method === "assumed" ? "2.4 2.4" : "none";
  const ring = html`<circle
    cx="${x}"
    cy="${y}"
    r="4.6"
    fill="var(--surface)"
    stroke-width="1.5"
    stroke-dasharray="${dash}"
  />`;
  if (method !== "modelled") return ring;
  const stripes = `M${x - 3.8} ${y - 2}h7.6M${x - 4.4} ${y}h8.8M${x - 3.8} ${y + 2}h7.6`;
  return html`${ring}<path d="${stripes}" stroke="var(--${color})" stroke-width="1.1" />`;
}
