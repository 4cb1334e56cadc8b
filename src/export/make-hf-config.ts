/**
 * config.json of Hugging Face for a model of ours: which architecture of `transformers` computes its dense function, in that program's words.
 *
 * | architecture | for |
 * | --- | --- |
 * | LlamaForCausalLM | one feed-forward, no window |
 * | MistralForCausalLM | one feed-forward, a sliding window |
 * | Qwen2ForCausalLM | biases of q, k and v, with or without a window |
 * | Qwen3ForCausalLM | norms of the heads of q and k, with or without a window |
 * | MixtralForCausalLM, Qwen3MoeForCausalLM | a mixture of experts without and with norms of heads; a window or none |
 * | BitNetForCausalLM | sub-norms; weights are written as they are multiplied, so that no quantisation is configured |
 *
 * The gate's activation is `hidden_act` in all of them: silu, relu or relu2; RoPE is plain, linear or llama3. What stays of a projection's input
 * stands under the key `qsparse`. The words are those of transformers 4, which 5 reads too.
 */

import type { ModelConfig, RopeScaling } from '../model/config.ts';
import { QSPARSE_KEY, qsparseKeyOf } from '../model/qsparse-key.ts';
import { commonReasons, refuseFor } from './refuse.ts';
import type { SpecialTokens } from './special-tokens.ts';

export const HF_TYPES = ['f32', 'bf16'] as const;
export type HfType = (typeof HF_TYPES)[number];

const ARCHITECTURES = {
  llama: 'LlamaForCausalLM',
  mistral: 'MistralForCausalLM',
  mixtral: 'MixtralForCausalLM',
  qwen2: 'Qwen2ForCausalLM',
  qwen3: 'Qwen3ForCausalLM',
  qwen3_moe: 'Qwen3MoeForCausalLM',
  bitnet: 'BitNetForCausalLM',
} as const;
export type HfModelType = keyof typeof ARCHITECTURES;

const TORCH_TYPES: Readonly<Record<HfType, string>> = { f32: 'float32', bf16: 'bfloat16' };

/** Throws UsageError, with every reason, for a model that `transformers` has no architecture for. */
export function hfModelType(config: ModelConfig): HfModelType {
  const { nExperts, subNorms, qkvBias, qkNorm, slidingWindow } = config;
  const reasons = [...commonReasons(config), ...(subNorms ? bitnetReasons(config) : [])];
  if (qkvBias && qkNorm) reasons.push('biases of q, k and v beside norms of their heads: Qwen3 has them with one of o');
  if (qkvBias && nExperts > 0) reasons.push('biases of q, k and v in a mixture of experts: Mixtral has none');
  refuseFor('a Hugging Face model', reasons, 'Nothing was written.');
  if (subNorms) return 'bitnet';
  if (qkNorm) return nExperts > 0 ? 'qwen3_moe' : 'qwen3';
  if (nExperts > 0) return 'mixtral';
  if (qkvBias) return 'qwen2';
  return slidingWindow > 0 ? 'mistral' : 'llama';
}

function bitnetReasons({ nExperts, slidingWindow, nHeads, headDim, dim, qkvBias, qkNorm }: ModelConfig): string[] {
  const reasons: string[] = [];
  if (nExperts > 0) reasons.push('sub-norms in a mixture of experts: Mixtral has none');
  if (slidingWindow > 0) reasons.push('sub-norms with a sliding window: BitNet has none');
  if (qkvBias) reasons.push('sub-norms with biases of q, k and v: BitNet has them with one of o');
  if (qkNorm) reasons.push('sub-norms with norms of heads: BitNet has none');
  if (nHeads * headDim !== dim) {
    reasons.push(`sub-norms with heads of ${nHeads * headDim} features together: BitNet has dim, ${dim}`);
  }
  return reasons;
}

/** The contents of config.json. Throws UsageError as `hfModelType` does. */
export function makeHfConfig(config: ModelConfig, type: HfType, { bos, eos }: SpecialTokens): Record<string, unknown> {
  const modelType = hfModelType(config);
  const key = qsparseKeyOf(config);
  return {
    architectures: [ARCHITECTURES[modelType]],
    model_type: modelType,
    hidden_size: config.dim,
    intermediate_size: config.hiddenDim,
    num_hidden_layers: config.nLayers,
    num_attention_heads: config.nHeads,
    num_key_value_heads: config.nKvHeads,
    head_dim: config.headDim,
    vocab_size: config.vocabSize,
    max_position_embeddings: config.seqLen,
    rope_theta: config.ropeTheta,
    ...(config.ropeScaling !== null && { rope_scaling: ropeScalingOf(config.ropeScaling) }),
    rms_norm_eps: config.normEps,
    hidden_act: config.activation,
    tie_word_embeddings: config.tiedEmbeddings,
    ...ownFields(modelType, config),
    bos_token_id: bos?.id ?? null,
    eos_token_id: eos?.id ?? null,
    torch_dtype: TORCH_TYPES[type],
    ...(key !== null && { [QSPARSE_KEY]: key }),
  };
}

function ropeScalingOf(scaling: RopeScaling): Record<string, unknown> {
  if (scaling.type === 'linear') return { rope_type: 'linear', factor: scaling.factor };
  return {
    rope_type: 'llama3',
    factor: scaling.factor,
    low_freq_factor: scaling.lowFreqFactor,
    high_freq_factor: scaling.highFreqFactor,
    original_max_position_embeddings: scaling.originalSeqLen,
  };
}

/** What one architecture says and another does not know. */
function ownFields(modelType: HfModelType, config: ModelConfig): Record<string, unknown> {
  const { slidingWindow, nExperts, nExpertsPerToken, hiddenDim } = config;
  // 0 means none here; `transformers` takes null.
  const window = { sliding_window: slidingWindow || null };
  // All layers from the first on have it, where it is used at all.
  const windowWhereUsed = { ...window, use_sliding_window: slidingWindow > 0, max_window_layers: 0 };
  const noBias = { attention_bias: false };
  switch (modelType) {
    case 'llama':
    case 'bitnet':
      return { ...noBias, mlp_bias: false };
    case 'mistral':
      return { ...noBias, mlp_bias: false, ...window };
    case 'mixtral':
      return { ...noBias, num_local_experts: nExperts, num_experts_per_tok: nExpertsPerToken, ...window };
    case 'qwen2':
      return windowWhereUsed;
    case 'qwen3':
      return { ...noBias, ...windowWhereUsed };
    case 'qwen3_moe':
      return {
        ...noBias,
        ...windowWhereUsed,
        num_experts: nExperts,
        num_experts_per_tok: nExpertsPerToken,
        moe_intermediate_size: hiddenDim,
        // Shares that add up to 1, in every layer.
        ...{ norm_topk_prob: true, decoder_sparse_step: 1, mlp_only_layers: [] },
      };
  }
}
