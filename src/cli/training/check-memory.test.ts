import { describe, expect, it } from 'vitest';
import { resolveConfig } from '../../model/resolve-config.ts';
import { checkMemory } from './check-memory.ts';

describe('checkMemory', () => {
  const model = resolveConfig({ dim: 64, nLayers: 2, nHeads: 2, vocabSize: 300 });

  it('refuses what values, gradients and moments alone do not fit into, with both sizes', () => {
    const f32 = { optimizerState: 'f32', distill: 0 } as const;
    expect(() => checkMemory(model, f32, 2 ** 20)).toThrow(
      /does not fit: .* parameters .* take .* this machine has 1\.00 MiB/,
    );
    expect(() => checkMemory(model, f32, 2 ** 30)).not.toThrow();
    // 0.115 M parameters: 16 bytes each, or 10.
    expect(() => checkMemory(model, f32, 1.5 * 2 ** 20)).toThrow();
    expect(() => checkMemory(model, { ...f32, distill: 0.5 }, 2 * 2 ** 20)).toThrow();
    expect(() => checkMemory(model, { optimizerState: 'int8', distill: 0 }, 1.5 * 2 ** 20)).not.toThrow();
  });
});
