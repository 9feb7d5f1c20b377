// Thins rows of units out: the least wanted ones go, and the weights that read them are fitted to what is left; may depend on
// model, runtime, rewrite, second-moments and this folder.
import type { ModelGraph, TensorRef } from "../../model/graph.ts";
import type { Dataset } from "../../runtime/dataset.ts";
import type { WatchOptions } from "../calibrate.ts";
import { GraphDraft } from "../rewrite/draft.ts";
import { findLinearLayers } from "../rewrite/linear.ts";
import { variablesKey } from "../axis-rows.ts";
import { inPasses, secondMoments, type Moments } from "../second-moments.ts";
import { countAt, unitsToCut } from "./choose.ts";
import type { Coupling } from "./coupling.ts";
import type { Contraction } from "./coupling-call.ts";
import { keptPositions } from "./cut.ts";
import { biasPlace, mergedWeights, type BiasPlace } from "./reconstruct.ts";
import type { Row } from "./rows.ts";

/** Fitting costs the cube of the width: of wider rows only the size of their units is looked at. */
const WIDEST_FIT = 4096;

const widthOf = ({ atoms }: Contraction) => atoms.length;

export interface Thinned {
  /** Atoms of the units that go, for `cutUnits`. */
  readonly gone: readonly number[];
  /** Tensors fitted to the cut, for `cutUnits`. */
  readonly weights: ReadonlyMap<string, TensorRef>;
  readonly notes: readonly string[];
}

type MomentMap = ReadonlyMap<string, Moments>;

/** Moments of what a few products read: of all pairs, or of squares alone where that would be too much. */
async function momentsOf(
  coupling: Coupling,
  contractions: readonly Contraction[],
  data: Dataset,
  options: WatchOptions,
): Promise<MomentMap> {
  const [fitting, wide] = [true, false].map((fits) =>
    contractions.filter((each) => widthOf(each) <= WIDEST_FIT === fits),
  );
  const products = await secondMoments(coupling.model, fitting, data, { ...options, kind: "products" });
  const squares = await secondMoments(coupling.model, wide, data, { ...options, kind: "squares" });
  return new Map([...products, ...squares]);
}

interface Biases {
  readonly uses: ReadonlyMap<string, number>;
  /** Where a product takes up the means of what it no longer reads. */
  readonly biasOf: (contraction: Contraction) => BiasPlace | undefined;
}

function biasesOf(model: ModelGraph): Biases {
  const draft = new GraphDraft(model);
  const layers = new Map(findLinearLayers(draft).map((layer) => [layer.nodes[0], layer]));
  const uses = draft.useCounts();
  return { uses, biasOf: ({ node, padded }) => (padded ? undefined : biasPlace(layers.get(node), uses)) };
}

/** Least-squares weights for every product that loses inputs, pass by pass over the data. */
async function fittedWeights(
  coupling: Coupling,
  rows: readonly Row[],
  gone: readonly number[],
  { uses, biasOf }: Biases,
  known: (pass: readonly Contraction[]) => Promise<MomentMap>,
): Promise<Map<string, TensorRef>> {
  const { model } = coupling;
  const kept = keptPositions(coupling, gone);
  // A product that reads several rows is fitted once; what two operators share cannot be fitted to one of them.
  const losing = [...new Set(rows.flatMap(({ contractions }) => contractions))].filter((each) => {
    return widthOf(each) <= WIDEST_FIT && uses.get(each.weight) === 1 && kept(each.atoms).length < widthOf(each);
  });
  const weights = new Map<string, TensorRef>();
  for (const pass of inPasses(losing, (each) => [widthOf(each)])) {
    const moments = await known(pass);
    for (const contraction of pass) {
      const found = moments.get(variablesKey(contraction));
      if (found === undefined) continue;
      const weight = model.graph.initializers.get(contraction.weight)!;
      for (const tensor of await mergedWeights(
        contraction,
        weight,
        biasOf(contraction),
        found,
        kept(contraction.atoms),
      )) {
        weights.set(tensor.name, tensor);
      }
    }
  }
  return weights;
}

/**
 * Chooses in each row the share of units that stays and fits what reads them.
 *
 * With data the choice is weighted by activations and each product that loses inputs gets the least-squares weights for those
 * left; without, only the weights count and nothing is fitted.
 *
 * @param ratio share of each row's units that stays, 0 … 1
 */
export async function thin(
  coupling: Coupling,
  rows: readonly Row[],
  ratio: number,
  data: Dataset | undefined,
  options: WatchOptions,
): Promise<Thinned> {
  const none: MomentMap = new Map();
  const biases = biasesOf(coupling.model);
  const hasBias = (contraction: Contraction) => data !== undefined && biases.biasOf(contraction) !== undefined;
  const gone: number[] = [];
  const notes: string[] = [];
  const passes = inPasses(rows, ({ contractions }) => contractions.map(widthOf).filter((width) => width <= WIDEST_FIT));
  let last = none;
  for (const pass of passes) {
    const reading = pass.flatMap(({ contractions }) => contractions);
    last = data === undefined ? none : await momentsOf(coupling, reading, data, options);
    for (const row of pass) {
      const cut = await unitsToCut(coupling, row, last, hasBias, countAt(ratio, row.units.length));
      gone.push(...cut);
      notes.push(`${row.title}: ${row.kind} ${row.units.length} → ${row.units.length - cut.length}`);
    }
  }
  if (data === undefined) return { gone, weights: new Map(), notes };
  // What one pass saw of all rows need not be seen again.
  const known = async (pass: readonly Contraction[]) =>
    passes.length === 1 ? last : momentsOf(coupling, pass, data, options);
  return { gone, weights: await fittedWeights(coupling, rows, gone, biases, known), notes };
}
