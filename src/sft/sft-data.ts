/**
 * SftData: packed rows of conversations as the trainer's batches.
 *
 * A batch is a pure function of (seed, step, row), as TokenData's: the rows are made once, every epoch visits each of them once, in an order of its
 * own. `starts` says of each token where its conversation begins, so that the model keeps attention inside and counts positions from there. What is
 * left at the end of a row is filled with tokens that see themselves and predict nothing.
 */

import { splitDocuments } from '../train/split-documents.ts';
import { permute, type TokenBatch } from '../train/token-data.ts';
import type { TrainingData } from '../train/trainer.ts';
import { hash32 } from '../util/prng.ts';
import type { Examples } from './examples.ts';
import { packRows } from './pack-rows.ts';

const NO_TARGET = -1;

export interface SftDataOptions {
  seqLen: number;
  seed: number;
  validationShare: number;
  /** Text of ids, for the bytes that validation is measured by. */
  decode: (ids: readonly number[]) => string;
}

interface Part {
  readonly examples: readonly number[];
  /** Of indices into `Examples`. */
  readonly rows: readonly (readonly number[])[];
  /** Predictions that count. */
  readonly answers: number;
}

export class SftData implements TrainingData {
  readonly packed = true;
  readonly #examples: Examples;
  readonly #seqLen: number;
  readonly #seed: number;
  readonly #train: Part;
  readonly #validation: Part;
  readonly #validationBytes: number;

  /** One example alone leaves nothing to validate. */
  constructor(examples: Examples, options: SftDataOptions) {
    const { seqLen, seed, validationShare } = options;
    const all = Array.from({ length: examples.count }, (_, example) => example);
    const split = splitDocuments(
      all.map((example) => examples.lengthOf(example)),
      validationShare,
      seed,
    );
    const held = split.kind === 'documents' ? split.validation : new Set<number>();
    const part = (members: readonly number[]): Part => {
      const lengths = members.map((example) => examples.lengthOf(example));
      const rows = packRows(lengths, seqLen, seed).map((row) => row.map((member) => members[member]));
      return {
        examples: members,
        rows,
        answers: members.reduce((sum, example) => sum + examples.answersOf(example), 0),
      };
    };
    this.#examples = examples;
    this.#seqLen = seqLen;
    this.#seed = seed;
    this.#train = part(all.filter((example) => !held.has(example)));
    this.#validation = part(all.filter((example) => held.has(example)));
    this.#validationBytes = this.#validation.examples.reduce(
      (sum, example) => sum + Buffer.byteLength(options.decode(examples.answerIds(example))),
      0,
    );
  }

  get trainExamples(): number {
    return this.#train.examples.length;
  }

  get trainRows(): number {
    return this.#train.rows.length;
  }

  get validationExamples(): number {
    return this.#validation.examples.length;
  }

  /** Predictions that count, of answers. */
  get trainAnswers(): number {
    return this.#train.answers;
  }

  /** Predictions of all rows, those of questions and of what is left at their ends too. */
  get trainTokens(): number {
    return this.trainRows * this.#seqLen;
  }

  /** Share of the rows that conversations fill. */
  get filled(): number {
    const used = this.#train.examples.reduce((sum, example) => sum + this.#examples.lengthOf(example), 0);
    return used / this.trainTokens;
  }

  /** Of answers. */
  get validationTokens(): number {
    return this.#validation.answers;
  }

  /** UTF-8 bytes of the answers. */
  get validationBytes(): number {
    return this.#validationBytes;
  }

  batch(
    step: number,
    batchSize: number,
    seqLen: number,
    ids: Int32Array,
    targets: Int32Array,
    starts: Int32Array,
  ): void {
    const { rows } = this.#train;
    for (let row = 0; row < batchSize; row++) {
      const number = step * batchSize + row;
      const epoch = Math.floor(number / rows.length);
      const chosen = permute(number % rows.length, rows.length, hash32(epoch, this.#seed));
      this.#writeRow(rows[chosen], row, seqLen, { ids, targets, starts });
    }
  }

  /** All of them, or about `maxTokens` of them spread evenly. */
  *validationBatches(
    batchSize: number,
    seqLen: number,
    maxTokens = Number.POSITIVE_INFINITY,
  ): Generator<Required<TokenBatch>> {
    const { rows } = this.#validation;
    const used = Math.min(rows.length, Math.max(1, Math.ceil(maxTokens / seqLen)));
    for (let first = 0; first < used; first += batchSize) {
      const batch = {
        ids: new Int32Array(batchSize * seqLen),
        targets: new Int32Array(batchSize * seqLen),
        starts: new Int32Array(batchSize * seqLen),
      };
      for (let row = 0; row < batchSize; row++) {
        const chosen = first + row < used ? rows[Math.floor(((first + row) * rows.length) / used)] : [];
        this.#writeRow(chosen, row, seqLen, batch);
      }
      yield batch;
    }
  }

  #writeRow(
    examples: readonly number[],
    row: number,
    seqLen: number,
    { ids, targets, starts }: Required<TokenBatch>,
  ): void {
    const base = row * seqLen;
    let at = 0;
    for (const example of examples) {
      const length = this.#examples.lengthOf(example);
      this.#examples.write(example, base + at, ids, targets);
      starts.fill(at, base + at, base + at + length);
      at += length;
    }
    ids.fill(0, base + at, base + seqLen);
    targets.fill(NO_TARGET, base + at, base + seqLen);
    for (; at < seqLen; at++) starts[base + at] = at;
  }
}
