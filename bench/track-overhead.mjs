// What `lightfoot track` adds to a command in wall time and CPU, against CodeCarbon's `monitor` in the same run; depends on dist.
//
//   npm run build && node bench/track-overhead.mjs --peer /path/to/venv/bin/codecarbon [--cpu-seconds 60]
//
// A virtual environment with `pip install codecarbon` has the peer. All candidates run in turns, so that a busy machine slows
// all; printed are medians with the range. "Added" is above the command alone, and is also given in units of `node -e 0`.
//
// Where NODE_EXTRA_CA_CERTS is set, Node reads that file of certificates at every start, before any program of its own (a system's
// whole list: some 40 ms). The main figures are without it, for all candidates; what it makes of them is printed too.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    peer: { type: "string" },
    rounds: { type: "string", default: "11" },
    "cpu-seconds": { type: "string", default: "0" },
  },
});
const main = new URL("../dist/cli/main.js", import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), "lightfoot-bench-"));

const { NODE_EXTRA_CA_CERTS: certificates, ...environment } = process.env;

/** Milliseconds of a whole run. */
function wall([file, ...args], env) {
  const start = process.hrtime.bigint();
  const { status } = spawnSync(file, args, { cwd: folder, stdio: "ignore", env });
  if (status !== 0) throw new Error(`${[file, ...args].join(" ")} ended with ${status}`);
  return Number(process.hrtime.bigint() - start) / 1e6;
}

const node = [process.execPath, "-e", "0"];
const track = [process.execPath, main, "track", "--"];
const monitor =
  values.peer === undefined
    ? undefined
    : [values.peer, "monitor", "--offline", "--country-iso-code", "DEU", "--no-api", "--"];
const candidates = {
  true: ["true"],
  "node -e 0": node,
  "track -- true": [...track, "true"],
  "track -- node -e 0": [...track, ...node],
  ...(monitor && { "codecarbon monitor -- true": [...monitor, "true"] }),
  ...(monitor && { "codecarbon monitor -- node -e 0": [...monitor, ...node] }),
};

const WITH_CERTIFICATES = " (NODE_EXTRA_CA_CERTS)";
const runs = Object.entries(candidates).map(([name, command]) => ({ name, command, env: environment }));
if (certificates !== undefined) {
  for (const name of ["node -e 0", "track -- node -e 0"]) {
    runs.push({ name: name + WITH_CERTIFICATES, command: candidates[name], env: process.env });
  }
}
const times = Object.fromEntries(runs.map(({ name }) => [name, []]));
for (let round = 0; round < Number(values.rounds); round++) {
  for (const { name, command, env } of runs) times[name].push(wall(command, env));
}
const median = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)];
for (const [name, list] of Object.entries(times)) {
  const range = `${Math.min(...list).toFixed(0)} … ${Math.max(...list).toFixed(0)}`;
  console.log(`${name.padEnd(41)} ${median(list).toFixed(0).padStart(6)} ms  (${range})`);
}
const bare = median(times["node -e 0"]);
const added = (name, alone) => median(times[name]) - median(times[alone]);
const ours = added("track -- node -e 0", "node -e 0");
console.log(
  `\ntrack adds ${ours.toFixed(0)} ms to node -e 0: ${(ours - bare).toFixed(0)} ms above the start of Node itself`,
);
console.log(`track adds ${added("track -- true", "true").toFixed(0)} ms to true`);
if (certificates !== undefined) {
  const [alone, tracked] = ["node -e 0", "track -- node -e 0"].map((name) => name + WITH_CERTIFICATES);
  console.log(`with NODE_EXTRA_CA_CERTS, as set here, track adds ${added(tracked, alone).toFixed(0)} ms to node -e 0`);
}
if (monitor) {
  const theirs = added("codecarbon monitor -- node -e 0", "node -e 0");
  console.log(
    `codecarbon monitor adds ${theirs.toFixed(0)} ms to node -e 0: ${(theirs / ours).toFixed(1)} times as much`,
  );
}

/** CPU seconds of a wrapper over a long sleep, its start-up taken off by a short one. */
function cpuOf(command, seconds) {
  const used = (time) => {
    const before = childTicks();
    spawnSync(command[0], [...command.slice(1), "sleep", String(time)], {
      cwd: folder,
      stdio: "ignore",
      env: environment,
    });
    return (childTicks() - before) / 100;
  };
  const start = used(2);
  return used(seconds + 2) - start;
}

/** `cutime + cstime` of this process, in ticks of 10 ms. */
function childTicks() {
  const fields = readFileSync("/proc/self/stat", "utf8").split(") ")[1].split(" ");
  return Number(fields[13]) + Number(fields[14]);
}

const seconds = Number(values["cpu-seconds"]);
if (seconds > 0) {
  for (const [name, command] of Object.entries({ track, "codecarbon monitor": monitor })) {
    if (command === undefined) continue;
    const used = cpuOf(command, seconds);
    console.log(
      `${name}: ${used.toFixed(2)} s of CPU in ${seconds} s, ${((100 * used) / seconds).toFixed(2)} % of one core`,
    );
  }
}
rmSync(folder, { recursive: true });
