// Dead inputs and units: what never changes on the data is taken out, its constant share folded into biases; may depend on model,
// runtime, rewrite, extremes and structure.
import type { ModelGraph, TensorRef } from "../../model/graph.ts";
import { readFloats } from "../../model/tensor-data.ts";
import { elementCount } from "../../model/tensor-value.ts";
import type { Dataset } from "../../runtime/dataset.ts";
import { variablesKey } from "../axis-rows.ts";
import type { WatchOptions } from "../calibrate.ts";
import { axisExtremes, type Extremes } from "../extremes.ts";
import { GraphDraft } from "../rewrite/draft.ts";
import { findLinearLayers, layerName, type LayerChoice } from "../rewrite/linear.ts";
import { findCoupling } from "../structure/coupling.ts";
import { cutUnits } from "../structure/cut.ts";
import { ColumnPicker, findReadings, type Reading } from "../structure/input-columns.ts";
import { biasPlace, shiftedBias } from "../structure/reconstruct.ts";
import { findRows } from "../structure/rows.ts";
import { made, refused, type TechniqueContext, type TechniqueResult } from "./technique.ts";

/** Positions that can go without a change, with the constant that each holds. */
async function constantsOf(
  { weight, weightAxis, padded, bias }: Pick<Reading, "weight" | "weightAxis" | "padded" | "bias">,
  extremes: Extremes | undefined,
): Promise<Map<number, number>> {
  const values = await readFloats(weight);
  const width = weight.shape[weightAxis];
  const inner = elementCount(weight.shape.slice(weightAxis + 1));
  const read = new Set<number>();
  values.forEach((value, at) => value !== 0 && read.add(Math.floor(at / inner) % width));
  const constants = new Map<number, number>();
  for (let position = 0; position < width; position++) {
    const [low, high] = [extremes?.low[position], extremes?.high[position]];
    // What is multiplied by zero alone need not be constant (though it must be a number, or zero times it is none).
    if (!read.has(position) && low !== undefined && Number.isFinite(low) && Number.isFinite(high))
      constants.set(position, 0);
    else if (low !== undefined && low === high && (low === 0 || (bias !== undefined && !padded)))
      constants.set(position, low);
  }
  return constants;
}

/** Takes out hidden units that are constant wherever they are read. */
async function withoutDeadUnits(
  model: ModelGraph,
  { layers }: LayerChoice,
  data: Dataset,
  options: WatchOptions,
): Promise<{ readonly model: ModelGraph; readonly notes: readonly string[] }> {
  const coupling = await findCoupling(model);
  const { atoms } = coupling;
  const draft = new GraphDraft(coupling.model);
  const uses = draft.useCounts();
  const layerOf = new Map(findLinearLayers(draft).map((layer) => [layer.nodes[0], layer]));
  const rows = findRows(coupling).rows.filter(
    (row) => layers === undefined || row.layers.some((name) => layers.includes(name)),
  );
  const reading = rows.flatMap(({ contractions }) => contractions);
  const extremes = await axisExtremes(coupling.model, reading, data, options);
  const gone: number[] = [];
  const weights = new Map<string, TensorRef>();
  const notes: string[] = [];
  for (const row of rows) {
    const dead = new Set(row.units);
    const constants = new Map<(typeof reading)[number], Map<number, number>>();
    for (const contraction of row.contractions) {
      const weight = draft.initializer(contraction.weight)!;
      const bias = uses.get(weight.name) === 1 ? biasPlace(layerOf.get(contraction.node), uses) : undefined;
      const found = await constantsOf({ ...contraction, weight, bias }, extremes.get(variablesKey(contraction)));
      constants.set(contraction, found);
      contraction.atoms.forEach((atom, position) => !found.has(position) && dead.delete(atoms.find(atom)));
    }
    // A row needs one unit, even if all it ever says is one number.
    if (dead.size === row.units.length) dead.delete(row.units[0]);
    for (const axis of row.axes)
      if ([...axis].every((atom) => dead.has(atoms.find(atom)))) dead.delete(atoms.find(axis[0]));
    if (dead.size === 0) continue;
    for (const [contraction, found] of constants) {
      const shifts = [...found].filter(([at, value]) => value !== 0 && dead.has(atoms.find(contraction.atoms[at])));
      const bias = biasPlace(layerOf.get(contraction.node), uses);
      if (shifts.length === 0 || bias === undefined) continue;
      const current = { ...bias, tensor: weights.get(bias.tensor.name) ?? bias.tensor };
      const shifted = await shiftedBias(
        draft.initializer(contraction.weight)!,
        contraction.weightAxis,
        new Map(shifts),
        current,
      );
      weights.set(shifted.name, shifted);
    }
    gone.push(...dead);
    notes.push(`${row.title}: ${dead.size} of ${row.units.length} ${row.kind} never change`);
  }
  return { model: gone.length === 0 ? model : cutUnits(coupling, gone, weights), notes };
}

/** Lets each layer read only the positions of its input that ever change, where that makes the file smaller. */
async function withoutDeadColumns(
  model: ModelGraph,
  choice: LayerChoice,
  data: Dataset,
  options: WatchOptions,
): Promise<{ readonly model: ModelGraph; readonly notes: readonly string[] }> {
  const draft = new GraphDraft(model);
  const picker = new ColumnPicker(draft);
  const readings = await findReadings(model, draft, choice);
  const extremes = await axisExtremes(model, readings, data, options);
  const notes: string[] = [];
  for (const reading of readings) {
    const { layer, weight, weightAxis, width, bias } = reading;
    const constants = await constantsOf(reading, extremes.get(variablesKey(reading)));
    if (constants.size === width) constants.delete(0);
    const kept = Array.from({ length: width }, (_, at) => at).filter((at) => !constants.has(at));
    if (constants.size === 0 || !picker.saves(reading, kept)) continue;
    const shifts = new Map([...constants].filter(([, constant]) => constant !== 0));
    if (shifts.size > 0) draft.setInitializer(await shiftedBias(weight, weightAxis, shifts, bias!));
    picker.keepOnly(reading, kept, weight);
    notes.push(`${layerName(layer)}: ${constants.size} of ${width} inputs never change`);
  }
  return { model: notes.length === 0 ? model : draft.finish(), notes };
}

/**
 * Takes out what never differs from a constant on the data: hidden units with all that makes them, and positions of inputs that cannot
 * go themselves (pixels that never light up), which the layers that read them then no longer look at. Constants other than zero go
 * into the bias of the layer that read them.
 *
 * On data like that the outputs are the same up to rounding; an input that was constant there and is not elsewhere is ignored from
 * then on.
 */
export async function deadInputs(
  model: ModelGraph,
  options: LayerChoice,
  context: Pick<TechniqueContext, "train" | "calibration" | "threads" | "signal">,
): Promise<TechniqueResult> {
  const { threads, signal } = context;
  const data = context.train ?? context.calibration;
  if (data === undefined) return refused("what never changes is seen on data, and none was given");
  const units = await withoutDeadUnits(model, options, data, { threads, signal });
  const columns = await withoutDeadColumns(units.model, options, data, { threads, signal });
  const notes = [...units.notes, ...columns.notes];
  if (notes.length === 0) return refused(`everything that is read changes somewhere in ${data.sampleCount} samples`);
  return made(columns.model, [...notes, `exact for inputs like the ${data.sampleCount} samples looked at`]);
}
