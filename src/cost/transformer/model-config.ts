// A Hugging Face `config.json` to the architecture that serving costs depend on; may depend on its room and errors.
import { LightfootError } from "../../errors/lightfoot-error.ts";
import type { Assumption } from "../../quantity/figure.ts";
import { requireCounts, type KnownArchitecture } from "./architecture.ts";
import type { WeightFormat } from "./weight-format.ts";

type Fields = Readonly<Record<string, unknown>>;

/** Counts that override what the configuration implies, e.g. the ones a model card states. */
export interface StatedCounts {
  readonly parameters?: number;
  readonly activeParameters?: number;
}

/**
 * Reads a decoder's `config.json`: Llama, Mistral, Qwen, Gemma, Phi, Mixtral, Llama 4, DeepSeek, gpt-oss, Nemotron-H, GPT-2 and their like.
 *
 * Parameters are counted from the sizes (norms and biases left out, below 0.1 %) unless stated. Multimodal files give their text part.
 *
 * @param text the file's content
 * @throws LightfootError E_MODEL_CONFIG when it is no JSON object, lacks a size or contradicts itself or the stated counts
 */
export function architectureOfConfig(text: string, where: string, stated: StatedCounts = {}): KnownArchitecture {
  const fields = textFields(parseObject(text, where));
  const read = new ConfigReader(fields, where);
  const layers = read.size("num_hidden_layers", "n_layer", "num_layers");
  const hiddenSize = read.size("hidden_size", "n_embd", "d_model");
  const attention = attentionOf(read, layers, hiddenSize);
  const experts = expertsOf(read, layers, hiddenSize);
  const denseLayers = Math.max(0, attention.feedForwardLayers - experts.layers);
  const denseWidth =
    denseLayers > 0 ? read.size("intermediate_size_mlp", "intermediate_size", "n_inner", 4 * hiddenSize) : 0;
  const matrices = isGated(read) ? 3 : 2;
  const vocabulary = read.size("vocab_size");
  const embeddings = vocabulary * hiddenSize * (read.flag("tie_word_embeddings", isTiedByDefault(read)) ? 1 : 2);
  const outside =
    embeddings + attention.parameters + denseLayers * matrices * hiddenSize * denseWidth + experts.outsideParameters;

  const counted = outside + experts.routedParameters;
  const parameters = stated.parameters ?? counted;
  const activeOutside = parameters - experts.routedParameters;
  if (activeOutside <= 0 || parameters < counted / 2 || parameters > counted * 2) {
    throw read.contradiction(
      `its sizes make ${billions(counted)} parameters, not the ${billions(parameters)} that were stated`,
    );
  }
  const active = stated.activeParameters ?? activeOutside + experts.share * experts.routedParameters;
  requireCounts(parameters, active);
  const assumptions: Assumption[] = [];
  if (stated.parameters === undefined) {
    assumptions.push({
      key: "architecture.counted",
      text: `${billions(parameters)} parameters are counted from the sizes in ${where}, norms and biases left out`,
    });
  }
  if (experts.layers > 0) {
    assumptions.push({ key: "architecture.experts", text: "a token's experts are drawn evenly and independently" });
  }
  const weights = storedFormat(fields);
  return {
    isComplete: true,
    ...(weights === undefined ? {} : { weights }),
    assumptions,
    architecture: {
      parameters,
      activeParameters: active,
      routedParameters: experts.routedParameters,
      routedShare: experts.share,
      layers,
      hiddenSize,
      attentionWidth: attention.width,
      ...attention.cache,
      stateBytesPerSequence: attention.stateBytes,
    },
  };
}

/** `quantization_config` of quantized models, `dtype` of the others; undefined where neither is one of the known formats. */
function storedFormat(fields: Fields): WeightFormat | undefined {
  const quantization = fields["quantization_config"];
  if (typeof quantization === "object" && quantization !== null) {
    const { quant_method: method, bits, load_in_4bit: in4 } = quantization as Fields;
    if (method === "fp8" || method === "fbgemm_fp8") return "fp8";
    if (method === "mxfp4") return "mxfp4";
    return bits === 4 || in4 === true || method === "awq" ? "int4" : undefined;
  }
  return /^b?float16$/.test(String(fields["dtype"] ?? fields["torch_dtype"])) ? "bf16" : undefined;
}

class ConfigReader {
  readonly where: string;
  private readonly fields: Fields;
  constructor(fields: Fields, where: string) {
    this.fields = fields;
    this.where = where;
  }

  /** The first of the named fields that holds a positive number; a number as last argument is the default. */
  size(...names: (string | number)[]): number {
    const found = this.optional(...names.filter((name) => typeof name === "string"));
    if (found !== undefined) return found;
    const fallback = names.at(-1);
    if (typeof fallback === "number") return fallback;
    throw new LightfootError("E_MODEL_CONFIG", `no '${names.join("' or '")}' in the configuration`, {
      where: { file: this.where },
      hint: "Give the config.json of a decoder-only language model as published beside its weights, or --params without --model.",
    });
  }

