import { describe, expect, it } from 'vitest';
import { CHANNELS_BELOW_OPEN_SHARE, chooseLayouts } from './choose-layouts.ts';

describe('chooseLayouts', () => {
  it('stores a layer by channel where few of its gates are open', () => {
    expect(chooseLayouts([0.5, 0.03, CHANNELS_BELOW_OPEN_SHARE, 0])).toEqual([
      'fused',
      'channels',
      'fused',
      'channels',
    ]);
  });
});
