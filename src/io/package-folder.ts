// Finds an installed npm package, the user's own before ours; may depend on nothing.
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** The folder of package `name` as seen from the working directory, else from Lightfoot itself; undefined if absent. */
export function packageFolder(name: string): string | undefined {
  for (const origin of [join(process.cwd(), "package.json"), import.meta.url]) {
    try {
      return dirname(createRequire(origin).resolve(`${name}/package.json`));
    } catch {
      // Not installed as seen from here: the next origin may see it.
    }
  }
  return undefined;
}
