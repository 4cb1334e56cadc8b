/**
 * The reference backend against numbers worked out by hand, closed forms, finite differences in f64, and the golden unit cases:
 * the oracle of all other backends must not be tested against itself alone.
 */

import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../../src/backends/reference/reference-backend.ts';
import type { BlockMoments } from '../../src/tensor/block-moments.ts';
import { KV_DTYPES, type KvSlots, type KvType, kvShapes } from '../../src/tensor/kv-slots.ts';
import type { SparseRows } from '../../src/tensor/sparse-rows.ts';
import type { IntTensor, Tensor } from '../../src/tensor/tensor.ts';
import { ternaryScale } from '../../src/tensor/ternary.ts';
import { newData } from '../../src/tensor/view-of.ts';
import type { WeightMatrix } from '../../src/tensor/weight-matrix.ts';
import { sharedPath } from '../golden/golden-file.ts';
import { runConformance } from './conformance.ts';
import { Values } from './values.ts';

const { kernels } = createReferenceBackend();

/** An f64 tensor: hand-computed numbers need no tolerance for rounding. */
function f64(shape: number[], values?: readonly number[]): Tensor<'f64'> {
  const size = shape.reduce((a, b) => a * b, 1);
  return { dtype: 'f64', shape, data: values ? Float64Array.from(values) : new Float64Array(size), address: 0 };
}

function i32(values: readonly number[]): IntTensor {
  return { dtype: 'i32', shape: [values.length], data: Int32Array.from(values), address: 0 };
}

function sparse(rows: number, cols: number, start: number[], index: number[], value: number[]): SparseRows {
  return { rows, cols, start: i32(start), index: i32(index), value: f64([value.length], value) };
}

function expectClose(got: Tensor, expected: readonly number[], digits = 12): void {
  expect(got.data.length).toBe(expected.length);
  expected.forEach((value, i) => {
    expect(got.data[i], `element ${i}`).toBeCloseTo(value, digits);
  });
}

function normals(seed: string, shape: number[]): Tensor<'f64'> {
  return f64(shape, [...new Values(seed).normals(shape.reduce((a, b) => a * b, 1))]);
}

/** d(sum of out * dOut) / d(input), element by element, by central differences. */
function finiteDifferences(input: Tensor, out: Tensor, dOut: Tensor, forward: () => void): number[] {
  const step = 1e-6;
  const weighted = () => {
    forward();
    return [...out.data].reduce((sum, value, i) => sum + value * dOut.data[i], 0);
  };
  return Array.from(input.data, (value, i) => {
    input.data[i] = value + step;
    const above = weighted();
    input.data[i] = value - step;
    const below = weighted();
    input.data[i] = value;
    return (above - below) / (2 * step);
  });
}

describe('products by hand', () => {
  const a = [1, 2, 3, 4, 5, 6];
  const b = [7, 8, 9, 10, 11, 12];
  const product = [58, 64, 139, 154];

  it('matmul in all four storages, and accumulating', () => {
    const aT = f64([3, 2], [1, 4, 2, 5, 3, 6]);
    const bT = f64([2, 3], [7, 9, 11, 8, 10, 12]);
    for (const transposeA of [false, true]) {
      for (const transposeB of [false, true]) {
        const out = f64([2, 2], [1, 1, 1, 1]);
        kernels.matmul(transposeA ? aT : f64([2, 3], a), transposeB ? bT : f64([3, 2], b), out, {
          transposeA,
          transposeB,
        });
        expect([...out.data]).toEqual(product);
      }
    }
    const out = f64([2, 2], [1, 2, 3, 4]);
    kernels.matmul(f64([2, 3], a), f64([3, 2], b), out, { accumulate: true });
    expect([...out.data]).toEqual([59, 66, 142, 158]);
  });

  it('sparseMatmul: only listed elements, empty rows are 0', () => {
    const rows = sparse(3, 3, [0, 2, 2, 3], [0, 2, 1], [2, 3, -1]); // [2 0 3] [0 0 0] [0 -1 0]
    const out = f64([3, 2], [9, 9, 9, 9, 9, 9]);
    kernels.sparseMatmul(rows, f64([3, 2], b), out);
    expect([...out.data]).toEqual([47, 52, 0, 0, -9, -10]);
    kernels.sparseMatmul(rows, f64([2, 3], [7, 9, 11, 8, 10, 12]), out, { transposeB: true, accumulate: true });
    expect([...out.data]).toEqual([94, 104, 0, 0, -18, -20]);
  });

  it('bf16 rounds both operands, ties to even, and nothing else', () => {
    const tie = 1 + 2 ** -8; // becomes 1
    const upper = 1 + 3 * 2 ** -8; // becomes 1 + 2^-6
    const out = f64([1, 1], [tie]);
    kernels.matmul(f64([1, 2], [tie, 3]), f64([2, 1], [5, upper]), out, { precision: 'bf16', accumulate: true });
    expect(out.data[0]).toBe(tie + 5 + 3 * (1 + 2 ** -6));
    const row = sparse(1, 2, [0, 2], [0, 1], [tie, 3]);
    kernels.sparseMatmul(row, f64([2, 1], [5, upper]), out, { precision: 'bf16' });
    expect(out.data[0]).toBe(5 + 3 * (1 + 2 ** -6));
    expect(row.value.data[0]).toBe(tie);
    kernels.sparseMatmul(row, f64([2, 1], [5, upper]), out, { precision: 'f32' });
    expect(out.data[0]).toBe(5 * tie + 3 * upper);
  });
});

