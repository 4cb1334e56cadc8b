/**
 * AnswerFormat: how the two APIs write the same answer, as a stream of chunks or as one object; and what both say of it: why it ended, what it
 * used.
 */

import type { FinishReason } from '../infer/generation.ts';
import type { Answer, WholeChoice } from './answer.ts';
import { ChoiceDetails } from './choice-details.ts';
import type { TextChunk } from './text-chunks.ts';

export interface AnswerFormat {
  /** Chunks of a stream: those before the first text of a choice, those of a piece of text (none: nothing to say), and the one that ends it. */
  begin(choice: number): object[];
  piece(choice: number, chunk: TextChunk): object | null;
  end(choice: number, reason: FinishReason): object;
  /** The last chunk, where it was asked for. */
  usage(): object;
  /** The answer that is no stream. */
  whole(choices: readonly WholeChoice[]): object;
}

/** The end as OpenAI's API calls it: a full context is a length too. */
export function finishReasonOf(reason: FinishReason): 'stop' | 'length' {
  return reason === 'stop' ? 'stop' : 'length';
}

/** What an answer used: prompts once, however many choices each has; of their tokens those are cached that were so for each choice. */
export function usageOf({ choices, startedAt }: Answer) {
  const prompts = new Map(choices.map(({ prompt, stream }) => [prompt, stream.usage.promptTokens]));
  const cached = new Map<number, number>();
  for (const { prompt, stream } of choices) {
    cached.set(prompt, Math.min(cached.get(prompt) ?? Number.POSITIVE_INFINITY, stream.usage.cachedTokens));
  }
  const sum = (values: Iterable<number>) => [...values].reduce((total, value) => total + value, 0);
  const promptTokens = sum(prompts.values());
  const completionTokens = sum(choices.map(({ stream }) => stream.usage.tokens));
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: sum(cached.values()) },
    qsparse: { seconds: (performance.now() - startedAt) / 1000, sparsity: sparsityOf(choices) },
  };
}

/** Mean over all tokens that ran; null where the model does not count. */
function sparsityOf(choices: Answer['choices']): number | null {
  const usages = choices.map(({ stream }) => stream.usage).filter(({ ranTokens }) => ranTokens > 0);
  const tokens = usages.reduce((sum, { ranTokens }) => sum + ranTokens, 0);
  const sparsity = usages.reduce((sum, usage) => sum + usage.sparsity * usage.ranTokens, 0) / tokens;
  return Number.isNaN(sparsity) ? null : sparsity;
}

/** What an answer was asked to tell besides the text. */
export interface AnswerExtras {
  /** A stream ends with a chunk of usage, and the others say that they have none. */
  readonly usage: boolean;
  /** Each token with how it was made. */
  readonly details: boolean;
  /** Each token with its log-probability. */
  readonly logprobs: boolean;
}

/** By choice; null where nobody asked. */
export function detailsOf({ choices, lease }: Answer, { details }: AnswerExtras): readonly ChoiceDetails[] | null {
  return details ? choices.map(({ stream }) => new ChoiceDetails(lease, stream)) : null;
}
