import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { FormatError, UsageError } from '../util/errors.ts';
import { boundedLines } from './bounded-lines.ts';
import { MAX_LINE_BYTES, parseConversation } from './parse-conversation.ts';

const directory = mkdtempSync(join(tmpdir(), 'qsparse-sft-'));
afterAll(() => rmSync(directory, { recursive: true }));

function parse(value: unknown) {
  const bytes = Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
  return parseConversation({ number: 7, bytes, length: bytes.length }, 'a.jsonl');
}

const user = { role: 'user', content: 'Hi' };
const assistant = { role: 'assistant', content: 'Hello' };

describe('parseConversation', () => {
  it('reads the three forms', () => {
    const system = { role: 'system', content: 'Be brief.' };
    expect(parse({ id: 3, messages: [system, { ...user, name: 'x' }, assistant] })).toEqual([system, user, assistant]);
    expect(parse({ prompt: 'Hi', completion: 'Hello' })).toEqual([user, assistant]);
    expect(parse({ instruction: 'Hi', input: '', output: 'Hello' })).toEqual([user, assistant]);
    expect(parse({ instruction: 'Add.', input: '1, 2', output: '3' })).toEqual([
      { role: 'user', content: 'Add.\n\n1, 2' },
      { role: 'assistant', content: '3' },
    ]);
    expect(parse(' \r')).toBeNull();
    expect(parse('\ufeff{"prompt": "Hi", "completion": "Hello"}\r')).toEqual([user, assistant]);
  });

  it.each<[string, unknown, string]>([
    ['no JSON', '{"prompt": "Hi"', 'expected one JSON object: '],
    ['no object', [1], 'expected one JSON object, found'],
    ['other fields', { text: 'x', id: 1 }, 'expected the fields messages, prompt and completion, or'],
    ['no completion', { prompt: 'Hi' }, 'completion: expected a string, found no such field.'],
    ['no output', { instruction: 'Hi', input: 'x' }, 'output: expected a string, found no such field.'],
    ['a number', { prompt: 'Hi', completion: 3 }, 'completion: expected a string, found 3.'],
    ['an empty answer', { prompt: 'Hi', completion: ' \n' }, 'message 2: expected an answer, found an empty one.'],
    ['no list', { messages: {} }, 'messages: expected a list, found'],
    [
      'an unknown role',
      { messages: [{ ...user, role: 'tool' }] },
      'messages[0].role: expected system, user, assistant,',
    ],
    ['no role', { messages: [null] }, 'messages[0].role: expected system, user, assistant, found none.'],
    ['no content', { messages: [user, { role: 'assistant' }] }, 'messages[1].content: expected a string, found none.'],
    ['a list as content', { messages: [{ ...user, content: [] }] }, 'messages[0].content: expected a string, found'],
    ['an answer first', { messages: [assistant, user] }, 'expected a question (user) first, found assistant.'],
    ['a question last', { messages: [user, assistant, user] }, 'expected an answer (assistant) last, found user.'],
    [
      'a late system message',
      { messages: [user, { role: 'system', content: '' }, assistant] },
      'the system message first',
    ],
  ])('names the line: %s', (_name, value, message) => {
    expect(() => parse(value)).toThrow(FormatError);
    expect(() => parse(value)).toThrow(`[sft] a.jsonl line 7: `);
    expect(() => parse(value)).toThrow(message);
    try {
      parse(value);
    } catch (error) {
      expect((error as Error).message).not.toContain('\n');
    }
  });

  it('refuses bytes that are no UTF-8', () => {
    const bytes = Buffer.from([0x7b, 0xff, 0x7d]);
    expect(() => parseConversation({ number: 1, bytes, length: 3 }, 'a')).toThrow('a line 1: expected UTF-8');
  });

  it('passes over a line of 10 MB without keeping it', () => {
    const path = join(directory, 'long.jsonl');
    writeFileSync(path, `{"prompt":"a","completion":"b"}\n${'x'.repeat(1e7)}\n\n{"prompt":"c","completion":"d"}`);
    const lines = [...boundedLines(path, MAX_LINE_BYTES)];
    expect(lines.map(({ number, length, bytes }) => [number, length, bytes === null])).toEqual([
      [1, 31, false],
      [2, 1e7, true],
      [3, 0, false],
      [4, 31, false],
    ]);
    expect(() => parseConversation(lines[1], path)).toThrow(
      'line 2: expected a line of at most 8388608 bytes, found 10000000.',
    );
    expect(lines[3].bytes!.toString()).toBe('{"prompt":"c","completion":"d"}');
  });

  it('says which file cannot be read', () => {
    expect(() => [...boundedLines(join(directory, 'none'), 10)]).toThrow(UsageError);
    expect(() => [...boundedLines(directory, 10)]).toThrow('cannot be read');
  });
});
