/** The aims of training speed, each with the value that is on file. */

import { isNewPeers, l1Runs, pairsOf } from './training-speed-rows.mjs';

/** What `qsparse train` uses unless told otherwise: runs up to here are plain ones. */
const DEFAULT_HIDDEN_L1 = 3e-4;

/**
 * What was aimed at: each target with the measured value, or null where that is not on file. `most`: the value must stay below;
 * `unmet`: why there is no value although it was measured.
 */
export function targetsOf(results) {
  const { rows = [], bestTorch } = isNewPeers(results.peers) ? results.peers.summary : {};
  const runs = results.peers?.runs ?? {};
  const hasL1 = (row) =>
    Object.entries(runs).some(([name, run]) => row.variant.startsWith(`${name} `) && run.hiddenL1 > DEFAULT_HIDDEN_L1);
  const ours = (precision, kind) => rows.find((row) => row.precision === precision && row.kind === kind && !hasL1(row));
  const torch = (precision) =>
    rows.filter((row) => row.kind === 'torch' && row.precision === precision).map((row) => row.variant);
  const fastest = rows
    .filter((row) => row.kind === 'sparse' && !hasL1(row))
    .sort((a, b) => b.tokensPerSecond - a.tokensPerSecond)[0];
  const overOwnMode = (precision) => {
    const ratios = torch(precision).map((mode) => ours(precision, 'dense')?.over[mode] ?? Number.NaN);
    return ratios.length > 0 ? Math.min(...ratios) : null;
  };
  const best = rows.find(({ variant }) => variant === bestTorch);
  const sizes = pairsOf(results.size?.cases ?? []);
  const sizeAt = (dim) => sizes.filter(({ one }) => one.shape.dim === dim).map(({ sparse }) => sparse.speedupOverDense);
  const runsOfL1 = l1Runs(results.l1?.cases ?? []).filter(({ quality }) => quality.hiddenL1 > 0);
  const l1 = (dim) => bestL1(runsOfL1.filter(({ quality }) => quality.dim === dim));
  const unmetL1 = (dim) =>
    runsOfL1.some(({ quality, lossOverBase }) => quality.dim === dim && lossOverBase !== null)
      ? { unmet: 'no coefficient is both' }
      : {};
  const l1Peer = rows.filter((row) => row.kind === 'sparse' && hasL1(row)).map((row) => row.over[bestTorch]);
  const target = (text, wanted, value, options = {}) => ({
    text,
    wanted,
    value: Number.isFinite(value) ? value : null,
    ...options,
  });
  return [
    target('own dense twin, f32', 1.45, ours('f32', 'sparse')?.speedupOverDense),
    target('own dense twin, bf16', 1.35, ours('bf16', 'sparse')?.speedupOverDense),
    target('dense twin against the best of PyTorch in f32', 0.9, overOwnMode('f32')),
    target('dense twin against the best of PyTorch in bf16', 0.9, overOwnMode('bf16')),
    target('own dense twin, dim 1024', 1.8, Math.max(...sizeAt(1024))),
    target('own dense twin, dim 2048', 1.8, Math.max(...sizeAt(2048))),
    target("PyTorch's best mode", 1.2, fastest?.over[bestTorch]),
    target('PyTorch f32 with torch.compile', 2, fastest?.over['torch f32-compile']),
    target('own dense twin, with hiddenL1 at 95 % zeros and more, loss within 1 %', 1.6, l1(512), unmetL1(512)),
    target('the same at dim 1024', 2, l1(1024), unmetL1(1024)),
    target("PyTorch's best mode, with hiddenL1", 1.4, Math.max(...l1Peer)),
    target('selection, share of the step', 0.03, ours('f32', 'sparse')?.selectShare, { most: true }),
    target(
      "memory of the process, of that of PyTorch's best mode",
      1,
      fastest && best && fastest.peakProcessBytes / best.peakProcessBytes,
      { most: true },
    ),
  ];
}

/** The best speed-up among the coefficients that close 95 % and cost at most 1 % of the loss. */
function bestL1(runs) {
  const good = runs.filter(
    ({ sparse, lossOverBase }) => sparse.downZeros >= 0.95 && lossOverBase !== null && lossOverBase <= 0.01,
  );
  return Math.max(...good.map(({ sparse }) => sparse.speedupOverDense));
}
