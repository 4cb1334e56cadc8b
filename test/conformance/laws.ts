/** Laws that tie kernels of one backend to each other or to themselves, whatever the reference says. */

import { describe, expect, it } from 'vitest';
import type { Backend, Precision } from '../../src/backend.ts';
import { roundToBf16 } from '../../src/backends/reference/round-to-bf16.ts';
import { type KvSlots, kvShapes } from '../../src/tensor/kv-slots.ts';
import type { QuantizedRows } from '../../src/tensor/quantized-rows.ts';
import type { SparseRows } from '../../src/tensor/sparse-rows.ts';
import { type FloatTensor, sizeOf, type Tensor, view } from '../../src/tensor/tensor.ts';
import { f32Weights } from '../../src/tensor/weight-matrix.ts';
import { differenceOfBits, differenceOfFloats } from './compare.ts';
import { Values } from './values.ts';

export function describeLaws(backend: () => Backend): void {
  describe('laws', () => {
    it('attention over a cache is the full one, the same bits however the tokens are divided', () =>
      cachedIsFull(backend()));
    it('a key or value that is not finite shows in the tokens that read it, and in no other head or sequence', () =>
      brokenVectorsShow(backend()));
    it('attention of position 0 is exactly its value', () => firstIsValue(backend()));
    it('the inverse rotation undoes the rotation', () => inverseUndoes(backend()));
    it('a row of a batch is selected, normed and gated as it is alone', () => rowsAreIndependent(backend()));
    it('a row of a product is what it is alone', () => productRowsAreIndependent(backend()));
    it('a dot product has the same bits for any number of tokens', () => dotsAreIndependent(backend()));
    it('what is accumulated upon is rounded once, however many terms are added', () => accumulatesOnce(backend()));
    it('a bf16 product of small whole numbers is the f32 one, bit by bit', () => wholeNumbersAreExact(backend()));
    it('a bf16 product is that of the rounded operands, bit by bit', () => onlyOperandsAreRounded(backend()));
    it('a sequence of a batch attends as it does alone', () => sequencesAreIndependent(backend()));
    it('the GLU over lists is the dense one at open gates', () => listsAreDense(backend()));
    it('an activation that is not finite makes the 8-bit scale of its row NaN, and of no other', () =>
      brokenRowsShow(backend()));
    it('what is pruned by chance keeps its mean, and its sign', () => pruningKeepsMeans(backend()));
    it('8-bit activations times their scale are the rounded ones', () => integersAreRounded(backend()));
    it('the input of a product in one pass is its norm, its selection and its rounding, bit by bit', () =>
      fusedIsEach(backend()));
    it('runs that repeat give the same bits', () => repeatsAreEqual(backend()));
  });
}

/** Gives `body` a way to make tensors and frees them after. */
function withTensors(backend: Backend, body: (make: Make) => void): void {
  const blocks: ReturnType<Backend['allocate']>[] = [];
  const make = <D extends 'f32' | 'i32' | 'i8' | 'u16'>(
    dtype: D,
    shape: number[],
    values?: ArrayLike<number>,
  ): Tensor<D> => {
    const block = backend.allocate(dtype, sizeOf(shape));
    blocks.push(block);
    if (values) block.data.set(values);
    return { dtype, shape, ...block };
  };
  try {
    body({
      float: (shape, values) => make('f32', shape, values),
      int: (shape) => make('i32', shape),
      bytes: (shape) => make('i8', shape),
      halves: (shape) => make('u16', shape),
    });
  } finally {
    for (const block of blocks) backend.free(block);
  }
}

interface Make {
  float(shape: number[], values?: ArrayLike<number>): Tensor<'f32'>;
  int(shape: number[]): Tensor<'i32'>;
  bytes(shape: number[]): Tensor<'i8'>;
  halves(shape: number[]): Tensor<'u16'>;
}

function select(backend: Backend, make: Make, x: FloatTensor, kept: number): SparseRows {
  const [rows, cols] = x.shape;
  const [index, value] = [make.int([rows * kept]), make.float([rows * kept])];
  const out = { rows, cols, start: make.int([rows + 1]), index, value };
  backend.kernels.selectTopK(x, kept, out);
  return out;
}

