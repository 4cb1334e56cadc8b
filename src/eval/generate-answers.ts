/**
 * generateAnswers: the model writes after each prompt. Greedy, as in lm-evaluation-harness's `generate_until`: until a stop text, an end token or
 * so many tokens. What the answer in it is: extract-answer.ts.
 *
 * Runs on the Scheduler: many texts at once, and the examples that all prompts begin with once for each sequence.
 */

import { decodeText } from '../infer/decode-text.ts';
import { Sampler } from '../infer/sampler.ts';
import { Scheduler } from '../infer/scheduler.ts';
import type { TokenModel } from '../infer/token-model.ts';
import type { EvalTokenizer } from './score-request.ts';
import type { GenerateTask } from './task.ts';

export interface AnswerOptions {
  sparsity: number | null;
  tokenizer: EvalTokenizer;
  lanes?: number;
  signal?: AbortSignal;
  /** Called with all that was written. */
  onAnswer: (index: number, text: string) => void;
}

/** Returns how many tokens were run. Prompts fit the model with room for the answer. Where the signal ends it, answers are missing. */
export async function generateAnswers(
  model: TokenModel,
  prompts: readonly (readonly number[])[],
  task: GenerateTask,
  options: AnswerOptions,
): Promise<number> {
  const lanes = Math.min(options.lanes ?? Infinity, model.maxSequences);
  const scheduler = new Scheduler(model, { maxSequences: lanes });
  const next = prompts.keys();
  let tokens = 0;
  const reader = async (): Promise<void> => {
    for (const index of next) {
      if (options.signal?.aborted) return;
      tokens += await answer(scheduler, prompts[index], index, task, options);
    }
  };
  try {
    await Promise.all(Array.from({ length: lanes }, reader)); // they share the iterator: each takes what comes next
    return tokens;
  } finally {
    scheduler.dispose();
  }
}

async function answer(
  scheduler: Scheduler,
  prompt: readonly number[],
  index: number,
  task: GenerateTask,
  { sparsity, tokenizer, signal, onAnswer }: AnswerOptions,
): Promise<number> {
  const stream = scheduler.generate(prompt, {
    sampler: new Sampler({ temperature: 0 }),
    maxTokens: task.maxTokens,
    stopIds: tokenizer.endIds,
    ...(signal === undefined ? {} : { signal }),
    ...(sparsity === null ? {} : { sparsity }),
  });
  const pieces = decodeText(stream, tokenizer.decodeStream(), task.until);
  let text = '';
  for (;;) {
    const piece = await pieces.next();
    if (!piece.done) text += piece.value;
    else if (piece.value === 'aborted') return 0;
    else break;
  }
  onAnswer(index, text);
  return stream.usage.promptTokens - stream.usage.cachedTokens + stream.usage.tokens;
}
