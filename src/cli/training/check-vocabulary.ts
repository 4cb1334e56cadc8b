import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import type { RunSettings } from '../../train/run-directory.ts';
import { UsageError } from '../../util/errors.ts';

/** A model may have more rows than its tokenizer has tokens, never fewer. Throws UsageError. */
export function checkVocabulary({ vocabSize }: Tokenizer, { model, from }: RunSettings): void {
  if (vocabSize <= model.vocabSize) return;
  const what = `its tokenizer has ${vocabSize} tokens: expected at most the ${model.vocabSize} of the model`;
  throw new UsageError('train', `${from?.path}: ${what}. Is it the tokenizer of this model?`);
}
