// The wire format: what the writer encodes the reader gives back, whatever window it sees the bytes through.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { byteSource, decodeUtf8, MessageReader, MessageWriter } from "./protobuf.ts";

const encoded = (writer: MessageWriter): Uint8Array => Buffer.concat(writer.parts() as Uint8Array[]);

function only(bytes: Uint8Array): MessageReader {
  const reader = MessageReader.over(byteSource(bytes, "test"));
  expect(reader.next()).toBe(true);
  return reader;
}

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });

describe("a field", () => {
  it("keeps every 64-bit integer", () => {
    const property = fc.property(int64, fc.integer({ min: 1, max: 2 ** 29 - 1 }), (value, field) => {
      const writer = new MessageWriter();
      writer.integer(field, value);
      const reader = only(encoded(writer));
      expect([reader.field, reader.int64()]).toEqual([field, value]);
      if (value >= -(2n ** 53n) + 1n && value < 2n ** 53n) expect(reader.integer()).toBe(Number(value));
      else expect(() => reader.integer()).toThrow(/beyond ±2\^53/);
      expect(reader.int32()).toBe(Number(BigInt.asIntN(32, value)));
    });
    fc.assert(property, { seed: 1 });
  });

  it("keeps text, numbers as doubles write them, and lists, packed or not", () => {
    const property = fc.property(
      fc.string({ unit: "binary", maxLength: 200 }),
      fc.array(int64),
      fc.array(fc.float({ noNaN: true })),
      fc.maxSafeInteger(),
      (text, integers, floats, number) => {
        const writer = new MessageWriter();
        writer.string(1, text);
        writer.packedIntegers(2, integers);
        for (const value of integers) writer.integer(2, value);
        writer.packedFloats(3, floats);
        for (const value of floats) writer.float(3, value);
        writer.integer(4, number);
        const reader = MessageReader.over(byteSource(encoded(writer), "test"));
        const found = { text: "", integers: [] as bigint[], floats: [] as number[], number: NaN };
        while (reader.next()) {
          if (reader.field === 1) found.text = reader.string();
          else if (reader.field === 2) found.integers.push(...reader.int64s());
          else if (reader.field === 3) found.floats.push(...reader.floats());
          else found.number = reader.integer();
        }
        expect(found).toEqual({
          text,
          integers: [...integers, ...integers],
          floats: [...floats, ...floats],
          number,
        });
      },
    );
    fc.assert(property, { seed: 2 });
  });

  it("that nobody asks for is skipped without reading its bytes", () => {
    const writer = new MessageWriter();
    writer.deferred(1, { byteLength: 10_000_000, async *chunks() {} });
    writer.integer(2, 7);
    const [head, , tail] = writer.parts() as [Uint8Array, unknown, Uint8Array];
    const size = head.length + 10_000_000 + tail.length;
    const reads: [number, number][] = [];
    const source = {
      name: "sparse",
      size,
      readSync: (offset: number, length: number) => {
        reads.push([offset, length]);
        const window = new Uint8Array(length);
        if (offset === 0) window.set(head);
        if (offset + length === size) window.set(tail, length - tail.length);
        return window;
      },
    };
    const reader = MessageReader.over(source);
    expect([reader.next(), reader.field, reader.next(), reader.field, reader.integer()]).toEqual([true, 1, true, 2, 7]);
    expect(reads.reduce((total, [, length]) => total + length, 0)).toBeLessThan(200_000);
  });

  it("is given back whole, tag and all, by raw", () => {
    const writer = new MessageWriter();
    writer.string(300, "kept");
    const bytes = encoded(writer);
    const copy = new MessageWriter();
    copy.raw(only(bytes).raw());
    expect(encoded(copy)).toEqual(bytes);
  });
});

const build = (deferred: boolean) => {
  const [outer, middle, inner] = [new MessageWriter(), new MessageWriter(), new MessageWriter()];
  const value = Uint8Array.from({ length: 300 }, (_, i) => i);
  inner.integer(1, 5);
  if (!deferred) inner.bytes(2, value);
  else
    inner.deferred(2, {
      byteLength: 300,
      async *chunks() {
        yield value.subarray(0, 100);
        yield value.subarray(100);
      },
    });
  inner.string(3, "after");
  middle.message(1, inner);
  outer.integer(9, 1);
  outer.message(2, middle);
  outer.integer(10, 2);
  return outer;
};

describe("a nested message", () => {
  it("has the same bytes whether its large values are deferred or not", async () => {
    const pieces: Uint8Array[] = [];
    const writer = build(true);
    for (const part of writer.parts()) {
      if (part instanceof Uint8Array) pieces.push(part);
      else for await (const chunk of part.chunks()) pieces.push(chunk);
    }
    expect(Buffer.concat(pieces)).toEqual(encoded(build(false)));
    expect(writer.byteLength).toBe(Buffer.concat(pieces).length);
  });
});

describe("broken bytes", () => {
  it.each([
    ["a number without end", [8, 0x80, 0x80], /ends inside a number/],
    ["a number of eleven bytes", [8, ...Array.from({ length: 10 }, () => 0xff), 1], /more than 10 bytes/],
    ["field number 0", [0, 1], /is not a field/],
    ["a group", [11], /wire type 3/],
    ["a length beyond the end", [10, 5, 1], /claims 5 bytes where 1 are left/],
    ["half a float", [13, 0, 0], /claims 4 bytes/],
  ])("%s are refused with the place", (_, bytes, message) => {
    const reader = MessageReader.over(byteSource(Uint8Array.from(bytes), "broken.onnx"));
    expect(() => reader.next()).toThrow(
      expect.objectContaining({
        message: expect.stringMatching(message) as string,
        where: { file: "broken.onnx", offset: 0 },
      }),
    );
  });

  it("a field read as another type is refused", () => {
    const writer = new MessageWriter();
    writer.integer(1, 5);
    expect(() => only(encoded(writer)).string()).toThrow(/wire type 0, expected 2/);
  });

  it("text that is not UTF-8 is refused as a string and undefined when decoded", () => {
    const writer = new MessageWriter();
    writer.bytes(1, Uint8Array.of(0xc3, 0x28));
    expect(() => only(encoded(writer)).string()).toThrow(/not UTF-8/);
    expect(decodeUtf8(Uint8Array.of(0xff))).toBeUndefined();
    expect(decodeUtf8(Buffer.from("\ufeffBOM stays"))).toBe("\ufeffBOM stays");
  });
});
