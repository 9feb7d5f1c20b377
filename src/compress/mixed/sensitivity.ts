// How sensitive each layer is to each scheme, and what each saves: one calibration run, then every layer alone; may depend on model, runtime
// and this room.
import { analyze } from "../../cost/analyze.ts";
import type { ModelGraph } from "../../model/graph.ts";
import type { TensorValue } from "../../model/tensor-value.ts";
import { bindDataset } from "../../runtime/bind-dataset.ts";
import { sliceDataset, type Dataset } from "../../runtime/dataset.ts";
import { openModel } from "../../runtime/model-session.ts";
import { throwIfStopped } from "../../runtime/stop-signal.ts";
import type { SensitivityRow } from "../candidate-schema.ts";
import { sampleShapes } from "../profile.ts";
import { GraphDraft } from "../rewrite/draft.ts";
import { findLinearLayers, layerName, type LinearLayer } from "../rewrite/linear.ts";
import { TECHNIQUES } from "../techniques/registry.ts";
import type { Step, TechniqueContext } from "../techniques/technique.ts";
import { asDataset, captureInputs } from "./layer-inputs.ts";
import { layerCosts, relativeError, type LayerCost, type NoCost, type Specimen, TimeTable } from "./layer-costs.ts";
import { layerModel } from "./layer-model.ts";
import { FLOAT, PROBE, SCHEMES } from "./scheme-catalogue.ts";

/** Samples that the errors are found on. */
const COMPARED_SAMPLES = 64;
/** Multiply-adds that the runs of the whole model may take together: large models are run on fewer samples. */
const MOST_END_MACS = 2e11;

const PROBING = new Map([[PROBE, SCHEMES.get(PROBE)]]);

export interface SensitivityOptions {
  /** Steps by the name of the scheme, as `schemesOf` gives them. */
  readonly schemes: ReadonlyMap<string, Step>;
  /** Batch size at which layers are timed; undefined: they are not. */
  readonly timedBatch: number | undefined;
  readonly useDiskCache: boolean;
  readonly data: Dataset;
  readonly context: TechniqueContext;
  readonly onLayer: (done: number, layers: number) => void;
}

/** The table of all layers. @throws LightfootError E_RUNTIME, E_DATA, E_INTERRUPTED */
export async function sensitivities(whole: ModelGraph, options: SensitivityOptions): Promise<SensitivityRow[]> {
  const { data, context, timedBatch } = options;
  const draft = new GraphDraft(whole);
  const model = draft.finish();
  const layers = findLinearLayers(draft);
  const names = layers.map(({ input }) => input);
  const compared = await captureInputs(model, names, data, COMPARED_SAMPLES, context);
  const timed = timedBatch === undefined ? undefined : await captureInputs(model, names, data, timedBatch, context);
  const times = new TimeTable(context.threads, options.useDiskCache);
  const schemes = new Map([[FLOAT, undefined], ...options.schemes]);
  const end = await EndErrors.open(model, data, layers.length, context);
  const rows: SensitivityRow[] = [];
  for (const [done, layer] of layers.entries()) {
    throwIfStopped(context.signal, "the measurement of layers");
    options.onLayer(done, layers.length);
    const input = compared.get(layer.input);
    if (input === undefined) continue;
    const specimen: Specimen = {
      model: layerModel(model, layer, input.shape, (name) => draft.initializer(name)),
      output: layer.output,
      shapeKey: shapeKey(layer, timed?.get(layer.input)),
      compared: asDataset(layer.input, input.read()),
      timed: timed === undefined ? undefined : asDataset(layer.input, (timed.get(layer.input) ?? input).read()),
    };
    const costs = await layerCosts(specimen, schemes, context, times);
    rows.push(rowOf(layer, costs, await gainOf(specimen, costs, end, context, times)));
  }
  return rows;
}

const isCost = (cost: LayerCost | NoCost): cost is LayerCost => "error" in cost;

type Costs = ReadonlyMap<string, LayerCost | NoCost>;

