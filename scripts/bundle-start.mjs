// Joins what `dist/cli/main.js` needs before a tracked command can start into that one file; depends on rolldown and the built dist/.
//
// Node spends about half a millisecond on each module it loads, and a command under `track` waits for 26 of them. Only this
// file is joined: what the command need not wait for stays in modules of its own, loaded while the command runs. Code in the
// joined file is a copy of code in dist/, so nothing in it may keep state that others share.
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

const dist = fileURLToPath(new URL("../dist", import.meta.url));
const main = resolve(dist, "cli/main.js");
/** Loaded with `import()` in the source, because other verbs do without them. */
const JOINED = new Set(["cli/track/quick-options.js", "cli/track/track.js"].map((file) => resolve(dist, file)));

/** Leaves `import("./…")` alone, as seen from `main`, and joins the rest. */
const onlyTheStart = {
  name: "only-the-start",
  resolveDynamicImport(specifier, importer) {
    if (typeof specifier !== "string" || !specifier.startsWith(".")) return null;
    const file = resolve(dirname(importer), specifier);
    if (JOINED.has(file)) return file;
    return { id: `./${relative(dirname(main), file).split(sep).join("/")}`, external: "absolute" };
  },
};

const bundle = await rolldown({
  input: main,
  platform: "node",
  external: (id) => !id.startsWith(".") && !id.startsWith("/"),
  plugins: [onlyTheStart],
});
const { output } = await bundle.generate({ format: "esm", codeSplitting: false });
if (output.length !== 1) throw new Error(`the start file came out as ${output.length} files`);
const [{ code, moduleIds }] = output;
for (const id of moduleIds.filter((each) => each.startsWith(dist))) {
  // It would mean another folder in the joined file.
  if (readFileSync(id, "utf8").includes("import.meta.url")) throw new Error(`${relative(dist, id)} asks where it is`);
}
writeFileSync(main, code);
