/**
 * ZeroCounts: how many zeros the inputs of the projections really held, by point and layer, summed over tokens.
 *
 * Counted, not derived from the configuration: natural zeros behind ReLU gates are only known after a pass over real
 * text. What the zeros save follows (model/flops.ts): each skips one row of its point's fused matrix.
 */

import { featuresAt, type ModelConfig, POINTS, type Point } from '../model/config.ts';
import { modelSparsity } from '../model/flops.ts';

export class ZeroCounts {
  /** Tokens that went through the model since the last `clear`. */
  tokens = 0;
  readonly #config: ModelConfig;
  readonly #nonZeros: Record<Point, Float64Array>;

  constructor(config: ModelConfig) {
    this.#config = config;
    const counters = () => new Float64Array(config.nLayers);
    this.#nonZeros = { qkv: counters(), o: counters(), gateUp: counters(), down: counters() };
  }

  add(point: Point, layer: number, nonZeros: number): void {
    this.#nonZeros[point][layer] += nonZeros;
  }

  clear(): void {
    this.tokens = 0;
    for (const point of POINTS) this.#nonZeros[point].fill(0);
  }

  /** Share of zeros by point and layer, 0 .. 1; NaN before the first token. */
  sparsity(): Record<Point, number[]> {
    const at = (point: Point) =>
      Array.from(this.#nonZeros[point], (count) => 1 - count / (featuresAt(this.#config, point) * this.tokens));
    return { qkv: at('qkv'), o: at('o'), gateUp: at('gateUp'), down: at('down') };
  }

  /** Zeros weighted by the parameters that they skip: the overall sparsity S, 0 .. 1; NaN before the first token. */
  modelSparsity(): number {
    return modelSparsity(this.#config, this.sparsity());
  }
}