describe('rows of stored weights by hand', () => {
  it('gives numbers, bytes and codes their scale', () => {
    const row = (dtype: WeightMatrix['dtype'], bytes: number[], scale: number[] | null): number[] => {
      const data: Tensor<'u8'> = { dtype: 'u8', shape: [bytes.length], data: Uint8Array.from(bytes), address: 0 };
      const scales: Tensor<'f32'> | null =
        scale && ({ dtype: 'f32', shape: [2], data: Float32Array.from(scale), address: 0 } as const);
      const [rowBytes, common] = [bytes.length / 2, { rows: 2, cols: 2, scaleAxis: 'rows', groupRows: 2 } as const];
      const out: Tensor<'f32'> = { dtype: 'f32', shape: [1, 2], data: new Float32Array(2), address: 0 };
      kernels.weightRows(i32([1]), { dtype, rowBytes, data, scale: scales, ...common }, out);
      return [...out.data];
    };
    expect(row('f32', [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0], null)).toEqual([1, -2]);
    expect(row('bf16', [0, 0, 0, 0, 0x80, 0x3f, 0, 0xc0], null)).toEqual([1, -2]);
    expect(row('int8', [1, 1, 0, 0, 0xff, 100, 0, 0], [7, 0.5])).toEqual([-0.5, 50]);
    const codes = [...new Array<number>(32).fill(0), 0b10, 0b00, ...new Array<number>(30).fill(0)];
    expect(row('ternary', codes, [7, 0.5])).toEqual([0.5, -0.5]);
  });
});

describe('selection and lists by hand', () => {
  function selected(x: number[], kept: number): number[] {
    const out = sparse(1, x.length, [0, 0], new Array(kept).fill(-1), new Array(kept).fill(-1));
    kernels.selectTopK(f64([1, x.length], x), kept, out);
    out.index.data.forEach((c, e) => {
      expect(out.value.data[e]).toBe(x[c]);
    });
    expect(out.start.data[1]).toBe(kept);
    return [...out.index.data];
  }

  it('keeps the largest magnitudes, ties to the lower index, in ascending order', () => {
    expect(selected([1, -5, 3, 5, -3], 3)).toEqual([1, 2, 3]);
    expect(selected([-0, 0, -0], 2)).toEqual([0, 1]);
    expect(selected([0, -(2 ** -149), 2 ** -149], 1)).toEqual([1]);
  });

  it('keeps exactly `kept` with infinities and NaN, NaN first', () => {
    const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;
    expect(selected([1, infinity, nan, -infinity, nan], 1)).toEqual([2]);
    expect(selected([1, infinity, nan, -infinity, nan], 3)).toEqual([1, 2, 4]);
    expect(selected([nan, nan, nan], 2)).toEqual([0, 1]);
  });

  it('counts, gathers, transposes, writes out and masks', () => {
    const dense = [0, 2, -0, 3, 0, 0, Number.NaN, 0, 4];
    const start = i32([-1, -1, -1, -1]);
    kernels.countNonZeros(f64([3, 3], dense), start);
    expect([...start.data]).toEqual([0, 1, 2, 4]);
    const rows = { ...sparse(3, 3, [], new Array(4).fill(-1), new Array(4).fill(-1)), start };
    kernels.gatherNonZeros(f64([3, 3], dense), rows);
    expect([...rows.index.data]).toEqual([1, 0, 0, 2]);
    expect([...rows.value.data]).toEqual([2, 3, Number.NaN, 4]);
    const transposed = sparse(3, 3, [-1, -1, -1, -1], new Array(4).fill(-1), new Array(4).fill(-1));
    kernels.transposeRows(rows, transposed);
    expect([...transposed.start.data]).toEqual([0, 2, 3, 4]);
    expect([...transposed.index.data]).toEqual([1, 2, 0, 2]);
    expect([...transposed.value.data]).toEqual([3, Number.NaN, 2, 4]);
    const out = f64([3, 3], new Array(9).fill(7));
    kernels.scatterRows(rows, out);
    expect([...out.data]).toEqual([0, 2, 0, 3, 0, 0, Number.NaN, 0, 4]);
    kernels.maskRows(f64([3, 3], [1, 2, 3, 4, 5, 6, 7, 8, 9]), rows, out);
    expect([...out.data]).toEqual([0, 2, 0, 4, 0, 0, 7, 0, 9]);
  });

  it('re-scales a row to unit root mean square, and leaves a row of zeros 0', () => {
    const rows = sparse(2, 8, [0, 2, 3], [1, 6, 0], [3, -4, 0]);
    const norm = f64([2]);
    kernels.rescaleRows(rows, norm);
    expectClose(norm, [5, 0]);
    expectClose(rows.value, [(3 / 5.000001) * Math.sqrt(8), (-4 / 5.000001) * Math.sqrt(8), 0]);
  });

  it('rescaleRowsBackward is the derivative of rescaleRows', () => {
    const x = [0.5, -1.5, 2, 0.25, 0.75];
    const values = f64([5], x);
    const rows = { ...sparse(2, 4, [0, 3, 5], [0, 1, 3, 1, 2], x), value: f64([5]) };
    const norm = f64([2]);
    const forward = () => {
      rows.value.data.set(values.data);
      kernels.rescaleRows(rows, norm);
    };
    const gradient = normals('rescale', [2, 4]);
    const at = [0, 1, 3, 5, 6].map((i) => gradient.data[i]);
    const expected = finiteDifferences(values, rows.value, f64([5], at), forward);
    forward();
    const untouched = (gradient.data[2] * 2) / (norm.data[0] + 1e-6);
    kernels.rescaleRowsBackward(rows, norm, gradient);
    expectClose(
      f64(
        [5],
        [0, 1, 3, 5, 6].map((i) => gradient.data[i]),
      ),
      expected,
      7,
    );
    expect(gradient.data[2]).toBeCloseTo(untouched, 12);
  });

  it('rescaleRowsBackward gives nothing to a row of nothing, which has no direction', () => {
    const [rows, gradient] = [
      { ...sparse(2, 2, [0, 0, 1], [1], [3]), value: f64([1], [Math.SQRT2]) },
      f64([2, 2], [1, 2, 1, 2]),
    ];
    kernels.rescaleRowsBackward(rows, f64([2], [0, 3]), gradient);
    expect([...gradient.data.subarray(0, 2)]).toEqual([0, 0]);
    expect(gradient.data[2]).toBeCloseTo(Math.SQRT2 / 3, 5);
  });
});

