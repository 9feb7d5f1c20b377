// The rules of the house, read from the sources: which room may import which, file size, names, banned globals; depends on Node.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

// Bottom to top; on one floor the left may be imported by the right. `errors` comes first: even figures throw.
const FLOORS = [
  ["errors", "quantity", "statistics"],
  ["io", "facts"],
  ["model"],
  ["cost", "runtime", "meter"],
  ["footprint", "ledger"],
  ["compress", "plan"],
  ["policy", "distribute"],
  ["pipeline", "report"],
  ["cli", "server"],
] as const;
const ORDER: readonly string[] = FLOORS.flat();

const MAX_LINES = 500;
/** Tables: long by nature. Nothing with logic may stand here. */
const LONG_TABLES: ReadonlySet<string> = new Set();

/** Rooms that may touch the outside world directly; everything else gets a port. */
const OUTSIDE_ROOMS: ReadonlySet<string> = new Set(["io", "meter", "distribute", "cli", "server"]);
const BANNED_GLOBALS: readonly (readonly [name: string, use: RegExp])[] = [
  ["process", /(?<![.\w$])process\s*\??[.[]|from "(node:)?process"/],
  ["console", /(?<![.\w$])console\s*\??[.[]/],
  ["Date.now", /(?<![.\w$])Date\.now\b|new Date\(\)/],
  ["Math.random", /(?<![.\w$])Math\.random\b/],
  ["fetch", /(?<![.\w$])(globalThis\.)?fetch\(/],
];
const HEAVY_PACKAGES = /^(onnxruntime-node|echarts|@duckdb\/)/;

interface Import {
  readonly from: string;
  readonly isType: boolean;
  readonly isLazy: boolean;
}

/** Source without comments and without the text of strings; code inside template literals stays. */
function codeOnly(source: string): string {
  return source.replaceAll(
    /\/\/[^\n]*|\/\*[\s\S]*?\*\/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`/g,
    (token) => {
      if (token.startsWith("/")) return " ";
      if (token.startsWith("`"))
        return Array.from(token.matchAll(/\$\{([^}]*)\}/g), ([, code]) => ` (${code}) `).join("");
      return '""';
    },
  );
}

function importsOf(source: string): Import[] {
  const text = source.replaceAll(/^\s*(\/\/|\*|\/\*).*$/gm, "");
  const whole = /^\s*(?:import|export)\s+(type\s+)?(?:[\w*\s{},$]+?\sfrom\s+)?"([^"]+)"/gm;
  const lazy = /\bimport\(\s*"([^"]+)"\s*\)(\s*\.)?/g;
  return [
    ...Array.from(text.matchAll(whole), ([, type, from]) => ({
      from: from,
      isType: type !== undefined,
      isLazy: false,
    })),
    // `import("x").Type` in a type position loads nothing either; `await import("x")` loads when it is reached.
    ...Array.from(text.matchAll(lazy), ([, from]) => ({ from: from, isType: false, isLazy: true })),
  ];
}

const roomOf = (file: string): string => file.split("/")[0];
const isTest = (file: string): boolean => file.endsWith(".test.ts");

type Sources = ReadonlyMap<string, string>;

/** `file -> imported file`, inside src, paths relative to it. */
function internalImports(sources: Sources): { file: string; target: string; how: Import }[] {
  return [...sources].flatMap(([file, source]) =>
    importsOf(source)
      .filter(({ from }) => from.startsWith("."))
      .map((how) => ({ file, target: posix.normalize(posix.join(dirname(file), how.from)), how })),
  );
}

function wrongDirections(sources: Sources): string[] {
  return (
    internalImports(sources)
      .filter(({ file }) => file.includes("/"))
      // Unit tests may share fixtures with the tests that cross rooms.
      .filter(({ file, target }) => !(isTest(file) && target.startsWith("../test/fixtures/")))
      .filter(({ file, target }) => {
        const [from, to] = [ORDER.indexOf(roomOf(file)), ORDER.indexOf(roomOf(target))];
        return from === -1 || to === -1 || to > from;
      })
      .map(({ file, target }) => `${file} imports ${target}`)
  );
}

