import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { Tokenizer } from '../tokenizer/tokenizer.ts';
import { trainBpe } from '../tokenizer/train-bpe.ts';
import { FormatError, UsageError } from '../util/errors.ts';
import type { TextSourceOptions } from './text-source.ts';
import { openTextSource } from './text-source.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'qsparse-text-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
});

function write(name: string, content: string | Uint8Array): string {
  const path = join(directory, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, content);
  return path;
}

/** Whole documents, put together from their chunks. */
function documents(paths: string[], options?: TextSourceOptions): string[] {
  const result = [''];
  for (const { text, bytes, endsDocument } of openTextSource(paths, options).chunks()) {
    expect(bytes).toBe(Buffer.byteLength(text));
    result[result.length - 1] += text;
    if (endsDocument) result.push('');
  }
  expect(result.pop()).toBe('');
  return result;
}

describe('openTextSource', () => {
  it('takes each text file as one document, in the order of the paths', () => {
    const b = write('b.txt', 'second\r\n\r\n');
    const a = write('a.anything', '\ufefffirst');
    expect(documents([b, a])).toEqual(['second\r\n\r\n', 'first']);
    expect(openTextSource([b, a]).totalBytes).toBe(10 + 8);
  });

  it('takes folders recursively, sorted, without hidden and other files', () => {
    write('f/b.txt', 'b');
    write('f/a/z.md', 'az');
    write('f/a.jsonl', '{"text":"a1"}\n{"text":"a2"}');
    write('f/c.jsonl.gz', gzipSync('{"text":"c"}\n'));
    write('f/B.txt', 'B');
    write('f/empty.txt', '');
    for (const name of ['f/.hidden.txt', 'f/.git/x.txt', 'f/image.png', 'f/data.json']) write(name, 'no');
    expect(documents([join(directory, 'f')])).toEqual(['B', 'az', 'a1', 'a2', 'b', 'c']);
  });

  it('reads JSONL by field, past empty lines, CRLF and a missing last line end', () => {
    const lines = '{"text":"no","story":"one\\n\\u00e9"}\r\n\n  \n{"story":""}\n{"story":"two","n":1}';
    const path = write('x.jsonl', lines);
    expect(documents([path], { field: 'story' })).toEqual(['one\né', 'two']);
    expect(documents([write('y.jsonl.gz', gzipSync(lines))], { field: 'story' })).toEqual(['one\né', 'two']);
  });

  it('puts lines together that span blocks of the file', () => {
    const texts = Array.from({ length: 5 }, (_, i) => 'ä'.repeat(300_000 + i));
    const path = write('x.jsonl', texts.map((text) => JSON.stringify({ text })).join('\n'));
    expect(documents([path])).toEqual(texts);
  });

  it('says which line is wrong and why', () => {
    const malformed = write('bad.jsonl', '{"text":"a"}\n\n{"text":\n');
    expect(() => documents([malformed])).toThrow(FormatError);
    expect(() => documents([malformed])).toThrow(/bad\.jsonl line 3: expected one JSON object per line/);
    const other = write('other.jsonl', '{"text":"a"}\n{"body":"x","id":3}\n');
    expect(() => documents([other])).toThrow(UsageError);
    expect(() => documents([other])).toThrow(/line 2: expected a string in field "text", found the fields body, id\./);
    for (const line of ['null', '3', '[]', '{"text":3}']) {
      expect(() => documents([write('odd.jsonl', line)])).toThrow(UsageError);
    }
    expect(() => documents([write('no.jsonl.gz', 'not gzip')])).toThrow(/cannot be inflated/);
  });

  it('names the byte that is no UTF-8', () => {
    const at = (offset: number, bytes: number[], length = 40) => {
      const content = Buffer.alloc(length, 'é');
      Buffer.from(bytes).copy(content, offset);
      return content;
    };
    for (const [offset, bytes] of [
      [6, [0xff]],
      [10, [0xc3, 0x41]],
      [20, [0xed, 0xa0, 0x80]],
      [38, [0xe6, 0xbc]],
      [0, [0x80]],
    ] as const) {
      for (const chunkBytes of [1024, 7]) {
        const path = write('x.txt', at(offset, [...bytes]));
        expect(() => documents([path], { chunkBytes })).toThrow(FormatError);
        expect(() => documents([path], { chunkBytes })).toThrow(`byte ${offset} (0x${bytes[0].toString(16)})`);
      }
    }
    const line = Buffer.concat([Buffer.from('{"text":"a"}\n{"text":"'), Buffer.from([0xff]), Buffer.from('"}')]);
    expect(() => documents([write('x.jsonl', line)])).toThrow('byte 22 (0xff)');
  });

  it('refuses what is missing, empty or holds no text', () => {
    const missing = join(directory, 'none');
    expect(() => openTextSource([missing])).toThrow(UsageError);
    expect(() => openTextSource([missing])).toThrow(`${missing} does not exist. Check --text.`);
    expect(() => openTextSource([])).toThrow(/Name files or folders/);
    expect(() => openTextSource([write('e.txt', '')])).toThrow(/every file is empty/);
    write('f/image.png', 'x');
    expect(() => openTextSource([join(directory, 'f')])).toThrow(/holds no text: expected files that end in .txt/);
  });

  it('gives chunks below the target that make up the same text and the same tokens', () => {
    const pieces = [
      'a',
      'word',
      ' ',
      '  ',
      '\n',
      '\n\n',
      '\r\n',
      '.',
      '漢字',
      '🙂',
      "'s",
      '\u0085',
      '\ufeff',
      '\u2003',
    ];
    const tokenizer = Tokenizer.fromJson(trainBpe([pieces.join(' ').repeat(4)], { vocabSize: 270 }));
    const text = fc
      .array(fc.constantFrom(...pieces), { minLength: 1, maxLength: 60 })
      .map((parts) => `x${parts.join('')}`);
    fc.assert(
      fc.property(text, fc.integer({ min: 12, max: 60 }), (value, chunkBytes) => {
        const path = write('x.txt', value);
        const chunks = [...openTextSource([path], { chunkBytes }).chunks()];
        expect(chunks.map((chunk) => chunk.text).join('')).toBe(value);
        for (const chunk of chunks) expect(chunk.text.length).toBeLessThanOrEqual(chunkBytes);
        // Where a half chunk has no white space at all, a word has to be cut.
        const gaps = [...value.matchAll(/\p{White_Space}\P{White_Space}/gu)].map((match) => match.index);
        const widest = Math.max(...[...gaps, value.length].map((gap, i) => gap - (gaps[i - 1] ?? 0)));
        if (widest > chunkBytes / 2 - 2) return;
        const ids = chunks.flatMap((chunk) => tokenizer.encode(chunk.text));
        expect(ids).toEqual(tokenizer.encode(value));
      }),
      { numRuns: 200 },
    );
  });
});
