/**
 * ModelConfig: everything that defines the function a model computes, and its validation.
 *
 * The words are those of llama2.c in camelCase. Hugging Face's snake_case appears in hf-config.ts alone. The configuration is what
 * `config.json` of a checkpoint holds; counts that follow from it (`kept`, parameters, activated parameters) are derived.
 */

import type { Activation } from '../backend.ts';
import { nearestName, UsageError } from '../util/errors.ts';

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
  /** Width of the FFN's hidden activations, H; in a mixture, of one expert's. */
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
  /** Experts of a mixture, each an FFN of its own; 0: one FFN for all tokens. */
  nExperts: number;
  /** Experts that each token is sent to, those with the largest router probabilities; 0 without experts. */
  nExpertsPerToken: number;
  /** Coefficient of the load-balance loss, nExperts * sum of (share of the choices * mean probability), mean over layers. */
  routerLoadBalance: number;
  /** Coefficient of the router's z-loss, the square of the log of the sum of exponentials, mean over tokens and layers. */
  routerZLoss: number;
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

/** FFNs that one token goes through: the experts that it is sent to, or the only one. */
export function ffnsPerToken({ nExperts, nExpertsPerToken }: ModelConfig): number {
  return nExperts > 0 ? nExpertsPerToken : 1;
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

const NUMBER_FIELDS = ['dim', 'hiddenDim', 'nLayers', 'nHeads', 'nKvHeads', 'headDim', 'vocabSize', 'seqLen'] as const;
const KNOWN_FIELDS: readonly string[] = [
  ...NUMBER_FIELDS,
  ...[
    'ropeTheta',
    'slidingWindow',
    'normEps',
    'tiedEmbeddings',
    'activation',
    'sparsity',
    'gradient',
    'rescale',
    'hiddenL1',
    'nExperts',
    'nExpertsPerToken',
    'routerLoadBalance',
    'routerZLoss',
  ],
];

/**
 * Fills in what is left out and checks the whole: hiddenDim = 2.75 dim, nKvHeads = nHeads, headDim = dim / nHeads,
 * seqLen 256, ropeTheta 10000, no sliding window, normEps 1e-5, tied, relu2, sparsity 0, straight-through, no re-scale, no L1,
 * no experts.
 * Throws UsageError that names the field, what it must be and what it is.
 */
export function resolveConfig(input: ModelConfigInput): ModelConfig {
  for (const field of Object.keys(input)) {
    if (!KNOWN_FIELDS.includes(field)) {
      const near = nearestName(field, KNOWN_FIELDS);
      fail(`unknown field "${field}".${near ? ` Did you mean "${near}"?` : ''}`);
    }
  }
  if (input.headDim === undefined && input.dim % input.nHeads > 0) {
    fail(`nHeads must divide dim: got dim ${input.dim}, nHeads ${input.nHeads}. Change one of them, or give headDim.`);
  }
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
    sparsity: resolveSparsity(input.sparsity ?? 0, activation),
    gradient: input.gradient ?? 'straight-through',
    rescale: input.rescale ?? 'none',
    hiddenL1: input.hiddenL1 ?? 0,
    nExperts: input.nExperts ?? 0,
    nExpertsPerToken: input.nExpertsPerToken ?? 0,
    routerLoadBalance: input.routerLoadBalance ?? 0,
    routerZLoss: input.routerZLoss ?? 0,
  };
  check(config);
  return config;
}

function resolveSparsity(
  input: number | Partial<Record<Point, Sparsity>>,
  activation: Activation,
): Record<Point, Sparsity> {
  if (typeof input === 'number') {
    return { qkv: input, o: input, gateUp: input, down: activation === 'silu' ? input : 0 };
  }
  for (const point of Object.keys(input)) {
    if (!(POINTS as readonly string[]).includes(point)) {
      const near = nearestName(point, POINTS);
      fail(
        `unknown point sparsity.${point}: expected one of ${POINTS.join(', ')}.${near ? ` Did you mean "${near}"?` : ''}`,
      );
    }
  }
  return { qkv: input.qkv ?? 0, o: input.o ?? 0, gateUp: input.gateUp ?? 0, down: input.down ?? 0 };
}

function check(config: ModelConfig): void {
  for (const field of NUMBER_FIELDS) {
    const value = config[field];
    if (!Number.isInteger(value) || value < 1) fail(`${field} must be a whole number of at least 1, got ${value}.`);
  }
  if (config.nHeads % config.nKvHeads !== 0) {
    fail(`nKvHeads must divide nHeads: got nHeads ${config.nHeads}, nKvHeads ${config.nKvHeads}.`);
  }
  if (config.headDim % 2 !== 0) fail(`headDim must be even for RoPE, got ${config.headDim}.`);
  if (!['relu2', 'relu', 'silu'].includes(config.activation)) {
    fail(`activation must be relu2, relu or silu, got "${config.activation}".`);
  }
  if (!['straight-through', 'masked'].includes(config.gradient)) {
    fail(`gradient must be straight-through or masked, got "${config.gradient}".`);
  }
  if (!['none', 'l2'].includes(config.rescale)) fail(`rescale must be none or l2, got "${config.rescale}".`);
  for (const field of ['ropeTheta', 'normEps'] as const) {
    if (!(config[field] > 0)) fail(`${field} must be above 0, got ${config[field]}.`);
  }
  if (!(Number.isInteger(config.slidingWindow) && config.slidingWindow >= 0)) {
    fail(`slidingWindow must be a whole number of at least 0 (0: none), got ${config.slidingWindow}.`);
  }
  if (!(config.hiddenL1 >= 0)) fail(`hiddenL1 must be 0 or more, got ${config.hiddenL1}.`);
  checkExperts(config);
  for (const point of POINTS) {
    const sparsity = config.sparsity[point];
    const values = typeof sparsity === 'number' ? [sparsity] : sparsity;
    if (typeof sparsity !== 'number' && sparsity.length !== config.nLayers) {
      fail(`sparsity.${point} must have one value per layer: expected ${config.nLayers}, got ${sparsity.length}.`);
    }
    for (const value of values) {
      if (!(value >= 0 && value < 1)) fail(`sparsity.${point} must be in [0, 1), got ${value}.`);
    }
  }
}

function checkExperts(config: ModelConfig): void {
  const { nExperts, nExpertsPerToken } = config;
  if (!(Number.isInteger(nExperts) && nExperts >= 0)) {
    fail(`nExperts must be a whole number of at least 0 (0: none), got ${nExperts}.`);
  }
  if (nExperts === 0 && nExpertsPerToken !== 0) {
    fail(`nExpertsPerToken must be 0 without experts, got ${nExpertsPerToken}. Give nExperts, or leave it out.`);
  }
  const inRange = Number.isInteger(nExpertsPerToken) && nExpertsPerToken >= 1 && nExpertsPerToken <= nExperts;
  if (nExperts > 0 && !inRange) {
    fail(`nExpertsPerToken must be a whole number from 1 to nExperts ${nExperts}, got ${nExpertsPerToken}.`);
  }
  for (const field of ['routerLoadBalance', 'routerZLoss'] as const) {
    if (!(config[field] >= 0)) fail(`${field} must be 0 or more, got ${config[field]}.`);
    if (nExperts === 0 && config[field] > 0) {
      fail(`${field} must be 0 without experts, got ${config[field]}. Give nExperts, or leave it out.`);
    }
  }
}

function fail(message: string): never {
  throw new UsageError('config', message);
}
