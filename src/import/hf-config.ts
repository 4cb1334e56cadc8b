/**
 * config.json of Hugging Face -> ModelConfig. The one place that knows its words, and those that older versions of `transformers` used.
 *
 * | model_type | what it has beside Llama |
 * | --- | --- |
 * | llama | Llama 1 to 3, SmolLM2 and others of its shape; RoPE as it is, linear or llama3 |
 * | mistral | a sliding window in all layers |
 * | qwen2 | biases of q, k and v (Qwen2, Qwen2.5) |
 * | qwen3 | norms of the heads of q and k |
 * | bitnet | ReLU^2, sub-norms; ternary weights and 8-bit activations (quantization_config) |
 * | mixtral, qwen3_moe | experts |
 *
 * What is left out has the default that the architecture has in transformers. What would compute another function than is built here is
 * refused, each reason with its field; fields that only training or generation look at are not read. What the tensors are called and how they are stored is
 * hf-tensors.ts.
 */

import type { ModelConfig } from '../model/config.ts';
import { fieldsOfQsparseKey, QSPARSE_KEY } from '../model/qsparse-key.ts';
import { type ModelConfigInput, resolveConfig } from '../model/resolve-config.ts';
import { FormatError, messageOf, UsageError } from '../util/errors.ts';
import { Problems, shown } from '../util/problems.ts';
import { ropeOf } from './hf-rope.ts';

/** How projections are stored. */
export type HfQuantization =
  /** As numbers. */
  | 'none'
  /** BitNet: ternary codes, four in a byte or as numbers, that are multiplied by, or divided by, the tensor `weight_scale`. */
  | 'codes-multiplied'
  | 'codes-divided';

export interface HfModel {
  readonly modelType: HfModelType;
  readonly config: ModelConfig;
  readonly quantization: HfQuantization;
}

type Json = Readonly<Record<string, unknown>>;

interface Architecture {
  /** In `architectures`. */
  readonly name: string;
  /** Fields that may be left out. null is said too: as many key/value heads as heads, heads of hidden_size / num_attention_heads, no window. */
  readonly defaults: Json;
  /** Fixed by the architecture. */
  readonly fixed?: Partial<ModelConfigInput>;
  /** Fields that must have one value, because with another the model has parts that are not built here. */
  readonly only?: readonly (readonly [field: string, value: unknown, why: string])[];
  /** Where the window stands: nowhere; as it is; where `use_sliding_window` says so. */
  readonly window: 'none' | 'given' | 'where-used';
  /** The fields with the width of an expert and with their number; the first of them that is there counts. */
  readonly experts?: { readonly width: string; readonly counts: readonly string[] };
}

const NO_BIAS = ['attention_bias', false, 'biases of all four projections of attention'] as const;

const ARCHITECTURES = {
  llama: {
    name: 'LlamaForCausalLM',
    defaults: { num_key_value_heads: null, head_dim: null, rms_norm_eps: 1e-6, max_position_embeddings: 2048 },
    only: [NO_BIAS, ['mlp_bias', false, 'biases in the feed-forward']],
    window: 'none',
  },
  mistral: {
    name: 'MistralForCausalLM',
    defaults: {
      ...{ num_key_value_heads: 8, head_dim: null, rms_norm_eps: 1e-6, max_position_embeddings: 131072 },
      sliding_window: 4096,
    },
    window: 'given',
  },
  qwen2: {
    name: 'Qwen2ForCausalLM',
    defaults: { num_key_value_heads: 32, head_dim: null, rms_norm_eps: 1e-6, max_position_embeddings: 32768 },
    fixed: { qkvBias: true },
    window: 'where-used',
  },
  qwen3: {
    name: 'Qwen3ForCausalLM',
    defaults: { num_key_value_heads: 32, head_dim: 128, rms_norm_eps: 1e-6, max_position_embeddings: 32768 },
    fixed: { qkNorm: true },
    only: [NO_BIAS],
    window: 'where-used',
  },
  bitnet: {
    name: 'BitNetForCausalLM',
    defaults: {
      ...{ num_key_value_heads: 5, head_dim: null, rms_norm_eps: 1e-5, max_position_embeddings: 2048 },
      ...{ hidden_act: 'relu2', rope_theta: 500000 },
    },
    fixed: { subNorms: true },
    only: [NO_BIAS],
    window: 'none',
  },
  mixtral: {
    name: 'MixtralForCausalLM',
    defaults: {
      ...{ num_key_value_heads: 8, head_dim: null, rms_norm_eps: 1e-5, max_position_embeddings: 131072 },
      ...{ num_local_experts: 8, num_experts_per_tok: 2, rope_theta: 1e6 },
    },
    window: 'given',
    experts: { width: 'intermediate_size', counts: ['num_local_experts'] },
  },
  qwen3_moe: {
    name: 'Qwen3MoeForCausalLM',
    defaults: {
      ...{ num_key_value_heads: 4, head_dim: null, rms_norm_eps: 1e-6, max_position_embeddings: 32768 },
      ...{ num_experts_per_tok: 8, moe_intermediate_size: 768, norm_topk_prob: false },
    },
    fixed: { qkNorm: true },
    only: [
      NO_BIAS,
      ['norm_topk_prob', true, 'shares of the experts that do not add up to 1'],
      ['decoder_sparse_step', 1, 'layers without experts between those with experts'],
    ],
    window: 'where-used',
    // transformers 5 saves it under the name that Mixtral has.
    experts: { width: 'moe_intermediate_size', counts: ['num_experts', 'num_local_experts'] },
  },
} as const satisfies Record<string, Architecture>;

