/** Runs a model over a text, so that its statistics say what a token used: windows of its context, one after the other. */

import type { Engine } from '../../infer/engine.ts';
import { SingleSequence } from '../../infer/single-sequence.ts';
import type { SparsityOverride } from '../../model/sparsity-override.ts';
import { turnEventLoop } from '../../util/turn-event-loop.ts';
import type { StatusLine } from './status-line.ts';

export interface ReadOptions {
  /** In place of the model's own. */
  sparsity?: SparsityOverride | undefined;
  progress: StatusLine;
  signal: AbortSignal;
}

/** Ends early where the signal says so: what is done counts. */
export async function readThrough(
  ids: readonly number[],
  engine: Engine,
  { sparsity, progress, signal }: ReadOptions,
): Promise<void> {
  const sequence = new SingleSequence(engine, sparsity === undefined ? {} : { sparsity });
  try {
    for (let first = 0; first < ids.length && !signal.aborted; first += engine.maxTokens) {
      progress.update({ label: 'reading', done: first, total: ids.length, unit: 'tokens' });
      sequence.reset();
      sequence.prefill(ids.slice(first, first + engine.maxTokens));
      await turnEventLoop();
    }
  } finally {
    progress.done();
  }
}