describe('normalisation and positions by hand', () => {
  it('rmsNorm: [3, 4] has mean square 12.5', () => {
    const [out, rstd] = [f64([1, 2]), f64([1])];
    kernels.rmsNorm(f64([1, 2], [3, 4]), f64([2], [1, 10]), 0, out, rstd);
    expectClose(rstd, [1 / Math.sqrt(12.5)]);
    expectClose(out, [3 / Math.sqrt(12.5), 40 / Math.sqrt(12.5)]);
  });

  it('rmsNormBackward is the derivative of rmsNorm, and adds up', () => {
    const [x, weight, dOut] = [normals('x', [3, 5]), normals('w', [5]), normals('d', [3, 5])];
    const [out, rstd] = [f64([3, 5]), f64([3])];
    const forward = () => kernels.rmsNorm(x, weight, 1e-5, out, rstd);
    const [dXExpected, dWeightExpected] = [x, weight].map((t) => finiteDifferences(t, out, dOut, forward));
    forward();
    const [dX, dWeight] = [f64([3, 5]), f64([5], [1, 1, 1, 1, 1])];
    kernels.rmsNormBackward(x, weight, rstd, dOut, dX, dWeight);
    expectClose(dX, dXExpected, 7);
    expectClose(
      dWeight,
      dWeightExpected.map((value) => value + 1),
      7,
    );
    kernels.rmsNormBackward(x, weight, rstd, dOut, dX, dWeight, { accumulate: true });
    expectClose(
      dX,
      dXExpected.map((value) => 2 * value),
      7,
    );
  });

  it('rmsNorm of a list is that of the rows with their zeros, and so is its backward at the elements', () => {
    const list = sparse(2, 5, [0, 2, 5], [1, 4, 0, 2, 3], [3, -4, 1, 2, -2]);
    const x = f64([2, 5], [0, 3, 0, 0, -4, 1, 0, 2, -2, 0]);
    const [weight, dOut] = [normals('w', [5]), normals('d', [2, 5])];
    const [out, rstd, dX, dWeight] = [f64([2, 5]), f64([2]), f64([2, 5]), f64([5])];
    kernels.rmsNorm(x, weight, 1e-5, out, rstd);
    kernels.rmsNormBackward(x, weight, rstd, dOut, dX, dWeight);
    const at = (dense: Tensor) => [1, 4, 5, 7, 8].map((i) => dense.data[i]);
    const [outRows, rstdRows, dXRows, dWeightRows] = [f64([5]), f64([2]), f64([5]), f64([5])];
    kernels.rmsNormRows(list, weight, 1e-5, outRows, rstdRows);
    kernels.rmsNormRowsBackward(list, weight, rstdRows, f64([5], at(dOut)), dXRows, dWeightRows);
    expectClose(outRows, at(out));
    expectClose(rstdRows, [...rstd.data]);
    expectClose(dXRows, at(dX));
    expectClose(dWeightRows, [...dWeight.data]);
  });

  it('rope: a quarter turn takes (a, b) to (-b, a), feature i with feature i + headDim / 2', () => {
    const [cos, sin] = [f64([2, 2], [1, 1, 0, 1]), f64([2, 2], [0, 0, 1, 0])];
    const x = f64([2, 5], [1, 2, 3, 4, 9, 1, 2, 3, 4, 9]);
    kernels.rope(x, i32([0, 1]), cos, sin, { nRotatedHeads: 1, headDim: 4, inverse: false });
    expect([...x.data]).toEqual([1, 2, 3, 4, 9, -3, 2, 1, 4, 9]);
    const alone = f64([1, 4], [-3, 2, 1, 4]);
    kernels.rope(alone, i32([1]), cos, sin, { nRotatedHeads: 1, headDim: 4, inverse: true });
    expect([...alone.data]).toEqual([1, 2, 3, 4]);
  });
});

