/**
 * Perplexity: how well a model foretells a text, window by window, and in which protocol: numbers of two programs compare only where it is the same.
 *
 * A text is encoded once, without special tokens; of several each has windows of its own. A window is run alone, from position 0. Windows begin every `stride` tokens; with
 * stride = window they do not overlap (plain), with a smaller one each token has at least window - stride tokens before it, where there are
 * so many (sliding, as in Hugging Face's guide to perplexity). A token is scored once, in the first window in which at least `minContext` tokens stand before
 * it. With a prefix the token that begins a text stands in front of every window and counts as context, so that first tokens are scored
 * too.
 *
 * llama-perplexity (llama.cpp, tools/perplexity) scores the second half of plain windows, minContext = window / 2 + 1, and differs in two things (`llama`): what
 * fills no window at the end is left out, and where the tokenizer adds a BOS, that stands in front of the text and in the place of the first token of every window.
 *
 * Bits per byte: nats per token / ln 2 * tokens / bytes of the text that was evaluated.
 */

import { UsageError } from '../util/errors.ts';
import type { Scored, ScoreRequest } from './score-request.ts';

export interface PerplexityProtocol {
  /** Tokens of a window. */
  readonly window: number;
  /** Tokens between the beginnings of two windows. */
  readonly stride: number;
  /** Tokens before a token in its window, from which on it is scored: at least 1. */
  readonly minContext: number;
  /** In front of each window; null for nothing. */
  readonly prefixId: number | null;
  /** Whole windows that begin with this BOS, as llama-perplexity has them; null for no BOS. */
  readonly llama?: { readonly bosId: number | null };
}

/** That of llama-perplexity. `bosId` is null where the tokenizer adds none. */
export function llamaProtocol(window: number, bosId: number | null): PerplexityProtocol {
  return { window, stride: window, minContext: Math.floor(window / 2) + 1, prefixId: null, llama: { bosId } };
}

/** Sums of one window; all that the result needs, so that it can be saved and added up later. */
export interface WindowScore {
  readonly tokens: number;
  readonly nats: number;
  readonly squaredNats: number;
}

export interface Perplexity {
  readonly tokens: number;
  readonly natsPerToken: number;
  /** Standard error of that, taking tokens as independent; null for fewer than two. */
  readonly natsStderr: number | null;
  readonly perplexity: number;
  readonly bitsPerByte: number;
}

/** One request a window, text by text: what is scored is its continuation. Throws UsageError for a protocol that makes no sense and where nothing would be scored. */
export function windowsOf(texts: readonly (readonly number[])[], protocol: PerplexityProtocol): ScoreRequest[] {
  checkProtocol(protocol);
  const requests = texts.flatMap((text) => windowsOfText(text, protocol));
  if (requests.length > 0) return requests;
  const tokens = texts.reduce((sum, { length }) => sum + length, 0);
  throw new UsageError('perplexity', `the text has ${tokens} tokens, and none would be scored. Give a longer text.`);
}

function windowsOfText(text: readonly number[], protocol: PerplexityProtocol): ScoreRequest[] {
  const { window, stride, minContext, prefixId, llama } = protocol;
  const ids = llama === undefined ? text : wholeWindows(text, window, llama.bosId);
  const prefix = prefixId === null ? [] : [prefixId];
  const requests: ScoreRequest[] = [];
  let scored = 0;
  for (let begin = 0; scored < ids.length && begin < ids.length; begin += stride) {
    const end = Math.min(begin + window, ids.length);
    const from = Math.max(scored, begin + minContext - prefix.length);
    if (from < end)
      requests.push({ context: [...prefix, ...ids.slice(begin, from)], continuation: ids.slice(from, end) });
    scored = end;
  }
  return requests;
}

/** The BOS in front moves all tokens on by one before it takes the place of others. */
function wholeWindows(text: readonly number[], window: number, bosId: number | null): readonly number[] {
  const ids = bosId === null ? text : [bosId, ...text];
  const whole = ids.slice(0, Math.floor(ids.length / window) * window);
  return bosId === null ? whole : whole.map((id, i) => (i % window === 0 ? bosId : id));
}

function checkProtocol({ window, stride, minContext }: PerplexityProtocol): void {
  const fits = (value: number, least: number, most: number) =>
    Number.isInteger(value) && value >= least && value <= most;
  if (!fits(window, 2, Infinity)) fail(`the window must be a whole number of at least 2 tokens, got ${window}`);
  if (!fits(stride, 1, window)) fail(`the stride must be from 1 to the window of ${window} tokens, got ${stride}`);
  if (!fits(minContext, 1, window - 1)) fail(`minContext must be from 1 to ${window - 1} tokens, got ${minContext}`);
}

function fail(message: string): never {
  throw new UsageError('perplexity', `${message}.`);
}

export function windowScore({ logprobs }: Scored): WindowScore {
  const nats = logprobs.reduce((sum, logprob) => sum - logprob, 0);
  return { tokens: logprobs.length, nats, squaredNats: logprobs.reduce((sum, logprob) => sum + logprob ** 2, 0) };
}

/** `bytesPerToken` of the text that was evaluated. */
export function perplexityOf(windows: readonly WindowScore[], bytesPerToken: number): Perplexity {
  const sum = (of: (window: WindowScore) => number) => windows.reduce((total, window) => total + of(window), 0);
  const tokens = sum((window) => window.tokens);
  const natsPerToken = sum(({ nats }) => nats) / tokens;
  const variance = sum(({ squaredNats }) => squaredNats) / tokens - natsPerToken ** 2;
  return {
    tokens,
    natsPerToken,
    natsStderr: tokens < 2 ? null : Math.sqrt(Math.max(0, variance) / (tokens - 1)),
    perplexity: Math.exp(natsPerToken),
    bitsPerByte: natsPerToken / Math.LN2 / bytesPerToken,
  };
}

/** The protocol in words, to stand beside every number. */
export function describeProtocol({ window, stride, minContext, prefixId, llama }: PerplexityProtocol): string {
  const plain = llama === undefined ? 'plain windows' : 'whole plain windows (llama-perplexity)';
  const kind = stride === window ? plain : `sliding windows with a stride of ${stride}`;
  const replaced = llama === undefined || llama.bosId === null ? '' : `, token ${llama.bosId} as the first of each`;
  const front = prefixId === null ? `nothing in front${replaced}` : `token ${prefixId} in front of each`;
  const scored =
    minContext === 1 ? 'every token with another before it' : `tokens with ${minContext} or more before them`;
  return `${kind}, ${window} tokens, ${front}; scored: ${scored} in its window, once`;
}
