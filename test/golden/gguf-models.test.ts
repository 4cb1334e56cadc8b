/**
 * Each architecture of GGUF files: a tiny random model of `transformers`, converted by llama.cpp's own script, gives the logits that transformers
 * computed in float64 (make-gguf-models.py).
 */

import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openModel } from '../../src/import/open-model.ts';
import { Engine } from '../../src/infer/engine.ts';
import { SingleSequence } from '../../src/infer/single-sequence.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { goldenBackends } from './golden-backends.ts';
import { difference, readArrays } from './golden-file.ts';

const DATA = join(import.meta.dirname, 'data', 'gguf-models');
const LLAMA3 = { type: 'llama3', factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalSeqLen: 8192 } as const;
const EXPECTED: Record<string, Partial<ModelConfig>> = {
  llama: { tiedEmbeddings: false, hiddenDim: 40, nKvHeads: 2, headDim: 6, seqLen: 64, normEps: 1e-6 },
  llama3: { ropeScaling: LLAMA3, ropeTheta: 500_000, headDim: 16, tiedEmbeddings: true },
  'llama-linear': { ropeScaling: { type: 'linear', factor: 4 }, qkvBias: false },
  qwen2: { qkvBias: true, qkNorm: false },
  qwen3: { qkNorm: true, headDim: 8 },
  mixtral: { nExperts: 4, nExpertsPerToken: 2, hiddenDim: 40 },
  qwen3moe: { nExperts: 4, nExpertsPerToken: 2, hiddenDim: 16, qkNorm: true },
};
/** Of logits of about 10, in f32 against f64. */
const TOLERANCE = 1e-4;

for (const { name: backendName, backend } of (await goldenBackends()).filter(({ dtype }) => dtype === 'f32')) {
  describe(`GGUF files on ${backendName}`, () => {
    for (const [name, config] of Object.entries(EXPECTED)) {
      it(`${name}: the logits of transformers at every position`, () => {
        const model = openModel(join(DATA, `${name}.gguf`), backend);
        expect(model.config).toMatchObject({ ...config, activation: 'silu', sparsifier: 'topk', vocabSize: 40 });
        const arrays = readArrays(join(DATA, `${name}.safetensors`));
        const engine = new Engine(model.config, model.weights, backend);
        const sequence = new SingleSequence(engine);
        const got = [...arrays.get('input_ids')!.data].flatMap((id) => [...sequence.decode(id)]);
        expect(difference(got, arrays.get('logits')!.data).maxAbs).toBeLessThan(TOLERANCE);
        engine.dispose();
        model.dispose();
      });
    }
  });
}
