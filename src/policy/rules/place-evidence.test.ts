// One place for all country fields: what it fills, what it leaves, and that it is called assumed; depends on the pack.
import { describe, expect, it } from "vitest";
import { checkCase } from "./check.ts";
import { readPack } from "./pack.ts";
import { evidenceOfPlace } from "./place-evidence.ts";

describe("one place", () => {
  it("fills every country field of the vocabulary and the truths about it, as assumed, and says so", () => {
    const { evidence, assumptions } = evidenceOfPlace("aws:eu-central-1", new Map());
    const countries = Object.entries(readPack().vocabulary).flatMap(([root, fields]) =>
      "country" in fields ? [`${root}.country`] : [],
    );
    for (const field of countries) expect(evidence.get(field)).toMatchObject({ value: "DE", method: "assumed" });
    expect(evidence.get("dc.inEu")?.value).toBe(true);
    expect(evidence.get("project.inUs")?.value).toBe(false);
    expect(assumptions.map(({ key }) => key)).toEqual(["check.place"]);
    expect(evidenceOfPlace("US", new Map()).evidence.get("site.inEu")?.value).toBe(false);
    expect(evidenceOfPlace("GB", new Map()).evidence.get("site.inEu")?.value).toBe(false);
  });

  it("never replaces what is known, and answers nothing for a place without a country", () => {
    const known = new Map([["service.country", { value: "FR", method: "declared" as const }]]);
    const { evidence } = evidenceOfPlace("DE", known);
    expect(evidence.has("service.country")).toBe(false);
    expect(evidence.get("dc.country")?.value).toBe("DE");
    expect(evidenceOfPlace("world", new Map()).evidence.size).toBe(0);
    expect(() => evidenceOfPlace("Atlantis", new Map())).toThrow(expect.objectContaining({ code: "E_PLACE_UNKNOWN" }));
  });

  it("lets rules of other countries be not applicable instead of unknown", () => {
    const pack = readPack();
    const judge = (evidence: ReturnType<typeof evidenceOfPlace>["evidence"]) =>
      checkCase(pack, { roles: ["data-center-operator"], evidence: new Map(evidence) }, { asOf: "2026-11-26" }).counts;
    const [without, within] = [judge(new Map()), judge(evidenceOfPlace("FR", new Map()).evidence)];
    expect(within.unknown).toBeLessThan(without.unknown);
    expect(within.notApplicable).toBeGreaterThan(without.notApplicable);
  });
});
