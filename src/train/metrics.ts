/**
 * The records of a training run, one JSON object a line in `metrics.jsonl`. Losses are in nats, times in the unit of the name.
 *
 * Written by the trainer, read by the report and by anyone's own tools; a reader must ignore types and fields that it
 * does not know.
 */

import type { ModelConfig, Point } from '../model/config.ts';

/** The first line of a run, and again after each resume. */
export interface RunRecord {
  type: 'run';
  name: string;
  startedAt: string;
  /** Steps already done when this part of the run began. */
  step: number;
  model: ModelConfig;
  train: Record<string, unknown>;
  parameters: number;
  backend: string;
  machine: string;
  version: string;
}

export interface StepRecord {
  type: 'step';
  step: number;
  /** Training tokens seen, this step included. */
  tokens: number;
  /** Seconds of training since the run began, without validation, sampling and saving; resumed parts added up. */
  seconds: number;
  /** Cross-entropy in nats, without the L1 term: the mean over the passes of the step of their means over tokens. Passes may differ in targets where rows are masked. */
  loss: number;
  /** hiddenL1 times the L1 term; 0 where there is none. */
  l1: number;
  lr: number;
  /** Global L2 norm before clipping. */
  gradNorm: number;
  tokensPerSecond: number;
  /** Floating-point operations really done per second, natural and selected zeros skipped, in 1e9. */
  gflops: number;
  /** What a dense step of this shape would count in the same time, in 1e9. */
  gflopsDenseEquivalent: number;
  /** Wall time of the step by part. `select` is contained in neither forward nor backward; `teacher` is the dense forward pass of distillation. */
  partsMs: { data: number; teacher?: number; select: number; forward: number; backward: number; optimizer: number };
  /** Parameter-weighted share of zero inputs over the four points, from real counts. */
  modelSparsity: number;
  /** Of a mixture of experts. */
  router?: RouterRecord;
  /** With distillation: mean divergence from the teacher times temperature^2, nats. */
  divergence?: number;
}

/** What the routers of a mixture did in a step. */
export interface RouterRecord {
  /** Their two terms with their coefficients, as part of the loss that is differentiated. */
  loss: number;
  /** nExperts * sum of (share of the choices * mean probability), mean over layers: 1 where all experts are chosen alike. */
  loadBalance: number;
  /** (log sum exp of the logits)^2, mean over tokens and layers. */
  z: number;
  /** The largest share of a layer's choices that fell on one expert. */
  largestShare: number;
  /** Share of all experts that no token of the step chose. */
  deadExperts: number;
}

/** Per-layer observations, every `detailEvery` steps. */
export interface DetailRecord {
  type: 'detail';
  step: number;
  /** Share of zeros in the input of each point by layer, real counts, natural zeros included. */
  sparsity: Record<Point, number[]>;
  /** Sum of squares that survived the selection over the sum before, by layer; 1 where nothing is selected. */
  energyKept: Record<Point, number[]>;
  /** L2 norm of the gradient by projection (q k v o gate up down by layer). */
  gradNorm: Record<string, number[]>;
  /** Share of hidden channels that were open for no token of the step, by layer. */
  deadChannels: number[];
  /** Of a mixture: share of the choices by layer and expert. */
  expertLoad?: number[][];
  /** The most memory that tensors took at once so far. */
  peakBytes?: number;
}

export interface ValidationRecord {
  type: 'validation';
  step: number;
  tokens: number;
  seconds: number;
  /** Nats per token. */
  loss: number;
  /** Bits per byte of the original text. */
  bitsPerByte: number;
  best: boolean;
}

export interface SampleRecord {
  type: 'sample';
  step: number;
  prompt: string;
  text: string;
}

export type MetricsRecord = RunRecord | StepRecord | DetailRecord | ValidationRecord | SampleRecord;