const HEADS = { nHeads: 4, nKvHeads: 2, headDim: 8 };
const WIDTH = (HEADS.nHeads + 2 * HEADS.nKvHeads) * HEADS.headDim;

/** On a residual of about 1000 each term of about 0.1 would lose its last bits. 1300 rows take several tiles of a batch. */
function accumulatesOnce(backend: Backend): void {
  const [k, n] = [1300, 70];
  withTensors(backend, (make) => {
    const values = new Values('accumulates once');
    const weights = f32Weights(make.float([k, n], values.normals(k * n)));
    for (const tokens of [1, 3, 20]) {
      const dense = make.float(
        [tokens, k],
        values.normals(tokens * k).map((x) => x / 10),
      );
      const list = select(backend, make, dense, k / 2);
      const residual = values.normals(tokens * n).map((x) => 1000 + x);
      const products: ((out: Tensor<'f32'>, options: { accumulate: boolean }) => void)[] = [
        (out, options) => backend.kernels.weightMatmul(list, weights, out, options),
        (out, options) => backend.kernels.weightMatvec(list, weights, out, options),
        (out, options) => backend.kernels.weightMatvec(dense, weights, out, options),
      ];
      for (const product of products) {
        const [alone, added] = [make.float([tokens, n]), make.float([tokens, n], residual)];
        product(alone, { accumulate: false });
        product(added, { accumulate: true });
        const lastBits = alone.data.map(
          (sum, i) => Math.abs(added.data[i] - residual[i] - sum) / Math.abs(residual[i]),
        );
        expect(Math.max(...lastBits)).toBeLessThan(2 ** -23);
      }
    }
  });
}

/** Two sequences of 90 tokens at once: in chunks of any size, and the second one a chunk behind the first. */
function cachedIsFull(backend: Backend): void {
  const { nHeads, nKvHeads, headDim } = HEADS;
  const [T, outWidth] = [90, nHeads * headDim];
  withTensors(backend, (make) => {
    const qkv = make.float([2 * T, WIDTH], new Values('cached').normals(2 * T * WIDTH));
    const full = make.float([2 * T, outWidth]);
    backend.kernels.attention(qkv, full, make.float([2 * T, nHeads]), { batch: 2, seqLen: T, ...HEADS });
    const shape = { slots: 2, positions: 128, nKvHeads, headDim };
    const shapes = kvShapes(shape);
    const results = [T, 37, 8, 1].map((chunk) => {
      const [keys, values] = [make.float(shapes.keys), make.float(shapes.values)];
      const kv: KvSlots = { ...shape, type: 'f32', keys, values, keyScale: null, valueScale: null };
      const result = new Float32Array(2 * T * outWidth);
      for (let start = 0; start < T + chunk; start += chunk) {
        const parts = [
          { slot: 0, start, rows: Math.min(chunk, T - start) },
          { slot: 1, start: start - chunk, rows: Math.min(chunk, T - start + chunk) },
        ].filter((part) => part.rows > 0 && part.start >= 0);
        attendParts(backend, make, qkv, kv, parts, result);
      }
      return result;
    });
    expect(differenceOfFloats(full.data, results[0], 1)).toBeNull();
    for (const result of results) expect(differenceOfBits(results[0], result)).toBeNull();
  });
}

/** Stores and attends the rows `start` .. of sequence `slot` of qkv, all parts in one call; their results go to their place. */
function attendParts(
  backend: Backend,
  make: Make,
  qkv: FloatTensor,
  kv: KvSlots,
  parts: readonly { slot: number; start: number; rows: number }[],
  result: Float32Array,
): void {
  const T = qkv.shape[0] / kv.slots;
  const outWidth = HEADS.nHeads * HEADS.headDim;
  const tokens = parts.flatMap(({ slot, start, rows }) => Array.from({ length: rows }, (_, i) => slot * T + start + i));
  const batch = make.float([tokens.length, WIDTH]);
  tokens.forEach((token, row) => {
    batch.data.set(view(qkv, [WIDTH], token * WIDTH).data, row * WIDTH);
  });
  const items = make.int([parts.length, 4]);
  let first = 0;
  parts.forEach(({ slot, start, rows }, item) => {
    items.data.set([first, rows, start, slot], 4 * item);
    first += rows;
  });
  const out = make.float([tokens.length, outWidth]);
  backend.kernels.storeKv(batch, items, kv);
  backend.kernels.attentionCached(batch, items, kv, 0, out);
  tokens.forEach((token, row) => {
    result.set(view(out, [outWidth], row * outWidth).data, token * outWidth);
  });
}

