/**
 * One line of the data of a fine-tuning as a conversation.
 *
 * Three forms, told apart by their fields: `messages` with role and content (as the chat interfaces have them), `prompt` and `completion`, and
 * Alpaca's `instruction`, `input` and `output`. The last two are a question and its answer. Whatever form: the first message that is not
 * the system's is a question, the last one is an answer, and no answer is empty.
 */

import { isUtf8 } from 'node:buffer';
import type { ChatMessage } from '../chat/chat-template.ts';
import { FormatError, messageOf } from '../util/errors.ts';
import { shown } from '../util/problems.ts';
import type { BoundedLine } from './bounded-lines.ts';

/** Far beyond any context; what is longer is another file, or one without line ends. */
export const MAX_LINE_BYTES = 2 ** 23;

const ROLES: readonly string[] = ['system', 'user', 'assistant'];
const FORMS = 'messages, prompt and completion, or instruction and output';

type Json = Record<string, unknown>;

/** null for a blank line. Throws FormatError that names `path` and the line. */
export function parseConversation({ bytes, length, number }: BoundedLine, path: string): ChatMessage[] | null {
  const fail = (what: string): never => {
    throw new FormatError('sft', `${path} line ${number}: ${what}`, path);
  };
  if (bytes === null) return fail(`expected a line of at most ${MAX_LINE_BYTES} bytes, found ${length}.`);
  if (!isUtf8(bytes)) return fail('expected UTF-8, found bytes that are none.');
  const text = bytes.toString('utf8').replace(/^\ufeff/, '');
  if (text.trim() === '') return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return fail(`expected one JSON object: ${messageOf(error)}.`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return fail(`expected one JSON object, found ${shown(value)}.`);
  }
  const messages = messagesOf(value as Json, fail);
  checkOrder(messages, fail);
  return messages;
}

type Fail = (what: string) => never;

function messagesOf(line: Json, fail: Fail): ChatMessage[] {
  if (line.messages !== undefined) return chatMessages(line.messages, fail);
  const text = (field: string): string => {
    const value = line[field];
    if (typeof value === 'string') return value;
    return fail(`${field}: expected a string, found ${value === undefined ? 'no such field' : shown(value)}.`);
  };
  if (line.prompt !== undefined || line.completion !== undefined) {
    return [
      { role: 'user', content: text('prompt') },
      { role: 'assistant', content: text('completion') },
    ];
  }
  if (line.instruction !== undefined || line.output !== undefined) {
    const instruction = text('instruction');
    const hasInput = line.input !== undefined && line.input !== null && line.input !== '';
    return [
      { role: 'user', content: hasInput ? `${instruction}\n\n${text('input')}` : instruction },
      { role: 'assistant', content: text('output') },
    ];
  }
  const names = Object.keys(line).slice(0, 8).join(', ') || 'none';
  return fail(`expected the fields ${FORMS}, found ${names.slice(0, 200)}.`);
}

function chatMessages(value: unknown, fail: Fail): ChatMessage[] {
  if (!Array.isArray(value) || value.length === 0) return fail(`messages: expected a list, found ${shown(value)}.`);
  return value.map((message: Json | null, index): ChatMessage => {
    const at = `messages[${index}]`;
    const { role, content }: Json = message ?? {};
    if (typeof role !== 'string' || !ROLES.includes(role)) {
      return fail(`${at}.role: expected ${ROLES.join(', ')}, found ${role === undefined ? 'none' : shown(role)}.`);
    }
    if (typeof content !== 'string') {
      return fail(`${at}.content: expected a string, found ${content === undefined ? 'none' : shown(content)}.`);
    }
    return { role: role as ChatMessage['role'], content };
  });
}

function checkOrder(messages: readonly ChatMessage[], fail: Fail): void {
  messages.forEach(({ role, content }, index) => {
    if (role === 'assistant' && content.trim() === '')
      fail(`message ${index + 1}: expected an answer, found an empty one.`);
    if (role === 'system' && index > 0) fail(`message ${index + 1}: expected the system message first.`);
  });
  const first = messages.find(({ role }) => role !== 'system');
  if (first?.role !== 'user') fail(`expected a question (user) first, found ${first?.role ?? 'none'}.`);
  const last = messages[messages.length - 1];
  if (last.role !== 'assistant') fail(`expected an answer (assistant) last, found ${last.role}.`);
}
