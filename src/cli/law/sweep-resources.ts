/** What a run of a sweep takes: memory, so that several fit side by side, and work, to tell the time that is left. */

import type { ModelConfig } from '../../model/config.ts';
import { denseTrainingFlops } from '../../model/flops.ts';
import { parameterBytes } from '../training/check-memory.ts';
import type { SweepRun } from './sweep-plan.ts';

/** Of the program, its tokenizer and the text. */
const PROCESS_BYTES = 160 * 2 ** 20;
/** Activations that a token of a batch keeps for the backward pass, in widths of the model and of its feed-forward; rounded up. */
const WIDTHS_KEPT = 20;
const HIDDEN_KEPT = 8;
/** Tokens whose logits exist at once, with their gradients. */
const LOGIT_TOKENS = 256;

/** An upper estimate of the memory of a training process. */
export function trainingBytes({ model, train }: Pick<SweepRun, 'model' | 'train'>): number {
  const tokens = train.batchSize * train.seqLen;
  const kept = model.nLayers * (WIDTHS_KEPT * model.dim + HIDDEN_KEPT * model.hiddenDim);
  const logits = 2 * LOGIT_TOKENS * model.vocabSize;
  return PROCESS_BYTES + parameterBytes(model, train) + 4 * (tokens * kept + logits);
}

/** Operations of a dense training of that length, the measure of its time: in sweeps of one text and machine, a fair one. */
export function workOf(model: ModelConfig, { steps, batchSize, accumulate, seqLen }: SweepRun['train']): number {
  return steps * accumulate * denseTrainingFlops(model, { batch: batchSize, seqLen });
}
