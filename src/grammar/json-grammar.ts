/** JsonGrammar: the texts that a JSON schema allows, as an automaton over bytes. Knows no tokens. */

import { UsageError } from '../util/errors.ts';
import { shown } from '../util/problems.ts';
import { GrammarBuilder } from './grammar-node.ts';
import { JsonText } from './json-text.ts';
import { StackAutomaton, type Stacks } from './stack-automaton.ts';

export class JsonGrammar {
  readonly automaton: StackAutomaton;

  constructor(automaton: StackAutomaton) {
    this.automaton = automaton;
  }

  /** Is this a whole document? */
  accepts(text: string): boolean {
    const state: Stacks | null = this.automaton.advanceAll(this.automaton.start, new TextEncoder().encode(text));
    return state?.isComplete ?? false;
  }
}

/**
 * The grammar of a JSON schema; `{ type: 'object' }` is any JSON object. Throws UsageError that names the JSON pointer of what is not supported.
 */
export function compileJsonSchema(schema: unknown): JsonGrammar {
  const builder = new GrammarBuilder();
  const json = new JsonText(builder);
  const keys = typeof schema === 'object' && schema !== null ? Object.entries(schema) : [];
  if (keys.length !== 1 || keys[0][0] !== 'type' || keys[0][1] !== 'object') {
    throw new UsageError('grammar', `schema at "#": expected { "type": "object" }, got ${shown(schema)}.`);
  }
  return new JsonGrammar(new StackAutomaton(json.object, builder.finish, builder.size));
}
