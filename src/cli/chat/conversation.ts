/**
 * Conversation: the messages so far, and the next answer as a stream of text.
 *
 * Every question renders the whole conversation anew, as the model's template wants it. What that costs is what is new: the scheduler keeps the
 * sequence of the last answer, and the prompt that begins like it runs its rest only. An answer that was stopped stays as far as it came;
 * a question without any answer is taken back, so that the conversation is always one that a template takes.
 */

import { type ChatForm, encodeRendered } from '../../chat/chat-form.ts';
import type { ChatMessage } from '../../chat/chat-template.ts';
import { decodeText } from '../../infer/decode-text.ts';
import type { FinishReason, GenerationOptions } from '../../infer/generation.ts';
import type { Scheduler } from '../../infer/scheduler.ts';
import type { Usage } from '../../infer/token-queue.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { UsageError } from '../../util/errors.ts';

export interface Answer {
  readonly text: string;
  readonly finishReason: FinishReason;
  readonly usage: Usage;
}

export class Conversation {
  readonly #scheduler: Scheduler;
  readonly #tokenizer: Tokenizer;
  readonly #form: ChatForm;
  readonly #system: readonly ChatMessage[];
  #messages: ChatMessage[];

  /** `system` is the first message, always there; null: none. */
  constructor(scheduler: Scheduler, tokenizer: Tokenizer, form: ChatForm, system: string | null) {
    this.#scheduler = scheduler;
    this.#tokenizer = tokenizer;
    this.#form = form;
    this.#system = system === null ? [] : [{ role: 'system', content: system }];
    this.#messages = [...this.#system];
  }

  get messages(): readonly ChatMessage[] {
    return this.#messages;
  }

  /** Forgets everything but the system message. */
  reset(): void {
    this.#messages = [...this.#system];
  }

  /**
   * Yields the answer in pieces and returns it. Throws UsageError, with the conversation as it was, where the template refuses the messages or they
   * do not fit the context.
   */
  async *ask(question: string, options: GenerationOptions): AsyncGenerator<string, Answer> {
    const before = this.#messages;
    const asked: ChatMessage[] = [...before, { role: 'user', content: question }];
    const ids = this.#encode(asked);
    const tokens = this.#scheduler.generate(ids, { ...options, stopIds: this.#tokenizer.endIds });
    const pieces = decodeText(tokens, this.#tokenizer.decodeStream(), this.#form.stop);
    let text = '';
    try {
      for (;;) {
        const next = await pieces.next();
        if (next.done) return { text, finishReason: next.value, usage: tokens.usage };
        // The space between a prompt and its first word is no part of the answer.
        const piece = text === '' ? next.value.replace(/^ +/, '') : next.value;
        text += piece;
        if (piece !== '') yield piece;
      }
    } finally {
      await pieces.return('aborted');
      if (text !== '') this.#messages = [...asked, { role: 'assistant', content: text }];
    }
  }

  #encode(messages: readonly ChatMessage[]): number[] {
    const ids = encodeRendered(this.#form, this.#tokenizer, this.#form.template.render(messages));
    if (ids.length > 0) return ids;
    throw new UsageError('chat', 'the chat template makes an empty prompt of the messages. Use another --template.');
  }
}
