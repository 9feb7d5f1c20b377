// Reads measured serving runs, predicts them with any set of constants, and fits the constants; may depend on dist alone.
import { asAccelerators } from "../dist/cost/transformer/accelerator.js";
import { typicalArchitecture } from "../dist/cost/transformer/architecture.js";
import { architectureOfConfig } from "../dist/cost/transformer/model-config.js";
import { servingStep } from "../dist/cost/transformer/serving-step.js";
import { findHardware } from "../dist/facts/hardware.js";

const DEVICES = { H100: "nvidia-h100-sxm5-80gb", B200: "nvidia-b200-sxm-180gb" };
const FORMATS = { bfloat16: "bf16", fp8: "fp8", mxfp4: "mxfp4" };

const llama = { model_type: "llama", vocab_size: 128256, hidden_act: "silu" };
const qwen = { model_type: "qwen3", vocab_size: 151936, hidden_act: "silu", head_dim: 128 };
const sliding = (layers, every) =>
  Array.from({ length: layers }, (_, at) => ((at + 1) % every === 0 ? "full_attention" : "sliding_attention"));

/** Sizes that the models' own config.json state, by a part of the model's name. */
const CONFIGS = [
  [
    "Qwen3-8B",
    {
      ...qwen,
      hidden_size: 4096,
      num_hidden_layers: 36,
      num_attention_heads: 32,
      num_key_value_heads: 8,
      intermediate_size: 12288,
    },
  ],
  [
    "Qwen3-14B",
    {
      ...qwen,
      hidden_size: 5120,
      num_hidden_layers: 40,
      num_attention_heads: 40,
      num_key_value_heads: 8,
      intermediate_size: 17408,
    },
  ],
  [
    "Qwen3-32B",
    {
      ...qwen,
      hidden_size: 5120,
      num_hidden_layers: 64,
      num_attention_heads: 64,
      num_key_value_heads: 8,
      intermediate_size: 25600,
    },
  ],
  [
    "30B-A3B",
    {
      ...qwen,
      hidden_size: 2048,
      num_hidden_layers: 48,
      num_attention_heads: 32,
      num_key_value_heads: 4,
      moe_intermediate_size: 768,
      num_experts: 128,
      num_experts_per_tok: 8,
    },
  ],
  [
    "235B-A22B",
    {
      ...qwen,
      hidden_size: 4096,
      num_hidden_layers: 94,
      num_attention_heads: 64,
      num_key_value_heads: 4,
      moe_intermediate_size: 1536,
      num_experts: 128,
      num_experts_per_tok: 8,
    },
  ],
  [
    "480B-A35B",
    {
      ...qwen,
      hidden_size: 6144,
      num_hidden_layers: 62,
      num_attention_heads: 96,
      num_key_value_heads: 8,
      moe_intermediate_size: 2560,
      num_experts: 160,
      num_experts_per_tok: 8,
    },
  ],
  [
    "Llama-3.1-8B",
    {
      ...llama,
      hidden_size: 4096,
      num_hidden_layers: 32,
      num_attention_heads: 32,
      num_key_value_heads: 8,
      intermediate_size: 14336,
    },
  ],
  [
    "70B",
    {
      ...llama,
      hidden_size: 8192,
      num_hidden_layers: 80,
      num_attention_heads: 64,
      num_key_value_heads: 8,
      intermediate_size: 28672,
    },
  ],
  [
    "405B",
    {
      ...llama,
      hidden_size: 16384,
      num_hidden_layers: 126,
      num_attention_heads: 128,
      num_key_value_heads: 8,
      intermediate_size: 53248,
    },
  ],
  [
    "Maverick",
    {
      model_type: "llama4",
      vocab_size: 202048,
      hidden_size: 5120,
      num_hidden_layers: 48,
      num_attention_heads: 40,
      num_key_value_heads: 8,
      head_dim: 128,
      intermediate_size: 8192,
      intermediate_size_mlp: 16384,
      num_local_experts: 128,
      num_experts_per_tok: 1,
      interleave_moe_layer_step: 2,
      attention_chunk_size: 8192,
    },
  ],
  [
    "Scout",
    {
      model_type: "llama4",
      vocab_size: 202048,
      hidden_size: 5120,
      num_hidden_layers: 48,
      num_attention_heads: 40,
      num_key_value_heads: 8,
      head_dim: 128,
      intermediate_size: 8192,
      num_local_experts: 16,
      num_experts_per_tok: 1,
      attention_chunk_size: 8192,
    },
  ],
  [
    "gemma-3-12b",
    {
      model_type: "gemma3",
      vocab_size: 262208,
      hidden_size: 3840,
      num_hidden_layers: 48,
      num_attention_heads: 16,
      num_key_value_heads: 8,
      head_dim: 256,
      intermediate_size: 15360,
      sliding_window: 1024,
    },
  ],
  [
    "gemma-3-27b",
    {
      model_type: "gemma3",
      vocab_size: 262208,
      hidden_size: 5376,
      num_hidden_layers: 62,
      num_attention_heads: 32,
      num_key_value_heads: 16,
      head_dim: 128,
      intermediate_size: 21504,
      sliding_window: 1024,
    },
  ],
  [
    "Nano-9B-v2",
    {
      model_type: "nemotron_h",
      vocab_size: 131072,
      hidden_size: 4480,
      num_hidden_layers: 56,
      num_attention_heads: 40,
      num_key_value_heads: 8,
      head_dim: 128,
      intermediate_size: 15680,
      mamba_num_heads: 128,
      mamba_head_dim: 80,
      ssm_state_size: 128,
      n_groups: 8,
      hybrid_override_pattern: "M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-",
    },
  ],
  [
    "Nano-12B-v2",
    {
      model_type: "nemotron_h",
      vocab_size: 131072,
      hidden_size: 5120,
      num_hidden_layers: 62,
      num_attention_heads: 40,
      num_key_value_heads: 8,
      head_dim: 128,
      intermediate_size: 20480,
      mamba_num_heads: 128,
      mamba_head_dim: 80,
      ssm_state_size: 128,
      n_groups: 8,
      hybrid_override_pattern: `${"M-".repeat(28)}${"*".repeat(6)}`,
    },
  ],
  [
    "DeepSeek",
    {
      model_type: "deepseek_v3",
      vocab_size: 129280,
      hidden_size: 7168,
      num_hidden_layers: 61,
      num_attention_heads: 128,
      q_lora_rank: 1536,
      kv_lora_rank: 512,
      qk_nope_head_dim: 128,
      qk_rope_head_dim: 64,
      v_head_dim: 128,
      intermediate_size: 18432,
      moe_intermediate_size: 2048,
      n_routed_experts: 256,
      n_shared_experts: 1,
      num_experts_per_tok: 8,
      first_k_dense_replace: 3,
    },
  ],
  [
    "gpt-oss-120b",
    {
      model_type: "gpt_oss",
      vocab_size: 201088,
      hidden_size: 2880,
      num_hidden_layers: 36,
      num_attention_heads: 64,
      num_key_value_heads: 8,
      head_dim: 64,
      intermediate_size: 2880,
      num_local_experts: 128,
      num_experts_per_tok: 4,
      sliding_window: 128,
      layer_types: sliding(36, 2),
    },
  ],
  [
    "gpt-oss-20b",
    {
      model_type: "gpt_oss",
      vocab_size: 201088,
      hidden_size: 2880,
      num_hidden_layers: 24,
      num_attention_heads: 64,
      num_key_value_heads: 8,
      head_dim: 64,
      intermediate_size: 2880,
      num_local_experts: 32,
      num_experts_per_tok: 4,
      sliding_window: 128,
      layer_types: sliding(24, 2),
    },
  ],
];

