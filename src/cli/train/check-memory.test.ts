import { describe, expect, it } from 'vitest';
import { resolveConfig } from '../../model/config.ts';
import { checkMemory } from './check-memory.ts';

describe('checkMemory', () => {
  const model = resolveConfig({ dim: 64, nLayers: 2, nHeads: 2, vocabSize: 300 });

  it('refuses what values, gradients and moments alone do not fit into, with both sizes', () => {
    expect(() => checkMemory(model, 2 ** 20)).toThrow(
      /does not fit: .* parameters .* take .* this machine has 1\.00 MiB/,
    );
    expect(() => checkMemory(model, 2 ** 30)).not.toThrow();
  });
});