describe('attention by hand', () => {
  it('weighs two values by the softmax of the scores, grouped heads on one key', () => {
    const shape = { batch: 1, seqLen: 2, nHeads: 2, nKvHeads: 1, headDim: 4 };
    // Scores of the second token: head 0: q . k / 2 = 0 and ln 3; head 1: 0 and 0.
    const q = [2 * Math.log(3), 0, 0, 0, 0, 0, 0, 0];
    const qkv = f64([2, 16], [...q, 0, 0, 0, 0, 1, 2, 3, 4, ...q, 1, 0, 0, 0, 5, 6, 7, 8]);
    const [out, logSumExp] = [f64([2, 8]), f64([2, 2])];
    kernels.attention(qkv, out, logSumExp, shape);
    expectClose(out, [1, 2, 3, 4, 1, 2, 3, 4, 4, 5, 6, 7, 3, 4, 5, 6]);
    expectClose(logSumExp, [0, 0, Math.log(4), Math.log(2)]);
  });

  it('leaves out what stands before the first key', () => {
    const shape = { batch: 1, seqLen: 3, nHeads: 1, nKvHeads: 1, headDim: 1 };
    // All scores of the last token are 0: the mean of the values that it sees.
    const qkv = f64([3, 3], [0, 0, 100, 0, 0, 4, 0, 0, 6]);
    const [out, logSumExp] = [f64([3, 1]), f64([3, 1])];
    kernels.attention(qkv, out, logSumExp, shape, i32([0, 1, 1]));
    expectClose(out, [100, 4, 5]);
    expectClose(logSumExp, [0, 0, Math.log(2)]);
  });

  it.each([
    ['', null],
    [' over firstKeys', i32([0, 1, 1, 1, 0, 0, 1, 2])],
  ])('attentionBackward is the derivative of attention%s', (_name, firstKeys) => {
    const shape = { batch: 2, seqLen: 4, nHeads: 4, nKvHeads: 2, headDim: 2 };
    const [qkv, dOut] = [normals('qkv', [8, 16]), normals('dOut', [8, 8])];
    const [out, logSumExp, dQkv] = [f64([8, 8]), f64([8, 4]), f64([8, 16])];
    const forward = () => kernels.attention(qkv, out, logSumExp, shape, firstKeys);
    const expected = finiteDifferences(qkv, out, dOut, forward);
    forward();
    kernels.attentionBackward(qkv, out, logSumExp, dOut, dQkv, shape, firstKeys);
    expectClose(dQkv, expected, 7);
  });
});

describe('a cache of keys and values by hand', () => {
  const f32Of = (shape: number[], values: number[] = []): Tensor<'f32'> => {
    const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
    data.set(values);
    return { dtype: 'f32', shape, data, address: 0 };
  };
  const itemsOf = (...table: number[][]): IntTensor => ({ ...i32(table.flat()), shape: [table.length, 4] });

  /** One slot of 64 positions, one head of 2. */
  function slots(type: KvType): KvSlots {
    const shape = { slots: 1, positions: 64, nKvHeads: 1, headDim: 2 };
    const { keys, values, scales } = kvShapes(shape);
    const memory = (dims: number[]): Tensor => {
      const dtype = KV_DTYPES[type];
      return {
        dtype,
        shape: dims,
        address: 0,
        data: newData(
          dtype,
          dims.reduce((a, b) => a * b, 1),
        ),
      };
    };
    const scale = () => (type === 'int8' ? f32Of(scales) : null);
    return { ...shape, type, keys: memory(keys), values: memory(values), keyScale: scale(), valueScale: scale() };
  }

  it('stores a key across its block and a value in its row, a ring further on', () => {
    const kv = slots('f32');
    kernels.storeKv(f32Of([1, 6], [9, 9, 1, 2, 3, 4]), itemsOf([0, 1, 67, 0]), kv); // 67 = 64 + 3
    expect([kv.keys.data[3], kv.keys.data[64 + 3]]).toEqual([1, 2]);
    expect([...kv.values.data.slice(3 * 32, 3 * 32 + 3)]).toEqual([3, 4, 0]);
  });

  it('rounds to f16, and to bytes of the largest', () => {
    const half = slots('f16');
    kernels.storeKv(f32Of([1, 6], [0, 0, 1, -2, 1 / 3, 0]), itemsOf([0, 1, 0, 0]), half);
    expect([half.keys.data[0], half.keys.data[64], half.values.data[0]]).toEqual([0x3c00, 0xc000, 0x3555]);
    const bytes = slots('int8');
    kernels.storeKv(f32Of([1, 6], [0, 0, 1, -2, 254, 3]), itemsOf([0, 1, 0, 0]), bytes);
    expect([bytes.keys.data[0], bytes.keys.data[64]]).toEqual([64, -127]); // 63.5 to the even side
    expect([...bytes.values.data.slice(0, 2)]).toEqual([127, 2]); // 1.5 to the even side
    expect([bytes.keyScale!.data[0], bytes.valueScale!.data[0]]).toEqual([Math.fround(2 / 127), 2]);
  });

  it('weighs the values that a token sees, and no others', () => {
    // Scores q . k / sqrt(2): ln 3 where q = (sqrt 2 ln 3, 0) meets k = (1, 0).
    const q = [Math.SQRT2 * Math.log(3), 0];
    const qkv = f32Of([3, 6], [...q, 0, 0, 8, 0, ...q, 1, 0, 0, 4, ...q, 0, 0, 4, 4]);
    const [kv, out] = [slots('f32'), f32Of([3, 2])];
    kernels.storeKv(qkv, itemsOf([0, 3, 0, 0]), kv);
    kernels.attentionCached(qkv, itemsOf([0, 3, 0, 0]), kv, 0, out);
    expectClose(out, [8, 0, 2, 3, (8 + 4) / 5, (12 + 4) / 5], 6); // weights 1; 1, 3; 1, 3, 1
    kernels.attentionCached(qkv, itemsOf([0, 3, 0, 0]), kv, 2, out);
    expectClose(out, [8, 0, 2, 3, 1, 4], 6); // the last one no longer sees the first
  });
});

