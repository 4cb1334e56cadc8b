/**
 * Rows of the study of browser speed: rates of each round, medians, and ratios to the peer and to our own dense.
 *
 * A ratio is the median of the ratios inside each round: a shared machine may be a third faster in one round than in the next, for both alike.
 */

import { median, spread } from './statistics.mjs';

/** `parts` are `{ where, threads, backend, turns }`, a turn as `takeTurns` gives it. `promptTokens` may be unknown: no rates of prompts then. */
export function speedRows(parts, tokens, promptTokens = null) {
  return parts.flatMap(({ where, threads, backend, turns }) => {
    const measured = turns.map((turn) => ({
      turn,
      decode: ratesOf(turn.decodeMs.map((ms) => (1000 * (tokens - 1)) / ms)),
      prompt: promptTokens === null ? null : ratesOf(turn.promptMs.map((ms) => (1000 * promptTokens) / ms)),
    }));
    const peer = measured.find(({ turn }) => turn.engine !== 'qsparse') ?? null;
    const dense = measured.find(({ turn }) => turn.engine === 'qsparse' && turn.sparsity === 0) ?? null;
    return measured.map((one) => {
      const { engine, sparsity, zeros, text } = one.turn;
      const kernels = engine === 'qsparse' ? backend : null;
      const beside = one === peer ? null : peer;
      const own = engine === 'qsparse' ? dense : null;
      const { decode, prompt } = one;
      return {
        where,
        engine,
        kernels,
        threads,
        sparsity,
        zeros,
        decode,
        prompt,
        over: over(one, beside),
        overDense: over(one, own),
        text,
      };
    });
  });
}

function ratesOf(rates) {
  return { tokensPerSecond: median(rates), spread: spread(rates), rates };
}

/** How many times as fast as another of the same rounds, in decoding and in reading the prompt; null without one. */
function over(one, other) {
  if (other === null) return null;
  const ratio = (key) => one[key] && median(one[key].rates.map((rate, round) => rate / other[key].rates[round]));
  return { decode: ratio('decode'), prompt: ratio('prompt') };
}
