import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { paragraphsOf, unpackBooks } from './books.ts';
import { knownShare, wordsOf } from './known-words.ts';

describe('the books of the quickstart', () => {
  it('joins the lines of a paragraph and leaves headings out', () => {
    const book = 'CHAPTER I\r\n\r\n  It was late\r\n  in May.\r\n\r\n* * *\r\n\r\nShe  said so.\r\n';
    expect(paragraphsOf(book)).toBe('It was late in May.\n\nShe said so.');
  });

  it('unpacks ten books of valid text, with the words that a reader expects', () => {
    const directory = mkdtempSync(join(tmpdir(), 'qsparse-books-'));
    try {
      const paths = unpackBooks(directory);
      expect(paths).toHaveLength(10);
      const text = paths.map((path) => readFileSync(path, 'utf8')).join('\n');
      expect(text).not.toContain('\ufffd');
      expect(text).not.toContain('\r');
      expect(text.length).toBeGreaterThan(4_000_000);
      const words = wordsOf(paths);
      for (const word of ['whale', 'alice', 'elinor', "don't"]) expect(words.has(word)).toBe(true);
      expect(knownShare('The whale was glorp and there', words)).toBeCloseTo(4 / 5);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
