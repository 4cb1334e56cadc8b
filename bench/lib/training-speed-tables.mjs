/**
 * The tables of docs/training-speed.md: results in, Markdown out. Nothing is measured and nothing is read here.
 *
 * `results` is `{ sparsity, batch, size, skips, l1, bf16, 'wall-clock', peers, pruning }`, each as its file has it or null where there is none: then the block
 * says how to measure it.
 */

import { pruningQuality, pruningSpeed } from './logit-pruning-tables.mjs';
import { table } from './markdown.mjs';
import { memory, percent, times, whole } from './number-text.mjs';
import { originsText } from './origins.mjs';
import { interpolate, staysAbove } from './statistics.mjs';
import {
  bySize,
  isDense,
  isNatural,
  isNewPeers,
  isTopK,
  l1Runs,
  pairsOf,
  precisionsOf,
} from './training-speed-rows.mjs';
import { targetsOf } from './training-speed-targets.mjs';

const loss = (value) => (value === null ? '-' : value.toFixed(3));
const minutes = (seconds) => (seconds === null ? '-' : `${(seconds / 60).toFixed(1)} min`);

/** What the figure under a table shows. */
const FIGURES = {
  sparsity: 'Speed-up over the dense twin by sparsity',
  batch: 'Speed-up over the dense twin by batch and length',
  size: 'Speed-up over the dense twin by model size',
  l1: 'Speed-up over the dense twin and validation loss by coefficient of the L1 term',
  bf16: 'Training and validation loss by tokens, f32 and bf16',
  'wall-clock': 'Validation loss by minutes and by tokens',
};

/** Every block of the document by name. */
export function blocksOf(results) {
  const parts = {
    sparsity: sparsityBlock,
    batch: batchBlock,
    size: sizeBlock,
    skips: skipsBlock,
    l1: l1Block,
    bf16: bf16Block,
    'wall-clock': wallClockBlock,
  };
  const blocks = Object.entries(parts).map(([name, block]) => {
    const cases = results[name]?.cases ?? [];
    if (cases.length === 0) return [name, notMeasured(`bench/training-speed.mjs --only ${name}`)];
    const figure = FIGURES[name] ? `\n\n![${FIGURES[name]}](figures/training-${name}.svg)` : '';
    return [name, block(cases) + figure];
  });
  const peers = isNewPeers(results.peers) ? peersBlock(results.peers) : notMeasured('bench/train-against-pytorch.mjs');
  const pruning = pruningBlock(results.pruning);
  return {
    machine: machineBlock(results),
    peers,
    pruning,
    targets: targetsBlock(results),
    ...Object.fromEntries(blocks),
  };
}

function pruningBlock(pruning) {
  const [quality, speed] = [pruning?.quality ?? [], pruning?.speed ?? []];
  const [{ cpu, cores, node } = {}] = [...quality, ...speed].map(({ machine }) => machine);
  return [
    ...(speed.length > 0 ? [pruningSpeed(speed)] : [notMeasured('bench/logit-pruning.mjs speed')]),
    ...(quality.length > 0 ? [pruningQuality(quality)] : [notMeasured('bench/logit-pruning.mjs quality')]),
    ...(cpu ? [`On ${cpu}, ${cores} cores, Node ${node}.`] : []),
  ].join('\n\n');
}

function notMeasured(command) {
  return `Not measured yet: \`node ${command}\`.`;
}

// ---- where the numbers come from --------------------------------------------------------------------------------------

function machineBlock({ peers, ...parts }) {
  return originsText({ ...parts, PyTorch: isNewPeers(peers) && { cases: [peers] } });
}

// ---- parts ------------------------------------------------------------------------------------------------------------

