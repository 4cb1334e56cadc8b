/**
 * Rounds of tokens per second, ours and PyTorch's, become medians, spreads and ratios.
 *
 * A ratio is the median of the ratios inside each round: the machine may be faster in one round than in the next, for all alike.
 */

import { median, spread } from './statistics.mjs';

/** The variants of one `bench train`: `RUN f32 dense`, `RUN f32 60 %`. */
export function ourVariants(name, { rows, peakProcessBytes }) {
  return rows.map((row) => ({
    variant: `${name} ${row.precision} ${row.skips === 'none' ? 'dense' : `${Math.round(100 * row.sparsity)} %`}`,
    precision: row.precision,
    kind: row.skips === 'none' ? 'dense' : 'sparse',
    tokensPerSecond: row.tokensPerSecond,
    gflopsDenseEquivalent: row.gflopsDenseEquivalent,
    speedupOverDense: row.speedupOverDense,
    selectShare: row.selectShare,
    zeros: row.zeros,
    downZeros: row.downZeros,
    peakTensorBytes: row.peakBytes,
    // Of the process that ran all of these variants: an upper bound for each.
    peakProcessBytes,
  }));
}

export function torchVariant(result, flopsPerToken) {
  return {
    variant: `torch ${result.mode}`,
    precision: result.mode.split('-')[0],
    kind: 'torch',
    tokensPerSecond: result.tokensPerSecond,
    gflopsDenseEquivalent: (result.tokensPerSecond * flopsPerToken) / 1e9,
    peakProcessBytes: result.peakProcessBytes,
  };
}

/** One row a variant over all rounds, each with its ratios to every mode of PyTorch and to the best one. */
export function summarise(rounds) {
  const names = rounds[0].map(({ variant }) => variant);
  const of = (variant, key) => rounds.map((round) => round.find((entry) => entry.variant === variant)[key]);
  const rate = (variant) => of(variant, 'tokensPerSecond');
  const torch = names.filter((name) => name.startsWith('torch '));
  const bestTorch = torch.reduce(
    (best, name) => (!best || median(rate(name)) > median(rate(best)) ? name : best),
    null,
  );
  const ratio = (a, b) => median(rate(a).map((value, round) => value / rate(b)[round]));
  const rows = names.map((variant) => {
    const [first] = rounds;
    const { precision, kind } = first.find((entry) => entry.variant === variant);
    const measured = Object.keys(first.find((entry) => entry.variant === variant)).filter(
      (key) => !['variant', 'precision', 'kind'].includes(key),
    );
    return {
      variant,
      precision,
      kind,
      ...Object.fromEntries(measured.map((key) => [key, median(of(variant, key))])),
      spread: spread(rate(variant)),
      over: kind === 'torch' ? {} : Object.fromEntries(torch.map((name) => [name, ratio(variant, name)])),
    };
  });
  return { bestTorch, rows };
}
