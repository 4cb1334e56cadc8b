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

/** Loops of templates go over messages and characters; a longer one is a mistake or an attack. */
const LONGEST_RANGE = 100_000;

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
      strftime_now: (format: unknown) => formatDate(this.#now ?? new Date(), String(format)),
      messages: messages.map(({ role, content }) => ({ role, content })),
      add_generation_prompt: addGenerationPrompt,
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
  range: boundedRange,
};

/** Jinja's range(stop), range(start, stop) and range(start, stop, step). */
function boundedRange(first: number, second?: number, step = 1): number[] {
  const [start, stop] = typeof second === 'number' ? [first, second] : [0, first];
  const length = Math.ceil((stop - start) / step);
  if (step === 0 || !(length <= LONGEST_RANGE))
    throw new Error(`range of ${length}: expected at most ${LONGEST_RANGE}`);
  return Array.from({ length: Math.max(0, length) }, (_, i) => start + i * step);
}

/** The codes of strftime that templates use for the date of a system prompt; others stay as they are. In English, in local time. */
function formatDate(date: Date, format: string): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const name = (part: Intl.DateTimeFormatOptions) => date.toLocaleDateString('en-US', part);
  const codes: Record<string, () => string> = {
    Y: () => String(date.getFullYear()),
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
  return format.replace(/%([A-Za-z])/g, (code, letter: string) => codes[letter]?.() ?? code);
}
