/**
 * Damaged packed models, as a page or `load` gets them from strangers: whatever is in their JSON files and in the header of their weights, they open, or give an error of ours
 * in one line; none takes memory or time by the numbers that it states.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../../src/backends/reference/reference-backend.ts';
import { memorySource } from '../../src/formats/byte-source.ts';
import { openModelBytes } from '../../src/load/open-model-bytes.ts';
import { QSparseError } from '../../src/util/errors.ts';
import { fuzzRuns } from '../support/mutations.ts';
import { createTinyPacked, type TinyPacked } from '../support/tiny-packed.ts';

const FILES = ['config.json', 'tokenizer.json', 'model.safetensors'] as const;
/** Of a file of weights the header. */
const DAMAGED_BYTES = 4000;

let packed: TinyPacked;
let originals: Map<string, Buffer>;
beforeAll(async () => {
  packed = await createTinyPacked('int8');
  originals = new Map(FILES.map((file) => [file, readFileSync(join(packed.directory, file))]));
});
afterAll(() => packed.remove());

/** Some bytes of one file replaced by what parsers of JSON and of sizes get wrong. */
const damage = fc.record({
  file: fc.constantFrom(...FILES),
  place: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  cut: fc.integer({ min: 0, max: 12 }),
  put: fc.constantFrom(
    '',
    '0',
    '-1',
    '1e99',
    '"',
    '{',
    ']',
    ',',
    'null',
    '[[[[',
    '\n',
    '99999999',
    '99999999999999999999',
  ),
});

/** Numbers that lists and tables would be as long as. */
const counts = fc.record({
  field: fc.constantFrom('nLayers', 'nExperts', 'nExpertsPerToken', 'vocabSize', 'dim', 'hiddenDim', 'seqLen'),
  value: fc.constantFrom(0, -1, 1.5, 4095, 4096, 65_536, 2 ** 24, 5e7, 2 ** 31, 2 ** 53, 1e300),
});

async function open(changed: ReadonlyMap<string, Buffer>): Promise<void> {
  const source = (name: string) => memorySource(changed.get(name) ?? (originals.get(name) as Buffer), name);
  const backend = createReferenceBackend();
  const [config, tokenizer, model] = FILES.map(source);
  try {
    const opened = await openModelBytes(
      { kind: 'packed', name: 'model', config, tokenizer, tokenizerConfig: null, model },
      backend,
    );
    opened.dispose();
  } catch (error) {
    expect(error).toBeInstanceOf(QSparseError);
    const { message } = error as QSparseError;
    expect(message).not.toMatch(/[\n\r]/);
    expect(message.length).toBeLessThan(2000);
  } finally {
    backend.dispose();
  }
}

describe('a damaged packed model', () => {
  it('opens or is an error of one line', async () => {
    await open(new Map());
    await fc.assert(
      fc.asyncProperty(damage, async ({ file, place, cut, put }) => {
        const bytes = originals.get(file) as Buffer;
        const at = Math.floor(place * Math.min(bytes.length, DAMAGED_BYTES));
        await open(
          new Map([[file, Buffer.concat([bytes.subarray(0, at), Buffer.from(put), bytes.subarray(at + cut)])]]),
        );
      }),
      fuzzRuns(200),
    );
  });

  it('makes nothing of the numbers of its configuration before they are bounded', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(counts, { minLength: 1, maxLength: 3 }), async (changes) => {
        const config = JSON.parse((originals.get('config.json') as Buffer).toString());
        for (const { field, value } of changes) config[field] = value;
        await open(new Map([['config.json', Buffer.from(JSON.stringify(config))]]));
      }),
      fuzzRuns(100),
    );
  });
});
