// Loss by epoch, one line a model; may depend on the theme.
import { FONT, type ChartTheme } from "./theme.ts";

export interface TrainingLine {
  readonly model: string;
  readonly standing: "original" | "narrow";
  readonly epochs: readonly { readonly epoch: number; readonly loss: number }[];
}

/** The chart as an ECharts option; lines differ by dash and are labeled at their end. */
export function trainingChart(
  lines: readonly TrainingLine[],
  axisTitle: string,
  theme: ChartTheme,
): Record<string, unknown> {
  const text = { color: theme.muted, fontFamily: FONT, fontSize: 12 };
  return {
    animation: false,
    grid: { left: 62, right: 130, top: 20, bottom: 46 },
    xAxis: {
      type: "value",
      name: axisTitle,
      nameLocation: "middle",
      nameGap: 28,
      nameTextStyle: text,
      min: 1,
      max: Math.max(...lines.flatMap(({ epochs }) => epochs.map(({ epoch }) => epoch)), 2),
      minInterval: 1,
      axisLabel: text,
      axisLine: { lineStyle: { color: theme.line } },
      axisTick: { lineStyle: { color: theme.line } },
      splitLine: { show: false },
    },
    yAxis: {
      type: "value",
      min: 0,
      axisLine: { show: false },
      axisTick: { show: false },
      axisLabel: text,
      splitLine: { lineStyle: { color: theme.line } },
    },
    series: lines.map(({ model, standing, epochs }) => ({
      type: "line",
      name: model,
      symbol: "circle",
      symbolSize: 6,
      lineStyle: { color: theme[standing], width: 2, type: standing === "original" ? "solid" : [6, 4] },
      itemStyle: {
        color: standing === "original" ? theme.original : theme.surface,
        borderColor: theme[standing],
        borderWidth: 1.5,
      },
      data: epochs.map(({ epoch, loss }) => [epoch, loss]),
      endLabel: { show: true, formatter: model, color: theme[standing], fontFamily: FONT, fontSize: 12 },
      labelLayout: { moveOverlap: "shiftY" },
    })),
  };
}
