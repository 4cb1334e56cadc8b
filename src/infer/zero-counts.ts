/**
 * ZeroCounts: how many zeros the inputs of the projections really held, by projection and layer, summed over tokens.
 *
 * Counted, not derived from the configuration: natural zeros behind ReLU gates are only known after a pass over real text. What they
 * save follows: a zero input skips its row of the matrix, and where up is stored by channel a closed gate skips the
 * channel. The numbers are those of each token decoded alone, also where it was run in a batch with others. In a mixture of experts they
 * are those of the experts that a token is sent to; the others are neither read nor counted.
 */

import { featuresAt, ffnsPerToken, type ModelConfig, outputsAt, POINTS, type Point } from '../model/config.ts';
import { blockParameters, parametersAt } from '../model/flops.ts';
import { ffnsOf, type LayerWeights, type ModelWeights } from '../model/weights.ts';
import type { IntTensor } from '../tensor/tensor.ts';
import { type WeightMatrix, weightRowBytes } from '../tensor/weight-matrix.ts';
import { mean } from '../util/mean.ts';
import { planProduct } from './product-plan.ts';
import type { RowRange, RowWeights } from './row-weights.ts';

/** The rows of the paper's table: gate and up read one input, but may skip different weights. */
export const PROJECTIONS = ['qkv', 'o', 'gate', 'up', 'down'] as const;
export type ProjectionPart = (typeof PROJECTIONS)[number];

export class ZeroCounts {
  /** Tokens that went through the model since the last `clear`. */
  tokens = 0;
  readonly #config: ModelConfig;
  readonly #rowWeights: RowWeights;
  /** By point: weights that an input of a row is multiplied with: those of all experts that share the input, without up by channel. */
  readonly #weightsPerInput: Record<Point, number>;
  /** By point: inputs that were not 0. */
  readonly #inputs: Record<Point, Float64Array>;
  /** Of up where it is stored by channel: open channels, and their weights at inputs that were not 0. */
  readonly #openChannels: Float64Array;
  readonly #upWeights: Float64Array;
  readonly #byChannel: boolean[] = [];
  /** By layer and expert: tokens that were sent there. */
  readonly #choices: Float64Array[];

  /** Keeps the counts of the rows of a run apart in `rowWeights`. `byChannel`: up is stored by channel. */
  constructor(config: ModelConfig, rowWeights: RowWeights, byChannel: boolean) {
    this.#config = config;
    this.#rowWeights = rowWeights;
    const gateUp = (outputsAt(config, 'gateUp') * ffnsPerToken(config)) / (byChannel ? 2 : 1);
    const at = (point: Point) => outputsAt(config, point);
    this.#weightsPerInput = { qkv: at('qkv'), o: at('o'), gateUp, down: at('down') };
    const counters = () => new Float64Array(config.nLayers);
    this.#inputs = { qkv: counters(), o: counters(), gateUp: counters(), down: counters() };
    this.#openChannels = counters();
    this.#upWeights = counters();
    this.#choices = Array.from({ length: config.nLayers }, () => new Float64Array(config.nExperts));
  }

  /** `each` inputs of a point for every row. */
  add(point: Point, layer: number, rows: RowRange, each: number): void {
    this.#inputs[point][layer] += rows.count * each;
    for (let i = 0; i < rows.count; i++) this.#rowWeights.add(layer, rows, i, each * this.#weightsPerInput[point]);
  }

  /** Row i has start[i + 1] - start[i] inputs of a point, and at most `most` of them count. */
  addListed(point: Point, layer: number, rows: RowRange, start: IntTensor, most = Infinity): void {
    let sum = 0;
    for (let i = 0; i < rows.count; i++) {
      const count = Math.min(start.data[i + 1] - start.data[i], most);
      sum += count;
      this.#rowWeights.add(layer, rows, i, count * this.#weightsPerInput[point]);
    }
    this.#inputs[point][layer] += sum;
  }

  /** The listed channels of up were computed, from `inputsEach` inputs each: on average, where tokens keep different numbers. */
  addChannels(layer: number, rows: RowRange, { data }: IntTensor, inputsEach: number): void {
    const channels = data[rows.count];
    this.#byChannel[layer] = true;
    this.#openChannels[layer] += channels;
    this.#upWeights[layer] += channels * inputsEach;
    for (let i = 0; i < rows.count; i++) this.#rowWeights.add(layer, rows, i, (data[i + 1] - data[i]) * inputsEach);
  }

  /** `tokens` were sent to an expert. */
  addChoices(layer: number, expert: number, tokens: number): void {
    this.#choices[layer][expert] += tokens;
  }

