/** constraintOf: which tokens `response_format` leaves to a sampler: those that keep the text inside of a JSON schema. */

import { constrainTokens } from '../grammar/constrain-tokens.ts';
import { GrammarVocabulary } from '../grammar/grammar-vocabulary.ts';
import { compileJsonSchema } from '../grammar/json-grammar.ts';
import type { AllowedTokens } from '../infer/sampler.ts';
import { messageOf, UsageError } from '../util/errors.ts';
import { ApiError } from './api-error.ts';
import type { SamplingFields } from './sampling-fields.ts';
import type { ServedModel, ServedTokenizer } from './served-model.ts';

/** Made once for a model, in about as long as its tokens take to sort. */
const vocabularies = new WeakMap<ServedTokenizer, GrammarVocabulary>();

/** Makes the constraint of each choice; null: none. Throws ApiError for a schema that is not supported, naming the place in it. */
export function constraintOf(
  format: SamplingFields['response_format'],
  { tokenizer, vocabSize }: ServedModel,
): (() => AllowedTokens) | null {
  if (!format || format.type === 'text') return null;
  const schema = format.type === 'json_object' ? { type: 'object' } : format.json_schema.schema;
  try {
    const grammar = compileJsonSchema(schema);
    const vocabulary = vocabularyOf(tokenizer, vocabSize);
    return () => constrainTokens(grammar, vocabulary, tokenizer.endIds);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new ApiError(400, `response_format: ${messageOf(error)}`, { param: 'response_format', code: 'schema' });
  }
}

function vocabularyOf(tokenizer: ServedTokenizer, vocabSize: number): GrammarVocabulary {
  let vocabulary = vocabularies.get(tokenizer);
  if (vocabulary === undefined) {
    vocabulary = new GrammarVocabulary(Array.from({ length: vocabSize }, (_, id) => tokenizer.tokenBytes(id)));
    vocabularies.set(tokenizer, vocabulary);
  }
  return vocabulary;
}
