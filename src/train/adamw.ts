/**
 * AdamW over the parameters of a model: the two moments, gradient norms, and the update with clipping.
 *
 * The arithmetic of one tensor is the backend's `adamw` kernel; here is what is about all of them: which tensors decay (matrices,
 * as the model marks them), the global norm, and the factor that clips. Sums of squares are taken row by row into f64 and
 * added in the order of the parameters, so that a norm does not depend on the number of threads.
 * Sources: Loshchilov & Hutter (arXiv 1711.05101); clipping as in PyTorch's clip_grad_norm_.
 */

import type { Kernels } from '../backend.ts';
import type { TrainedParameter } from '../model/parameters.ts';
import { type FloatTensor, type Tensor, view } from '../tensor/tensor.ts';
import type { TensorPool } from '../tensor-pool.ts';

export interface AdamWOptions {
  beta1: number;
  beta2: number;
  eps: number;
}

/** The moments of one parameter, of its shape and dtype. */
export interface Moments {
  readonly parameter: TrainedParameter;
  readonly m: FloatTensor;
  readonly v: FloatTensor;
}

/** Keeps the quotient finite for a gradient of 0; PyTorch's constant. */
const CLIP_EPS = 1e-6;

export class AdamW {
  readonly moments: readonly Moments[];
  readonly #options: AdamWOptions;
  readonly #kernels: Kernels;
  readonly #pool: TensorPool;
  /** [rows of the largest parameter] sums of squares of rows. */
  readonly #partial: Tensor<'f64'>;

  /** Takes the moments (zeros) from `pool`; they live until `dispose`. */
  constructor(parameters: readonly TrainedParameter[], kernels: Kernels, pool: TensorPool, options: AdamWOptions) {
    this.#options = options;
    this.#kernels = kernels;
    this.#pool = pool;
    this.#partial = pool.take('f64', [Math.max(...parameters.map((parameter) => asMatrix(parameter.value).shape[0]))]);
    this.moments = parameters.map((parameter) => ({
      parameter,
      m: pool.takeZeroed(parameter.value.dtype, parameter.value.shape),
      v: pool.takeZeroed(parameter.value.dtype, parameter.value.shape),
    }));
  }

  /** The L2 norm of all gradients together; NaN or infinite where any of them is. */
  globalNorm(): number {
    let sum = 0;
    for (const { parameter } of this.moments) sum += this.#squares(parameter);
    return Math.sqrt(sum);
  }

  /** L2 norms of the gradients of the projections of blocks: `q k v o gate up down`, each by layer, all experts together. */
  projectionNorms(): Record<string, number[]> {
    const norms: Record<string, number[]> = {};
    for (const { parameter } of this.moments) {
      for (const { name, layer, first, count } of parameter.projections) {
        norms[name] ??= [];
        norms[name][layer] = Math.hypot(norms[name][layer] ?? 0, Math.sqrt(this.#squares(parameter, first, count)));
      }
    }
    return norms;
  }

  /**
   * Update number `step` (from 1) with the accumulated gradients, which are 0 afterwards. `norm` is what `globalNorm` said:
   * above `clip` every gradient is multiplied by clip / norm; a clip of 0 leaves them. `weightDecay` is for the parameters that decay.
   */
  step(update: { step: number; lr: number; weightDecay: number; norm: number; clip: number }): void {
    const gradientScale = update.clip > 0 ? Math.min(1, update.clip / (update.norm + CLIP_EPS)) : 1;
    for (const { parameter, m, v } of this.moments) {
      this.#kernels.adamw(parameter.value, parameter.gradient, m, v, {
        ...this.#options,
        lr: update.lr,
        step: update.step,
        weightDecay: parameter.decay ? update.weightDecay : 0,
        gradientScale,
      });
    }
  }

  /** The name of the first parameter, in the order of the forward pass, whose gradient is not finite, or null. */
  firstBrokenGradient(): string | null {
    return this.moments.find(({ parameter }) => !Number.isFinite(this.#squares(parameter)))?.parameter.name ?? null;
  }

  /** Gives the moments back to the pool. */
  dispose(): void {
    for (const { m, v } of this.moments) {
      this.#pool.release(m);
      this.#pool.release(v);
    }
    this.#pool.release(this.#partial);
  }

  /** Sum of squares of the gradient in columns first .. first + count (all). */
  #squares(parameter: TrainedParameter, first = 0, count?: number): number {
    const gradient = asMatrix(parameter.gradient);
    const [rows, cols] = gradient.shape;
    const partial = view(this.#partial, [rows]);
    this.#kernels.sumSquares(gradient, partial, first, count ?? cols);
    let sum = 0;
    for (const value of partial.data) sum += value;
    return sum;
  }
}

/** A vector as one row; a matrix as it is. */
function asMatrix(tensor: FloatTensor): FloatTensor {
  return tensor.shape.length === 2 ? tensor : view(tensor, [1, tensor.data.length]);
}
