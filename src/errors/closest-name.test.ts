// Tests of the suggestion for mistyped names.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { closestName } from "./closest-name.ts";

describe("closestName", () => {
  const names = ["train", "test", "validate", "learningRate"];

  it("finds the name behind a missing, extra, wrong or swapped letter, whatever the case", () => {
    expect(closestName("tran", names)).toBe("train");
    expect(closestName("traain", names)).toBe("train");
    expect(closestName("tesd", names)).toBe("test");
    expect(closestName("valiadte", names)).toBe("validate");
    expect(closestName("learningrate", names)).toBe("learningRate");
  });

  it("suggests nothing far-fetched", () => {
    expect(closestName("colour", names)).toBeUndefined();
    expect(closestName("x", [])).toBeUndefined();
  });

  it("always finds a name that is spelled right", () => {
    fc.assert(fc.property(fc.constantFrom(...names), (name) => closestName(name, names) === name));
  });
});
