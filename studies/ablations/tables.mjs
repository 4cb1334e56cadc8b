/** The tables of docs/findings.md, one block each, from the committed results alone. */

import { table } from '../../bench/lib/markdown.mjs';
import { percent, signed, times } from '../../bench/lib/number-text.mjs';
import { interpolate } from '../../bench/lib/statistics.mjs';
import { L1_COEFFICIENTS } from '../../recipes/ablations.mjs';
import { lossOf } from './results.mjs';

export const PROJECTIONS = ['q', 'k', 'v', 'o', 'gate', 'up', 'down'];
const POINTS = ['qkv', 'o', 'gateUp', 'down'];
/** Where one number for the sparsity selects: behind ReLU^2 the zeros before down are natural ones. */
const SELECTED = ['qkv', 'o', 'gateUp'];
/** Float and ternary models: dense, sparse, and as many activated parameters the other way. */
export const FORMATS = ['', 'bitnet-'].map((format) =>
  ['dense', 'topk50', 'narrow-dense', 'wide-topk55'].map((name) => `${format}${name}`),
);
export const DEEP = ['deep-dense', 'deep-topk50', 'deep-topk50-masked', 'deep-relu'];
const TOP_K = ['dense', 'topk30', 'topk50', 'topk60', 'topk70'];

export function blocksOf(results) {
  return {
    machine: machineBlock(results),
    'loss-by-sparsity': models(results, TOP_K, 'dense'),
    gradient: models(results, ['dense', 'topk50', 'topk50-masked'], 'topk50'),
    'gradient-norms': gradientNorms(results, ['topk50', 'topk50-masked'], PROJECTIONS),
    relu: models(results, ['topk50', 'topk60', 'topk70', 'relu'], 'topk60'),
    'relu-equal': equalSparsity(results),
    'relu-drift': drift(results, ['relu', 'topk60']),
    block: models(results, ['dense', 'topk50', 'block50'], 'topk50'),
    formats: models(results, FORMATS.flat(), 'dense'),
    gates: models(results, ['dense', 'dense-silu', 'topk50', 'topk50-silu'], 'dense'),
    mixture: models(results, ['dense', 'moe-1of8', 'moe-2of8-topk50'], 'moe-1of8'),
    l1: l1Table(results),
    rescale: rescaleTable(results),
    down: models(results, ['topk50', 'topk50-down'], 'topk50'),
    deep: models(results, DEEP, 'deep-dense'),
    'deep-gradient-norms': gradientNorms(results, ['deep-topk50', 'deep-topk50-masked'], ['v', 'up', 'down']),
    'deep-drift': drift(results, ['deep-relu']),
  };
}

/** One line a model: loss with its spread, difference to `reference` seed by seed, zeros, activated parameters, speed. */
function models(results, names, reference) {
  const rows = names.filter((name) => results.has(name));
  return table(rows, [
    { title: 'model', left: true, of: (name) => `\`${name}\`` },
    { title: 'seeds', of: (name) => results.loss(name).count },
    { title: 'validation loss', of: (name) => withDeviation(results.loss(name)) },
    {
      title: `less \`${reference}\``,
      of: (name) => (name === reference ? '' : differenceText(results.difference(name, reference))),
    },
    { title: 'zeros', of: (name) => percent(results.over(name, ({ activated }) => activated.modelSparsity).mean) },
    { title: 'activated', of: (name) => millions(activatedOf(results, name)) },
    { title: 'speed of a step', of: (name) => speedText(results.speedOf(name)) },
  ]);
}

/** Norms of the gradient at the last detail record, seed 0, of two models: the first / the second, by layer. */
function gradientNorms(results, names, projections) {
  if (!names.every((name) => results.has(name))) return 'Not trained yet.';
  const [through, masked] = names.map((name) => results.first(name).last.gradNorm);
  const layers = through.q.map((_, layer) => layer);
  return table(projections, [
    { title: 'projection', left: true, of: (name) => name },
    ...layers.map((layer) => ({
      title: `layer ${layer}`,
      of: (name) => `${short(through[name][layer])} / ${short(masked[name][layer])}`,
    })),
  ]);
}

/** What top-K loses at the share of zeros that ReLU everywhere came to, read off between its neighbours, seed by seed. */
function equalSparsity(results) {
  if (!results.has('relu')) return 'Not trained yet.';
  const differences = results.seeds.flatMap((models) => {
    const curve = ['topk30', 'topk50', 'topk60', 'topk70'].filter((name) => models[name]).map((name) => models[name]);
    const points = curve.map((run) => [run.activated.modelSparsity, lossOf(run)]).sort(([a], [b]) => a - b);
    const at = models.relu && interpolate(points, models.relu.activated.modelSparsity);
    return at === null || at === undefined
      ? []
      : [{ zeros: models.relu.activated.modelSparsity, relu: lossOf(models.relu), at }];
  });
  return table(differences, [
    { title: 'zeros of `relu`', of: ({ zeros }) => percent(zeros, 1) },
    { title: 'its loss', of: ({ relu }) => relu.toFixed(3) },
    { title: 'top-K at as many zeros', of: ({ at }) => at.toFixed(3) },
    { title: 'ReLU less top-K', of: ({ relu, at }) => signed(relu - at, 3) },
  ]);
}

