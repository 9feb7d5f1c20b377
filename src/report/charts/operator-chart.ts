// The work of one inference by operator, one row an operator and one bar a model; may depend on quantity and the theme.
import { formatNumber } from "../../quantity/format.ts";
import { FONT, type ChartTheme } from "./theme.ts";

export interface OperatorSeries {
  readonly model: string;
  readonly standing: "original" | "narrow" | "accepted";
  readonly flopsByOperator: ReadonlyMap<string, number>;
}

// More rows than this are unreadable; the data table beside the chart has them all.
const MOST_ROWS = 12;

/** Operators by falling work over all models; those without work are left out. */
export function operatorRows(series: readonly OperatorSeries[]): string[] {
  const totals = new Map<string, number>();
  for (const { flopsByOperator } of series) {
    for (const [name, flops] of flopsByOperator) totals.set(name, (totals.get(name) ?? 0) + flops);
  }
  return [...totals]
    .filter(([, flops]) => flops > 0)
    .sort((a, b) => b[1] - a[1])
    .slice(0, MOST_ROWS)
    .map(([name]) => name);
}

/** The chart as an ECharts option; FLOPs on a logarithmic axis, since a network's operators differ by orders of magnitude. */
export function operatorChart(series: readonly OperatorSeries[], theme: ChartTheme): Record<string, unknown> {
  const rows = operatorRows(series);
  const text = { color: theme.muted, fontFamily: FONT, fontSize: 12 };
  return {
    animation: false,
    grid: { left: 190, right: 90, top: 34, bottom: 40 },
    legend: {
      top: 0,
      left: 0,
      itemWidth: 14,
      itemHeight: 10,
      itemGap: 22,
      icon: "rect",
      inactiveBorderColor: theme.line,
      itemStyle: { borderWidth: 0 },
      textStyle: { ...text, color: theme.ink },
    },
    xAxis: {
      type: "log",
      min: 1,
      axisLine: { show: false },
      axisTick: { show: false },
      axisLabel: { ...text, formatter: (value: number) => formatNumber(value, "FLOP", 2), hideOverlap: true },
      splitLine: { lineStyle: { color: theme.line } },
    },
    yAxis: {
      type: "category",
      inverse: true,
      data: rows,
      axisLabel: { ...text, color: theme.ink },
      axisLine: { lineStyle: { color: theme.line } },
      axisTick: { show: false },
    },
    series: series.map(({ model, standing, flopsByOperator }) => ({
      type: "bar",
      name: model,
      barMaxWidth: 14,
      itemStyle: { color: theme[standing] },
      data: rows.map((name) => flopsByOperator.get(name) || null),
      label: {
        show: true,
        position: "right",
        ...text,
        formatter: ({ value }: { value: number | null }) => (value === null ? "" : formatNumber(value, "FLOP", 3)),
      },
    })),
  };
}
