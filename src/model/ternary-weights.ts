/**
 * TernaryWeights: what the projections of a BitNet model multiply, made of its latent parameters before each step.
 *
 * The latent numbers are the parameters: initialised, updated and saved as f32 like any. The products of a block see -alpha, 0 or alpha in
 * their place and add their gradients to the latent ones as they are (straight-through, no gradient through alpha). Each projection
 * of a fused matrix has an alpha of its own. Embedding, head, norms and routers are not touched. The definition: tensor/ternary.ts.
 */

import type { Weight } from '../autograd/parameter.ts';
import type { Tape } from '../autograd/tape.ts';
import type { FloatTensor } from '../tensor/tensor.ts';
import { ternaryScale } from '../tensor/ternary.ts';
import type { TensorPool } from '../tensor-pool.ts';
import { type MultipliedLayer, mapProjections } from './multiplied-weights.ts';
import type { ModelParameters, Parameter } from './parameters.ts';

export class TernaryWeights {
  readonly layers: readonly MultipliedLayer[];
  /** By their latent parameter. */
  readonly #values = new Map<Parameter, FloatTensor>();
  readonly #pool: TensorPool;

  /** Takes memory for all projections from the pool; nothing is in it before the first `update`. */
  constructor({ layers }: ModelParameters, pool: TensorPool) {
    this.#pool = pool;
    this.layers = mapProjections(layers, (_, latent) => this.#weightOf(latent));
  }

  /** Makes all of them anew of the latent parameters as they are now. */
  update(tape: Tape): void {
    tape.enter('op', 'ternarize');
    for (const [latent, value] of this.#values) {
      const rows = latent.value.shape[0];
      const partial = tape.takeSums(rows);
      for (const { first, count } of latent.projections) {
        tape.kernels.sumAbs(latent.value, partial, first, count);
        const sum = partial.data.reduce((total, ofRow) => total + ofRow, 0);
        tape.kernels.ternarize(latent.value, { first, count }, ternaryScale(sum, rows * count), value);
      }
    }
    tape.exit();
  }

  /** What stands in the place of a parameter; undefined for one that is multiplied itself. */
  of(parameter: Parameter): FloatTensor | undefined {
    return this.#values.get(parameter);
  }

  /** Gives the memory back to the pool. */
  dispose(): void {
    for (const value of this.#values.values()) this.#pool.release(value);
  }

  #weightOf(latent: Parameter): Weight {
    const value = this.#pool.take(latent.value.dtype, latent.value.shape);
    this.#values.set(latent, value);
    return { value, gradient: latent.gradient };
  }
}
