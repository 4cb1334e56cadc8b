import { describe, expect, it } from 'vitest';
import { FormatError } from '../util/errors.ts';
import { MAX_RECORD_BYTES, parseConversation } from './parse-conversation.ts';

function parse(value: unknown) {
  const bytes = Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
  return parseConversation({ line: 7, bytes, length: bytes.length }, 'a.jsonl');
}

const user = { role: 'user', content: 'Hi' };
const assistant = { role: 'assistant', content: 'Hello' };

describe('parseConversation', () => {
  it('reads the four forms', () => {
    const system = { role: 'system', content: 'Be brief.' };
    expect(parse({ id: 3, messages: [system, { ...user, name: 'x' }, assistant] })).toEqual([system, user, assistant]);
    const shareGpt = [
      { from: 'system', value: 'Be brief.' },
      { from: 'human', value: 'Hi' },
      { from: 'gpt', value: 'Hello', weight: 1 },
    ];
    expect(parse({ conversations: shareGpt })).toEqual([system, user, assistant]);
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
    ['other fields', { text: 'x', id: 1 }, 'expected the fields messages, conversations, prompt and completion, or'],
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
    [
      'a role of another form',
      { conversations: [{ from: 'tool', value: '' }] },
      'conversations[0].from: expected system, user, assistant, human, gpt, found',
    ],
    ['no value', { conversations: [{ from: 'human' }] }, 'conversations[0].value: expected a string, found none.'],
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
    expect(() => parseConversation({ line: 1, bytes, length: 3 }, 'a')).toThrow('a line 1: expected UTF-8');
  });

  it('refuses what was longer than its bound', () => {
    const length = MAX_RECORD_BYTES + 1;
    expect(() => parseConversation({ line: 2, bytes: null, length }, 'a')).toThrow(
      'a line 2: expected at most 8388608 bytes in one conversation, found 8388609.',
    );
  });
});
