// Small JSON documents kept in the user's cache folder; losing them costs time, never correctness; may depend on its room.
import { mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";
import { writeFileAtomic } from "./atomic-write.ts";
import { readText } from "./read-text.ts";

export interface JsonCache {
  /** The document under a key, or undefined when there is none or it is damaged. */
  read(key: readonly string[]): Promise<unknown>;
  /** Best effort: a cache that cannot be written is no error. */
  write(key: readonly string[], document: unknown): Promise<void>;
}

/** `$XDG_CACHE_HOME/lightfoot`, else the system's own place for caches. */
export function userCacheFolder(): string {
  const { XDG_CACHE_HOME: xdg, LOCALAPPDATA: local } = process.env;
  // The XDG specification tells programs to ignore relative paths.
  if (xdg !== undefined && isAbsolute(xdg)) return join(xdg, "lightfoot");
  if (process.platform === "darwin") return join(homedir(), "Library", "Caches", "lightfoot");
  if (process.platform === "win32" && local !== undefined) return join(local, "lightfoot", "Cache");
  return join(homedir(), ".cache", "lightfoot");
}

/** A cache in a folder: one file for each key, `<a>/<b>/<c>.json`; files appear whole or not at all. */
export function folderCache(folder: string): JsonCache {
  const fileOf = (key: readonly string[]): string => join(folder, ...key.map(safeName)) + ".json";
  return {
    async read(key) {
      try {
        const text = await readText(fileOf(key));
        return text === undefined ? undefined : JSON.parse(text);
      } catch {
        return undefined;
      }
    },
    async write(key, document) {
      const file = fileOf(key);
      try {
        // Other users need not see where this one's machines are.
        await mkdir(dirname(file), { recursive: true, mode: 0o700 });
        await writeFileAtomic(file, `${JSON.stringify(document)}\n`);
      } catch {
        // A full disk or a read-only home: the next run asks again.
      }
    },
  };
}

/** A part of a key as one file name that leads nowhere else. */
const safeName = (part: string): string =>
  encodeURIComponent(part)
    .replaceAll("*", "%2A")
    .replace(/^\.+/, (dots) => "%2E".repeat(dots.length)) || "_";
