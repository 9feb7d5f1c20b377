// What each candidate loses, as a row with its interval beside the budget; may depend on quantity and the theme.
import type { Figure } from "../../quantity/figure.ts";
import { FONT, methodMark, type ChartTheme, type Shape } from "./theme.ts";

export interface LossRow {
  readonly label: string;
  /** Positive is a loss. */
  readonly loss: Figure;
  readonly standing: "accepted" | "refused";
}

export interface LossChart {
  readonly rows: readonly LossRow[];
  readonly axisTitle: string;
  /** 100 shows a fraction as points. */
  readonly factor: number;
  readonly budget: { readonly loss: number; readonly label: string };
}

interface DrawApi {
  value(dimension: number): number;
  coord(point: readonly [number, number]): [number, number];
}

/** Pixels for each row; the caller makes the chart as high as its rows need. */
export const LOSS_ROW_HEIGHT = 30;
export const LOSS_FRAME_HEIGHT = 90;

/** The chart as an ECharts option: the further right, the more is lost. */
export function lossChart({ rows, axisTitle, factor, budget }: LossChart, theme: ChartTheme): Record<string, unknown> {
  const text = { color: theme.muted, fontFamily: FONT, fontSize: 12 };
  const ends = [...rows.flatMap(({ loss }) => [loss.low, loss.high]), 0, budget.loss].map((end) => end * factor);
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  const room = (high - low) * 0.06 || 1;
  return {
    animation: false,
    grid: { left: 300, right: 24, top: 34, bottom: 50 },
    xAxis: {
      type: "value",
      name: axisTitle,
      nameLocation: "middle",
      nameGap: 32,
      nameTextStyle: text,
      min: low - room,
      max: high + room,
      axisTick: { show: false },
      axisLabel: {
        ...text,
        formatter: (value: number) => String(Number(value.toPrecision(3))),
        showMinLabel: false,
        showMaxLabel: false,
      },
      splitLine: { showMinLine: false, showMaxLine: false, lineStyle: { color: theme.line } },
    },
    yAxis: {
      type: "category",
      inverse: true,
      data: rows.map(({ label }) => label),
      axisLabel: { ...text, color: theme.ink, width: 255, overflow: "truncate" },
      axisLine: { show: false },
      axisTick: { show: false },
    },
    series: [
      {
        type: "custom",
        data: rows.map(({ loss }, at) => [loss.value * factor, at, loss.low * factor, loss.high * factor]),
        encode: { x: [0, 2, 3], y: 1 },
        renderItem: (parameters: { dataIndex: number }, api: DrawApi) => ({
          type: "group",
          children: drawRow(rows[parameters.dataIndex], api, theme),
        }),
        markLine: {
          silent: true,
          symbol: "none",
          data: [
            {
              xAxis: 0,
              lineStyle: { color: theme.muted, type: "solid", width: 1 },
              label: { show: false },
            },
            {
              xAxis: budget.loss * factor,
              lineStyle: { color: theme.refused, type: [6, 4], width: 1.4 },
              label: { formatter: budget.label, color: theme.refused },
            },
          ],
          label: { fontFamily: FONT, fontSize: 11.5, position: "start" },
        },
      },
    ],
  };
}

function drawRow({ loss, standing }: LossRow, api: DrawApi, theme: ChartTheme): Shape[] {
  const [x, y] = api.coord([api.value(0), api.value(1)]);
  const [left] = api.coord([api.value(2), api.value(1)]);
  const [right] = api.coord([api.value(3), api.value(1)]);
  const color = theme[standing];
  const line = (x1: number, y1: number, x2: number, y2: number): Shape => ({
    type: "line",
    shape: { x1, y1, x2, y2 },
    style: { stroke: color, fill: "none", lineWidth: 1.8 },
  });
  return [
    line(left, y, right, y),
    line(left, y - 5, left, y + 5),
    line(right, y - 5, right, y + 5),
    ...methodMark(loss.method, x, y, 5.5, color, theme.surface),
    ...(standing === "refused" ? [line(x - 9, y + 9, x + 9, y - 9)] : []),
  ];
}
