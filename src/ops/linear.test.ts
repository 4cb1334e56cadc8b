import { describe, expect, it } from 'vitest';
import { runBackward } from '../../test/support/run-backward.ts';
import { floatTensor, randomTensor } from '../../test/support/tensors.ts';
import { createReferenceBackend } from '../backends/reference/reference-backend.ts';
import { qSparseLinear, type Selection } from '../nn/q-sparse-linear.ts';
import { add } from './add.ts';
import { linear } from './linear.ts';
import { type SelectionRule, sparsify } from './sparsify.ts';

const backend = createReferenceBackend();
const plain: Selection = {
  point: 'qkv',
  rule: { keeps: 'all' },
  naturalZeros: false,
  gradient: 'straight-through',
  rescale: 'none',
  activationFormat: 'float',
};
const [nTokens, features, outputs] = [6, 10, 4];
const largest = (kept: number): SelectionRule => (kept < features ? { keeps: 'largest', kept } : { keeps: 'all' });
const x = randomTensor(backend, 'f64', [nTokens, features], 1);
const dOut = randomTensor(backend, 'f64', [nTokens, outputs], 2);

function weight(shape: readonly number[], seed: number) {
  return { value: randomTensor(backend, 'f64', shape, seed), gradient: floatTensor(backend, 'f64', shape, []) };
}

/** a [m, k] b [k, n] with plain loops over index functions. */
function product(m: number, k: number, n: number, a: (i: number, j: number) => number, b: typeof a): number[] {
  const out = new Array<number>(m * n).fill(0);
  for (let i = 0; i < m; i++)
    for (let j = 0; j < n; j++) for (let l = 0; l < k; l++) out[i * n + j] += a(i, l) * b(l, j);
  return out;
}

const at = (tensor: { data: ArrayLike<number> }, cols: number) => (i: number, j: number) => tensor.data[i * cols + j];
const transposed = (f: (i: number, j: number) => number) => (i: number, j: number) => f(j, i);

/** x with all but the `kept` largest magnitudes of each row 0: a full sort, not the kernel. */
function maskedByRank(kept: number): { data: number[] } {
  const data = Array.from(x.data);
  for (let row = 0; row < nTokens; row++) {
    const order = Array.from({ length: features }, (_, i) => row * features + i);
    order.sort((a, b) => Math.abs(data[b]) - Math.abs(data[a]) || a - b);
    for (const dropped of order.slice(kept)) data[dropped] = 0;
  }
  return { data };
}

function expectClose(got: ArrayLike<number>, expected: ArrayLike<number>): void {
  expect(got.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) expect(got[i]).toBeCloseTo(expected[i], 10);
}

