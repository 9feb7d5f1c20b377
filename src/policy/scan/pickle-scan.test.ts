// Pickles assembled by hand, opcode by opcode: allowed imports stay clean, any other is found wherever it stands.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { allowedImports } from "./allowed-imports.ts";
import { memoryBytes } from "./byte-window.ts";
import { scanPickles, shown, type PickleScan } from "./pickle-scan.ts";

const bytes = (...parts: (string | number | Uint8Array)[]): Buffer =>
  Buffer.concat(
    parts.map((part) =>
      typeof part === "number" ? Buffer.from([part]) : typeof part === "string" ? Buffer.from(part, "latin1") : part,
    ),
  );
const scan = (...parts: (string | number | Uint8Array)[]): PickleScan => scanPickles(memoryBytes(bytes(...parts)));
const text = (value: string): Buffer => bytes(0x8c, Buffer.byteLength(value), Buffer.from(value)); // SHORT_BINUNICODE
const targets = ({ findings }: PickleScan): (string | null)[] => findings.map(({ target }) => target);

describe("scanPickles", () => {
  it("reports opcode, offset and name of an import and of its call", () => {
    const { findings, defects } = scan("cposix\nsystem\n(S'id'\ntR.");
    expect(defects).toEqual([]);
    expect(findings).toMatchObject([
      { opcode: "GLOBAL", offset: 0, target: "posix.system", within: null },
      { opcode: "REDUCE", offset: 22, target: "posix.system" },
    ]);
  });

  it.each([
    ["INST", ["(S'id'\nios\nsystem\n."], ["os.system"]],
    ["OBJ", ["(cos\nsystem\nS'id'\no."], ["os.system", "os.system"]],
    ["NEWOBJ", [0x80, 2, "csubprocess\nPopen\n)", 0x81, "."], ["subprocess.Popen", "subprocess.Popen"]],
    ["NEWOBJ_EX", [0x80, 4, "csubprocess\nPopen\n)}", 0x92, "."], ["subprocess.Popen", "subprocess.Popen"]],
    ["STACK_GLOBAL", [0x80, 4, text("os"), text("system"), 0x93, "."], ["os.system"]],
    [
      "STACK_GLOBAL through the memo",
      [0x80, 4, text("system"), 0x94, "0", text("os"), "h", 0, 0x93, "."],
      ["os.system"],
    ],
    ["STACK_GLOBAL through DUP", [0x80, 4, text("code"), "2", 0x93, "."], ["code.code"]],
    ["STACK_GLOBAL of escaped protocol 0 texts", ["S'o\\x73'\nVsy\\u0073tem\n", 0x93, "."], ["os.system"]],
    ["STACK_GLOBAL of what is no text", [0x80, 4, "N", text("system"), 0x93, "."], [null]],
    ["extension codes", [0x80, 2, 0x82, 7, "0", 0x83, 1, 1, "0", 0x84, 1, 0, 0, 0, "."], [null, null, null]],
    [
      "a dotted name below an allowed module",
      ["ccollections\nOrderedDict.__init__\n."],
      ["collections.OrderedDict.__init__"],
    ],
    ["a call of no import", ["(lNR."], [null]],
    ["attributes set on an import", ["ccollections\nOrderedDict\n}b."], ["collections.OrderedDict"]],
    ["the storage loader that unpickles", ["ctorch.storage\n_load_from_bytes\n."], ["torch.storage._load_from_bytes"]],
    ["a second pickle behind STOP", ["N.cos\nsystem\n)R."], ["os.system", "os.system"]],
    [
      "a pickle in a byte string",
      [0x80, 3, "B", 20, 0, 0, 0, 0x80, 2, "cos\nsystem\n)R.    ", "."],
      ["os.system", "os.system"],
    ],
  ])("finds %s", (_, parts, expected) => {
    expect(targets(scan(...parts))).toEqual(expected);
  });

  it("says so of a pickle that is cut short, broken or empty, and keeps what it found before", () => {
    const whole = bytes(0x80, 2, "cos\nsystem\n(X", 2, 0, 0, 0, "idtR.");
    for (let length = 0; length < whole.byteLength; length++) {
      expect(scan(whole.subarray(0, length)).defects.length, `${length} bytes`).toBeGreaterThan(0);
    }
    expect(targets(scan(whole.subarray(0, 13)))).toEqual(["os.system"]);
    expect(scan(0x80, 2, "N", 0xff, ".").defects).toEqual([{ offset: 3, message: "byte 0xff is no opcode" }]);
    expect(scan("h", 9, ".").defects[0]?.message).toContain("nothing is remembered under 9");
    expect(scan("t.").defects.length).toBeGreaterThan(0);
  });

  it("is bounded against operands, counts and depths that are out of proportion", () => {
    expect(scan(0x80, 4, 0x8e, 255, 255, 255, 255, 255, 255, 255, 127, ".").defects.length).toBe(1);
    const limited = scanPickles(memoryBytes(bytes("N".repeat(100), ".")), { limits: { opcodes: 50 } });
    expect(limited.defects[0]?.message).toContain("more than 50 opcodes");
    const wide = scanPickles(memoryBytes(bytes("N".repeat(100), ".")), { limits: { stack: 50 } });
    expect(wide.defects[0]?.message).toContain("more than 50 values");
    const many = scanPickles(memoryBytes(bytes("cos\nsystem\n0".repeat(9), "N.")), { limits: { findings: 5 } });
    expect([many.findings.length, many.defects.length]).toEqual([5, 1]);
    let nested = bytes(0x80, 3, "cos\nsystem\n)R.");
    for (let depth = 0; depth < 12; depth++) nested = bytes(0x80, 3, "B", nested.byteLength, 0, 0, 0, nested, ".");
    expect(scan(nested).defects.some(({ message }) => message.includes("nested too deeply"))).toBe(true);
  });

  it("skips the array behind a joblib wrapper, and still sees opcodes hidden in it", () => {
    const wrapper = (data: Uint8Array): Buffer =>
      bytes(
        0x80, 3, "cjoblib.numpy_pickle\nNumpyArrayWrapper\n)", 0x81, "}(",
        text("shape"), "K", data.byteLength, 0x85,
        text("dtype"), "cnumpy\ndtype\n", text("u1"), 0x85, "R",
        "ub", data, ".",
      ); // prettier-ignore
    const zeros = scan(wrapper(Buffer.alloc(40)));
    expect([zeros.findings, zeros.defects]).toEqual([[], []]);
    expect(targets(scan(wrapper(bytes("0cos\nsystem\n)R."))))).toContain("os.system");
    expect(scan(wrapper(bytes("N".repeat(40)))).defects[0]?.message).toContain("loaders disagree");
    const floats = Buffer.from(new Float64Array([0.1, -2.5, 1e9, 0.7321]).buffer);
    expect(scan(...Array.from({ length: 50 }, () => wrapper(floats).subarray(0, -1)), ".")).toMatchObject({
      findings: [],
      defects: [],
    });
    expect(scan(wrapper(Buffer.alloc(40)).subarray(0, -20)).defects.length).toBeGreaterThan(0);
  });

  it("escapes names, so that a terminal obeys no checkpoint", () => {
    expect(shown("os\u001b[2J.\u202esystem")).toBe("os\\u001b[2J.\\u202esystem");
    expect(shown("x".repeat(5000)).length).toBe(201);
  });
});

