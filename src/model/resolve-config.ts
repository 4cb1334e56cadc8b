/**
 * resolveConfig: a ModelConfig of what a user or a file gives, with its defaults filled in and checked as a whole.
 *
 * A wrong configuration is told with all that is wrong about it, each problem by its field.
 */

import type { Activation } from '../backend.ts';
import { nearestName } from '../util/errors.ts';
import { Problems, shown } from '../util/problems.ts';
import {
  featuresAt,
  isAboveZero,
  isRelu,
  type ModelConfig,
  POINTS,
  type Point,
  RESCALES,
  type Rescale,
  type RopeScaling,
  SPARSIFIERS,
  type Sparsity,
  THRESHOLD_PLACES,
  type Threshold,
  type ThresholdPlace,
} from './config.ts';

/** A configuration with what may be left out left out: see `resolveConfig` for what then holds. */
export type ModelConfigInput = Partial<Omit<ModelConfig, 'sparsity' | 'thresholds' | 'rescale'>> &
  Pick<ModelConfig, 'dim' | 'nLayers' | 'nHeads' | 'vocabSize'> & {
    /** One number: the three dense points and, with a SiLU gate, down. */
    sparsity?: number | Partial<Record<Point, Sparsity>>;
    thresholds?: Partial<Record<ThresholdPlace, Threshold>>;
    /** One for all four points, or by point. */
    rescale?: Rescale | Partial<Record<Point, Rescale>>;
  };

const COUNTS = ['dim', 'hiddenDim', 'nLayers', 'nHeads', 'nKvHeads', 'headDim', 'vocabSize', 'seqLen'] as const;
/** Far above any model that there is. Lists of parameters are as long as these numbers say, which come from files too. */
const MOST_OF_A_COUNT = 2 ** 24;
const MOST_LAYERS = 4096;
const MOST_FEED_FORWARDS = 2 ** 16;
const DERIVED_FROM: Readonly<Record<string, readonly string[]>> = { hiddenDim: ['dim'], nKvHeads: ['nHeads'] };
const CHOICES = {
  activation: ['relu2', 'relu', 'silu'],
  gradient: ['straight-through', 'masked'],
  sparsifier: SPARSIFIERS,
  activationFormat: ['float', 'int8'],
  weightFormat: ['float', 'ternary'],
} as const;

/** Places in a block are stored in a byte. */
const MAX_BLOCK_SIZE = 256;

/**
 * Fills in what is left out and checks the whole: hiddenDim = 2.75 dim, nKvHeads = nHeads, headDim = dim / nHeads,
 * seqLen 256, ropeTheta 10000 without scaling, no bias, no norms of heads, no sliding window, normEps 1e-5, tied, relu2 (with drelu: relu), topk, sparsity 0, blocks of 32, thresholds 0,
 * straight-through (with ReLUs for a sparsifier: masked), no re-scale, no L1, float activations and weights, no sub-norms, no experts.
 * Throws UsageError with ALL that is wrong: for each problem the field, what it must be and what it is.
 */
export function resolveConfig(input: ModelConfigInput): ModelConfig {
  const problems = new Problems('config');
  const sparsifier = input.sparsifier ?? 'topk';
  const activation = input.activation ?? (sparsifier === 'drelu' ? 'relu' : 'relu2');
  const config: ModelConfig = {
    dim: input.dim,
    hiddenDim: input.hiddenDim ?? Math.round((2.75 * input.dim) / 32) * 32,
    nLayers: input.nLayers,
    nHeads: input.nHeads,
    nKvHeads: input.nKvHeads ?? input.nHeads,
    headDim: input.headDim ?? input.dim / input.nHeads,
    vocabSize: input.vocabSize,
    seqLen: input.seqLen ?? 256,
    ropeTheta: input.ropeTheta ?? 10000,
    ropeScaling: input.ropeScaling ?? null,
    qkvBias: input.qkvBias ?? false,
    qkNorm: input.qkNorm ?? false,
    slidingWindow: input.slidingWindow ?? 0,
    normEps: input.normEps ?? 1e-5,
    tiedEmbeddings: input.tiedEmbeddings ?? true,
    activation,
    sparsifier,
    sparsity: resolveSparsity(input.sparsity ?? 0, activation, problems),
    blockSize: input.blockSize ?? 32,
    thresholds: byPlace('thresholds', THRESHOLD_PLACES, input.thresholds ?? {}, 0, problems),
    gradient: input.gradient ?? (isRelu(sparsifier) ? 'masked' : 'straight-through'),
    rescale: resolveRescale(input.rescale ?? 'none', problems),
    hiddenL1: input.hiddenL1 ?? 0,
    activationFormat: input.activationFormat ?? 'float',
    weightFormat: input.weightFormat ?? 'float',
    subNorms: input.subNorms ?? false,
    nExperts: input.nExperts ?? 0,
    nExpertsPerToken: input.nExpertsPerToken ?? 0,
    routerLoadBalance: input.routerLoadBalance ?? 0,
    routerZLoss: input.routerZLoss ?? 0,
  };
  const known = Object.keys(config);
  for (const field of Object.keys(input)) if (!known.includes(field)) problems.addUnknown(field, known);
  checkShape(config, input, problems);
  checkMethod(config, problems);
  problems.throwAny();
  return config;
}

