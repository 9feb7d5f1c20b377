// What the counters showed before a command started, for a meter that is opened only afterwards; may depend on its room and Node's file system.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { SmallFiles } from "./small-files.ts";
import { readKernelFile } from "./usage/proc-file.ts";

/** Texts of files as they stood at one moment, by path. */
export interface FirstReadings {
  /** Monotonic seconds. */
  readonly atSeconds: number;
  readonly texts: ReadonlyMap<string, string>;
}

const ZONE_NAME = /^[A-Za-z][\w-]*(:\d+)+$/;
const CONTROL_NAME = /^[A-Za-z][\w-]*$/;
const MOST_DEPTH = 4;
const MOST_FOLDERS = 512;

/**
 * Reads the powercap counters, the machine's CPU time and the file of a rack meter, and nothing that takes long to find or to load: opening a meter costs
 * as much time as starting Node.js, and the command should not wait for it.
 */
export function takeFirstReadings(
  sysRoot: string,
  procRoot: string,
  now: () => number,
  rackMeter?: string,
): FirstReadings {
  const texts = new Map<string, string>();
  const keep = (path: string): boolean => {
    const text = readKernelFile(path);
    if (text !== undefined) texts.set(path, text);
    return text !== undefined;
  };
  const seen = new Set<string>();
  let visited = 0;
  const visit = (folder: string, depth: number): void => {
    visited += 1;
    if (visited > MOST_FOLDERS) return;
    const names = namesIn(folder);
    const zones = names.filter((name) => ZONE_NAME.test(name) && !seen.has(name));
    for (const name of zones) if (keep(join(folder, name, "energy_uj"))) seen.add(name);
    const deeper = depth === 1 ? [...zones, ...names.filter((name) => CONTROL_NAME.test(name))] : zones;
    if (depth < MOST_DEPTH) for (const name of deeper) visit(join(folder, name), depth + 1);
  };
  for (const root of ["class/powercap", "devices/virtual/powercap"]) if (seen.size === 0) visit(join(sysRoot, root), 1);
  keep(join(procRoot, "stat"));
  // An address is no file and is asked later: it would keep the command waiting.
  if (rackMeter !== undefined) keep(fileOfRack(rackMeter));
  return { atSeconds: now(), texts };
}

/** The file that `--rack-meter` names, without what says how to read it. */
const fileOfRack = (rackMeter: string): string => rackMeter.split("#", 1)[0] ?? "";

/** Sorted, as the meter goes through them: where a zone is listed twice, both take the same one. */
function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).toSorted();
  } catch {
    return [];
  }
}

/** A world in which it is still the moment of the first readings. */
export interface HeldWorld {
  readonly files: SmallFiles;
  readonly clock: () => number;
  /** From here on files and clock are the present ones. */
  release(): void;
}

// A busy machine takes a second to open a meter. Held files with a later time would show what no processor can do in the time
// that is left, and the command's first stretch would be refused as a glitch. Past this the meter itself has given up waiting.
const MOST_HOLD_SECONDS = 5;

/** Holds files that were read, and the clock, at the first readings until `release`. */
export function holdAt({ atSeconds, texts }: FirstReadings, files: SmallFiles, now: () => number): HeldWorld {
  let isHeld = true;
  return {
    clock() {
      const present = now();
      return isHeld && present - atSeconds < MOST_HOLD_SECONDS ? atSeconds : present;
    },
    files: {
      list: (folder) => files.list(folder),
      reader(path) {
        const reader = files.reader(path);
        return {
          read: () => (isHeld ? (texts.get(path) ?? reader.read()) : reader.read()),
          close: () => reader.close(),
        };
      },
    },
    release() {
      isHeld = false;
    },
  };
}
