// Errors keep code, hint and place across process borders, and foreign ones are named once; depends on its room and fast-check.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ERROR_CATALOG, EXIT, type ErrorCode } from "./catalog.ts";
import { asLightfootError, errorFromDocument, formatPlace, LightfootError } from "./lightfoot-error.ts";

const codes = fc.constantFrom(...(Object.keys(ERROR_CATALOG) as ErrorCode[]));
const places = fc.record(
  { file: fc.string(), line: fc.nat(), column: fc.nat(), offset: fc.nat(), path: fc.string() },
  { requiredKeys: [] },
);

describe("a LightfootError", () => {
  it("is one also when another copy of the module threw it", async () => {
    const path = "./lightfoot-error.ts?copy";
    const copy = (await import(/* @vite-ignore */ path)) as typeof import("./lightfoot-error.ts");
    expect(copy.LightfootError).not.toBe(LightfootError);
    const thrown = new copy.LightfootError("E_TENSOR", "from afar");
    expect(asLightfootError(thrown)).toBe(thrown);
    for (const other of [new Error("E_TENSOR"), { name: "LightfootError", code: "E_TENSOR" }, null, "LightfootError"]) {
      expect(other instanceof LightfootError).toBe(false);
    }
  });

  it("comes back equal from JSON, with code, hint, place and findings", () => {
    const options = fc.record(
      {
        hint: fc.string(),
        where: places,
        findings: fc.array(fc.record({ message: fc.string(), where: places }), { minLength: 1 }),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(codes, fc.string(), options, (code, message, extra) => {
        const error = new LightfootError(code, message, extra);
        const wire = JSON.stringify(error);
        const back = errorFromDocument(JSON.parse(wire));
        expect(JSON.stringify(back)).toBe(wire);
        expect(back.exitCode).toBe(error.exitCode);
        expect(back.message).toBe(message);
      }),
      { seed: 1 },
    );
  });

  it("takes its exit code from the catalogue", () => {
    expect(new LightfootError("E_USAGE", "x").exitCode).toBe(EXIT.usage);
    expect(new LightfootError("E_NETWORK", "x").exitCode).toBe(EXIT.network);
  });

  it("keeps the cause out of the document but on the error", () => {
    const cause = new Error("inner");
    const error = new LightfootError("E_FILE_READ", "outer", { cause });
    expect(error.cause).toBe(cause);
    expect(JSON.stringify(error)).not.toContain("inner");
  });
});

describe("whatever is thrown", () => {
  it("passes a LightfootError through and turns the rest into E_INTERNAL with the text kept", () => {
    const own = new LightfootError("E_SHAPE", "x");
    expect(asLightfootError(own)).toBe(own);
    for (const thrown of [new TypeError("boom"), "boom", { toString: () => "boom" }]) {
      const found = asLightfootError(thrown);
      expect(found.code).toBe("E_INTERNAL");
      expect(found.exitCode).toBe(70);
      expect(found.message).toBe("boom");
      expect(found.cause).toBe(thrown);
    }
  });
});

describe("the catalogue", () => {
  it("gives no failure the exit code of success, and each a lower-case meaning", () => {
    for (const [code, { exit, meaning }] of Object.entries(ERROR_CATALOG)) {
      expect(code).toMatch(/^E_[A-Z_0-9]+$/);
      expect(exit).not.toBe(EXIT.ok);
      expect(meaning).not.toMatch(/^[A-Z][a-z]|\.$/);
    }
  });
});

describe("a place", () => {
  it.each([
    [{ file: "a.yaml", line: 3, column: 7, path: "budget.maxDrop" }, "a.yaml:3:7 (budget.maxDrop)"],
    [{ file: "a.onnx", offset: 128 }, "a.onnx at byte 128"],
    [{ path: "graph/Conv_0" }, "(graph/Conv_0)"],
    [{ file: "a", column: 4 }, "a"],
    [{ offset: 0 }, "at byte 0"],
    [{}, ""],
  ])("%j reads %s", (place, text) => expect(formatPlace(place)).toBe(text));
});
