// Weights stored in 16 bits and widened to float32 when a runtime loads the model; may depend on io, model and rewrite.
import { decodeBfloat16, decodeFloat16, encodeBfloat16, encodeFloat16 } from "../../io/half.ts";
import { OpenFiles } from "../../io/file-range.ts";
import { int } from "../../model/attributes.ts";
import { node as operator } from "../../model/build.ts";
import { DTYPES } from "../../model/dtype.ts";
import type { ModelGraph, TensorRef } from "../../model/graph.ts";
import { floatPieces } from "../../model/tensor-data.ts";
import { elementCount } from "../../model/tensor-value.ts";
import { GraphDraft } from "../rewrite/draft.ts";
import { chosenLayers, findLinearLayers, type LayerChoice, type LinearLayer } from "../rewrite/linear.ts";
import { raiseOpset } from "../rewrite/opset.ts";
import { made, refused, type TechniqueResult } from "./technique.ts";

export interface HalfOptions extends LayerChoice {
  /** `float16`: 11 significant bits, up to 65504. `bfloat16`: 8 significant bits, the range of float32. */
  readonly dtype: "float16" | "bfloat16";
}

/** Below this the operator that widens a tensor takes more bytes than are saved. */
const WORTH_CASTING = 128;

const FORMATS = {
  // `roundoff` is the largest relative error of rounding within the normal range. First operator set with a Cast from the type.
  float16: { roundoff: 2 ** -11, opset: 6, encode: encodeFloat16, decode: decodeFloat16 },
  bfloat16: { roundoff: 2 ** -8, opset: 13, encode: encodeBfloat16, decode: decodeBfloat16 },
} as const;

/** Why a tensor loses more than the format's rounding, or undefined where it does not. */
async function rangeLoss(tensor: TensorRef, { dtype }: HalfOptions): Promise<string | undefined> {
  const { roundoff, encode, decode } = FORMATS[dtype];
  let signal = 0;
  let noise = 0;
  const files = new OpenFiles();
  try {
    for await (const piece of floatPieces(tensor, files)) {
      const back = decode(encode(piece));
      for (let at = 0; at < piece.length; at++) {
        // Infinite before or after: overflow, or a weight that is no number to begin with.
        if (!Number.isFinite(back[at])) return `${piece[at]} is beyond its range`;
        signal += piece[at] ** 2;
        noise += (piece[at] - back[at]) ** 2;
      }
    }
  } finally {
    await files.close();
  }
  return noise <= roundoff ** 2 * signal ? undefined : "its numbers are too small for it";
}

async function narrowed(tensor: TensorRef, { dtype }: HalfOptions): Promise<Uint16Array> {
  const bits = new Uint16Array(elementCount(tensor.shape));
  const files = new OpenFiles();
  try {
    let done = 0;
    for await (const piece of floatPieces(tensor, files)) {
      bits.set(FORMATS[dtype].encode(piece), done);
      done += piece.length;
    }
  } finally {
    await files.close();
  }
  return bits;
}

const constantsOf = (layers: readonly LinearLayer[]): Set<string> =>
  new Set(layers.flatMap(({ weight, bias }) => (bias === undefined ? [weight.name] : [weight.name, bias.name])));

/**
 * Stores float32 weights in 16 bits, with a `Cast` back to float32 that runtimes compute once at load: half the file, the same kernels
 * and speed, any processor. Memory does not shrink.
 *
 * A tensor stays float32 where 16 bits would lose more than rounding: when a number overflows, or when what falls below the smallest
 * normal number weighs, so that `‖w − ŵ‖ > u·‖w‖` with u = 2^-11 (float16) or 2^-8 (bfloat16). Notes name it. With `layers`, weights and
 * biases of those layers alone.
 *
 * @returns refused when no tensor qualifies, or the model's operator set is too old for the Cast
 */
export async function half(model: ModelGraph, options: HalfOptions): Promise<TechniqueResult> {
  const { dtype } = options;
  const raised = await raiseOpset(model, FORMATS[dtype].opset);
  if (raised.kind === "refused") return raised;
  const draft = new GraphDraft(raised.model);
  const uses = draft.useCounts();
  const wanted = options.layers === undefined ? undefined : constantsOf(chosenLayers(findLinearLayers(draft), options));
  const notes: string[] = [];
  let stored = 0;
  for (const tensor of draft.constants.values()) {
    const { name, shape } = tensor;
    const isWeight = tensor.dtype === "float32" && elementCount(shape) >= WORTH_CASTING;
    if (!isWeight || !uses.has(name) || draft.isOutput(name) || wanted?.has(name) === false) continue;
    const loss = await rangeLoss(tensor, options);
    if (loss !== undefined) {
      notes.push(`'${name}' stays float32: in ${dtype} ${loss}`);
      continue;
    }
    const narrow = draft.computed(`${name}_h`, { dtype, shape }, () => narrowed(tensor, options));
    draft.replaceConstant(name, operator("Cast", [narrow], [name], { to: int(DTYPES.float32.code) }));
    stored += 1;
  }
  if (stored === 0)
    return refused([`no float32 weight of ${WORTH_CASTING} elements can be stored in ${dtype}`, ...notes].join("; "));
  return made(draft.finish(), notes);
}
