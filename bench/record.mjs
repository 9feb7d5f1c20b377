// Writes what a bench measured beside the machine, commit and seed it was measured with; may depend on dist.
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { fileURLToPath } from "node:url";
import { describeThisMachine } from "../dist/io/machine.js";

/** `results` as `bench/results/<bench>.json`. */
export function record(bench, seed, results) {
  const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
  const { cpuName, logicalCpuCount, memoryBytes, flags } = describeThisMachine();
  const vectors = flags.filter((flag) => /avx2|avx512f|vnni|asimddp|amx/.test(flag));
  const machine = { cpuName, logicalCpuCount, memoryBytes, vectors, loadAverage: loadavg() };
  const folder = fileURLToPath(new URL("./results/", import.meta.url));
  mkdirSync(folder, { recursive: true });
  const document = { bench, commit, seed, machine, ...results };
  writeFileSync(`${folder}${bench}.json`, `${JSON.stringify(document, null, 2)}\n`);
}

/** Median with the range. */
export function summary(list) {
  const sorted = list.toSorted((a, b) => a - b);
  return { median: sorted[Math.floor(sorted.length / 2)], low: sorted[0], high: sorted.at(-1) };
}

/** Signal to noise of `found` against `wanted` in decibels. */
export function decibels(wanted, found) {
  let [signal, noise] = [0, 0];
  wanted.forEach((value, at) => {
    signal += value ** 2;
    noise += (value - found[at]) ** 2;
  });
  return 10 * Math.log10(signal / noise);
}
