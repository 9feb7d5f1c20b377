// Accuracy against a cost, each point with both its intervals, and the budget as a line; may depend on quantity and the theme.
import type { Figure, Method } from "../../quantity/figure.ts";
import { worstMethod } from "../../quantity/figure.ts";
import { formatNumber } from "../../quantity/format.ts";
import { placeLabels, type PlacedLabel } from "./place-labels.ts";
import { FONT, methodMark, type ChartTheme, type Shape } from "./theme.ts";

export interface FrontPoint {
  readonly label: string;
  readonly cost: Figure;
  /** A fraction of 1 when `percent`, else in the metric's own unit. */
  readonly quality: Figure;
  readonly standing: "original" | "narrow" | "accepted" | "refused";
  readonly chosen: boolean;
}

export interface FrontChart {
  readonly points: readonly FrontPoint[];
  readonly costTitle: string;
  readonly qualityTitle: string;
  /** Show quality as percent. */
  readonly percent: boolean;
  /** The lowest (or highest) quality that the budget allows. */
  readonly budget: { readonly quality: number; readonly label: string } | undefined;
}

/** What ECharts gives a custom series' drawing function, as far as it is used. */
interface DrawApi {
  coord(point: readonly [number, number]): [number, number];
}

const WHISKER_END = 4;
const LABEL_FONT = `11.5px ${FONT}`;

/** The chart as an ECharts option; cost on a logarithmic axis. */
export function frontChart(chart: FrontChart, theme: ChartTheme): Record<string, unknown> {
  const factor = chart.percent ? 100 : 1;
  const points = chart.points.filter(({ cost }) => cost.value > 0);
  const text = { color: theme.muted, fontFamily: FONT, fontSize: 12 };
  const unit = points[0]?.cost.unit ?? "";
  const [lowest, highest] = qualityRange(chart, factor);
  return {
    animation: false,
    grid: { left: 62, right: 28, top: 34, bottom: 52 },
    xAxis: {
      type: "log",
      name: chart.costTitle,
      nameLocation: "middle",
      nameGap: 34,
      nameTextStyle: text,
      // Bytes are grouped in powers of two, everything else in powers of ten.
      logBase: unit === "B" ? 2 : 10,
      ...logRange(points),
      axisLine: { lineStyle: { color: theme.line } },
      axisLabel: {
        ...text,
        formatter: (value: number) => formatNumber(value, unit, 2),
        hideOverlap: true,
        showMinLabel: false,
        showMaxLabel: false,
      },
      splitLine: { show: false },
      minorTick: { show: false },
    },
    yAxis: {
      type: "value",
      name: chart.qualityTitle,
      nameTextStyle: { ...text, align: "left", padding: [0, 0, 4, -50] },
      min: lowest,
      max: highest,
      axisLabel: { ...text, formatter: (value: number) => `${Number(value.toFixed(2))}${chart.percent ? " %" : ""}` },
      splitLine: { lineStyle: { color: theme.line, width: 1 } },
    },
    series: [
      {
        type: "custom",
        // One item draws all points: labels have to know of each other to keep clear.
        data: points.length === 0 ? [] : [[points[0].cost.value, points[0].quality.value * factor]],
        clip: false,
        renderItem: (_: unknown, api: DrawApi) => ({ type: "group", children: drawPoints(points, factor, api, theme) }),
        ...(chart.budget && { markLine: budgetLine(chart.budget, factor, theme) }),
      },
    ],
  };
}

function drawPoints(points: readonly FrontPoint[], factor: number, api: DrawApi, theme: ChartTheme): Shape[] {
  const placed = points.map((point) => ({ point, at: api.coord([point.cost.value, point.quality.value * factor]) }));
  const marks = placed.flatMap(({ point, at }) => drawPoint(point, at, factor, api, theme));
  const labels = placeLabels(placed.map(({ point, at: [x, y] }) => ({ text: point.label, x, y, first: point.chosen })));
  return [...marks, ...labels.flatMap((label) => drawLabel(label, theme))];
}

