import { describe, expect, it } from 'vitest';
import type { Kernels } from '../backend.ts';
import { kvShapes } from '../tensor/kv-slots.ts';
import type { SparseRows } from '../tensor/sparse-rows.ts';
import { type DType, type FloatTensor, sizeOf, type Tensor } from '../tensor/tensor.ts';
import { newData } from '../tensor/view-of.ts';
import { f32Weights } from '../tensor/weight-matrix.ts';
import { BackendError, ShapeError } from '../util/errors.ts';
import { checkKernels } from './check-kernels.ts';

/** A kernel table that does nothing and notes which kernel was reached. */
function spy(reached: string[]): Kernels {
  const handler = { get: (_: object, kernel: string) => () => reached.push(kernel) };
  return new Proxy({}, handler) as Kernels;
}

const reached: string[] = [];
const kernels = checkKernels(spy(reached));

function tensor<D extends DType>(dtype: D, shape: number[], values?: number[]): Tensor<D> {
  const data = newData(dtype, sizeOf(shape));
  if (values) data.set(values);
  return { dtype, shape, data, address: 0 };
}

const f32 = (shape: number[], values?: number[]): FloatTensor => tensor('f32', shape, values);

function rows(rowCount: number, cols: number, start: number[], index: number[]): SparseRows {
  return {
    rows: rowCount,
    cols,
    start: tensor('i32', [start.length], start),
    index: tensor('i32', [index.length], index),
    value: f32([index.length], new Array(index.length).fill(1)),
  };
}

/** The message of what was thrown before any kernel was reached. */
function refusal(call: () => void, type: typeof ShapeError | typeof BackendError = ShapeError): string {
  reached.length = 0;
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(type);
    expect(reached).toEqual([]);
    return (error as Error).message;
  }
  throw new Error(`not refused; reached: ${reached}`);
}

