// Impact Framework manifests: `lightfoot footprint manifest` against the framework's own `if-run` in the same run; depends on dist.
//
//   npm run build && node bench/impact-framework.mjs --peer /path/to/folder-with-@grnsft/if-installed [--rounds 3]
//       [--observations 100000] [--large 1000000]
//
// Both read the same file, compute the same six plugins and totals, and write the output manifest, in turns, as processes
// of their own: start-up counts. Printed are medians with the range, their ratio, and our time for the large file.
import { execFileSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { readImpactManifest } from "../dist/footprint/exchange/impact-framework.js";
import { compareOutputs } from "../dist/footprint/impact-framework/recompute.js";
import { seededRandom } from "../dist/statistics/random.js";

const { values } = parseArgs({
  options: {
    peer: { type: "string" },
    rounds: { type: "string", default: "3" },
    observations: { type: "string", default: "100000" },
    large: { type: "string", default: "1000000" },
  },
});
const rounds = Number(values.rounds);
const folder = mkdtempSync(join(tmpdir(), "lightfoot-bench-"));
const cli = new URL("../dist/cli/main.js", import.meta.url).pathname;

const HEAD = `name: bench
aggregation:
  metrics: [carbon]
  type: both
initialize:
  plugins:
    interpolate:
      method: Interpolation
      path: builtin
      config:
        method: linear
        x: [0, 10, 50, 100]
        y: [0.12, 0.32, 0.75, 1.02]
        input-parameter: cpu/utilization
        output-parameter: cpu-factor
    wattage:
      method: Multiply
      path: builtin
      config: {input-parameters: [cpu-factor, cpu/thermal-design-power], output-parameter: cpu-wattage}
    joules:
      method: Multiply
      path: builtin
      config: {input-parameters: [cpu-wattage, duration], output-parameter: cpu-joules}
    kwh:
      method: Divide
      path: builtin
      config: {numerator: cpu-joules, denominator: 3600000, output: energy}
    carbon:
      method: Multiply
      path: builtin
      config: {input-parameters: [energy, grid/carbon-intensity], output-parameter: carbon}
      parameter-metadata:
        outputs:
          carbon: {unit: gCO2e, description: operational carbon, aggregation-method: {time: sum, component: sum}}
    sci:
      method: Sci
      path: builtin
      config: {functional-unit: requests}
tree:
  pipeline:
    compute: [interpolate, wattage, joules, kwh, carbon, sci]
  defaults:
    cpu/thermal-design-power: 100
  children:
`;

/** One minute each, in four components. */
function writeManifest(observations) {
  const file = join(folder, `bench-${observations}.yml`);
  const out = openSync(file, "w");
  const random = seededRandom(1);
  writeSync(out, HEAD);
  for (let component = 0; component < 4; component++) {
    let text = `    server-${component}:\n      inputs:\n`;
    for (let index = 0; index < observations / 4; index++) {
      text +=
        `        - timestamp: ${new Date(Date.UTC(2024, 0, 1) + index * 60_000).toISOString()}\n          duration: 60\n` +
        `          cpu/utilization: ${(random.next() * 100).toFixed(2)}\n` +
        `          grid/carbon-intensity: ${(200 + random.next() * 300).toFixed(1)}\n` +
        `          requests: ${1 + random.integer(1000)}\n`;
      if (text.length > 1e6) {
        writeSync(out, text);
        text = "";
      }
    }
    writeSync(out, text);
  }
  closeSync(out);
  return file;
}

function seconds(command, options) {
  const start = performance.now();
  execFileSync(process.execPath, command, { stdio: "ignore", ...options });
  return (performance.now() - start) / 1000;
}

const ours = (file, output) => seconds([cli, "footprint", "manifest", file, "--output", output]);
const peerFolder = values.peer === undefined ? undefined : resolve(values.peer);
const theirs = (file, output) =>
  seconds([join(peerFolder, "node_modules/@grnsft/if/build/if-run/index.js"), "-m", file, "-o", output], {
    cwd: peerFolder,
  });

const median = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)];
const line = (name, list) =>
  `${name.padEnd(28)} ${median(list).toFixed(2)} s (${Math.min(...list).toFixed(2)} … ${Math.max(...list).toFixed(2)})`;

try {
  const size = Number(values.observations);
  const file = writeManifest(size);
  const [mine, peer] = [[], []];
  for (let round = 0; round < rounds; round++) {
    mine.push(ours(file, join(folder, "ours.yaml")));
    if (peerFolder !== undefined) peer.push(theirs(file, join(folder, "theirs.yaml")));
  }
  console.log(`${size} observations, six plugins, output written`);
  console.log(line("lightfoot", mine));
  if (peerFolder === undefined)
    console.log("no peer: give --peer the folder where @grnsft/if is installed, for a ratio");
  else {
    const [a, b] = await Promise.all(
      ["theirs.yaml", "ours.yaml"].map((name) => readImpactManifest(join(folder, name))),
    );
    const differences = compareOutputs(a.tree, b.tree);
    if (differences.length > 0) throw new Error(`outputs differ: ${JSON.stringify(differences[0])}`);
    const ratios = mine.map((time, round) => peer[round] / time);
    console.log(line("if-run", peer));
    console.log(
      `${"ratio".padEnd(28)} ${median(ratios).toFixed(1)} (${Math.min(...ratios).toFixed(1)} … ${Math.max(...ratios).toFixed(1)}) times as fast, same numbers`,
    );
  }
  const large = Number(values.large);
  if (large > 0) {
    const big = writeManifest(large);
    const computing = [];
    const writing = [];
    for (let round = 0; round < rounds; round++) {
      computing.push(seconds([cli, "footprint", "manifest", big, "--json"]));
      writing.push(ours(big, join(folder, "large.yaml")));
    }
    console.log(`${large} observations (${(statSync(big).size / 1e6).toFixed(0)} MB of YAML)`);
    console.log(line("lightfoot, totals", computing));
    console.log(line("lightfoot, output written", writing));
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