describe('feed-forward by hand', () => {
  const gateUp = f64([1, 6], [2, -1, 0.5, 3, 5, -4]); // gates 2, -1, 0.5; ups 3, 5, -4

  it('glu', () => {
    const out = f64([1, 3]);
    kernels.glu(gateUp, 'relu2', out);
    expect([...out.data]).toEqual([12, 0, -1]);
    kernels.glu(gateUp, 'relu', out);
    expect([...out.data]).toEqual([6, 0, -2]);
    kernels.glu(gateUp, 'silu', out);
    expectClose(out, [6 / (1 + Math.exp(-2)), -5 / (1 + Math.E), -2 / (1 + Math.exp(-0.5))]);
    // Activations 1.76, -0.27, 0.31; of ReLU^2 4, 0, 0.25.
    kernels.glu(gateUp, 'silu', out, 0.3);
    expectClose(out, [6 / (1 + Math.exp(-2)), 0, -2 / (1 + Math.exp(-0.5))]);
    kernels.glu(gateUp, 'relu2', out, 0.25);
    expect([...out.data]).toEqual([12, 0, -1]);
    kernels.glu(gateUp, 'relu2', out, 0.3);
    expect([...out.data]).toEqual([12, 0, 0]);
  });

  it('gluBackward is the derivative of glu plus l1 * sum |hidden|', () => {
    for (const [activation, threshold] of [
      ...(['relu2', 'relu', 'silu'] as const).map((activation) => [activation, 0] as const),
      ...(['relu2', 'relu', 'silu'] as const).map((activation) => [activation, 0.3] as const),
    ]) {
      const [out, dOut, dGateUp] = [f64([1, 3]), f64([1, 3], [0.5, -2, 1.5]), f64([1, 6])];
      const l1 = 0.25;
      // The L1 term is one more output, the sum of |hidden|, of gradient l1.
      const extended = f64([4]);
      const expected = finiteDifferences(gateUp, extended, f64([4], [...dOut.data, l1]), () => {
        kernels.glu(gateUp, activation, out, threshold);
        extended.data.set([...out.data, out.data.reduce((sum, h) => sum + Math.abs(h), 0)]);
      });
      kernels.gluBackward(gateUp, dOut, activation, l1, dGateUp, threshold);
      expectClose(dGateUp, expected, 7);
    }
  });

  it('closed gates are +0 in front of negative, infinite and NaN', () => {
    const closed = f64([1, 8], [-1, 0, -0, -2, -3, Number.POSITIVE_INFINITY, Number.NaN, 1]);
    const [out, dGateUp] = [f64([1, 4]), f64([1, 8], new Array(8).fill(9))];
    for (const activation of ['relu2', 'relu'] as const) {
      kernels.glu(closed, activation, out);
      kernels.gluBackward(closed, f64([1, 4], [1, -1, Number.POSITIVE_INFINITY, Number.NaN]), activation, 1, dGateUp);
      expect([...out.data, ...dGateUp.data].every((x) => Object.is(x, 0))).toBe(true);
    }
  });
});

