/**
 * Laws of the inference engine on every backend that is here. With int8 and ternary weights a token's logits do not depend, in a single
 * bit, on threads, on how its prompt was cut, or on what ran beside it; and the text that they make is the same on all backends.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backend.ts';
import { createReferenceBackend } from '../../src/backends/reference/reference-backend.ts';
import { Engine, type EngineOptions } from '../../src/infer/engine.ts';
import { argmax } from '../../src/infer/sampler.ts';
import { SingleSequence } from '../../src/infer/single-sequence.ts';
import type { BatchItem } from '../../src/infer/token-model.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { resolveConfig } from '../../src/model/resolve-config.ts';
import { Transformer } from '../../src/model/transformer.ts';
import type { KvType } from '../../src/tensor/kv-slots.ts';
import { type BuiltName, createBuiltBackend, missingReason } from '../conformance/built-backends.ts';
import { modelWeights, strengthen, type WeightChoice } from '../support/model-weights.ts';

const VOCAB = 97;
const config = resolveConfig({
  dim: 64,
  hiddenDim: 160,
  nLayers: 2,
  nHeads: 4,
  nKvHeads: 2,
  vocabSize: VOCAB,
  seqLen: 160,
  sparsity: { qkv: 0.5, o: 0.4, gateUp: 0.6, down: 0 },
});
const mixture = { ...config, hiddenDim: 96, nExperts: 5, nExpertsPerToken: 2 };
const modelOf = (shape: ModelConfig) => strengthen(Transformer.create(shape, createReferenceBackend(), { seed: 5 }), 5);
const [dense, experts] = [modelOf(config), modelOf(mixture)];

interface Variant {
  choice: WeightChoice;
  kvType: KvType;
  model: Transformer;
}

const VARIANTS: readonly Variant[] = [
  { choice: { type: 'int8' }, kvType: 'f32', model: dense },
  { choice: { type: 'ternary', tables: 'int8' }, kvType: 'f16', model: dense },
  { choice: { type: 'int8', layout: 'channels' }, kvType: 'int8', model: dense },
  { choice: { type: 'int8' }, kvType: 'f16', model: experts },
];

const nameOf = ({ choice, kvType, model }: Variant) =>
  `${Object.values(choice).join(', ')}; cache ${kvType}${model === experts ? '; experts' : ''}`;
const idsOf = (length: number, from: number): number[] => Array.from({ length }, (_, i) => (i * 29 + from) % VOCAB);
const PROMPT = idsOf(9, 4);
const NEW_TOKENS = 24;

function engineOf(backend: Backend, { choice, kvType, model }: Variant, options: EngineOptions = {}): Engine {
  return new Engine(model.config, modelWeights(model, backend, choice), backend, { kvType, ...options });
}

/** The most probable continuation, and by how much the most probable token led at its closest. */
function greedy(engine: Engine): { ids: number[]; lead: number } {
  const sequence = new SingleSequence(engine);
  const ids: number[] = [];
  let lead = Infinity;
  let logits = sequence.prefill(PROMPT);
  for (let i = 0; i < NEW_TOKENS; i++) {
    const [first, second] = [...logits].sort((a, b) => b - a);
    lead = Math.min(lead, (first - second) / first);
    ids.push(argmax(logits));
    logits = sequence.decode(ids[i]);
  }
  return { ids, lead };
}

const references = new Map(VARIANTS.map((variant) => [variant, greedy(engineOf(createReferenceBackend(), variant))]));

/** Of the fewest threads, by backend and variant. */
const bits = new Map<string, Float32Array[][]>();

const BACKENDS: readonly { name: BuiltName; threads: number }[] = [
  { name: 'native', threads: 1 },
  { name: 'native', threads: 2 },
  { name: 'native', threads: 3 },
  { name: 'wasm', threads: 1 },
  { name: 'wasm', threads: 2 },
];

for (const { name, threads } of BACKENDS) {
  const missing = missingReason(name);
  describe.skipIf(missing !== null)(`engine on ${name}, ${threads} threads${missing ? ` (${missing})` : ''}`, () => {
    let backend: Backend;
    beforeAll(async () => {
      backend = await createBuiltBackend(name, threads);
    });
    afterAll(() => backend?.dispose());

    for (const variant of VARIANTS) {
      it(`writes the text of the reference: ${nameOf(variant)}`, () => {
        const expected = references.get(variant)!;
        // Backends round sums differently: no choice of this text may hang on that.
        expect(expected.lead).toBeGreaterThan(0.002);
        expect(new Set(expected.ids).size).toBeGreaterThan(3);
        expect(greedy(engineOf(backend, variant)).ids).toEqual(expected.ids);
      });

      it(`gives every token the same bits however it is run: ${nameOf(variant)}`, () => {
        const ids = [idsOf(90, 1), idsOf(40, 2)];
        const alone = ids.map((text) => rowsOf(engineOf(backend, variant), [text], [[1]])[0]);
        const key = `${name}, ${nameOf(variant)}`;
        expect(alone, 'with other threads').toEqual(bits.get(key) ?? alone);
        bits.set(key, alone);
        for (const sizes of [
          [[90, 40]],
          [[7, 1]],
          [
            [64, 3],
            [1, 20],
          ],
        ]) {
          const engine = engineOf(backend, variant, { maxSequences: 2 });
          const together = rowsOf(engine, ids, sizes);
          expect(together).toEqual(alone);
        }
        const cut = rowsOf(engineOf(backend, variant), [ids[0]], [[30], [5]]);
        expect(cut).toEqual([alone[0]]);
      });
    }
  });
}

/** The logits of all tokens of each text, run together in pieces of the given sizes, over and over. */
function rowsOf(engine: Engine, texts: readonly number[][], sizes: readonly (readonly number[])[]): Float32Array[][] {
  const sequences = texts.map(() => engine.createSequence());
  const rows: Float32Array[][] = texts.map(() => []);
  for (let step = 0; texts.some((text, s) => sequences[s].length < text.length); step++) {
    const batch: (BatchItem & { s: number })[] = [];
    for (const [s, text] of texts.entries()) {
      const { length } = sequences[s];
      const ids = text.slice(length, length + sizes[step % sizes.length][s]);
      if (ids.length > 0) batch.push({ sequence: sequences[s], ids, logits: 'all', s });
    }
    for (const [item, logits] of engine.run(batch).entries()) {
      for (let first = 0; first < logits.length; first += VOCAB) {
        rows[batch[item].s].push(logits.slice(first, first + VOCAB));
      }
    }
  }
  return rows;
}
