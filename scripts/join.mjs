// Joins the built modules of dist/ into few files, wherever something starts: the command, the package's rooms, worker threads; depends on rolldown and the built dist/.
//
// Node spends about half a millisecond on each module it loads, and a verb loads a hundred of them. A module stays one however many
// files use it: what two of them need is a file of its own, in dist/joined. The other modules of dist/ stay as they are.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

const dist = fileURLToPath(new URL("../dist", import.meta.url));
const packageFile = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
const slashed = (path) => path.split(sep).join("/");

/**
 * What a command under `track` waits for, and what is loaded while it runs: CommonJS, which Node starts some milliseconds sooner, and
 * each one file with all that it needs, `also` what it loads by `import()`. Their modules are copies, so nothing in them may keep state
 * that others share.
 */
const COMMAND = [
  { entry: "cli/main", also: ["cli/track/quick-options", "cli/track/track"], place: "cli/main.js" },
  { entry: "cli/track/after-start", also: [], place: "cli/after-start.js" },
];

/** What the two load by `import()`. */
const COMMAND_PARTS = ["base-program", "commands/track", "interrupt", "program", "track/factors", "usage-error"].map(
  (name) => `cli/${name}`,
);

const rooms = Object.values(packageFile.exports)
  .filter((path) => path.endsWith(".js"))
  .map((path) => path.slice("./dist/".length, -".js".length));

/** Modules that threads and child processes are started from, by their file's address. */
function workers() {
  const found = new Set();
  for (const file of readdirSync(dist, { recursive: true }).filter((name) => name.endsWith(".js"))) {
    const code = readFileSync(join(dist, file), "utf8");
    for (const [, path] of code.matchAll(/compiledModule\("(.+?)\.js", import\.meta\.url\)/g)) {
      found.add(slashed(join(dirname(file), path)));
    }
  }
  return [...found];
}

const built = (name) => resolve(dist, `${name}.js`);
/** Where the file of a start lies: in its module's own place, but what is of the room `cli` in dist/joined, since dist/cli is CommonJS. */
function placeOf(name) {
  const { place } = COMMAND.find(({ entry }) => entry === name) ?? {};
  return place ?? (COMMAND_PARTS.includes(name) ? `joined/${name.replaceAll("/", "-")}.js` : `${name}.js`);
}

/** Stands for dist/ until it is known how far a file is from it. */
const DIST = "lightfoot-dist:";

/** A module that asks where it is wants its own place, not that of the joined file. */
const ownPlaces = (base) => ({
  name: "own-places",
  transform: (code, id) =>
    id.startsWith(dist)
      ? code.replaceAll("import.meta.url", `new URL("${DIST}${slashed(relative(dist, id))}", ${base}).href`)
      : undefined,
});

const isPackage = (id) => !id.startsWith(".") && !id.startsWith("/");

/**
 * Node's own modules taken without their ES module form: making that reads every export once, and the first look at `fs.promises` or
 * `crypto.webcrypto` loads what nobody uses. It is a third of the time that Node needs for these modules.
 */
const withQuickBuiltins = (code) =>
  code.replaceAll(
    /^import \{ (.+) \} from "(node:.+)";$/gm,
    (_, names, from) => `const { ${names.replaceAll(" as ", ": ")} } = process.getBuiltinModule("${from}");`,
  );

function write(fileName, code) {
  const root = slashed(relative(dirname(fileName), ".")) || ".";
  writeFileSync(join(dist, fileName), code.replaceAll(DIST, `${root}/`));
}

async function joinCommand({ entry, also, place }) {
  const bundle = await rolldown({
    input: built(entry),
    platform: "node",
    external: isPackage,
    plugins: [
      {
        name: "only-these",
        resolveDynamicImport(specifier, importer) {
          if (isPackage(specifier)) return null;
          const file = resolve(dirname(importer), specifier);
          const name = slashed(relative(dist, file)).slice(0, -".js".length);
          if (also.includes(name)) return file;
          if (name.startsWith("cli/") && placeOf(name) === `${name}.js`)
            throw new Error(`${name} is not in COMMAND_PARTS`);
          return { id: `../${placeOf(name)}`, external: "absolute" };
        },
      },
      ownPlaces(`require("node:url").pathToFileURL(__filename)`),
    ],
  });
  const { output } = await bundle.generate({ format: "cjs", codeSplitting: false, dynamicImportInCjs: true });
  // `import()` of CommonJS would start Node's loader for ES modules and have it read the whole file for names.
  const code = output[0].code.replaceAll(/\bimport\("\.\.\/cli\/(.+?)"\)/g, 'require("./$1")');
  return { fileName: place, code };
}

/** The rest of the command, the rooms and the workers: what several of them use is a file of its own, and stays one module. */
async function joinRest() {
  const starts = [...COMMAND_PARTS, ...rooms, ...workers()];
  const bundle = await rolldown({
    input: Object.fromEntries(starts.map((name) => [placeOf(name).slice(0, -".js".length), built(name)])),
    platform: "node",
    external: isPackage,
    plugins: [ownPlaces("import.meta.url")],
  });
  const names = { entryFileNames: "[name].js", chunkFileNames: "joined/[name]-[hash].js" };
  const { output } = await bundle.generate({ format: "esm", ...names });
  return output.map(({ fileName, code }) => ({ fileName, code: withQuickBuiltins(code) }));
}

const files = [...(await Promise.all(COMMAND.map(joinCommand))), ...(await joinRest())];
// Nothing but CommonJS may lie in a folder that package.json calls so.
rmSync(join(dist, "cli"), { recursive: true });
for (const folder of ["cli", "joined"]) mkdirSync(join(dist, folder));
writeFileSync(join(dist, "cli/package.json"), `${JSON.stringify({ type: "commonjs" })}\n`);
for (const { fileName, code } of files) write(fileName, code);
