// The version that the program says it is; may depend on Node alone.
import { readFileSync } from "node:fs";

/** The version in package.json, which lies two folders up both in `src` and in `dist`. */
export function toolVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