describe('qSparseLinear', () => {
  // 4 of 10 are multiplied as a list, 5 in y only (its crossover is the higher one), 8 as a dense matrix with zeros, 10 dense.
  it.each([4, 5, 8, 10])('with %i of 10 kept: y and dW of the masked input, dX straight through', (kept) => {
    const w = weight([features, outputs], 3);
    const result = runBackward(backend, x, dOut, (tape, x) =>
      qSparseLinear(tape, x, w, { ...plain, rule: largest(kept) }),
    );
    const masked = maskedByRank(kept);
    expectClose(result.output, product(nTokens, features, outputs, at(masked, features), at(w.value, outputs)));
    expectClose(
      w.gradient.data,
      product(features, nTokens, outputs, transposed(at(masked, features)), at(dOut, outputs)),
    );
    // The straight-through dX is the dense one, whatever was dropped.
    expectClose(result.dX, product(nTokens, outputs, features, at(dOut, outputs), transposed(at(w.value, outputs))));
    expect(result.leakedBytes).toBe(0);
    // Three products; only those with x skip zeros, each below its crossover.
    const [y, dW] = [kept < 8 ? kept : features, kept < 5 ? kept : features];
    expect(result.flops).toBe(2 * outputs * nTokens * (y + dW + features));
  });

  /** Rounded to 8 bits by the definition (eq. 5 to 7), row by row. */
  function roundedRows({ data }: { data: readonly number[] }): { data: number[] } {
    const rows = Array.from({ length: nTokens }, (_, row) => data.slice(row * features, (row + 1) * features));
    return {
      data: rows.flatMap((row) => {
        const largest = Math.max(...row.map(Math.abs));
        return row.map((value) => Math.round((127 / (largest + 1e-5)) * value) * (largest / 127));
      }),
    };
  }

  it.each([
    [4, 'straight-through'],
    [10, 'straight-through'],
    [4, 'masked'],
  ] as const)('in 8 bits, %i of 10 kept, %s: y and dW of what is rounded, dX as if it were not', (kept, gradient) => {
    const w = weight([features, outputs], 3);
    const selection = { ...plain, rule: largest(kept), gradient, activationFormat: 'int8' } as const;
    const result = runBackward(backend, x, dOut, (tape, x) => qSparseLinear(tape, x, w, selection));
    const masked = maskedByRank(kept);
    const rounded = roundedRows(masked);
    const near = (got: ArrayLike<number>, expected: readonly number[]) => {
      expect(got.length).toBe(expected.length);
      for (const [i, value] of expected.entries()) expect(Math.abs(got[i] - value)).toBeLessThan(2e-6);
    };
    near(result.output, product(nTokens, features, outputs, at(rounded, features), at(w.value, outputs)));
    near(w.gradient.data, product(features, nTokens, outputs, transposed(at(rounded, features)), at(dOut, outputs)));
    const dense = product(nTokens, outputs, features, at(dOut, outputs), transposed(at(w.value, outputs)));
    near(
      result.dX,
      dense.map((value, i) => (gradient === 'masked' && masked.data[i] === 0 ? 0 : value)),
    );
  });

  it('masks dX in the ablation', () => {
    const dXOf = (gradient: Selection['gradient']) =>
      runBackward(backend, x, dOut, (tape, x) =>
        qSparseLinear(tape, x, weight([features, outputs], 3), { ...plain, rule: largest(4), gradient }),
      ).dX;
    const masked = maskedByRank(4);
    expectClose(
      dXOf('masked'),
      dXOf('straight-through').map((value, i) => (masked.data[i] === 0 ? 0 : value)),
    );
  });

  it('re-scales the masked rows to unit root mean square', () => {
    const w = weight([features, outputs], 3);
    const selection = { ...plain, rule: largest(4), rescale: 'l2' } as const;
    const result = runBackward(backend, x, dOut, (tape, x) => qSparseLinear(tape, x, w, selection));
    const { data } = maskedByRank(4);
    const scaled = data.map((value, i) => {
      const row = data.slice(Math.floor(i / features) * features, (Math.floor(i / features) + 1) * features);
      return (value / (Math.hypot(...row) + 1e-6)) * Math.sqrt(features);
    });
    expectClose(
      result.output,
      product(nTokens, features, outputs, at({ data: scaled }, features), at(w.value, outputs)),
    );
  });

  it('re-scales dense and naturally sparse inputs as well', () => {
    const outputOf = (naturalZeros: boolean) =>
      runBackward(backend, x, dOut, (tape, x) =>
        qSparseLinear(tape, x, weight([features, outputs], 3), { ...plain, naturalZeros, rescale: 'l2' }),
      ).output;
    expectClose(outputOf(true), outputOf(false));
  });
});

describe('linear', () => {
  it.each([4, 10])('adds the gradients of two projections of one input (%i of 10 kept)', (kept) => {
    const [a, b] = [weight([features, outputs], 3), weight([features, outputs], 4)];
    const both = runBackward(backend, x, dOut, (tape, x) => {
      const selected = tape.apply(sparsify, { x, rule: { keeps: 'largest', kept }, gradient: 'straight-through' });
      return tape.apply(add, {
        a: tape.apply(linear, { x: selected, weight: a }),
        b: tape.apply(linear, { x: selected, weight: b }),
      });
    });
    const sum = (i: number, j: number) => at(a.value, outputs)(j, i) + at(b.value, outputs)(j, i);
    expectClose(both.dX, product(nTokens, outputs, features, at(dOut, outputs), sum));
    expect(a.gradient.data).toEqual(b.gradient.data);
    expect(both.leakedBytes).toBe(0);
  });
});
