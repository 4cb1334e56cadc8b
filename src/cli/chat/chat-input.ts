/** What a line means in `qsparse chat`: a question, or a command that begins with a slash. */

import type { SparsityOverride } from '../../model/sparsity-override.ts';
import { nearestName, UsageError } from '../../util/errors.ts';
import { parseSparsity } from '../shared/sparsity-option.ts';

export type ChatInput =
  | { readonly kind: 'nothing' | 'exit' | 'reset' | 'help' }
  | { readonly kind: 'question'; readonly text: string }
  /** undefined: as the model was trained. */
  | { readonly kind: 'sparsity'; readonly sparsity: SparsityOverride | undefined };

export const CHAT_COMMANDS: readonly { name: string; does: string }[] = [
  { name: '/reset', does: 'forget the conversation' },
  { name: '/sparsity 0.6', does: 'answer with this share of zeros from now on; alone: as trained' },
  { name: '/help', does: 'show this' },
  { name: '/exit', does: 'end, as Ctrl-D and Ctrl-C twice do' },
];

const parseShares = parseSparsity('/sparsity');

/** Throws UsageError for a command that there is not, and for a value that is none. */
export function parseChatInput(line: string): ChatInput {
  const text = line.trim();
  if (text === '') return { kind: 'nothing' };
  if (!text.startsWith('/')) return { kind: 'question', text: line };
  const [command, ...rest] = text.split(/\s+/);
  const value = rest.join('');
  switch (command) {
    case '/sparsity':
      return { kind: 'sparsity', sparsity: value === '' ? undefined : parseShares(value) };
    case '/reset':
      return { kind: 'reset' };
    case '/help':
      return { kind: 'help' };
    case '/exit':
    case '/quit':
      return { kind: 'exit' };
    default: {
      const names = CHAT_COMMANDS.map(({ name }) => name.split(' ')[0]);
      const near = nearestName(command, names);
      throw new UsageError(
        'chat',
        `there is no command ${command}: expected ${names.join(', ')}.${near ? ` Did you mean ${near}?` : ''}`,
      );
    }
  }
}
