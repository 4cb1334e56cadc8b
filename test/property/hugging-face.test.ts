/**
 * Damaged Hugging Face directories: whatever is in their JSON files and in the header of their weights, they open as a model whose parameters can be read, or
 * give a FormatError of one line.
 */

import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { openHuggingFace } from '../../src/import/hugging-face-model.ts';
import { describeParameters } from '../../src/model/parameters.ts';
import { sizeOf } from '../../src/tensor/tensor.ts';
import { FormatError } from '../../src/util/errors.ts';
import { fuzzRuns } from '../support/mutations.ts';

const golden = join(import.meta.dirname, '../golden/data/hugging-face/qwen3');
const directory = mkdtempSync(join(tmpdir(), 'qsparse-hugging-face-'));
cpSync(golden, directory, { recursive: true });
afterAll(() => rmSync(directory, { recursive: true }));

const FILES = [
  ...['config.json', 'model.safetensors.index.json', 'model-00002-of-00004.safetensors'],
  ...['tokenizer.json', 'tokenizer_config.json'],
];
const originals = new Map(FILES.map((file) => [file, readFileSync(join(golden, file))]));
/** Of a file of weights the header. */
const DAMAGED_BYTES = 3000;

/** Some bytes of one file replaced by what parsers of JSON, of paths and of sizes get wrong. */
const damage = fc.record({
  file: fc.constantFrom(...FILES),
  place: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  cut: fc.integer({ min: 0, max: 12 }),
  put: fc.constantFrom('', '0', '-1', '1e99', '"', '{', ']', ',', 'null', '[[[[', '../', '\n', '99999999999999999999'),
});

describe('a damaged Hugging Face directory', () => {
  it('opens as a model or is a FormatError of one line', () => {
    fc.assert(
      fc.property(damage, ({ file, place, cut, put }) => {
        const bytes = originals.get(file)!;
        const at = Math.floor(place * Math.min(bytes.length, DAMAGED_BYTES));
        const damaged = Buffer.concat([bytes.subarray(0, at), Buffer.from(put), bytes.subarray(at + cut)]);
        writeFileSync(join(directory, file), damaged);
        try {
          readAll();
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
          const { message } = error as FormatError;
          expect(message).not.toMatch(/[\n\r]/);
          expect(message.length).toBeLessThan(2000);
        } finally {
          writeFileSync(join(directory, file), bytes);
        }
      }),
      fuzzRuns(200),
    );
  });
});

function readAll(): void {
  const model = openHuggingFace(directory);
  try {
    for (const info of describeParameters(model.config)) model.read(info, new Float32Array(sizeOf(info.shape)));
  } finally {
    model.close();
  }
}
