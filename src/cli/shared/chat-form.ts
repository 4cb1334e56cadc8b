/** How `qsparse chat` and `qsparse sft` write a conversation: by the model's template, a file, or, where it is asked for, the plain form. */

import { existsSync, readFileSync } from 'node:fs';
import type { ChatForm } from '../../chat/chat-form.ts';
import { ChatTemplate } from '../../chat/chat-template.ts';
import { PLAIN_STOPS, PLAIN_TEMPLATE } from '../../chat/plain-template.ts';
import type { TokenizerConfig } from '../../tokenizer/tokenizer-config.ts';
import { UsageError } from '../../util/errors.ts';

const NO_TOKENS = { bos_token: null, eos_token: null };

/**
 * `template` is the option: "plain", a file, or undefined for the model's own. Throws UsageError where the model has none, because a form that it
 * was not trained on is no answer to a question that nobody asked. `now` is the time for templates that write it, that of the clock unless it is given.
 */
export function chatForm(
  template: string | undefined,
  config: TokenizerConfig | null,
  modelPath: string,
  now?: Date,
): ChatForm {
  const tokens = config ?? NO_TOKENS;
  if (template === 'plain') {
    const plain = new ChatTemplate(PLAIN_TEMPLATE, NO_TOKENS, '--template plain');
    return { template: plain, stop: PLAIN_STOPS, writesBos: false };
  }
  if (template !== undefined) {
    if (!existsSync(template)) {
      throw new UsageError('chat', `--template: expected plain or a file with a Jinja template, got "${template}".`);
    }
    const ofFile = new ChatTemplate(readFileSync(template, 'utf8'), tokens, template, now);
    return { template: ofFile, stop: [], writesBos: true };
  }
  const source = config?.chat_template ?? null;
  if (source === null) {
    throw new UsageError(
      'chat',
      `${modelPath} has no chat template: it was not made for conversations. Use qsparse generate, give a template by ` +
        '--template FILE, or try --template plain, which writes "User:" and "Assistant:" before the lines.',
    );
  }
  return { template: new ChatTemplate(source, tokens, modelPath, now), stop: [], writesBos: true };
}