/** Zeros in front of each point at the first, middle and last record of seed 0. */
function drift(results, names) {
  const rows = names.filter((name) => results.has(name)).flatMap((name) => POINTS.map((point) => ({ name, point })));
  const at = ({ name, point }, which) => {
    const { overTime } = results.first(name);
    return percent(overTime[which(overTime.length)].zeros[point], 1);
  };
  return table(rows, [
    { title: 'model', left: true, of: ({ name }) => `\`${name}\`` },
    { title: 'in front of', left: true, of: ({ point }) => point },
    { title: 'at first', of: (row) => at(row, () => 0) },
    { title: 'half-way', of: (row) => at(row, (length) => (length - 1) >> 1) },
    { title: 'at the end', of: (row) => at(row, (length) => length - 1) },
  ]);
}

/** Models of the L1 part by gate, coefficient and top-K elsewhere. */
export function l1Models() {
  const name = (gate, coefficient, topK) => {
    if (coefficient > 0) return `l1-${gate}-${coefficient}${topK ? '-topk50' : ''}`;
    if (gate === 'relu') return topK ? 'relu-gate-topk50' : 'relu-gate';
    return topK ? 'topk50' : 'dense';
  };
  return ['relu', 'relu2'].flatMap((gate) =>
    [false, true].flatMap((topK) =>
      [0, ...L1_COEFFICIENTS].map((coefficient) => ({ gate, topK, coefficient, name: name(gate, coefficient, topK) })),
    ),
  );
}

function l1Table(results) {
  return table(
    l1Models().filter(({ name }) => results.has(name)),
    [
      { title: 'gate', left: true, of: ({ gate }) => gate },
      { title: 'top-K elsewhere', left: true, of: ({ topK }) => (topK ? '50 %' : 'no') },
      { title: 'hiddenL1', of: ({ coefficient }) => coefficient },
      { title: 'validation loss', of: ({ name }) => lossOf(results.first(name)).toFixed(3) },
      { title: 'zeros before down', of: ({ name }) => percent(results.first(name).overTime.at(-1).zeros.down, 1) },
      { title: 'dead channels', of: ({ name }) => percent(results.first(name).overTime.at(-1).deadChannels, 1) },
      { title: 'activated', of: ({ name }) => millions(results.first(name).activated.activatedParameters) },
      { title: 'speed of a step', of: ({ name }) => speedText(results.speedOf(name)) },
    ],
  );
}

/** Models with and without the re-scale, by where top-K is. */
export const RESCALED = [
  ...POINTS.map((point) => ({ where: point, plain: `${point}-only`, rescaled: `${point}-only-l2` })),
  { where: 'all but down', plain: 'topk50', rescaled: 'topk50-l2' },
];

function rescaleTable(results) {
  const pairs = RESCALED.filter(({ plain, rescaled }) => results.has(plain) && results.has(rescaled));
  return table(pairs, [
    { title: 'top-K of 50 % at', left: true, of: ({ where }) => where },
    { title: 'less `dense`', of: ({ plain }) => differenceText(results.difference(plain, 'dense')) },
    { title: 'with l2, less `dense`', of: ({ rescaled }) => differenceText(results.difference(rescaled, 'dense')) },
    { title: 'what l2 does', of: ({ plain, rescaled }) => differenceText(results.difference(rescaled, plain)) },
    { title: 'kept of the sum of squares', of: ({ plain, where }) => percent(energyKept(results.first(plain), where)) },
  ]);
}

function energyKept({ last }, where) {
  const layers = last.energyKept[where] ?? SELECTED.flatMap((point) => last.energyKept[point]);
  return layers.reduce((sum, value) => sum + value, 0) / layers.length;
}

function machineBlock(results) {
  const { speed } = results;
  const lines = [`- losses: ${results.backends.join(', ')}`];
  if (speed)
    lines.push(
      `- seconds: ${speed.machine}; ${speed.threads} threads, ${speed.rounds} rounds of ${speed.steps} steps in turns`,
    );
  return lines.join('\n');
}

function activatedOf(results, name) {
  return results.over(name, ({ activated }) => activated.activatedParameters).mean;
}

const speedText = (speed) => (speed ? `${times(speed.overDense)} x` : 'not measured');
const millions = (count) => `${(count / 1e6).toFixed(2)} M`;
const short = (value) => value.toPrecision(2);

function withDeviation({ mean, deviation }) {
  return deviation === null ? mean.toFixed(3) : `${mean.toFixed(3)} ± ${deviation.toFixed(3)}`;
}

function differenceText(difference) {
  if (difference === null) return '-';
  const { mean, deviation } = difference;
  return deviation === null ? signed(mean, 3) : `${signed(mean, 3)} ± ${deviation.toFixed(3)}`;
}
