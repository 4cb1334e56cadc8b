import { describe, expect, it } from 'vitest';
import { resolveConfig } from '../../model/resolve-config.ts';
import { chooseLayouts } from './choose-layouts.ts';

const SIZES = { dim: 64, hiddenDim: 160, nHeads: 4, vocabSize: 256, seqLen: 64 };

describe('chooseLayouts', () => {
  it('stores a layer by channel where few of its gates are open beside the inputs that it keeps', () => {
    // 0.4 of the kept 40 % are 16 %.
    const config = resolveConfig({ ...SIZES, nLayers: 5, sparsity: 0.6 });
    const openGates = [0.5, 0.03, 0.165, 0.155, 0];
    expect(chooseLayouts(openGates, config)).toEqual(['fused', 'channels', 'fused', 'channels', 'channels']);
  });

  it('goes by the sparsity of each layer', () => {
    const sparsity = { qkv: 0, o: 0, gateUp: [0, 0.6], down: 0 };
    const config = resolveConfig({ ...SIZES, nLayers: 2, sparsity });
    expect(chooseLayouts([0.3, 0.3], config)).toEqual(['channels', 'fused']);
  });
});
