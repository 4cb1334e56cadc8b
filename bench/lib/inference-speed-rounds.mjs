/**
 * Rounds of rows, ours and a peer's in turns, become one row each with medians, spreads and ratios.
 *
 * A ratio is the median of the ratios inside each round: a shared machine may be a third faster in one round than in the next, for both alike.
 */

import { median, spread } from './statistics.mjs';

/** Which variant a row is; all other numbers of it are measured. */
const IDENTITY = [
  'shape',
  'dtype',
  'sparsity',
  'closedGates',
  'batch',
  'tokens',
  'way',
  'dim',
  'kept',
  'layout',
  'openGates',
  'temperature',
  'drafts',
  'inputs',
  'outputs',
];

/**
 * `rounds` is `[{ ours, theirs }]`: what `qsparse bench` printed, and `[{ type, batch, tokensPerSecond, build }]` of a peer, which may be
 * empty. Each row has `rates`, one a round, `roundSpread` over them, and `over`: by type of the peer how many times as fast it is as the
 * peer with the same batch.
 */
export function mergeRounds(rounds) {
  const [{ ours }] = rounds;
  const peers = rounds[0].theirs.map(({ type, batch, build }) => {
    const rates = rounds.map(({ theirs }) => only(theirs, (one) => one.type === type && one.batch === batch, type));
    return { type, batch, build, ...ratesOf(rates.map((one) => one.tokensPerSecond)) };
  });
  const rows = ours.rows.map((first) => {
    const same = rounds.map((round) => only(round.ours.rows, (row) => nameOf(row) === nameOf(first), nameOf(first)));
    const rates = ratesOf(same.map(rateOf));
    const beside = peers.filter(({ batch }) => batch === (first.batch ?? 1));
    const over = beside.map(({ type, rates: theirs }) => [
      type,
      median(rates.rates.map((rate, i) => rate / theirs[i])),
    ]);
    const { rates: all, spread: roundSpread } = rates;
    return { ...mediansOf(same), rates: all, roundSpread, over: Object.fromEntries(over) };
  });
  const peaks = rounds.map((round) => round.ours.peakProcessBytes);
  const peakProcessBytes = peaks.includes(null) ? null : Math.max(...peaks);
  return { machine: ours.machine, commit: ours.commit, peakProcessBytes, rows, peers };
}

function only(entries, isIt, name) {
  const found = entries.filter(isIt);
  if (found.length !== 1) throw new Error(`expected ${name} once in each round, got it ${found.length} times.`);
  return found[0];
}

function nameOf(row) {
  return IDENTITY.filter((key) => row[key] !== undefined && row[key] !== null)
    .map((key) => `${key} ${row[key]}`)
    .join(', ');
}

/** Benches of a kernel print times, those of a model rates. */
function rateOf({ tokensPerSecond, msPerCall, nsPerToken }) {
  return tokensPerSecond ?? (msPerCall === undefined ? 1e9 / nsPerToken : 1e3 / msPerCall);
}

function ratesOf(rates) {
  return { rates, tokensPerSecond: median(rates), spread: spread(rates) };
}

function mediansOf(rows) {
  const entries = Object.entries(rows[0]).map(([key, value]) => {
    const measured = typeof value === 'number' && !IDENTITY.includes(key);
    return [key, measured ? median(rows.map((row) => row[key])) : value];
  });
  return Object.fromEntries(entries);
}
