/**
 * AdamW over the parameters of a model: the two moments, gradient norms, and the update with clipping.
 *
 * The arithmetic of one tensor is the backend's `adamw` kernel, or `adamw8` where the moments of matrices are kept in 8 bits (vectors keep f32: they are few,
 * and a norm moves the whole of a layer). Here is what is about all of them: which tensors decay (matrices, as the model marks them), the global norm,
 * and the factor that clips. Sums of squares are taken row by row into f64 and added in the order of the parameters, so that a norm does not depend
 * on the number of threads.
 * Sources: Loshchilov & Hutter (arXiv 1711.05101); 8 bits - Dettmers et al. (arXiv 2110.02861); clipping as in PyTorch's clip_grad_norm_.
 */

import type { Kernels } from '../backend.ts';
import type { TrainedParameter } from '../model/parameters.ts';
import { type BlockMoments, momentBlocks } from '../tensor/block-moments.ts';
import { type FloatTensor, sizeOf, type Tensor, view } from '../tensor/tensor.ts';
import type { TensorPool } from '../tensor-pool.ts';

export interface AdamWOptions {
  beta1: number;
  beta2: number;
  eps: number;
  /** How the moments are kept: f32 (as the parameters), or 8 bits in blocks. */
  optimizerState?: OptimizerState;
}

export type OptimizerState = 'f32' | 'int8';

/** The moments of one parameter: of its shape and dtype, or in 8 bits. */
export type Moments = { readonly parameter: TrainedParameter } & (
  | { readonly bits: 32; readonly m: FloatTensor; readonly v: FloatTensor }
  | { readonly bits: 8; readonly m: BlockMoments; readonly v: BlockMoments }
);

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
    this.moments = parameters.map((parameter) => {
      const { dtype, shape } = parameter.value;
      if (options.optimizerState === 'int8' && shape.length > 1) {
        return { parameter, bits: 8, m: zeroBlocks(pool, sizeOf(shape)), v: zeroBlocks(pool, sizeOf(shape)) };
      }
      return { parameter, bits: 32, m: pool.takeZeroed(dtype, shape), v: pool.takeZeroed(dtype, shape) };
    });
  }

  /** All that a later step depends on besides the parameters, by name: NAME.m and NAME.v, in 8 bits with NAME.m.scale and NAME.v.scale. */
  get state(): { name: string; tensor: Tensor }[] {
    return this.moments.flatMap(({ parameter: { name }, ...moments }): { name: string; tensor: Tensor }[] => {
      const both = [
        ['m', moments.m],
        ['v', moments.v],
      ] as const;
      return both.flatMap(([which, moment]): { name: string; tensor: Tensor }[] => {
        if (!('codes' in moment)) return [{ name: `${name}.${which}`, tensor: moment }];
        const scale = { name: `${name}.${which}.scale`, tensor: moment.scale };
        return [{ name: `${name}.${which}`, tensor: moment.codes }, scale];
      });
    });
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
    const { beta1, beta2, eps } = this.#options;
    for (const moments of this.moments) {
      const { value, gradient, decay } = moments.parameter;
      const weightDecay = decay ? update.weightDecay : 0;
      const step = { beta1, beta2, eps, lr: update.lr, step: update.step, weightDecay, gradientScale };
      if (moments.bits === 8) this.#kernels.adamw8(value, gradient, moments.m, moments.v, step);
      else this.#kernels.adamw(value, gradient, moments.m, moments.v, step);
    }
  }

  /** The name of the first parameter, in the order of the forward pass, whose gradient is not finite, or null. */
  firstBrokenGradient(): string | null {
    return this.moments.find(({ parameter }) => !Number.isFinite(this.#squares(parameter)))?.parameter.name ?? null;
  }

  /** Gives the moments back to the pool. */
  dispose(): void {
    for (const { tensor } of this.state) this.#pool.release(tensor);
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

function zeroBlocks(pool: TensorPool, elements: number): BlockMoments {
  return { codes: pool.takeZeroed('u8', [elements]), scale: pool.takeZeroed('f32', [momentBlocks(elements)]) };
}

/** A vector as one row; a matrix as it is. */
function asMatrix(tensor: FloatTensor): FloatTensor {
  return tensor.shape.length === 2 ? tensor : view(tensor, [1, tensor.data.length]);
}