  clear(): void {
    this.tokens = 0;
    for (const choices of this.#choices) choices.fill(0);
    for (const point of POINTS) this.#inputs[point].fill(0);
    this.#openChannels.fill(0);
    this.#upWeights.fill(0);
  }

  /** Share of zeros by point and layer, 0 .. 1; NaN before the first token. */
  sparsity(): Record<Point, number[]> {
    const at = (point: Point) =>
      Array.from(this.#inputs[point], (count) => 1 - count / (this.#featuresAt(point) * this.tokens));
    return { qkv: at('qkv'), o: at('o'), gateUp: at('gateUp'), down: at('down') };
  }

  /** Share of the weights of each projection and layer that nothing was multiplied with, 0 .. 1; NaN before the first token. */
  projections(): Record<ProjectionPart, number[]> {
    const { qkv, o, gateUp, down } = this.sparsity();
    const weightsOfUp = this.#featuresAt('down') * this.#config.dim;
    const up = gateUp.map((zeros, layer) =>
      this.#byChannel[layer] ? 1 - this.#upWeights[layer] / (weightsOfUp * this.tokens) : zeros,
    );
    return { qkv, o, gate: gateUp, up, down };
  }

  /** Share of all choices that fell on each expert, by layer; NaN before the first token, nothing without experts. */
  expertLoad(): number[][] {
    const choices = ffnsPerToken(this.#config) * this.tokens;
    return this.#choices.map((counts) => Array.from(counts, (count) => count / choices));
  }

  /** Inputs of one token: in front of down, those of all experts that it is sent to. */
  #featuresAt(point: Point): number {
    return featuresAt(this.#config, point) * (point === 'down' ? ffnsPerToken(this.#config) : 1);
  }

  /** Zeros weighted by the parameters that they skip: the overall sparsity S, 0 .. 1; NaN before the first token. */
  modelSparsity(): number {
    const shares = this.projections();
    const skipped = PROJECTIONS.reduce(
      (sum, part) => sum + mean(shares[part]) * projectionParameters(this.#config, part),
      0,
    );
    return skipped / blockParameters(this.#config);
  }

  /**
   * Bytes of weights that one of the counted tokens, decoded alone, reads on average: rows at its non-zeros, or all of them where
   * skipping would not pay; scales; one row of the embedding, the head, the norms and routers whole. NaN before the first token.
   */
  weightBytesPerToken({ embedding, layers, norm, head }: ModelWeights): number {
    const { dim } = this.#config;
    const fixed = rowBytesOf(embedding) + matrixBytes(head, 1) + 4 * norm.data.length;
    const sparsity = this.sparsity();
    return layers.reduce((sum, weights, layer) => sum + 8 * dim + this.#layerBytes(weights, layer, sparsity), fixed);
  }

  #layerBytes({ qkv, o, feedForward }: LayerWeights, layer: number, sparsity: Record<Point, number[]>): number {
    const read = (w: WeightMatrix, point: Point) => {
      const density = 1 - sparsity[point][layer];
      return matrixBytes(w, planProduct(w.dtype, 1, density).skipsZeros ? density : 1);
    };
    const router = feedForward.layout === 'mixture' ? matrixBytes(feedForward.router, 1) : 0;
    const [ffn] = ffnsOf(feedForward); // experts are of one size and layout
    let inner = read(ffn.down, 'down');
    if (ffn.layout === 'fused') {
      inner += read(ffn.gateUp, 'gateUp');
    } else {
      const open = this.#openChannels[layer] / (this.#featuresAt('down') * this.tokens);
      inner += read(ffn.gate, 'gateUp') + matrixBytes(ffn.up, open);
    }
    return read(qkv, 'qkv') + read(o, 'o') + router + ffnsPerToken(this.#config) * inner;
  }
}

/** Weights of one projection in all layers, as far as a token meets them. */
export function projectionParameters(config: ModelConfig, part: ProjectionPart): number {
  if (part !== 'gate' && part !== 'up') return config.nLayers * parametersAt(config, part);
  return (config.nLayers * parametersAt(config, 'gateUp')) / 2;
}

/** A share of the rows with their scales; scales by column are read whole. */
function matrixBytes(w: WeightMatrix, share: number): number {
  const rows = share * w.rows;
  if (w.scale === null) return rows * rowBytesOf(w);
  const scales = w.scaleAxis === 'rows' ? rows : Math.ceil(w.rows / w.groupRows) * w.cols;
  return rows * rowBytesOf(w) + 4 * scales;
}

/** Without what lies between two rows, which nobody reads. */
function rowBytesOf(w: WeightMatrix): number {
  return weightRowBytes(w.dtype, w.cols);
}