function sparsityBlock(cases) {
  const rows = cases.flatMap((one) => one.rows);
  const natural = (row) => rows.find((other) => isNatural(other) && other.precision === row.precision);
  return `${table(rows, [
    { title: 'precision', of: (row) => row.precision, left: true },
    { title: 'sparsity', of: (row) => percent(row.sparsity) },
    {
      title: 'skipped',
      of: (row) => (isDense(row) ? 'nothing' : isNatural(row) ? 'natural zeros' : 'all zeros'),
      left: true,
    },
    { title: 'zeros, all inputs', of: (row) => percent(row.zeros) },
    { title: 'zeros at down', of: (row) => percent(row.downZeros) },
    { title: 'tokens/s', of: (row) => whole(row.tokensPerSecond) },
    { title: 'GFLOP/s done', of: (row) => whole(row.gflops) },
    { title: 'dense-equivalent', of: (row) => whole(row.gflopsDenseEquivalent) },
    { title: 'x dense', of: (row) => times(row.speedupOverDense) },
    { title: 'x natural zeros', of: (row) => times(ratioOf(row, natural(row))) },
    { title: 'selection', of: (row) => percent(row.selectShare, 1) },
    { title: 'tensors', of: (row) => memory(row.peakBytes) },
    { title: 'spread', of: (row) => percent(row.spread) },
  ])}\n\n${precisionsOf(rows)
    .map((precision) => crossoverText(rows, precision))
    .join('\n')}`;
}

/** Of two rows of one run: by way of the dense twin, with which each was compared inside the rounds. */
function ratioOf(row, base) {
  return base ? row.speedupOverDense / base.speedupOverDense : null;
}

/** From which sparsity on top-K is worth its cost, against the dense twin and against natural zeros alone. */
function crossoverText(rows, precision) {
  const own = rows.filter((row) => row.precision === precision);
  const topK = own.filter(isTopK).sort((a, b) => a.sparsity - b.sparsity);
  const natural = own.find(isNatural);
  const overDense = topK.map((row) => [row.sparsity, row.speedupOverDense]);
  const overNatural = natural ? topK.map((row) => [row.sparsity, ratioOf(row, natural)]) : [];
  const sentence = (points, base) => {
    if (points.length === 0) return `against ${base} unknown`;
    const crossing = staysAbove(points, 1);
    const [[first], last] = [points[0], points.at(-1)];
    if (crossing === null) return `against ${base} not up to ${percent(last[0])}`;
    return `against ${base} ${crossing === first ? `at or below ${percent(first)}, the least measured` : `at ${percent(crossing)}`}`;
  };
  const texts = [sentence(overDense, 'the dense twin'), sentence(overNatural, 'natural zeros alone')];
  return `Crossover, ${precision}: ${texts.join('; ')}.`;
}

const PAIR_COLUMNS = [
  { title: 'precision', of: ({ precision }) => precision, left: true },
  { title: 'zeros, all inputs', of: ({ sparse }) => percent(sparse.zeros) },
  { title: 'zeros at down', of: ({ sparse }) => percent(sparse.downZeros) },
  { title: 'dense, tokens/s', of: ({ dense }) => whole(dense.tokensPerSecond) },
  { title: 'sparse, tokens/s', of: ({ sparse }) => whole(sparse.tokensPerSecond) },
  { title: 'x dense', of: ({ sparse }) => times(sparse.speedupOverDense) },
];
const SPREAD_COLUMN = { title: 'spread', of: ({ dense, sparse }) => percent(Math.max(dense.spread, sparse.spread)) };

function batchBlock(cases) {
  const pairs = pairsOf(cases);
  const losing = pairs.filter(({ sparse }) => sparse.speedupOverDense < 1);
  const names = losing.map(({ one, precision }) => `${one.key} (${precision})`).join(', ');
  return `${table(pairs, [
    { title: 'batch x length', of: ({ one }) => one.key, left: true },
    { title: 'tokens a step', of: ({ sparse }) => whole(sparse.batch * sparse.seqLen) },
    ...PAIR_COLUMNS,
    SPREAD_COLUMN,
  ])}\n\nCrossover: ${losing.length === 0 ? 'none, the sparse step is the faster one at every size measured' : `dense is faster at ${names}`}.`;
}

