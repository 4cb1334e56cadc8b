/**
 * The architecture of llama.cpp that computes the dense function of a model, and its hyperparameters in that program's words.
 *
 * | architecture | for | rotary pairs |
 * | --- | --- | --- |
 * | llama | SiLU gates; one feed-forward or a mixture; biases of q, k and v where qwen2 does not fit; RoPE scaled as llama3 | neighbours (2 i, 2 i + 1) |
 * | qwen2 | biases of q, k and v, heads together as wide as dim | halves, as ours |
 * | qwen3, qwen3moe | norms of the heads of q and k; one feed-forward, a mixture | halves |
 * | smallthinker | ReLU gates: a mixture whose only expert is the feed-forward, with a share of exactly 1 | halves |
 * | bitnet | SiLU gates and sub-norms, tied | halves |
 *
 * Its graphs are fixed: the activation of a gate is no field of the file. None has a gate of ReLU^2 (squared ReLUs are there without gates only, and
 * the graph of a mixture stops at them), and none a sliding window in every layer. All but bitnet add biases of q, k and v that are there; llama
 * alone divides frequencies by the tensor rope_freqs.
 * Source: llama.cpp, src/models/*.cpp, src/llama-graph.cpp (build_qkv, build_ffn, build_moe_ffn), src/llama-model.cpp (llama_model_rope_type).
 */

import type { GgufValue } from '../formats/gguf-writer.ts';
import type { ModelConfig } from '../model/config.ts';
import { Q8_0_BLOCK } from './encode-numbers.ts';
import { commonReasons, refuseFor } from './refuse.ts';

export const GGUF_EXPORT_TYPES = ['f32', 'f16', 'q8_0'] as const;
export type GgufExportType = (typeof GGUF_EXPORT_TYPES)[number];

export type GgufArchitecture = 'llama' | 'qwen2' | 'qwen3' | 'qwen3moe' | 'smallthinker' | 'bitnet';

/** llama.cpp's number of the softmax as the function of a router. */
const SOFTMAX_GATING = 1;

/** Throws UsageError, with every reason, for a model that no architecture of llama.cpp computes. */
export function ggufArchitecture(config: ModelConfig, type: GgufExportType): GgufArchitecture {
  const { activation, subNorms, nExperts, slidingWindow, seqLen, qkNorm, ropeScaling } = config;
  const architecture = closestTo(config);
  const reasons = commonReasons(config);
  if (activation === 'relu2') reasons.push('relu2 gates: llama.cpp has squared ReLUs without gates only');
  if (activation === 'relu' && nExperts > 0) reasons.push('relu gates in a mixture that routes by the normed input');
  if (slidingWindow > 0 && slidingWindow < seqLen) {
    reasons.push(`a sliding window of ${slidingWindow} in every layer: these architectures of llama.cpp have none`);
  }
  if (qkNorm && !architecture.startsWith('qwen3')) {
    reasons.push(`norms of the heads of q and k: ${architecture} has none, and qwen3 has silu and no sub-norms`);
  }
  if (ropeScaling?.type === 'llama3' && architecture !== 'llama') {
    reasons.push(`RoPE scaled as llama3: ${architecture} knows linear scaling only`);
  }
  if (subNorms) reasons.push(...bitnetReasons(config));
  if (type === 'q8_0') reasons.push(...blockReasons(config));
  refuseFor('GGUF', reasons, 'A Hugging Face model (--to hf) may hold it.');
  return architecture;
}

/** What a model would be written as, if it can be written. */
function closestTo(config: ModelConfig): GgufArchitecture {
  const { subNorms, activation, qkNorm, qkvBias, nExperts, nHeads, headDim, dim, ropeScaling } = config;
  if (subNorms) return 'bitnet';
  if (activation === 'relu') return 'smallthinker';
  if (qkNorm) return nExperts > 0 ? 'qwen3moe' : 'qwen3';
  const fitsQwen2 = qkvBias && nExperts === 0 && nHeads * headDim === dim && ropeScaling?.type !== 'llama3';
  return fitsQwen2 ? 'qwen2' : 'llama';
}

function bitnetReasons(config: ModelConfig): string[] {
  const { activation, nExperts, tiedEmbeddings, nHeads, headDim, dim, qkvBias } = config;
  const reasons: string[] = [];
  if (activation === 'relu') reasons.push('sub-norms behind relu gates: bitnet has silu');
  if (nExperts > 0) reasons.push('sub-norms in a mixture of experts');
  if (!tiedEmbeddings) reasons.push('sub-norms with a head of its own: that of bitnet is the embedding table');
  if (nHeads * headDim !== dim) reasons.push(`sub-norms with heads of ${nHeads * headDim} features: bitnet has dim`);
  if (qkvBias) reasons.push('sub-norms with biases of q, k and v');
  return reasons;
}

function blockReasons({ dim, hiddenDim, nHeads, headDim }: ModelConfig): string[] {
  const inputs = Object.entries({ dim, hiddenDim, 'nHeads headDim': nHeads * headDim });
  const uneven = inputs.filter(([, features]) => features % Q8_0_BLOCK !== 0);
  if (uneven.length === 0) return [];
  const widths = uneven.map(([name, features]) => `${name} ${features}`).join(', ');
  return [`q8_0 stores blocks of ${Q8_0_BLOCK} inputs: expected multiples of it, got ${widths}`];
}

/** `llama.block_count` and so on. */
export function ggufHyperparameters(config: ModelConfig, architecture: GgufArchitecture): Map<string, GgufValue> {
  const isSmallThinker = architecture === 'smallthinker';
  const nExperts = isSmallThinker ? 1 : config.nExperts;
  const fields: Record<string, GgufValue> = {
    block_count: { u32: config.nLayers },
    context_length: { u32: config.seqLen },
    embedding_length: { u32: config.dim },
    feed_forward_length: { u32: config.hiddenDim },
    'attention.head_count': { u32: config.nHeads },
    'attention.head_count_kv': { u32: config.nKvHeads },
    'attention.key_length': { u32: config.headDim },
    'attention.value_length': { u32: config.headDim },
    'attention.layer_norm_rms_epsilon': { f32: config.normEps },
    'rope.dimension_count': { u32: config.headDim },
    'rope.freq_base': { f32: config.ropeTheta },
    ...ropeScalingFields(config),
    vocab_size: { u32: config.vocabSize },
    ...(nExperts > 0 && {
      expert_count: { u32: nExperts },
      expert_used_count: { u32: isSmallThinker ? 1 : config.nExpertsPerToken },
    }),
    ...((isSmallThinker || architecture === 'qwen3moe') && { expert_feed_forward_length: { u32: config.hiddenDim } }),
    ...(isSmallThinker && { expert_gating_func: { u32: SOFTMAX_GATING } }),
  };
  return new Map(Object.entries(fields).map(([name, value]) => [`${architecture}.${name}`, value]));
}

/** llama3's scaling is a tensor of divisors (gguf-tensors.ts); from where on they scale can be read here alone. */
function ropeScalingFields({ ropeScaling }: ModelConfig): Record<string, GgufValue> {
  if (ropeScaling === null) return {};
  if (ropeScaling.type === 'llama3') {
    return { 'rope.scaling.original_context_length': { u32: ropeScaling.originalSeqLen } };
  }
  return { 'rope.scaling.type': { string: 'linear' }, 'rope.scaling.factor': { f32: ropeScaling.factor } };
}
