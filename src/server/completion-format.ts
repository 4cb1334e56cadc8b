/** The objects of /v1/completions, `text_completion`; a stream has the same ones, a piece of text each. */

import { randomUUID } from 'node:crypto';
import type { FinishReason } from '../infer/generation.ts';
import type { TokenLogprobs } from '../infer/logprobs.ts';
import type { Answer, WholeChoice } from './answer.ts';
import { type AnswerFormat, detailsOf, finishReasonOf, type StreamExtras, usageOf } from './answer-format.ts';
import type { ChoiceDetails } from './choice-details.ts';
import type { TextChunk } from './text-chunks.ts';
import { tokenText } from './token-text.ts';

/** A prompt as it is repeated before its completions. */
export interface EchoedPrompt {
  readonly text: string;
  readonly ids: readonly number[];
}

/** Texts of tokens, what the model gave them, the likeliest in their place, and where they begin. */
interface Logprobs {
  tokens: string[];
  token_logprobs: (number | null)[];
  top_logprobs: (Record<string, number> | null)[];
  text_offset: number[];
}

export class CompletionFormat implements AnswerFormat {
  readonly #answer: Answer;
  readonly #extras: StreamExtras;
  readonly #details: readonly ChoiceDetails[] | null;
  readonly #echo: readonly EchoedPrompt[] | null;
  readonly #head: { id: string; object: string; created: number; model: string };
  /** By choice: characters so far. */
  readonly #offsets: number[];

  /** `echo`: the prompts, where they are to be repeated. */
  constructor(answer: Answer, extras: StreamExtras, echo: readonly EchoedPrompt[] | null) {
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
        const logprobs = joined(echoed?.logprobs ?? null, this.#logprobsOf(index, chunks));
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
      this.#offsets[choice] = text.length;
      return { text, logprobs: null };
    }
    const logprobs = this.#listed(
      choice,
      ids.map((id, i) => ({ id, text: null, logprobs: i === 0 ? null : (stream.promptLogprobs?.[i - 1] ?? null) })),
    );
    this.#offsets[choice] = text.length;
    return { text, logprobs };
  }

  /** null where none were asked for. */
  #logprobsOf(choice: number, chunks: readonly TextChunk[]): Logprobs | null {
    const hasSome = chunks.some(({ token }) => token?.logprobs);
    if (!hasSome) {
      for (const { text } of chunks) this.#offsets[choice] += text.length;
      return null;
    }
    return this.#listed(
      choice,
      chunks.map(({ token, text }) => ({ id: token?.id ?? null, text, logprobs: token?.logprobs ?? null })),
    );
  }

  /** `text` null: the token's own. A piece without a token only moves what follows. */
  #listed(
    choice: number,
    pieces: readonly { id: number | null; text: string | null; logprobs: TokenLogprobs | null }[],
  ): Logprobs {
    const { tokenizer } = this.#answer.lease.model;
    const list: Logprobs = { tokens: [], token_logprobs: [], top_logprobs: [], text_offset: [] };
    for (const { id, text, logprobs } of pieces) {
      const token = id === null ? '' : tokenText(tokenizer, id).token;
      if (id !== null) {
        list.tokens.push(token);
        list.token_logprobs.push(logprobs?.logprob ?? null);
        const top = logprobs?.top.map((one) => [tokenText(tokenizer, one.id).token, one.logprob]);
        list.top_logprobs.push(top ? Object.fromEntries(top) : null);
        list.text_offset.push(this.#offsets[choice]);
      }
      this.#offsets[choice] += (text ?? token).length;
    }
    return list;
  }
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
