/**
 * The engine of one sequence, prefill and decode, as a TokenModel with room for one: so that generation is written for TokenModel alone.
 */

import { UsageError } from '../util/errors.ts';
import type { Logits } from './sampler.ts';
import type { BatchItem, SequenceOptions, TokenModel, TokenSequence } from './token-model.ts';

/** What of such an engine generation needs. */
export interface TokenEngine {
  readonly position: number;
  readonly maxTokens: number;
  prefill(ids: readonly number[]): Logits;
  reset(): void;
}

export function asTokenModel(model: TokenModel | TokenEngine): TokenModel {
  return 'run' in model ? model : new OneSequence(model);
}

class OneSequence implements TokenModel {
  readonly vocabSize = Infinity; // the engine checks ids itself
  readonly maxTokens: number;
  readonly maxSequences = 1;
  readonly maxBatchTokens: number;
  readonly #engine: TokenEngine;

  constructor(engine: TokenEngine) {
    this.#engine = engine;
    this.maxTokens = engine.maxTokens;
    this.maxBatchTokens = engine.maxTokens;
  }

  createSequence(options: SequenceOptions = {}): TokenSequence {
    const engine = this.#engine;
    if (options.sparsity !== undefined)
      throw new UsageError('engine', 'this engine has one sparsity for all sequences.');
    engine.reset();
    return {
      get length() {
        return engine.position;
      },
      truncate(length) {
        if (length === 0) engine.reset();
        else if (length !== engine.position) throw new UsageError('engine', 'this engine cannot forget single tokens.');
      },
      release: () => engine.reset(),
    };
  }

  run(batch: readonly BatchItem[]): readonly Float32Array[] {
    return batch.map(({ ids, logits }) => {
      if (logits === 'all') throw new UsageError('engine', 'this engine gives the logits of the last token only.');
      const last = this.#engine.prefill(ids);
      return logits === 'none' ? new Float32Array(0) : last instanceof Float32Array ? last : Float32Array.from(last);
    });
  }
}
