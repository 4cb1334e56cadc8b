/** The objects of /v1/completions, `text_completion`; a stream has the same ones, a piece of text each. */

import { randomUUID } from 'node:crypto';
import type { FinishReason } from '../infer/generation.ts';
import type { TokenLogprobs } from '../infer/logprobs.ts';
import type { Answer, WholeChoice } from './answer.ts';
import { type AnswerExtras, type AnswerFormat, detailsOf, finishReasonOf, usageOf } from './answer-format.ts';
import type { ChoiceDetails } from './choice-details.ts';
import type { TextChunk } from './text-chunks.ts';
import { tokenName } from './token-text.ts';

/** A prompt as it is repeated before its completions. */
export interface EchoedPrompt {
  readonly text: string;
  readonly ids: readonly number[];
}

/**
 * Names of tokens, what the model gave them, the likeliest in their place, and where they begin, in characters (code points, as clients count). The stop token is the last of
 * them: clients that score a prompt leave out what was generated behind it, one token, whatever it is.
 */
interface Logprobs {
  tokens: string[];
  token_logprobs: (number | null)[];
  top_logprobs: (Record<string, number> | null)[];
  text_offset: number[];
}

export class CompletionFormat implements AnswerFormat {
  readonly #answer: Answer;
  readonly #extras: AnswerExtras;
  readonly #details: readonly ChoiceDetails[] | null;
  readonly #echo: readonly EchoedPrompt[] | null;
  readonly #head: { id: string; object: string; created: number; model: string };
  /** By choice: characters so far, as code points. */
  readonly #offsets: number[];

  /** `echo`: the prompts, where they are to be repeated. */
  constructor(answer: Answer, extras: AnswerExtras, echo: readonly EchoedPrompt[] | null) {
    this.#answer = answer;
    this.#extras = extras;
    this.#details = detailsOf(answer, extras);
    this.#echo = echo;
    this.#head = {
      id: `cmpl-${randomUUID()}`,
      object: 'text_completion',
      created: Math.floor(Date.now() / 1000),
      model: answer.lease.id,
    };
    this.#offsets = answer.choices.map(() => 0);
  }

  begin(choice: number): object[] {
    const echoed = this.#echoed(choice);
    return echoed === null ? [] : [this.#chunk(choice, echoed.text, echoed.logprobs)];
  }

  piece(choice: number, chunk: TextChunk): object | null {
    const logprobs = this.#logprobsOf(choice, [chunk]);
    const details = chunk.token && this.#details?.[choice].ofToken(chunk.token);
    if (chunk.text === '' && logprobs === null && !details) return null;
    return { ...this.#chunk(choice, chunk.text, logprobs), ...(details && { qsparse: details }) };
  }

  end(choice: number, reason: FinishReason): object {
    const details = this.#details?.[choice].ofEnd();
    return { ...this.#chunk(choice, '', null, finishReasonOf(reason)), ...(details && { qsparse: details }) };
  }

  usage(): object {
    return { ...this.#head, choices: [], usage: usageOf(this.#answer) };
  }

  whole(choices: readonly WholeChoice[]): object {
    return {
      ...this.#head,
      choices: choices.map(({ chunks, finishReason }, index) => {
        const echoed = this.#echoed(index);
        const text = (echoed?.text ?? '') + chunks.map((chunk) => chunk.text).join('');
        const listed = joined(echoed?.logprobs ?? null, this.#logprobsOf(index, chunks));
        const logprobs = listed ?? (this.#extras.logprobs ? emptyLogprobs() : null);
        return { index, text, logprobs, finish_reason: finishReasonOf(finishReason) };
      }),
      usage: usageOf(this.#answer),
    };
  }

  #chunk(index: number, text: string, logprobs: Logprobs | null, finish_reason: string | null = null): object {
    return {
      ...this.#head,
      choices: [{ index, text, logprobs, finish_reason }],
      ...(this.#extras.usage && { usage: null }),
    };
  }

  /** The prompt of a choice with what the model gave its tokens; the first has nothing before it. */
  #echoed(choice: number): { text: string; logprobs: Logprobs | null } | null {
    if (this.#echo === null) return null;
    const { prompt, stream } = this.#answer.choices[choice];
    const { text, ids } = this.#echo[prompt];
    if (stream.promptLogprobs === null) {
      this.#offsets[choice] = lengthOf(text);
      return { text, logprobs: null };
    }
    const decoding = this.#answer.lease.model.tokenizer.decodeStream();
    const logprobs = this.#listed(
      choice,
      ids.map((id, i) => ({ id, text: decoding.push(id), logprobs: stream.promptLogprobs?.[i - 1] ?? null })),
    );
    this.#offsets[choice] = lengthOf(text);
    return { text, logprobs };
  }

  /** null where no token has any: they were not asked for, or the piece is text that was held back. */
  #logprobsOf(choice: number, chunks: readonly TextChunk[]): Logprobs | null {
    const pieces = chunks.map(({ token, endToken, text }) => {
      const listed = token ?? endToken;
      return { id: listed?.id ?? null, text, logprobs: listed?.logprobs ?? null };
    });
    if (pieces.some(({ logprobs }) => logprobs !== null)) return this.#listed(choice, pieces);
    for (const { text } of chunks) this.#offsets[choice] += lengthOf(text);
    return null;
  }

  /** A piece of text without a token only moves what follows. */
  #listed(
    choice: number,
    pieces: readonly { id: number | null; text: string; logprobs: TokenLogprobs | null }[],
  ): Logprobs {
    const { tokenizer } = this.#answer.lease.model;
    const list = emptyLogprobs();
    for (const { id, text, logprobs } of pieces) {
      if (id !== null) {
        list.tokens.push(tokenName(tokenizer, id));
        list.token_logprobs.push(logprobs?.logprob ?? null);
        list.top_logprobs.push(logprobs ? this.#namedTop(logprobs) : null);
        list.text_offset.push(this.#offsets[choice]);
      }
      this.#offsets[choice] += lengthOf(text);
    }
    return list;
  }

  /** Two tokens may have one text: the likelier one has the name. */
  #namedTop({ top }: TokenLogprobs): Record<string, number> {
    const { tokenizer } = this.#answer.lease.model;
    const named = new Map<string, number>();
    for (const { id, logprob } of top) {
      const name = tokenName(tokenizer, id);
      if (!named.has(name)) named.set(name, logprob);
    }
    return Object.fromEntries(named);
  }
}

function emptyLogprobs(): Logprobs {
  return { tokens: [], token_logprobs: [], top_logprobs: [], text_offset: [] };
}

function lengthOf(text: string): number {
  let length = 0;
  for (const _ of text) length++;
  return length;
}

function joined(a: Logprobs | null, b: Logprobs | null): Logprobs | null {
  if (a === null || b === null) return a ?? b;
  return {
    tokens: [...a.tokens, ...b.tokens],
    token_logprobs: [...a.token_logprobs, ...b.token_logprobs],
    top_logprobs: [...a.top_logprobs, ...b.top_logprobs],
    text_offset: [...a.text_offset, ...b.text_offset],
  };
}
