// Search over the tables: ranked, forgiving, complete in provenance; depends on its room.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LightfootError } from "../errors/lightfoot-error.ts";
import { factsSchema } from "./facts-schema.ts";
import { searchFacts, showFact } from "./search.ts";

describe("searchFacts", () => {
  it.each([
    ["h100 sxm", "nvidia-h100-sxm5-80gb"],
    ["nvidia-h100-sxm5-80gb", "nvidia-h100-sxm5-80gb"],
    ["epyc 7763", "cpu:epyc-7763"],
    ["Germny", "DE"],
    ["germany", "DE"],
    ["camx", "egrid:CAMX"],
    ["wind water", "water:wind-default"],
    ["carbon price", "price:EU-ETS"],
    ["ddr4", "embodied:dram-ddr4-10nm"],
    ["eu-north-1 aws", "aws:eu-north-1"],
  ])("'%s' finds %s first or second", (query, id) => {
    expect(
      searchFacts(query)
        .subjects.slice(0, 2)
        .map((subject) => subject.id),
    ).toContain(id);
  });

  it("gives every fact a unit, a method, a source and a licence, and the document holds to its schema", () => {
    const found = searchFacts("a", { limit: 10_000 });
    expect(found.subjects.length).toBeGreaterThan(300);
    expect(factsSchema.parse(found)).toEqual(found);
    for (const { id, facts } of found.subjects) {
      for (const { name, figure, basis, licence } of facts) {
        expect(figure.sources.join(), `${id} ${name}`).toMatch(/\w{3}/);
        for (const text of [figure.unit, basis, licence]) expect(text, `${id} ${name}`).not.toBe("");
        expect(`${figure.sources.join()} ${basis} ${licence}`).not.toMatch(/undefined|null|NaN/);
      }
    }
  });

  it("says when grid intensities of several methods stand side by side", () => {
    expect(showFact("DE").notComparable).toMatch(/must not be ranked/);
    expect(showFact("egrid:CAMX").notComparable).toBeNull();
  });

  it("finds nothing for nonsense, and keeps to kind and limit", () => {
    expect(searchFacts("zzzzqqqq")).toMatchObject({ found: 0, subjects: [] });
    const few = searchFacts("h100", { kind: "hardware", limit: 1 });
    expect(few.subjects).toHaveLength(1);
    expect(few.found).toBeGreaterThan(1);
    expect(() => searchFacts(" -- ")).toThrow(LightfootError);
  });

  it("answers any text", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), (text) => {
        try {
          return searchFacts(text, { limit: 2 }).subjects.length <= 2;
        } catch (error) {
          return error instanceof LightfootError && error.code === "E_USAGE";
        }
      }),
      { numRuns: 50 },
    );
  });
});

describe("showFact", () => {
  it.each([
    "DE",
    "Germany",
    "nvidia-l4",
    "water:hydro-default",
    "embodied:hdd",
    "price:US-VA",
    "cpu:epyc-7763",
    "eu-central-1",
  ])("shows %s", (id) => expect(showFact(id).subjects[0]?.facts.length).toBeGreaterThan(0));

  it("suggests for a mistyped id, and offers the choices of an ambiguous place", () => {
    expect(() => showFact("nvida-h100")).toThrow(
      expect.objectContaining({ code: "E_FACT_UNKNOWN", hint: expect.stringContaining("nvidia-h100") }),
    );
    expect(() => showFact("Georgia")).toThrow(expect.objectContaining({ code: "E_PLACE_UNKNOWN" }));
  });
});
