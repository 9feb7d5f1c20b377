// `Decoder`: the standard operators that rebuild weights when a model is loaded, with every constant stored once; may depend on model.
import { int } from "../../model/attributes.ts";
import { node } from "../../model/build.ts";
import { DTYPES, type DType } from "../../model/dtype.ts";
import type { Attribute, Node, TensorRef } from "../../model/graph.ts";
import { memoryTensor } from "../../model/tensor-data.ts";
import { int64Tensor, type TensorValue } from "../../model/tensor-value.ts";

/** Nodes and constants that are being written. Names are unique and meaningless; `minify` gives the short ones. */
export class Decoder {
  readonly nodes: Node[] = [];
  readonly constants = new Map<string, TensorRef>();
  readonly #known = new Map<string, string>();
  readonly #fresh: (stem: string) => string;
  readonly opset: number;

  /** @param fresh gives a name that the model does not use */
  constructor(fresh: (stem: string) => string, opset: number) {
    this.#fresh = fresh;
    this.opset = opset;
  }

  /** The name of a constant; equal ones are the same one. */
  constant(value: TensorValue): string {
    const { dtype, shape, data } = value;
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    // Large constants are never equal by chance, and their text would be larger than they are.
    const key = bytes.byteLength > 64 ? "" : `${dtype}[${shape.join()}]${bytes.toString("hex")}`;
    const known = key === "" ? undefined : this.#known.get(key);
    if (known !== undefined) return known;
    const name = this.#fresh("c");
    const tensor = memoryTensor(name, value);
    // A size takes one or two bytes as a varint of a typed list, and eight as raw data.
    const isSizes = dtype === "int64" && tensor.data.kind === "memory";
    this.constants.set(name, isSizes ? { ...tensor, data: { ...tensor.data, typed: true } } : tensor);
    if (key !== "") this.#known.set(key, name);
    return name;
  }

  /** An int64 vector: shapes and sizes. */
  sizes(...values: number[]): string {
    return this.constant(int64Tensor([values.length], values));
  }

  /** Adds an operator with one output and gives the output's name. */
  apply(opType: string, inputs: readonly string[], attributes: Readonly<Record<string, Attribute>> = {}): string {
    const output = this.#fresh("d");
    this.nodes.push(node(opType, inputs, [output], attributes));
    return output;
  }

  cast(input: string, to: DType): string {
    return this.apply("Cast", [input], { to: int(DTYPES[to].code) });
  }

  /** The cast whose output is the rebuilt weight `name`. */
  castTo(name: string, input: string, to: DType): void {
    this.finish(name, "Cast", [input], { to: int(DTYPES[to].code) });
  }

  /** `data` `[1, n]` with `updates` put at `indices` along its row. */
  scatter(data: string, indices: string, updates: string): string {
    return this.apply("ScatterElements", [data, indices, updates], { axis: int(1) });
  }

  /** The `count` largest of `input` `[n]`, and where they stand: among equals the first come first. */
  topK(input: string, count: string): [values: string, places: string] {
    const outputs: [string, string] = [this.#fresh("d"), this.#fresh("d")];
    this.nodes.push(node("TopK", [input, count], outputs));
    return outputs;
  }

  /** Cuts `input` `[…]` along `axis` into pieces of the given sizes; a single piece is the input itself. */
  split(input: string, sizes: readonly number[], axis: number): string[] {
    if (sizes.length === 1) return [input];
    const outputs = sizes.map(() => this.#fresh("d"));
    this.nodes.push(node("Split", [input, this.sizes(...sizes)], outputs, axis === 0 ? {} : { axis: int(axis) }));
    return outputs;
  }

  /** Adds an operator whose output keeps the name that the model knows: the rebuilt weight. */
  finish(
    name: string,
    opType: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
  ) {
    this.nodes.push(node(opType, inputs, [name], attributes));
  }
}
