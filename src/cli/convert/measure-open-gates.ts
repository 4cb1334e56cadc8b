/** The share of open gates of each layer of a trained model, measured on text by the engine. */

import type { Backend } from '../../backend.ts';
import { openModel } from '../../import/open-model.ts';
import { Engine } from '../../infer/engine.ts';
import { SingleSequence } from '../../infer/single-sequence.ts';
import { tokenizerOfModel } from '../../tokenizer/tokenizer-of-model.ts';
import { UsageError } from '../../util/errors.ts';
import { turnEventLoop } from '../../util/turn-event-loop.ts';
import type { StatusLine } from '../shared/status-line.ts';
import { encodeTexts } from '../shared/text-files.ts';

/** Enough for shares of a per cent; more would only take longer. */
const MEASURED_TOKENS = 2048;

/**
 * 0 .. 1 by layer. The selection in front of down is switched off: a gate that is open counts although its channel would be dropped, because up
 * is computed there. Throws UsageError for text without a token; the reason of `signal` where it is aborted.
 */
export async function measureOpenGates(
  path: string,
  backend: Backend,
  texts: readonly string[],
  { progress, signal }: { progress: StatusLine; signal: AbortSignal },
): Promise<number[]> {
  const model = openModel(path, backend);
  const engine = new Engine(model.config, model.weights, backend, {
    maxTokens: Math.min(model.config.seqLen, MEASURED_TOKENS),
    selectHidden: false,
  });
  const sequence = new SingleSequence(engine);
  try {
    const ids = encodeTexts(tokenizerOfModel(model), texts, MEASURED_TOKENS);
    if (ids.length === 0)
      throw new UsageError('--text', 'the text is empty: expected at least 1 token. Give other text.');
    for (let first = 0; first < ids.length; first += engine.maxTokens) {
      progress.update({ label: 'measuring open gates', done: first, total: ids.length, unit: 'tokens' });
      await turnEventLoop();
      signal.throwIfAborted();
      sequence.reset();
      sequence.prefill(ids.slice(first, first + engine.maxTokens));
    }
    return engine.statistics.sparsity().down.map((zeros) => 1 - zeros);
  } finally {
    progress.done();
    engine.dispose();
    model.dispose();
  }
}