/** One number of one vector of token 3 is broken: in 8 bits its scale is, and with it the whole vector. */
function brokenVectorsShow(backend: Backend): void {
  const { nHeads, nKvHeads, headDim } = HEADS;
  const [T, broken, outWidth] = [70, 3, nHeads * headDim];
  const clean = new Values('broken').normals(2 * T * WIDTH);
  const attended = (type: KvSlots['type'], data: Float32Array): Float32Array => {
    const result = new Float32Array(2 * T * outWidth);
    withTensors(backend, (make) => {
      const shape = { slots: 2, positions: 128, nKvHeads, headDim };
      const shapes = kvShapes(shape);
      const store = { f32: make.float, f16: make.halves, int8: make.bytes }[type];
      const scale = () => (type === 'int8' ? make.float(shapes.scales) : null);
      const scales = { keyScale: scale(), valueScale: scale() };
      const kv: KvSlots = { ...shape, type, keys: store(shapes.keys), values: store(shapes.values), ...scales };
      const parts = [0, 1].map((slot) => ({ slot, start: 0, rows: T }));
      attendParts(backend, make, make.float([2 * T, WIDTH], data), kv, parts, result);
    });
    return result;
  };
  const cases: [type: KvSlots['type'], numbers: number[]][] = [
    ['f32', [Number.NaN]],
    ['f16', [Number.NaN]],
    ['int8', [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]],
  ];
  for (const [type, numbers] of cases) {
    const expected = attended(type, clean);
    for (const number of numbers) {
      for (const [what, head] of [
        ['key', nHeads],
        ['value', nHeads + nKvHeads],
      ] as const) {
        for (const place of [0, headDim >> 1, headDim - 1]) {
          const data = clean.slice();
          data[broken * WIDTH + head * headDim + place] = number;
          const result = attended(type, data);
          const about = `${type}: ${number} at ${place} of a ${what}`;
          for (let at = 0; at < result.length; at++) {
            const [token, h, i] = [Math.floor(at / outWidth), Math.floor((at % outWidth) / headDim), at % headDim];
            const reads = token < T && h < nHeads / nKvHeads;
            if (!reads) expect(Object.is(result[at], expected[at]), `${about}, token ${token}, head ${h}`).toBe(true);
            else if (token < broken)
              continue; // of the same block
            else if (type === 'int8' || what === 'key' || i === place)
              expect(result[at], `${about}, token ${token}, head ${h}`).toBeNaN();
            else expect(Object.is(result[at], expected[at]), `${about}, token ${token}, feature ${i}`).toBe(true);
          }
        }
      }
    }
  }
}

function firstIsValue(backend: Backend): void {
  const { nHeads, nKvHeads, headDim } = HEADS;
  withTensors(backend, (make) => {
    const qkv = make.float([6, WIDTH], new Values('first').normals(6 * WIDTH, 5));
    const out = make.float([6, nHeads * headDim]);
    backend.kernels.attention(qkv, out, make.float([6, nHeads]), { batch: 2, seqLen: 3, ...HEADS });
    for (const row of [0, 3]) {
      for (let h = 0; h < nHeads; h++) {
        const kvHead = Math.floor(h / (nHeads / nKvHeads));
        const value = row * WIDTH + (nHeads + nKvHeads + kvHead) * headDim;
        const at = (row * nHeads + h) * headDim;
        const got = out.data.subarray(at, at + headDim);
        expect(differenceOfBits(qkv.data.subarray(value, value + headDim), got), `row ${row}, head ${h}`).toBeNull();
      }
    }
  });
}