describe("pickles of allowed imports", () => {
  const allowed = fc.constantFrom(...allowedImports());
  const leaf: fc.Arbitrary<Buffer> = fc.oneof(
    fc.constantFrom("N", ")", "]", "}").map((code) => bytes(code)),
    fc.nat(255).map((value) => bytes("K", value)),
    fc.string({ maxLength: 20 }).map((value) => text(value)),
    allowed.map(({ module, name }) => bytes("c", module, "\n", name, "\n")),
    allowed.map(({ module, name }) => bytes(text(module), text(name), 0x93)),
    allowed.map(({ module, name }) => bytes("c", module, "\n", name, "\n)R")),
    allowed.map(({ module, name }) => bytes("(i", module, "\n", name, "\n")),
  );
  const { value: values } = fc.letrec<{ value: Buffer }>((tie) => ({
    value: fc.oneof(
      { depthSize: "small" },
      leaf,
      fc.array(tie("value"), { maxLength: 4 }).map((items) => bytes("(", ...items, "t")),
      fc.array(tie("value"), { maxLength: 4 }).map((items) => bytes("](", ...items, "e")),
      fc.tuple(tie("value"), tie("value")).map(([key, item]) => bytes("}", key, item, "s")),
      allowed.chain(({ module, name }) =>
        tie("value").map((item) => bytes("c", module, "\n", name, "\n", item, 0x85, "R")),
      ),
    ),
  }));

  it("are clean", () => {
    fc.assert(
      fc.property(values, (value) => {
        const { findings, defects } = scan(0x80, 4, value, ".");
        expect([findings, defects]).toEqual([[], []]);
      }),
      { seed: 20_261_124 },
    );
  });

  it("are found out with one other import anywhere", () => {
    const name = fc.constantFrom("system", "Popen", "whatever", "OrderedDict ", "_rebuild_tensor_v2.__globals__");
    const module = fc.constantFrom("os", "subprocess", "my.module", "collections", "torch._utils");
    const forbidden = fc.tuple(module, name, fc.constantFrom("global", "stack", "inst")).map(([from, what, how]) => ({
      target: `${from}.${what}`,
      code:
        how === "global"
          ? bytes("c", from, "\n", what, "\n")
          : how === "stack"
            ? bytes(text(from), text(what), 0x93)
            : bytes("(i", from, "\n", what, "\n"),
    }));
    fc.assert(
      fc.property(
        fc.array(values, { minLength: 1, maxLength: 5 }),
        fc.nat(),
        forbidden,
        (items, where, { target, code }) => {
          const placed = items.toSpliced(where % (items.length + 1), 0, code);
          expect(targets(scan(0x80, 4, "(", ...placed, "t."))).toContain(target);
        },
      ),
      { seed: 20_261_124 },
    );
  });
});