describe('embedding, loss, optimiser and sums by hand', () => {
  it('embedding and its backward', () => {
    const ids = i32([2, 0, 2]);
    const out = f64([3, 2]);
    kernels.embedding(ids, f64([3, 2], [1, 2, 3, 4, 5, 6]), out);
    expect([...out.data]).toEqual([5, 6, 1, 2, 5, 6]);
    const dTable = f64([3, 2], [1, 1, 1, 1, 1, 1]);
    kernels.embeddingBackward(ids, f64([3, 2], [1, 2, 3, 4, 5, 6]), dTable);
    expect([...dTable.data]).toEqual([4, 5, 1, 1, 7, 9]);
  });

  it('softmaxCrossEntropy: uniform logits cost ln V; -1 counts nothing', () => {
    const logits = f64([2, 4], [5, 5, 5, 5, 1, 2, 3, 4]);
    const losses = f64([2], [9, 9]);
    kernels.softmaxCrossEntropy(logits, i32([2, -1]), losses, 2);
    expectClose(losses, [Math.log(4), 0]);
    expectClose(logits, [0.5, 0.5, -1.5, 0.5, 0, 0, 0, 0]);
  });

  it('softmaxCrossEntropy: no scale, no gradient; odds of e to 1', () => {
    const logits = f64([1, 2], [1001, 1000]);
    const losses = f64([1]);
    kernels.softmaxCrossEntropy(logits, i32([1]), losses, null);
    expectClose(losses, [Math.log(1 + Math.E)]);
    expect([...logits.data]).toEqual([1001, 1000]);
  });

  it('softmaxDivergence: by hand, p = (3/4, 1/4) from q = (1/2, 1/2); -1 counts nothing', () => {
    const logits = f64([2, 2], [7, 7, 1, 2]);
    const teacher = f64([2, 2], [Math.log(3), 0, 5, 6]);
    const divergences = f64([2], [9, 9]);
    kernels.softmaxDivergence(logits, teacher, i32([0, -1]), divergences, { temperature: 1, scale: 2 });
    expectClose(divergences, [0.75 * Math.log(1.5) + 0.25 * Math.log(0.5), 0]);
    expectClose(teacher, [2 * (0.5 - 0.75), 2 * (0.5 - 0.25), 0, 0]);
    expect([...logits.data]).toEqual([7, 7, 1, 2]);
    // At temperature 2 the same odds need logits twice as large; the divergence counts four times.
    const again = f64([1, 2], [2 * Math.log(3), 0]);
    const one = f64([1]);
    kernels.softmaxDivergence(f64([1, 2], [7, 7]), again, i32([0]), one, { temperature: 2, scale: null });
    expect(one.data[0]).toBeCloseTo(4 * (0.75 * Math.log(1.5) + 0.25 * Math.log(0.5)), 12);
    expect([...again.data]).toEqual([2 * Math.log(3), 0]);
  });

  it('softmaxDivergence: its gradient is that of finite differences', () => {
    const at = (shift: number) => {
      const divergence = f64([1]);
      const teacher = f64([1, 3], [1, -2, 0.5]);
      const logits = f64([1, 3], [0.3, 0.1 + shift, -1]);
      kernels.softmaxDivergence(logits, teacher, i32([2]), divergence, { temperature: 1.7, scale: 1 });
      return { divergence: divergence.data[0], gradient: teacher.data[1] };
    };
    const numeric = (at(1e-6).divergence - at(-1e-6).divergence) / 2e-6;
    expect(at(0).gradient).toBeCloseTo(numeric, 8);
  });

  it('pruneByChance: small elements become the threshold or 0, others stay', () => {
    const x = f64([1, 6], [0.5, -0.25, Number.NaN, 0, 1e-30, -0.2499]);
    kernels.pruneByChance(x, 0.25, 3);
    expect([...x.data.subarray(0, 5)]).toEqual([0.5, -0.25, Number.NaN, 0, 0]);
    expect(x.data[5]).toBe(-0.25);
  });

  it('adamw8: codes by hand; the parameters move as with exact moments', () => {
    const [p, g] = [f64([3], [1, 1, 1]), f64([3], [2, -1, 0])];
    const blocks = (): BlockMoments => ({
      codes: { dtype: 'u8', shape: [3], data: new Uint8Array(3), address: 0 },
      scale: { dtype: 'f32', shape: [1], data: new Float32Array(1), address: 0 },
    });
    const [m, v] = [blocks(), blocks()];
    const options = { lr: 0.1, beta1: 0.5, beta2: 0.75, eps: 0, weightDecay: 0, gradientScale: 1, step: 1 };
    kernels.adamw8(p, { ...g, data: g.data.map((x) => x || 1e-9) }, m, v, options);
    expectClose(p, [0.9, 1.1, 0.9]);
    // m = 1, -0.5, 0: of the largest 1.875 parts; a half is one exponent lower. v = 1, 0.25, 0.
    expect([...m.codes.data]).toEqual([127, 119 | 128, 0]);
    expect([...v.codes.data]).toEqual([255, 239, 1]);
    expect(m.scale.data[0]).toBe(Math.fround(1 / 1.875));
    expect(v.scale.data[0]).toBe(Math.fround(1 / 1.875));
  });

  it('adamw: the first step is lr in the direction of the gradient; the second by hand', () => {
    const [p, g, m, v] = [f64([1], [1]), f64([1], [-3]), f64([1]), f64([1])];
    const options = { lr: 0.1, beta1: 0.9, beta2: 0.99, eps: 0, weightDecay: 0.5, gradientScale: 2 };
    kernels.adamw(p, g, m, v, { ...options, step: 1 });
    expectClose(p, [0.95 + 0.1]);
    expectClose(m, [-0.6]);
    expectClose(v, [0.36]);
    expect(g.data[0]).toBe(0);
    g.data[0] = 1;
    kernels.adamw(p, g, m, v, { ...options, step: 2 });
    // m = -0.54 + 0.2 = -0.34, v = 0.3564 + 0.04 = 0.3964; corrections 0.19 and 0.0199.
    expectClose(p, [1.05 * 0.95 + (0.1 * (0.34 / 0.19)) / Math.sqrt(0.3964 / 0.0199)]);
  });

  it('sums, add, scale, copy and fill', () => {
    const x = f64([2, 3], [1, -2, 3, -4, 5, -6]);
    const partial = f64([2]);
    kernels.sumSquares(x, partial, 1, 2);
    expect([...partial.data]).toEqual([13, 61]);
    kernels.sumAbs(x, partial, 0, 3);
    expect([...partial.data]).toEqual([6, 15]);
    kernels.sumAbs(x, partial, 1, 2);
    expect([...partial.data]).toEqual([5, 11]);
    const other = f64([2, 3]);
    kernels.copy(x, other);
    kernels.scale(other, 2);
    kernels.add(x, other, other);
    expect([...other.data]).toEqual([3, -6, 9, -12, 15, -18]);
    kernels.fill(other, 4);
    expect([...other.data]).toEqual([4, 4, 4, 4, 4, 4]);
    const turned = f64([3, 2], [10, 20, 30, 40, 50, 60]);
    kernels.transpose(x, turned, { accumulate: true });
    expect([...turned.data]).toEqual([11, 16, 28, 45, 53, 54]);
    const last = f64([1, 2]);
    kernels.transpose(x, last, { columns: { first: 2, count: 1 } });
    expect([...last.data]).toEqual([3, -6]);
  });
});

