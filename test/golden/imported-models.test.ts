/**
 * Real models of other programs, opened from their files: ids, logits and greedy continuations of SmolLM2-135M (GGUF, Q4_1; by transformers in float32)
 * and of llama2.c's stories15M and stories260K (by numpy, float32).
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backend.ts';
import { normalizerOf } from '../../src/eval/log-softmax.ts';
import { openModel } from '../../src/import/open-model.ts';
import { Engine } from '../../src/infer/engine.ts';
import { argmax } from '../../src/infer/sampler.ts';
import { SingleSequence } from '../../src/infer/single-sequence.ts';
import type { LoadedModel } from '../../src/model/load-model.ts';
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { tokenizerOfModel } from '../../src/tokenizer/tokenizer-of-model.ts';
import { goldenBackends } from './golden-backends.ts';
import { difference, missing, readArrays, readJson, sharedPath } from './golden-file.ts';

/** An hour in plain loops. */
const native = (await goldenBackends()).find(({ name }) => name === 'native')?.backend;

class Opened {
  readonly model: LoadedModel;
  readonly tokenizer: Tokenizer;
  readonly #engine: Engine;
  readonly #sequence: SingleSequence;

  constructor(path: string, backend: Backend, maxTokens: number) {
    this.model = openModel(path, backend);
    this.tokenizer = tokenizerOfModel(this.model);
    this.#engine = new Engine(this.model.config, this.model.weights, backend, { maxTokens });
    this.#sequence = new SingleSequence(this.#engine);
  }

  /** The logits behind the last id. */
  logits(ids: readonly number[]): Float32Array {
    this.#sequence.reset();
    return this.#sequence.prefill(ids).slice();
  }

