/**
 * RowWeights: how many weights of each block every row of a run was multiplied with, so that a token can be told how much of the model it used,
 * whatever runs beside it.
 *
 * A row is a token of the batch in the order of the workspace; items of a batch lie there in another order. In a mixture of experts the rows of
 * an expert are numbers of tokens. Counted from the same lists as zero-counts.ts, which sums over tokens instead of keeping them apart.
 */

import type { ModelConfig } from '../model/config.ts';
import { blockParameters } from '../model/flops.ts';
import type { IntTensor } from '../tensor/tensor.ts';
import type { WeightUse } from './token-model.ts';

/** Rows of the workspace: first, first + 1, …; of an expert those that `tokens` names, counted from `first`. */
export interface RowRange {
  readonly first: number;
  readonly count: number;
  readonly tokens?: IntTensor;
}

export class RowWeights implements WeightUse {
  readonly #nLayers: number;
  /** Weights of a block that a token meets where nothing is zero. */
  readonly #ofBlock: number;
  /** [rows, nLayers] */
  readonly #used: Float64Array;
  #firstRows: readonly number[] = [];
  #counts: readonly number[] = [];

  constructor(config: ModelConfig, capacity: number) {
    this.#nLayers = config.nLayers;
    this.#ofBlock = blockParameters(config) / config.nLayers;
    this.#used = new Float64Array(capacity * config.nLayers);
  }

  /** Begins a run: the first row and the number of rows of each item. */
  begin(firstRows: readonly number[], counts: readonly number[]): void {
    this.#firstRows = firstRows;
    this.#counts = counts;
    const rows = counts.reduce((sum, count) => sum + count, 0);
    this.#used.fill(0, 0, rows * this.#nLayers);
  }

  /** So many weights for row `i` of a range. */
  add(layer: number, { first, tokens }: RowRange, i: number, weights: number): void {
    const row = first + (tokens === undefined ? i : tokens.data[i]);
    this.#used[row * this.#nLayers + layer] += weights;
  }

  ofToken(item: number, token: number): number[] {
    const begin = (this.#firstRows[item] + token) * this.#nLayers;
    return Array.from(this.#used.subarray(begin, begin + this.#nLayers), (weights) => weights / this.#ofBlock);
  }

  ofItem(item: number): number {
    const begin = this.#firstRows[item] * this.#nLayers;
    const numbers = this.#used.subarray(begin, begin + this.#counts[item] * this.#nLayers);
    return numbers.reduce((sum, weights) => sum + weights, 0) / (numbers.length * this.#ofBlock);
  }
}