describe('checkKernels', () => {
  it('passes what fits, with rows in any number of leading extents', () => {
    reached.length = 0;
    kernels.matmul(f32([2, 3, 4]), f32([4, 5]), f32([6, 5]));
    kernels.matmul(f32([4, 6]), f32([5, 4]), f32([6, 5]), { transposeA: true, transposeB: true });
    kernels.sparseMatmul(rows(1, 4, [0, 2], [0, 3]), f32([4, 5]), f32([1, 5]));
    kernels.embedding(tensor('i32', [2, 3]), f32([7, 4]), f32([2, 3, 4]));
    expect(reached).toEqual(['matmul', 'matmul', 'sparseMatmul', 'embedding']);
  });

  it('refuses a product over nothing and lists that 32-bit row starts cannot count', () => {
    const empty = 'inner extent: expected 1 or more, got 0.';
    expect(refusal(() => kernels.matmul(f32([3, 0]), f32([0, 5]), f32([3, 5])))).toContain(empty);
    expect(refusal(() => kernels.sparseMatmul(rows(2, 0, [0, 0, 0], []), f32([0, 5]), f32([2, 5])))).toContain(empty);
    expect(refusal(() => kernels.sampledMatmul(f32([1, 0]), f32([2, 0]), rows(1, 2, [0, 1], [1]), f32([1])))).toContain(
      empty,
    );
    const huge: FloatTensor = { ...f32([0]), shape: [70_000, 70_000] };
    const message = refusal(() => kernels.countNonZeros(huge, tensor('i32', [70_001])));
    expect(message).toContain('elements of a list: expected at most 2147483647');
  });

  it('refuses more inputs of quantised weights than 32 bits can add up', () => {
    const k = 2 ** 17 + 1;
    const w = {
      ...{ dtype: 'int8' as const, rows: k, cols: 1, rowBytes: 4, data: tensor('u8', [4 * k]) },
      ...{ scale: tensor('f32', [1]), scaleAxis: 'cols' as const, groupRows: k },
    };
    const x = { rows: 1, cols: k, start: null, index: null, value: tensor('i8', [k]), scale: tensor('f32', [1]) };
    expect(refusal(() => kernels.weightMatvec(x, w, tensor('f32', [1, 1])))).toBe(
      '[weightMatvec] inputs of int8 weights: expected at most 131072, got 131073.',
    );
  });

  it('names op, tensor, expected and got', () => {
    expect(refusal(() => kernels.matmul(f32([2, 3]), f32([4, 5]), f32([2, 5])))).toBe(
      '[matmul] shape of b: expected [3, 5], got [4, 5].',
    );
    expect(refusal(() => kernels.matmul(f32([2, 3]), f32([3, 5]), f32([2, 4])))).toBe(
      '[matmul] shape of out: expected [2, 5], got [2, 4].',
    );
    expect(refusal(() => kernels.rmsNorm(f32([2, 3]), f32([4]), 1e-5, f32([2, 3]), f32([2])))).toBe(
      '[rmsNorm] elements of weight: expected 3, got 4 ([4]).',
    );
    expect(refusal(() => kernels.add(f32([3]), tensor('f64', [3]), f32([3])))).toBe(
      '[add] dtype of b: expected f32, got f64.',
    );
  });

  it('refuses shapes that are larger than their memory', () => {
    const short = { ...f32([5]), shape: [2, 3] };
    expect(refusal(() => kernels.scale(short, 2))).toBe('[scale] memory of x [2, 3]: expected 6 elements, got 5.');
  });

  it('refuses kept outside of 1 .. features, and too little room', () => {
    const out = rows(2, 4, [0, 0, 0], [0, 0, 0, 0]);
    for (const kept of [0, 5, -1, 1.5, Number.NaN]) {
      expect(refusal(() => kernels.selectTopK(f32([2, 4]), kept, out))).toBe(
        `[selectTopK] kept: expected 1 .. 4, got ${kept}.`,
      );
    }
    const blocks = (size: number, kept: number) => ({ ...out, blocks: { size, kept, place: tensor('u8', [4]) } });
    expect(refusal(() => kernels.selectBlockTopK(f32([2, 4]), blocks(3, 1)))).toBe(
      '[selectBlockTopK] size of a block: expected 2 .. 256 that divides 4, got 3.',
    );
    expect(refusal(() => kernels.selectBlockTopK(f32([2, 4]), blocks(2, 3)))).toBe(
      '[selectBlockTopK] kept: expected 1 .. 2, got 3.',
    );
    expect(refusal(() => kernels.sparseMatmul(blocks(2, 1), f32([4, 5]), f32([2, 5])))).toBe(
      '[sparseMatmul] blocks of a: expected 1 of 2 columns each, got 0 elements in 2 rows of 4 columns.',
    );
    expect(refusal(() => kernels.countNonZeros(f32([2, 4]), tensor('i32', [3]), -1))).toBe(
      '[countNonZeros] threshold: expected 0 or more, got -1.',
    );
    expect(refusal(() => kernels.selectTopK(f32([2, 4]), 3, out))).toContain('capacity of out: expected 6, got 4');
    expect(refusal(() => kernels.selectTopK(f32([3, 4]), 1, out))).toContain('shape of out: expected [3, 4]');
  });

  it('refuses row lists that leave their memory', () => {
    const beyond = rows(2, 4, [0, 2, 9], [0, 1]);
    expect(refusal(() => kernels.sparseMatmul(beyond, f32([4, 3]), f32([2, 3])))).toContain('row starts of a');
    const shifted = rows(2, 4, [1, 2, 2], [0, 1]);
    expect(refusal(() => kernels.scatterRows(shifted, f32([2, 4])))).toContain('got 1 .. 2');
    const tooFew = rows(2, 4, [0, 2], [0, 1]);
    expect(refusal(() => kernels.scatterRows(tooFew, f32([2, 4])))).toContain('elements of a.start: expected 3, got 2');
  });

  it('refuses ids and targets outside of the table', () => {
    const ids = tensor('i32', [3], [0, 7, 2]);
    expect(refusal(() => kernels.embedding(ids, f32([7, 4]), f32([3, 4])))).toBe(
      '[embedding] ids[1]: expected 0 .. 6, got 7.',
    );
    const targets = tensor('i32', [3], [-1, 0, -2]);
    expect(refusal(() => kernels.softmaxCrossEntropy(f32([3, 4]), targets, f32([3]), null))).toContain('targets[2]');
  });

  it('refuses an output over an input of a product, but not element-by-element kernels in place', () => {
    const x = f32([3, 3]);
    expect(refusal(() => kernels.matmul(x, f32([3, 3]), x))).toContain('overlap with a');
    const whole = f32([4, 3]);
    const [top, bottom] = [0, 3].map((at) => ({ ...f32([3, 3]), data: whole.data.subarray(at, at + 9) }));
    expect(refusal(() => kernels.matmul(f32([3, 3]), top, bottom as FloatTensor))).toContain('overlap with b');
    reached.length = 0;
    kernels.add(x, x, x);
    kernels.maskRows(x, rows(3, 3, [0, 0, 0, 0], []), x);
    expect(reached).toEqual(['add', 'maskRows']);
  });

  it('refuses positions beyond the tables and the cache', () => {
    const table = f32([8, 2]);
    const shape = { nRotatedHeads: 1, headDim: 4, inverse: false };
    const positions = tensor('i32', [4], [0, 3, 8, 1]);
    expect(refusal(() => kernels.rope(f32([4, 4]), positions, table, table, shape))).toBe(
      '[rope] positions[2]: expected 0 .. 7, got 8.',
    );
  });

  it('refuses items that leave their slots or the batch, and what a ring no longer holds', () => {
    const shape = { slots: 2, positions: 64, nKvHeads: 1, headDim: 4 };
    const { keys, values } = kvShapes(shape);
    const scales = { keyScale: null, valueScale: null };
    const kv = { ...shape, type: 'f32' as const, keys: f32(keys), values: f32(values), ...scales };
    const qkv = tensor('f32', [3, 16]);
    const items = (...table: number[][]) => tensor('i32', [table.length, 4], table.flat());
    const store = (...table: number[][]) => refusal(() => kernels.storeKv(qkv, items(...table), kv));
    expect(store([0, 2, 0, 0])).toBe('[storeKv] rows of all items: expected 3, got 2.');
    expect(store([0, 1, 0, 0], [2, 1, 0, 1])).toBe('[storeKv] first row of item 1: expected 1, got 2.');
    expect(store([0, 3, 0, 2])).toBe('[storeKv] slot of item 0: expected 0 .. 1, got 2.');
    expect(store([0, 1, 0, 1], [1, 2, 0, 1])).toBe(
      '[storeKv] slot of item 1: expected one that no item before it has, got 1.',
    );
    expect(store([0, 3, -1, 0])).toBe('[storeKv] start of item 0: expected 0 or more, got -1.');
    const attend = (start: number, window: number) => () =>
      kernels.attentionCached(qkv, items([0, 3, start, 0]), kv, window, tensor('f32', [3, 8]));
    expect(refusal(attend(62, 0))).toBe('[attentionCached] positions of a slot: expected at least 65, got 64.');
    expect(refusal(attend(1000, 63))).toBe('[attentionCached] positions of a slot: expected at least 65, got 64.');
    reached.length = 0;
    attend(61, 0)();
    attend(1000, 62)();
    expect(reached).toEqual(['attentionCached', 'attentionCached']);
  });

  it('counts the elements of a gathered list by the shape of the ids, not by the memory behind them', () => {
    const a = rows(2, 3, [0, 2, 3], [0, 1, 2]);
    const long = { ...tensor('i32', [1], [0]), data: Int32Array.of(0, 7, 7) };
    reached.length = 0;
    kernels.gatherRows(a, long, rows(1, 3, [0, 0], [0, 0]));
    expect(reached).toEqual(['gatherRows']);
    expect(refusal(() => kernels.gatherRows(a, long, rows(1, 3, [0, 0], [0])))).toContain('capacity of out');
  });

  it('refuses heads that do not divide', () => {
    const shape = { batch: 1, seqLen: 2, nHeads: 3, nKvHeads: 2, headDim: 4 };
    const call = () => kernels.attention(f32([2, 28]), f32([2, 12]), f32([2, 3]), shape);
    expect(refusal(call)).toBe('[attention] nHeads: expected a multiple of nKvHeads 2, got 3.');
  });

  it('refuses first keys of which a token would not see itself', () => {
    const shape = { batch: 2, seqLen: 2, nHeads: 1, nKvHeads: 1, headDim: 4 };
    const firstKeys = (...values: number[]) => ({ ...tensor('i32', [values.length]), data: Int32Array.from(values) });
    const call = (...values: number[]) => {
      return () => kernels.attention(f32([4, 12]), f32([4, 4]), f32([4, 1]), shape, firstKeys(...values));
    };
    expect(refusal(call(0, 1, 0, 2))).toBe('[attention] firstKeys[3]: expected 0 .. 1, got 2.');
    expect(refusal(call(0, -1, 0, 0))).toBe('[attention] firstKeys[1]: expected 0 .. 1, got -1.');
    expect(refusal(call(0, 1, 0))).toMatch(/^\[attention\] elements of firstKeys: expected 4, got 3/);
  });

  it('refuses f64 in the memory of C kernels', () => {
    const x = { ...tensor('f64', [4]), address: 4096 };
    expect(refusal(() => kernels.scale(x, 2), BackendError)).toContain('no f64 kernel on this backend');
    reached.length = 0;
    kernels.scale(tensor('f64', [4]), 2);
    kernels.sumAbs(f32([2, 3]), { ...tensor('f64', [2]), address: 4096 }, 0, 3);
    expect(reached).toEqual(['scale', 'sumAbs']);
  });
});