/** Circles among static imports; each is reported once, as the way round. */
function circles(sources: Sources): string[] {
  const graph = new Map<string, string[]>();
  for (const { file, target, how } of internalImports(sources)) {
    if (!how.isLazy && !isTest(file)) graph.set(file, [...(graph.get(file) ?? []), target]);
  }
  const found = new Set<string>();
  const done = new Set<string>();
  const visit = (file: string, way: readonly string[]): void => {
    const start = way.indexOf(file);
    if (start !== -1) {
      found.add([...way.slice(start), file].join(" -> "));
      return;
    }
    if (done.has(file)) return;
    for (const next of graph.get(file) ?? []) visit(next, [...way, file]);
    done.add(file);
  };
  for (const file of graph.keys()) visit(file, []);
  return [...found];
}

/** Files that do not open with a comment that is a sentence and, unless it is a test, says what they may depend on. */
function withoutCharter(sources: Sources): string[] {
  return [...sources]
    .filter(([file, source]) => {
      const head = source.replace(/^#!.*\n/, "").match(/^(\/\/ .*\n)+/)?.[0] ?? "";
      return !/\.\s*$/.test(head) || !(isTest(file) || /depend/i.test(head));
    })
    .map(([file]) => file);
}

function bannedGlobals(sources: Sources): string[] {
  return [...sources]
    .filter(([file]) => !OUTSIDE_ROOMS.has(roomOf(file)) && !isTest(file))
    .flatMap(([file, source]) =>
      BANNED_GLOBALS.filter(([, use]) => use.test(codeOnly(source))).map(([name]) => `${file} uses ${name}`),
    );
}

function eagerHeavyImports(sources: Sources): string[] {
  return [...sources]
    .filter(([file]) => !isTest(file))
    .flatMap(([file, source]) =>
      importsOf(source)
        .filter(({ from, isType, isLazy }) => HEAVY_PACKAGES.test(from) && !isType && !isLazy)
        .map(({ from }) => `${file} imports ${from}`),
    );
}

const tooLong = (sources: Sources): string[] =>
  [...sources]
    .map(([file, source]) => ({ file, lines: source.trimEnd().split("\n").length }))
    .filter(({ file, lines }) => lines > MAX_LINES && !LONG_TABLES.has(file))
    .map(({ file, lines }) => `${file} has ${lines} lines`);

const badlyNamed = (sources: Sources): string[] =>
  [...sources.keys()].filter((file) => {
    const name = posix.basename(file).replace(/(\.test)?\.ts$/, "");
    return !/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name) || /util|helper|manager/.test(name);
  });