/** Error at the model's end over the layer's own, under one scheme; null where nobody can say. */
async function gainOf(
  specimen: Specimen,
  costs: Costs,
  end: EndErrors | undefined,
  context: TechniqueContext,
  times: TimeTable,
): Promise<number | null> {
  if (end === undefined) return null;
  const known = costs.has(PROBE) ? costs : await layerCosts({ ...specimen, timed: undefined }, PROBING, context, times);
  const errors = [...new Map([...costs, ...known])].flatMap(([id, cost]) =>
    isCost(cost) && cost.error > 0 && cost.error < 1 ? [{ id, error: cost.error }] : [],
  );
  // Where 16 bits change nothing: the loudest error, which stands out most clearly from rounding at the end.
  const probe = errors.find(({ id }) => id === PROBE) ?? errors.toSorted((a, b) => b.error - a.error)[0];
  const atEnd = probe === undefined ? undefined : await end.errorOf(specimen.output, probe.id);
  return atEnd === undefined || probe === undefined ? null : atEnd / probe.error;
}

function rowOf(layer: LinearLayer, costs: Costs, gain: number | null): SensitivityRow {
  return {
    layer: layer.output,
    title: layerName(layer),
    kind: layer.kind,
    weightShape: [...layer.weight.shape],
    gain,
    schemes: [...costs].map(([id, cost]) =>
      isCost(cost)
        ? { id, storedBytes: cost.storedBytes, seconds: cost.seconds, error: cost.error, reason: null }
        : { id, storedBytes: null, seconds: null, error: null, reason: cost.reason },
    ),
  };
}

const shapeKey = (layer: LinearLayer, input: Pick<TensorValue, "shape"> | undefined): string =>
  JSON.stringify([
    layer.nodes.map(({ opType, attributes }) => [
      opType,
      [...attributes].map(([name, attribute]) => `${name} ${Object.values(attribute).join()}`),
    ]),
    layer.weight.shape,
    input?.shape ?? [],
  ]);

/** Runs the whole model with one layer changed and compares its first output with the original's. */
class EndErrors {
  readonly #model: ModelGraph;
  readonly #samples: Dataset;
  readonly #context: TechniqueContext;
  readonly #wanted: Float32Array;

  private constructor(model: ModelGraph, samples: Dataset, context: TechniqueContext, wanted: Float32Array) {
    this.#model = model;
    this.#samples = samples;
    this.#context = context;
    this.#wanted = wanted;
  }

  /** Undefined when even one sample a layer would take too long, or the output is no float tensor. */
  static async open(
    model: ModelGraph,
    data: Dataset,
    layers: number,
    context: TechniqueContext,
  ): Promise<EndErrors | undefined> {
    const { macs } = await analyze(model, { inputs: sampleShapes(model, data) });
    const affordable = Math.floor(MOST_END_MACS / (macs * layers));
    if (affordable === 0) return undefined;
    const samples = sliceDataset(data, 0, Math.min(COMPARED_SAMPLES, data.sampleCount, affordable));
    const wanted = await endOf(model, samples, context.threads);
    return wanted instanceof Float32Array ? new EndErrors(model, samples, context, wanted) : undefined;
  }

  async errorOf(layer: string, scheme: string): Promise<number | undefined> {
    const { technique, options } = SCHEMES.get(scheme)!;
    const result = await TECHNIQUES[technique](this.#model, { ...options, layers: [layer] }, this.#context);
    if (result.kind === "refused") return undefined;
    const found = await endOf(result.model, this.#samples, this.#context.threads);
    const error = found instanceof Float32Array ? relativeError(this.#wanted, found) : Number.NaN;
    return Number.isFinite(error) ? error : undefined;
  }
}

async function endOf(model: ModelGraph, samples: Dataset, threads: number | undefined) {
  const session = await openModel(model, { threads, name: "sensitivity" });
  try {
    const bound = bindDataset(samples, session.inputs);
    const { feeds } = bound.feeds(0, Math.min(bound.fixedBatch ?? samples.sampleCount, samples.sampleCount));
    const { name } = session.outputs[0];
    return (await session.run(feeds, [name]))[name].data;
  } finally {
    await session.close();
  }
}