  optional(...names: string[]): number | undefined {
    for (const name of names) {
      const value = this.fields[name];
      if (value === undefined || value === null) continue;
      if (typeof value === "number" && Number.isFinite(value) && value > 0 && value <= 1e9) return value;
      // 0 switches a feature off in several families.
      if (value === 0) return undefined;
      throw this.contradiction(`'${name}' is ${JSON.stringify(value)}, expected a positive number`);
    }
    return undefined;
  }

  flag(name: string, fallback: boolean): boolean {
    const value = this.fields[name];
    return typeof value === "boolean" ? value : fallback;
  }

  text(name: string): string {
    const value = this.fields[name];
    return typeof value === "string" ? value : "";
  }

  list(name: string): readonly unknown[] | undefined {
    const value = this.fields[name];
    return Array.isArray(value) ? value : undefined;
  }

  contradiction(message: string): LightfootError {
    return new LightfootError("E_MODEL_CONFIG", message, { where: { file: this.where } });
  }
}

function parseObject(text: string, where: string): Fields {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new LightfootError("E_MODEL_CONFIG", "this is no JSON", { where: { file: where }, cause });
  }
  if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) return parsed as Fields;
  throw new LightfootError("E_MODEL_CONFIG", "this is JSON, but no object", { where: { file: where } });
}

/** Multimodal configurations keep the decoder one level down. */
function textFields(fields: Fields): Fields {
  for (const name of ["text_config", "llm_config", "language_config", "thinker_config"]) {
    const inner = fields[name];
    if (typeof inner === "object" && inner !== null && !Array.isArray(inner))
      return { ...fields, ...(inner as Fields) };
  }
  return fields;
}

interface Attention {
  readonly parameters: number;
  readonly width: number;
  readonly cache: {
    readonly cacheValuesPerToken: number;
    readonly windowCacheValuesPerToken: number;
    readonly windowTokens: number;
  };
  readonly stateBytes: number;
  /** Layers that hold a feed-forward part. */
  readonly feedForwardLayers: number;
}

/** Attention of every layer; hybrids give `hybrid_override_pattern`, one letter a layer: M(amba), * attention, - feed-forward. */
function attentionOf(read: ConfigReader, layers: number, hiddenSize: number): Attention {
  const pattern = read.text("hybrid_override_pattern");
  const isHybrid = pattern !== "";
  if (isHybrid && pattern.length !== layers) {
    throw read.contradiction(`'hybrid_override_pattern' names ${pattern.length} layers of ${layers}`);
  }
  const attentionLayers = isHybrid ? count(pattern, "*") : layers;
  const heads = read.size("num_attention_heads", "n_head");
  const latent = read.optional("kv_lora_rank");
  const { parameters, width, values } =
    latent === undefined ? plainAttention(read, hiddenSize, heads) : latentAttention(read, hiddenSize, heads, latent);
  const windowLayers = slidingLayers(read, attentionLayers);
  const mamba = isHybrid ? mambaOf(read, hiddenSize, count(pattern, "M")) : { parameters: 0, stateBytes: 0 };
  return {
    parameters: attentionLayers * parameters + mamba.parameters,
    // Averaged over all layers, since the cost counts all layers.
    width: (width * attentionLayers) / layers,
    cache: {
      cacheValuesPerToken: (attentionLayers - windowLayers.count) * values,
      windowCacheValuesPerToken: windowLayers.count * values,
      windowTokens: windowLayers.tokens,
    },
    stateBytes: mamba.stateBytes,
    feedForwardLayers: isHybrid ? count(pattern, "-") : layers,
  };
}

function plainAttention(read: ConfigReader, hiddenSize: number, heads: number) {
  const headSize = read.size("head_dim", "attention_head_dim", hiddenSize / heads);
  const keyValueHeads = read.size("num_key_value_heads", "multi_query_group_num", heads);
  if (keyValueHeads > heads) throw read.contradiction(`${keyValueHeads} key-value heads for ${heads} heads`);
  return {
    parameters: hiddenSize * headSize * (2 * heads + 2 * keyValueHeads),
    width: heads * headSize,
    values: 2 * keyValueHeads * headSize,
  };
}

/** Multi-head latent attention (DeepSeek): the cache holds one compressed vector and the rotary part. */
function latentAttention(read: ConfigReader, hiddenSize: number, heads: number, latent: number) {
  const rotary = read.size("qk_rope_head_dim");
  const plain = read.size("qk_nope_head_dim");
  const value = read.size("v_head_dim");
  const queryLatent = read.optional("q_lora_rank");
  const query = heads * (plain + rotary);
  return {
    parameters:
      (queryLatent === undefined ? hiddenSize * query : queryLatent * (hiddenSize + query)) +
      hiddenSize * (latent + rotary) +
      latent * heads * (plain + value) +
      heads * value * hiddenSize,
    width: (heads * (plain + rotary + value)) / 2,
    values: latent + rotary,
  };
}

