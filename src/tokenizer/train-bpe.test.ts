import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { BPE, byteLevelPreTokenizer, Tokenizer as RustTokenizer } from 'tokenizers';
import { describe, expect, it } from 'vitest';
import { sharedPath } from '../../test/golden/golden-file.ts';
import { UsageError } from '../util/errors.ts';
import { BYTE_CHARACTERS, WORD_PATTERN } from './byte-level.ts';
import { trainBpe } from './train-bpe.ts';

const shakespeare = sharedPath('data/text/tinyshakespeare.txt');

/** Counts everything again before every merge: slow and plain. */
function naiveMerges(documents: string[], count: number, minFrequency: number): [string, string][] {
  const order = new Map([...BYTE_CHARACTERS].sort().map((character, id) => [character, id]));
  const words = documents.flatMap((document) =>
    [...document.matchAll(WORD_PATTERN)].map(([word]) => [...Buffer.from(word)].map((byte) => BYTE_CHARACTERS[byte])),
  );
  const merges: [string, string][] = [];
  while (merges.length < count) {
    const pairs = new Map<string, { pair: [string, string]; count: number }>();
    for (const word of words) {
      for (let i = 0; i + 1 < word.length; i++) {
        const key = JSON.stringify([word[i], word[i + 1]]);
        const entry = pairs.get(key) ?? { pair: [word[i], word[i + 1]] as [string, string], count: 0 };
        pairs.set(key, { ...entry, count: entry.count + 1 });
      }
    }
    const rank = ([left, right]: [string, string]) => order.get(left)! * 2 ** 20 + order.get(right)!;
    const best = [...pairs.values()].sort((a, b) => b.count - a.count || rank(a.pair) - rank(b.pair))[0];
    if (best === undefined || best.count < minFrequency) break;
    const [left, right] = best.pair;
    merges.push(best.pair);
    order.set(left + right, order.size);
    for (const word of words) {
      for (let i = 0; i + 1 < word.length; i++) {
        if (word[i] === left && word[i + 1] === right) word.splice(i, 2, left + right);
      }
    }
  }
  return merges;
}

/** The largest vocabulary that the text supports, from the error that says so. */
function trainToTheEnd(documents: string[], minFrequency: number) {
  try {
    return trainBpe(documents, { vocabSize: 100_000, minFrequency });
  } catch (error) {
    const supported = Number(/supports (\d+) tokens/.exec((error as Error).message)![1]);
    return trainBpe(documents, { vocabSize: supported, minFrequency });
  }
}

describe('trainBpe', () => {
  it('merges as a plain recount does', () => {
    const texts = [
      'the cat sat on the mat. the cat ate the rat; that rat sat on the cat\n\nThe end of the tale of the cat.',
      'aaaa aaaa aaa aa bbbb abab abab ababab  naïve naïve 漢字 漢字 漢 🙂🙂 🙂',
    ];
    for (const text of texts) {
      const expected = naiveMerges([text], 30, 2);
      const { model } = trainBpe([text], { vocabSize: 257 + expected.length });
      expect(model.merges).toEqual(expected);
      expect(model.merges.length).toBeGreaterThan(10);
    }
  });

  it('merges as the Rust trainer does on random text of few letters, where ties are many', () => {
    const directory = mkdtempSync(join(tmpdir(), 'qsparse-bpe-'));
    try {
      const text = fc.array(fc.stringMatching(/^[ab ]{1,12}$/), { minLength: 1, maxLength: 20 });
      fc.assert(
        fc.property(text, (lines) => {
          const documents = lines.map((line) => `${line}x\n`);
          expect(trainToTheEnd(documents, 1).model.merges).toEqual(rustMerges(documents.join(''), directory));
        }),
        { numRuns: 30 },
      );
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it.skipIf(!existsSync(shakespeare))(
    `merges as the Rust trainer does on real text (${shakespeare})`,
    () => {
      const directory = mkdtempSync(join(tmpdir(), 'qsparse-bpe-'));
      const text = readFileSync(shakespeare, 'utf8').slice(0, 200_000);
      // The Rust trainer reads files line by line.
      const merges = trainToTheEnd(text.match(/.*\n|.+$/g)!, 1).model.merges;
      const expected = rustMerges(text, directory);
      rmSync(directory, { recursive: true });
      expect(merges.length).toBeGreaterThan(5000);
      expect(merges).toEqual(expected);
    },
    60_000,
  );

  it('lays ids out as special tokens, bytes, merges', () => {
    const json = trainBpe(['low lower lowest low low'], { vocabSize: 260, specialTokens: ['<a>', '<b>', '<a>'] });
    const ids = Object.values(json.model.vocab).sort((a, b) => a - b);
    expect(ids).toEqual(Array.from({ length: 260 }, (_, id) => id));
    expect(json.added_tokens.map(({ id, content }) => [id, content])).toEqual([
      [0, '<a>'],
      [1, '<b>'],
    ]);
    expect(json.model.vocab['!']).toBe(2);
    expect(json.model.merges).toEqual([
      ['l', 'o'],
      ['lo', 'w'],
    ]);
  });

  it('says how many tokens the text supports', () => {
    const text = ['abc abc abc'];
    expect(() => trainBpe(text, { vocabSize: 1000 })).toThrow(UsageError);
    expect(() => trainBpe(text, { vocabSize: 1000 })).toThrow(/supports 260 tokens .* at most 260/);
    expect(() => trainBpe(text, { vocabSize: 260 })).not.toThrow();
  });

  it('refuses empty text and impossible sizes', () => {
    expect(() => trainBpe([], { vocabSize: 300 })).toThrow(/no text/);
    expect(() => trainBpe(['', ''], { vocabSize: 300 })).toThrow(UsageError);
    for (const vocabSize of [0, 256, 300.5, Number.NaN, 2 ** 21]) {
      expect(() => trainBpe(['abc'], { vocabSize })).toThrow(/from 257/);
    }
  });

  it('reports progress that ends at or below the size', () => {
    const seen: number[] = [];
    const text = ['the quick brown fox jumps over the lazy dog '.repeat(3)];
    trainBpe(text, { vocabSize: 280, onProgress: ({ tokens }) => seen.push(tokens) });
    expect(seen.length).toBeGreaterThan(10);
    expect(Math.max(...seen)).toBe(280);
  });
});

/** The merges of the Rust trainer with its defaults: 30000 tokens, every pair that occurs, an alphabet of what it saw. */
function rustMerges(text: string, directory: string): [string, string][] {
  const tokenizer = new RustTokenizer(BPE.empty());
  tokenizer.setPreTokenizer(byteLevelPreTokenizer(false, true));
  const corpus = join(directory, 'corpus.txt');
  const result = join(directory, 'tokenizer.json');
  writeFileSync(corpus, text);
  tokenizer.train([corpus]);
  tokenizer.save(result);
  return JSON.parse(readFileSync(result, 'utf8')).model.merges;
}