describe('products with stored weights, by hand', () => {
  const bytes = (values: readonly number[]): Tensor<'u8'> => {
    const data = Uint8Array.from(values, (value) => value & 0xff);
    return { dtype: 'u8', shape: [data.length], data, address: 0 };
  };
  const f32 = (shape: number[], values: readonly number[]): Tensor<'f32'> => ({
    dtype: 'f32',
    shape,
    data: Float32Array.from(values),
    address: 0,
  });
  const i8 = (values: readonly number[]): Tensor<'i8'> => ({
    dtype: 'i8',
    shape: [values.length],
    data: Int8Array.from(values),
    address: 0,
  });

  it('int8: two groups of rows with scales of their own, one input of each sign', () => {
    const scale = f32([2, 2], [0.5, 1, 2, 4]);
    const data = bytes([1, -2, 0, 0, 3, 4, 0, 0, -5, 127, 0, 0]);
    const w = { dtype: 'int8', rows: 3, cols: 2, rowBytes: 4, data, scale, scaleAxis: 'cols', groupRows: 2 } as const;
    const x = { rows: 1, cols: 3, start: null, index: null, value: i8([10, -20, 30]), scale: f32([1], [0.25]) };
    const out = f32([1, 2], [0, 0]);
    kernels.weightMatvec(x, w, out);
    // ((10 - 60) 0.5 + (-150) 2) / 4 and ((-20 - 80) 1 + 3810 * 4) / 4
    expect([...out.data]).toEqual([-81.25, 3785]);
  });

  it('ternary: columns 0, 32, 64 and 96 share a byte from its low bits to its high ones', () => {
    const data = bytes([0b00_01_10_00, ...new Array(31).fill(0b01010101)]);
    const w = {
      dtype: 'ternary',
      rows: 1,
      cols: 128,
      rowBytes: 32,
      data,
      scale: f32([1, 128], new Array(128).fill(1)),
    } as const;
    const x = { rows: 1, cols: 1, start: null, index: null, value: i8([7]), scale: f32([1], [1]) };
    const out = f32([1, 128], new Array(128).fill(9));
    kernels.weightMatmul(x, { ...w, scaleAxis: 'cols', groupRows: 1 }, out);
    expect([0, 32, 64, 96, 1].map((c) => out.data[c] + 0)).toEqual([-7, 7, 0, -7, 0]);
  });

  it('bf16 rows as dot products at a list', () => {
    // 1.5 = 0x3fc0, -2 = 0xc000, 0.25 = 0x3e80, 4 = 0x4080, little-endian
    const data = bytes([0xc0, 0x3f, 0x00, 0xc0, 0x80, 0x3e, 0x80, 0x40]);
    const w = {
      dtype: 'bf16',
      rows: 2,
      cols: 2,
      rowBytes: 4,
      data,
      scale: null,
      scaleAxis: 'rows',
      groupRows: 2,
    } as const;
    const at = sparse(2, 2, [0, 1, 2], [1, 0], [0, 0]);
    const out = f32([2], [0, 0]);
    kernels.weightDots(f32([2, 2], [2, 3, 10, 100]), w, out, { at });
    expect([...out.data]).toEqual([12.5, -185]);
  });

  it('8-bit activations: the largest becomes 127, halves go to the even side', () => {
    const out = { rows: 1, cols: 4, start: null, index: null, value: i8([0, 0, 0, 0]), scale: f32([1], [0]) };
    kernels.quantizeRows(f32([1, 4], [127 - 1e-5, 0.5, 1.5, -2.5]), out);
    expect([...out.value.data]).toEqual([127, 0, 2, -2]);
    expect(out.scale.data[0]).toBe(Math.fround(Math.fround(127 - 1e-5) / 127));
  });

  it('8-bit activations: zeros stay zeros, an outlier takes all codes, the largest may be negative', () => {
    const out = {
      rows: 4,
      cols: 3,
      start: null,
      index: null,
      value: i8(new Array(12).fill(5)),
      scale: f32([4], [0, 0, 0, 0]),
    };
    kernels.quantizeRows(f32([4, 3], [0, -0, 0, 1e6, 3000, -4000, -254, 2, 127, 2 ** -140, 0, 0]), out);
    expect([...out.value.data]).toEqual([0, 0, 0, 127, 0, -1, -127, 1, 63, 0, 0, 0]);
    expect([...out.scale.data]).toEqual([0, 1e6 / 127, 2, 2 ** -140 / 127].map(Math.fround));
  });

  it('8-bit activations: what is not finite makes the scale of its row NaN', () => {
    for (const broken of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const out = { rows: 2, cols: 2, start: null, index: null, value: i8([0, 0, 0, 0]), scale: f32([2], [0, 0]) };
      kernels.quantizeRows(f32([2, 2], [1, broken, 127, 1]), out);
      expect([...out.scale.data]).toEqual([Number.NaN, 1]);
      const rounded = f64([2, 2]);
      kernels.fakeQuantizeRows(f64([2, 2], [1, broken, 127, 1]), rounded);
      expect(rounded.data[1]).toBeNaN();
      expect([...rounded.data.slice(2)]).toEqual([127, 1]);
    }
  });

  it('rounded to 8 bits and back: a list by its own largest', () => {
    const list = sparse(2, 4, [0, 2, 3], [0, 3, 1], [254, 2.9, -1]);
    const out = f64([3]);
    kernels.fakeQuantizeRows(list, out);
    // 2.9 * 127 / 254 = 1.45.
    expectClose(out, [254, 2, -1]);
  });

  it('ternary weights: alpha is the mean magnitude, codes are rounded to the even side', () => {
    // alpha = 8 / 8: one half of it (and of epsilon) is the last that goes to 0.
    const w = f64([2, 4], [3, -1.5, 0.4, -0.4, 0.6, -0.6, 1.5, 0]);
    const out = f64([2, 4], new Array(8).fill(9));
    kernels.ternarize(w, { first: 0, count: 4 }, ternaryScale(8, 8), out);
    expect([...out.data]).toEqual([1, -1, 0, 0, 1, -1, 1, 0]);
    kernels.ternarize(w, { first: 1, count: 1 }, ternaryScale(4, 2), out);
    expect([...out.data]).toEqual([1, -2, 0, 0, 1, 0, 1, 0]);
  });
});

