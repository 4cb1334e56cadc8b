/**
 * config.json of Hugging Face for a model of ours: which architecture of `transformers` computes its dense function, in that program's words.
 *
 * | architecture | for |
 * | --- | --- |
 * | LlamaForCausalLM | one feed-forward, no window |
 * | MistralForCausalLM | one feed-forward, a sliding window |
 * | MixtralForCausalLM | a mixture of experts, with or without a window |
 * | BitNetForCausalLM | sub-norms; weights are written as they are multiplied, so that no quantisation is configured |
 *
 * The gate's activation is `hidden_act` in all of them: silu, relu or relu2. What stays of a projection's input stands under the key `qsparse`.
 */

import type { ModelConfig } from '../model/config.ts';
import { QSPARSE_KEY, qsparseKeyOf } from '../model/qsparse-key.ts';
import { commonReasons, refuseFor } from './refuse.ts';
import type { SpecialTokens } from './special-tokens.ts';

export const HF_TYPES = ['f32', 'bf16'] as const;
export type HfType = (typeof HF_TYPES)[number];

const ARCHITECTURES = {
  llama: 'LlamaForCausalLM',
  mistral: 'MistralForCausalLM',
  mixtral: 'MixtralForCausalLM',
  bitnet: 'BitNetForCausalLM',
} as const;
export type HfModelType = keyof typeof ARCHITECTURES;

const TORCH_TYPES: Readonly<Record<HfType, string>> = { f32: 'float32', bf16: 'bfloat16' };

/** Throws UsageError, with every reason, for a model that `transformers` has no architecture for. */
export function hfModelType(config: ModelConfig): HfModelType {
  const { nExperts, subNorms, slidingWindow, nHeads, headDim, dim } = config;
  const reasons = commonReasons(config);
  if (subNorms && nExperts > 0) reasons.push('sub-norms in a mixture of experts: Mixtral has none');
  if (subNorms && slidingWindow > 0) reasons.push('sub-norms with a sliding window: BitNet has none');
  if (subNorms && nHeads * headDim !== dim) {
    reasons.push(`sub-norms with heads of ${nHeads * headDim} features together: BitNet has dim, ${dim}`);
  }
  refuseFor('a Hugging Face model', reasons, 'Nothing was written.');
  if (subNorms) return 'bitnet';
  if (nExperts > 0) return 'mixtral';
  return slidingWindow > 0 ? 'mistral' : 'llama';
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
    rms_norm_eps: config.normEps,
    hidden_act: config.activation,
    tie_word_embeddings: config.tiedEmbeddings,
    attention_bias: false,
    mlp_bias: false,
    ...(modelType === 'mistral' && { sliding_window: config.slidingWindow }),
    ...(modelType === 'mixtral' && {
      num_local_experts: config.nExperts,
      num_experts_per_tok: config.nExpertsPerToken,
      // 0 means none here; `transformers` takes null.
      sliding_window: config.slidingWindow || null,
    }),
    bos_token_id: bos?.id ?? null,
    eos_token_id: eos?.id ?? null,
    torch_dtype: TORCH_TYPES[type],
    ...(key !== null && { [QSPARSE_KEY]: key }),
  };
}