function drawPoint(
  { cost, quality, standing, chosen }: FrontPoint,
  [x, y]: readonly [number, number],
  factor: number,
  api: DrawApi,
  theme: ChartTheme,
): Shape[] {
  const [left] = api.coord([Math.max(cost.low, cost.value / 1e6), quality.value * factor]);
  const [right] = api.coord([cost.high, quality.value * factor]);
  const [, bottom] = api.coord([cost.value, quality.low * factor]);
  const [, top] = api.coord([cost.value, quality.high * factor]);
  const color = theme[standing];
  const line = (x1: number, y1: number, x2: number, y2: number): Shape => ({
    type: "line",
    shape: { x1, y1, x2, y2 },
    style: { stroke: color, lineWidth: 1.2, opacity: 0.65 },
  });
  const method: Method = worstMethod([cost.method, quality.method]);
  return [
    ...(right - left > 2 ? [line(left, y, right, y), ...endBars(left, right, y, line)] : []),
    line(x, top, x, bottom),
    line(x - WHISKER_END, top, x + WHISKER_END, top),
    line(x - WHISKER_END, bottom, x + WHISKER_END, bottom),
    ...methodMark(method, x, y, 5.5, color, theme.surface),
    ...(chosen ? [halo(x, y, color)] : []),
    ...(standing === "refused" ? [cross(x, y, color)] : []),
  ];
}

const endBars = (
  left: number,
  right: number,
  y: number,
  line: (x1: number, y1: number, x2: number, y2: number) => Shape,
): Shape[] => [left, right].map((x) => line(x, y - WHISKER_END, x, y + WHISKER_END));

const halo = (x: number, y: number, color: string): Shape => ({
  type: "circle",
  shape: { cx: x, cy: y, r: 10 },
  style: { fill: "none", stroke: color, lineWidth: 1.6 },
});

/** Refused points are crossed out: color alone would not tell. */
const cross = (x: number, y: number, color: string): Shape => ({
  type: "line",
  shape: { x1: x - 9, y1: y + 9, x2: x + 9, y2: y - 9 },
  style: { stroke: color, lineWidth: 1.6 },
});

function budgetLine(budget: { quality: number; label: string }, factor: number, theme: ChartTheme): unknown {
  return {
    silent: true,
    symbol: "none",
    data: [{ yAxis: budget.quality * factor }],
    lineStyle: { color: theme.refused, type: [6, 4], width: 1.4 },
    label: {
      formatter: budget.label,
      position: "insideEndTop",
      color: theme.refused,
      fontFamily: FONT,
      fontSize: 11.5,
    },
  };
}

function drawLabel({ text, x, y, pointX, pointY }: PlacedLabel, theme: ChartTheme): Shape[] {
  const leader: Shape = {
    type: "line",
    shape: { x1: pointX + 7, y1: pointY, x2: x - 2, y2: y },
    style: { stroke: theme.muted, lineWidth: 0.8 },
  };
  const words: Shape = {
    type: "text",
    // The outline keeps whiskers from striking the words through.
    style: {
      text,
      x,
      y,
      fill: theme.ink,
      stroke: theme.surface,
      lineWidth: 3.5,
      font: LABEL_FONT,
      verticalAlign: "middle",
    },
  };
  return Math.abs(y - pointY) > 12 ? [leader, words] : [words];
}

/** Room around the intervals; ECharts' own choice would begin at zero or cut whiskers. */
function qualityRange(chart: FrontChart, factor: number): [number, number] {
  const ends = chart.points.flatMap(({ quality }) => [quality.low, quality.high]);
  if (chart.budget !== undefined) ends.push(chart.budget.quality);
  if (ends.length === 0) return [0, 1];
  const [low, high] = [Math.min(...ends) * factor, Math.max(...ends) * factor];
  const room = Math.max((high - low) * 0.12, Math.abs(high) * 1e-4, 1e-9);
  const step = 10 ** Math.floor(Math.log10(room));
  const ceiling = chart.percent ? 100 : Infinity;
  return [Math.floor((low - room) / step) * step, Math.min(ceiling, Math.ceil((high + room) / step) * step)];
}

function logRange(points: readonly FrontPoint[]): { min?: number; max?: number } {
  const ends = points.flatMap(({ cost }) => [Math.max(cost.low, cost.value / 1e6), cost.high]);
  if (ends.length === 0) return {};
  // Labels stand to the right of their points, so that side needs more room.
  return { min: Math.min(...ends) / 1.15, max: Math.max(...ends) * 2.2 };
}
