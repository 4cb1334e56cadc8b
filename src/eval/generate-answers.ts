/**
 * generateAnswers: the model writes after each prompt, and the answer is looked for in what it wrote. Greedy, as in lm-evaluation-harness's
 * `generate_until`: until a stop text, an end token or so many tokens.
 *
 * Runs on the Scheduler: many texts at once, and the examples that all prompts begin with once for each sequence.
 */

import { decodeText } from '../infer/decode-text.ts';
import { Sampler } from '../infer/sampler.ts';
import { Scheduler } from '../infer/scheduler.ts';
import type { TokenModel } from '../infer/token-model.ts';
import { extractAnswer, isSameAnswer } from './extract-answer.ts';
import type { EvalTokenizer } from './score-request.ts';
import type { GenerateTask } from './task.ts';

export interface Answer {
  /** All that was written. */
  readonly text: string;
  /** What each rule of the task found, and 1 where it is right, else 0. */
  readonly answers: Readonly<Record<string, string>>;
  readonly isRight: Readonly<Record<string, number>>;
}

export interface AnswerOptions {
  sparsity: number | null;
  tokenizer: EvalTokenizer;
  lanes?: number;
  signal?: AbortSignal;
  targetOf: (index: number) => string;
  onAnswer: (index: number, answer: Answer) => void;
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
  { sparsity, tokenizer, signal, targetOf, onAnswer }: AnswerOptions,
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
  const answers = task.extract.map((rule) => [rule.name, extractAnswer(text, rule)] as const);
  const target = targetOf(index);
  onAnswer(index, {
    text,
    answers: Object.fromEntries(answers),
    isRight: Object.fromEntries(answers.map(([name, found]) => [name, isSameAnswer(found, target, task) ? 1 : 0])),
  });
  return stream.usage.promptTokens - stream.usage.cachedTokens + stream.usage.tokens;
}
