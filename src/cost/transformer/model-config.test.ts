// Published configurations give their models' published parameter counts; broken ones are refused by name.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LightfootError } from "../../errors/lightfoot-error.ts";
import { architectureOfConfig } from "./model-config.ts";

const read = (fields: object, stated = {}) =>
  architectureOfConfig(JSON.stringify(fields), "config.json", stated).architecture;

// Sizes as published in the models' config.json; totals as published on their cards, in billions.
const PUBLISHED: [name: string, total: number, active: number, fields: Record<string, unknown>][] = [
  [
    "Llama 3.1 8B",
    8.03,
    8.03,
    {
      model_type: "llama",
      hidden_size: 4096,
      num_hidden_layers: 32,
      num_attention_heads: 32,
      num_key_value_heads: 8,
      intermediate_size: 14336,
      vocab_size: 128256,
      tie_word_embeddings: false,
      hidden_act: "silu",
    },
  ],
  [
    "Llama 3.1 70B",
    70.6,
    70.6,
    {
      model_type: "llama",
      hidden_size: 8192,
      num_hidden_layers: 80,
      num_attention_heads: 64,
      num_key_value_heads: 8,
      intermediate_size: 28672,
      vocab_size: 128256,
      hidden_act: "silu",
    },
  ],
  [
    "Qwen3 30B A3B",
    30.5,
    3.3,
    {
      model_type: "qwen3_moe",
      hidden_size: 2048,
      num_hidden_layers: 48,
      num_attention_heads: 32,
      num_key_value_heads: 4,
      head_dim: 128,
      intermediate_size: 6144,
      moe_intermediate_size: 768,
      num_experts: 128,
      num_experts_per_tok: 8,
      decoder_sparse_step: 1,
      vocab_size: 151936,
      tie_word_embeddings: false,
      hidden_act: "silu",
      use_sliding_window: false,
      sliding_window: null,
    },
  ],
  [
    "gpt-oss 120B",
    116.8,
    5.1,
    {
      model_type: "gpt_oss",
      hidden_size: 2880,
      num_hidden_layers: 36,
      num_attention_heads: 64,
      num_key_value_heads: 8,
      head_dim: 64,
      intermediate_size: 2880,
      num_local_experts: 128,
      num_experts_per_tok: 4,
      vocab_size: 201088,
      sliding_window: 128,
      layer_types: Array.from({ length: 36 }, (_, at) => (at % 2 === 0 ? "sliding_attention" : "full_attention")),
      hidden_act: "silu",
    },
  ],
  [
    "DeepSeek V3",
    671,
    37,
    {
      model_type: "deepseek_v3",
      hidden_size: 7168,
      num_hidden_layers: 61,
      num_attention_heads: 128,
      num_key_value_heads: 128,
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
      vocab_size: 129280,
      hidden_act: "silu",
    },
  ],
  [
    "Llama 4 Maverick, its text part",
    400,
    17,
    {
      model_type: "llama4",
      text_config: {
        model_type: "llama4_text",
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
        vocab_size: 202048,
        tie_word_embeddings: false,
        hidden_act: "silu",
      },
    },
  ],
  [
    "Gemma 3 27B, its text part",
    27,
    27,
    {
      model_type: "gemma3",
      text_config: {
        model_type: "gemma3_text",
        hidden_size: 5376,
        num_hidden_layers: 62,
        num_attention_heads: 32,
        num_key_value_heads: 16,
        head_dim: 128,
        intermediate_size: 21504,
        sliding_window: 1024,
        vocab_size: 262208,
        hidden_activation: "gelu_pytorch_tanh",
      },
    },
  ],
  [
    "Nemotron Nano 9B v2",
    8.9,
    8.9,
    {
      model_type: "nemotron_h",
      hidden_size: 4480,
      num_hidden_layers: 56,
      num_attention_heads: 40,
      num_key_value_heads: 8,
      head_dim: 128,
      intermediate_size: 15680,
      hybrid_override_pattern: "M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-",
      mamba_num_heads: 128,
      mamba_head_dim: 80,
      ssm_state_size: 128,
      n_groups: 8,
      vocab_size: 131072,
      tie_word_embeddings: false,
      mlp_hidden_act: "relu2",
    },
  ],
  [
    "GPT-2",
    0.124,
    0.124,
    { model_type: "gpt2", n_embd: 768, n_layer: 12, n_head: 12, vocab_size: 50257, activation_function: "gelu_new" },
  ],
];

