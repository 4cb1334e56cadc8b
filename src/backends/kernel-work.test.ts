import { describe, expect, it } from 'vitest';
import { floatTensor, intTensor } from '../../test/support/tensors.ts';
import type { BlockMoments } from '../tensor/block-moments.ts';
import { KV_DTYPES, type KvItems, type KvSlots, type KvType, kvShapes } from '../tensor/kv-slots.ts';
import type { QuantizedRows } from '../tensor/quantized-rows.ts';
import type { SparseRows } from '../tensor/sparse-rows.ts';
import { type FloatTensor, sizeOf, type Tensor } from '../tensor/tensor.ts';
import { newData } from '../tensor/view-of.ts';
import type { WeightMatrix } from '../tensor/weight-matrix.ts';
import type { KernelName } from './kernel-names.ts';
import { type KernelWork, kernelWork } from './kernel-work.ts';
import { createReferenceBackend } from './reference/reference-backend.ts';

const backend = createReferenceBackend();
const f32 = (...shape: number[]): FloatTensor => floatTensor(backend, 'f32', shape, []);
const ints = (count: number) => intTensor(backend, new Int32Array(count));
const sums = (count: number) => floatTensor(backend, 'f64', [count], []) as Tensor<'f64'>;

/** Of so many elements, with so many scales. */
function moments(count: number, blocks: number): BlockMoments {
  const codes = { dtype: 'u8', shape: [count], data: new Uint8Array(count), address: 0 } as const;
  return { codes, scale: f32(blocks) };
}

/** `count` non-zeros in room for more. */
function list(rows: number, cols: number, count: number): SparseRows {
  const start = ints(rows + 1);
  start.data.fill(count, 1);
  return { rows, cols, start, index: ints(count + 5), value: f32(count + 5) };
}

/** Rows of 64 bytes, whatever they hold. */
function weights(rows: number, cols: number): WeightMatrix {
  const data = backend.allocate('u8', rows * 64).data;
  const bytes: Tensor<'u8'> = { dtype: 'u8', shape: [rows * 64], data, address: 0 };
  return { dtype: 'f32', rows, cols, rowBytes: 64, data: bytes, scale: null, scaleAxis: 'cols', groupRows: rows };
}

function quantized({ rows, cols, start, index }: SparseRows): QuantizedRows {
  const value = { dtype: 'i8', shape: [12], data: new Int8Array(12), address: 0 } as const;
  return { rows, cols, start, index, value, scale: f32(rows) as Tensor<'f32'> };
}

const heads = { batch: 2, seqLen: 3, nHeads: 4, nKvHeads: 2, headDim: 8 };
const moved = (bytes: number): KernelWork => ({ flops: 0, denseFlops: 0, bytes });
const work = (flops: number, denseFlops: number, bytes: number): KernelWork => ({ flops, denseFlops, bytes });

/** Two slots of 64 positions, 2 heads of 8. */
function cached(type: KvType): KvSlots {
  const shape = { slots: 2, positions: 64, nKvHeads: 2, headDim: 8 };
  const { keys, values, scales } = kvShapes(shape);
  const memory = (dims: number[]): Tensor => {
    const dtype = KV_DTYPES[type];
    return { dtype, shape: dims, address: 0, data: newData(dtype, sizeOf(dims)) };
  };
  const scale = () => (type === 'int8' ? (f32(...scales) as Tensor<'f32'>) : null);
  return { ...shape, type, keys: memory(keys), values: memory(values), keyScale: scale(), valueScale: scale() };
}

/** Two tokens from position 5 on in one slot, one at position 9 in the other. */
const cacheItems: KvItems = { ...ints(8), shape: [2, 4], data: Int32Array.of(0, 2, 5, 1, 2, 1, 9, 0) };

