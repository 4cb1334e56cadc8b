import { describe, expect, it } from 'vitest';
import { ourVariants, summarise, torchVariant } from './against-pytorch.mjs';

const ours = (dense, sparse) =>
  ourVariants('run', {
    peakProcessBytes: 7,
    rows: [
      { precision: 'f32', sparsity: 0, skips: 'none', tokensPerSecond: dense, gflopsDenseEquivalent: 1, peakBytes: 3 },
      {
        precision: 'f32',
        sparsity: 0.6,
        skips: 'all',
        tokensPerSecond: sparse,
        gflopsDenseEquivalent: 2,
        peakBytes: 4,
      },
    ],
  });
const torch = (mode, tokensPerSecond) => torchVariant({ mode, tokensPerSecond, peakProcessBytes: 9 }, 2e9);

describe('rounds against PyTorch', () => {
  // A machine that is twice as fast in the second round: ratios inside a round stay what they are.
  const rounds = [
    [...ours(100, 150), torch('f32', 50), torch('bf16-compile', 75)],
    [...ours(200, 300), torch('f32', 100), torch('bf16-compile', 150)],
    [...ours(100, 160), torch('f32', 50), torch('bf16-compile', 100)],
  ];
  const { bestTorch, rows } = summarise(rounds);
  const row = (name) => rows.find(({ variant }) => variant === name);

  it('takes medians, spreads, and ratios inside each round', () => {
    expect(rows.map(({ variant }) => variant)).toEqual([
      'run f32 dense',
      'run f32 60 %',
      'torch f32',
      'torch bf16-compile',
    ]);
    expect(row('run f32 60 %')).toMatchObject({
      kind: 'sparse',
      tokensPerSecond: 160,
      peakTensorBytes: 4,
      peakProcessBytes: 7,
    });
    expect(row('run f32 60 %').spread).toBeCloseTo(150 / 160);
    expect(row('run f32 60 %').over).toEqual({ 'torch f32': 3, 'torch bf16-compile': 2 });
    expect(row('run f32 dense').over['torch bf16-compile']).toBeCloseTo(4 / 3);
  });

  it('names the best mode, and counts its operations by those of a dense token', () => {
    expect(bestTorch).toBe('torch bf16-compile');
    expect(row('torch f32')).toMatchObject({ precision: 'f32', gflopsDenseEquivalent: 100, over: {} });
    expect(row('torch bf16-compile').precision).toBe('bf16');
  });
});