function inverseUndoes(backend: Backend): void {
  withTensors(backend, (make) => {
    const [rows, width, half] = [21, 50, 8];
    const before = new Values('rope').normals(rows * width);
    const x = make.float([rows, width], before);
    const angles = Float32Array.from({ length: 12 * half }, (_, i) => Math.floor(i / half) / 2 ** (i % half));
    const [cos, sin] = [make.float([12, half], angles.map(Math.cos)), make.float([12, half], angles.map(Math.sin))];
    const shape = { nRotatedHeads: 3, headDim: 2 * half };
    const positions = make.int([rows]);
    positions.data.forEach((_, r) => {
      positions.data[r] = 5 + (r % 7);
    });
    backend.kernels.rope(x, positions, cos, sin, { ...shape, inverse: false });
    expect(differenceOfFloats(before, x.data, 1)).not.toBeNull();
    backend.kernels.rope(x, positions, cos, sin, { ...shape, inverse: true });
    expect(differenceOfFloats(before, x.data, 1)).toBeNull();
  });
}

function rowsAreIndependent(backend: Backend): void {
  const [N, D, kept] = [11, 66, 20];
  withTensors(backend, (make) => {
    const x = make.float([N, D], new Values('rows').normals(N * D));
    const weight = make.float([D], new Values('weight').normals(D));
    const together = select(backend, make, x, kept);
    const [normed, gated] = [make.float([N, D]), make.float([N, D / 2])];
    backend.kernels.rmsNorm(x, weight, 1e-5, normed, make.float([N]));
    backend.kernels.glu(x, 'silu', gated);
    for (let r = 0; r < N; r++) {
      const row = view(x, [1, D], r * D);
      const alone = select(backend, make, row, kept);
      const [normedAlone, gatedAlone] = [make.float([1, D]), make.float([1, D / 2])];
      backend.kernels.rmsNorm(row, weight, 1e-5, normedAlone, make.float([1]));
      backend.kernels.glu(row, 'silu', gatedAlone);
      const [first, last] = [r * kept, (r + 1) * kept];
      expect(
        differenceOfBits(alone.index.data, together.index.data.subarray(first, last)),
        `index, row ${r}`,
      ).toBeNull();
      expect(
        differenceOfBits(alone.value.data, together.value.data.subarray(first, last)),
        `value, row ${r}`,
      ).toBeNull();
      expect(differenceOfBits(normedAlone.data, view(normed, [D], r * D).data), `norm, row ${r}`).toBeNull();
      // The place of an element decides whether a vector or the scalar remainder computes it.
      expect(
        differenceOfFloats(gatedAlone.data, view(gated, [D / 2], (r * D) / 2).data, 1),
        `gate, row ${r}`,
      ).toBeNull();
    }
  });
}

function productRowsAreIndependent(backend: Backend): void {
  const [N, k, n, kept] = [19, 70, 83, 28];
  withTensors(backend, (make) => {
    const x = make.float([N, k], new Values('x').normals(N * k));
    const w = make.float([k, n], new Values('w').normals(k * n));
    const [dense, sparse] = [make.float([N, n]), make.float([N, n])];
    backend.kernels.matmul(x, w, dense);
    backend.kernels.sparseMatmul(select(backend, make, x, kept), w, sparse);
    for (let r = 0; r < N; r++) {
      const row = view(x, [1, k], r * k);
      const [denseAlone, sparseAlone] = [make.float([1, n]), make.float([1, n])];
      backend.kernels.weightMatvec(row, f32Weights(w), denseAlone);
      backend.kernels.weightMatvec(select(backend, make, row, kept), f32Weights(w), sparseAlone);
      // One token takes other kernels than many: the order of the sums may differ, the values may not.
      expect(
        differenceOfFloats(denseAlone.data, view(dense, [n], r * n).data, Math.sqrt(k)),
        `dense row ${r}`,
      ).toBeNull();
      expect(
        differenceOfFloats(sparseAlone.data, view(sparse, [n], r * n).data, Math.sqrt(k)),
        `sparse row ${r}`,
      ).toBeNull();
    }
  });
}