function resolveSparsity(
  input: number | Partial<Record<Point, Sparsity>>,
  activation: Activation,
  problems: Problems,
): Record<Point, Sparsity> {
  if (typeof input === 'number') {
    return { qkv: input, o: input, gateUp: input, down: activation === 'silu' ? input : 0 };
  }
  return byPlace('sparsity', POINTS, input, 0, problems, 'a number or ');
}

function resolveRescale(input: Rescale | Partial<Record<Point, Rescale>>, problems: Problems): Record<Point, Rescale> {
  const all = RESCALES.find((name) => name === input);
  if (all !== undefined) return { qkv: all, o: all, gateUp: all, down: all };
  const byPoint = input as Partial<Record<Point, Rescale>>;
  return byPlace('rescale', POINTS, byPoint, 'none', problems, `${RESCALES.map((name) => `"${name}"`).join(', ')} or `);
}

/** An object by place with `absent` for what is left out. */
function byPlace<Place extends string, Value>(
  field: 'sparsity' | 'thresholds' | 'rescale',
  places: readonly Place[],
  input: Partial<Record<Place, Value>>,
  absent: Value,
  problems: Problems,
  orElse = '',
): Record<Place, Value> {
  const isByPlace = typeof input === 'object' && !Array.isArray(input);
  if (!isByPlace) problems.add(field, `must be ${orElse}an object with ${places.join(', ')}, got ${shown(input)}.`);
  const given: Partial<Record<string, Value>> = isByPlace ? input : {};
  for (const name of Object.keys(given)) {
    if ((places as readonly string[]).includes(name)) continue;
    const near = nearestName(name, places);
    const hint = near ? ` Did you mean "${near}"?` : '';
    problems.add(`${field}.${name}`, `is no place for it: expected one of ${places.join(', ')}.${hint}`);
  }
  return Object.fromEntries(places.map((place) => [place, given[place] ?? absent])) as Record<Place, Value>;
}

/** Sizes, and what has to divide what. */
function checkShape(config: ModelConfig, input: ModelConfigInput, problems: Problems): void {
  const { dim, nHeads, nKvHeads, headDim } = config;
  const derived = input.headDim === undefined;
  for (const field of COUNTS) {
    // What follows from a wrong number is not a second mistake.
    if (input[field] === undefined && problems.has(...(DERIVED_FROM[field] ?? []))) continue;
    if (field !== 'headDim' || !derived) problems.whole(field, config[field], 1);
    const most = field === 'nLayers' ? MOST_LAYERS : MOST_OF_A_COUNT;
    if (config[field] > most) problems.add(field, `must be at most ${most}, got ${shown(config[field])}.`);
  }
  if (!problems.has('dim', 'nHeads', 'headDim')) {
    if (derived && dim % nHeads > 0) {
      problems.add('nHeads', `must divide dim: got dim ${dim}, nHeads ${nHeads}. Change one of them, or give headDim.`);
    } else if (headDim % 2 !== 0) {
      problems.add('headDim', `must be even for RoPE, got ${headDim}.${derived ? ' It is dim / nHeads.' : ''}`);
    }
  }
  if (!problems.has('nHeads', 'nKvHeads') && nHeads % nKvHeads !== 0) {
    problems.add('nKvHeads', `must divide nHeads: got nHeads ${nHeads}, nKvHeads ${nKvHeads}.`);
  }
}

