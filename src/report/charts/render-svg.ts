// Draws an ECharts option as SVG without a browser; may depend on ECharts, which it loads when first used.
import { escapeHtml } from "../html.ts";

export interface Drawing {
  readonly option: Record<string, unknown>;
  /** Pixels of the drawing's own coordinates; the page scales it. */
  readonly width: number;
  readonly height: number;
  /** Read out instead of the picture. */
  readonly title: string;
  readonly description: string;
}

/** SVG markup with title and description, sized by its container. */
export async function renderSvg({ option, width, height, title, description }: Drawing): Promise<string> {
  const echarts = await loadEcharts();
  const chart = echarts.init(null, null, { renderer: "svg", ssr: true, width, height });
  try {
    chart.setOption(option);
    const markup = chart.renderToSVGString({ useViewBox: true });
    const opening =
      `<svg role="img" aria-label="${escapeHtml(title)}" viewBox="0 0 ${width} ${height}" xmlns="http://www.w3.org/2000/svg">` +
      `<title>${escapeHtml(title)}</title><desc>${escapeHtml(description)}</desc>`;
    return withoutInteraction(markup).replace(/^<svg[^>]*>/, opening);
  } finally {
    chart.dispose();
  }
}

/** Hover styles and the marks for scripts: a printed page has no pointer, and they are a third of the bytes. */
const withoutInteraction = (markup: string): string =>
  markup.replaceAll(/<style\b.*?<\/style>/gs, "").replaceAll(/ (?:ecmeta_\w+|class|pointer-events)="[^"]*"/g, "");

type Echarts = typeof import("echarts/core");
let loaded: Promise<Echarts> | undefined;

/** Only the parts that the charts use: the whole of ECharts takes several times as long to load. */
function loadEcharts(): Promise<Echarts> {
  loaded ??= (async () => {
    const [core, charts, components, renderers, features] = await Promise.all([
      import("echarts/core"),
      import("echarts/charts"),
      import("echarts/components"),
      import("echarts/renderers"),
      import("echarts/features"),
    ]);
    core.use([
      charts.BarChart,
      charts.CustomChart,
      charts.LineChart,
      charts.ScatterChart,
      components.GridComponent,
      components.LegendComponent,
      components.MarkLineComponent,
      features.LabelLayout,
      renderers.SVGRenderer,
    ]);
    return core;
  })();
  return loaded;
}
