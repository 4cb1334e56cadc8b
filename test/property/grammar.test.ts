/** Laws of constrained sampling: nothing that is allowed leaves the schema, and everything valid is allowed. */

import { existsSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { constrainTokens } from '../../src/grammar/constrain-tokens.ts';
import { GrammarVocabulary } from '../../src/grammar/grammar-vocabulary.ts';
import { compileJsonSchema } from '../../src/grammar/json-grammar.ts';
import { Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { Prng } from '../../src/util/prng.ts';
import { sharedPath } from '../golden/golden-file.ts';
import { isValid } from '../support/plain-schema-validator.ts';
import { randomDocument, randomSchema } from '../support/random-schema.ts';

const encoder = new TextEncoder();

/** All bytes, and pieces of JSON and of characters as real vocabularies have them; the last token ends a text. */
const PIECES = [
  '{"',
  '":',
  '": ',
  '",',
  '", "',
  '"}',
  '},',
  '}]',
  '[[',
  '],',
  'true',
  'false',
  'null',
  '\n  ',
  '":"',
  'id',
  'name',
  'ab',
  '00',
  '1.',
  '\\u',
  '\\"',
  'é',
  '漢"',
  'circle',
  '-0',
  'e1',
  '2024-',
  '::',
];
const BYTES: (Uint8Array | null)[] = [
  ...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)),
  ...PIECES.map((piece) => encoder.encode(piece)),
  // The end of one character and the beginning of another.
  Uint8Array.of(0x99, 0x82, 0xf0),
  Uint8Array.of(0x22, 0xf0, 0x9f),
  null,
];
const END = BYTES.length - 1;
const VOCABULARY = new GrammarVocabulary(BYTES);

const MOST_TOKENS = 3000;

/** Tokens chosen at random, after some dozens those that lead to an end. Throws where none is allowed. */
function randomText(
  schema: unknown,
  bytes: readonly (Uint8Array | null)[],
  vocabulary: GrammarVocabulary,
  end: number,
  seed: number,
): string {
  const allowed = constrainTokens(compileJsonSchema(schema), vocabulary, [end]);
  const prng = new Prng(seed);
  const pick = (from: readonly number[]) => from[Math.floor(prng.next() * from.length)];
  const wanted = 5 + Math.floor(prng.next() * 60);
  const ids: number[] = [];
  while (ids.length < MOST_TOKENS) {
    const words = allowed(ids);
    const choices: number[] = [];
    for (let id = 0; id < bytes.length; id++) if ((words[id >>> 5] >>> (id & 31)) & 1) choices.push(id);
    const isClosing = ids.length >= wanted;
    if (choices.includes(end) && (isClosing || choices.length === 1 || prng.next() < 0.3)) break;
    const text = Buffer.concat(ids.map((id) => bytes[id]!)).toString('latin1');
    ids.push(isClosing ? closing(choices, text, bytes, pick) : pick(choices.filter((id) => id !== end)));
  }
  expect(ids.length).toBeLessThan(MOST_TOKENS);
  return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(ids.map((id) => bytes[id]!)));
}

/** A single byte that ends what is open, where one does. */
function closing(
  choices: readonly number[],
  text: string,
  bytes: readonly (Uint8Array | null)[],
  pick: (from: readonly number[]) => number,
): number {
  const isInString = (text.replace(/\\./gs, '').match(/"/g) ?? []).length % 2 === 1;
  const single = choices.filter((id) => bytes[id]?.length === 1);
  const of = (characters: string) => single.find((id) => characters.includes(String.fromCharCode(bytes[id]![0])));
  if (isInString) return of('"') ?? pick(single);
  return (
    of('}') ?? of(']') ?? of('n') ?? pick(single.filter((id) => !' \n\t'.includes(String.fromCharCode(bytes[id]![0]))))
  );
}

/** The same text cut into tokens at random: longest pieces here, single bytes there. */
function randomTokens(text: string, seed: number): number[] {
  const prng = new Prng(seed);
  const rest = encoder.encode(text);
  const ids: number[] = [];
  for (let at = 0; at < rest.length; ) {
    const fitting = BYTES.flatMap((bytes, id) => (bytes?.every((byte, i) => rest[at + i] === byte) ? [id] : []));
    const id = fitting[Math.floor(prng.next() * fitting.length)];
    ids.push(id);
    at += BYTES[id]!.length;
  }
  return ids;
}

describe('constrained sampling', () => {
  it('writes documents of the schema, whatever is chosen', () => {
    fc.assert(
      fc.property(randomSchema, fc.nat(), (schema, seed) => {
        const text = randomText(schema, BYTES, VOCABULARY, END, seed);
        const value: unknown = JSON.parse(text);
        expect(isValid(schema, value), `${text} under ${JSON.stringify(schema)}`).toBe(true);
      }),
      { numRuns: 150 },
    );
  });

  it('allows every document of the schema, in whatever tokens, and the end behind it alone', () => {
    fc.assert(
      fc.property(randomSchema, fc.nat(), fc.constantFrom(undefined, 2, '\t'), (schema, seed, indent) => {
        const value = randomDocument(schema, seed);
        expect(isValid(schema, value)).toBe(true);
        const text = JSON.stringify(value, null, indent);
        // Constants and enums are written without white space only.
        fc.pre(indent === undefined || !/"(const|enum)":/.test(JSON.stringify({ ...schema, $defs: 0 })));
        const ids = randomTokens(text, seed);
        const allowed = constrainTokens(compileJsonSchema(schema), VOCABULARY, [END]);
        for (let length = 0; length <= ids.length; length++) {
          const words = allowed(ids.slice(0, length));
          const next = length < ids.length ? ids[length] : END;
          const where = `${text} under ${JSON.stringify(schema)}: token ${length}`;
          expect((words[next >>> 5] >>> (next & 31)) & 1, where).toBe(1);
        }
      }),
      { numRuns: 150 },
    );
  });

  const path = sharedPath('data', 'tokenizers', 'smollm2-tokenizer.json');
  it.skipIf(!existsSync(path))(`does so with a real vocabulary (${path})`, () => {
    const tokenizer = Tokenizer.fromJson(JSON.parse(readFileSync(path, 'utf8')));
    const bytes = Array.from({ length: tokenizer.vocabSize }, (_, id) => tokenizer.tokenBytes(id));
    const vocabulary = new GrammarVocabulary(bytes);
    const schema = {
      type: 'object',
      properties: {
        name: { type: 'string', minLength: 1, maxLength: 20 },
        email: { type: 'string', format: 'email' },
        scores: { type: 'array', items: { type: 'number', minimum: 0, maximum: 1 }, maxItems: 3 },
        tree: { $ref: '#/$defs/tree' },
      },
      required: ['name', 'tree'],
      $defs: {
        tree: { type: 'object', properties: { left: { $ref: '#/$defs/tree' }, tag: { enum: ['a', 'ab', 1, null] } } },
      },
    };
    for (let seed = 0; seed < 4; seed++) {
      expect(isValid(schema, JSON.parse(randomText(schema, bytes, vocabulary, 0, seed)))).toBe(true);
    }
  });
});