export type HfModelType = keyof typeof ARCHITECTURES;
const MODEL_TYPES = Object.keys(ARCHITECTURES) as HfModelType[];

/** Why well-known architectures are not among them. */
const REFUSED: Readonly<Record<string, string>> = {
  gemma: 'GELU gates, scaled embeddings and norms of weight 1 + w',
  gemma2: 'norms behind attention and feed-forward, capped logits, windows in every second layer',
  gemma3: 'norms behind attention and feed-forward, GELU gates, windows in five of six layers with a RoPE of their own',
  qwen2_moe: 'a shared expert beside those that the router chooses',
  deepseek_v2: 'keys and values compressed to a latent vector',
  deepseek_v3: 'keys and values compressed to a latent vector',
  olmo2: 'norms behind attention and feed-forward instead of in front',
  phi3: 'RoPE on a part of the features, with factors by length',
  gpt2: 'learned positions, LayerNorm and no gates',
};

/** Sizes beyond these are damage, not models. */
const MOST = 2 ** 24;
const MOST_LAYERS = 1024;
const MOST_EXPERTS = 4096;

/**
 * The model that the contents of a config.json describe. Throws FormatError that names `path` and every field that is missing, out of range or not supported, with what
 * is expected and what it is.
 */
export function readHfConfig(json: Json, path: string): HfModel {
  const problems = new Problems('hugging-face');
  try {
    const modelType = modelTypeOf(json, problems);
    if (modelType === null) {
      problems.throwAny();
      throw new UsageError('hugging-face', 'unknown model_type.');
    }
    const architecture: Architecture = ARCHITECTURES[modelType];
    const input = inputOf({ ...architecture.defaults, ...json }, architecture, problems);
    const format = quantizationOf(json.quantization_config, architecture, problems);
    const selected = fieldsOfQsparseKey(json[QSPARSE_KEY]);
    if (selected === null)
      problems.add(QSPARSE_KEY, 'must be what qsparse convert --to hf writes. Remove it for the dense model.');
    problems.throwAny();
    const config = resolveConfig({ ...input, ...format.fields, ...selected });
    return { modelType, config, quantization: format.quantization };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new FormatError('hugging-face', `${path}: ${messageOf(error)}`, path, { cause: error });
  }
}

function modelTypeOf(json: Json, problems: Problems): HfModelType | null {
  const type = json.model_type;
  if (typeof type !== 'string' || !Object.hasOwn(ARCHITECTURES, type)) {
    const family = typeof type === 'string' ? type.replace(/_text$/, '') : '';
    const reason = Object.hasOwn(REFUSED, family) ? ` It has ${REFUSED[family]}.` : '';
    problems.add('model_type', `must be one of ${MODEL_TYPES.join(', ')}, got ${shown(type)}.${reason}`);
    return null;
  }
  const { name } = ARCHITECTURES[type as HfModelType];
  const found = json.architectures;
  if (found !== undefined && found !== null && !(Array.isArray(found) && found.includes(name))) {
    const got = Array.isArray(found) ? found.map(shown).join(', ') : shown(found);
    problems.add('architectures', `must name ${name}, which gives the logits of the next token, got ${got}.`);
  }
  return type as HfModelType;
}

