// Nodes that keep some positions of an axis, in whichever form takes the fewest bytes: a slice, or a gather with coded indices; may
// depend on model and rewrite.
import { int, ints } from "../../model/attributes.ts";
import { node } from "../../model/build.ts";
import type { Node } from "../../model/graph.ts";
import { int64Tensor } from "../../model/tensor-value.ts";
import type { GraphDraft } from "../rewrite/draft.ts";

/** ONNX's number of the type, for Cast. */
const INT32 = 6;
/** A node with its names and a small constant, as the file stores them; measured on the files that tests write. */
const NODE_BYTES = 60;
const CUMSUM_OPSET = 11;

interface Form {
  /** About how many bytes of file it takes. */
  readonly bytes: number;
  /** Adds its constants and gives its nodes. */
  readonly write: () => { readonly nodes: readonly Node[]; readonly output: string };
}

function sliced(draft: GraphDraft, value: string, axis: number, kept: readonly number[]): Form | undefined {
  const [start, end] = [kept[0], kept.at(-1)! + 1];
  if (end - start !== kept.length) return undefined;
  const write = () => {
    const output = draft.fresh(`${value}_live`);
    if (draft.opset < 10) {
      const attributes = { starts: ints([start]), ends: ints([end]), axes: ints([axis]) };
      return { nodes: [node("Slice", [value], [output], attributes)], output };
    }
    const operands = [start, end, axis].map((number) => draft.constant(`${output}_at`, int64Tensor([1], [number])));
    return { nodes: [node("Slice", [value, ...operands], [output])], output };
  };
  return { bytes: 4 * NODE_BYTES, write };
}

function gathered(draft: GraphDraft, value: string, axis: number, kept: readonly number[]): Form {
  const write = () => {
    const output = draft.fresh(`${value}_live`);
    const data = Int32Array.from(kept);
    const indices = draft.constant(`${output}_at`, { dtype: "int32", shape: [kept.length], data });
    return { nodes: [node("Gather", [value, indices], [output], { axis: int(axis) })], output };
  };
  return { bytes: 4 * kept.length + 2 * NODE_BYTES, write };
}

/** One byte an index: the distance from the one before, summed up again when the model is loaded. */
function gatheredByGaps(draft: GraphDraft, value: string, axis: number, kept: readonly number[]): Form | undefined {
  const gaps = kept.map((position, at) => position - (at === 0 ? 0 : kept[at - 1]));
  if (draft.opset < CUMSUM_OPSET || gaps.some((gap) => gap > 255)) return undefined;
  const write = () => {
    const output = draft.fresh(`${value}_live`);
    const data = Uint8Array.from(gaps);
    const coded = draft.constant(`${output}_gaps`, { dtype: "uint8", shape: [gaps.length], data });
    const along = draft.constant(`${output}_axis`, { dtype: "int32", shape: [], data: Int32Array.of(0) });
    const [wide, indices] = [draft.fresh(`${output}_wide`), draft.fresh(`${output}_at`)];
    const nodes = [
      node("Cast", [coded], [wide], { to: int(INT32) }),
      node("CumSum", [wide, along], [indices]),
      node("Gather", [value, indices], [output], { axis: int(axis) }),
    ];
    return { nodes, output };
  };
  return { bytes: kept.length + 5 * NODE_BYTES, write };
}

/**
 * The form of fewest bytes that keeps the positions in `kept` (ascending, not empty) of an axis of `value`.
 *
 * @example const { write } = picking(draft, "x", 1, [0, 3, 4]); const { nodes, output } = write();
 */
export function picking(draft: GraphDraft, value: string, axis: number, kept: readonly number[]): Form {
  const forms = [sliced, gatheredByGaps, gathered].flatMap((form) => form(draft, value, axis, kept) ?? []);
  return forms.reduce((best, form) => (form.bytes < best.bytes ? form : best));
}
