/**
 * The scheduler over the real engine: with int8 and ternary weights, whose tokens have the same bits however they are run, a request gives
 * the very tokens that it gives alone, whatever runs beside it, is drafted, or was kept of others.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backend.ts';
import { createReferenceBackend } from '../../src/backends/reference/reference-backend.ts';
import { Engine, type EngineOptions } from '../../src/infer/engine.ts';
import { generateTokens } from '../../src/infer/generate-tokens.ts';
import { Sampler } from '../../src/infer/sampler.ts';
import { Scheduler } from '../../src/infer/scheduler.ts';
import { Speculation } from '../../src/infer/speculation.ts';
import { resolveConfig } from '../../src/model/resolve-config.ts';
import { Transformer } from '../../src/model/transformer.ts';
import { createBuiltBackend, missingReason } from '../conformance/built-backends.ts';
import { collect } from '../support/fake-token-model.ts';
import { modelWeights, strengthen, type WeightChoice } from '../support/model-weights.ts';

const VOCAB = 97;
const SHAPE = { dim: 64, hiddenDim: 160, nLayers: 2, nHeads: 4, nKvHeads: 2, vocabSize: VOCAB, seqLen: 96 };
const config = resolveConfig({ ...SHAPE, sparsity: { qkv: 0.5, o: 0.4, gateUp: 0.6, down: 0 } });
const model = strengthen(Transformer.create(config, createReferenceBackend(), { seed: 5 }), 5);
const CHOICES: readonly WeightChoice[] = [{ type: 'int8' }, { type: 'ternary', tables: 'int8' }];

/** Prompts with common beginnings; the last ones repeat themselves, so that drafts are right now and then. */
const PROMPTS = [
  [1, 2, 3, 4, 5, 6, 7, 8],
  [1, 2, 3, 4, 5, 9],
  [1, 2, 3, 4, 5, 6, 7, 8, 10, 11],
  [50, 51, 52, 50, 51, 52, 50, 51],
  [7, 7, 7, 7, 7],
  [1, 2, 3, 4, 5, 6, 7, 8],
];
const requestOf = (i: number) => ({
  sampler: new Sampler({ temperature: i % 2 === 0 ? 0 : 0.7, repetitionPenalty: i === 2 ? 1.2 : 1, seed: i }),
  maxTokens: 24,
  ...(i === 5 ? { sparsity: 0.3 } : {}),
});

const missing = missingReason('native');
describe.skipIf(missing !== null)(`scheduler over the engine${missing ? ` (${missing})` : ''}`, () => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await createBuiltBackend('native', 2);
  });
  afterAll(() => backend?.dispose());

  for (const choice of CHOICES) {
    it(`gives every request what it gives alone: ${choice.type}`, async () => {
      const engineOf = (options: EngineOptions = {}) =>
        new Engine(config, modelWeights(model, backend, choice), backend, options);
      const alone = engineOf();
      const expected = [];
      for (const [i, promptIds] of PROMPTS.entries())
        expected.push(await collect(generateTokens(alone, promptIds, requestOf(i))));
      for (const costOf of [null, () => 1]) {
        const engine = engineOf({ maxSequences: 3, maxBatchTokens: 20 });
        const scheduler = new Scheduler(engine, costOf ? { speculation: new Speculation({ costOf }) } : {});
        const used = { cachedTokens: 0, acceptedTokens: 0 };
        // Backwards the second time: those that ended last are still there.
        for (const order of [PROMPTS.keys(), [...PROMPTS.keys()].reverse()]) {
          const streams = [...order].map((i) => ({ i, stream: scheduler.generate(PROMPTS[i], requestOf(i)) }));
          for (const { i, stream } of streams) {
            expect(await collect(stream), `request ${i}`).toEqual(expected[i]);
            used.cachedTokens += stream.usage.cachedTokens;
            used.acceptedTokens += stream.usage.acceptedTokens;
          }
        }
        expect(used.cachedTokens).toBeGreaterThan(0);
        if (costOf) expect(used.acceptedTokens).toBeGreaterThan(0);
        scheduler.dispose();
        engine.dispose();
      }
    });
  }
});
