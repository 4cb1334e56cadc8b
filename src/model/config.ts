/**
 * ModelConfig: everything that defines the function a model computes, and its validation.
 *
 * The words are those of llama2.c in camelCase. Hugging Face's snake_case appears in hf-config.ts alone. The configuration is what
 * `config.json` of a checkpoint holds; counts that follow from it (`kept`, parameters, activated parameters) are derived.
 */

import type { Activation } from '../backend.ts';
import { nearestName } from '../util/errors.ts';
import { Problems, shown } from '../util/problems.ts';

/**
 * The four distinct inputs of the projections of a block, each with its own selection:
 * qkv - after the attention norm, shared by q, k, v; o - the attention output, all heads jointly;
 * gateUp - after the FFN norm, shared by gate and up; down - the hidden activations of the FFN.
 */
export const POINTS = ['qkv', 'o', 'gateUp', 'down'] as const;
export type Point = (typeof POINTS)[number];

/** Share of each token's features set to zero, in [0, 1): one number for all layers or one per layer. */
export type Sparsity = number | readonly number[];

export interface ModelConfig {
  /** Width of the residual stream, D. */
  dim: number;
  /** Width of the FFN's hidden activations, H. */
  hiddenDim: number;
  nLayers: number;
  nHeads: number;
  /** Key/value heads; query head h reads key/value head floor(h / (nHeads / nKvHeads)). */
  nKvHeads: number;
  headDim: number;
  vocabSize: number;
  /** Longest context, in tokens. */
  seqLen: number;
  ropeTheta: number;
  /** Tokens that a token attends to, itself included; 0: all before it. Inference only: training refuses it. */
  slidingWindow: number;
  normEps: number;
  /** The output head is the embedding table. */
  tiedEmbeddings: boolean;
  activation: Activation;
  /** Top-K sparsity by projection point; `down: 0` leaves the natural zeros of a ReLU gate as they are. */
  sparsity: Record<Point, Sparsity>;
  /** Straight-through ignores the mask in dX; masked is the ablation (Q-Sparse eq. 12). */
  gradient: 'straight-through' | 'masked';
  /** After the mask: x / (||x||_2 + 1e-6) * sqrt(D) per token. */
  rescale: 'none' | 'l2';
  /** Coefficient of the L1 term on the hidden activations (sum over features, mean over tokens and layers). */
  hiddenL1: number;
}

/** A configuration with what may be left out left out: see `resolveConfig` for what then holds. */
export type ModelConfigInput = Partial<Omit<ModelConfig, 'sparsity'>> &
  Pick<ModelConfig, 'dim' | 'nLayers' | 'nHeads' | 'vocabSize'> & {
    /** One number: the three dense points and, with a SiLU gate, down. */
    sparsity?: number | Partial<Record<Point, Sparsity>>;
  };

/** kept = D - floor(sparsity * D), the product in f64 (Q-Sparse's K; never below 1). */
export function keptCount(sparsity: number, features: number): number {
  return features - Math.floor(sparsity * features);
}

/** The sparsity of one point in one layer. */
export function sparsityAt(config: ModelConfig, point: Point, layer: number): number {
  const sparsity = config.sparsity[point];
  return typeof sparsity === 'number' ? sparsity : sparsity[layer];
}

/** Width of the input at a point: D for qkv and gateUp, nHeads * headDim for o, H for down. */
export function featuresAt(config: ModelConfig, point: Point): number {
  if (point === 'o') return config.nHeads * config.headDim;
  return point === 'down' ? config.hiddenDim : config.dim;
}

/** Width of the output of the fused matrix at a point. */
export function outputsAt(config: ModelConfig, point: Point): number {
  if (point === 'qkv') return (config.nHeads + 2 * config.nKvHeads) * config.headDim;
  return point === 'gateUp' ? 2 * config.hiddenDim : config.dim;
}

const COUNTS = ['dim', 'hiddenDim', 'nLayers', 'nHeads', 'nKvHeads', 'headDim', 'vocabSize', 'seqLen'] as const;
const DERIVED_FROM: Readonly<Record<string, readonly string[]>> = { hiddenDim: ['dim'], nKvHeads: ['nHeads'] };
const CHOICES = {
  activation: ['relu2', 'relu', 'silu'],
  gradient: ['straight-through', 'masked'],
  rescale: ['none', 'l2'],
} as const;

/**
 * Fills in what is left out and checks the whole: hiddenDim = 2.75 dim, nKvHeads = nHeads, headDim = dim / nHeads,
 * seqLen 256, ropeTheta 10000, no sliding window, normEps 1e-5, tied, relu2, sparsity 0, straight-through, no re-scale, no L1.
 * Throws UsageError with ALL that is wrong: for each problem the field, what it must be and what it is.
 */
export function resolveConfig(input: ModelConfigInput): ModelConfig {
  const problems = new Problems('config');
  const activation = input.activation ?? 'relu2';
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
    slidingWindow: input.slidingWindow ?? 0,
    normEps: input.normEps ?? 1e-5,
    tiedEmbeddings: input.tiedEmbeddings ?? true,
    activation,
    sparsity: resolveSparsity(input.sparsity ?? 0, activation, problems),
    gradient: input.gradient ?? 'straight-through',
    rescale: input.rescale ?? 'none',
    hiddenL1: input.hiddenL1 ?? 0,
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
  if (typeof input !== 'object' || Array.isArray(input)) {
    problems.add('sparsity', `must be a number or an object with ${POINTS.join(', ')}, got ${shown(input)}.`);
    return { qkv: 0, o: 0, gateUp: 0, down: 0 };
  }
  checkPoints('sparsity', input, problems);
  return { qkv: input.qkv ?? 0, o: input.o ?? 0, gateUp: input.gateUp ?? 0, down: input.down ?? 0 };
}

/** The names in an object by point. */
function checkPoints(field: string, byPoint: object, problems: Problems): void {
  for (const point of Object.keys(byPoint)) {
    if ((POINTS as readonly string[]).includes(point)) continue;
    const near = nearestName(point, POINTS);
    const hint = near ? ` Did you mean "${near}"?` : '';
    problems.add(`${field}.${point}`, `is no point: expected one of ${POINTS.join(', ')}.${hint}`);
  }
}

/** Sizes, and what has to divide what. */
function checkShape(config: ModelConfig, input: ModelConfigInput, problems: Problems): void {
  const { dim, nHeads, nKvHeads, headDim } = config;
  const derived = input.headDim === undefined;
  for (const field of COUNTS) {
    // What follows from a wrong number is not a second mistake.
    if (input[field] === undefined && problems.has(...(DERIVED_FROM[field] ?? []))) continue;
    if (field !== 'headDim' || !derived) problems.whole(field, config[field], 1);
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
  problems.flag('tiedEmbeddings', config.tiedEmbeddings);
  for (const point of POINTS) {
    checkByLayer(`sparsity.${point}`, config.sparsity[point], config.nLayers, problems);
    for (const value of [config.sparsity[point]].flat()) {
      if (problems.has(`sparsity.${point}`)) break;
      problems.number(`sparsity.${point}`, value, 'in [0, 1)', (share) => share >= 0 && share < 1);
    }
  }
}

/** A list has one value per layer. */
function checkByLayer(field: string, values: unknown, nLayers: number, problems: Problems): void {
  if (problems.has('nLayers') || !Array.isArray(values) || values.length === nLayers) return;
  problems.add(field, `must have one value per layer: expected ${nLayers}, got ${values.length}.`);
}