/** 15 tokens are taken by 8, 4, 2 and 1, or by 4; 150 features end within a register. */
function dotsAreIndependent(backend: Backend): void {
  const [N, k, n] = [15, 150, 21];
  withTensors(backend, (make) => {
    const x = make.float([N, k], new Values('x of dots').normals(N * k));
    const w = f32Weights(make.float([n, k], new Values('w of dots').normals(n * k)));
    const [all, alone] = [make.float([N, n]), make.float([1, n])];
    backend.kernels.weightDots(x, w, all);
    for (let r = 0; r < N; r++) {
      backend.kernels.weightDots(view(x, [1, k], r * k), w, alone);
      expect(differenceOfBits(alone.data, all.data.subarray(r * n, (r + 1) * n)), `row ${r}`).toBeNull();
    }
  });
}

const STORAGES = [
  { product: 'matmul', transposeA: false, transposeB: false },
  { product: 'matmul', transposeA: false, transposeB: true },
  { product: 'matmul', transposeA: true, transposeB: false },
  { product: 'sparseMatmul', transposeA: false, transposeB: false },
  { product: 'sparseMatmul', transposeA: false, transposeB: true },
] as const;

type Run = (x: Float32Array, w: Float32Array, precision: Precision) => Float32Array;

/** Gives `judge` each product in each storage, of a size over all blocks with odd extents; lists are the `kept` largest of x. */
function forAllStorages(backend: Backend, kept: number, judge: (run: Run, what: string) => void): void {
  const { m, n, k } = LARGE;
  for (const { product, transposeA, transposeB } of STORAGES) {
    const run: Run = (x, w, precision) => {
      const result = new Float32Array(m * n);
      withTensors(backend, (make) => {
        const [b, out] = [make.float(transposeB ? [n, k] : [k, n], w), make.float([m, n])];
        const a = make.float(transposeA ? [k, m] : [m, k], x);
        if (product === 'matmul') backend.kernels.matmul(a, b, out, { transposeA, transposeB, precision });
        else backend.kernels.sparseMatmul(select(backend, make, a, kept), b, out, { transposeB, precision });
        result.set(out.data);
      });
      return result;
    };
    judge(run, `${product}${transposeA ? ', a^T' : ''}${transposeB ? ', b^T' : ''}`);
  }
}

const LARGE = { m: 40, n: 91, k: 1031 };

/** Whole numbers up to 8 and their sums are exact in any order: a lost, doubled or misplaced term shows whole. */
function wholeNumbersAreExact(backend: Backend): void {
  const { m, n, k } = LARGE;
  const whole = (count: number, seed: string) => {
    const values = new Values(seed);
    return Float32Array.from({ length: count }, () => values.below(17) - 8);
  };
  const [x, w] = [whole(m * k, 'whole x'), whole(k * n, 'whole w')];
  forAllStorages(backend, 401, (run, what) => {
    expect(differenceOfBits(run(x, w, 'f32'), run(x, w, 'bf16')), what).toBeNull();
  });
}

function onlyOperandsAreRounded(backend: Backend): void {
  const { m, n, k } = LARGE;
  const [x, w] = [new Values('x').normals(m * k), new Values('w').normals(k * n)];
  forAllStorages(backend, k, (run, what) => {
    const expected = run(x.map(roundToBf16), w.map(roundToBf16), 'bf16');
    expect(differenceOfBits(expected, run(x, w, 'bf16')), what).toBeNull();
    expect(differenceOfBits(expected, run(x, w, 'f32')), what).not.toBeNull();
  });
}

function sequencesAreIndependent(backend: Backend): void {
  const [batch, seqLen] = [3, 40];
  const { nHeads, headDim } = HEADS;
  withTensors(backend, (make) => {
    const qkv = make.float([batch * seqLen, WIDTH], new Values('batch').normals(batch * seqLen * WIDTH));
    const out = make.float([batch * seqLen, nHeads * headDim]);
    backend.kernels.attention(qkv, out, make.float([batch * seqLen, nHeads]), { batch, seqLen, ...HEADS });
    for (let b = 0; b < batch; b++) {
      const alone = make.float([seqLen, nHeads * headDim]);
      const own = view(qkv, [seqLen, WIDTH], b * seqLen * WIDTH);
      backend.kernels.attention(own, alone, make.float([seqLen, nHeads]), { batch: 1, seqLen, ...HEADS });
      const together = view(out, alone.shape, b * seqLen * nHeads * headDim);
      expect(differenceOfBits(alone.data, together.data), `sequence ${b}`).toBeNull();
    }
  });
}

