import { afterAll, describe, expect, it } from 'vitest';
import { Arena } from '../arena.ts';
import { createReferenceBackend } from '../backends/reference/reference-backend.ts';
import { Engine } from '../infer/engine.ts';
import { packWeights } from '../model/pack-weights.ts';
import { resolveConfig } from '../model/resolve-config.ts';
import type { ModelWeights } from '../model/weights.ts';
import { WEIGHT_TYPES } from '../tensor/weight-matrix.ts';
import { gateCloser } from './gate-closer.ts';

const config = resolveConfig({
  ...{ dim: 128, hiddenDim: 256, nLayers: 1, nHeads: 2, vocabSize: 96, seqLen: 32 },
  activation: 'relu2',
  sparsity: { qkv: 0.6, o: 0.6, gateUp: 0.6, down: 0 },
});
const backend = createReferenceBackend();
const arena = new Arena(backend);
afterAll(() => arena.free());

/** By layer, of tokens that the search has not seen. */
function openShares(weights: ModelWeights): number[] {
  const engine = new Engine(config, weights, backend, { maxTokens: 16 });
  const sequence = engine.createSequence();
  engine.run([{ sequence, ids: Array.from({ length: 16 }, (_, i) => 5 * i + 2), logits: 'none' }]);
  const shares = engine.statistics.sparsity().down.map((zeros) => 1 - zeros);
  engine.dispose();
  return shares;
}

describe('gateCloser', () => {
  it.each(WEIGHT_TYPES)('closes the share asked for in %s weights, in both layouts, again and again', (dtype) => {
    const fused = packWeights(config, { seed: 1 }, { dtype }, arena);
    const channels = packWeights(config, { seed: 1 }, { dtype, layout: 'channels' }, arena);
    const close = gateCloser(config, [fused, channels], backend);
    for (const share of [0.95, 0.6]) {
      expect(close(share)).toBeGreaterThan(share - 0.005);
      for (const open of [...openShares(channels), ...openShares(fused)]) {
        expect(open).toBeGreaterThan(0.6 * (1 - share));
        expect(open).toBeLessThan(1.4 * (1 - share));
      }
    }
  });
});