/** Test files of one worker share their modules: a hook at the top of one of these would run for the first of the files alone. */
const sharedHooks = (modules: Sources): string[] =>
  [...modules]
    .filter(([file, source]) => !isTest(file) && /^(before|after)(Each|All)\(/m.test(source))
    .map(([file]) => file);

const sourcesBelow = (folder: string): Sources => {
  const root = fileURLToPath(new URL(folder, import.meta.url));
  return new Map(
    readdirSync(root, { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts"))
      .map((file) => [file.replaceAll("\\", "/"), readFileSync(`${root}${file}`, "utf8")]),
  );
};
const sources = sourcesBelow("../src/");

describe("the sources", () => {
  it("are found at all", () => expect(sources.size).toBeGreaterThan(20));
  it("import downwards only, and on one floor only to the left", () => expect(wrongDirections(sources)).toEqual([]));
  it("have no circle of imports", () => expect(circles(sources)).toEqual([]));
  it("open with a sentence that says what the file is and what it may depend on", () =>
    expect(withoutCharter(sources)).toEqual([]));
  it(`have at most ${MAX_LINES} lines a file`, () => expect(tooLong(sources)).toEqual([]));
  it("touch the outside world only in the rooms made for it", () => expect(bannedGlobals(sources)).toEqual([]));
  it("load ONNX Runtime, ECharts and DuckDB only when used", () => expect(eagerHeavyImports(sources)).toEqual([]));
  it("have kebab-case names that say what is inside", () => expect(badlyNamed(sources)).toEqual([]));
  it("leave hooks to the test files, as fixtures do", () =>
    expect([...sharedHooks(sources), ...sharedHooks(sourcesBelow("./fixtures/"))]).toEqual([]));
  it("import nothing from tests", () =>
    expect(internalImports(sources).filter(({ file, target }) => !isTest(file) && isTest(target))).toEqual([]));
});

const one = (file: string, source: string): Sources => new Map([[file, source]]);

// The rules above are only worth something if they can fail.
describe("each rule", () => {
  it("sees an upward import, an import to the right on one floor, and an unknown room", () => {
    expect(wrongDirections(one("cost/a.ts", 'import { x } from "../cli/b.ts";'))).toHaveLength(1);
    expect(wrongDirections(one("io/a.ts", 'export * from "../facts/b.ts";'))).toHaveLength(1);
    expect(wrongDirections(one("io/a.ts", 'const b = await import("../model/b.ts");'))).toHaveLength(1);
    expect(wrongDirections(one("io/a.ts", 'import {\n  type X,\n} from "../model/b.ts";'))).toHaveLength(1);
    expect(wrongDirections(one("attic/a.ts", 'import "./b.ts";'))).toHaveLength(1);
    expect(wrongDirections(one("facts/a.ts", 'import type { X } from "../io/b.ts";'))).toEqual([]);
    expect(wrongDirections(one("model/onnx/a.ts", 'import { x } from "../../io/b.ts";'))).toEqual([]);
  });

  it("sees a circle over three files", () => {
    const ring = new Map([
      ["io/a.ts", 'import "./b.ts";'],
      ["io/b.ts", 'import type { C } from "./c.ts";'],
      ["io/c.ts", 'export { a } from "./a.ts";'],
    ]);
    expect(circles(ring)).toEqual(["io/a.ts -> io/b.ts -> io/c.ts -> io/a.ts"]);
  });

  it("sees a missing charter, also one that does not name its dependencies", () => {
    expect(withoutCharter(one("io/a.ts", "export const a = 1;\n"))).toHaveLength(1);
    expect(withoutCharter(one("io/a.ts", "// Reads files.\nexport const a = 1;\n"))).toHaveLength(1);
    expect(withoutCharter(one("cli/a.ts", "#!/usr/bin/env node\n// Entry; depends on all.\nrun();\n"))).toEqual([]);
  });

  it("sees banned globals in code and not in comments, strings or members", () => {
    for (const code of [
      "process.env.X",
      "console.log(1)",
      "Date.now()",
      "new Date()",
      "Math.random()",
      "await fetch(url)",
    ]) {
      expect(bannedGlobals(one("cost/a.ts", `const a = ${code};`)), code).toHaveLength(1);
      expect(bannedGlobals(one("io/a.ts", `const a = ${code};`))).toEqual([]);
      expect(bannedGlobals(one("cost/a.ts", `// ${code}\nconst a = "${code}";`))).toEqual([]);
    }
    expect(bannedGlobals(one("cost/a.ts", "const a = `${process.pid}`;"))).toHaveLength(1);
    expect(bannedGlobals(one("cost/a.ts", "options.fetch(url); this.process.run(); new Date(0);"))).toEqual([]);
  });

  it("sees an eager heavy import and lets types and lazy ones pass", () => {
    expect(eagerHeavyImports(one("runtime/a.ts", 'import * as ort from "onnxruntime-node";'))).toHaveLength(1);
    expect(eagerHeavyImports(one("io/a.ts", 'import { X } from "@duckdb/node-api";'))).toHaveLength(1);
    expect(eagerHeavyImports(one("runtime/a.ts", 'import type { T } from "onnxruntime-node";'))).toEqual([]);
    expect(eagerHeavyImports(one("report/a.ts", 'const e = await import("echarts");'))).toEqual([]);
  });

  it("sees a hook at the top of a module that test files share, and not one that a test file asks for", () => {
    const hook = "afterEach(() => rmSync(folder));\n";
    const asked = `export function useFolders(): void {\n  ${hook}}\n`;
    expect(
      sharedHooks(
        new Map([
          ["a.ts", hook],
          ["b.ts", asked],
          ["c.test.ts", hook],
        ]),
      ),
    ).toEqual(["a.ts"]);
  });

  it("sees long files and empty names", () => {
    expect(tooLong(one("io/a.ts", "x\n".repeat(501)))).toHaveLength(1);
    expect(tooLong(one("io/a.ts", "x\n".repeat(500)))).toEqual([]);
    expect(
      badlyNamed(
        new Map([
          ["io/fileUtils.ts", ""],
          ["io/helpers.ts", ""],
          ["io/file-range.test.ts", ""],
        ]),
      ),
    ).toEqual(["io/fileUtils.ts", "io/helpers.ts"]);
  });
});