/** Measured runs of one task file, with what the estimators need. */
export function readRuns({ configurations }, task, tokensIn) {
  return configurations.map((row) => {
    const parameters = row.total_params_billions * 1e9;
    const activeParameters = row.activated_params_billions * 1e9;
    const [family, config] = CONFIGS.find(([part]) => row.model_id.includes(part)) ?? [row.model_id];
    const text = config && JSON.stringify(config);
    return {
      task,
      model: row.model_id,
      family: family.startsWith("DeepSeek") ? "DeepSeek" : family,
      gpu: row.gpu_model,
      devices: row.num_gpus,
      hardware: findHardware(`${DEVICES[row.gpu_model]}:${row.num_gpus}`),
      format: FORMATS[row.weight_precision],
      parameters,
      activeParameters,
      known: text && architectureOfConfig(text, row.model_id, { parameters, activeParameters }).architecture,
      // What a user knows is the batch asked for; what was in flight decides the measured step.
      batch: row.max_num_seqs,
      inFlight: row.avg_batch_size,
      tokensIn,
      tokensOut: row.avg_output_len,
      joules: row.energy_per_token_joules,
      watts: row.avg_power_watts,
      seconds: row.avg_batch_size / row.output_throughput_tokens_per_sec,
      medianSeconds: row.median_itl_ms / 1000,
      isDataParallel: row.data_parallel > 1,
    };
  });
}

