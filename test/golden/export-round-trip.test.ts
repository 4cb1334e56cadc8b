/**
 * import(export(m)) = m: every golden model of other programs, and our own models with what those have, written for both programs and opened again: the
 * same configuration, the same numbers bit for bit, the same ids. What is read and what is written share no code but the names of
 * Hugging Face, and either is held against its program elsewhere.
 */

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ExportSource, exportSourceOf, openExportSource } from '../../src/export/export-source.ts';
import { writeGguf } from '../../src/export/write-gguf.ts';
import { writeHuggingFace } from '../../src/export/write-hugging-face.ts';
import type { ForeignModel } from '../../src/import/foreign-model.ts';
import { openForeign } from '../../src/import/open-model.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { describeParameters } from '../../src/model/parameters.ts';
import type { ModelConfigInput } from '../../src/model/resolve-config.ts';
import { sizeOf } from '../../src/tensor/tensor.ts';
import { tokenizerOfModel } from '../../src/tokenizer/tokenizer-of-model.ts';
import { createTinyRun } from '../support/tiny-checkpoint.ts';
import { missing, sharedPath } from './golden-file.ts';

const FORMATS = ['hf', 'gguf'] as const;
type Format = (typeof FORMATS)[number];

const DATA = join(import.meta.dirname, 'data');
const TEXT = 'The quick brown fox  jumps over 12 lazy dogs,\n<s> naïve.</s>  end ';

let directory: string;
let written = 0;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'qsparse-round-trip-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

/** Writes, opens what was written, compares, and closes both. */
async function expectSameBack(
  source: ExportSource,
  format: Format,
  { wanted = {}, words = TEXT }: { wanted?: Partial<ModelConfig>; words?: string } = {},
): Promise<void> {
  const out = join(directory, `model-${written++}${format === 'gguf' ? '.gguf' : ''}`);
  try {
    if (format === 'hf') await writeHuggingFace(source, out, { type: 'f32', maxShardBytes: 50_000 });
    else await writeGguf(source, out, { type: 'f32' });
    const back = openForeign(out);
    expect(back.config).toEqual({ ...source.config, ...wanted });
    expectSameNumbers(source, back);
    expectSameText(source, back, words);
    back.close();
  } finally {
    source.close();
  }
}

function expectSameNumbers(source: ExportSource, back: ForeignModel): void {
  for (const info of describeParameters(source.config)) {
    const [expected, got] = [source, back].map((model) => {
      const numbers = new Float32Array(sizeOf(info.shape)).fill(Number.NaN);
      model.read(info, numbers);
      return numbers;
    });
    expect(got, info.name).toEqual(expected);
  }
}

function expectSameText({ path, text }: ExportSource, back: ForeignModel, words: string): void {
  const [expected, got] = [
    { path, ...text },
    { path: back.path, ...back.text },
  ].map((files) => tokenizerOfModel(files));
  expect(got.encode(words)).toEqual(expected.encode(words));
  expect(got.encode(words).length).toBeGreaterThan(3);
  expect(got.bos ?? got.endOfText).toBe(expected.bos ?? expected.endOfText);
  if (expected.config !== null) expect(got.encodePrompt(words)).toEqual(expected.encodePrompt(words));
  expect(got.endIds.toSorted()).toEqual(expected.endIds.toSorted());
  expect(back.text.tokenizerConfig.chat_template).toBe(expected.config?.chat_template ?? null);
}

/** Ternary weights go out as they are multiplied; a model that selects nothing and rounds activations says so. */
const OF_BITNET = { weightFormat: 'float', sparsifier: 'none' } as const;

/** A text of all its tokens is all that the tokenizer of a tiny model can read. */
function vocabularyOf({ text }: ForeignModel): Record<string, number> {
  return (text.tokenizer as { model: { vocab: Record<string, number> } }).model.vocab;
}

/** The golden directories cut no words, for which llama.cpp has no name. */
function withWords(source: ForeignModel): ForeignModel {
  const pre_tokenizer = { type: 'ByteLevel', add_prefix_space: false };
  return { ...source, text: { ...source.text, tokenizer: { ...source.text.tokenizer, pre_tokenizer } } };
}

