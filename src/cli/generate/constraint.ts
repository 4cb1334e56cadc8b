/** What a generated text must be: JSON of a schema from a file, or any JSON object. */

import { readFileSync } from 'node:fs';
import { type AllowedTokens, constrainTokens } from '../../grammar/constrain-tokens.ts';
import { GrammarVocabulary } from '../../grammar/grammar-vocabulary.ts';
import { compileJsonSchema, type JsonGrammar } from '../../grammar/json-grammar.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { messageOf, UsageError } from '../../util/errors.ts';

export interface ConstraintOptions {
  jsonSchema?: string;
  jsonObject?: boolean;
}

/** Null where nothing was asked for. Throws UsageError for a file that is no JSON or no schema that is supported. */
export function grammarOf({ jsonSchema, jsonObject }: ConstraintOptions): JsonGrammar | null {
  if (jsonSchema === undefined) return jsonObject ? compileJsonSchema({ type: 'object' }) : null;
  if (jsonObject) {
    throw new UsageError('--json-object', 'expected one of --json-schema and --json-object, got both. Leave one out.');
  }
  return compileJsonSchema(readJson(jsonSchema));
}

/** Of one text by a model of `vocabSize` ids. */
export function allowedTokens(grammar: JsonGrammar, tokenizer: Tokenizer, vocabSize: number): AllowedTokens {
  const bytes = Array.from({ length: vocabSize }, (_, id) => tokenizer.tokenBytes(id));
  return constrainTokens(grammar, new GrammarVocabulary(bytes), tokenizer.endIds);
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path)));
  } catch (error) {
    const what = `expected a readable JSON file, got: ${messageOf(error)}`;
    throw new UsageError('--json-schema', `${path}: ${what}. Name another file.`, { cause: error });
  }
}
