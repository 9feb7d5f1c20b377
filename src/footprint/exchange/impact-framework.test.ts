// Manifests run as if-run runs them: recorded outputs of the framework itself (v1.1.0), findings where it is wrong, both readers equal.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import type { LightfootError } from "../../errors/lightfoot-error.ts";
import type { FindingCode, ImpactFinding } from "../impact-framework/findings.ts";
import type { ImpactManifest, TreeNode } from "../impact-framework/manifest.ts";
import { rowsOf } from "../impact-framework/plugin.ts";
import { compareOutputs, recompute, type Recomputation } from "../impact-framework/recompute.ts";
import { impactDocument } from "../impact-framework/impact-document.ts";
import { impactSchema } from "../impact-framework/impact-schema.ts";
import { localPorts } from "./impact-framework-ports.ts";
import { parseImpactManifest, readImpactManifest, writeImpactManifest } from "./impact-framework.ts";

const FIXTURES = fileURLToPath(new URL("../../../test/fixtures/impact-framework/", import.meta.url));
const names = readdirSync(FIXTURES)
  .filter((name) => name.endsWith(".yml"))
  .map((name) => name.slice(0, -4));
const folder = mkdtempSync(join(tmpdir(), "lightfoot-impact-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const parse = (text: string): ImpactManifest => parseImpactManifest(Buffer.from(text), "test.yml");
/** A comment with a marker turns the quick reader off. */
const parseSlowly = (text: string): ImpactManifest => parse(`${text}\n# lightfoot-list-\n`);
const echo = (_command: string, input: string): Promise<string> => Promise.resolve(input);
const run = (text: string): Promise<Recomputation> => recompute(parse(text), { ports: localPorts("test.yml") });
const codes = ({ findings }: Recomputation): FindingCode[] => findings.map(({ code }) => code);
const found = ({ findings }: Recomputation, code: FindingCode): ImpactFinding | undefined =>
  findings.find((each) => each.code === code);
const at = (tree: TreeNode, ...path: readonly string[]): TreeNode | undefined =>
  path.reduce<TreeNode | undefined>((node, name) => node?.children?.get(name), tree);

async function runFixture(name: string): Promise<Recomputation> {
  const file = join(FIXTURES, `${name}.yml`);
  return recompute(await readImpactManifest(file), { ports: localPorts(file, { runCommand: echo }) });
}

describe("the framework's own outputs", () => {
  it.each(names)("%s: every output and total is the one that if-run wrote", async (name) => {
    const theirs = await readImpactManifest(join(FIXTURES, `${name}.if-run.yaml`));
    const ours = await runFixture(name);
    expect(theirs.head["execution"]).toMatchObject({ status: "success" });
    expect(compareOutputs(theirs.tree, ours.tree)).toEqual([]);
    // And the other way round: nothing is added that if-run does not have.
    expect(compareOutputs(ours.tree, theirs.tree)).toEqual([]);
  });

  it.each(names)(
    "%s: what is written reads back the same, by either reader, and recomputes to itself",
    async (name) => {
      const ours = await runFixture(name);
      const file = join(folder, `${name}.yaml`);
      await writeImpactManifest(ours.manifest, ours.tree, file, "test");
      const text = readFileSync(file, "utf8");
      const again = parse(text);
      expect(compareOutputs(ours.tree, again.tree, 0)).toEqual([]);
      expect(listsOf(parseSlowly(text).tree)).toEqual(listsOf(again.tree));
    },
  );

  it("a changed number in an output manifest is found, with its factor", async () => {
    const text = readFileSync(join(FIXTURES, "groups.if-run.yaml"), "utf8");
    expect(text).toContain("energy-doubled: 64");
    const stated = parse(text.replace("energy-doubled: 64", "energy-doubled: 32"));
    const again = await recompute(stated, { ports: localPorts("test.yml") });
    const differences = compareOutputs(stated.tree, again.tree);
    expect(differences).toHaveLength(1);
    expect(differences[0]).toMatchObject({ stated: "32", recomputed: "64", factor: 0.5 });
    expect(impactDocument(again, 1).differences).toEqual(differences);
  });

  it("gives a document that fits its schema", async () => {
    for (const name of names) {
      const document = impactDocument(await runFixture(name), 1);
      expect(impactSchema.parse(JSON.parse(JSON.stringify(document)))).toEqual(document);
    }
  });
});

function listsOf(node: TreeNode): unknown[] {
  const own = [node.inputs, node.outputs].map((list) => (list === undefined ? undefined : rowsOf(list)));
  return [...own, ...Array.from(node.children?.values() ?? []).flatMap(listsOf)];
}

describe("findings, each with hand sums", () => {
  it("SCI: R = 0, and totals that average and add ratios", async () => {
    const sci = await runFixture("sci");
    expect(found(sci, "sci-functional-unit-zero")).toMatchObject({
      severity: "error",
      where: { path: "tree.children.web.inputs[1].sci" },
      count: 1,
    });
    const outputs = rowsOf(at(sci.corrected ?? sci.tree, "web")?.outputs ?? { length: 0, columns: new Map() });
    expect(outputs[1]?.["sci"]).toBeNaN(); // not infinite: no score is defined
    // Σ carbon = 28 operational + embodied; R = 100 + 0 + 40 + 10.
    const document = impactDocument(sci, 1);
    const total = (path: string, metric: string) =>
      document.totals.find((each) => each.path === path && each.metric === metric);
    const carbon = total("tree", "carbon")?.corrected?.value ?? Number.NaN;
    expect(total("tree", "sci")?.corrected?.value).toBeCloseTo(carbon / 150, 12);
    expect(total("tree", "sci")?.asWritten?.value).toBeGreaterThan(10);
  });

  it("embodied carbon: drives swapped, kilograms for grams, a factor without meaning", async () => {
    const sci = await runFixture("sci");
    expect(codes(sci)).toEqual(
      expect.arrayContaining(["embodied-storage-swapped", "embodied-memory-unit", "embodied-memory-baseline"]),
    );
    const [first] = rowsOf(at(sci.corrected ?? sci.tree, "web")?.outputs ?? { length: 0, columns: new Map() });
    // 1000 + 3 × 100 (vCPUs) + 48 GB × 533/384 + one SSD 100 + two HDD 100 + GPU 150 kg, half of it, 1 h of 4 years.
    const kilograms = 1000 + 300 + (48 * 533) / 384 + 100 + 100 + 150;
    expect(first["embodied-carbon"]).toBeCloseTo((kilograms * 1000 * 0.5 * 3600) / 126_144_000, 9);
    // Each mistake is told by itself: one SSD and two HDD are 250 kg as written, 200 kg right; half of it, 1 h of 4 years.
    expect(found(sci, "embodied-storage-swapped")?.factor).toBeCloseTo((kilograms + 50) / kilograms, 9);
    // With 32 GB as baseline and 1,388 g/GB over five years.
    const grams = 1_000_000 + 300_000 + 32 * 1388 + 100_000 + 100_000 + 150_000;
    expect(first["embodied-grams"]).toBeCloseTo((grams * 0.5 * 3600) / 157_680_000, 9);
  });

  it("TimeSync: the mean lacks a cell, the end is one cell late, a gap below a second shifts", async () => {
    const sync = await runFixture("time-sync");
    expect(codes(sync)).toEqual(expect.arrayContaining(["time-sync-average", "time-sync-end", "time-sync-gap"]));
    const rows = rowsOf(
      at(sync.corrected ?? sync.tree, "seconds", "long")?.outputs ?? { length: 0, columns: new Map() },
    );
    expect(rows).toHaveLength(6);
    expect(rows.map((row) => row["util"])).toEqual([60, 60, 60, 60, 60, 60]);
    for (const row of rows) expect(row["energy"]).toBeCloseTo(1, 12);
  });

  it("curves: sorted crosswise, rounded away, groups joined", async () => {
    const curves = await runFixture("curves");
    expect(found(curves, "interpolation-points-sorted")).toMatchObject({ says: "1", right: "10" });
    expect(codes(curves)).toEqual(expect.arrayContaining(["time-conversion-rounded", "regex-groups-joined"]));
    const rows = rowsOf(at(curves.corrected ?? curves.tree, "server")?.outputs ?? { length: 0, columns: new Map() });
    expect(rows[0]["falling"]).toBe(10);
    expect(rows[3]["falling"]).toBeCloseTo(10 - (33.3 * 5) / 50, 12);
    expect(rows[0]["linear-now"]).toBeCloseTo((0.12 / 31_556_952) * 3600, 15);
  });

  it("an expression that only the last observation decides", async () => {
    const arithmetic = await runFixture("arithmetic");
    expect(found(arithmetic, "expression-last-row")?.where.path).toBe(
      "initialize.plugins.scaled.config.input-parameter",
    );
    expect(found(arithmetic, "divide-by-zero")).toMatchObject({ severity: "error", count: 3 });
  });
});

const pipeline = (plugins: string, compute: string, inputs: string): string =>
  `name: t\ninitialize:\n  plugins:\n${plugins}\ntree:\n  children:\n    c:\n      pipeline: {compute: [${compute}]}\n      inputs:\n${inputs}`;
const ROW =
  "        - {timestamp: 2024-01-01T00:00:00Z, duration: 60, energy: 2, pue: 1.2, wue: 0.5, grid/carbon-intensity: 400}\n";
const multiply = (name: string, inputs: string, output: string): string =>
  `    ${name}: {path: builtin, method: Multiply, config: {input-parameters: [${inputs}], output-parameter: ${output}}}\n`;

describe("the chain of a pipeline", () => {
  it("PUE once is fine, twice is found", async () => {
    const once = multiply("facility", "energy, pue", "energy-facility");
    expect(codes(await run(pipeline(once, "facility", ROW)))).not.toContain("pue-twice");
    const twice = once + multiply("again", "energy-facility, pue", "energy-total");
    expect(found(await run(pipeline(twice, "facility, again", ROW)), "pue-twice")).toMatchObject({
      severity: "error",
      where: { path: "initialize.plugins.again" },
      factor: 1.2,
    });
    const constant = `${once}    apply-pue: {path: builtin, method: Coefficient, config: {input-parameter: energy-facility, coefficient: 1.2, output-parameter: total}}\n`;
    expect(codes(await run(pipeline(constant, "facility, apply-pue", ROW)))).toContain("pue-twice");
  });

  it("on-site WUE belongs to IT energy", async () => {
    const right = multiply("water", "energy, wue", "water");
    expect(codes(await run(pipeline(right, "water", ROW)))).not.toContain("wue-on-facility-energy");
    const wrong =
      multiply("facility", "energy, pue", "energy-facility") + multiply("water", "energy-facility, wue", "water");
    expect(codes(await run(pipeline(wrong, "facility, water", ROW)))).toContain("wue-on-facility-energy");
  });

  it("declared units must multiply to the declared unit", async () => {
    const declared = (unit: string) =>
      `    carbon:\n      path: builtin\n      method: Multiply\n      config: {input-parameters: [energy, grid/carbon-intensity], output-parameter: carbon}\n      parameter-metadata:\n        inputs:\n          energy: {unit: kWh, description: e, aggregation-method: {time: sum, component: sum}}\n          grid/carbon-intensity: {unit: gCO2e/kWh, description: i, aggregation-method: {time: avg, component: avg}}\n        outputs:\n          carbon: {unit: ${unit}, description: c, aggregation-method: {time: sum, component: sum}}\n`;
    expect(codes(await run(pipeline(declared("gCO2e"), "carbon", ROW)))).toEqual([]);
    expect(found(await run(pipeline(declared("kgCO2e"), "carbon", ROW)), "unit-slip")).toMatchObject({
      severity: "error",
      factor: 1000,
    });
  });

  it("units go along the chain: watts × seconds are joules, not Wh and not kWh", async () => {
    const row = ROW.replace("energy: 2", "power: 100");
    const joules = multiply("joules", "power, duration", "work");
    const divided = (denominator: number) =>
      `${joules}    kwh: {path: builtin, method: Divide, config: {numerator: work, denominator: ${denominator}, output: energy}}\n`;
    expect(codes(await run(pipeline(divided(3_600_000), "joules, kwh", row)))).toEqual([]);
    expect(found(await run(pipeline(divided(3_600), "joules, kwh", row)), "unit-slip")).toMatchObject({
      where: { path: "initialize.plugins.kwh" },
      factor: 1000,
    });
    const direct = multiply("p", "power, duration", "energy");
    expect(found(await run(pipeline(direct, "p", row)), "unit-slip")?.factor).toBe(3_600_000);
    // A factor that is no step between units is left alone, be it right or wrong.
    const overhead =
      "    o: {path: builtin, method: Coefficient, config: {input-parameter: power, coefficient: 1.3, output-parameter: total-power}}\n";
    expect(codes(await run(pipeline(overhead, "o", row)))).toEqual([]);
  });

  it("values that no meter gives, and times that count twice", async () => {
    const rows = [
      "{timestamp: 2024-01-01T00:00:00Z, duration: 60, energy: -1}",
      "{timestamp: 2024-01-01T00:00:00Z, duration: 60, energy: 1}",
      "{timestamp: 2024-01-01T00:00:30Z, duration: 0, energy: 1, grid/carbon-intensity: 0.4}",
      "{duration: 60, energy: 1, cpu/utilization: 140}",
      "{timestamp: 2023-12-31T00:00:30Z, duration: 60, energy: .inf}",
    ].map((row) => `        - ${row}\n`);
    const double =
      "    d: {path: builtin, method: Coefficient, config: {input-parameter: energy, coefficient: 2, output-parameter: e2}}\n";
    const result = await run(pipeline(double, "d", rows.join("")));
    expect(codes(result)).toEqual(
      expect.arrayContaining([
        "negative-value",
        "timestamp-duplicate",
        "observation-overlap",
        "duration-not-positive",
        "unit-slip",
        "timestamp-missing",
        "implausible-value",
        "timestamp-order",
        "not-finite",
      ]),
    );
  });
});

describe("hostile and mistaken manifests", () => {
  const thrown = async (text: string): Promise<LightfootError> => {
    try {
      await run(text);
    } catch (error) {
      return error as LightfootError;
    }
    throw new Error("nothing was thrown");
  };
  const one = (plugin: string): string => pipeline(`    p: ${plugin}\n`, "p", ROW);

  it("runs no command, downloads nothing and loads no code unless allowed", async () => {
    for (const plugin of [
      "{path: builtin, method: Shell, config: {command: touch /tmp/never}}",
      "{path: builtin, method: CSVLookup, config: {filepath: 'https://example.org/a.csv', query: {a: energy}, output: '*'}}",
      "{path: builtin, method: CSVImport, config: {filepath: 'file:///etc/passwd', output: '*'}}",
      "{path: some-package, method: Anything}",
      "{path: 'https://github.com/x/y', method: Anything}",
    ]) {
      const error = await thrown(one(plugin));
      expect(error).toMatchObject({ code: "E_NOT_ALLOWED", exitCode: 2 });
      expect(error.hint).toBeTruthy();
    }
  });

  it("suggests the plugin, the method and the unit that was meant", async () => {
    expect((await thrown(one("{path: builtin, method: Multipy}"))).hint).toBe("Did you mean 'Multiply'?");
    expect((await thrown(pipeline(multiply("product", "energy", "e"), "prodct", ROW))).hint).toBe(
      "Did you mean 'product'?",
    );
    const hour =
      "{path: builtin, method: TimeConverter, config: {input-parameter: energy, original-time-unit: huor, new-time-unit: day, output-parameter: e}}";
    expect((await thrown(one(hour))).hint).toBe("Did you mean 'hour'?");
    expect((await thrown(one("{path: builtin, method: constructor}"))).code).toBe("E_IMPACT");
  });

  it("says where a value is missing or no number, with the line", async () => {
    const rows =
      "        - timestamp: 2024-01-01\n          duration: 60\n          energy: 1\n        - timestamp: 2024-01-02\n          duration: 60\n          energy: much\n";
    const error = await thrown(pipeline(multiply("p", "energy", "e"), "p", rows));
    expect(error.where).toEqual({ file: "test.yml", line: 14, path: "tree.children.c.inputs[1].energy" });
    expect(error.message).toContain('"much"');
  });

  it("stops at bombs, circles, nesting and what is no manifest", async () => {
    const lines = ["a0: &a0 [x]"];
    for (let level = 1; level < 12; level++) {
      lines.push(`a${level}: &a${level} [${Array.from({ length: 9 }, () => `*a${level - 1}`).join(", ")}]`);
    }
    expect((await thrown(lines.join("\n"))).code).toBe("E_LIMIT");
    for (const text of [
      "",
      "- 1",
      "just text",
      "name: 3\ntree: []",
      "a: [",
      "\u0000\u0001",
      "name: x\ntree: &t {children: {a: *t}}",
    ]) {
      expect((await thrown(text)).code).toMatch(/^E_(IMPACT|LIMIT)$/);
    }
    let deep = "name: t\ninitialize: {plugins: {}}\ntree:\n";
    for (let level = 0; level < 150; level++)
      deep += `${" ".repeat(2 * level + 2)}children:\n${" ".repeat(2 * level + 3)}a:\n`;
    expect((await thrown(deep)).code).toMatch(/^E_(IMPACT|LIMIT)$/);
  });

  it("evaluates no expression as code", async () => {
    for (const input of [
      "=process.exit(1)",
      "=energy;1",
      "=2**energy",
      `=${"(".repeat(1000)}1`,
      "=energy*",
      "==",
      "=unknown*2",
    ]) {
      const plugin = `{path: builtin, method: Coefficient, config: {input-parameter: '${input}', coefficient: 2, output-parameter: e}}`;
      expect((await thrown(one(plugin))).code).toBe("E_IMPACT");
    }
  });

  it("made-up observations repeat with the seed", async () => {
    const text = `name: t\ninitialize:\n  plugins:\n    m: {path: builtin, method: MockObservations, config: {timestamp-from: 2024-01-01T00:00, timestamp-to: 2024-01-01T00:10, duration: 60, components: [{i: a}, {i: b}], generators: {common: {r: 1}, randint: {load: {min: 1, max: 99}}}}}\ntree:\n  children:\n    c: {pipeline: {observe: [m]}}\n`;
    const rows = async (seed: number) => {
      const result = await recompute(parse(text), { ports: localPorts("t.yml", { seed }) });
      return rowsOf(at(result.tree, "c")?.inputs ?? { length: 0, columns: new Map() });
    };
    const first = await rows(1);
    expect(first).toHaveLength(20);
    expect(first[0]).toMatchObject({ timestamp: "2024-01-01T00:00:00.000Z", duration: 60, i: "a", r: 1 });
    expect(
      first.every(({ load }) => typeof load === "number" && load >= 1 && load < 99 && Number.isInteger(load)),
    ).toBe(true);
    expect(await rows(1)).toEqual(first);
    expect(await rows(2)).not.toEqual(first);
  });
});

/** What readers of YAML like to differ on, or take for something else; parted by two spaces. */
const TRICKY_SCALARS = (
  "2024-01-31  2024-02-31T10:00:00Z  2024-13-01  2024-01-01T00:00  2024-01-01T00:00:00  2024-01-01T25:00:00Z  " +
  "2024-01-01 10:00:00.5  2024-01-01T10:00:00+02:00  '2024-01-01T00:00:00Z'  007  0x1F  0o17  1e5  1E-3  1.  .5  +3  -0  " +
  "1_000  12:30  '4*2'  1e400  123456789012345678  0.1234567890123456789  a1.medium  off  yes  True  NULL  ~  null  " +
  "text # comment  a: b  a:b  'it''s'  \"a\\n\"  \"plain\"  [1, 2]  {a: 1}  &x 1  *x  !!str 1  |  über  - 1  -  x\ty"
)
  .split("  ")
  .concat("trailing   ");

describe("the quick reader of lists", () => {
  const scalar = fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
    fc.integer().map(String),
    fc
      .tuple(fc.integer({ min: -9999, max: 9999 }), fc.integer({ min: 0, max: 6 }))
      .map(([n, k]) => (n / 10 ** k).toFixed(k)),
    fc
      .date({ min: new Date("1970-01-01"), max: new Date("2099-01-01"), noInvalidDate: true })
      .map((date) => date.toISOString()),
    fc.constantFrom(...TRICKY_SCALARS),
  );
  const key = fc.constantFrom("timestamp", "duration", "cpu/utilization", "a-b", "b.c", "'q'", "<<", "y", "null", "7");
  const row = fc.uniqueArray(fc.tuple(key, scalar), { minLength: 1, maxLength: 5, selector: ([name]) => name });

  it("gives what the general reader gives, or leaves the list to it (property)", () => {
    fc.assert(
      fc.property(
        fc.array(row, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 0, max: 4 }),
        fc.integer({ min: 1, max: 3 }),
        fc.constantFrom("\n", "\r\n", "\n\n", "\n# note\n"),
        fc.boolean(),
        (rows, indent, gap, newline, repeatKeys) => {
          const columns = repeatKeys ? rows.map((each) => each.concat(each.slice(0, 1))) : rows;
          const lines = columns.flatMap((pairs) =>
            pairs.map(([name, value], index) => {
              const lead = `${" ".repeat(6 + indent)}${index === 0 ? `-${" ".repeat(gap)}` : " ".repeat(gap + 1)}`;
              return `${lead}${name}: ${value}`;
            }),
          );
          const text = `name: t\ninitialize: {plugins: {}}\ntree:\n  children:\n    c:\n      inputs:\n${lines.join(newline)}\n      own: 1\n    d: {}\n`;
          const outcome = (read: (text: string) => ImpactManifest): unknown => {
            try {
              const { tree } = read(text);
              return [listsOf(tree), at(tree, "c")?.own];
            } catch (error) {
              return (error as LightfootError).code;
            }
          };
          expect(outcome(parse)).toEqual(outcome(parseSlowly));
        },
      ),
      { numRuns: 3_000, seed: 7 },
    );
  });

  it("is used for regular lists, keeps lines, and leaves text blocks alone", () => {
    const text = `name: t\ndescription: |\n  inputs:\n    - a: 1\ninitialize: {plugins: {}}\ntree:\n  children:\n    c:\n      inputs:\n        - a: 1\n        # note\n        - a: 2\n`;
    const manifest = parse(text);
    expect(manifest.head.description).toBe("inputs:\n  - a: 1\n");
    const regular = parse(text.replace("inputs:\n    - a: 1", "words"));
    const list = at(regular.tree, "c")?.inputs;
    expect([list?.lineOf?.(0), list?.lineOf?.(1)]).toEqual([9, 11]);
    expect(list?.columns.get("a")).toEqual({ kind: "number", values: Float64Array.of(1, 2) });
  });
});