/** Scratch memory holds what the kernel before left: it must not show. */
function quantized(backend: Backend, make: Make, x: Tensor<'f32'>): QuantizedRows {
  const [rows, cols] = x.shape;
  const out = { rows, cols, start: null, index: null, value: make.bytes([rows * cols]), scale: make.float([rows]) };
  backend.kernels.quantizeRows(x, out);
  return out;
}

/** At every place of a row: in whole vectors and in what is left of one. */
function brokenRowsShow(backend: Backend): void {
  for (const broken of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    withTensors(backend, (make) => {
      const cols = 37;
      const x = make.float([cols + 1, cols], new Values('finite').normals((cols + 1) * cols));
      for (let row = 0; row < cols; row++) x.data[row * cols + row] = broken;
      const { scale } = quantized(backend, make, x);
      expect(scale.data.every((value, row) => Number.isNaN(value) === row < cols)).toBe(true);
    });
  }
}

/** What inference multiplies stands for what training multiplies, bit by bit. */
function integersAreRounded(backend: Backend): void {
  const [rows, cols] = [20, 300];
  withTensors(backend, (make) => {
    const x = make.float([rows, cols], new Values('rounded').normals(rows * cols));
    const { value, scale } = quantized(backend, make, x);
    backend.kernels.fakeQuantizeRows(x, x);
    const products = Float32Array.from(value.data, (code, i) => code * scale.data[Math.floor(i / cols)]);
    expect(differenceOfBits(products, x.data)).toBeNull();
  });
}

function pruningKeepsMeans(backend: Backend): void {
  const [rows, cols, threshold] = [40, 2501, 0.125];
  for (const share of [0.02, 0.5, 0.9]) {
    withTensors(backend, (make) => {
      const signs = Float32Array.from({ length: rows * cols }, (_, i) => (i % 3 === 0 ? -1 : 1));
      const of = (seed: number) => {
        const x = make.float(
          [rows, cols],
          signs.map((sign) => sign * share * threshold),
        );
        backend.kernels.pruneByChance(x, threshold, seed);
        return x.data;
      };
      const [one, other] = [of(7), of(8)];
      for (const data of [one, other]) {
        const kept = data.reduce((count, value) => count + (value === 0 ? 0 : 1), 0) / data.length;
        const error = Math.sqrt((share * (1 - share)) / data.length);
        expect(Math.abs(kept - share)).toBeLessThan(4 * error);
        expect(data.every((value, i) => value === 0 || value === signs[i] * threshold)).toBe(true);
      }
      // Two seeds decide apart: both keep what each does by itself.
      const both = one.reduce((count, value, i) => count + (value !== 0 && other[i] !== 0 ? 1 : 0), 0) / one.length;
      expect(Math.abs(both - share ** 2)).toBeLessThan(4 * Math.sqrt((share ** 2 * (1 - share ** 2)) / one.length));
    });
  }
}

