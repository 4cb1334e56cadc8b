/**
 * One record of the data of a fine-tuning as a conversation.
 *
 * Four forms, told apart by their fields: `messages` with role and content (as the chat interfaces have them), `conversations` with from and value (ShareGPT), `prompt` and `completion`,
 * and Alpaca's `instruction`, `input` and `output`. The last two are a question and its answer. Whatever form: the first message that is not the system's is a question, the last one
 * is an answer, and no answer is empty.
 */

import { isUtf8 } from 'node:buffer';
import type { ChatMessage } from '../chat/chat-template.ts';
import { FormatError, messageOf } from '../util/errors.ts';
import { shown } from '../util/problems.ts';
import type { SourceRecord } from './source-record.ts';

/** Far beyond any context; what is longer is another file, or one without line ends. */
export const MAX_RECORD_BYTES = 2 ** 23;

/** Fields of a message, and the roles by what they are called. */
interface MessageForm {
  role: string;
  content: string;
  roles: ReadonlyMap<unknown, ChatMessage['role']>;
}

const CHAT: MessageForm = {
  ...{ role: 'role', content: 'content' },
  roles: new Map([
    ['system', 'system'],
    ['user', 'user'],
    ['assistant', 'assistant'],
  ]),
};
const SHARE_GPT: MessageForm = {
  ...{ role: 'from', content: 'value' },
  roles: new Map([...CHAT.roles, ['human', 'user'], ['gpt', 'assistant']]),
};
const FORMS = 'messages, conversations, prompt and completion, or instruction and output';

type Json = Record<string, unknown>;

/** null for a blank record. Throws FormatError that names `path` and the line. */
export function parseConversation({ bytes, length, line }: SourceRecord, path: string): ChatMessage[] | null {
  const fail = (what: string): never => {
    throw new FormatError('sft', `${path} line ${line}: ${what}`, path);
  };
  if (bytes === null) return fail(`expected at most ${MAX_RECORD_BYTES} bytes in one conversation, found ${length}.`);
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

function messagesOf(record: Json, fail: Fail): ChatMessage[] {
  if (record.messages !== undefined) return chatMessages('messages', record.messages, CHAT, fail);
  if (record.conversations !== undefined) {
    return chatMessages('conversations', record.conversations, SHARE_GPT, fail);
  }
  const text = (field: string): string => {
    const value = record[field];
    if (typeof value === 'string') return value;
    return fail(`${field}: expected a string, found ${value === undefined ? 'no such field' : shown(value)}.`);
  };
  if (record.prompt !== undefined || record.completion !== undefined) {
    return [
      { role: 'user', content: text('prompt') },
      { role: 'assistant', content: text('completion') },
    ];
  }
  if (record.instruction !== undefined || record.output !== undefined) {
    const instruction = text('instruction');
    const hasInput = record.input !== undefined && record.input !== null && record.input !== '';
    return [
      { role: 'user', content: hasInput ? `${instruction}\n\n${text('input')}` : instruction },
      { role: 'assistant', content: text('output') },
    ];
  }
  const names = Object.keys(record).slice(0, 8).join(', ') || 'none';
  return fail(`expected the fields ${FORMS}, found ${names.slice(0, 200)}.`);
}

function chatMessages(field: string, list: unknown, form: MessageForm, fail: Fail): ChatMessage[] {
  if (!Array.isArray(list) || list.length === 0) return fail(`${field}: expected a list, found ${shown(list)}.`);
  return list.map((message: Json | null, index): ChatMessage => {
    const { [form.role]: name, [form.content]: content }: Json = message ?? {};
    const at = (name: string) => `${field}[${index}].${name}`;
    const role = form.roles.get(name);
    if (role === undefined) {
      const names = [...form.roles.keys()].join(', ');
      return fail(`${at(form.role)}: expected ${names}, found ${name === undefined ? 'none' : shown(name)}.`);
    }
    if (typeof content !== 'string') {
      return fail(`${at(form.content)}: expected a string, found ${content === undefined ? 'none' : shown(content)}.`);
    }
    return { role, content };
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
