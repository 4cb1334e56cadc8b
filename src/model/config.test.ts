import { describe, expect, it } from 'vitest';
import { messageOf, UsageError } from '../util/errors.ts';
import { type ModelConfigInput, resolveConfig } from './config.ts';

const sizes = { dim: 64, nLayers: 2, nHeads: 4, vocabSize: 11 };

/** As from a file: anything may stand in it. */
function messageFor(fields: object): string {
  try {
    resolveConfig({ ...sizes, ...fields } as ModelConfigInput);
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return messageOf(error);
  }
  return 'accepted';
}

describe('resolveConfig', () => {
  it('accepts its own result, so that a saved configuration can be taken up again', () => {
    const config = resolveConfig({ ...sizes, sparsity: { qkv: [0.5, 0], down: 0.25 } });
    expect(resolveConfig(config)).toEqual(config);
    expect(resolveConfig(JSON.parse(JSON.stringify(config)) as ModelConfigInput)).toEqual(config);
  });

  it.each<[object, RegExp]>([
    [{ dim: 0 }, /^\[config\] dim must be a whole number of at least 1, got 0\.$/],
    [{ nLayers: '2' }, /nLayers must be .*got "2"/],
    [{ nLayers: null }, /nLayers must be .*got null/],
    [
      { nHeads: 3 },
      /^\[config\] nHeads must divide dim: got dim 64, nHeads 3\. Change one of them, or give headDim\.$/,
    ],
    [{ nHeads: 64 }, /headDim must be even for RoPE, got 1\. It is dim \/ nHeads\./],
    [{ nKvHeads: 3 }, /nKvHeads must divide nHeads: got nHeads 4, nKvHeads 3/],
    [{ activation: 'relu3' }, /activation must be relu2, relu or silu, got "relu3"\. Did you mean "relu2"/],
    [{ gradient: true }, /gradient must be straight-through or masked, got true/],
    [{ tiedEmbeddings: 'no' }, /tiedEmbeddings must be true or false, got "no"/],
    [{ ropeTheta: Number.NaN }, /ropeTheta must be above 0, got NaN/],
    [{ slidingWindow: -1 }, /slidingWindow must be a whole number of at least 0 \(0: none\), got -1/],
    [{ hiddenL1: -1e-9 }, /hiddenL1 must be 0 or more/],
    [{ sparsity: 1 }, /sparsity\.qkv must be in \[0, 1\), got 1/],
    [{ sparsity: 'most' }, /sparsity must be a number or an object with qkv, o, gateUp, down, got "most"/],
    [{ sparsity: { o: null, qkv: [0.5, '0.5'] } }, /sparsity\.qkv must be in \[0, 1\), got "0\.5"/],
    [{ sparsity: { o: [0.5] } }, /sparsity\.o must have one value per layer: expected 2, got 1/],
    [{ sparsity: { out: 0.5 } }, /sparsity\.out is no point: expected one of qkv, o, gateUp, down/],
    [{ nKVheads: 2 }, /unknown field "nKVheads"\. Did you mean "nKvHeads"/],
  ])('refuses %j', (fields, message) => {
    expect(messageFor(fields)).toMatch(message);
  });

  it('says all that is wrong at once, each mistake once, on one line', () => {
    const message = messageFor({ dim: -1, nHeads: 2.5, gradient: 'ste', sparsity: { qkv: 2, down: 0.5 }, tied: true });
    expect(message).toMatch(/^\[config\] 5 problems: \(1\) .*\(5\) [^()]*\[0, 1\), got 2\.$/);
    for (const field of ['dim must', 'nHeads must', 'gradient must', 'sparsity.qkv must', 'unknown field "tied"']) {
      expect(message.split(field), field).toHaveLength(2);
    }
    expect(message).not.toMatch(/\n|headDim|hiddenDim must|nKvHeads must/);
  });

  it('stays short, whatever is in a file', () => {
    const fields = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`f${i}`.repeat(1000), 0]));
    const message = messageFor({ ...fields, rescale: 'x'.repeat(1e6) });
    expect(message).toContain('And 989 more.');
    expect(message.length).toBeLessThan(2000);
  });
});