describe('checkKernels in debug mode', () => {
  const debug = checkKernels(spy(reached), { debug: true });
  const nan = f32([2, 3], [0, 1, 2, 3, Number.NaN, 5]);

  it('names op and position of a NaN that enters a selection or a product', () => {
    const select = () => debug.selectTopK(nan, 1, rows(2, 3, [0, 0, 0], [0, 0]));
    expect(refusal(select, BackendError)).toContain('[selectTopK] NaN in x at row 1, column 1.');
    const product = () => debug.matmul(f32([2, 2]), nan, f32([2, 3]));
    expect(refusal(product, BackendError)).toContain('[matmul] NaN in b at row 1, column 1.');
    const listed = rows(2, 3, [0, 1, 2], [0, 2]);
    listed.value.data[1] = Number.NaN;
    const sparse = () => debug.sparseMatmul(listed, f32([3, 2]), f32([2, 2]));
    expect(refusal(sparse, BackendError)).toContain('[sparseMatmul] NaN in a at row 1, column 2.');
    const stored = () => debug.weightMatvec(listed, f32Weights(tensor('f32', [3, 2])), tensor('f32', [2, 2]));
    expect(refusal(stored, BackendError)).toContain('[weightMatvec] NaN in x at row 1, column 2.');
  });

  it('finds row lists that are not ascending or leave the matrix', () => {
    const call = (index: number[]) => () => debug.sparseMatmul(rows(1, 3, [0, 2], index), f32([3, 2]), f32([1, 2]));
    for (const index of [
      [2, 1],
      [1, 1],
      [0, 3],
      [-1, 0],
    ]) {
      expect(refusal(call(index), BackendError)).toContain('columns of a in row 0');
    }
    reached.length = 0;
    call([0, 2])();
    expect(reached).toEqual(['sparseMatmul']);
  });

  it('finds places outside of the matrix where values are not read, and among activations in 8 bits', () => {
    const at = rows(1, 3, [0, 2], [0, 20]);
    const sampled = () => debug.sampledMatmul(f32([1, 2]), f32([3, 2]), at, tensor('f32', [2]));
    expect(refusal(sampled, BackendError)).toContain('[sampledMatmul] columns of at in row 0');
    const quantized = {
      ...{ rows: 1, cols: 3, start: tensor('i32', [2], [0, 2]), index: tensor('i32', [2], [0, 40]) },
      ...{ value: tensor('i8', [2]), scale: tensor('f32', [1], [1]) },
    };
    const w = {
      ...{ dtype: 'int8' as const, rows: 3, cols: 4, rowBytes: 4, data: tensor('u8', [12]), groupRows: 3 },
      ...{ scale: tensor('f32', [4]), scaleAxis: 'cols' as const },
    };
    const stored = () => debug.weightMatvec(quantized, w, tensor('f32', [1, 4]));
    expect(refusal(stored, BackendError)).toContain('[weightMatvec] columns of x in row 0');
    const shifted = { ...quantized, start: tensor('i32', [2], [1, 2]) };
    expect(refusal(() => kernels.weightMatvec(shifted, w, tensor('f32', [1, 4])))).toContain('first row start of x');
  });

  it('is quiet without `debug`', () => {
    reached.length = 0;
    kernels.matmul(f32([2, 2]), nan, f32([2, 3]));
    expect(reached).toEqual(['matmul']);
  });
});