/** The estimate of a run: by its sizes alone, or by its configuration where one is known; `roomy` ignores the memory limit. */
export function predict(run, mode, constants, { roomy = false } = {}) {
  const architecture =
    mode === "config" && run.known !== undefined
      ? run.known
      : typicalArchitecture(run.parameters, run.activeParameters, constants).architecture;
  const devices = asAccelerators(run.hardware, constants);
  const load = {
    batch: roomy ? run.inFlight : run.batch,
    tokensIn: run.tokensIn,
    cachedTokens: 0,
    tokensOut: run.tokensOut,
    meanContext: run.tokensIn + run.tokensOut / 2,
  };
  const machine = roomy ? { ...devices, memoryBytes: 1e15 } : devices;
  const step = servingStep(architecture, run.format, machine, load, constants);
  return { joules: step.energyJoules / step.inFlight, seconds: step.stepSeconds, watts: step.powerWatts };
}

/**
 * What is fitted: path in the constants, a prior (what is physically sensible), its spread in log units, and hard limits. The floor of
 * other architectures is no fitted value.
 */
const FITTED = [
  ["time.stepSeconds", 1.5e-3, 0.7, 1e-4, 2e-2],
  ["time.layerSeconds", 80e-6, 0.5, 1e-6, 1e-3],
  ["time.sparseLayerSeconds", 40e-6, 0.7, 1e-6, 1e-3],
  ["time.allReduceSeconds", 12e-6, 0.7, 1e-6, 1e-4],
  ["time.sequenceSeconds", 20e-6, 0.7, 1e-7, 1e-3],
  ["time.requestSeconds", 1e-3, 1, 1e-6, 1e-1],
  ["reached.weightBandwidth", 0.85, 0.08, 0.5, 0.92],
  ["reached.cacheBandwidth", 0.6, 0.3, 0.2, 0.92],
  ["reached.arithmetic", 0.75, 0.1, 0.2, 0.9],
  ["reached.overlapNorm", 2, 0.4, 1, 8],
  ["reached.sparseArithmetic", 0.5, 0.5, 0.05, 1],
  ["reached.float8.dense.bandwidth", 0.9, 0.1, 0.3, 1],
  ["reached.float8.dense.arithmetic", 0.7, 0.2, 0.2, 1],
  ["reached.float8.sparse.bandwidth", 0.7, 0.3, 0.2, 1],
  ["reached.float8.sparse.arithmetic", 0.7, 0.4, 0.2, 2],
  ["sparse.denseShareOfActive", 0.4, 0.2, 0.2, 0.8],
  ["sparse.cacheShare", 0.5, 0.3, 0.1, 1.5],
  ["power.floor.Hopper", 0.28, 0.2, 0.1, 0.6],
  ["power.floor.Blackwell", 0.28, 0.2, 0.1, 0.6],
  ["power.memory", 0.5, 0.3, 0.1, 1.2],
  ["power.arithmetic", 0.6, 0.3, 0.1, 1.2],
];

const at = (tree, path) => path.split(".").reduce((node, key) => node[key], tree);

/** The fitted constants by path. */
export const flattened = (constants) => Object.fromEntries(FITTED.map(([path]) => [path, at(constants, path)]));