/** With ties, a NaN and an infinity among the rows; with and without a norm and the rounding. */
function fusedIsEach(backend: Backend): void {
  const rows = 13;
  for (const [cols, kept] of [
    [1, 1],
    [30, 30],
    [31, 7],
    [300, 120],
    [2048, 819],
  ]) {
    withTensors(backend, (make) => {
      const x = make.float([rows, cols], new Values(`fused ${cols}`).normals(rows * cols));
      x.data.fill(0.5, 3 * cols, 4 * cols);
      x.data[5 * cols] = Number.NaN;
      x.data[7 * cols - 1] = Number.POSITIVE_INFINITY;
      const before = x.data.slice();
      const weight = make.float([cols], new Values('weight').normals(cols));
      const normed = make.float([rows, cols]);
      backend.kernels.rmsNorm(x, weight, 1e-5, normed, make.float([rows]));
      const empty = () => ({
        start: make.int([rows + 1]),
        index: make.int([rows * kept]),
        value: make.float([rows * kept]),
      });
      const bytesOf = ({ start, index }: SparseRows) => {
        return { rows, cols, start, index, value: make.bytes([rows * kept]), scale: make.float([rows]) };
      };
      for (const norm of [null, { weight, eps: 1e-5 }]) {
        const each = select(backend, make, norm ? normed : x, kept);
        const rounded = bytesOf(each);
        backend.kernels.quantizeRows(each, rounded);
        for (const rounds of [false, true]) {
          const list = { rows, cols, ...empty() };
          const bytes = rounds ? bytesOf(list) : null;
          backend.kernels.selectInput(x, norm, kept, list, bytes);
          const what = `${cols} features, ${norm ? 'normed' : 'as they are'}`;
          expect(differenceOfBits(each.start.data, list.start.data), what).toBeNull();
          expect(differenceOfBits(each.index.data, list.index.data), what).toBeNull();
          expect(differenceOfBits(each.value.data, list.value.data), what).toBeNull();
          if (bytes === null) continue;
          expect(differenceOfBits(rounded.scale.data, bytes.scale.data), what).toBeNull();
          const isWhole = (i: number) => Number.isFinite(bytes.scale.data[Math.floor(i / kept)]);
          expect(bytes.value.data.filter((_, i) => isWhole(i))).toEqual(
            rounded.value.data.filter((_, i) => isWhole(i)),
          );
        }
      }
      expect(differenceOfBits(before, x.data), 'x').toBeNull();
    });
  }
}

function repeatsAreEqual(backend: Backend): void {
  const [m, n, k] = [40, 90, 130];
  withTensors(backend, (make) => {
    const a = make.float([m, k], new Values('a').normals(m * k));
    const b = make.float([k, n], new Values('b').normals(k * n));
    const [first, second] = [make.float([m, n]), make.float([m, n])];
    const rows = select(backend, make, a, 50);
    for (const product of ['matmul', 'sparseMatmul'] as const) {
      const run = (out: FloatTensor) =>
        product === 'matmul' ? backend.kernels.matmul(a, b, out) : backend.kernels.sparseMatmul(rows, b, out);
      run(first);
      const other = make.float([k, k]);
      backend.kernels.matmul(a, a, other, { transposeA: true });
      run(second);
      expect(differenceOfBits(first.data, second.data), product).toBeNull();
    }
  });
}

/** The two forms share no code: list, forward and backward of one must be the other's, bit by bit. */
function listsAreDense(backend: Backend): void {
  const { kernels } = backend;
  const [N, H] = [19, 85];
  withTensors(backend, (make) => {
    const gateUp = make.float([N, 2 * H], new Values('gate and up').normals(N * 2 * H));
    const dOut = make.float([N, H], new Values('dOut').normals(N * H));
    const start = make.int([N + 1]);
    kernels.countOpenGates(gateUp, H, start);
    const count = start.data[N];
    const gate = { rows: N, cols: H, start, index: make.int([count]), value: make.float([count]) };
    kernels.gatherOpenGates(gateUp, gate);
    const [up, dList, out] = [make.float([count]), make.float([count]), make.float([count])];
    kernels.gatherAt(gateUp, H, gate, up);
    kernels.gatherAt(dOut, 0, gate, dList);
    for (const activation of ['relu2', 'relu'] as const) {
      const [dense, written] = [make.float([N, H]), make.float([N, H])];
      kernels.glu(gateUp, activation, dense);
      kernels.gluRows(gate, up, activation, out);
      kernels.scatterRows({ ...gate, value: out }, written);
      expect(differenceOfBits(written.data, dense.data)).toBeNull();

      const [dDense, dWritten] = [make.float([N, 2 * H]), make.float([N, 2 * H])];
      const [index, value] = [make.int([2 * count]), make.float([2 * count])];
      const dRows = { rows: N, cols: 2 * H, start: make.int([N + 1]), index, value };
      kernels.gluBackward(gateUp, dOut, activation, 0.25, dDense);
      kernels.gluRowsBackward(gate, up, dList, activation, 0.25, dRows);
      kernels.scatterRows(dRows, dWritten);
      expect(differenceOfBits(dWritten.data, dDense.data)).toBeNull();
    }
  });
}
