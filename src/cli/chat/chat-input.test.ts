import { describe, expect, it } from 'vitest';
import { UsageError } from '../../util/errors.ts';
import { parseChatInput } from './chat-input.ts';

describe('parseChatInput', () => {
  it('tells questions from commands', () => {
    expect(parseChatInput('  ')).toEqual({ kind: 'nothing' });
    expect(parseChatInput(' What is 1/2?')).toEqual({ kind: 'question', text: ' What is 1/2?' });
    expect(parseChatInput('/reset ')).toEqual({ kind: 'reset' });
    expect(parseChatInput('/help')).toEqual({ kind: 'help' });
    expect(parseChatInput('/exit')).toEqual({ kind: 'exit' });
  });

  it('reads a sparsity as the option does', () => {
    expect(parseChatInput('/sparsity 0.6')).toEqual({ kind: 'sparsity', sparsity: 0.6 });
    expect(parseChatInput('/sparsity 60 %')).toEqual({ kind: 'sparsity', sparsity: 0.6 });
    expect(parseChatInput('/sparsity qkv=0.5, down=0.9')).toEqual({
      kind: 'sparsity',
      sparsity: { qkv: 0.5, down: 0.9 },
    });
    expect(parseChatInput('/sparsity')).toEqual({ kind: 'sparsity', sparsity: undefined });
  });

  it('refuses what it does not know', () => {
    expect(() => parseChatInput('/sparsty 1')).toThrow(UsageError);
    expect(() => parseChatInput('/sparsty 1')).toThrow(/Did you mean \/sparsity/);
    expect(() => parseChatInput('/sparsity all')).toThrow(/^\[\/sparsity\] expected a share/);
  });
});
