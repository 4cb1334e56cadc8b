/** The protocol of a perplexity, from the options of `qsparse eval`. */

import { llamaProtocol, type PerplexityProtocol } from '../../eval/perplexity.ts';
import type { EvalTokenizer } from '../../eval/score-request.ts';
import { UsageError } from '../../util/errors.ts';

export interface ProtocolOptions {
  window?: number;
  stride?: number;
  minContext?: number;
  prefix?: boolean;
  llamaPerplexity?: boolean;
}

const WINDOW = 1024;
/** The context of llama.cpp's program where none is given. */
const LLAMA_WINDOW = 512;

/** Throws UsageError for options that do not go together or with the model. */
export function protocolOf(
  seqLen: number,
  { prefixId, bosId }: Pick<EvalTokenizer, 'prefixId' | 'bosId'>,
  { window, stride, minContext = 1, prefix = false, llamaPerplexity = false }: ProtocolOptions,
): PerplexityProtocol {
  if (llamaPerplexity && (stride !== undefined || minContext !== 1 || prefix)) {
    const what = 'is a protocol of its own: expected no --stride, --min-context or --prefix beside it';
    throw new UsageError('--llama-perplexity', `${what}. Leave them out.`);
  }
  if (prefix && prefixId === null) {
    throw new UsageError('--prefix', 'the tokenizer has no token that begins a text. Name one with --prefix-token.');
  }
  const tokens = window ?? Math.min(llamaPerplexity ? LLAMA_WINDOW : WINDOW, seqLen);
  if (tokens > seqLen) {
    throw new UsageError('--window', `expected at most ${seqLen} tokens, the model's context, got ${tokens}.`);
  }
  if (llamaPerplexity) return llamaProtocol(tokens, bosId);
  return { window: tokens, stride: stride ?? tokens, minContext, prefixId: prefix ? prefixId : null };
}
