// A plain `.onnx` of the fewest bytes: weights stored sparse, shared or narrow and rebuilt, bit for bit, by standard operators
// that a runtime computes once when it loads the model; may depend on storage and rewrite.
import { encodeBfloat16, encodeFloat16 } from "../../io/half.ts";
import type { ModelGraph, TensorRef } from "../../model/graph.ts";
import { serializeOnnx } from "../../model/onnx/write.ts";
import { readFloats, tensorByteLength } from "../../model/tensor-data.ts";
import { GraphDraft } from "../rewrite/draft.ts";
import { raiseOpset } from "../rewrite/opset.ts";
import { BitSections } from "../storage/bit-sections.ts";
import { Decoder } from "../storage/decoder.ts";
import { minify } from "../storage/minify.ts";
import { planForms, type Form, type Weighed } from "../storage/plan.ts";
import { addSharedSection, emitIndexed, emitShared, sharedRow } from "../storage/shared-group.ts";
import { addSparseSections, emitSparse, sparseRow } from "../storage/sparse-group.ts";
import { bitsOf, weightStatistics } from "../storage/weight-statistics.ts";
import { made, refused, type TechniqueResult } from "./technique.ts";

/** First operator set in which Split takes its sizes as an input. */
const NEEDED_OPSET = 13;
/** Below this no form is smaller than the four bytes an element takes as it is, with the operators it needs. */
const SMALLEST_ELEMENTS = 16;
/** Tensors of one row are in memory together. */
const ROW_FORMS: readonly Form[] = ["sparse", "shared"];

async function weigh(tensors: readonly TensorRef[]): Promise<Weighed[]> {
  const weighed: Weighed[] = [];
  for (const tensor of tensors) {
    const statistics = weightStatistics(await readFloats(tensor));
    weighed.push({ ...statistics, name: tensor.name, rank: tensor.shape.length });
  }
  return weighed;
}

/** The bit patterns of tensors one after another, and how many each has. */
async function rowFrom(tensors: readonly TensorRef[]): Promise<{ bits: Uint32Array; sizes: number[] }> {
  const parts: Uint32Array[] = [];
  for (const tensor of tensors) parts.push(bitsOf(await readFloats(tensor)));
  const bits = new Uint32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bits.set(part, at);
    at += part.length;
  }
  return { bits, sizes: parts.map(({ length }) => length) };
}

/** Cuts a rebuilt row `[1, n]` into the tensors that lie in it. */
function distribute(row: string, tensors: readonly TensorRef[], sizes: readonly number[], decoder: Decoder): void {
  const pieces = decoder.split(row, sizes, 1);
  tensors.forEach(({ name, shape }, at) => {
    decoder.finish(name, "Reshape", [pieces[at], decoder.sizes(...shape)]);
  });
}

async function emitHalf(tensor: TensorRef, dtype: "float16" | "bfloat16", decoder: Decoder): Promise<void> {
  const narrow = dtype === "float16" ? encodeFloat16 : encodeBfloat16;
  const data = narrow(await readFloats(tensor));
  const stored = decoder.constant({ dtype, shape: tensor.shape, data });
  decoder.castTo(tensor.name, stored, "float32");
}

/** Replaces the tensors of the draft by operators that rebuild them. */
async function store(draft: GraphDraft, tensors: readonly TensorRef[], weighed: readonly Weighed[], forms: Form[]) {
  const decoder = new Decoder((stem) => draft.fresh(stem), draft.opset);
  const blob = new BitSections();
  const emitters: ((names: readonly string[]) => void)[] = [];
  for (const form of ROW_FORMS) {
    const members = tensors.filter((_, at) => forms[at] === form);
    if (members.length === 0) continue;
    const { bits, sizes } = await rowFrom(members);
    if (form === "sparse") {
      const sections = addSparseSections(sparseRow(bits), blob);
      emitters.push((names) => distribute(emitSparse(sections, names, decoder), members, sizes, decoder));
    } else {
      const row = sharedRow(bits);
      const section = addSharedSection(row, blob);
      emitters.push((names) => distribute(emitShared(row, names[section], decoder), members, sizes, decoder));
    }
  }
  if (emitters.length > 0) {
    const names = blob.emit(decoder);
    for (const emit of emitters) emit(names);
  }
  for (const [at, tensor] of tensors.entries()) {
    if (forms[at] === "half") await emitHalf(tensor, weighed[at].half!, decoder);
    else if (forms[at] === "indexed") {
      emitIndexed(sharedRow(bitsOf(await readFloats(tensor))), tensor.name, tensor.shape, decoder);
    }
  }
  for (const tensor of decoder.constants.values()) draft.setInitializer(tensor);
  draft.nodes = [...decoder.nodes, ...draft.nodes];
  for (const [at, { name }] of tensors.entries()) if (forms[at] !== "raw") draft.removeInitializer(name);
}

function describe(forms: readonly Form[]): string {
  const counts = new Map<Form, number>();
  for (const form of forms) counts.set(form, (counts.get(form) ?? 0) + 1);
  return [...counts].map(([form, count]) => `${count} ${form}`).join(", ");
}

/**
 * The same weights, bit for bit, in the smallest form that standard operators rebuild, and the shortest names.
 *
 * Runtimes that fold constants (ONNX Runtime does at every level but "disabled") rebuild them once, at load: speed and memory
 * afterwards are those of the plain model. Only the file gets smaller.
 */
export async function packed(model: ModelGraph): Promise<TechniqueResult> {
  const raised = await raiseOpset(model, NEEDED_OPSET);
  if (raised.kind === "refused") return refused(raised.reason);
  const draft = new GraphDraft(raised.model);
  const uses = draft.useCounts();
  const tensors = [...draft.constants.values()].filter(
    (tensor) =>
      tensor.dtype === "float32" &&
      uses.has(tensor.name) &&
      !draft.isOutput(tensor.name) &&
      tensorByteLength(tensor) >= 4 * SMALLEST_ELEMENTS,
  );
  const weighed = await weigh(tensors);
  const forms = planForms(weighed, draft.opset);
  await store(draft, tensors, weighed, forms);
  const smaller = minify(draft.finish());
  const plain = minify(new GraphDraft(model).finish());
  const stays = forms.every((form) => form === "raw") || (await isLarger(smaller, plain));
  return stays
    ? made(plain, ["no tensor takes fewer bytes in another form"])
    : made(smaller, [`weights stored ${describe(forms)}, rebuilt when the model is loaded`]);
}

/** Only small models can lose by operators and headers; a large one is not written twice to see it. */
const COMPARED_BYTES = 2 ** 24;

async function isLarger(candidate: ModelGraph, plain: ModelGraph): Promise<boolean> {
  const bytes = [...plain.graph.initializers.values()].reduce((sum, tensor) => sum + tensorByteLengthOrNone(tensor), 0);
  if (bytes > COMPARED_BYTES) return false;
  return (await serializeOnnx(candidate)).byteLength >= (await serializeOnnx(plain)).byteLength;
}

const tensorByteLengthOrNone = (tensor: TensorRef): number =>
  tensor.dtype === "string" ? 0 : tensorByteLength(tensor);
