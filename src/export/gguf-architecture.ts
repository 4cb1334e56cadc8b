/**
 * The architecture of llama.cpp that computes the dense function of a model, and its hyperparameters in that program's words.
 *
 * | architecture | for | rotary pairs |
 * | --- | --- | --- |
 * | llama | SiLU gates; one feed-forward or a mixture | neighbours (2 i, 2 i + 1) |
 * | smallthinker | ReLU gates: a mixture whose only expert is the feed-forward, with a share of exactly 1 | halves, as ours |
 * | bitnet | SiLU gates and sub-norms, tied | halves |
 *
 * Its graphs are fixed: the activation of a gate is no field of the file. None has a gate of ReLU^2 (squared ReLUs are there without gates only, and
 * the graph of a mixture stops at them), and none a sliding window in every layer.
 * Source: llama.cpp, src/models/*.cpp, src/llama-graph.cpp (build_ffn, build_moe_ffn), src/llama-model.cpp (llama_model_rope_type).
 */

import type { GgufValue } from '../formats/gguf-writer.ts';
import type { ModelConfig } from '../model/config.ts';
import { Q8_0_BLOCK } from './encode-numbers.ts';
import { commonReasons, refuseFor } from './refuse.ts';

export const GGUF_EXPORT_TYPES = ['f32', 'f16', 'q8_0'] as const;
export type GgufExportType = (typeof GGUF_EXPORT_TYPES)[number];

export type GgufArchitecture = 'llama' | 'smallthinker' | 'bitnet';

/** llama.cpp's number of the softmax as the function of a router. */
const SOFTMAX_GATING = 1;

/** Throws UsageError, with every reason, for a model that no architecture of llama.cpp computes. */
export function ggufArchitecture(config: ModelConfig, type: GgufExportType): GgufArchitecture {
  const { activation, subNorms, nExperts, slidingWindow, seqLen } = config;
  const reasons = commonReasons(config);
  if (activation === 'relu2') reasons.push('relu2 gates: llama.cpp has squared ReLUs without gates only');
  if (activation === 'relu' && nExperts > 0) reasons.push('relu gates in a mixture that routes by the normed input');
  if (slidingWindow > 0 && slidingWindow < seqLen) {
    reasons.push(`a sliding window of ${slidingWindow} in every layer: these architectures of llama.cpp have none`);
  }
  if (subNorms) reasons.push(...bitnetReasons(config));
  if (type === 'q8_0') reasons.push(...blockReasons(config));
  refuseFor('GGUF', reasons, 'A Hugging Face model (--to hf) may hold it.');
  if (subNorms) return 'bitnet';
  return activation === 'relu' ? 'smallthinker' : 'llama';
}

function bitnetReasons({ activation, nExperts, tiedEmbeddings, nHeads, headDim, dim }: ModelConfig): string[] {
  const reasons: string[] = [];
  if (activation === 'relu') reasons.push('sub-norms behind relu gates: bitnet has silu');
  if (nExperts > 0) reasons.push('sub-norms in a mixture of experts');
  if (!tiedEmbeddings) reasons.push('sub-norms with a head of its own: that of bitnet is the embedding table');
  if (nHeads * headDim !== dim) reasons.push(`sub-norms with heads of ${nHeads * headDim} features: bitnet has dim`);
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
    vocab_size: { u32: config.vocabSize },
    ...(nExperts > 0 && {
      expert_count: { u32: nExperts },
      expert_used_count: { u32: isSmallThinker ? 1 : config.nExpertsPerToken },
    }),
    ...(isSmallThinker && {
      expert_feed_forward_length: { u32: config.hiddenDim },
      expert_gating_func: { u32: SOFTMAX_GATING },
    }),
  };
  return new Map(Object.entries(fields).map(([name, value]) => [`${architecture}.${name}`, value]));
}
