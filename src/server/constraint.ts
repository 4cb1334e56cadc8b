/** constraintOf: which tokens `response_format` leaves to a sampler: those that keep the text inside of a JSON schema. */

import { constrainTokens } from '../grammar/constrain-tokens.ts';
import { GrammarVocabulary } from '../grammar/grammar-vocabulary.ts';
import { compileJsonSchema, type JsonGrammar } from '../grammar/json-grammar.ts';
import type { AllowedTokens } from '../infer/sampler.ts';
import { messageOf, UsageError } from '../util/errors.ts';
import { ApiError } from './api-error.ts';
import type { SamplingFields } from './sampling-fields.ts';
import type { ServedModel, ServedTokenizer } from './served-model.ts';

/** Of one model: the tree of its tokens, and the grammars that its clients use again and again, with what was found out about their states. */
class ModelGrammars {
  readonly vocabulary: GrammarVocabulary;
  /** By the text of the schema, the least recently used first. */
  readonly #grammars = new Map<string, JsonGrammar>();

  constructor(tokenizer: ServedTokenizer, vocabSize: number) {
    this.vocabulary = new GrammarVocabulary(Array.from({ length: vocabSize }, (_, id) => tokenizer.tokenBytes(id)));
  }

  /** Throws UsageError for a schema that is not supported. */
  grammarOf(schema: unknown): JsonGrammar {
    const text = textOf(schema);
    const grammar = this.#grammars.get(text) ?? compileJsonSchema(schema);
    this.#grammars.delete(text);
    this.#grammars.set(text, grammar);
    if (this.#grammars.size > MOST_GRAMMARS) this.#grammars.delete(this.#grammars.keys().next().value!);
    return grammar;
  }
}

/** Throws UsageError for what is nested deeper than the stack of this process. */
function textOf(schema: unknown): string {
  try {
    return JSON.stringify(schema);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UsageError('schema', 'it is nested too deeply. Write what repeats as $defs.');
  }
}

/** What is kept of one may reach some megabytes. */
const MOST_GRAMMARS = 16;

const grammarsOfModels = new WeakMap<ServedTokenizer, ModelGrammars>();

/** Makes the constraint of each choice; null: none. Throws ApiError for a schema that is not supported, naming the place in it. */
export function constraintOf(
  format: SamplingFields['response_format'],
  { tokenizer, vocabSize }: ServedModel,
): (() => AllowedTokens) | null {
  if (!format || format.type === 'text') return null;
  const schema = format.type === 'json_object' ? { type: 'object' } : format.json_schema.schema;
  try {
    const grammars = grammarsOf(tokenizer, vocabSize);
    const grammar = grammars.grammarOf(schema);
    return () => constrainTokens(grammar, grammars.vocabulary, tokenizer.endIds);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new ApiError(400, `response_format: ${messageOf(error)}`, { param: 'response_format', code: 'schema' });
  }
}

function grammarsOf(tokenizer: ServedTokenizer, vocabSize: number): ModelGrammars {
  let grammars = grammarsOfModels.get(tokenizer);
  if (grammars === undefined) {
    grammars = new ModelGrammars(tokenizer, vocabSize);
    grammarsOfModels.set(tokenizer, grammars);
  }
  return grammars;
}