function sizeBlock(cases) {
  const pairs = pairsOf(bySize(cases));
  return table(pairs, [
    { title: 'dim', of: ({ one }) => one.shape.dim },
    { title: 'hidden', of: ({ one }) => whole(one.shape.hiddenDim) },
    { title: 'layers', of: ({ one }) => one.shape.layers },
    { title: 'trained steps', of: ({ sparse }) => sparse.step },
    { title: 'tokens', of: ({ one }) => whole(one.quality.tokens) },
    { title: 'hiddenL1', of: ({ one }) => one.quality.hiddenL1 },
    ...PAIR_COLUMNS,
    { title: 'natural zeros alone, x dense', of: ({ natural }) => times(natural?.speedupOverDense) },
    { title: 'tensors', of: ({ sparse }) => memory(sparse.peakBytes) },
    SPREAD_COLUMN,
  ]);
}

const SKIP_TEXTS = {
  forward: 'zeros of X in Y = X W',
  weightGradient: 'zeros of X or dY in dW',
  inputGradient: 'zeros of dY in dX',
  up: 'up behind closed gates',
  hiddenGradient: 'gradient of hidden behind closed gates',
};

function skipsBlock(cases) {
  const rows = cases.flatMap((one) => one.rows);
  const name = (row) => {
    if (isDense(row)) return 'dense twin';
    if (row.without !== null) return `all but \`${row.without}\`: ${SKIP_TEXTS[row.without] ?? ''}`;
    return row.skips === 'none' ? 'selection alone, nothing skipped' : 'all';
  };
  return table(rows, [
    { title: 'skipped', of: name, left: true },
    { title: 'precision', of: (row) => row.precision, left: true },
    { title: 'ms a step', of: (row) => whole(row.msPerStep) },
    { title: 'time, x all skips', of: (row) => times(row.gain) },
    { title: 'x dense', of: (row) => times(row.speedupOverDense) },
    { title: 'GFLOP/s done', of: (row) => whole(row.gflops) },
    { title: 'tensors', of: (row) => memory(row.peakBytes) },
    { title: 'spread', of: (row) => percent(row.spread) },
  ]);
}

const signed = (share) => (share === null ? '-' : `${share > 0 ? '+' : ''}${percent(share, 1)}`);

function l1Block(cases) {
  return table(l1Runs(cases), [
    { title: 'hiddenL1', of: ({ quality }) => quality.hiddenL1 },
    { title: 'dim', of: ({ quality }) => quality.dim },
    { title: 'precision', of: ({ precision }) => precision, left: true },
    { title: 'steps', of: ({ quality }) => whole(quality.steps) },
    { title: 'tokens', of: ({ quality }) => whole(quality.tokens) },
    { title: 'zeros at down', of: ({ sparse }) => percent(sparse.downZeros, 1) },
    { title: 'dead channels', of: ({ quality }) => percent(quality.deadChannels, 1) },
    { title: 'validation loss', of: ({ quality }) => loss(quality.validationLoss) },
    { title: 'against 0', of: ({ lossOverBase }) => signed(lossOverBase) },
    { title: 'tokens/s', of: ({ sparse }) => whole(sparse.tokensPerSecond) },
    { title: 'x dense', of: ({ sparse }) => times(sparse.speedupOverDense) },
    { title: 'tensors', of: ({ sparse }) => memory(sparse.peakBytes) },
    SPREAD_COLUMN,
  ]);
}

function bf16Block(cases) {
  const [base] = cases;
  const relative = (value, to) => value / to - 1;
  return table(cases, [
    { title: 'products', of: (one) => one.key, left: true },
    { title: 'steps', of: ({ quality }) => whole(quality.steps) },
    { title: 'tokens', of: ({ quality }) => whole(quality.tokens) },
    { title: 'training loss, last 50 steps', of: ({ quality }) => loss(quality.trainLoss) },
    { title: 'validation loss', of: ({ quality }) => loss(quality.validationLoss) },
    {
      title: 'against the first row',
      of: ({ quality }) => signed(relative(quality.validationLoss, base.quality.validationLoss)),
    },
    { title: 'curves apart, at most', of: ({ curve }) => percent(greatestDistance(curve, base.curve), 2) },
  ]);
}

