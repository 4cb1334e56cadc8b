/** The objects of /v1/chat/completions: `chat.completion`, and `chat.completion.chunk` of a stream. */

import { randomUUID } from 'node:crypto';
import type { FinishReason, GeneratedToken } from '../infer/generation.ts';
import type { Answer, WholeChoice } from './answer.ts';
import { type AnswerExtras, type AnswerFormat, detailsOf, finishReasonOf, usageOf } from './answer-format.ts';
import type { ChoiceDetails } from './choice-details.ts';
import type { ServedTokenizer } from './served-model.ts';
import type { TextChunk } from './text-chunks.ts';
import { tokenText } from './token-text.ts';

export class ChatFormat implements AnswerFormat {
  readonly #answer: Answer;
  readonly #extras: AnswerExtras;
  readonly #details: readonly ChoiceDetails[] | null;
  readonly #head: { id: string; created: number; model: string };
  /** By choice: nothing but spaces was said yet. */
  readonly #isBlank: boolean[];

  constructor(answer: Answer, extras: AnswerExtras) {
    this.#answer = answer;
    this.#extras = extras;
    this.#details = detailsOf(answer, extras);
    this.#head = {
      id: `chatcmpl-${randomUUID()}`,
      created: Math.floor(Date.now() / 1000),
      model: answer.lease.id,
    };
    this.#isBlank = answer.choices.map(() => true);
  }

  begin(choice: number): object[] {
    return [this.#chunk(choice, { role: 'assistant', content: '' })];
  }

  piece(choice: number, chunk: TextChunk): object | null {
    const content = this.#withoutFirstSpaces(choice, chunk.text);
    const logprobs = this.#logprobsOf([chunk]);
    const details = chunk.token && this.#details?.[choice].ofToken(chunk.token);
    if (content === '' && logprobs === null && !details) return null;
    return { ...this.#chunk(choice, { content }, logprobs), ...(details && { qsparse: details }) };
  }

  end(choice: number, reason: FinishReason): object {
    const details = this.#details?.[choice].ofEnd();
    return { ...this.#chunk(choice, {}, null, finishReasonOf(reason)), ...(details && { qsparse: details }) };
  }

  usage(): object {
    return { ...this.#head, object: 'chat.completion.chunk', choices: [], usage: usageOf(this.#answer) };
  }

  whole(choices: readonly WholeChoice[]): object {
    return {
      ...this.#head,
      object: 'chat.completion',
      choices: choices.map(({ chunks, finishReason }, index) => ({
        index,
        message: {
          role: 'assistant',
          content: chunks.map(({ text }) => this.#withoutFirstSpaces(index, text)).join(''),
          refusal: null,
        },
        logprobs: this.#logprobsOf(chunks) ?? (this.#extras.logprobs ? { content: [], refusal: null } : null),
        finish_reason: finishReasonOf(finishReason),
      })),
      usage: usageOf(this.#answer),
    };
  }

  #chunk(index: number, delta: object, logprobs: object | null = null, finish_reason: string | null = null): object {
    return {
      ...this.#head,
      object: 'chat.completion.chunk',
      choices: [{ index, delta, logprobs, finish_reason }],
      ...(this.#extras.usage && { usage: null }),
    };
  }

  /** The space between a prompt and its first word is no part of the answer. */
  #withoutFirstSpaces(choice: number, text: string): string {
    if (!this.#isBlank[choice]) return text;
    const rest = text.replace(/^ +/, '');
    if (rest !== '') this.#isBlank[choice] = false;
    return rest;
  }

  /** null where no token has any: they were not asked for, or the answer is empty. */
  #logprobsOf(chunks: readonly TextChunk[]): { content: object[]; refusal: null } | null {
    const { tokenizer } = this.#answer.lease.model;
    const tokens = chunks.flatMap(({ token }) => (token?.logprobs ? [token] : []));
    if (tokens.length === 0) return null;
    return { content: tokens.map((token) => logprobOf(token, tokenizer)), refusal: null };
  }
}

function logprobOf({ id, logprobs }: GeneratedToken, tokenizer: ServedTokenizer): object {
  const top = logprobs?.top ?? [];
  return {
    ...tokenText(tokenizer, id),
    logprob: logprobs?.logprob ?? 0,
    top_logprobs: top.map((one) => ({ ...tokenText(tokenizer, one.id), logprob: one.logprob })),
  };
}
