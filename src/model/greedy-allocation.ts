/**
 * How much each projection of a block drops, so that the block as a whole drops a wanted share of its parameters: TEAL's greedy search
 * (arXiv 2408.14690, algorithm 1).
 *
 * It begins with nothing dropped. In each step the sparsity of the block grows by `step`; every point is tried as the one that takes it, by as much of its own
 * share as makes up the step (its parameters over those of the block), and the one with the least error of the block's output gets it. Blocks are
 * searched one by one, each on the inputs that it has in the dense model, and all get the same sparsity. A step tries four passes of one block, so that the
 * whole search costs 4 wanted / step passes of the model.
 *
 * Differences to TEAL's: four inputs in place of seven projections, because q, k, v and gate, up share theirs here; larger steps. Thresholds of shares come
 * from threshold-calibration.ts.
 */

import type { SelectionRule } from '../ops/sparsify.ts';
import type { FloatTensor } from '../tensor/tensor.ts';
import { UsageError } from '../util/errors.ts';
import { type ModelConfig, POINTS, type Point } from './config.ts';
import { parametersAt } from './flops.ts';
import { ALL } from './selection-rule.ts';
import type { ThresholdCalibration } from './threshold-calibration.ts';
import type { BatchShape, Transformer } from './transformer.ts';

export type Shares = Readonly<Record<Point, number>>;

/** Of the block's parameters. A step is many times as much of a point's own. */
export const ALLOCATION_STEP = 0.025;
/** Something of every input stays. */
const MOST_AT_A_POINT = 0.99;
/** The first tokens of a text draw attention and are hundreds of times larger: what happens to them says little about the others. */
const LEFT_OUT = 0.25;

/**
 * Shares of zeros by point whose mean, weighted by `parameters`, is `wanted`. `errorOf` is asked for every candidate. Ties go to the first of POINTS.
 * Throws UsageError for a share that no allocation reaches.
 */
export function allocateGreedily(
  parameters: Shares,
  wanted: number,
  errorOf: (shares: Shares) => number,
  step = ALLOCATION_STEP,
): Shares {
  if (!(wanted >= 0 && wanted <= MOST_AT_A_POINT)) {
    throw new UsageError('calibrate', `a share of 0 to ${MOST_AT_A_POINT} can be allocated, got ${wanted}.`);
  }
  const total = POINTS.reduce((sum, point) => sum + parameters[point], 0);
  const shareOf = (dropped: number, point: Point) => (dropped * total) / parameters[point];
  let shares: Shares = { qkv: 0, o: 0, gateUp: 0, down: 0 };
  let left = wanted;
  while (left > 1e-9) {
    const growth = Math.min(step, left);
    const candidates = POINTS.filter((point) => shares[point] < MOST_AT_A_POINT).map((point) => {
      const share = Math.min(MOST_AT_A_POINT, shares[point] + shareOf(growth, point));
      const grown = { ...shares, [point]: share };
      return { grown, dropped: ((share - shares[point]) * parameters[point]) / total, error: errorOf(grown) };
    });
    const best = candidates.reduce((least, one) => (one.error < least.error ? one : least));
    shares = best.grown;
    left -= best.dropped;
  }
  return shares;
}

/** What the search found for one layer. */
export interface AllocatedLayer {
  shares: Shares;
  /** The mean distance of the block's output from the dense one, over the mean length of the latter. */
  error: number;
  /** The same where every point has the wanted share. */
  uniformError: number;
}

/**
 * Searches one layer after the other. `calibration` has seen the text whose magnitudes make the thresholds; `ids` is what errors are measured on, whole sequences.
 * The model is the dense one and only read.
 */
export class GreedySearch {
  readonly #model: Transformer;
  readonly #calibration: ThresholdCalibration;
  readonly #shape: BatchShape;
  /** Into the next layer, of the dense model. */
  #input: FloatTensor;
  #layer = 0;

  constructor(model: Transformer, calibration: ThresholdCalibration, ids: readonly number[], seqLen: number) {
    const batch = Math.floor(ids.length / seqLen);
    if (batch === 0) {
      throw new UsageError('calibrate', `expected at least ${seqLen} tokens to search on, got ${ids.length}.`);
    }
    this.#model = model;
    this.#calibration = calibration;
    this.#shape = { batch, seqLen };
    this.#input = embedded(model, ids.slice(0, batch * seqLen));
  }

  get tokens(): number {
    return this.#shape.batch * this.#shape.seqLen;
  }

  /** The next layer's. Throws UsageError for what cannot be allocated, and for thresholds that are not finite. */
  next(wanted: number): AllocatedLayer {
    const { config, pool } = this.#model;
    const layer = this.#layer++;
    const dense = this.#model.layerOutput(layer, this.#input, this.#shape);
    const size = this.#mean(dense.data);
    const errorOf = (shares: Shares) => this.#distance(layer, shares, dense) / size;
    const shares = allocateGreedily(parametersOf(config), wanted, errorOf);
    const uniform = { qkv: wanted, o: wanted, gateUp: wanted, down: wanted };
    const found = { shares, error: errorOf(shares), uniformError: errorOf(uniform) };
    pool.release(this.#input);
    this.#input = dense;
    return found;
  }

  dispose(): void {
    this.#model.pool.release(this.#input);
  }

  #distance(layer: number, shares: Shares, dense: FloatTensor): number {
    const rules = Object.fromEntries(
      POINTS.map((point) => [point, ruleOf(this.#calibration.threshold(point, layer, shares[point]))]),
    ) as Record<Point, SelectionRule>;
    const output = this.#model.layerOutput(layer, this.#input, this.#shape, { rules });
    const { data } = output;
    for (let i = 0; i < data.length; i++) data[i] -= dense.data[i];
    const distance = this.#mean(data);
    this.#model.pool.release(output);
    return distance;
  }

  /** The mean length of the rows behind the first of each sequence. A mean of lengths and not of squares: no token rules the others. */
  #mean(rows: FloatTensor['data']): number {
    const { dim } = this.#model.config;
    const { batch, seqLen } = this.#shape;
    const first = Math.floor(LEFT_OUT * seqLen);
    let sum = 0;
    for (let row = 0; row < batch * seqLen; row++) {
      if (row % seqLen < first) continue;
      let squares = 0;
      for (let i = row * dim; i < (row + 1) * dim; i++) squares += rows[i] ** 2;
      sum += Math.sqrt(squares);
    }
    return sum / (batch * (seqLen - first));
  }
}

export function parametersOf(config: ModelConfig): Shares {
  const of = (point: Point) => parametersAt(config, point);
  return { qkv: of('qkv'), o: of('o'), gateUp: of('gateUp'), down: of('down') };
}

function ruleOf(threshold: number): SelectionRule {
  return threshold > 0 ? { keeps: 'reaching', threshold } : ALL;
}

function embedded(model: Transformer, ids: readonly number[]): FloatTensor {
  const { dim } = model.config;
  const table = model.stored.find(({ name }) => name === 'embedding')!.value;
  const rows = model.pool.take(model.dtype, [ids.length, dim]);
  ids.forEach((id, row) => {
    rows.data.set(table.data.subarray(id * dim, (id + 1) * dim), row * dim);
  });
  return rows;
}
