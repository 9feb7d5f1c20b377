// Where the compiled form of a module lies, for workers and child processes; may depend on nothing.

/**
 * URL of a compiled module, given relative to the module that asks.
 *
 * Node 20 starts no worker from TypeScript: when the asking module runs from `src/` (tests), its twin in `dist/` is meant.
 * @example compiledModule("./task-worker.js", import.meta.url)
 */
export function compiledModule(relative: string, base: string): URL {
  const url = new URL(relative, base);
  if (base.endsWith(".ts")) {
    // The last `src`, because the checkout itself may lie in a folder of that name.
    const at = url.href.lastIndexOf("/src/");
    return new URL(`${url.href.slice(0, at)}/dist/${url.href.slice(at + 5)}`);
  }
  return url;
}
