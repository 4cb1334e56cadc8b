/**
 * A conversation as ids, and which of them are answers: those alone count in the loss.
 *
 * Templates are programs that say nothing of where an answer begins, so it is found by comparing what they write. The conversation up to a
 * question, rendered as a prompt, must begin the conversation up to its answer, and that the whole: as texts exactly, so that a model is trained
 * on what it will be asked to continue. As ids a word at the border may be divided otherwise; the answer then begins with the first id that differs.
 * A template for which this does not hold (one that drops parts of earlier answers, say) is refused.
 */

import { type ChatForm, encodeRendered } from '../chat/chat-form.ts';
import type { ChatMessage } from '../chat/chat-template.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { UsageError } from '../util/errors.ts';

export interface EncodedConversation {
  readonly ids: readonly number[];
  /** Of each id: does a model have to predict it? */
  readonly isAnswer: readonly boolean[];
}

/** Ids of a prompt that may be others inside of the whole: a word at its end. More is a tokenizer that reads every text anew. */
const MOST_CHANGED_IDS = 8;

/**
 * The end of text follows the last answer where the template itself writes no token that ends one. Throws UsageError where the template refuses the
 * messages or makes no mask possible, FormatError where it fails.
 */
export function encodeConversation(
  messages: readonly ChatMessage[],
  form: ChatForm,
  tokenizer: Tokenizer,
): EncodedConversation {
  const { template } = form;
  const encode = (text: string) => encodeRendered(form, tokenizer, text);
  const text = template.render(messages, { addGenerationPrompt: false });
  const ids = encode(text);
  const isAnswer = ids.map(() => false);
  let endsItself = false;
  messages.forEach(({ role }, index) => {
    if (role !== 'assistant') return;
    const prompt = template.render(messages.slice(0, index));
    const answered = template.render(messages.slice(0, index + 1), { addGenerationPrompt: false });
    if (!answered.startsWith(prompt)) refuse(`the prompt before message ${index + 1} is not how the answer begins`);
    if (!text.startsWith(answered))
      refuse(`the conversation up to message ${index + 1} reads otherwise once it goes on`);
    const begin = sharedLength(encode(prompt), ids, index);
    const end = endOfAnswer(
      ids,
      begin,
      answered === text ? ids.length : sharedLength(encode(answered), ids, index),
      tokenizer,
    );
    isAnswer.fill(true, begin, end);
    endsItself = tokenizer.endIds.includes(ids[end - 1]);
  });
  const endId = tokenizer.endIds[0];
  if (!endsItself && endId !== undefined) {
    ids.push(endId);
    isAnswer.push(true);
  }
  return { ids, isAnswer };
}

/** Behind the last token of the answer that ends one: what templates write after it is never asked of a model. Else behind the answer. */
function endOfAnswer(ids: readonly number[], begin: number, end: number, { endIds }: Tokenizer): number {
  for (let i = end - 1; i >= begin; i--) if (endIds.includes(ids[i])) return i + 1;
  return end;
}

/** How many ids the beginning of a conversation shares with the whole. */
function sharedLength(beginning: readonly number[], whole: readonly number[], message: number): number {
  let shared = 0;
  while (shared < beginning.length && beginning[shared] === whole[shared]) shared++;
  if (beginning.length - shared > MOST_CHANGED_IDS) {
    refuse(`the tokens up to message ${message + 1} are others once the conversation goes on`);
  }
  return shared;
}

function refuse(what: string): never {
  throw new UsageError(
    'sft',
    `the chat template does not show where the answers are: ${what}. Give another one by --template, or conversations of one answer.`,
  );
}