function inputOf(json: Json, architecture: Architecture, problems: Problems): ModelConfigInput {
  const count = (field: string, most = MOST): number => {
    const value = json[field];
    problems.number(
      field,
      value,
      `a whole number from 1 to ${most}`,
      (n) => Number.isInteger(n) && n >= 1 && n <= most,
    );
    return value as number;
  };
  const optional = (field: string): number | undefined => (json[field] == null ? undefined : count(field));
  const { experts } = architecture;
  for (const [field, value, why] of architecture.only ?? []) {
    const got = json[field] ?? value;
    if (got !== value) problems.add(field, `must be ${shown(value)}, got ${shown(got)}: ${why} are not supported.`);
  }
  if (experts && Array.isArray(json.mlp_only_layers) && json.mlp_only_layers.length > 0) {
    problems.add('mlp_only_layers', 'must be empty: layers without experts between others are not supported.');
  }
  const headDim = optional('head_dim');
  const nKvHeads = optional('num_key_value_heads');
  return {
    dim: count('hidden_size'),
    hiddenDim: count(experts?.width ?? 'intermediate_size'),
    nLayers: count('num_hidden_layers', MOST_LAYERS),
    nHeads: count('num_attention_heads'),
    ...(nKvHeads !== undefined && { nKvHeads }),
    ...(headDim !== undefined && { headDim }),
    vocabSize: count('vocab_size'),
    seqLen: count('max_position_embeddings'),
    ...ropeOf(json, problems),
    slidingWindow: windowOf(json, architecture, problems),
    normEps: positive(json, 'rms_norm_eps', problems),
    tiedEmbeddings: flag(json, 'tie_word_embeddings', problems),
    activation: activationOf(json.hidden_act ?? 'silu', problems),
    ...(experts && {
      nExperts: count(experts.counts.find((field) => field in json) ?? experts.counts[0], MOST_EXPERTS),
      nExpertsPerToken: count('num_experts_per_tok'),
    }),
    ...architecture.fixed,
  };
}

function positive(json: Json, field: string, problems: Problems): number {
  problems.number(field, json[field], 'above 0', (value) => value > 0 && Number.isFinite(value));
  return json[field] as number;
}

/** false where it is left out. */
function flag(json: Json, field: string, problems: Problems): boolean {
  const value = json[field] ?? false;
  problems.flag(field, value);
  return value === true;
}

function activationOf(name: unknown, problems: Problems): ModelConfig['activation'] {
  if (name === 'silu' || name === 'swish') return 'silu';
  problems.choice('hidden_act', name, ['silu', 'relu', 'relu2']);
  return name as 'relu' | 'relu2';
}

/** Tokens that a token attends to, 0 for all. A window in some layers only is refused. */
function windowOf(json: Json, { window }: Architecture, problems: Problems): number {
  if (window === 'none') return 0;
  if (window === 'where-used' && !flag(json, 'use_sliding_window', problems)) return 0;
  const size = json.sliding_window ?? null;
  if (size === null) return 0;
  problems.whole('sliding_window', size, 1);
  if (window === 'where-used' && !isUniform(json)) {
    const which = Array.isArray(json.layer_types) ? 'layer_types' : 'max_window_layers';
    problems.add(which, `must give every layer the window or none: windows in some layers only are not supported.`);
  }
  return size as number;
}

/** Do all layers have the window? Those behind `max_window_layers` have, where `layer_types` does not say it. */
function isUniform({ layer_types, max_window_layers, model_type }: Json): boolean {
  if (Array.isArray(layer_types)) return layer_types.every((type) => type === 'sliding_attention');
  return model_type === 'qwen3_moe' || max_window_layers === 0;
}

interface Format {
  readonly quantization: HfQuantization;
  readonly fields: Partial<ModelConfigInput>;
}

/**
 * BitNet alone. Its packed weights are what is multiplied, and stay so: made anew of themselves, as latent weights are, they would get another scale. Latent
 * ones ("online") are what training goes on with.
 */
function quantizationOf(value: unknown, { experts }: Architecture, problems: Problems): Format {
  const plain: Format = { quantization: 'none', fields: {} };
  if (value === undefined || value === null) return plain;
  const at = 'quantization_config';
  if (typeof value !== 'object' || Array.isArray(value)) {
    problems.add(at, `must be an object, got ${shown(value)}.`);
    return plain;
  }
  const config = value as Json;
  if (config.quant_method !== 'bitnet' || experts) {
    const method = `must be bitnet${experts ? ', and not with experts' : ''}, got ${shown(config.quant_method)}`;
    problems.add(`${at}.quant_method`, `${method}. Take the model before it was quantised, or its GGUF.`);
    return plain;
  }
  const { linear_class: linear = 'bitlinear', quantization_mode: mode = 'offline' } = config;
  problems.choice(`${at}.linear_class`, linear, ['bitlinear', 'autobitlinear']);
  problems.choice(`${at}.quantization_mode`, mode, ['offline', 'online']);
  if (config.use_rms_norm) problems.add(`${at}.use_rms_norm`, 'must be false: further norms are not supported.');
  const left = config.modules_to_not_convert ?? [];
  if (!Array.isArray(left) || left.some((name) => !/^(model\.)?(lm_head|embed_tokens)$/.test(String(name)))) {
    problems.add(`${at}.modules_to_not_convert`, `must name nothing but lm_head and embed_tokens, got ${shown(left)}.`);
  }
  if (linear === 'autobitlinear' && mode === 'online') {
    return { quantization: 'none', fields: { activationFormat: 'int8', weightFormat: 'ternary' } };
  }
  const quantization = linear === 'autobitlinear' ? 'codes-multiplied' : 'codes-divided';
  return { quantization, fields: { activationFormat: 'int8' } };
}
