/**
 * ChatTemplate: a conversation as the text that a model was trained to continue.
 *
 * Every model has its own form, a Jinja template that comes with it; @huggingface/jinja renders them. This file owns what a template is given
 * (messages, BOS and EOS, whether the answer is to follow) and turns what goes wrong into errors of ours: a template that cannot
 * be read or run, and one that refuses the messages, by its own words. Templates are programs from strangers: they see nothing but
 * these values, and `range` is bounded.
 */

import { Environment, Interpreter, Template } from '@huggingface/jinja';
import type { TokenizerConfig } from '../tokenizer/tokenizer-config.ts';
import { FormatError, messageOf, UsageError } from '../util/errors.ts';

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

export interface RenderOptions {
  /** End where the answer begins. Default true. */
  addGenerationPrompt?: boolean;
}

/** The words of a template that refuses its messages. */
class Refusal extends Error {}

/** Numbers that one rendering may ask of `range`, in all: loops of templates go over messages and characters; longer ones are a mistake or an attack. */
const MOST_NUMBERS = 100_000;

export class ChatTemplate {
  readonly #template: Template;
  readonly #tokens: Pick<TokenizerConfig, 'bos_token' | 'eos_token'>;
  readonly #path: string;
  readonly #now: Date | undefined;

  /** `source` in Jinja, from the file `path`; `now` in place of the clock, for what is to be written again as it was. Throws FormatError where it cannot be read. */
  constructor(source: string, tokens: Pick<TokenizerConfig, 'bos_token' | 'eos_token'>, path: string, now?: Date) {
    this.#tokens = tokens;
    this.#now = now;
    this.#path = path;
    try {
      this.#template = new Template(source);
    } catch (error) {
      throw this.#broken('cannot be read', error);
    }
  }

  /**
   * The conversation as text, special tokens spelled out, BOS included where the template writes it. Throws UsageError where the template refuses
   * the messages (a role that it does not know, two questions in a row), FormatError where it fails.
   */
  render(messages: readonly ChatMessage[], { addGenerationPrompt = true }: RenderOptions = {}): string {
    const environment = new Environment();
    const { bos_token, eos_token } = this.#tokens;
    const values = {
      ...GLOBALS,
      range: boundedRange(),
      strftime_now: (format: unknown) => formatDate(this.#now ?? new Date(), String(format)),
      messages: messages.map(({ role, content }) => ({ role, content })),
      add_generation_prompt: addGenerationPrompt,
      // As transformers says it where there are none.
      ...{ tools: null, documents: null },
      bos_token: bos_token ?? '',
      eos_token: eos_token ?? '',
    };
    for (const [name, value] of Object.entries(values)) environment.set(name, value);
    try {
      return String(new Interpreter(environment).run(this.#template.parsed).value);
    } catch (error) {
      if (error instanceof Refusal) {
        throw new UsageError('chat', `the chat template of ${this.#path} refuses the messages: ${error.message}`);
      }
      throw this.#broken('cannot be run', error);
    }
  }

  #broken(what: string, cause: unknown): FormatError {
    return new FormatError('chat', `the chat template of ${this.#path} ${what}: ${messageOf(cause)}.`, this.#path, {
      cause,
    });
  }
}

/** What Jinja in transformers knows without being told. `Template.render` would add the same, but for the two that are ours. */
const GLOBALS = {
  ...{ true: true, True: true, false: false, False: false, none: null, None: null },
  raise_exception: (message: unknown) => {
    throw new Refusal(String(message));
  },
};

/** Jinja's range(stop), range(start, stop) and range(start, stop, step), of one rendering: a loop inside of a loop asks again each time. */
function boundedRange(): (first: number, second?: number, step?: number) => number[] {
  let left = MOST_NUMBERS;
  return (first, second, step = 1) => {
    const [start, stop] = typeof second === 'number' ? [first, second] : [0, first];
    const length = Math.max(0, Math.ceil((stop - start) / step));
    left -= length;
    if (step === 0 || !(left >= 0))
      throw new Error(`range of ${length}: expected at most ${MOST_NUMBERS} numbers in all`);
    return Array.from({ length }, (_, i) => start + i * step);
  };
}

/** The codes of strftime that templates use for the date of a system prompt, a `-` for no padding; throws for others. In English, in local time. */
function formatDate(date: Date, format: string): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const name = (part: Intl.DateTimeFormatOptions) => date.toLocaleDateString('en-US', part);
  const codes: Record<string, () => string> = {
    Y: () => String(date.getFullYear()),
    y: () => two(date.getFullYear() % 100),
    j: () => String(dayOfYear(date)).padStart(3, '0'),
    I: () => two(date.getHours() % 12 || 12),
    p: () => (date.getHours() < 12 ? 'AM' : 'PM'),
    e: () => String(date.getDate()).padStart(2),
    F: () => formatDate(date, '%Y-%m-%d'),
    T: () => formatDate(date, '%H:%M:%S'),
    '%': () => '%',
    m: () => two(date.getMonth() + 1),
    d: () => two(date.getDate()),
    H: () => two(date.getHours()),
    M: () => two(date.getMinutes()),
    S: () => two(date.getSeconds()),
    b: () => name({ month: 'short' }),
    B: () => name({ month: 'long' }),
    a: () => name({ weekday: 'short' }),
    A: () => name({ weekday: 'long' }),
  };
  return format.replace(/%(-?)(.?)/g, (code, bare: string, letter: string) => {
    const text = Object.hasOwn(codes, letter) ? codes[letter]() : undefined;
    if (text === undefined) throw new Error(`strftime_now: the code ${code} is not known`);
    return bare === '' ? text : text.replace(/^[0 ]+(?=.)/, '');
  });
}

/** From 1 on. Summer time moves a day's beginning by an hour. */
function dayOfYear(date: Date): number {
  const days = (new Date(date).setHours(0, 0, 0, 0) - new Date(date.getFullYear(), 0, 1).getTime()) / 86_400_000;
  return Math.round(days) + 1;
}
