/**
 * The model that a bench runs: a trained checkpoint, or a named shape with random weights.
 *
 * Random weights need only be of realistic size: what is timed does not depend on their values once the sparsity is
 * forced. They are copies of one block of random numbers, because drawing a billion would take longer than the
 * measurement.
 */

import { Arena } from '../../arena.ts';
import type { Backend } from '../../backend.ts';
import { type ModelConfig, resolveConfig } from '../../model/config.ts';
import { loadModel } from '../../model/load-model.ts';
import { describeParameters } from '../../model/parameters.ts';
import { preset } from '../../model/presets.ts';
import type { FloatTensor } from '../../tensor/tensor.ts';
import { UsageError } from '../../util/errors.ts';
import { Prng } from '../../util/prng.ts';

export interface BenchModel {
  name: string;
  config: ModelConfig;
  parameters: ReadonlyMap<string, FloatTensor>;
  /** false: random weights. */
  trained: boolean;
  bytes: number;
  dispose(): void;
}

export interface ModelChoice {
  /** A checkpoint or run directory. */
  model: string | undefined;
  /** A preset. */
  shape: string | undefined;
}

/** A prime number of values: the copies fall differently into every row of a matrix. */
const BLOCK_VALUES = 1_000_003;
const WEIGHT_STD = 0.02;

/** Throws UsageError where both are given. */
export function checkChoice({ model, shape }: ModelChoice): void {
  if (model === undefined || shape === undefined) return;
  throw new UsageError('bench', `expected a MODEL or --shape, got both (${model}, --shape ${shape}). Leave one out.`);
}

/** The configuration alone, for benches that make their own weights. */
export function shapeConfig(shape: string, seqLen?: number): ModelConfig {
  return resolveConfig({ ...preset(shape), ...(seqLen !== undefined && { seqLen }) });
}

/** Loads MODEL, or makes random weights of the shape. */
export function openBenchModel({ model, shape = 'd512-l8' }: ModelChoice, backend: Backend, seed: number): BenchModel {
  if (model !== undefined) {
    const { config, parameters, bytes, dispose } = loadModel(model, backend);
    return { name: model, config, parameters, trained: true, bytes, dispose };
  }
  const config = shapeConfig(shape);
  const arena = new Arena(backend);
  const parameters = randomParameters(config, arena, seed);
  return { name: shape, config, parameters, trained: false, bytes: arena.bytes, dispose: () => arena.free() };
}

function randomParameters(config: ModelConfig, arena: Arena, seed: number): Map<string, FloatTensor> {
  const prng = new Prng(seed);
  const block = Float32Array.from({ length: BLOCK_VALUES }, () => WEIGHT_STD * prng.normal());
  const parameters = new Map<string, FloatTensor>();
  for (const { name, shape } of describeParameters(config)) {
    const tensor = arena.tensor('f32', shape);
    if (shape.length === 1) tensor.data.fill(1);
    else fillFrom(block, tensor.data);
    parameters.set(name, tensor);
  }
  return parameters;
}

function fillFrom(block: Float32Array, target: Float32Array): void {
  for (let first = 0; first < target.length; first += block.length) {
    target.set(block.subarray(0, Math.min(block.length, target.length - first)), first);
  }
}
