// What a manifest's plugins may reach: local files beside the manifest, seeded chance, and whatever else the caller allows; may depend on io, errors, statistics and impact-framework.
import { dirname, resolve } from "node:path";
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { readText } from "../../io/read-text.ts";
import { fileError } from "../../io/file-range.ts";
import { seededRandom } from "../../statistics/random.ts";
import type { ImpactPorts } from "../impact-framework/plugin.ts";
import { parseYamlDocuments } from "./impact-framework.ts";

export interface PortOptions {
  /** Seed of MockObservations' random numbers. */
  readonly seed?: number;
  readonly fetchText?: ImpactPorts["fetchText"];
  readonly runCommand?: ImpactPorts["runCommand"];
}

/** Ports for a manifest on disk. A relative path is looked up beside the manifest, then, as `if-run` does, in the working folder. */
export function localPorts(manifestFile: string, options: PortOptions = {}): ImpactPorts {
  const random = seededRandom(options.seed ?? 1);
  return {
    async readFile(path) {
      const places = [...new Set([resolve(dirname(manifestFile), path), resolve(path)])];
      for (const place of places) {
        try {
          const text = await readText(place);
          if (text !== undefined) return text;
        } catch (error) {
          throw fileError(error, place);
        }
      }
      throw new LightfootError("E_FILE_NOT_FOUND", `there is no file ${path}`, {
        where: { file: places[0] },
        hint: "A plugin's 'filepath' is looked up beside the manifest, then in the working folder.",
      });
    },
    random(label) {
      const stream = random.fork(label);
      return () => stream.next();
    },
    parseYaml: parseYamlDocuments,
    ...(options.fetchText !== undefined && { fetchText: options.fetchText }),
    ...(options.runCommand !== undefined && { runCommand: options.runCommand }),
  };
}