/** Mamba-2: input and output projection, and per head a matrix of state in float32. */
function mambaOf(read: ConfigReader, hiddenSize: number, layers: number) {
  if (layers === 0) return { parameters: 0, stateBytes: 0 };
  const heads = read.size("mamba_num_heads");
  const headSize = read.size("mamba_head_dim");
  const state = read.size("ssm_state_size", "mamba_d_state");
  const groups = read.size("n_groups", "mamba_n_groups", 1);
  const inner = heads * headSize;
  return {
    parameters: layers * hiddenSize * (3 * inner + 2 * groups * state + heads),
    stateBytes: 4 * layers * inner * state,
  };
}

/** Layers with a sliding or chunked window: listed by `layer_types`, or every layer but each n-th. */
function slidingLayers(read: ConfigReader, layers: number): { count: number; tokens: number } {
  const found = windowedLayers(read, layers);
  if (found.count <= layers) return found;
  throw read.contradiction(
    `the configuration lists ${found.count} layers with a window, its model has ${layers} attention layers`,
  );
}

function windowedLayers(read: ConfigReader, layers: number): { count: number; tokens: number } {
  const tokens = read.optional("sliding_window", "attention_chunk_size");
  if (tokens === undefined) return { count: 0, tokens: 0 };
  const types = read.list("layer_types");
  if (types !== undefined) return { count: types.filter((type) => type !== "full_attention").length, tokens };
  // Qwen and Mistral files carry a window that the model does not use unless a flag says so.
  if (!read.flag("use_sliding_window", true)) return { count: 0, tokens };
  const noRope = read.list("no_rope_layers");
  if (noRope !== undefined) return { count: noRope.filter((flag) => flag === 1).length, tokens };
  const every = read.optional("sliding_window_pattern", "_sliding_window_pattern") ?? familyPattern(read);
  return { count: every === undefined ? layers : layers - Math.floor(layers / every), tokens };
}

/** Every n-th layer sees everything, in families that leave it to the code. */
function familyPattern(read: ConfigReader): number | undefined {
  const type = read.text("model_type");
  if (type.startsWith("gemma3")) return 6;
  if (type.startsWith("llama4")) return 4;
  return type === "gemma2" || type === "gpt_oss" ? 2 : undefined;
}

interface Experts {
  /** Layers whose feed-forward part is a mixture. */
  readonly layers: number;
  readonly routedParameters: number;
  /** Routers and shared experts. */
  readonly outsideParameters: number;
  readonly share: number;
}

function expertsOf(read: ConfigReader, layers: number, hiddenSize: number): Experts {
  const experts = read.optional("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts");
  if (experts === undefined || experts === 1) return { layers: 0, routedParameters: 0, outsideParameters: 0, share: 0 };
  const perToken = read.size("num_experts_per_tok", "experts_per_token", "moe_top_k", "num_experts_per_token");
  if (perToken > experts) throw read.contradiction(`${perToken} of ${experts} experts per token`);
  const width = read.size("moe_intermediate_size", "intermediate_size");
  const step = read.size("interleave_moe_layer_step", "decoder_sparse_step", 1);
  const denseFirst = read.optional("first_k_dense_replace") ?? 0;
  if (denseFirst >= layers)
    throw read.contradiction(`the first ${denseFirst} of ${layers} layers are dense, none is left`);
  const sparseLayers = Math.max(1, Math.floor((layers - denseFirst) / step));
  const shared = sharedExpertWidth(read, width);
  return {
    layers: sparseLayers,
    routedParameters: sparseLayers * experts * 3 * hiddenSize * width,
    outsideParameters: sparseLayers * hiddenSize * (experts + 3 * shared),
    share: perToken / experts,
  };
}

function sharedExpertWidth(read: ConfigReader, width: number): number {
  const stated = read.optional("shared_expert_intermediate_size");
  if (stated !== undefined) return stated;
  // Llama 4 has one shared expert and no field for it.
  return (read.optional("n_shared_experts") ?? (read.text("model_type").startsWith("llama4") ? 1 : 0)) * width;
}

/** Gated feed-forward parts have three matrices; GPT-2's, Falcon's and squared-ReLU ones two. */
function isGated(read: ConfigReader): boolean {
  const activation =
    read.text("hidden_act") ||
    read.text("hidden_activation") ||
    read.text("mlp_hidden_act") ||
    read.text("activation_function");
  const type = read.text("model_type");
  if (/^(gpt2|gpt_neox|gptj|opt|bloom|falcon|phi|starcoder2|nemotron)/.test(type) && type !== "phi3") return false;
  return !/^(relu2?|gelu_new)$/.test(activation);
}

const isTiedByDefault = (read: ConfigReader): boolean => /^(gemma|gpt2)/.test(read.text("model_type"));

const count = (text: string, letter: string): number => text.split(letter).length - 1;
const billions = (parameters: number): string => `${(parameters / 1e9).toPrecision(4)} billion`;