/** The greatest relative distance of two smoothed training losses at the same tokens. */
function greatestDistance({ points }, base) {
  const lossAt = new Map(base.points.map((point) => [point.tokens, point.loss]));
  const common = points.filter(({ tokens }) => lossAt.has(tokens));
  return Math.max(...common.map((point) => Math.abs(point.loss / lossAt.get(point.tokens) - 1)));
}

function wallClockBlock(cases) {
  const [base] = cases;
  const target = base.curve.validation.at(-1)?.loss ?? null;
  const reached = cases.map((one) => ({
    ...one,
    seconds: target === null ? null : secondsTo(one.curve.validation, target),
  }));
  const text = table(reached, [
    { title: 'run', of: (one) => one.key, left: true },
    { title: 'steps', of: ({ quality }) => whole(quality.steps) },
    { title: 'tokens', of: ({ quality }) => whole(quality.tokens) },
    { title: 'time', of: ({ quality }) => minutes(quality.seconds) },
    { title: 'validation loss at the end', of: ({ quality }) => loss(quality.validationLoss) },
    { title: `time to ${loss(target)}`, of: ({ seconds }) => minutes(seconds) },
    {
      title: 'x the first run',
      of: ({ seconds }) => times(seconds && reached[0].seconds && reached[0].seconds / seconds),
    },
  ]);
  return `${text}\n\nTimes are those of training, without validation and saving.`;
}

/** When a run's validation loss first came down to `target`, between two validations on the line; null where it never did. */
export function secondsTo(validation, target) {
  const i = validation.findIndex(({ loss: value }) => value <= target);
  if (i < 0) return null;
  if (i === 0) return validation[0].seconds;
  const [before, after] = [validation[i - 1], validation[i]];
  const points = [
    [-before.loss, before.seconds],
    [-after.loss, after.seconds],
  ];
  return interpolate(points, -target);
}

function peersBlock({ summary, torch, runs }) {
  const modes = summary.rows.filter(({ kind }) => kind === 'torch').map(({ variant }) => variant);
  const text = table(summary.rows, [
    {
      title: '',
      of: (row) => (row.variant === summary.bestTorch ? `${row.variant} (its best)` : row.variant),
      left: true,
    },
    { title: 'tokens/s', of: (row) => whole(row.tokensPerSecond) },
    { title: 'GFLOP/s dense-equivalent', of: (row) => whole(row.gflopsDenseEquivalent) },
    { title: 'x own dense', of: (row) => times(row.speedupOverDense) },
    ...modes.map((mode) => ({ title: `x ${mode}`, of: (row) => times(row.over[mode]) })),
    { title: 'zeros at down', of: (row) => (row.kind === 'sparse' ? percent(row.downZeros) : '-') },
    { title: 'process', of: (row) => memory(row.peakProcessBytes) },
    { title: 'spread', of: (row) => percent(row.spread) },
  ]);
  const trained = Object.entries(runs).map(
    ([name, { step, hiddenL1 }]) => `${name}: ${step} steps, hiddenL1 ${hiddenL1}`,
  );
  return `${text}\n\nPyTorch ${torch ?? '-'}; ${trained.join('; ')}. One process ran the variants of a run in one precision; its memory is the largest of them.`;
}

function targetsBlock(results) {
  const met = ({ wanted, value, most }) => (most ? value <= wanted : value >= wanted);
  const verdict = (target) => {
    if (target.value === null) return target.unmet ? 'missed' : '';
    return met(target) ? 'met' : 'missed';
  };
  const number = ({ text }, value) => (text.startsWith('selection') ? percent(value, 1) : times(value));
  return table(targetsOf(results), [
    { title: 'sparse training against', of: ({ text }) => text, left: true },
    { title: 'aim', of: (target) => `${target.most ? 'at most' : 'at least'} ${number(target, target.wanted)}` },
    {
      title: 'measured',
      of: (target) => (target.value === null ? (target.unmet ?? 'not measured') : number(target, target.value)),
    },
    { title: '', of: verdict, left: true },
  ]);
}
