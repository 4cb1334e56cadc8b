import { describe, expect, it } from 'vitest';
import { UsageError } from '../../util/errors.ts';
import { isDenseTwin, SKIP_NAMES, skipsText, skipVariants, sparsityVariants } from './train-variants.ts';

const summary = (variants: ReturnType<typeof sparsityVariants>) =>
  variants.map((variant) => `${variant.precision} ${variant.sparsity} ${skipsText(variant)}`);

describe('sparsityVariants', () => {
  it('begins each precision with its dense twin and tells natural zeros apart from it', () => {
    expect(summary(sparsityVariants(['f32', 'bf16'], [0.6, 0, 0.6], { naturalZeros: true }))).toEqual([
      'f32 0 none',
      'f32 0.6 all',
      'f32 0 all',
      'bf16 0 none',
      'bf16 0.6 all',
      'bf16 0 all',
    ]);
    // Without natural zeros, 0 is the twin itself.
    expect(summary(sparsityVariants(['f32'], [0, 0.6], { naturalZeros: false }))).toEqual([
      'f32 0 none',
      'f32 0.6 all',
    ]);
  });

  it('has one dense twin', () => {
    const variants = sparsityVariants(['f32'], [0, 0.6], { naturalZeros: true });
    expect(variants.filter(isDenseTwin)).toEqual([variants[0]]);
  });
});

describe('skipVariants', () => {
  it('switches each skip off alone', () => {
    const alone = skipVariants(['f32'], [0.6]).filter(({ without }) => without !== null);
    expect(alone.map(({ without }) => without)).toEqual(SKIP_NAMES);
    for (const { skips, without } of alone) {
      expect(Object.entries(skips).filter(([, on]) => !on)).toEqual([[without, false]]);
    }
  });

  it('needs one sparsity, and has no second twin at 0', () => {
    expect(() => skipVariants(['f32'], [0.4, 0.6])).toThrow(UsageError);
    expect(skipVariants(['f32'], [0]).filter(isDenseTwin)).toHaveLength(1);
  });
});