  greedy(ids: readonly number[], count: number): number[] {
    const found = [argmax(this.logits(ids))];
    while (found.length < count) found.push(argmax(this.#sequence.decode(found[found.length - 1])));
    return found;
  }

  dispose(): void {
    this.#engine.dispose();
    this.model.dispose();
  }
}

interface Prompt {
  name: string;
  text: string;
  ids: number[];
  greedyIds: number[];
  greedyText: string;
}

const smollm2 = sharedPath('data', 'weights', 'SmolLM2-135M-Instruct-Q4_1.gguf');
const prompts = sharedPath('golden', 'smollm2-135m', 'prompts.json');
const noSmollm2 = native ? (missing(smollm2) ?? missing(prompts)) : 'skipped, the native backend is not here';

describe.skipIf(noSmollm2 !== null)(`SmolLM2-135M-Instruct, a GGUF file${noSmollm2 ? ` (${noSmollm2})` : ''}`, () => {
  let opened: Opened;
  beforeAll(() => {
    opened = new Opened(smollm2, native!, 128);
  });
  afterAll(() => opened?.dispose());

  it('has the configuration that its metadata say', () => {
    expect(opened.model.config).toMatchObject({
      ...{
        dim: 576,
        hiddenDim: 1536,
        nLayers: 30,
        nHeads: 9,
        nKvHeads: 3,
        headDim: 64,
        vocabSize: 49152,
        seqLen: 8192,
      },
      ...{ ropeTheta: 100_000, normEps: 1e-5, tiedEmbeddings: true, activation: 'silu', sparsifier: 'topk' },
    });
  });

  it('gives the ids, the last logits and the greedy words of transformers', () => {
    const logits = readArrays(sharedPath('golden', 'smollm2-135m', 'last_logits.safetensors'));
    for (const { name, text, ids } of readJson<{ prompts: Prompt[] }>(prompts).prompts) {
      expect(opened.tokenizer.encode(text), name).toEqual(ids);
      expect(difference(opened.logits(ids), logits.get(name)!.data).maxAbs, name).toBeLessThan(5e-4);
    }
    const { ids, greedyIds, greedyText } = readJson<{ prompts: Prompt[] }>(prompts).prompts[0];
    expect(opened.greedy(ids, greedyIds.length)).toEqual(greedyIds);
    expect(opened.tokenizer.decode(greedyIds)).toBe(greedyText);
  });
});

/** A short text at one sparsity, imposed without training, by transformers in float32. */
interface SparseCase {
  source: string;
  sparsity: number;
  ids: number[];
  /** What another float32 and a float64 program chose otherwise than this one, and slightly disturbed runs that chose alike, of 8. */
  float32: { differentChoices: number };
  float64: { differentChoices: number };
  noisyRunsWithTheSameChoices: number;
  /** Of every id but the first. */
  nllNats: number[];
  top10Ids: number[][];
  top10LogProbs: number[][];
}

const sparse = sharedPath('golden', 'smollm2-135m', 'sparse.json');

/** Elsewhere one of the choices of the largest hangs on the last bit, and all that comes after it with it. */
const isCertain = (a: SparseCase) =>
  a.float32.differentChoices === 0 && a.float64.differentChoices === 0 && a.noisyRunsWithTheSameChoices === 8;

describe.skipIf(noSmollm2 !== null || missing(sparse) !== null)('SmolLM2-135M-Instruct with zeros imposed', () => {
  it('has the log-probabilities of transformers where the choices of the largest are certain', () => {
    const model = openModel(smollm2, native!);
    const engine = new Engine(model.config, model.weights, native!, { maxTokens: 32 });
    const cases = readJson<{ exact: SparseCase[] }>(sparse).exact.filter(isCertain);
    expect(cases).toHaveLength(6);
    for (const { source, sparsity, ids, nllNats, top10Ids, top10LogProbs } of cases) {
      const sequence = engine.createSequence({ sparsity });
      const [logits] = engine.run([{ sequence, ids, logits: 'all' }]);
      const { vocabSize } = model.config;
      const found = ids.map((_, t) => {
        const row = logits.subarray(t * vocabSize, (t + 1) * vocabSize);
        const { logSum } = normalizerOf(row);
        return (id: number) => row[id] - logSum;
      });
      const nll = nllNats.map((_, t) => -found[t](ids[t + 1]));
      const top = top10Ids.flatMap((row, t) => row.map(found[t]));
      expect(difference(nll, nllNats).maxAbs, `${source} at ${sparsity}`).toBeLessThan(2e-4);
      expect(difference(top, top10LogProbs.flat()).maxAbs, `${source} at ${sparsity}`).toBeLessThan(2e-4);
      sequence.release();
    }
    engine.dispose();
    model.dispose();
  });
});

interface StoriesGolden {
  prompt: string;
  promptIds: number[];
  ids: number[];
  text: string;
}

for (const name of ['stories15M', 'stories260K']) {
  const file = sharedPath('data', 'weights', `${name}.bin`);
  const reason = native
    ? (missing(file) ?? missing(sharedPath('golden', name)))
    : 'skipped, the native backend is not here';
  describe.skipIf(reason !== null)(`${name}, a checkpoint of llama2.c${reason ? ` (${reason})` : ''}`, () => {
    it('gives the ids, the logits at every position of the prompt and the greedy story of llama2.c', () => {
      const golden = readJson<StoriesGolden>(sharedPath('golden', name, 'golden.json'));
      const opened = new Opened(file, native!, 128);
      const { promptIds } = golden;
      expect(opened.tokenizer.encodePrompt(golden.prompt)).toEqual(promptIds);
      const logits = readArrays(sharedPath('golden', name, 'prompt_logits.safetensors')).get('logits')!.data;
      const { vocabSize } = opened.model.config;
      for (const [position] of promptIds.entries()) {
        const expected = logits.subarray(position * vocabSize, (position + 1) * vocabSize);
        expect(difference(opened.logits(promptIds.slice(0, position + 1)), expected).maxAbs).toBeLessThan(2e-4);
      }
      const count = golden.ids.length - promptIds.length;
      expect([...promptIds, ...opened.greedy(promptIds, count)]).toEqual(golden.ids);
      opened.dispose();
    });
  });
}
