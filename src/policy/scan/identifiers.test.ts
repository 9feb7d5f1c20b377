// Identifiers with published example numbers: what is found, what is not taken for one, and that no value gets out.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findIdentifiers } from "./identifiers.ts";
import { scanPaths } from "./scan.ts";
import { scanSchema, type ScanDocument } from "./scan-schema.ts";

const kinds = (text: string): string[] => findIdentifiers(text).map(({ kind }) => kind);

/** Examples of the standards and test numbers of the issuers. */
const EXAMPLES: readonly (readonly [kind: string, value: string])[] = [
  ["e-mail address", "jane.doe+x@mail.example.org"],
  ["IBAN", "DE89370400440532013000"],
  ["IBAN", "GB82 WEST 1234 5698 7654 32"],
  ["IBAN", "FR14 2004 1010 0505 0001 3M02 606"],
  ["payment card", "4111111111111111"],
  ["payment card", "5555 5555 5555 4444"],
  ["payment card", "378282246310005"],
  ["payment card", "3782 822463 10005"],
  ["Chinese resident id", "11010519491231002X"],
  ["Chinese resident id", "440524188001010014"],
  ["Korean resident number", "900101-1234568"],
  ["French NIR", "2 55 08 14 168 025 38"],
  ["German tax id", "86095742719"],
  ["Singapore NRIC", "S1234567D"],
  ["US social security number", "078-05-1120"],
  ["IPv4 address", "8.8.8.8"],
  ["IPv6 address", "2606:4700:4700::1111"],
  ["phone number", "+49 30 1234567"],
  ["phone number", "+14155552671"],
  ["phone number", "(415) 555-2671"],
  ["phone number", "13812345678"],
  ["phone number", "06 12 34 56 78"],
  ["phone number", "030/1234567"],
  ["phone number", "010-1234-5678"],
];

describe("findIdentifiers", () => {
  it.each(EXAMPLES)("finds %s: %s, alone, in a sentence and in Chinese text", (kind, value) => {
    expect(findIdentifiers(value)).toMatchObject([{ kind, start: 0, end: value.length }]);
    expect(kinds(`please note ${value}, thank you`)).toEqual([kind]);
    expect(kinds(`号码${value}。`)).toEqual([kind]);
  });

  it.each(EXAMPLES.filter(([kind]) => /IBAN|card|Chinese|Korean|NIR|tax|NRIC/.test(kind)))(
    "does not take %s %s for one with a digit changed",
    (kind, value) => {
      const at = value.search(/\d(?=\D*$)/);
      const changed = value.slice(0, at) + String((Number(value[at]) + 1) % 10) + value.slice(at + 1);
      expect(kinds(changed)).not.toContain(kind);
    },
  );

  it.each([
    "0.4111111111111111",
    "a4111111111111111",
    "41111111111111110",
    "3.141592653589793",
    "192.168.1.1 and 127.0.0.1 and 203.0.113.7",
    "1.2.3.4.5",
    "2001:db8::1 fe80::1 12:30:45",
    "666-12-3456 000-12-3456 900-12-3456",
    "2026-11-24T22:15:00Z 1700000000000",
    "user@localhost @jane a@b",
    "The 128 heads of layer 17 take 1048576 bytes.",
  ])("finds nobody in %s", (text) => {
    expect(kinds(text)).toEqual([]);
  });

  it("reads full-width digits, and keeps the place", () => {
    expect(findIdentifiers("电话：１３８１２３４５６７８")).toMatchObject([
      { kind: "phone number", start: 3, end: 14 },
    ]);
  });

  it("gives shapes only, in any text", () => {
    const value = fc.constantFrom(...EXAMPLES.map(([, example]) => example));
    fc.assert(
      fc.property(fc.array(fc.oneof(value, fc.string()), { maxLength: 6 }), (parts) => {
        for (const { mask } of findIdentifiers(parts.join(" "))) expect(mask).not.toMatch(/[A-WYZa-wyz0-8]/);
      }),
      { seed: 20_261_124 },
    );
  });
});

