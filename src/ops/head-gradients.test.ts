import { expect, it } from 'vitest';
import { floatTensor, randomTensor } from '../../test/support/tensors.ts';
import { Tape } from '../autograd/tape.ts';
import { createReferenceBackend } from '../backends/reference/reference-backend.ts';
import { TensorPool } from '../tensor-pool.ts';
import { headGradients, type LogitPruning } from './head-gradients.ts';

const backend = createReferenceBackend();
const [nTokens, dim, vocabSize] = [20, 3, 400];
const hidden = randomTensor(backend, 'f64', [nTokens, dim], 1);
const table = randomTensor(backend, 'f64', [vocabSize, dim], 2);
const scale = 1 / nTokens;

/** A softmax in which few words could follow, less 1 at the target, times the scale. */
function logitGradients(): Float64Array {
  const data = new Float64Array(nTokens * vocabSize);
  for (let token = 0; token < nTokens; token++) {
    const row = data.subarray(token * vocabSize, (token + 1) * vocabSize);
    row.forEach((_, v) => {
      row[v] = Math.exp(-0.1 * ((v + 31 * token) % vocabSize));
    });
    const total = row.reduce((sum, value) => sum + value, 0);
    row.forEach((value, v) => {
      row[v] = (value / total - (v === token ? 1 : 0)) * scale;
    });
  }
  return data;
}

function run(pruning: LogitPruning | null) {
  const pool = new TensorPool(backend);
  const tape = new Tape(backend.kernels, pool, { dtype: 'f64', recording: true });
  const head = { value: table, gradient: floatTensor(backend, 'f64', [vocabSize, dim], []) };
  const dHidden = floatTensor(backend, 'f64', [nTokens, dim], []);
  const dLogits = floatTensor(backend, 'f64', [nTokens, vocabSize], logitGradients());
  tape.scratch(() => headGradients(tape, dLogits, { hidden, head, dHidden, pruning, scale, chunk: 0 }));
  const { flops } = tape;
  tape.dispose();
  expect(pool.liveBytes).toBe(0);
  return { values: [...dHidden.data, ...head.gradient.data], flops };
}

const exact = run(null);

it('are those of the dense products where nothing is left to chance', () => {
  const dLogits = logitGradients();
  const expected = new Array((nTokens + vocabSize) * dim).fill(0);
  for (let token = 0; token < nTokens; token++) {
    for (let v = 0; v < vocabSize; v++) {
      for (let i = 0; i < dim; i++) {
        const value = dLogits[token * vocabSize + v];
        expected[token * dim + i] += value * table.data[v * dim + i];
        expected[(nTokens + v) * dim + i] += value * hidden.data[token * dim + i];
      }
    }
  }
  exact.values.forEach((value, i) => {
    expect(value).toBeCloseTo(expected[i], 12);
  });
  expect(exact.flops).toBe(2 * 2 * nTokens * vocabSize * dim);
  // Below the smallest probability.
  expect(run({ threshold: 1e-20, seed: 1 }).values).toEqual(exact.values);
});

it('pruned are the same in the mean, from few elements', () => {
  const rounds = 600;
  const sums = exact.values.map(() => ({ sum: 0, squares: 0 }));
  for (let seed = 0; seed < rounds; seed++) {
    const { values, flops } = run({ threshold: 0.02, seed });
    // Of a row 50 elements at most on average, for each of the two products.
    expect(flops).toBeLessThan(1.2 * 2 * 2 * nTokens * 50 * dim);
    values.forEach((value, i) => {
      sums[i].sum += value;
      sums[i].squares += value * value;
    });
  }
  const apart = sums.map(({ sum, squares }, i) => {
    const mean = sum / rounds;
    const error = Math.sqrt(Math.max(0, squares / rounds - mean ** 2) / rounds);
    return error === 0 ? 0 : (mean - exact.values[i]) / error;
  });
  // Standard errors, which rare events make long-tailed: 1 in the mean square, and none far out.
  expect(apart.reduce((sum, value) => sum + value ** 2, 0) / apart.length).toBeLessThan(1.5);
  expect(Math.max(...apart.map(Math.abs))).toBeLessThan(8);
  expect(run({ threshold: 0.02, seed: 5 }).values).toEqual(run({ threshold: 0.02, seed: 5 }).values);
  expect(run({ threshold: 0.02, seed: 5 }).values).not.toEqual(run({ threshold: 0.02, seed: 6 }).values);
});