interface GoldenSelection {
  x: number[];
  kept: number;
  keptIndices: number[];
}

const golden = sharedPath('golden/qsparse_layer/unit_cases.json');

describe('golden unit cases', () => {
  const there = existsSync(golden);
  it.skipIf(!there)(there ? 'selections' : 'selections: golden/qsparse_layer/unit_cases.json is missing', () => {
    const { topK } = JSON.parse(readFileSync(golden, 'utf8')) as { topK: GoldenSelection[] };
    expect(topK.length).toBeGreaterThan(0);
    for (const { x, kept, keptIndices } of topK) {
      const out = sparse(1, x.length, [0, 0], new Array(kept).fill(-1), new Array(kept).fill(-1));
      kernels.selectTopK(f64([1, x.length], x), kept, out);
      expect([...out.index.data]).toEqual(keptIndices);
    }
  });

  it.skipIf(!there)(there ? 'selections in blocks' : 'blocks: golden/qsparse_layer/unit_cases.json is missing', () => {
    const { block: unit } = JSON.parse(readFileSync(golden, 'utf8')) as { block: GoldenSelection & { block: number } };
    const { x, block, kept, keptIndices } = unit;
    const count = keptIndices.length;
    const place = { dtype: 'u8', shape: [count], data: new Uint8Array(count), address: 0 } as const;
    const list = sparse(1, x.length, [0, 0], new Array(count).fill(-1), new Array(count).fill(-1));
    const out = { ...list, blocks: { size: block, kept, place } };
    kernels.selectBlockTopK(f64([1, x.length], x), out);
    expect([...place.data]).toEqual(keptIndices.map((index) => index % block));
    expect([...out.index.data]).toEqual(keptIndices);
    expect([...out.value.data]).toEqual(keptIndices.map((index) => x[index]));
  });
});

// Against itself: every output is written whole, inputs stay, the laws hold.
runConformance('reference', () => createReferenceBackend(), { threads: [1] });
