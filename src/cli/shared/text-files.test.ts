import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeTexts, givenTexts } from './text-files.ts';

let directory: string;
const place = (name: string) => join(directory, name);
const jsonLines = (rows: readonly object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'qsparse-texts-'));
  writeFileSync(place('whole.txt'), '\ufeffone\n\n{"text": "two"}\n');
  writeFileSync(place('lines.jsonl'), jsonLines([{ text: 'one\n' }, { text: 'two' }]));
  writeFileSync(place('bodies.jsonl'), jsonLines([{ body: 'three' }]));
  // More than a chunk of what reads it.
  writeFileSync(place('long.txt'), 'word '.repeat(2 ** 19));
  writeFileSync(place('latin.txt'), Buffer.from([0x61, 0xe9, 0x62]));
});
afterAll(() => rmSync(directory, { recursive: true }));

describe('givenTexts', () => {
  it('a file is one text, without a byte order mark; a line of JSONL is one', () => {
    expect(givenTexts({})).toBeUndefined();
    expect(givenTexts({ text: place('whole.txt') })).toEqual(['one\n\n{"text": "two"}\n']);
    expect(givenTexts({ text: place('lines.jsonl') })).toEqual(['one\n', 'two']);
    expect(givenTexts({ text: place('bodies.jsonl'), textField: 'body' })).toEqual(['three']);
    expect(givenTexts({ text: place('long.txt') })).toEqual(['word '.repeat(2 ** 19)]);
  });

  it('refuses what it cannot read, by file and line', () => {
    expect(() => givenTexts({ textField: 'body' })).toThrow(/^\[--text-field\] is of the files of --text, got none/);
    expect(() => givenTexts({ text: place('none.txt') })).toThrow(/none\.txt does not exist\. Check --text/);
    expect(() => givenTexts({ text: place('latin.txt') })).toThrow(/latin\.txt: byte 1 \(0xe9\) begins no character/);
    expect(() => givenTexts({ text: place('bodies.jsonl') })).toThrow(
      /bodies\.jsonl line 1: expected a string in field "text", found the fields body\. Name it with --text-field/,
    );
  });
});

it('encodeTexts: several begin as the model saw texts begin, a single one as it is', () => {
  const encode = (text: string) => Array.from(text, (character) => character.charCodeAt(0));
  const tokenizer = { encode, encodePrompt: (text: string) => [1, ...encode(text)] };
  expect(encodeTexts(tokenizer, ['ab'], 9)).toEqual([97, 98]);
  expect(encodeTexts(tokenizer, ['ab', 'c'], 9)).toEqual([1, 97, 98, 1, 99]);
  expect(encodeTexts(tokenizer, ['ab'], 1)).toEqual([97]);
  const encoded: string[] = [];
  const counting = {
    ...tokenizer,
    encodePrompt: (text: string) => tokenizer.encodePrompt(encoded[encoded.push(text) - 1]),
  };
  expect(encodeTexts(counting, ['ab', 'c', 'd'], 4)).toEqual([1, 97, 98, 1]);
  expect(encoded).toEqual(['ab', 'c']);
});
