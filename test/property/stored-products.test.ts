/**
 * Properties of the products with stored weights, on every backend that is here: integer sums against whole numbers added up here, lists against
 * dense rows with zeros, tiles against streams, a row of a batch against that row alone; bit by bit.
 */

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Arena as Memory } from '../../src/arena.ts';
import type { Backend } from '../../src/backend.ts';
import type { QuantizedRows } from '../../src/tensor/quantized-rows.ts';
import { type Tensor, view } from '../../src/tensor/tensor.ts';
import { type WeightMatrix, weightRowBytes } from '../../src/tensor/weight-matrix.ts';
import { Values } from '../conformance/values.ts';
import { PROPERTY_BACKENDS } from './property-backends.ts';

const aProduct = fc.record({
  dtype: fc.constantFrom('int8' as const, 'ternary' as const),
  tokens: fc.integer({ min: 1, max: 40 }),
  k: fc.integer({ min: 1, max: 400 }),
  n: fc.integer({ min: 1, max: 300 }),
  zeros: fc.constantFrom(0, 0.3, 0.6, 0.95, 1),
  groupRows: fc.constantFrom(1000, 256, 128, 100, 64, 33, 32, 7, 1),
  seed: fc.integer().map(String),
});
type Product = typeof aProduct extends fc.Arbitrary<infer T> ? T : never;
const RUNS = { numRuns: 25 };

/** Scales that are powers of two: out is then exact, whatever the order of its few float operations. */
const SCALE = 2 ** -6;
/** That of a weight differs by group and by column. */
const weightScale = (group: number, column: number) => SCALE * 2 ** ((group + column) % 2);

interface Problem extends Product {
  x: Int8Array;
  weights: Int8Array;
  w: WeightMatrix;
  dense: QuantizedRows;
  list: QuantizedRows;
}

for (const { name, missing, create } of PROPERTY_BACKENDS) {
  describe.skipIf(missing !== null)(`stored products on ${name}${missing ? ` (${missing})` : ''}`, () => {
    let backend: Backend;
    beforeAll(async () => {
      backend = await create();
    });
    afterAll(() => backend?.dispose());

    function check(body: (memory: Memory, problem: Problem) => void): void {
      const property = fc.property(aProduct, (product) => {
        const memory = new Memory(backend);
        try {
          body(memory, problemOf(memory, product));
        } finally {
          memory.free();
        }
      });
      fc.assert(property, RUNS);
    }

    it('every way gives the whole numbers', () => {
      check((memory, { tokens, k, n, x, weights, w, dense, list }) => {
        const expected = new Float32Array(tokens * n);
        for (let t = 0; t < tokens; t++) {
          for (let c = 0; c < n; c++) {
            let sum = 0;
            for (let i = 0; i < k; i++) {
              sum += x[t * k + i] * weights[i * n + c] * weightScale(Math.floor(i / w.groupRows), c);
            }
            expected[t * n + c] = sum * SCALE;
          }
        }
        for (const kernel of ['weightMatvec', 'weightMatmul'] as const) {
          for (const input of [dense, list]) {
            const out = memory.tensor('f32', [tokens, n]);
            backend.kernels[kernel](input, w, out);
            expect(out.data).toEqual(expected);
            backend.kernels[kernel](input, w, out, { accumulate: true });
            expect(out.data).toEqual(expected.map((value) => 2 * value));
          }
        }
      });
    });

    it('a row of a batch is that row alone', () => {
      check((memory, { tokens, k, n, w, list, dense }) => {
        const all = memory.tensor('f32', [tokens, n]);
        const one = memory.tensor('f32', [1, n]);
        backend.kernels.weightMatmul(list, w, all);
        const row = tokens - 1;
        const alone = {
          ...dense,
          rows: 1,
          value: view(dense.value, [1, k], row * k),
          scale: view(dense.scale, [1], row),
        };
        backend.kernels.weightMatvec(alone, w, one);
        expect(all.data.subarray(row * n)).toEqual(one.data);
      });
    });
  });
}

function problemOf(memory: Memory, product: Product): Problem {
  const { dtype, tokens, k, n, zeros, seed } = product;
  const values = new Values(seed);
  const largest = dtype === 'int8' ? 127 : 1;
  const whole = (most: number) => values.below(2 * most + 1) - most;
  const x = Int8Array.from({ length: tokens * k }, () => (values.uniform() < zeros ? 0 : whole(127)));
  const weights = Int8Array.from({ length: k * n }, () => whole(largest));
  const groupRows = dtype === 'int8' ? Math.min(product.groupRows, k) : k;
  const scale = filled(memory.tensor('f32', [tokens]));
  const dense = { rows: tokens, cols: k, start: null, index: null, value: memory.tensor('i8', [tokens, k]), scale };
  dense.value.data.set(x);
  return { ...product, x, weights, w: stored(memory, product, weights, groupRows), dense, list: listOf(memory, dense) };
}

function filled(tensor: Tensor<'f32'>): Tensor<'f32'> {
  tensor.data.fill(SCALE);
  return tensor;
}

function listOf(memory: Memory, { rows, cols, value, scale }: QuantizedRows): QuantizedRows {
  const nonZeros = value.data.reduce((count, x) => count + (x === 0 ? 0 : 1), 0);
  const [start, index] = [memory.tensor('i32', [rows + 1]), memory.tensor('i32', [nonZeros])];
  const listed = memory.tensor('i8', [nonZeros]);
  let at = 0;
  for (let row = 0; row < rows; row++) {
    for (let col = 0; col < cols; col++) {
      if (value.data[row * cols + col] === 0) continue;
      index.data[at] = col;
      listed.data[at++] = value.data[row * cols + col];
    }
    start.data[row + 1] = at;
  }
  return { rows, cols, start, index, value: listed, scale };
}

/** The layouts as docs/formats.md says, written down a second time. */
function stored(memory: Memory, { dtype, k, n }: Product, weights: Int8Array, groupRows: number): WeightMatrix {
  const rowBytes = Math.ceil(weightRowBytes(dtype, n) / 64) * 64;
  const data = memory.tensor('u8', [k * rowBytes]);
  for (let row = 0; row < k; row++) {
    for (let col = 0; col < n; col++) {
      const weight = weights[row * n + col];
      if (dtype === 'int8') data.data[row * rowBytes + col] = weight & 0xff;
      else
        data.data[row * rowBytes + Math.floor(col / 128) * 32 + (col % 32)] |=
          (weight + 1) << (2 * Math.floor((col % 128) / 32));
    }
  }
  const scale = memory.tensor('f32', [Math.ceil(k / groupRows), n]);
  for (const i of scale.data.keys()) scale.data[i] = weightScale(Math.floor(i / n), i % n);
  return { dtype, rows: k, cols: n, rowBytes, data, scale, scaleAxis: 'cols', groupRows };
}
