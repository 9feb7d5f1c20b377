// Tests of the suggestion for mistyped names.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { closestName, suggestNames } from "./closest-name.ts";

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

describe("suggestNames", () => {
  const ids = ["nvidia-h100-sxm5-80gb", "nvidia-h100-nvl-94gb", "nvidia-a10", "aws:eu-central-1"];

  it("gives the names that hold every part, shortest first", () => {
    expect(suggestNames("h100", ids)).toEqual(["nvidia-h100-nvl-94gb", "nvidia-h100-sxm5-80gb"]);
    expect(suggestNames("h100", ids, 1)).toHaveLength(1);
  });

  it("mends single parts before it looks for the whole", () => {
    expect(suggestNames("nvida-h100", ids)[0]).toBe("nvidia-h100-nvl-94gb");
    expect(suggestNames("aws:eu-centrl-1", ids)).toEqual(["aws:eu-central-1"]);
  });

  it("gives nothing for nothing", () => {
    expect(suggestNames("", ids)).toEqual([]);
    expect(suggestNames("qqqqqqqqqqqqqqqq", ids)).toEqual([]);
  });
});
