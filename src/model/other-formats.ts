// Files that people hand over in the place of an ONNX model, told by their first bytes; depends on nothing.

/** As many bytes as `otherFormat` looks at. */
export const HEAD_BYTES = 16;

export interface OtherFormat {
  /** Ready to stand after "the file is". */
  readonly format: string;
  /** How to come to an ONNX file. */
  readonly hint?: string;
}

const FROM_PYTORCH = "Export it first: torch.onnx.export(model, example_inputs, 'model.onnx').";

/* oxlint-disable no-control-regex -- first bytes of binary files are control characters */
const FORMATS: readonly (OtherFormat & { readonly start: RegExp })[] = [
  { start: /^PK\x03\x04/, format: "a zip archive (of PyTorch or Keras, perhaps)", hint: FROM_PYTORCH },
  { start: /^\x80[\x02-\x05]/, format: "a Python pickle (of PyTorch, perhaps)", hint: FROM_PYTORCH },
  {
    start: /^\x89HDF/,
    format: "an HDF5 file (of Keras, perhaps)",
    hint: "Export it first: python -m tf2onnx.convert --keras model.h5 --output model.onnx",
  },
  { start: /^GGUF/, format: "a GGUF file", hint: "Export the model it was made from to ONNX." },
  {
    // A length of eight bytes, then JSON.
    start: /^[^]{4}\x00{4}\{/,
    format: "a safetensors file: weights without a graph",
    hint: "Export the whole model: optimum-cli export onnx --model FOLDER OUT",
  },
  { start: /^version https/, format: "a Git LFS pointer", hint: "Fetch the file it points to: git lfs pull" },
  { start: /^[\x20-\x7e\s]{4,16}$/, format: "text" },
];
/* oxlint-enable no-control-regex */

/** The format that a file's first bytes show, or undefined when they could be a damaged ONNX model's. */
export function otherFormat(head: Uint8Array): OtherFormat | undefined {
  const text = Buffer.from(head).toString("latin1");
  return FORMATS.find(({ start }) => start.test(text));
}
