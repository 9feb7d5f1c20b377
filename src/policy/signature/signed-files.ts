// The files below a model's folder against the digests that were signed; may depend on errors, io and its room.
import { createHash } from "node:crypto";
import { readdir, realpath } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { openFileRange } from "../../io/file-range.ts";
import type { Statement } from "./bundle.ts";

export interface SignedFiles {
  readonly matching: number;
  /** Other content, or another length. */
  readonly changed: readonly string[];
  readonly missing: readonly string[];
  /** There, and neither signed nor told to be ignored. */
  readonly unsigned: readonly string[];
  /** Digests of a kind that cannot be computed here. */
  readonly unread: readonly string[];
}

/** Names of the standard, as node:crypto calls them. */
const ALGORITHMS: Readonly<Record<string, string>> = { sha256: "sha256", blake2b: "blake2b512" };
const GIT_PATHS = [".git", ".gitattributes", ".github", ".gitignore"];
const CHUNK_BYTES = 2 ** 20;

/**
 * Compares digests; shards are named `path:start:end`.
 *
 * @param signatureFile left out of the comparison where it lies in the folder
 * @throws LightfootError E_FILE_READ, E_PERMISSION for a file that is there and cannot be read
 */
export async function compareSignedFiles(
  folder: string,
  { resources, serialization }: Statement,
  signatureFile: string,
): Promise<SignedFiles> {
  const present = new Set(await filesBelow(folder, await realpath(signatureFile), serialization.allow_symlinks));
  const isSharded = serialization.method === "shards";
  const ends = new Map<string, number>();
  const [changed, missing, unread] = [new Set<string>(), new Set<string>(), new Set<string>()];
  const names = new Set<string>();
  for (const { name, algorithm, digest } of resources) {
    const [path, start, end] = isSharded ? splitShard(name) : [name, 0, undefined];
    names.add(path);
    ends.set(path, Math.max(ends.get(path) ?? 0, end ?? 0));
    const known = ALGORITHMS[algorithm.split("-")[0]];
    if (!present.has(path)) missing.add(path);
    else if (known === undefined) unread.add(path);
    else if ((await digestOf(join(folder, path), known, start, end)) !== digest) changed.add(path);
  }
  if (isSharded) {
    for (const [path, end] of ends) {
      if (present.has(path) && (await sizeOf(join(folder, path))) !== end) changed.add(path);
    }
  }
  const ignored = [...serialization.ignore_paths, ...GIT_PATHS];
  const isIgnored = (path: string): boolean => ignored.some((name) => path === name || path.startsWith(`${name}/`));
  const list = (paths: Iterable<string>): string[] => [...paths].toSorted();
  return {
    matching: [...names].filter((path) => ![changed, missing, unread].some((set) => set.has(path))).length,
    changed: list(changed),
    missing: list(missing),
    unsigned: list([...present].filter((path) => !names.has(path) && !isIgnored(path))),
    unread: list(unread),
  };
}

function splitShard(name: string): [path: string, start: number, end: number] {
  const parts = name.split(":");
  const [start, end] = parts.slice(-2).map(Number);
  return [parts.slice(0, -2).join(":"), start, end];
}

async function sizeOf(path: string): Promise<number> {
  const range = await openFileRange(path);
  const { size } = range;
  await range.close();
  return size;
}

async function digestOf(path: string, algorithm: string, start: number, end: number | undefined): Promise<string> {
  const hash = createHash(algorithm);
  const range = await openFileRange(path);
  try {
    const last = Math.min(end ?? range.size, range.size);
    for (let offset = start; offset < last; offset += CHUNK_BYTES) {
      hash.update(await range.read(offset, Math.min(CHUNK_BYTES, last - offset)));
    }
  } finally {
    await range.close();
  }
  return hash.digest("hex");
}

/** Paths below the folder, with slashes; links count only where the signer let them. */
async function filesBelow(folder: string, without: string, withLinks: boolean): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const found: string[] = [];
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    const isFile = entry.isFile() || entry.isSymbolicLink();
    if (!isFile || (await realpath(path).catch(() => path)) === without) continue;
    if (entry.isSymbolicLink() && !withLinks) continue;
    found.push(relative(folder, path).split(sep).join("/"));
  }
  return found;
}