/** Everything else, field by field; then what does not go together. */
function checkMethod(config: ModelConfig, problems: Problems): void {
  for (const [field, choices] of Object.entries(CHOICES)) {
    problems.choice(field, config[field as keyof typeof CHOICES], choices);
  }
  for (const field of ['ropeTheta', 'normEps'] as const) {
    problems.number(field, config[field], 'above 0', (value) => value > 0);
  }
  problems.whole('slidingWindow', config.slidingWindow, 0, ' (0: none)');
  problems.number('hiddenL1', config.hiddenL1, '0 or more', (value) => value >= 0);
  for (const field of ['tiedEmbeddings', 'qkvBias', 'qkNorm', 'subNorms'] as const) problems.flag(field, config[field]);
  checkRopeScaling(config.ropeScaling, problems);
  for (const point of POINTS) {
    problems.choice(`rescale.${point}`, config.rescale[point], RESCALES);
    checkByLayer(`sparsity.${point}`, config.sparsity[point], config.nLayers, problems, 'in [0, 1)', (x) => x < 1);
  }
  for (const point of THRESHOLD_PLACES) {
    checkByLayer(
      `thresholds.${point}`,
      config.thresholds[point],
      config.nLayers,
      problems,
      '0 or more',
      Number.isFinite,
    );
  }
  checkExperts(config, problems);
  checkSparsifier(config, problems);
}

/** The numbers that each type of scaling has, and which values they may have. */
const ROPE_SCALINGS: Readonly<Record<RopeScaling['type'], Readonly<Record<string, (value: number) => boolean>>>> = {
  linear: { factor: isPositive },
  llama3: { factor: isPositive, lowFreqFactor: isPositive, highFreqFactor: isPositive, originalSeqLen: isPositive },
};

function isPositive(value: number): boolean {
  return value > 0 && Number.isFinite(value);
}

function checkRopeScaling(scaling: unknown, problems: Problems): void {
  if (scaling === null) return;
  if (typeof scaling !== 'object' || Array.isArray(scaling)) {
    problems.add('ropeScaling', `must be null or an object with a type, got ${shown(scaling)}.`);
    return;
  }
  const { type, ...numbers } = scaling as Record<string, unknown>;
  problems.choice('ropeScaling.type', type, Object.keys(ROPE_SCALINGS));
  if (problems.has('ropeScaling.type')) return;
  const expected = ROPE_SCALINGS[type as RopeScaling['type']];
  for (const [name, fits] of Object.entries(expected)) {
    problems.number(`ropeScaling.${name}`, numbers[name], 'a number above 0', fits);
  }
  for (const name of Object.keys(numbers)) {
    if (!Object.hasOwn(expected, name)) problems.addUnknown(`ropeScaling.${name}`, Object.keys(expected));
  }
  const { lowFreqFactor: low, highFreqFactor: high } = numbers;
  if (
    type === 'llama3' &&
    !problems.has('ropeScaling.lowFreqFactor', 'ropeScaling.highFreqFactor') &&
    !(low! < high!)
  ) {
    problems.add('ropeScaling.highFreqFactor', `must be above lowFreqFactor ${shown(low)}, got ${shown(high)}.`);
  }
}

/** Numbers from 0 on that fit, one for all layers or one for each. */
function checkByLayer(
  field: string,
  values: number | readonly number[],
  nLayers: number,
  problems: Problems,
  range: string,
  fits: (value: number) => boolean,
): void {
  if (Array.isArray(values) && values.length !== nLayers && !problems.has('nLayers')) {
    problems.add(field, `must have one value per layer: expected ${nLayers}, got ${values.length}.`);
  }
  for (const value of [values].flat()) {
    if (problems.has(field)) return;
    problems.number(field, value, range, (number) => number >= 0 && fits(number));
  }
}

