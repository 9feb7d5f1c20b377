// Accuracy against a cost, each point with both its intervals, and the budget as a line; may depend on quantity and the theme.
import type { Figure, Method } from "../../quantity/figure.ts";
import { worstMethod } from "../../quantity/figure.ts";
import { formatNumber } from "../../quantity/format.ts";
import { niceScale, type Scale } from "./nice-scale.ts";
import { placeLabels, type Frame, type PlacedLabel } from "./place-labels.ts";
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
  const quality = qualityScale(chart, factor);
  const cost = costRange(points);
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
      ...cost,
      axisLine: { lineStyle: { color: theme.line } },
      axisTick: { lineStyle: { color: theme.line } },
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
      ...quality,
      axisLine: { show: false },
      axisTick: { show: false },
      axisLabel: { ...text, formatter: (value: number) => `${Number(value.toFixed(2))}${chart.percent ? " %" : ""}` },
      splitLine: { lineStyle: { color: theme.line, width: 1 } },
    },
    series: [
      {
        type: "custom",
        // One item draws all points: labels have to know of each other to keep clear.
        data: points.length === 0 ? [] : [[points[0].cost.value, points[0].quality.value * factor]],
        clip: false,
        renderItem: ({ coordSys }: { coordSys: Frame }, api: DrawApi) => ({
          type: "group",
          children: drawPoints(points, { factor, lowestCost: cost.min, frame: coordSys }, api, theme),
        }),
        ...(chart.budget && { markLine: budgetLine(chart.budget, factor, theme) }),
      },
    ],
  };
}

interface Drawing {
  readonly factor: number;
  readonly lowestCost: number;
  readonly frame: Frame;
}

function drawPoints(points: readonly FrontPoint[], drawing: Drawing, api: DrawApi, theme: ChartTheme): Shape[] {
  const { factor, frame } = drawing;
  const placed = points.map((point) => ({ point, at: api.coord([point.cost.value, point.quality.value * factor]) }));
  const marks = placed.flatMap(({ point, at }) => drawPoint(point, at, drawing, api, theme));
  const named = placed.filter(({ point }) => isNamed(point, points));
  const labels = placeLabels(
    named.map(({ point, at: [x, y] }) => ({ text: point.label, x, y, first: point.chosen })),
    frame,
  );
  return [...marks, ...labels.flatMap((label) => drawLabel(label, theme))];
}

/** The chosen one, the models it is measured against, and what no other beats in both directions; more names would cover each other. */
function isNamed(point: FrontPoint, points: readonly FrontPoint[]): boolean {
  if (point.chosen || point.standing === "original" || point.standing === "narrow") return true;
  return !points.some(
    (other) =>
      other !== point &&
      other.cost.value <= point.cost.value &&
      other.quality.value >= point.quality.value &&
      (other.cost.value < point.cost.value || other.quality.value > point.quality.value),
  );
}

function drawPoint(
  { cost, quality, standing, chosen }: FrontPoint,
  [x, y]: readonly [number, number],
  { factor, lowestCost }: Drawing,
  api: DrawApi,
  theme: ChartTheme,
): Shape[] {
  // An interval that reaches (nearly) to zero has no end on a logarithmic axis: it runs out of the frame without a bar.
  const reachesOut = cost.low < lowestCost;
  const [left] = api.coord([Math.max(cost.low, lowestCost), quality.value * factor]);
  const [right] = api.coord([cost.high, quality.value * factor]);
  const [, bottom] = api.coord([cost.value, quality.low * factor]);
  const [, top] = api.coord([cost.value, quality.high * factor]);
  const color = theme[standing];
  const line = (x1: number, y1: number, x2: number, y2: number): Shape => ({
    type: "line",
    shape: { x1, y1, x2, y2 },
    style: { stroke: color, fill: "none", lineWidth: 1.2, opacity: 0.65 },
  });
  const method: Method = worstMethod([cost.method, quality.method]);
  return [
    ...(right - left > 2 ? [line(left, y, right, y), ...endBars(reachesOut ? [right] : [left, right], y, line)] : []),
    line(x, top, x, bottom),
    line(x - WHISKER_END, top, x + WHISKER_END, top),
    line(x - WHISKER_END, bottom, x + WHISKER_END, bottom),
    ...methodMark(method, x, y, 5.5, color, theme.surface),
    ...(chosen ? [halo(x, y, color)] : []),
    ...(standing === "refused" ? [cross(x, y, color)] : []),
  ];
}

const endBars = (
  ends: readonly number[],
  y: number,
  line: (x1: number, y1: number, x2: number, y2: number) => Shape,
): Shape[] => ends.map((x) => line(x, y - WHISKER_END, x, y + WHISKER_END));

const halo = (x: number, y: number, color: string): Shape => ({
  type: "circle",
  shape: { cx: x, cy: y, r: 10 },
  style: { fill: "none", stroke: color, lineWidth: 1.6 },
});

/** Refused points are crossed out: color alone would not tell. */
const cross = (x: number, y: number, color: string): Shape => ({
  type: "line",
  shape: { x1: x - 9, y1: y + 9, x2: x + 9, y2: y - 9 },
  style: { stroke: color, fill: "none", lineWidth: 1.6 },
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

function drawLabel({ text, x, y, width, pointX, pointY }: PlacedLabel, theme: ChartTheme): Shape[] {
  const nearEnd = x > pointX ? x - 2 : x + width + 2;
  const leader: Shape = {
    type: "line",
    shape: { x1: pointX, y1: pointY, x2: nearEnd, y2: y },
    style: { stroke: theme.muted, fill: "none", lineWidth: 0.8, opacity: 0.7 },
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
function qualityScale(chart: FrontChart, factor: number): Scale {
  const ends = chart.points.flatMap(({ quality }) => [quality.low, quality.high]);
  if (chart.budget !== undefined) ends.push(chart.budget.quality);
  const scale = niceScale(Math.min(...ends) * factor, Math.max(...ends) * factor);
  return ends.length === 0 ? { min: 0, max: 1, interval: 1 } : scale;
}

/** From below the smallest to beyond the largest, and as much of the intervals as leaves the points room. */
function costRange(points: readonly FrontPoint[]): { readonly min: number; readonly max: number } {
  if (points.length === 0) return { min: 1, max: 10 };
  const smallest = Math.min(...points.map(({ cost }) => cost.value));
  const lowest = Math.min(...points.map(({ cost }) => cost.low));
  // Labels stand to the right of their points, so that side has more room.
  return { min: Math.max(lowest, smallest / 8) / 1.15, max: Math.max(...points.map(({ cost }) => cost.high)) * 1.5 };
}
