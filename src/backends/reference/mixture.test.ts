import { describe, expect, it } from 'vitest';
import { floatTensor, intTensor } from '../../../test/support/tensors.ts';
import type { SparseRows } from '../../tensor/sparse-rows.ts';
import type { FloatTensor } from '../../tensor/tensor.ts';
import { createReferenceBackend } from './reference-backend.ts';

const backend = createReferenceBackend();
const { kernels } = backend;
const f64 = (shape: number[], values: readonly number[] = []): FloatTensor =>
  floatTensor(backend, 'f64', shape, values);

function list(rows: number, cols: number, start: number[], index: number[], value: number[]): SparseRows {
  const ints = (values: number[]) => intTensor(backend, Int32Array.from(values));
  return { rows, cols, start: ints(start), index: ints(index), value: f64([value.length], value) };
}

function room(rows: number, cols: number, capacity: number): SparseRows {
  const empty = (length: number) => new Array<number>(length).fill(-1);
  return list(rows, cols, empty(rows + 1), empty(capacity), empty(capacity));
}

const [LN2, LN3, LN4] = [Math.log(2), Math.log(3), Math.log(4)];

describe('routing by hand', () => {
  it('two of four experts: probabilities, the chosen, their shares', () => {
    const logits = f64([2, 4], [0, LN3, LN4, LN2, 5, 5, 5, 5]);
    const chosen = room(2, 4, 4);
    const logSumExp = f64([2]);
    kernels.routeTokens(logits, 2, chosen, logSumExp);
    [0.1, 0.3, 0.4, 0.2, 0.25, 0.25, 0.25, 0.25].forEach((p, i) => {
      expect(logits.data[i]).toBeCloseTo(p, 14);
    });
    expect([...chosen.start.data]).toEqual([0, 2, 4]);
    expect([...chosen.index.data]).toEqual([1, 2, 0, 1]); // equal logits: the lower index
    [3 / 7, 4 / 7, 0.5, 0.5].forEach((share, i) => {
      expect(chosen.value.data[i]).toBeCloseTo(share, 14);
    });
    expect(logSumExp.data[0]).toBeCloseTo(Math.log(10), 14);
    expect(logSumExp.data[1]).toBeCloseTo(5 + LN4, 14);
  });

  it('takes NaN for the largest, and is certain of one expert alone', () => {
    const chosen = room(2, 3, 2);
    kernels.routeTokens(f64([2, 3], [1, Number.NaN, 2, -0, 0, -1]), 1, chosen, f64([2]));
    expect([...chosen.index.data]).toEqual([1, 0]);
    const only = room(1, 1, 1);
    const logSumExp = f64([1]);
    kernels.routeTokens(f64([1, 1], [-3.7]), 1, only, logSumExp);
    expect([only.value.data[0], logSumExp.data[0]]).toEqual([1, -3.7]);
  });

  it('has the gradient of shares, balance and z: central differences', () => {
    const [N, E, kept] = [3, 5, 2];
    const values = [0.3, -1, 2, 0.5, 1.2, -0.4, 0.9, 0.1, -2, 0.7, 1.5, 1.1, -0.3, 0.2, 0.8];
    const [dShare, balance, zScale] = [f64([N * kept], [1, -2, 0.5, 3, -1, 0.25]), f64([E], [1, -1, 2, 0.5, 3]), 0.7];
    const run = (logits: readonly number[]) => {
      const probabilities = f64([N, E], logits);
      const [chosen, logSumExp] = [room(N, E, N * kept), f64([N])];
      kernels.routeTokens(probabilities, kept, chosen, logSumExp);
      return { probabilities, chosen, logSumExp };
    };
    const objective = (logits: readonly number[]) => {
      const { probabilities, chosen, logSumExp } = run(logits);
      const ofShares = [...dShare.data].map((d, i) => d * chosen.value.data[i]);
      const ofBalance = [...probabilities.data].map((p, i) => p * balance.data[i % E]);
      const ofZ = [...logSumExp.data].map((lse) => zScale * lse ** 2);
      return [...ofShares, ...ofBalance, ...ofZ].reduce((sum, term) => sum + term, 0);
    };
    const { probabilities, chosen, logSumExp } = run(values);
    const dLogits = f64([N, E]);
    kernels.routeTokensBackward(probabilities, chosen, logSumExp, dShare, balance, zScale, dLogits);
    values.forEach((value, i) => {
      const at = (x: number) => objective(values.with(i, x));
      expect(dLogits.data[i], `logit ${i}`).toBeCloseTo((at(value + 1e-5) - at(value - 1e-5)) / 2e-5, 8);
    });
  });
});

describe('rows by token by hand', () => {
  it('gathers rows of a list in any order, empty ones too', () => {
    const a = list(3, 4, [0, 2, 2, 3], [0, 3, 1], [5, 6, 7]);
    const out = room(4, 4, 6);
    kernels.gatherRows(a, intTensor(backend, Int32Array.of(2, 0, 1, 0)), out);
    expect([...out.start.data]).toEqual([0, 1, 3, 3, 5]);
    expect([...out.index.data]).toEqual([1, 0, 3, 0, 3, -1]);
    expect([...out.value.data]).toEqual([7, 5, 6, 5, 6, -1]);
  });

  it('refuses a list without room for them', () => {
    const a = list(2, 4, [0, 3, 3], [0, 1, 2], [1, 1, 1]);
    const ids = intTensor(backend, Int32Array.of(0, 0));
    expect(() => kernels.gatherRows(a, ids, room(2, 4, 5))).toThrow('capacity of out: expected 6, got 5');
  });

  it('adds scaled rows where they belong, more than once to the same', () => {
    const out = f64([3, 2], [1, 1, 1, 1, 1, 1]);
    const ids = intTensor(backend, Int32Array.of(2, 0, 2));
    kernels.addRowsAt(f64([3, 2], [1, 2, 3, 4, 5, 6]), f64([3], [10, -1, 2]), ids, out);
    expect([...out.data]).toEqual([-2, -3, 1, 1, 21, 33]);
  });
});
