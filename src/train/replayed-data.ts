/**
 * ReplayedData: batches in which a share of the sequences comes from other data, so that a model does not forget what it is not trained on now.
 *
 * Sequences are numbered through all batches; number n is replayed where floor((n + 1) share) exceeds floor(n share), and both data sets go on
 * with their own numbers. So a batch stays a pure function of its index, and no sequence of either is left out.
 */

import type { TrainingData } from './trainer.ts';

export class ReplayedData implements TrainingData {
  readonly #data: TrainingData;
  readonly #replay: TrainingData;
  readonly #share: number;

  /** `share` of the sequences, in (0, 1), from `replay`; validation is that of `data` alone. */
  constructor(data: TrainingData, replay: TrainingData, share: number) {
    this.#data = data;
    this.#replay = replay;
    this.#share = share;
  }

  get validationTokens(): number {
    return this.#data.validationTokens;
  }

  get validationBytes(): number {
    return this.#data.validationBytes;
  }

  batch(index: number, batchSize: number, seqLen: number, ids: Int32Array, targets: Int32Array): void {
    for (let row = 0; row < batchSize; row++) {
      const number = index * batchSize + row;
      const replayed = Math.floor(number * this.#share);
      const isReplayed = Math.floor((number + 1) * this.#share) > replayed;
      const [data, own] = isReplayed ? [this.#replay, replayed] : [this.#data, number - replayed];
      const [first, last] = [row * seqLen, (row + 1) * seqLen];
      data.batch(own, 1, seqLen, ids.subarray(first, last), targets.subarray(first, last));
    }
  }

  validationBatches(...args: Parameters<TrainingData['validationBatches']>) {
    return this.#data.validationBatches(...args);
  }
}
