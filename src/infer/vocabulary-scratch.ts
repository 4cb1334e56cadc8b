/**
 * Working memory of sampling: one number and one id per token of the vocabulary.
 *
 * All samplers share it: sampling is synchronous, and a pair of arrays per sequence would cost megabytes. What is in it is undefined
 * at each use, and nothing that it holds outlives one.
 */

export interface VocabularyScratch {
  /** At least as long as the vocabulary asked for. */
  readonly scores: Float64Array;
  readonly ids: Int32Array;
}

let scratch: VocabularyScratch = { scores: new Float64Array(0), ids: new Int32Array(0) };

export function vocabularyScratch(vocabSize: number): VocabularyScratch {
  if (scratch.scores.length < vocabSize) {
    scratch = { scores: new Float64Array(vocabSize), ids: new Int32Array(vocabSize) };
  }
  return scratch;
}
