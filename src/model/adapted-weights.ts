/**
 * AdaptedWeights: projections of which only a correction of low rank is trained (LoRA).
 *
 * In the place of W [in, out] the products see W + scale A B with A [in, rank], B [rank, out] and scale = alpha / rank, made before each step; so the
 * correction goes through the same selection of inputs as W, every skip applies to both, and what a merged model computes is what was trained. Only
 * A and B have gradients and moments (`ops/products.ts` makes the gradients without that of W). B begins as 0: the first step is that of the model as
 * it was. A projection is a fused matrix here: q, k and v share one A, and so do gate and up.
 * Source: Hu et al., LoRA (arXiv 2106.09685).
 */

import type { Weight } from '../autograd/parameter.ts';
import type { Tape } from '../autograd/tape.ts';
import { type FloatTensor, type FloatType, view } from '../tensor/tensor.ts';
import type { TensorPool } from '../tensor-pool.ts';
import { Prng } from '../util/prng.ts';
import type { ModelConfig, Point } from './config.ts';
import { type MultipliedLayer, mapProjections } from './multiplied-weights.ts';
import { describeParameters, type ModelParameters, type Parameter, type TrainedParameter } from './parameters.ts';

/** What is adapted, and how much. */
export interface Lora {
  readonly rank: number;
  readonly alpha: number;
  readonly points: readonly Point[];
}

interface Adapted {
  readonly base: Parameter;
  /** base + scale a b */
  readonly value: FloatTensor;
  readonly a: TrainedParameter;
  readonly b: TrainedParameter;
}

/** The names of the two matrices beside a parameter, in checkpoints too. */
export const adapterNames = (parameter: string) => ({ a: `${parameter}.loraA`, b: `${parameter}.loraB` });

/** How many numbers are trained. */
export function countAdapters(config: ModelConfig, { rank, points }: Lora): number {
  const adapted = describeParameters(config).filter(({ name, projections }) => {
    return projections.length > 0 && points.some((point) => name.endsWith(`.${point}`));
  });
  return adapted.reduce((sum, { shape }) => sum + rank * (shape[0] + shape[1]), 0);
}

export class AdaptedWeights {
  readonly layers: readonly MultipliedLayer[];
  readonly scale: number;
  readonly #adapted = new Map<Parameter, Adapted>();
  readonly #pool: TensorPool;
  readonly #dtype: FloatType;
  readonly #lora: Lora;

  /** Takes memory for all projections of the points from the pool; nothing is in the merged ones before the first `update`. */
  constructor({ layers }: ModelParameters, pool: TensorPool, dtype: FloatType, lora: Lora) {
    this.#pool = pool;
    this.#dtype = dtype;
    this.#lora = lora;
    this.scale = lora.alpha / lora.rank;
    this.layers = mapProjections(layers, (point, base) => this.#weightOf(point, base));
  }

  /** What is trained, in the order of the forward pass. */
  get parameters(): readonly TrainedParameter[] {
    return [...this.#adapted.values()].flatMap(({ a, b }) => [a, b]);
  }

  /** A normal with standard deviation 1 / sqrt(in), B 0: the merged weights begin as the base. */
  initialise(seed: number): void {
    const prng = new Prng(seed);
    for (const { a, b } of this.#adapted.values()) {
      const std = 1 / Math.sqrt(a.value.shape[0]);
      const { data } = a.value;
      // Rounded to f32 for every dtype: an f64 model starts from the same point.
      for (let i = 0; i < data.length; i++) data[i] = Math.fround(std * prng.normal());
      b.value.data.fill(0);
    }
  }

  /** Merges all of them anew as they are now. */
  update(tape: Tape): void {
    tape.enter('op', 'merge');
    const scratch = this.#pool.take(this.#dtype, [Math.max(...this.parameters.map(({ value }) => value.data.length))]);
    for (const { base, value, a, b } of this.#adapted.values()) {
      const scaled = view(scratch, a.value.shape);
      for (let i = 0; i < scaled.data.length; i++) scaled.data[i] = this.scale * a.value.data[i];
      tape.kernels.copy(base.value, value);
      tape.kernels.matmul(scaled, b.value, value, { accumulate: true });
    }
    this.#pool.release(scratch);
    tape.exit();
  }

  /** What stands in the place of a parameter; undefined for one that is multiplied itself. */
  of(parameter: Parameter): FloatTensor | undefined {
    return this.#adapted.get(parameter)?.value;
  }

  /** Gives the memory back to the pool. */
  dispose(): void {
    for (const { value, a, b } of this.#adapted.values()) {
      for (const tensor of [value, a.value, a.gradient, b.value, b.gradient]) this.#pool.release(tensor);
    }
  }

  #weightOf(point: Point, base: Parameter): Weight {
    if (!this.#lora.points.includes(point)) return base;
    const [features, outputs] = base.value.shape;
    const { rank } = this.#lora;
    const names = adapterNames(base.name);
    const value = this.#pool.take(this.#dtype, base.value.shape);
    const [a, b] = [this.#matrix(names.a, [features, rank]), this.#matrix(names.b, [rank, outputs])];
    this.#adapted.set(base, { base, value, a, b });
    return { value, gradient: null, adapter: { a, b, scale: this.scale } };
  }

  #matrix(name: string, shape: readonly number[]): TrainedParameter {
    const [value, gradient] = [0, 1].map(() => this.#pool.takeZeroed(this.#dtype, shape));
    return { name, shape, decay: true, projections: [], value, gradient };
  }
}
