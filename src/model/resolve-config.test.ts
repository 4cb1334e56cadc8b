import { describe, expect, it } from 'vitest';
import { messageOf, UsageError } from '../util/errors.ts';
import { type ModelConfigInput, resolveConfig } from './resolve-config.ts';

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

  it('takes what a ReLU is as its gradient, and the gate of dReLU', () => {
    expect(resolveConfig({ ...sizes, sparsifier: 'drelu' })).toMatchObject({ gradient: 'masked', activation: 'relu' });
    expect(resolveConfig({ ...sizes, sparsifier: 'relu' })).toMatchObject({ gradient: 'masked', activation: 'relu2' });
    const blocks = { ...sizes, hiddenDim: 100, sparsifier: 'block', sparsity: 0.5 } as const;
    // down of 100 selects nothing behind ReLU gates.
    expect(resolveConfig(blocks).blockSize).toBe(32);
    expect(() => resolveConfig({ ...blocks, activation: 'silu' })).toThrow(/got 32 for 100 at down/);
  });

  it.each<[object, RegExp]>([
    [{ dim: 0 }, /^\[config\] dim must be a whole number of at least 1, got 0\.$/],
    [{ nLayers: '2' }, /nLayers must be .*got "2"/],
    [{ nLayers: null }, /nLayers must be .*got null/],
    [{ nLayers: 5e7 }, /nLayers must be at most 4096, got 50000000/],
    [{ vocabSize: 2 ** 25 }, /vocabSize must be at most 16777216/],
    [{ nExperts: 5e7, nExpertsPerToken: 1 }, /nExperts must be at most 65536 in all layers together/],
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
    [{ qkvBias: 1 }, /qkvBias must be true or false, got 1/],
    [{ ropeScaling: 2 }, /ropeScaling must be null or an object with a type, got 2\./],
    [{ ropeScaling: { type: 'yarn' } }, /ropeScaling\.type must be linear or llama3, got "yarn"/],
    [{ ropeScaling: { type: 'linear' } }, /ropeScaling\.factor must be a number above 0, got undefined/],
    [
      { ropeScaling: { type: 'linear', factor: 2, low: 1 }, qkNorm: 'yes' },
      /2 problems: \(1\) qkNorm must be .* \(2\) unknown field "ropeScaling\.low"/,
    ],
    [
      { ropeScaling: { type: 'llama3', factor: 8, lowFreqFactor: 4, highFreqFactor: 4, originalSeqLen: 0 } },
      /originalSeqLen must be a number above 0, got 0\. \(2\) ropeScaling\.highFreqFactor must be above lowFreqFactor 4, got 4/,
    ],
    [{ slidingWindow: -1 }, /slidingWindow must be a whole number of at least 0 \(0: none\), got -1/],
    [{ hiddenL1: -1e-9 }, /hiddenL1 must be 0 or more/],
    [{ sparsity: 1 }, /sparsity\.qkv must be in \[0, 1\), got 1/],
    [{ sparsity: 'most' }, /sparsity must be a number or an object with qkv, o, gateUp, down, got "most"/],
    [{ sparsity: { o: null, qkv: [0.5, '0.5'] } }, /sparsity\.qkv must be in \[0, 1\), got "0\.5"/],
    [{ sparsity: { o: [0.5] } }, /sparsity\.o must have one value per layer: expected 2, got 1/],
    [{ sparsity: { out: 0.5 } }, /sparsity\.out is no place for it: expected one of qkv, o, gateUp, down\./],
    [{ rescale: 'L2' }, /rescale must be "none", "l2" or an object with qkv, o, gateUp, down, got "L2"/],
    [{ rescale: { o: 'l1' } }, /rescale\.o must be none or l2, got "l1"/],
    [{ sparsifier: 'topK' }, /sparsifier must be topk, block, .* or none, got "topK"\. Did you mean "topk"/],
    [{ blockSize: 1 }, /blockSize must be a whole number from 2 to 256, got 1/],
    [{ sparsifier: 'block', sparsity: 0.5, blockSize: 24 }, /blockSize must divide .* got 24 for 64 at qkv, 64 at o/],
    [{ sparsifier: 'relu', sparsity: { o: [0, 0.5] } }, /sparsity\.o must be 0 with sparsifier relu/],
    [{ sparsifier: 'relu', gradient: 'straight-through' }, /gradient must be masked with sparsifier relu/],
    [{ sparsifier: 'relu', activation: 'silu' }, /activation must be relu or relu2 with sparsifier relu/],
    [{ sparsifier: 'norm-relu', activation: 'silu' }, /activation must be relu or relu2 with sparsifier norm-relu/],
    [{ sparsifier: 'drelu', activation: 'relu2' }, /activation must be relu with sparsifier drelu/],
    [{ sparsifier: 'threshold' }, /thresholds must be above 0 somewhere .* qsparse calibrate finds them/],
    [{ sparsifier: 'threshold', thresholds: { o: [1] } }, /thresholds\.o must have one value per layer: expected 2/],
    [{ sparsifier: 'threshold', thresholds: { o: -1 } }, /thresholds\.o must be 0 or more, got -1/],
    [{ sparsifier: 'threshold', thresholds: { o: '1' } }, /thresholds\.o must be 0 or more, got "1"/],
    [{ sparsifier: 'threshold', thresholds: [1] }, /thresholds must be an object with qkv, .* got a list/],
    [{ sparsifier: 'threshold', thresholds: { gate: 0.5 } }, /gradient must be masked with thresholds\.gate/],
    [{ sparsifier: 'threshold', thresholds: { gates: 0.5 } }, /thresholds\.gates is no place .* Did you mean "gate"/],
    [{ thresholds: { qkv: 0.5 } }, /thresholds\.qkv must be 0 with sparsifier topk/],
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
