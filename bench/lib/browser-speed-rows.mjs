/**
 * Rows of the study of browser speed, and the table of docs/web.md that is made of them.
 *
 * A ratio is the median of the ratios inside each round: a shared machine may be a third faster in one round than in the next, for both alike.
 */

import { table } from './markdown.mjs';
import { percent, times } from './number-text.mjs';
import { median, spread } from './statistics.mjs';

/**
 * `part` is `{ where, threads, backend, turns }`, a turn as `takeTurns` gives it, for `tokens` tokens. Rates are of the tokens after the first
 * (decode) and of the prompt until the first (prompt); `over` and `overDense` are how many times those of the peer and of our own dense.
 */
export function speedRows({ where, threads, backend, turns }, tokens) {
  const rates = turns.map(({ decodeMs, promptMs, promptTokens }) => ({
    decode: ratesOf(decodeMs.map((ms) => (1000 * (tokens - 1)) / ms)),
    prompt: ratesOf(promptMs.map((ms) => (1000 * promptTokens) / ms)),
  }));
  const find = (isIt) => rates[turns.findIndex(isIt)] ?? null;
  const peer = find(({ engine }) => engine !== 'qsparse');
  const dense = find(({ engine, sparsity }) => engine === 'qsparse' && sparsity === 0);
  return turns.map(({ engine, sparsity, zeros, text }, i) => {
    const isOurs = engine === 'qsparse';
    const what = { where, engine, kernels: isOurs ? backend : null, threads, sparsity, zeros };
    return {
      ...{ ...what, ...rates[i] },
      over: isOurs ? over(rates[i], peer) : null,
      overDense: isOurs ? over(rates[i], dense) : null,
      text,
    };
  });
}

function ratesOf(rates) {
  return { tokensPerSecond: median(rates), spread: spread(rates), rates };
}

function over(one, other) {
  if (other === null) return null;
  const ratio = (key) => median(one[key].rates.map((rate, round) => rate / other[key].rates[round]));
  return { decode: ratio('decode'), prompt: ratio('prompt') };
}

/** The block of the document: what was measured in the page, and beside it the same in Node. */
export function speedBlock(result) {
  if (result === null)
    return 'Not measured yet: `node bench/browser-speed.mjs MODEL --out bench/results/browser-speed.json`.';
  const { model, promptTokens, tokens, rounds, machine, browser, peer, commit, rows } = result;
  const where = `${machine.cpu}, ${machine.cores} cores, ${machine.os}; ${browser}; ${peer}; commit ${commit}`;
  const what = `${model}, a prompt of ${promptTokens} tokens and ${tokens} tokens written, medians of ${rounds} rounds`;
  const inPage = rows.filter((row) => row.where === 'Chromium');
  return `${where}. ${what}.\n\n${table(inPage, columnsOf(rows))}`;
}

function columnsOf(rows) {
  const native = (row) =>
    row.engine === 'qsparse' &&
    rows.find((one) => one.where === 'Node' && one.threads === row.threads && one.sparsity === row.sparsity);
  const rate = (value) => value?.toFixed(1);
  return [
    { title: 'threads', of: ({ threads }) => threads },
    { title: 'engine', left: true, of: nameOf },
    { title: 'tokens/s', of: ({ decode }) => rate(decode.tokensPerSecond) },
    { title: 'spread', of: ({ decode }) => percent(decode.spread) },
    { title: 'over wllama', of: ({ over: beside }) => times(beside?.decode) },
    { title: 'over own dense', of: ({ overDense }) => times(overDense?.decode) },
    { title: 'prompt, tokens/s', of: ({ prompt }) => rate(prompt.tokensPerSecond) },
    { title: 'prompt over wllama', of: ({ over: beside }) => times(beside?.prompt) },
    { title: 'tokens/s in Node', of: (row) => rate((native(row) || null)?.decode.tokensPerSecond) },
  ];
}

function nameOf({ engine, sparsity, zeros }) {
  if (engine !== 'qsparse') return `${engine}, Q8_0`;
  return sparsity === 0 ? 'qsparse int8, dense' : `qsparse int8, ${percent(zeros)} zeros`;
}
