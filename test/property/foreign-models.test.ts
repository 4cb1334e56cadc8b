/**
 * Damaged models of other programs, as files: whatever is in them, opening and reading every parameter gives finite numbers or a FormatError of one
 * line, and nothing else.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { openForeign } from '../../src/import/open-model.ts';
import { describeParameters } from '../../src/model/parameters.ts';
import { sizeOf } from '../../src/tensor/tensor.ts';
import { FormatError } from '../../src/util/errors.ts';
import { ggufBytes } from '../support/gguf-bytes.ts';
import { aDamagedFile, fuzzRuns } from '../support/mutations.ts';
import { TINY_LLAMA, tinyGguf } from '../support/tiny-gguf.ts';
import { tinyLlama2c, writeTinyLlama2c } from '../support/tiny-llama2c.ts';

const directory = mkdtempSync(join(tmpdir(), 'qsparse-fuzz-'));
afterAll(() => rmSync(directory, { recursive: true }));

const GGUF_FILES = [
  TINY_LLAMA,
  { ...TINY_LLAMA, architecture: 'bitnet', subNorms: true },
  { ...TINY_LLAMA, architecture: 'qwen2', nLayers: 1 },
].map((shape) => ggufBytes(tinyGguf(shape)));

describe('a damaged model of another program', () => {
  it('in a GGUF file is read whole or refused', () => {
    const path = join(directory, 'model.gguf');
    fc.assert(
      fc.property(aDamagedFile(GGUF_FILES), (bytes) => {
        writeFileSync(path, bytes);
        readAllOrRefuse(path);
      }),
      fuzzRuns(300),
    );
  });

  it('of llama2.c is read whole or refused', () => {
    const path = writeTinyLlama2c(join(directory, 'llama2c'));
    fc.assert(
      fc.property(aDamagedFile([tinyLlama2c()]), (bytes) => {
        writeFileSync(path, bytes);
        readAllOrRefuse(path);
      }),
      fuzzRuns(300),
    );
  });
});

function readAllOrRefuse(path: string): void {
  try {
    const model = openForeign(path);
    try {
      for (const parameter of describeParameters(model.config)) {
        const out = new Float32Array(sizeOf(parameter.shape)).fill(Number.NaN);
        model.read(parameter, out);
        expect(out.every(Number.isFinite)).toBe(true);
      }
    } finally {
      model.close();
    }
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
    expect((error as Error).message).toMatch(/^\[[\w.]+\] [^\n]*$/);
  }
}