describe("architectureOfConfig", () => {
  it.each(PUBLISHED)("counts the parameters of %s as its card does", (_name, total, active, fields) => {
    const found = read(fields);
    expect(found.parameters / 1e9 / total).toBeCloseTo(1, 1);
    expect(Math.abs(found.parameters / 1e9 / total - 1)).toBeLessThan(0.03);
    expect(Math.abs(found.activeParameters / 1e9 / active - 1)).toBeLessThan(0.13); // cards differ on the input embedding, a lookup
  });

  const named = (name: string) => PUBLISHED.find(([known]) => known === name)![3];

  it("knows what a token leaves in the cache", () => {
    // 2 · 80 layers · 8 heads · 128 numbers; 61 layers of 512 + 64 in a latent cache; half of 36 layers see 128 tokens only
    expect(read(named("Llama 3.1 70B")).cacheValuesPerToken).toBe(163_840);
    expect(read(named("DeepSeek V3")).cacheValuesPerToken).toBe(61 * 576);
    expect(read(named("gpt-oss 120B"))).toMatchObject({
      cacheValuesPerToken: 18_432,
      windowCacheValuesPerToken: 18_432,
      windowTokens: 128,
    });
    expect(read(named("Gemma 3 27B, its text part")).cacheValuesPerToken).toBe(10 * 2 * 16 * 128);
    expect(read(named("Llama 4 Maverick, its text part"))).toMatchObject({
      cacheValuesPerToken: 12 * 2048,
      windowTokens: 8192,
    });
  });

  it("gives hybrids their attention layers and their recurrent state", () => {
    const nemotron = read(named("Nemotron Nano 9B v2"));
    expect(nemotron.cacheValuesPerToken).toBe(4 * 2 * 8 * 128);
    expect(nemotron.stateBytesPerSequence).toBe(27 * 128 * 80 * 128 * 4);
  });

  it.each([
    [{ torch_dtype: "bfloat16" }, "bf16"],
    [{ dtype: "float16" }, "bf16"],
    [{ torch_dtype: "bfloat16", quantization_config: { quant_method: "fp8" } }, "fp8"],
    [{ quantization_config: { quant_method: "mxfp4" } }, "mxfp4"],
    [{ quantization_config: { quant_method: "gptq", bits: 4 } }, "int4"],
    [{ quantization_config: { quant_method: "gptq", bits: 8 } }, undefined],
    [{ torch_dtype: "float32" }, undefined],
    [{}, undefined],
  ])("reads from %j that weights are %s", (fields, weights) => {
    const text = JSON.stringify({ ...named("Llama 3.1 8B"), ...fields });
    expect(architectureOfConfig(text, "config.json").weights).toBe(weights);
  });

  it("takes stated counts and refuses those that cannot be this model", () => {
    const llama = named("Llama 3.1 8B");
    expect(read(llama, { parameters: 8.03e9 }).parameters).toBe(8.03e9);
    expect(() => read(llama, { parameters: 70.6e9 })).toThrow(/8\.030? billion/);
    expect(() => read(named("Qwen3 30B A3B"), { parameters: 20e9 })).toThrow(/E_MODEL_CONFIG|30\.53 billion/);
  });

  it.each([
    ["not json", "no JSON"],
    ["[1]", "no object"],
    ["{}", "num_hidden_layers"],
    ['{"num_hidden_layers":-3}', "positive"],
    ['{"num_hidden_layers":"32"}', "positive"],
    ['{"num_hidden_layers":32,"hidden_size":4096}', "num_attention_heads"],
    [
      '{"num_hidden_layers":2,"hidden_size":64,"num_attention_heads":4,"num_key_value_heads":8,"vocab_size":10}',
      "8 key-value heads for 4",
    ],
    ['{"num_hidden_layers":1e300,"hidden_size":64}', "positive"],
  ])("refuses %s with E_MODEL_CONFIG", (text, message) => {
    expect(() => architectureOfConfig(text, "c.json")).toThrow(
      expect.objectContaining({ code: "E_MODEL_CONFIG", message: expect.stringContaining(message) }),
    );
  });

  it("answers every mangled configuration with finite sizes or an error of its own", () => {
    const fields = [...new Set(PUBLISHED.flatMap(([, , , published]) => Object.keys(published)))];
    const junk = fc.oneof(
      fc.jsonValue(),
      fc.constantFrom(0, -1, 1, 1e9, 1e-9, 1e308, "", "M-*", null, true, [], {}),
      fc.integer({ min: 0, max: 1000 }),
    );
    fc.assert(
      fc.property(
        fc.constantFrom(...PUBLISHED.map(([name]) => name)),
        fc.dictionary(fc.oneof(fc.constantFrom(...fields), fc.constantFrom("__proto__", "text_config")), junk, {
          maxKeys: 4,
        }),
        (name, changes) => {
          const base = named(name);
          const text = JSON.stringify({ ...base, ...(base["text_config"] as object | undefined), ...changes });
          try {
            const { architecture } = architectureOfConfig(text, "c.json");
            for (const value of Object.values(architecture)) expect(Number.isFinite(value) && value >= 0).toBe(true);
            expect(architecture.routedShare).toBeLessThanOrEqual(1);
            expect(architecture.activeParameters).toBeLessThanOrEqual(architecture.parameters);
          } catch (error) {
            expect(error).toBeInstanceOf(LightfootError);
          }
        },
      ),
      // The first example was found by chance: 36 layer types for a model of one layer.
      { numRuns: 2000, seed: 51, examples: [["gpt-oss 120B", { num_hidden_layers: 1 }]] },
    );
  });
});