/** What each sparsifier needs, and what it has no use for. */
function checkSparsifier(config: ModelConfig, problems: Problems): void {
  const { sparsifier, sparsity, thresholds, blockSize, gradient, activation } = config;
  if (problems.has('sparsifier')) return;
  for (const point of sparsifier === 'topk' || sparsifier === 'block' ? [] : POINTS) {
    if (!isAboveZero(sparsity[point])) continue;
    const what = `must be 0 with sparsifier ${sparsifier}, which takes no share. Leave one out.`;
    problems.add(`sparsity.${point}`, what);
  }
  const places = THRESHOLD_PLACES.filter((place) => isAboveZero(thresholds[place]));
  for (const place of sparsifier === 'threshold' ? [] : places) {
    problems.add(`thresholds.${place}`, `must be 0 with sparsifier ${sparsifier}. Leave it out, or take threshold.`);
  }
  if (sparsifier === 'threshold' && places.length === 0) {
    problems.add('thresholds', 'must be above 0 somewhere with sparsifier threshold. qsparse calibrate finds them.');
  }
  if (gradient === 'straight-through' && (isRelu(sparsifier) || places.includes('gate'))) {
    const why = isRelu(sparsifier) ? `sparsifier ${sparsifier}: a ReLU has a gradient of its own` : 'thresholds.gate';
    problems.add('gradient', `must be masked with ${why}. Give masked.`);
  }
  if ((sparsifier === 'relu' || sparsifier === 'norm-relu') && activation === 'silu') {
    const why = `with sparsifier ${sparsifier}, which begins by replacing the SiLU`;
    problems.add('activation', `must be relu or relu2 ${why}, got "silu".`);
  }
  if (sparsifier === 'drelu' && !problems.has('activation') && activation !== 'relu') {
    const why = 'with sparsifier drelu, which is relu(gate) relu(up)';
    problems.add('activation', `must be relu ${why}, got "${activation}".`);
  }
  if (!(Number.isInteger(blockSize) && blockSize >= 2 && blockSize <= MAX_BLOCK_SIZE)) {
    problems.add('blockSize', `must be a whole number from 2 to ${MAX_BLOCK_SIZE}, got ${shown(blockSize)}.`);
  } else if (sparsifier === 'block') {
    checkBlocks(config, problems);
  }
}

/** Blocks come out even wherever something is selected. */
function checkBlocks(config: ModelConfig, problems: Problems): void {
  if (problems.has('dim', 'hiddenDim', 'nHeads', 'headDim')) return;
  const uneven = POINTS.filter(
    (point) => isAboveZero(config.sparsity[point]) && featuresAt(config, point) % config.blockSize,
  );
  if (uneven.length === 0) return;
  const widths = uneven.map((point) => `${featuresAt(config, point)} at ${point}`).join(', ');
  problems.add(
    'blockSize',
    `must divide the features of every point that selects: got ${config.blockSize} for ${widths}.`,
  );
}

function checkExperts(config: ModelConfig, problems: Problems): void {
  const { nExperts, nExpertsPerToken, nLayers } = config;
  problems.whole('nExperts', nExperts, 0, ' (0: none)');
  if (!problems.has('nLayers') && nLayers * nExperts > MOST_FEED_FORWARDS) {
    problems.add('nExperts', `must be at most ${MOST_FEED_FORWARDS} in all layers together, got ${shown(nExperts)}.`);
  }
  for (const field of ['routerLoadBalance', 'routerZLoss'] as const) {
    problems.number(field, config[field], '0 or more', (value) => value >= 0);
  }
  if (problems.has('nExperts')) return;
  if (nExperts > 0) {
    const inRange = Number.isInteger(nExpertsPerToken) && nExpertsPerToken >= 1 && nExpertsPerToken <= nExperts;
    if (!inRange) {
      const range = `a whole number from 1 to nExperts ${nExperts}`;
      problems.add('nExpertsPerToken', `must be ${range}, got ${shown(nExpertsPerToken)}.`);
    }
    return;
  }
  for (const field of ['nExpertsPerToken', 'routerLoadBalance', 'routerZLoss'] as const) {
    if (problems.has(field) || config[field] === 0) continue;
    problems.add(field, `must be 0 without experts, got ${shown(config[field])}. Give nExperts, or leave it out.`);
  }
}