/** Worked out by hand. A list [3, 10] with 7 non-zeros is 4 starts, 7 indices, 7 values: 72 bytes. */
const BY_HAND: readonly [KernelName, unknown[], KernelWork][] = [
  // [2, 3] [3, 5]: 2 * 3 * 5 multiply-adds; 6 + 15 + 10 elements.
  ['matmul', [f32(2, 3), f32(3, 5), f32(2, 5)], work(60, 60, 4 * 31)],
  ['matmul', [f32(3, 2), f32(5, 3), f32(2, 5), { transposeA: true, transposeB: true }], work(60, 60, 4 * 31)],
  ['matmul', [f32(2, 3), f32(3, 5), f32(2, 5), { accumulate: true }], work(60, 60, 4 * 41)],
  // Two of the five columns: 6, 3 * 2 and 2 * 2 elements.
  ['matmul', [f32(2, 3), f32(3, 5), f32(2, 5), { columns: { first: 3, count: 2 } }], work(24, 24, 4 * 16)],
  // 7 non-zeros times 5 columns; dense 3 * 10 * 5.
  ['sparseMatmul', [list(3, 10, 7), f32(10, 5), f32(3, 5)], work(70, 300, 72 + 4 * 65)],
  [
    'sparseMatmul',
    [list(3, 10, 7), f32(5, 10), f32(3, 5), { transposeB: true, accumulate: true }],
    work(70, 300, 72 + 4 * 80),
  ],
  [
    'sparseMatmul',
    [list(3, 10, 7), f32(10, 5), f32(3, 5), { columns: { first: 0, count: 2 }, accumulate: true }],
    work(28, 120, 72 + 4 * 32),
  ],
  // 7 of the 3 x 10 elements, over 4 features; of the list 4 starts and 7 indices.
  ['sampledMatmul', [f32(3, 4), f32(10, 4), list(3, 10, 7), f32(7)], work(56, 240, 44 + 4 * 59)],

  // Rows of 64 bytes. 7 non-zeros read 7 of them; dense 3 * 10 * 5. A list of 8-bit values: 4 starts, 7 indices, 7 values, 3 scales.
  ['weightMatvec', [list(3, 10, 7), weights(10, 5), f32(3, 5)], work(70, 300, 7 * 64 + 72 + 60)],
  [
    'weightMatvec',
    [quantized(list(3, 10, 7)), weights(10, 5), f32(3, 5), { accumulate: true }],
    work(70, 300, 7 * 64 + 63 + 120),
  ],
  ['weightMatmul', [f32(3, 10), weights(10, 5), f32(3, 5)], work(300, 300, 10 * 64 + 120 + 60)],
  ['weightDots', [f32(3, 10), weights(5, 10), f32(3, 5)], work(300, 300, 5 * 64 + 120 + 60)],
  // Two dot products of 10.
  ['weightDots', [f32(3, 10), weights(5, 10), f32(2), { at: list(3, 5, 2) }], work(40, 40, 2 * 64 + 120 + 8)],
  ['weightRows', [ints(3), weights(50, 10), f32(3, 10)], moved(12 + 3 * 64 + 120)],
  ['quantizeRows', [list(3, 10, 7), quantized(list(3, 10, 7))], moved(72 + 63)],

  ['selectTopK', [f32(3, 10), 2, list(3, 10, 6)], moved(120 + 64)],
  // Three rows of two: the list, its bytes and scales, and the weight of the norm.
  [
    'selectInput',
    [f32(3, 10), { weight: f32(10), eps: 1e-5 }, 2, list(3, 10, 6), quantized(list(3, 10, 6))],
    moved(120 + 64 + 40 + 6 + 12),
  ],
  ['countNonZeros', [f32(3, 10), ints(4)], moved(120 + 16)],
  ['gatherNonZeros', [f32(3, 10), list(3, 10, 7)], moved(120 + 72)],
  ['selectBlockTopK', [f32(3, 10), { ...list(3, 10, 6), blocks: { size: 5, kept: 1 } }], moved(120 + 64 + 6)],
  // Two row starts of 16 bytes, 7 elements of x; then two lists of 72 and 56 bytes, x and its 5 that stay.
  ['countPositiveAt', [list(3, 10, 7), f32(9), ints(4)], moved(32 + 28)],
  ['gatherPositiveAt', [list(3, 10, 7), f32(9), list(3, 10, 5), f32(5)], moved(72 + 56 + 48)],
  ['transposeRows', [list(3, 10, 7), list(10, 3, 7)], moved(72 + 100)],
  ['scatterRows', [list(3, 10, 7), f32(3, 10)], moved(72 + 120)],
  ['gatherAt', [f32(3, 20), 10, list(3, 10, 7), f32(7)], moved(44 + 56)],
  ['maskRows', [f32(3, 10), list(3, 10, 7), f32(3, 10)], moved(120 + 72 + 120)],
  ['rescaleRows', [list(3, 10, 7), f32(3)], moved(72 + 28 + 12)],
  ['fakeQuantizeRows', [f32(3, 10), f32(3, 10)], moved(240)],
  ['fakeQuantizeRows', [list(3, 10, 7), f32(7)], moved(72 + 28)],
  ['ternarize', [f32(3, 10), { first: 2, count: 4 }, { alpha: 1, threshold: 0.5 }, f32(3, 10)], moved(96)],
  ['rescaleRowsBackward', [list(3, 10, 7), f32(3), f32(3, 10)], moved(72 + 12 + 240)],

  ['rmsNorm', [f32(3, 10), f32(10), 1e-5, f32(3, 10), f32(3)], moved(4 * 73)],
  ['rmsNormBackward', [f32(3, 10), f32(10), f32(3), f32(3, 10), f32(3, 10), f32(10)], moved(4 * 123)],
  [
    'rmsNormBackward',
    [f32(3, 10), f32(10), f32(3), f32(3, 10), f32(3, 10), f32(10), { accumulate: true }],
    moved(4 * 153),
  ],
  // A list of 7 takes 72 bytes, its values alone 28.
  ['rmsNormRows', [list(3, 10, 7), f32(10), 1e-5, f32(7), f32(3)], moved(72 + 40 + 12 + 28)],
  [
    'rmsNormRowsBackward',
    [list(3, 10, 7), f32(10), f32(3), f32(7), f32(7), f32(10)],
    moved(72 + 40 + 12 + 2 * 40 + 2 * 28),
  ],
  // Two of the four heads of 6 rows are rotated in place.
  ['rope', [f32(6, 32), ints(6), f32(3, 4), f32(3, 4), { nRotatedHeads: 2, headDim: 8 }], moved(4 * 192 + 24)],
  // Queries see 1, 2, 3 keys: 6 a head and sequence, 8 heads in all; scores and values 8 multiply-adds each.
  ['attention', [f32(6, 64), f32(6, 32), f32(6, 4), heads], work(6 * 8 * 16 * 2, 6 * 8 * 16 * 2, 4 * 600)],
  // In the second sequence the last two tokens see one key less each: 10 keys of 4 heads.
  [
    'attention',
    [f32(6, 64), f32(6, 32), f32(6, 4), heads, intTensor(backend, [0, 0, 0, 0, 1, 1])],
    work(10 * 4 * 16 * 2, 10 * 4 * 16 * 2, 4 * 600),
  ],
  [
    'attentionBackward',
    [f32(6, 64), f32(6, 32), f32(6, 4), f32(6, 32), f32(6, 64), heads],
    work(6 * 8 * 16 * 4, 6 * 8 * 16 * 4, 4 * 1176),
  ],
  // Keys and values of 3 rows, 2 heads of 8 each: read in f32, written in 8 bits with a scale for each head.
  ['storeKv', [f32(3, 64), cacheItems, cached('int8')], moved(3 * (2 * 16 * 4 + 2 * (16 + 2 * 4)))],
  // Two queries behind five keys see 6 and 7, one behind 9 sees 10: 23, of 4 heads; seven and ten positions of two cached heads.
  [
    'attentionCached',
    [f32(3, 64), cacheItems, cached('f16'), 0, f32(3, 32)],
    work(23 * 4 * 16 * 2, 23 * 4 * 16 * 2, 17 * 2 * 16 * 2 + 2 * 4 * 96),
  ],
  // Of a window of 3 each query sees 3: of the first item 4 positions are read, of the second 3.
  [
    'attentionCached',
    [f32(3, 64), cacheItems, cached('f32'), 3, f32(3, 32)],
    work(9 * 4 * 16 * 2, 9 * 4 * 16 * 2, 7 * 2 * 16 * 4 + 2 * 4 * 96),
  ],

  ['glu', [f32(3, 20), 'relu2', f32(3, 10)], moved(4 * 90)],
  ['gluBackward', [f32(3, 20), f32(3, 10), 'relu2', 0, f32(3, 20)], moved(4 * 150)],
  ['countOpenGates', [f32(3, 20), 10, ints(4)], moved(4 * 34)],
  ['gatherOpenGates', [f32(3, 20), list(3, 10, 7)], moved(120 + 72)],
  ['gluRows', [list(3, 10, 7), f32(7), 'relu2', f32(7)], moved(4 * 21)],
  // The list of both halves: 4 starts, 14 indices, 14 values.
  ['gluRowsBackward', [list(3, 10, 7), f32(7), f32(7), 'relu2', 0, list(3, 20, 14)], moved(72 + 56 + 128)],
  // Logits read and written; the list of 3 x 2 chosen is 4 starts, 6 indices, 6 values.
  ['routeTokens', [f32(3, 5), 2, list(3, 5, 6), f32(3)], moved(4 * 33 + 64)],
  [
    'routeTokensBackward',
    [f32(3, 5), list(3, 5, 6), f32(3), f32(6), f32(5), 0.5, f32(3, 5)],
    moved(4 * (15 + 3 + 6 + 5 + 15) + 64),
  ],
  ['gatherRows', [list(3, 10, 7), ints(2), list(2, 10, 4)], moved(8 + 2 * 44)],
  ['addRowsAt', [f32(2, 10), f32(2), ints(2), f32(3, 10)], moved(4 * 64)],
  ['embedding', [ints(3), f32(50, 10), f32(3, 10)], moved(4 * 63)],
  ['embeddingBackward', [ints(3), f32(3, 10), f32(50, 10)], moved(4 * 93)],
  // Of two rows no more than two can be touched.
  ['embeddingBackward', [ints(3), f32(3, 10), f32(2, 10)], moved(4 * 73)],
  ['softmaxCrossEntropy', [f32(3, 50), ints(3), f32(3), null], moved(4 * 156)],
  ['softmaxCrossEntropy', [f32(3, 50), ints(3), f32(3), 0.5], moved(4 * 306)],
  ['softmaxDivergence', [f32(3, 50), f32(3, 50), ints(3), f32(3), { temperature: 1, scale: null }], moved(4 * 306)],
  ['softmaxDivergence', [f32(3, 50), f32(3, 50), ints(3), f32(3), { temperature: 1, scale: 1 }], moved(4 * 456)],
  ['pruneByChance', [f32(3, 50), 0.1, 1], moved(2 * 600)],
  ['adamw', [f32(3, 10), f32(3, 10), f32(3, 10), f32(3, 10), {}], moved(4 * 240)],
  // 30 codes and one scale for each moment.
  ['adamw8', [f32(3, 10), f32(3, 10), moments(30, 1), moments(30, 1), {}], moved(2 * (240 + 2 * (30 + 4)))],
  ['sumSquares', [f32(3, 10), sums(3), 2, 4], moved(48 + 24)],
  ['sumAbs', [f32(3, 10), sums(3), 2, 4], moved(48 + 24)],
  ['add', [f32(3, 10), f32(3, 10), f32(3, 10)], moved(4 * 90)],
  ['transpose', [f32(3, 10), f32(10, 3)], moved(4 * 60)],
  ['transpose', [f32(3, 10), f32(4, 3), { columns: { first: 2, count: 4 }, accumulate: true }], moved(4 * 36)],
  ['scale', [f32(3, 10), 2], moved(4 * 60)],
  ['copy', [f32(3, 10), f32(3, 10)], moved(4 * 60)],
  ['fill', [f32(3, 10), 0], moved(4 * 30)],
];

describe('kernelWork', () => {
  it.each(BY_HAND)('%s', (kernel, args, expected) => {
    expect(kernelWork(kernel, args)).toEqual(expected);
  });

  it('counts f64 with 8 bytes an element', () => {
    const x = floatTensor(backend, 'f64', [3, 10], []);
    expect(kernelWork('add', [x, x, x]).bytes).toBe(8 * 90);
  });

  it('has a number by hand for every kernel of the table', () => {
    const named = new Set(BY_HAND.map(([kernel]) => kernel));
    expect(Object.keys(backend.kernels).filter((kernel) => !named.has(kernel as KernelName))).toEqual([]);
  });
});
