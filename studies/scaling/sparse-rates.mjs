/**
 * A check beside the grid: all sparsities of a size share the rate of its dense model (plan.mjs). Do the sparsest of the two largest sizes want another?
 *
 *   node studies/scaling/run.mjs --plan studies/scaling/sparse-rates.mjs --no-fit --text FOLDER --runs FOLDER --out studies/scaling/results/sparse-rates
 */

import { plan as grid } from './plan.mjs';

const { '1.9M': smaller, '4.0M': larger } = grid.sizes;

export const plan = {
  base: grid.base,
  sizes: { '1.9M': smaller, '4.0M': larger },
  formats: { half: { train: { lr: 1e-3 } }, double: { train: { lr: 4e-3 } } },
  sparsities: [0.8],
  seeds: [0],
};
