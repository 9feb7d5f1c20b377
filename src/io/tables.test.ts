// Tests of the CSV, Parquet and IDX readers; depends on the room and, to write Parquet, on DuckDB.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readCsv } from "./csv.ts";
import { readIdx } from "./idx.ts";
import { readParquet } from "./parquet.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-tables-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function fileOf(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

describe("CSV", () => {
  it("reads quotes, doubled quotes, line ends of both kinds and a byte-order mark", async () => {
    const path = await fileOf("a.csv", '\uFEFFx,"the ""name"""\r\n1,"a,b"\r\n-2.5e3,"two\nlines"\n');
    expect((await readCsv(path)).columns).toEqual([
      { kind: "numbers", name: "x", values: Float64Array.of(1, -2500), integral: true },
      { kind: "text", name: 'the "name"', values: ["a,b", "two\nlines"] },
    ]);
  });

  it("gives back any table of texts", async () => {
    const tables = fc.integer({ min: 1, max: 4 }).chain((width) =>
      fc.array(
        fc.array(
          fc
            .string({ unit: fc.constantFrom("a", ",", '"', "\n", ";", " ", "é"), maxLength: 6 })
            .map((cell) => `q${cell}q`),
          { minLength: width, maxLength: width },
        ),
        { minLength: 1, maxLength: 6 },
      ),
    );
    await fc.assert(
      fc.asyncProperty(tables, async (rows) => {
        const head = rows[0].map((_, index) => `name${index}`);
        const text = [head, ...rows]
          .map((row) => row.map((cell) => `"${cell.replaceAll('"', '""')}"`).join(","))
          .join("\n");
        const { columns } = await readCsv(await fileOf("any.csv", text), { separator: "," });
        expect(columns.map((column) => column.values)).toEqual(head.map((_, index) => rows.map((row) => row[index])));
      }),
      { numRuns: 60 },
    );
  });

  it("names columns without a header, and guesses the separator from the first line", async () => {
    const { columns, rowCount } = await readCsv(await fileOf("b.csv", "1;2\n3;4\n"));
    expect(columns.map(({ name }) => name)).toEqual(["column1", "column2"]);
    expect(rowCount).toBe(2);
  });

  it.each([
    ["a row of another width", "a,b\n1,2\n3\n", { line: 3 }],
    ["a word among numbers", "a,b\n1,2\n1,x\n", { line: 3, column: 2 }],
    ["an empty cell among numbers", "a,b\n1,2\n,3\n", { line: 3, column: 1 }],
    ["an open quote", 'a,b\n1,"2\n', { line: 2 }],
    ["no rows", "a,b\n", {}],
  ])("says where there is %s", async (_what, text, place) => {
    const path = await fileOf("bad.csv", text);
    await expect(readCsv(path)).rejects.toMatchObject({ code: "E_DATA", where: { file: path, ...place } });
  });
});

describe("Parquet", () => {
  async function parquetOf(query: string): Promise<string> {
    const { DuckDBInstance } = await import("@duckdb/node-api");
    const connection = await (await DuckDBInstance.create(":memory:")).connect();
    const path = join(folder, "it's a table.parquet");
    await connection.run(`COPY (${query}) TO '${path.replaceAll("'", "''")}' (FORMAT parquet)`);
    connection.closeSync();
    return path;
  }

  it("reads numbers, booleans, lists and text, also from a path with a quote", async () => {
    const path = await parquetOf(
      "SELECT i::BIGINT AS n, i / 2 AS half, i > 0 AS flag, [i::FLOAT, 1.5] AS pair, 't' || i AS name FROM range(3) r(i)",
    );
    const { columns, rowCount } = await readParquet(path);
    expect(rowCount).toBe(3);
    expect(columns).toEqual([
      { kind: "numbers", name: "n", values: Float64Array.of(0, 1, 2), integral: true },
      { kind: "numbers", name: "half", values: Float64Array.of(0, 0.5, 1), integral: false },
      { kind: "numbers", name: "flag", values: Float64Array.of(0, 1, 1), integral: true },
      { kind: "lists", name: "pair", width: 2, values: Float64Array.of(0, 1.5, 1, 1.5, 2, 1.5), integral: false },
      { kind: "text", name: "name", values: ["t0", "t1", "t2"] },
    ]);
  });

  it.each([
    ["a missing value", "SELECT CASE WHEN i = 1 THEN NULL ELSE i END AS x FROM range(3) r(i)"],
    ["lists of different lengths", "SELECT range(i + 1) AS x FROM range(3) r(i)"],
    ["an integer that a double would round", "SELECT 9007199254740993 AS x"],
  ])("refuses %s", async (_what, query) => {
    await expect(readParquet(await parquetOf(query))).rejects.toMatchObject({ code: "E_DATA", where: { path: "x" } });
  });

  it("refuses a file that is none", async () => {
    const path = await fileOf("no.parquet", "hello");
    await expect(readParquet(path)).rejects.toMatchObject({ code: "E_DATA", where: { file: path } });
  });
});

describe("IDX", () => {
  const images = Uint8Array.of(0, 0, 0x08, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6);

  it("reads bytes and big-endian numbers, plain and gzipped", async () => {
    const bytes = { name: "x", dtype: "uint8", shape: [2, 3], data: Uint8Array.of(1, 2, 3, 4, 5, 6) };
    expect(await readIdx(await fileOf("a-idx2-ubyte", images), "x")).toEqual(bytes);
    expect(await readIdx(await fileOf("a-idx2-ubyte.gz", gzipSync(images)), "x")).toEqual(bytes);
    const shorts = Uint8Array.of(0, 0, 0x0b, 1, 0, 0, 0, 2, 1, 2, 0xff, 0xfe);
    expect((await readIdx(await fileOf("b-idx1-short", shorts))).data).toEqual(Int16Array.of(258, -2));
  });

  it("refuses every cut and every longer file", async () => {
    for (let length = 0; length < images.length; length++) {
      const path = await fileOf("cut-idx", images.subarray(0, length));
      await expect(readIdx(path), `${length} bytes`).rejects.toMatchObject({ code: "E_DATA" });
    }
    const longer = await fileOf("longer-idx", Buffer.concat([images, Uint8Array.of(7)]));
    await expect(readIdx(longer)).rejects.toMatchObject({ code: "E_DATA" });
    const absurd = Uint8Array.of(0, 0, 0x0e, 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0);
    await expect(readIdx(await fileOf("absurd-idx", absurd))).rejects.toMatchObject({ code: "E_DATA" });
  });
});
