/**
 * The rows of the study's results, by what they are: the dense twin, natural zeros alone, top-K; and pairs of them.
 */

export const isDense = (row) => row.sparsity === 0 && row.skips === 'none';
export const isNatural = (row) => row.sparsity === 0 && row.skips === 'all';
export const isTopK = (row) => row.sparsity > 0 && row.skips === 'all';

/** Results of the form before there were several modes have no rows. */
export function isNewPeers(peers) {
  return Array.isArray(peers?.summary?.rows);
}

/** By case and precision: the dense twin, natural zeros alone (or null), and the sparse row. */
export function pairsOf(cases) {
  return cases.flatMap((one) =>
    precisionsOf(one.rows).map((precision) => {
      const own = one.rows.filter((row) => row.precision === precision);
      return {
        one,
        precision,
        dense: own.find(isDense),
        natural: own.find(isNatural) ?? null,
        sparse: own.find(isTopK),
      };
    }),
  );
}

/** Cases by width: they are measured in any order. */
export function bySize(cases) {
  return [...cases].sort((a, b) => a.shape.dim - b.shape.dim);
}

export function precisionsOf(rows) {
  return [...new Set(rows.map(({ precision }) => precision))];
}

/** The runs by width, length and coefficient, each with its validation loss over that of coefficient 0 at equal width and length. */
export function l1Runs(cases) {
  const pairs = pairsOf(cases);
  const order = (a, b) => a.dim - b.dim || a.tokens - b.tokens || a.hiddenL1 - b.hiddenL1;
  return pairs
    .map((pair) => {
      const { quality } = pair.one;
      const isBase = ({ hiddenL1, dim, tokens }) => hiddenL1 === 0 && dim === quality.dim && tokens === quality.tokens;
      const base = cases.find((one) => isBase(one.quality));
      const known = base && quality.validationLoss !== null && base.quality.validationLoss !== null;
      const lossOverBase = known ? quality.validationLoss / base.quality.validationLoss - 1 : null;
      return { ...pair, quality, lossOverBase };
    })
    .sort((a, b) => order(a.quality, b.quality));
}
