/**
 * `bench train`: whole training steps (forward, backward, clipping, AdamW), dense and at each sparsity, in one run.
 *
 * All variants train the same parameters in turn: the sparsity is a factor on the model's, as in a schedule, so that
 * memory is needed once. Dense is every product whole (no natural zeros skipped either). A shape has fresh weights and random
 * tokens, which close about half of the gates; a trained model has its own weights and text, which close most.
 */

import { ALL_SKIPS, NO_SKIPS } from '../../autograd/tape.ts';
import type { Backend } from '../../backend.ts';
import { timeBackend } from '../../backends/time-kernels.ts';
import { type ModelConfig, resolveConfig } from '../../model/config.ts';
import { denseTrainingFlops } from '../../model/flops.ts';
import { StepStatistics } from '../../model/statistics.ts';
import { Transformer } from '../../model/transformer.ts';
import type { DType, FloatTensor, IntTensor, Tensor } from '../../tensor/tensor.ts';
import { TensorPool } from '../../tensor-pool.ts';
import { AdamW } from '../../train/adamw.ts';
import { SELECTION_KERNELS } from '../../train/step-clock.ts';
import { formatBytes, formatPercent } from '../../util/format.ts';
import { median } from '../../util/median.ts';
import { Prng } from '../../util/prng.ts';
import type { Column } from '../shared/table.ts';
import { measureRounds, type RoundsOptions, speedup, spread } from './rounds.ts';

export interface TrainRow extends Record<string, unknown> {
  shape: string;
  precision: 'f32';
  /** Asked for; behind a ReLU gate the natural zeros stand for it at `down`. */
  sparsity: number;
  /** Measured: zeros weighted by the parameters of the blocks that they skip. */
  zeros: number;
  batch: number;
  seqLen: number;
  msPerStep: number;
  tokensPerSecond: number;
  gflopsDenseEquivalent: number;
  speedupOverDense: number;
  selectShare: number;
  /** Parameters, gradients, moments and activations. */
  peakBytes: number;
  spread: number;
}

const percent = (share: number): string => formatPercent(share);

export const TRAIN_COLUMNS: readonly Column[] = [
  { key: 'shape' },
  { key: 'sparsity', format: (sparsity: number) => sparsity.toString() },
  { key: 'zeros', format: percent },
  { key: 'msPerStep', title: 'ms/step' },
  { key: 'tokensPerSecond', title: 'tokens/s' },
  { key: 'gflopsDenseEquivalent', title: 'GFLOP/s dense-eq.' },
  { key: 'speedupOverDense', title: 'x dense' },
  { key: 'selectShare', title: 'select', format: percent },
  { key: 'peakBytes', title: 'memory', format: formatBytes },
  { key: 'spread', format: percent },
];

export interface TrainBenchModel {
  name: string;
  config: ModelConfig;
  /** Of a trained model, by name; fresh ones where left out. */
  parameters?: ReadonlyMap<string, FloatTensor>;
  /** Tokens of text, repeated as needed; random ones where left out. */
  ids?: readonly number[];
}

export interface TrainBenchOptions extends RoundsOptions {
  batchSize: number;
  seed: number;
}

interface Measurement {
  ms: number;
  selectMs: number;
  zeros: number;
  peakBytes: number;
}

/** The rows in the order of `sparsities`, whose first is 0: dense. */
export async function benchTrain(
  backend: Backend,
  benched: TrainBenchModel,
  sparsities: readonly number[],
  options: TrainBenchOptions,
): Promise<TrainRow[]> {
  const { name: shape, config } = benched;
  const stepper = createStepper(backend, benched, Math.max(...sparsities), options);
  const tokens = options.batchSize * config.seqLen;
  const flops = denseTrainingFlops(config, { batch: options.batchSize, seqLen: config.seqLen });
  try {
    const values = await measureRounds(sparsities, stepper.step, options);
    const ms = values.map((measurements) => measurements.map((measurement) => measurement.ms));
    return sparsities.map((sparsity, s) => {
      const msPerStep = median(ms[s]);
      return {
        shape,
        precision: 'f32',
        sparsity,
        zeros: median(values[s].map(({ zeros }) => zeros)),
        batch: options.batchSize,
        seqLen: config.seqLen,
        msPerStep,
        tokensPerSecond: (1000 * tokens) / msPerStep,
        gflopsDenseEquivalent: flops / msPerStep / 1e6,
        speedupOverDense: speedup(ms[0], ms[s]),
        selectShare: median(values[s].map((measurement) => measurement.selectMs / measurement.ms)),
        peakBytes: Math.max(...values[s].map(({ peakBytes }) => peakBytes)),
        spread: spread(ms[s]),
      };
    });
  } finally {
    stepper.dispose();
  }
}

function createStepper(backend: Backend, benched: TrainBenchModel, sparsest: number, options: TrainBenchOptions) {
  const { backend: timed, timer } = timeBackend(backend);
  const pool = new PeakPool(timed);
  const config = resolveConfig({ ...benched.config, sparsity: sparsest });
  const model = Transformer.create(config, timed, { seed: options.seed, pool });
  for (const { name, value } of model.parameters) {
    const trained = benched.parameters?.get(name);
    if (trained) timed.kernels.copy(trained, value);
  }
  const optimizer = new AdamW(model.parameters, timed.kernels, pool, {
    beta1: 0.9,
    beta2: 0.95,
    eps: 1e-8,
    weightDecay: 0.1,
  });
  const batch = { batch: options.batchSize, seqLen: config.seqLen };
  const prng = new Prng(options.seed);
  const [ids, targets] = [tokens(0), tokens(1)];
  let steps = 0;

  /** The batch, or what follows each of its tokens. */
  function tokens(offset: 0 | 1): IntTensor {
    const tensor = pool.take('i32', [batch.batch * batch.seqLen]);
    for (let i = 0; i < tensor.data.length; i++) {
      tensor.data[i] = benched.ids?.[(i + offset) % benched.ids.length] ?? prng.uint32() % config.vocabSize;
    }
    return tensor;
  }

  function step(sparsity: number): Measurement {
    timer.reset();
    pool.beginPeak();
    const statistics = new StepStatistics(config);
    const begin = performance.now();
    const skips = sparsity > 0 ? ALL_SKIPS : NO_SKIPS;
    model.lossAndGradients(ids, targets, batch, { sparsityScale: sparsity / (sparsest || 1), statistics, skips });
    // A tiny rate: the weights of all variants stay those of the beginning.
    optimizer.step({ step: ++steps, lr: 1e-6, norm: optimizer.globalNorm(), clip: 1 });
    const ms = performance.now() - begin;
    const selectMs = timer.ms(SELECTION_KERNELS);
    return { ms, selectMs, zeros: statistics.modelSparsity(), peakBytes: pool.peakSinceBegin };
  }

  return { step, dispose: () => pool.trim() };
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
