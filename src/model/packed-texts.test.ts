import { describe, expect, it } from 'vitest';
import { disturb } from '../../test/support/model-weights.ts';
import { intTensor, randomIds } from '../../test/support/tensors.ts';
import { createReferenceBackend } from '../backends/reference/reference-backend.ts';
import { ShapeError } from '../util/errors.ts';
import { Prng } from '../util/prng.ts';
import { type ModelConfigInput, resolveConfig } from './resolve-config.ts';
import { type StepOptions, Transformer } from './transformer.ts';

const backend = createReferenceBackend();
const SMALL: ModelConfigInput = {
  ...{ dim: 8, hiddenDim: 12, nLayers: 2, nHeads: 4, nKvHeads: 2, headDim: 4, vocabSize: 11, seqLen: 12 },
  tiedEmbeddings: false,
};

function build(input: Partial<ModelConfigInput>): Transformer {
  return disturb(Transformer.create(resolveConfig({ ...SMALL, ...input }), backend, { seed: 7, dtype: 'f64' }));
}

/** Two rows: texts of 5, 1 and 4 tokens and 2 to fill up; texts of 9 and 3. */
const texts = [
  { row: 0, start: 0, length: 5 },
  { row: 0, start: 5, length: 1 },
  { row: 0, start: 6, length: 4 },
  { row: 1, start: 0, length: 9 },
  { row: 1, start: 9, length: 3 },
];
const shape = { batch: 2, seqLen: 12 };
const ids = randomIds(backend, 24, 11, 1);
const targets = randomIds(backend, 24, 11, 2);
const starts = intTensor(backend, new Int32Array(24));
for (const { row, start, length } of texts) starts.data.fill(start, row * 12 + start, row * 12 + start + length);
for (const index of [10, 11]) {
  targets.data[index] = -1;
  starts.data[index] = index;
}
targets.data[1] = -1;

/** Loss and gradients of the texts, each in a batch of its own, weighed by the targets that count. */
function alone(model: Transformer, options: StepOptions): number {
  const counts = texts.map(
    ({ row, start, length }) =>
      [...targets.data.subarray(row * 12 + start, row * 12 + start + length)].filter((target) => target !== -1).length,
  );
  const total = counts.reduce((sum, count) => sum + count, 0);
  return texts.reduce((sum, { row, start, length }, i) => {
    const part = (all: typeof ids) =>
      intTensor(backend, all.data.subarray(row * 12 + start, row * 12 + start + length));
    const share = counts[i] / total;
    const { loss } = model.lossAndGradients(
      part(ids),
      part(targets),
      { batch: 1, seqLen: length },
      { ...options, gradientScale: share },
    );
    return sum + share * loss;
  }, 0);
}

function takeGradients(model: Transformer): number[][] {
  return model.parameters.map(({ gradient }) => {
    const copy = Array.from(gradient.data);
    gradient.data.fill(0);
    return copy;
  });
}

describe('several texts in one sequence', () => {
  it.each([
    ['dense', { activation: 'silu' }, {}],
    ['sparse', { sparsity: 0.5 }, {}],
    ['run again for the gradients', { sparsity: 0.5, qkNorm: true, qkvBias: true }, { recompute: true }],
    ['in a window', { sparsity: 0.5, slidingWindow: 3 }, {}],
  ] as [string, Partial<ModelConfigInput>, StepOptions][])('are what each is alone: %s', (_name, input, options) => {
    const model = build(input);
    const expectedLoss = alone(model, options);
    const expected = takeGradients(model);
    const { loss } = model.lossAndGradients(ids, targets, { ...shape, starts }, options);
    expect(loss).toBeCloseTo(expectedLoss, 12);
    takeGradients(model).forEach((gradient, p) => {
      gradient.forEach((value, i) => {
        expect(value, model.parameters[p].name).toBeCloseTo(expected[p][i], 12);
      });
    });
    expect(model.loss(ids, targets, { ...shape, starts })).toBe(loss);
    expect(model.loss(ids, targets, shape)).not.toBeCloseTo(loss, 6);
  });

  it.each([
    ['texts', {}],
    ['windows', { slidingWindow: 3 }],
  ])('have gradients that are those of the loss: %s', (_name, input) => {
    const model = build({ activation: 'silu', ...input });
    model.lossAndGradients(ids, targets, { ...shape, starts });
    const gradients = takeGradients(model);
    const prng = new Prng(3);
    model.parameters.forEach(({ name, value }, p) => {
      const direction = Array.from(value.data, () => prng.normal());
      const before = value.data.slice();
      const lossAt = (step: number) => {
        value.data.forEach((_, i) => {
          value.data[i] = before[i] + step * direction[i];
        });
        return model.loss(ids, targets, { ...shape, starts });
      };
      const numeric = (lossAt(1e-6) - lossAt(-1e-6)) / 2e-6;
      lossAt(0);
      const analytic = gradients[p].reduce((sum, value, i) => sum + value * direction[i], 0);
      expect(Math.abs(numeric - analytic) / Math.hypot(...gradients[p]), name).toBeLessThan(1e-6);
    });
  });

  it('need a start for each token', () => {
    const model = build({});
    const short = intTensor(backend, [0, 0]);
    expect(() => model.loss(ids, targets, { ...shape, starts: short })).toThrow(ShapeError);
  });
});
