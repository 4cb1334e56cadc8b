/**
 * What `bench train` puts the clock on: whole training steps of one model in one precision (forward, backward, clipping, AdamW).
 *
 * All variants train the same parameters in turn: the sparsity is a factor on the model's, as in a schedule, and the skips
 * are switches of the tape, so that memory is needed once. A tiny learning rate leaves the weights as they are.
 */

import type { Backend, Precision } from '../../backend.ts';
import { SELECTION_KERNELS } from '../../backends/kernel-names.ts';
import { timeBackend } from '../../backends/time-kernels.ts';
import type { ModelConfig } from '../../model/config.ts';
import { resolveConfig } from '../../model/resolve-config.ts';
import { StepStatistics } from '../../model/statistics.ts';
import { Transformer } from '../../model/transformer.ts';
import type { DType, FloatTensor, IntTensor, Tensor } from '../../tensor/tensor.ts';
import { TensorPool } from '../../tensor-pool.ts';
import { AdamW } from '../../train/adamw.ts';
import { Prng } from '../../util/prng.ts';
import type { TrainVariant } from './train-variants.ts';

export interface TrainBenchModel {
  name: string;
  config: ModelConfig;
  /** The training step of a checkpoint; null: fresh weights. */
  step: number | null;
  /** Of a trained model, by name; fresh ones where left out. */
  parameters?: ReadonlyMap<string, FloatTensor>;
  /** Tokens of text, repeated as needed; random ones where left out. */
  ids?: readonly number[];
  /** Frees `parameters`. */
  dispose?: () => void;
}

export interface StepMeasurement {
  ms: number;
  selectMs: number;
  /** Operations really done. */
  flops: number;
  /** The most that tensors took: parameters, gradients, moments and activations. */
  peakBytes: number;
}

/** Shares of zeros: over all inputs, weighted by the parameters that they meet, and at down. */
export interface ZeroShares {
  zeros: number;
  downZeros: number;
}

export interface TrainStepper {
  step(variant: TrainVariant): StepMeasurement;
  /** The zeros of a forward pass at this sparsity, skipped or not; not timed. */
  zerosAt(sparsity: number): ZeroShares;
  dispose(): void;
}

export interface StepperOptions {
  batchSize: number;
  seed: number;
  precision: Precision;
  /** The largest sparsity that will be asked for. */
  sparsest: number;
}

const LEARNING_RATE = 1e-6;
const ADAMW = { beta1: 0.9, beta2: 0.95, eps: 1e-8 };
const WEIGHT_DECAY = 0.1;

export function createStepper(backend: Backend, benched: TrainBenchModel, options: StepperOptions): TrainStepper {
  const { batchSize, seed, precision, sparsest } = options;
  const { backend: timed, timer } = timeBackend(backend);
  const pool = new PeakPool(timed);
  const config = resolveConfig({ ...benched.config, sparsity: sparsest });
  const model = Transformer.create(config, timed, { seed, pool });
  for (const { name, value } of model.parameters) {
    const trained = benched.parameters?.get(name);
    if (trained) timed.kernels.copy(trained, value);
  }
  const optimizer = new AdamW(model.parameters, timed.kernels, pool, ADAMW);
  const batch = { batch: batchSize, seqLen: config.seqLen };
  const { ids, targets } = tokensOf(benched, pool, batch, new Prng(seed));
  const scaleOf = (sparsity: number) => sparsity / (sparsest || 1);
  let steps = 0;

  function step({ sparsity, skips }: TrainVariant): StepMeasurement {
    timer.reset();
    pool.beginPeak();
    const statistics = new StepStatistics(config);
    const begin = performance.now();
    const sparsityScale = scaleOf(sparsity);
    model.lossAndGradients(ids, targets, batch, { sparsityScale, statistics, skips, precision });
    const update = { lr: LEARNING_RATE, weightDecay: WEIGHT_DECAY, norm: optimizer.globalNorm(), clip: 1 };
    optimizer.step({ step: ++steps, ...update });
    const ms = performance.now() - begin;
    const selectMs = timer.ms(SELECTION_KERNELS);
    return { ms, selectMs, flops: statistics.flops, peakBytes: pool.peakSinceBegin };
  }

  function zerosAt(sparsity: number): ZeroShares {
    const statistics = new StepStatistics(config);
    model.loss(ids, targets, batch, { sparsityScale: scaleOf(sparsity), statistics });
    const { down } = statistics.sparsity();
    const downZeros = down.reduce((sum, share) => sum + share, 0) / down.length;
    return { zeros: statistics.modelSparsity(), downZeros };
  }

  return { step, zerosAt, dispose: () => pool.trim() };
}

/** The batch, and what follows each of its tokens. */
function tokensOf(
  { ids, config }: TrainBenchModel,
  pool: TensorPool,
  { batch, seqLen }: { batch: number; seqLen: number },
  prng: Prng,
): { ids: IntTensor; targets: IntTensor } {
  const tokens = (offset: 0 | 1): IntTensor => {
    const tensor = pool.take('i32', [batch * seqLen]);
    for (let i = 0; i < tensor.data.length; i++) {
      tensor.data[i] = ids?.[(i + offset) % ids.length] ?? prng.uint32() % config.vocabSize;
    }
    return tensor;
  };
  return { ids: tokens(0), targets: tokens(1) };
}

/** A pool that also knows the peak of one step. */
class PeakPool extends TensorPool {
  peakSinceBegin = 0;

  beginPeak(): void {
    this.peakSinceBegin = this.liveBytes;
  }

  override take<D extends DType>(dtype: D, shape: readonly number[]): Tensor<D> {
    const tensor = super.take(dtype, shape);
    this.peakSinceBegin = Math.max(this.peakSinceBegin, this.liveBytes);
    return tensor;
  }
}
