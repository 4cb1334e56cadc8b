/** ChatForm: how a conversation is written for a model, and how what is written becomes the ids that the model reads. */

import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { ChatTemplate } from './chat-template.ts';

export interface ChatForm {
  readonly template: ChatTemplate;
  /** Texts that end an answer, for models that do not end it by a token. */
  readonly stop: readonly string[];
  /** The template writes BOS itself where the model wants it. */
  readonly writesBos: boolean;
}

/** The ids of a rendered conversation or the beginning of one. */
export function encodeRendered(
  { writesBos }: ChatForm,
  tokenizer: Pick<Tokenizer, 'encode' | 'encodePrompt'>,
  text: string,
): number[] {
  return writesBos ? tokenizer.encode(text) : tokenizer.encodePrompt(text);
}