describe('models of other programs, written for both and opened again', () => {
  const refused: Record<string, RegExp> = {
    'mistral to gguf': /a sliding window of 5 in every layer/,
    'bitnet to gguf': /relu2 gates/,
    'bitnet-bitlinear to gguf': /relu2 gates/,
    'bitnet-online to gguf': /relu2 gates/,
  };
  const folders = readdirSync(join(DATA, 'hugging-face')).map((name) => [name, join(DATA, 'hugging-face', name)]);
  const files = readdirSync(join(DATA, 'gguf-models'))
    .filter((name) => name.endsWith('.gguf'))
    .map((name) => [name, join(DATA, 'gguf-models', name)]);
  expect([folders.length, files.length]).toEqual([13, 7]);
  for (const [name, path] of [...folders, ...files]) {
    for (const format of FORMATS) {
      const label = `${name} to ${format}`;
      it(refused[label] ? `${label}: refused` : label, async () => {
        const source = openForeign(path);
        const given = source.format === 'hugging-face' && format === 'gguf' ? withWords(source) : source;
        const words = Object.keys(vocabularyOf(source)).slice(1).reverse().join('');
        const done = expectSameBack(exportSourceOf(given), format, {
          wanted: name.startsWith('bitnet') ? OF_BITNET : {},
          words,
        });
        if (refused[label]) await expect(done).rejects.toThrow(refused[label]);
        else await done;
      });
    }
  }

  const stories = sharedPath('data', 'weights', 'stories260K.bin');
  const reason = missing(stories);
  it.skipIf(reason !== null).each(FORMATS)(`stories260K of llama2.c to %s${reason ? ` (${reason})` : ''}`, (format) =>
    expectSameBack(exportSourceOf(openForeign(stories)), format),
  );
});

describe('our own models, written for both and opened again', () => {
  const SILU = { activation: 'silu', nKvHeads: 1 } as const;
  const LINEAR = { ropeScaling: { type: 'linear', factor: 2.5 } } as const;
  const LLAMA3 = {
    ropeScaling: { type: 'llama3', factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalSeqLen: 32 },
  } as const;
  const cases: Record<string, Partial<ModelConfigInput>> = {
    'biases, linear': { ...SILU, ...LINEAR, qkvBias: true },
    'biases, heads wider than dim, llama3': { ...SILU, ...LLAMA3, qkvBias: true, headDim: 24, tiedEmbeddings: false },
    'norms of heads': { ...SILU, ...LINEAR, qkNorm: true, headDim: 24 },
    'norms of heads in a mixture': { ...SILU, qkNorm: true, nExperts: 3, nExpertsPerToken: 2, sparsity: 0.25 },
    'sub-norms, ternary': { activation: 'silu', subNorms: true, weightFormat: 'ternary', sparsity: 0 },
    'a mixture, linear': { ...SILU, ...LINEAR, nExperts: 3, nExpertsPerToken: 2 },
  };
  for (const [name, config] of Object.entries(cases)) {
    it.each(FORMATS)(`${name}, to %s`, async (format) => {
      const run = createTinyRun(config);
      // llama.cpp has no BitNet without activations of 8 bits.
      const isBitnet = 'subNorms' in config && format === 'gguf';
      const wanted: Partial<ModelConfig> = { weightFormat: 'float', ...(isBitnet && { activationFormat: 'int8' }) };
      await expectSameBack(openExportSource(run.directory), format, { wanted });
      run.remove();
    });
  }

  it('keeps windows where transformers can say them', async () => {
    for (const config of [
      {},
      { qkvBias: true },
      { qkNorm: true },
      { qkNorm: true, nExperts: 2, nExpertsPerToken: 1 },
    ]) {
      const run = createTinyRun({ ...SILU, ...config });
      const source = openExportSource(run.directory);
      await expectSameBack({ ...source, config: { ...source.config, slidingWindow: 7 } }, 'hf');
      run.remove();
    }
  });

  it('refuses what only one of them can say, and what neither can', async () => {
    const both = createTinyRun({ ...SILU, qkvBias: true, qkNorm: true });
    await expect(expectSameBack(openExportSource(both.directory), 'hf')).rejects.toThrow(
      /Qwen3 has them with one of o/,
    );
    await expectSameBack(openExportSource(both.directory), 'gguf');
    both.remove();
    const normsAndLlama3 = createTinyRun({ ...SILU, ...LLAMA3, qkNorm: true });
    await expectSameBack(openExportSource(normsAndLlama3.directory), 'hf');
    const toGguf = expectSameBack(openExportSource(normsAndLlama3.directory), 'gguf');
    await expect(toGguf).rejects.toThrow(/RoPE scaled as llama3: qwen3 knows linear scaling only/);
    normsAndLlama3.remove();
    const subNorms = createTinyRun({ activation: 'silu', subNorms: true, qkNorm: true });
    for (const format of FORMATS) {
      await expect(expectSameBack(openExportSource(subNorms.directory), format)).rejects.toThrow(/norms of.* heads/);
    }
    subNorms.remove();
  });
});
