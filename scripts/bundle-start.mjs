// Joins what `track` loads into two files: what its command waits for, and what is loaded while it runs; depends on rolldown and the built dist/.
//
// Node spends about half a millisecond on each module it loads. A command under `track` waits for 26 of them, and 55 more load beside
// its own start, on processors that it could use. Code in a joined file is a copy of code in dist/, so nothing in it may keep state
// that other modules share.
import { writeFileSync } from "node:fs";
import { dirname, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

const dist = fileURLToPath(new URL("../dist", import.meta.url));

/** Each `entry` becomes one file with all that it imports, and with `also`, which it loads by `import()`. */
const FILES = [
  { entry: "cli/main.js", also: ["cli/track/quick-options.js", "cli/track/track.js"] },
  { entry: "cli/track/after-start.js", also: [] },
];

for (const { entry, also } of FILES) {
  await join(
    resolve(dist, entry),
    also.map((file) => resolve(dist, file)),
  );
}

async function join(entry, also) {
  /** How `entry` names another file. */
  const seen = (file) => {
    const path = relative(dirname(entry), file).split(sep).join("/");
    return path.startsWith(".") ? path : `./${path}`;
  };
  const bundle = await rolldown({
    input: entry,
    platform: "node",
    external: (id) => !id.startsWith(".") && !id.startsWith("/"),
    plugins: [
      {
        name: "only-these",
        resolveDynamicImport(specifier, importer) {
          if (typeof specifier !== "string" || !specifier.startsWith(".")) return null;
          const file = resolve(dirname(importer), specifier);
          return also.includes(file) ? file : { id: seen(file), external: "absolute" };
        },
        // A module that asks where it is wants its own place, not that of the joined file.
        transform: (code, id) => code.replaceAll("import.meta.url", `new URL("${seen(id)}", import.meta.url).href`),
      },
    ],
  });
  const { output } = await bundle.generate({ format: "esm", codeSplitting: false });
  if (output.length !== 1) throw new Error(`${relative(dist, entry)} came out as ${output.length} files`);
  writeFileSync(entry, withQuickBuiltins(output[0].code));
}

/**
 * Node's own modules taken without their ES module form: making that reads every export once, and the first look at `fs.promises` or
 * `crypto.webcrypto` loads what nobody uses. It is a third of the time that Node needs for these modules.
 */
function withQuickBuiltins(code) {
  return code.replaceAll(
    /^import \{ (.+) \} from "(node:.+)";$/gm,
    (_, names, from) => `const { ${names.replaceAll(" as ", ": ")} } = process.getBuiltinModule("${from}");`,
  );
}
