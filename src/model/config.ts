/**
 * ModelConfig: everything that defines the function a model computes.
 *
 * The words are those of llama2.c in camelCase. Hugging Face's snake_case appears in hf-config.ts alone. The configuration is what
 * `config.json` of a checkpoint holds; counts that follow from it (`kept`, parameters, activated parameters) are derived.
 */

import type { Activation } from '../backend.ts';

/**
 * The four distinct inputs of the projections of a block, each with its own selection:
 * qkv - after the attention norm, shared by q, k, v; o - the attention output, all heads jointly;
 * gateUp - after the FFN norm, shared by gate and up; down - the hidden activations of the FFN.
 */
export const POINTS = ['qkv', 'o', 'gateUp', 'down'] as const;
export type Point = (typeof POINTS)[number];

/** Share of each token's features set to zero, in [0, 1): one number for all layers or one per layer. */
export type Sparsity = number | readonly number[];

/**
 * What decides which inputs of a projection stay: topk - the largest of each token (Q-Sparse); block - the largest of each block of its
 * features (Block Q-Sparse, N:M); threshold - those that reach a fixed magnitude (TEAL), or gates that do (CATS); relu - the positive ones, at every point
 * (the ablation of Q-Sparse); norm-relu - the positive ones behind the norms, before q, k, v, gate and up (ReLUfication, stage 2); drelu - the positive ones before down, so that
 * hidden = relu(gate) relu(up) (ProSparse, TurboSparse); none - all.
 */
export const SPARSIFIERS = ['topk', 'block', 'relu', 'norm-relu', 'drelu', 'threshold', 'none'] as const;
export type Sparsifier = (typeof SPARSIFIERS)[number];

/** Where a threshold may stand: at the inputs of projections, and at the activation of the gate, act(gate), before up is multiplied (CATS). */
export const THRESHOLD_PLACES = [...POINTS, 'gate'] as const;
export type ThresholdPlace = (typeof THRESHOLD_PLACES)[number];

/** |x| below it is set to zero: one number for all layers or one per layer; 0 drops nothing. */
export type Threshold = number | readonly number[];

/**
 * How the angles of RoPE are stretched for contexts longer than those of the first training: linear - every frequency divided by `factor`; llama3 - the slow
 * ones, by how often they turn within `originalSeqLen` tokens: less than `lowFreqFactor` times, all; more than `highFreqFactor`, none; smoothly between.
 */
export type RopeScaling =
  | { readonly type: 'linear'; readonly factor: number }
  | {
      readonly type: 'llama3';
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      readonly originalSeqLen: number;
    };

export const RESCALES = ['none', 'l2'] as const;
export type Rescale = (typeof RESCALES)[number];

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
  /** null: none. */
  ropeScaling: RopeScaling | null;
  /** A bias behind the products of q, k and v (Qwen2). */
  qkvBias: boolean;
  /** RMSNorms over the features of each head of q and k, in front of RoPE (Qwen3). */
  qkNorm: boolean;
  /** Tokens that a token attends to, itself included; 0: all before it. */
  slidingWindow: number;
  normEps: number;
  /** The output head is the embedding table. */
  tiedEmbeddings: boolean;
  activation: Activation;
  sparsifier: Sparsifier;
  /** Of topk and block, by projection point; `down: 0` leaves the natural zeros of a ReLU gate as they are. */
  sparsity: Record<Point, Sparsity>;
  /** Features of a block of `block`, of which keptCount(sparsity, blockSize) stay. */
  blockSize: number;
  /** Of `threshold`, by projection point, and of act(gate). */
  thresholds: Record<ThresholdPlace, Threshold>;
  /** Straight-through ignores the mask in dX; masked is the ablation (Q-Sparse eq. 12), and what a ReLU does. */
  gradient: 'straight-through' | 'masked';
  /** After the mask, by projection point: x / (||x||_2 + 1e-6) * sqrt(D) per token, also where nothing is dropped. */
  rescale: Record<Point, Rescale>;
  /** 'int8': what a projection multiplies is rounded to 8 bits, with a scale a token (Q-Sparse eq. 5 - 7); straight-through. */
  activationFormat: 'float' | 'int8';
  /** 'ternary': projections multiply -alpha, 0 or alpha, made anew of latent f32 weights (BitNet b1.58, eq. 8 - 10); straight-through. */
  weightFormat: 'float' | 'ternary';
  /** RMSNorms in front of o and down too, before their selection: BitNet's attn_sub_norm and ffn_sub_norm. */
  subNorms: boolean;
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

/** kept = D - floor(sparsity * D), the product in f64 (Q-Sparse's K; never below 1). */
export function keptCount(sparsity: number, features: number): number {
  return features - Math.floor(sparsity * features);
}

/** The sparsity of one point in one layer. */
export function sparsityAt(config: ModelConfig, point: Point, layer: number): number {
  const sparsity = config.sparsity[point];
  return typeof sparsity === 'number' ? sparsity : sparsity[layer];
}

/** Whether what is kept at a point, or at any, is re-scaled. */
export function rescales({ rescale }: Pick<ModelConfig, 'rescale'>, point?: Point): boolean {
  return (point === undefined ? POINTS : [point]).some((one) => rescale[one] === 'l2');
}

/** The threshold of one place in one layer. */
export function thresholdAt(config: ModelConfig, place: ThresholdPlace, layer: number): number {
  const threshold = config.thresholds[place];
  return typeof threshold === 'number' ? threshold : threshold[layer];
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

/** Are gates closed by a threshold in some layer? */
export function hasGateThresholds({ sparsifier, thresholds }: ModelConfig): boolean {
  return sparsifier === 'threshold' && isAboveZero(thresholds.gate);
}

/** Are the zeros those of ReLUs, which are part of the function that the model computes? To mask the gradient is then its true derivative. */
export function isRelu(sparsifier: Sparsifier): boolean {
  return sparsifier === 'relu' || sparsifier === 'norm-relu' || sparsifier === 'drelu';
}

/** Is a share or a threshold above 0 in some layer? */
export function isAboveZero(values: number | readonly number[]): boolean {
  return [values].flat().some((value) => value > 0);
}
