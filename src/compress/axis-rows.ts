// Lays the positions of chosen axes out as rows inside a graph, for statistics that ONNX Runtime computes as it runs; may depend on
// model and rewrite.
import { ints } from "../model/attributes.ts";
import { node } from "../model/build.ts";
import type { Attribute, ModelGraph } from "../model/graph.ts";
import { inferShapes } from "../model/shapes/infer.ts";
import { typeIn } from "../model/shapes/inference.ts";
import { int64Tensor } from "../model/tensor-value.ts";
import type { GraphDraft } from "./rewrite/draft.ts";

/** A tensor and the axis whose positions are the variables; all its other positions are observations. */
export interface Variables {
  readonly value: string;
  /** -1 is the last, whatever the rank. */
  readonly axis: number;
  /** Where the caller knows it, the shape need not be known in advance; of the last axis only. */
  readonly width?: number;
}

/** By which results about variables are found. */
export const variablesKey = ({ value, axis }: Variables): string => `${value}@${axis}`;

/** Variables of which rank and number are known before the model runs. */
export interface KnownVariables {
  readonly variables: Variables;
  /** Undefined for the last axis, which needs none. */
  readonly rank: number | undefined;
  readonly width: number;
}

/** Those of `wanted` that are float32 and of known width, each once. @throws LightfootError as `inferShapes` */
export async function knownVariables(model: ModelGraph, wanted: readonly Variables[]): Promise<KnownVariables[]> {
  const { root } = await inferShapes(model);
  const unique = [...new Map(wanted.map((each) => [variablesKey(each), each])).values()];
  return unique.flatMap((variables): KnownVariables[] => {
    if (variables.axis === -1 && variables.width !== undefined) {
      return [{ variables, width: variables.width, rank: undefined }];
    }
    const type = typeIn(root, variables.value);
    const shape = type?.kind === "tensor" && type.dtype === "float32" ? type.shape : undefined;
    const width = shape?.at(variables.axis);
    return typeof width === "number" && shape !== undefined ? [{ variables, width, rank: shape.length }] : [];
  });
}

/** Adds nodes to a draft that work on one set of variables; all operators used exist since opset 7. */
export class RowNodes {
  readonly #draft: GraphDraft;
  readonly #stem: string;
  /** `[width, observations]`. */
  readonly rows: string;
  /** `[1, width, observations]`: what pools over all places of a channel take. */
  readonly channels: string;

  constructor(draft: GraphDraft, { variables, rank, width }: KnownVariables) {
    this.#draft = draft;
    this.#stem = `rows_${variablesKey(variables)}`;
    const { value, axis } = variables;
    if (rank === undefined) {
      this.rows = this.emit("Transpose", [this.shaped(value, [-1, width])], { perm: ints([1, 0]) });
    } else {
      const axes = Array.from({ length: rank }, (_, at) => at);
      const first = axes.at(axis)!;
      const upright = this.emit("Transpose", [value], { perm: ints([first, ...axes.filter((at) => at !== first)]) });
      this.rows = this.shaped(upright, [width, -1]);
    }
    this.channels = this.shaped(this.rows, [1, width, -1]);
  }

  emit(opType: string, inputs: readonly string[], attributes: Record<string, Attribute> = {}): string {
    const name = this.#draft.fresh(`${this.#stem}_${opType}`);
    this.#draft.nodes.push(node(opType, inputs, [name], attributes));
    return name;
  }

  shaped(value: string, shape: readonly number[]): string {
    const sizes = this.#draft.constant(`${this.#stem}_shape`, int64Tensor([shape.length], shape));
    return this.emit("Reshape", [value, sizes]);
  }
}
