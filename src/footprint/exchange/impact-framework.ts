// Codec of the Impact Framework's manifests (YAML, v1): reads one with its observations, writes one that if-run and if-check read; may depend on yaml, io, errors and impact-framework.
//
//   const manifest = await readImpactManifest("pipeline.yml");
//   const run = await recompute(manifest, { ports });   // impact-framework/recompute.ts says what comes back
//   await writeImpactManifest(run.manifest, run.tree, "out.yml", "lightfoot footprint manifest pipeline.yml");
import { readFile, stat } from "node:fs/promises";
import {
  LineCounter,
  parseAllDocuments,
  parseDocument,
  stringify,
  type DocumentOptions,
  type ParseOptions,
  type SchemaOptions,
} from "yaml";
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { openAtomicWriter } from "../../io/atomic-write.ts";
import { fileError } from "../../io/file-range.ts";
import { checkManifest, type ImpactManifest, type TreeNode } from "../impact-framework/manifest.ts";
import type { Observations } from "../impact-framework/observations.ts";
import { listOfMarker, spliceLists } from "./impact-framework-lists.ts";
import { rowChunks } from "./impact-framework-rows.ts";

const MAX_BYTES = 2 ** 31 - 1;
/** What aliases may multiply to; a defaults block shared by thousands of nodes is fine, a "billion laughs" is not. */
const MAX_ALIASES = 100_000;

// The framework reads YAML 1.2's core schema with timestamps and merge keys, and numbers with underscores.
const YAML_OPTIONS = {
  schema: "core",
  merge: true,
  customTags: (tags) => [
    ...tags,
    "timestamp",
    {
      tag: "tag:yaml.org,2002:float",
      default: true,
      test: /^[-+]?[0-9][0-9]*_[0-9_]*(\.[0-9_]*)?$/,
      resolve: (text: string) => Number(text.replaceAll("_", "")),
    },
  ],
} satisfies SchemaOptions & ParseOptions & DocumentOptions;

/**
 * Reads a manifest, or an output manifest of `if-run`; lists of observations become columns.
 *
 * @throws LightfootError E_FILE_NOT_FOUND, E_FILE_READ, E_LIMIT, E_IMPACT with a finding for each mistake
 */
export async function readImpactManifest(file: string): Promise<ImpactManifest> {
  let bytes: Buffer;
  try {
    const { size } = await stat(file);
    if (size > MAX_BYTES) {
      throw new LightfootError("E_LIMIT", `the file has ${size} bytes, at most ${MAX_BYTES} are read`, {
        where: { file },
      });
    }
    bytes = await readFile(file);
  } catch (error) {
    throw fileError(error, file);
  }
  return parseImpactManifest(bytes, file);
}

/** The same for bytes at hand; `file` is for errors. */
export function parseImpactManifest(bytes: Buffer, file: string): ImpactManifest {
  const spliced = spliceLists(bytes);
  if (spliced !== undefined && spliced.lists.length > 0) {
    const data = parseYaml(spliced.text, file, spliced.lineOf);
    let used = 0;
    const manifest = checkManifest(data, file, (value) => {
      const list = listOfMarker(spliced, value);
      if (list !== undefined) used++;
      return list;
    });
    // A marker that is not where a list belongs stands in a block of text, or in a list of another meaning.
    if (used === spliced.lists.length) return manifest;
  }
  return checkManifest(parseYaml(bytes.toString("utf8"), file), file);
}

function parseYaml(text: string, file: string, lineOf: (line: number) => number = (line) => line): unknown {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { ...YAML_OPTIONS, lineCounter, prettyErrors: false });
  const [problem] = document.errors;
  if (problem !== undefined) {
    const { line, col } = lineCounter.linePos(problem.pos[0]);
    throw new LightfootError("E_IMPACT", `the file is no YAML: ${problem.message.replaceAll(/\s+/g, " ")}`, {
      where: { file, line: lineOf(Math.max(1, line)), column: Math.max(1, col) },
    });
  }
  try {
    return document.toJS({ maxAliasCount: MAX_ALIASES }) as unknown;
  } catch (error) {
    throw new LightfootError(
      "E_LIMIT",
      `the file's aliases multiply too far: ${error instanceof Error ? error.message : String(error)}`,
      {
        where: { file },
        cause: error,
      },
    );
  }
}

/** Every document of a YAML text as plain data; what a command prints. */
export function parseYamlDocuments(text: string): unknown[] {
  const documents = parseAllDocuments(text, { ...YAML_OPTIONS, prettyErrors: false });
  if (!Array.isArray(documents)) return [];
  return documents.map((document) => {
    const [problem] = document.errors;
    if (problem !== undefined) throw new LightfootError("E_IMPACT", `the command printed no YAML: ${problem.message}`);
    return document.toJS({ maxAliasCount: MAX_ALIASES }) as unknown;
  });
}

const LIST_KEY = /^(\s*)(inputs|outputs): lightfoot-list-(\d+)$/;
/**
 * Writes a manifest in the framework's own format: head, `execution`, tree with inputs, outputs and totals.
 *
 * @param command what is noted as `execution.command`
 * @throws LightfootError E_FILE_WRITE, E_PERMISSION
 */
export async function writeImpactManifest(
  manifest: ImpactManifest,
  tree: TreeNode,
  file: string,
  command: string,
): Promise<void> {
  const lists: Observations[] = [];
  const { explain: _explain, execution: _execution, ...head } = manifest.head;
  const data = { ...head, execution: { command, status: "success" }, tree: plainNode(tree, lists) };
  const text = stringify(data, { ...YAML_OPTIONS, lineWidth: 0, aliasDuplicateObjects: false });
  const writer = await openAtomicWriter(file);
  try {
    for (const chunk of chunksOf(text, lists)) await writer.write(chunk);
    await writer.commit();
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

function plainNode(node: TreeNode, lists: Observations[]): Record<string, unknown> {
  const marker = (list: Observations): unknown => (list.length === 0 ? [] : `lightfoot-list-${lists.push(list) - 1}`);
  return {
    ...node.own,
    ...(node.children !== undefined && {
      children: Object.fromEntries(Array.from(node.children, ([name, child]) => [name, plainNode(child, lists)])),
    }),
    ...(node.inputs !== undefined && { inputs: marker(node.inputs) }),
    ...(node.outputs !== undefined && { outputs: marker(node.outputs) }),
    ...(node.aggregated !== undefined && { aggregated: node.aggregated }),
  };
}

function* chunksOf(text: string, lists: readonly Observations[]): Generator<Uint8Array> {
  let chunk = "";
  for (const line of text.split("\n")) {
    const parts = LIST_KEY.exec(line);
    if (parts === null) {
      chunk += `${line}\n`;
      continue;
    }
    const [, indent, key, number] = parts;
    const list = lists[Number(number)];
    yield Buffer.from(`${chunk}${indent}${key}:\n`);
    chunk = "";
    // The file's own rows, when they may stand here as they are: at the key's indent or deeper.
    const { source } = list;
    if (source !== undefined && source.indent >= indent.length) yield* source.rows();
    else yield* rowChunks(list, `${indent}  `);
  }
  yield Buffer.from(chunk.replace(/\n+$/, "\n"));
}
