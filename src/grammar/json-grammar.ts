/**
 * JsonGrammar: the texts that a JSON schema allows, as an automaton over bytes. Knows no tokens.
 *
 * What of JSON Schema is supported, and how a document is written: docs/structured-output.md.
 */

import { SchemaCompiler } from './compile-schema.ts';
import { GrammarBuilder } from './grammar-node.ts';
import { StackAutomaton } from './stack-automaton.ts';

export class JsonGrammar {
  readonly automaton: StackAutomaton;

  constructor(automaton: StackAutomaton) {
    this.automaton = automaton;
  }

  /** Is this text a whole document? Throws UsageError where the schema leaves too much open to tell. */
  accepts(text: string): boolean {
    const { automaton } = this;
    return automaton.advanceAll(automaton.start, new TextEncoder().encode(text))?.isComplete ?? false;
  }
}

/**
 * The grammar of a JSON schema (the parsed document, not its text); `{ type: 'object' }` is any JSON object. Throws UsageError that names the JSON
 * pointer of what is not supported, is wrong, or can never be satisfied, with what was expected and found there.
 */
export function compileJsonSchema(schema: unknown): JsonGrammar {
  const builder = new GrammarBuilder();
  const rule = new SchemaCompiler(builder, schema).compile();
  return new JsonGrammar(new StackAutomaton(rule, builder.finish, builder.size));
}
