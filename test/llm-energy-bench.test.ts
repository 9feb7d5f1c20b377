// The bench that compares and refits the language-model estimate: on runs made from known constants it finds no error, and finds them back; depends on the build.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";

interface Run {
  readonly joules: number;
}
interface Fit {
  readonly readRuns: (document: object, task: string, tokensIn: number) => Run[];
  readonly predict: (run: Run, mode: string, constants: object, options?: object) => Prediction;
  readonly fit: (runs: readonly Run[], start: object) => object;
  readonly flattened: (constants: object) => Record<string, number>;
}
interface Prediction {
  readonly joules: number;
  readonly seconds: number;
  readonly watts: number;
}
const load = async (path: string): Promise<unknown> => import(new URL(path, import.meta.url).href);
const { readRuns, predict, fit, flattened } = (await load("../bench/llm-energy-fit.mjs")) as Fit;
const { SERVING } = (await load("../dist/cost/transformer/coefficients.js")) as { SERVING: { time: object } };

const folder = mkdtempSync(join(tmpdir(), "lightfoot-llm-bench-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** The world of the test: twice the cost of a layer, half the cost of a sequence. */
const TRUTH = { ...SERVING, time: { ...SERVING.time, layerSeconds: 155e-6, sequenceSeconds: 18e-6 } };

const MODELS: [id: string, total: number, active: number, gpus: number][] = [
  ["meta-llama/Llama-3.1-8B-Instruct", 8, 8, 1],
  ["Qwen/Qwen3-32B", 32, 32, 2],
  ["Qwen/Qwen3-30B-A3B-Instruct-2507", 30, 3, 1],
];

/** Rows as the leaderboard has them; energies are filled in from the truth. */
function configurations(constants: object) {
  const rows = MODELS.flatMap(([model_id, total, active, num_gpus]) =>
    ["H100", "B200"].flatMap((gpu_model) =>
      [8, 32, 96].map((batch) => ({
        model_id,
        gpu_model,
        num_gpus,
        total_params_billions: total,
        activated_params_billions: active,
        weight_precision: "bfloat16",
        max_num_seqs: batch,
        avg_batch_size: batch,
        avg_output_len: 500,
        energy_per_token_joules: 1,
        avg_power_watts: 1,
        median_itl_ms: 1,
        output_throughput_tokens_per_sec: 1,
      })),
    ),
  );
  return readRuns({ configurations: rows }, "lm-arena-chat", 634).map((run, at) => {
    const found = predict(run, "sizes", constants, { roomy: true });
    return {
      ...rows[at],
      energy_per_token_joules: found.joules,
      avg_power_watts: found.watts,
      median_itl_ms: found.seconds * 1000,
      output_throughput_tokens_per_sec: rows[at].max_num_seqs / found.seconds,
    };
  });
}

describe("bench/llm-energy", () => {
  it("prints no error for runs made from the constants in the code, and EcoLogits' beside it", () => {
    writeFileSync(join(folder, "lm-arena-chat.json"), JSON.stringify({ configurations: configurations(SERVING) }));
    const text = execFileSync(process.execPath, ["bench/llm-energy.mjs", folder], { encoding: "utf8" });
    expect(text).toContain("18 runs of 3 models");
    expect(text).toMatch(/Lightfoot, sizes only\n {2}all +n +18 +1\.00 \/ +1\.00/);
    expect(text).toMatch(/EcoLogits, as shipped\n {2}all +n +18 +[1-9]/);
  });

  it("fits towards the constants that made the runs, held back by its priors", () => {
    const runs = readRuns({ configurations: configurations(TRUTH) }, "lm-arena-chat", 634);
    const constants = fit(runs, SERVING);
    const found = flattened(constants);
    expect(found["time.layerSeconds"]).toBeGreaterThan(1.2 * 77.4e-6);
    expect(found["time.sequenceSeconds"]).toBeLessThan(0.9 * 36.1e-6);
    const worst = (by: object) =>
      Math.max(...runs.map((run) => Math.abs(Math.log(predict(run, "sizes", by).joules / run.joules))));
    expect(worst(constants)).toBeLessThan(0.5 * worst(SERVING));
  });
});
