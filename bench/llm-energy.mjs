// Compares the language-model estimate with measured serving runs, beside EcoLogits' formula in the same run; may depend on dist and llm-energy-fit.mjs.
// Run: npm run build && node bench/llm-energy.mjs <folder> [--refit]
// The folder holds the task files of your copy of the ML.ENERGY leaderboard (public/data/tasks): lm-arena-chat.json, gpqa.json,
// sourcegraph-fim.json. --refit fits the constants anew without each model family in turn and predicts that family: about a minute.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { SERVING } from "../dist/cost/transformer/coefficients.js";
import { fit, flattened, readRuns, predict } from "./llm-energy-fit.mjs";

const [folder, ...flags] = process.argv.slice(2);
if (folder === undefined || !existsSync(folder)) {
  console.error(
    "Say where the leaderboard's task files are: node bench/llm-energy.mjs leaderboard/public/data/tasks [--refit]",
  );
  process.exit(2);
}

/** Mean prompt of each task: chat and reasoning as ML.ENERGY's blog states them (2026-01-13), code completion is a guess. */
const TASKS = { "lm-arena-chat": 634, gpqa: 224, "sourcegraph-fim": 2500 };

const runs = Object.entries(TASKS).flatMap(([task, tokensIn]) => {
  const file = join(folder, `${task}.json`);
  return existsSync(file) ? readRuns(JSON.parse(readFileSync(file, "utf8")), task, tokensIn) : [];
});
if (runs.length === 0) {
  console.error(`None of ${Object.keys(TASKS).join(", ")} (.json) is in ${folder}`);
  process.exit(2);
}
console.log(`${runs.length} runs of ${new Set(runs.map((run) => run.model)).size} models\n`);

/**
 * EcoLogits (ecologits 0.8, its documentation): Wh per output token and GPU = α·e^{βB}·P + γ, P in billions of active parameters.
 * As shipped it takes B = 64, 16 bit, and the next power of two of 80 GB GPUs that 1.2 times the weights need.
 */
function ecoLogits(run, { asShipped }) {
  const batch = asShipped ? 64 : Math.min(run.batch, 512);
  const needed = Math.ceil((1.2 * run.parameters * 2) / 80e9);
  const gpus = asShipped ? 2 ** Math.ceil(Math.log2(needed)) : run.devices;
  const wattHours = 1.1665e-6 * Math.exp(-1.1206e-2 * batch) * (run.activeParameters / 1e9) + 4.0529e-5;
  return gpus * wattHours * 3600;
}

const estimators = {
  "Lightfoot, sizes only": (run) => predict(run, "sizes", SERVING).joules,
  "Lightfoot, config.json": (run) => predict(run, "config", SERVING).joules,
  "EcoLogits, true GPUs and batch": (run) => ecoLogits(run, { asShipped: false }),
  "EcoLogits, as shipped": (run) => ecoLogits(run, { asShipped: true }),
};
const groups = new Map([["all", runs]]);
for (const run of runs) {
  const name = `${run.task} ${run.gpu}`;
  groups.set(name, [...(groups.get(name) ?? []), run]);
}

console.log("J per output token, all GPUs: fold = max(estimate/measured, measured/estimate), median / 95th percentile");
for (const [name, estimate] of Object.entries(estimators)) {
  console.log(`\n${name}`);
  for (const [group, members] of groups)
    print(
      group,
      members.map((run) => fold(estimate(run), run.joules)),
    );
}
console.log("\nLightfoot, seconds per output token (batch / throughput), and against the median inter-token latency");
print(
  "step",
  runs.map((run) => fold(predict(run, "sizes", SERVING).seconds, run.seconds)),
);
print(
  "median ITL",
  runs.map((run) => fold(predict(run, "sizes", SERVING).seconds, run.medianSeconds)),
);

if (flags.includes("--refit")) refit();

/** Each family is predicted by constants that were fitted without it. */
function refit() {
  const usual = runs.filter((run) => !run.isDataParallel);
  const families = [...new Set(runs.map((run) => run.family))];
  console.log(
    `\nLeft out in turn: ${families.length} families; runs with data-parallel attention (${runs.length - usual.length}) are predicted, never fitted`,
  );
  const unseen = { sizes: [], config: [] };
  for (const family of families) {
    const constants = fit(
      usual.filter((run) => run.family !== family),
      SERVING,
    );
    for (const run of runs.filter((other) => other.family === family)) {
      for (const mode of ["sizes", "config"]) unseen[mode].push({ run, ...predict(run, mode, constants) });
    }
  }
  for (const [mode, found] of Object.entries(unseen)) {
    console.log(`\nunseen families, ${mode === "sizes" ? "sizes only" : "config.json"}`);
    print(
      "energy",
      found.map(({ run, joules }) => fold(joules, run.joules)),
    );
    print(
      "latency",
      found.map(({ run, seconds }) => fold(seconds, run.seconds)),
    );
    print(
      "power",
      found.map(({ run, watts }) => fold(watts, run.watts)),
    );
  }
  console.log("\nfitted to all of them, beside what is in the code");
  const all = flattened(fit(usual, SERVING));
  for (const [name, value] of Object.entries(flattened(SERVING))) {
    console.log(`  ${name.padEnd(36)} ${all[name].toPrecision(3).padStart(10)}  ${value.toPrecision(3).padStart(10)}`);
  }
}

function fold(estimate, measured) {
  return Math.max(estimate / measured, measured / estimate);
}

function print(name, folds) {
  const sorted = folds.toSorted((a, b) => a - b);
  const at = (share) => sorted[Math.ceil(share * (sorted.length - 1))].toFixed(2).padStart(6);
  console.log(`  ${name.padEnd(24)} n ${String(sorted.length).padStart(4)}  ${at(0.5)} /${at(0.95)}   worst ${at(1)}`);
}
