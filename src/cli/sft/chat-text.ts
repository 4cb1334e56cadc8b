/**
 * The tokenizer of a fine-tuning with the chat template that it is trained on: what run and checkpoints keep, so that `qsparse chat` writes conversations
 * as they were in training.
 */

import { existsSync, readFileSync } from 'node:fs';
import { PLAIN_TEMPLATE_WITH_ENDS } from '../../chat/plain-template.ts';
import type { TokenizerConfig } from '../../tokenizer/tokenizer-config.ts';
import { type ModelText, tokenizerOfModel } from '../../tokenizer/tokenizer-of-model.ts';
import { END_OF_TEXT } from '../../tokenizer/train-bpe.ts';
import { UsageError } from '../../util/errors.ts';

/** `template` is the option. Throws UsageError where neither it nor the model has one, FormatError for a tokenizer that cannot be used. */
export function chatText(model: ModelText, template: string | undefined): ModelText {
  const { config, endOfText } = tokenizerOfModel(model);
  if (template === undefined) {
    if (config?.chat_template) return model;
    throw new UsageError(
      'sft',
      `${model.path} has no chat template. Give one by --template FILE, or --template plain, which writes "User:" and ` +
        '"Assistant:" before the lines.',
    );
  }
  const known = config ?? NO_CONFIG;
  const own = { ...known, eos_token: known.eos_token ?? (endOfText === null ? null : END_OF_TEXT) };
  return { ...model, tokenizerConfig: { ...model.tokenizerConfig, ...own, chat_template: sourceOf(template, own) } };
}

const NO_CONFIG: TokenizerConfig = {
  ...{ bos_token: null, eos_token: null, chat_template: null },
  add_bos_token: false,
  eosTokenIds: [],
};

function sourceOf(template: string, { bos_token, add_bos_token }: TokenizerConfig): string {
  if (template === 'plain') {
    const begin = add_bos_token && bos_token !== null ? '{{- bos_token -}}' : '';
    return begin + PLAIN_TEMPLATE_WITH_ENDS;
  }
  if (!existsSync(template)) {
    throw new UsageError('sft', `--template: expected plain or a file with a Jinja template, got "${template}".`);
  }
  return readFileSync(template, 'utf8');
}
