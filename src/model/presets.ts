/**
 * Model shapes with names. A preset is a shape: sparsity, gate and the rest of the method are chosen beside it.
 */

import { nearestName, UsageError } from '../util/errors.ts';
import type { ModelConfigInput } from './resolve-config.ts';

/** The sizes of Q-Sparse (arXiv 2407.10969), table 5: Llama's tokenizer, context 2048. */
function paperSize(dim: number, hiddenDim: number, nHeads: number, nLayers: number): ModelConfigInput {
  return { dim, hiddenDim, nHeads, nLayers, vocabSize: 32000, seqLen: 2048, tiedEmbeddings: false };
}

export const PRESETS: Readonly<Record<string, ModelConfigInput>> = {
  /** 0.1 M parameters: a step takes milliseconds on any backend. For tests. */
  tiny: { dim: 64, hiddenDim: 160, nLayers: 2, nHeads: 4, nKvHeads: 2, vocabSize: 512, seqLen: 64 },
  /** 3.7 M parameters: learns to write sentences within minutes on two cores. */
  quickstart: { dim: 256, hiddenDim: 704, nLayers: 4, nHeads: 4, vocabSize: 2048, seqLen: 256 },
  /** 27.8 M parameters: the shape of the training benchmark against PyTorch. */
  'd512-l8': { dim: 512, hiddenDim: 1408, nLayers: 8, nHeads: 8, vocabSize: 4096, seqLen: 256 },
  /** 134.5 M parameters: the shape of SmolLM2-135M. */
  'smollm2-135m': {
    ...{ dim: 576, hiddenDim: 1536, nLayers: 30, nHeads: 9, nKvHeads: 3, vocabSize: 49152, seqLen: 2048 },
    ropeTheta: 100_000,
  },
  /** 1.1 G parameters: the shape of TinyLlama. */
  'tinyllama-1.1b': {
    ...{ dim: 2048, hiddenDim: 5632, nLayers: 22, nHeads: 32, nKvHeads: 4, vocabSize: 32000, seqLen: 2048 },
    tiedEmbeddings: false,
  },
  /** 10.2 M parameters, 3.7 M of them for each token: `quickstart` with its feed-forward cut into the 2 chosen of 8 experts. */
  'quickstart-moe': {
    ...{ dim: 256, hiddenDim: 352, nLayers: 4, nHeads: 4, vocabSize: 2048, seqLen: 256 },
    ...{ nExperts: 8, nExpertsPerToken: 2 },
  },
  /** 6.9 G parameters, 1.3 G of them for each token: the shape of OLMoE-1B-7B. */
  'olmoe-1b-7b': {
    ...{ dim: 2048, hiddenDim: 1024, nLayers: 16, nHeads: 16, vocabSize: 50304, seqLen: 4096 },
    ...{ nExperts: 64, nExpertsPerToken: 8, tiedEmbeddings: false },
  },
  q300m: paperSize(1024, 2730, 16, 24),
  q700m: paperSize(1536, 4096, 24, 24),
  'q1.3b': paperSize(2048, 5460, 32, 24),
  q7b: paperSize(4096, 11008, 32, 32),
};

/** A copy of the preset; throws UsageError with the nearest name where there is none of that name. */
export function preset(name: string): ModelConfigInput {
  const found = Object.hasOwn(PRESETS, name) ? PRESETS[name] : undefined;
  if (found) return { ...found };
  const names = Object.keys(PRESETS);
  const near = nearestName(name, names);
  const hint = near ? `Did you mean "${near}"?` : 'Choose one of them.';
  throw new UsageError('preset', `unknown preset "${name}": expected one of ${names.join(', ')}. ${hint}`);
}
