// Tests of the grid that a processor needs; depends on the file beside it.
import { describe, expect, it } from "vitest";
import { weightGridFor } from "./weight-grid.ts";

describe("weightGridFor", () => {
  it.each([
    ["x64", ["avx2"], 7],
    ["x64", ["avx2", "avx512f", "avx512_vnni"], 8],
    ["x64", ["avx2", "avx_vnni"], 8],
    ["x64", [], 7],
    ["arm64", ["asimddp"], 8],
  ] as const)("%s with %j gets %i bits", (architecture, flags, bits) => {
    expect(weightGridFor({ architecture, flags }).grid).toEqual({ dtype: "int8", bits });
  });
});