describe("scanPaths on data", () => {
  let folder = "";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "lightfoot-scan-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  const scanFile = async (name: string, content: string | Uint8Array): Promise<ScanDocument> => {
    await writeFile(join(folder, name), content);
    return scanSchema.parse(await scanPaths([join(folder, name)]));
  };

  it("tells row and column of a table, and no value anywhere in the document", async () => {
    const document = await scanFile(
      "a.csv",
      'name,contact,card\nJane,"jane@example.org,\n+49 30 1234567",4111111111111111\n',
    );
    expect(document.data[0]?.places).toMatchObject([
      { kind: "e-mail address", line: 2, column: 2 },
      { kind: "phone number", line: 2, column: 2 },
      { kind: "payment card", line: 2, column: 3, mask: "9999999999999999" },
    ]);
    expect(document.evidence).toEqual({ "privacy.directIdentifiers": 3 });
    for (const value of ["jane", "example", "1234567", "4111"]) expect(JSON.stringify(document)).not.toContain(value);
  });

  it("tells the key of JSON Lines, hides keys that are data, and reads what is no JSON as text", async () => {
    const lines = [
      JSON.stringify({ messages: [{ content: "at jane@example.org" }], "bo@example.org": { phone: "+14155552671" } }),
      '{"open": "jo@example.org"',
      '{"id": 440524188001010014}',
    ];
    const document = await scanFile("b.jsonl", lines.join("\n"));
    expect(document.data[0]?.places.map(({ line, path, kind }) => [line, path, kind])).toEqual([
      [1, "messages[0].content", "e-mail address"],
      [1, null, "e-mail address"],
      [1, "*.phone", "phone number"],
      [2, null, "e-mail address"],
      [3, null, "Chinese resident id"],
    ]);
  });

  it("reads one line of megabytes in pieces, without losing what lies across", async () => {
    const text = `${"lorem ipsum ".repeat(87_380)}jane@example.org ${"dolor ".repeat(400_000)} 8.8.8.8`;
    expect((await scanFile("long.txt", text)).data[0]?.counts).toEqual({ "e-mail address": 1, "IPv4 address": 1 });
    for (let shift = 0; shift < 24; shift++) {
      const across = `${"a ".repeat(524_280)}${" ".repeat(shift)}jane@example.org${" b".repeat(600_000)}`;
      expect((await scanFile("across.txt", across)).counts.directIdentifiers, `shift ${shift}`).toBe(1);
    }
  });

  it("reads a broken table as text, and calls it incomplete", async () => {
    const document = await scanFile("broken.csv", 'a,b\n"open,x@example.org\nmore,z@example.org\n');
    expect(document.counts).toMatchObject({ directIdentifiers: 2, incomplete: 1 });
  });

  it("takes no zero for one beside data that it does not read", async () => {
    const mixed = await mkdtemp(join(folder, "mixed-"));
    await writeFile(join(mixed, "a.csv"), "x,y\n1,2.5\n");
    expect((await scanPaths([mixed])).evidence).toEqual({ "privacy.directIdentifiers": 0 });
    await writeFile(join(mixed, "b.parquet"), "PAR1");
    expect((await scanPaths([mixed])).evidence).toEqual({});
  });

  it("proves nothing where nothing was read, and zero where all was", async () => {
    expect((await scanFile("clean.csv", "x,y\n1,2.5\n")).evidence).toEqual({ "privacy.directIdentifiers": 0 });
    expect((await scanFile("clean.safetensors", "{}")).evidence).toEqual({ "artifact.unsafeOpcodes": 0 });
    expect((await scanFile("image.png", new Uint8Array([0x89, 0x50, 0, 1]))).evidence).toEqual({});
    expect((await scanFile("cut.pkl", new Uint8Array([0x80, 2, 0x4e]))).evidence).toEqual({});
  });
});