function withValues(constants, logs) {
  const tree = structuredClone(constants);
  FITTED.forEach(([path], index) => {
    const keys = path.split(".");
    at(tree, keys.slice(0, -1).join(".") || path)[keys.at(-1)] = Math.exp(logs[index]);
  });
  return tree;
}

/** Errors further out than this count linearly, not squared (soft L1). */
const ROBUST = 0.3;
/** Energy counts fully, time and power, which are its factors, half; each prior like a third of an error of one spread. */
const WEIGHTS = { joules: 1, seconds: 0.5, watts: 0.5, prior: 0.3 };

/** Levenberg–Marquardt in the logarithms of the constants, on the logarithms of the errors, by both architectures of each run. */
export function fit(runs, start) {
  const residuals = (logs) => {
    const constants = withValues(start, logs);
    const errors = runs.flatMap((run) =>
      ["sizes", "config"].flatMap((mode) => {
        const found = predict(run, mode, constants, { roomy: true });
        return ["joules", "seconds", "watts"].map((key) => WEIGHTS[key] * Math.log(found[key] / run[key]));
      }),
    );
    const priors = FITTED.map(([, prior, spread], index) => (WEIGHTS.prior * (logs[index] - Math.log(prior))) / spread);
    return [...errors, ...priors];
  };
  const cost = (errors) => errors.reduce((sum, error) => sum + Math.sqrt(1 + (error / ROBUST) ** 2) - 1, 0);
  const inside = (logs) =>
    logs.map((value, index) => Math.min(Math.log(FITTED[index][4]), Math.max(Math.log(FITTED[index][3]), value)));
  let logs = inside(FITTED.map(([path]) => Math.log(at(start, path))));
  let errors = residuals(logs);
  let damping = 1e-3;
  for (let round = 0; round < 40 && damping < 1e6; round++) {
    const columns = logs.map((value, index) => {
      const moved = residuals(logs.with(index, value + 1e-4));
      return moved.map((error, row) => (error - errors[row]) / 1e-4);
    });
    const robust = errors.map((error) => 1 / Math.sqrt(1 + (error / ROBUST) ** 2));
    const normal = columns.map((left) => columns.map((right) => dot(left, right, robust)));
    const gradient = columns.map((column) => dot(column, errors, robust));
    let better = false;
    while (!better && damping < 1e6) {
      const damped = normal.map((row, index) => row.with(index, row[index] * (1 + damping) + 1e-12));
      const move = solve(damped, gradient);
      const next = inside(logs.map((value, index) => value - move[index]));
      const found = residuals(next);
      better = cost(found) < cost(errors);
      damping *= better ? 0.3 : 4;
      if (better) {
        const gain = cost(errors) - cost(found);
        logs = next;
        errors = found;
        if (gain < 1e-6 * cost(errors)) return withValues(start, logs);
      }
    }
  }
  return withValues(start, logs);
}

function dot(left, right, weights) {
  let sum = 0;
  for (let index = 0; index < left.length; index++) sum += left[index] * right[index] * weights[index];
  return sum;
}

/** Gaussian elimination with partial pivoting. */
function solve(matrix, right) {
  const rows = matrix.map((row, index) => [...row, right[index]]);
  const size = rows.length;
  for (let column = 0; column < size; column++) {
    let pivot = column;
    for (let row = column + 1; row < size; row++)
      if (Math.abs(rows[row][column]) > Math.abs(rows[pivot][column])) pivot = row;
    [rows[column], rows[pivot]] = [rows[pivot], rows[column]];
    for (let row = column + 1; row < size; row++) {
      const factor = rows[row][column] / rows[column][column];
      for (let k = column; k <= size; k++) rows[row][k] -= factor * rows[column][k];
    }
  }
  const found = Array.from({ length: size }, () => 0);
  for (let row = size - 1; row >= 0; row--) {
    const known = found.reduce((sum, value, column) => (column > row ? sum + rows[row][column] * value : sum), 0);
    found[row] = (rows[row][size] - known) / rows[row][row];
  }
  return found;
}
