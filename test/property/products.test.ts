/** Properties of the products, on every backend that is here: sparse and dense are one function of one matrix. */

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backend.ts';
import { roundToBf16 } from '../../src/backends/reference/round-to-bf16.ts';
import type { FloatTensor } from '../../src/tensor/tensor.ts';
import { f32Weights } from '../../src/tensor/weight-matrix.ts';
import { differenceOfFloats } from '../conformance/compare.ts';
import { Values } from '../conformance/values.ts';
import { type Arena, PROPERTY_BACKENDS, withArena } from './property-backends.ts';

const aProduct = fc.record({
  m: fc.integer({ min: 1, max: 20 }),
  k: fc.integer({ min: 1, max: 100 }),
  n: fc.integer({ min: 1, max: 70 }),
  zeros: fc.constantFrom(0, 0.3, 0.6, 0.95, 1),
  transposeB: fc.boolean(),
  seed: fc.integer().map(String),
});

const RUNS = { numRuns: 100 };
/** For the property that compares element by element. */
const FEW_RUNS = { numRuns: 30 };

/**
 * The error of a sum of up to 100 products in f32, relative to the sum of their magnitudes: each addition adds at most 2^-24 of
 * a partial sum, which is small beside all magnitudes together.
 */
const SUM_BOUND = 2 ** -20;

interface Product {
  m: number;
  k: number;
  n: number;
  transposeB: boolean;
  values: Values;
  x: FloatTensor;
  w: FloatTensor;
}

for (const { name, missing, create } of PROPERTY_BACKENDS) {
  describe.skipIf(missing !== null)(`products on ${name}${missing ? ` (${missing})` : ''}`, () => {
    let backend: Backend;
    beforeAll(async () => {
      backend = await create();
    });
    afterAll(() => backend?.dispose());

    function check(body: (arena: Arena, product: Product) => void, runs = RUNS): void {
      fc.assert(
        fc.property(aProduct, ({ m, k, n, zeros, transposeB, seed }) => {
          withArena(backend, (arena) => {
            const values = new Values(seed);
            const x = arena.float([m, k], values.sparse(m * k, zeros));
            const w = arena.float(transposeB ? [n, k] : [k, n], values.normals(k * n));
            body(arena, { m, k, n, transposeB, values, x, w });
          });
        }),
        runs,
      );
    }

    function expectSame(expected: FloatTensor, got: FloatTensor, k: number): void {
      expect(differenceOfFloats(expected.data, got.data, Math.sqrt(k))).toBeNull();
    }

    it('sparseMatmul is matmul of the scattered matrix', () => {
      check((arena, { m, k, n, transposeB, values, x, w }) => {
        const start = values.normals(m * n);
        for (const accumulate of [false, true]) {
          const [dense, sparse] = [arena.float([m, n], start), arena.float([m, n], start)];
          const rows = arena.gathered(x);
          const scattered = arena.float([m, k]);
          backend.kernels.scatterRows(rows, scattered);
          backend.kernels.matmul(scattered, w, dense, { transposeB, accumulate });
          backend.kernels.sparseMatmul(rows, w, sparse, { transposeB, accumulate });
          expectSame(dense, sparse, k);
        }
      });
    });

    it('with all features kept the sparse product is the dense one', () => {
      check((arena, { m, k, n, transposeB, x, w }) => {
        const [dense, sparse] = [arena.float([m, n]), arena.float([m, n])];
        backend.kernels.matmul(x, w, dense, { transposeB });
        backend.kernels.sparseMatmul(arena.selected(x, k), w, sparse, { transposeB });
        expectSame(dense, sparse, k);
      });
    });

    it('the gradient of the weights: transposed rows times dY is X^T dY', () => {
      check((arena, { m, k, n, values, x }) => {
        const rows = arena.gathered(x);
        const transposed = arena.rows(k, m, rows.start.data[m]);
        backend.kernels.transposeRows(rows, transposed);
        const dY = arena.float([m, n], values.normals(m * n));
        const [dense, sparse] = [arena.float([k, n]), arena.float([k, n])];
        backend.kernels.matmul(x, dY, dense, { transposeA: true });
        backend.kernels.sparseMatmul(transposed, dY, sparse);
        expectSame(dense, sparse, m);
      });
    });

    it('a transposed operand is the transpose', () => {
      check((arena, { m, k, n, transposeB, x, w }) => {
        const flip = (a: FloatTensor) => {
          const [rows, cols] = a.shape;
          return arena.float(
            [cols, rows],
            Float32Array.from(a.data, (_, i) => a.data[(i % rows) * cols + Math.floor(i / rows)]),
          );
        };
        const [one, two, three] = [arena.float([m, n]), arena.float([m, n]), arena.float([m, n])];
        backend.kernels.matmul(x, w, one, { transposeB });
        backend.kernels.matmul(flip(x), w, two, { transposeA: true, transposeB });
        backend.kernels.matmul(x, flip(w), three, { transposeB: !transposeB });
        expectSame(one, two, k);
        expectSame(one, three, k);
      });
    });

    it('a bf16 product is off by the rounding of its operands, and by that of f32 sums beside it', () => {
      check((arena, { m, k, n, transposeB, values, x, w }) => {
        const start = values.normals(m * n);
        for (const accumulate of [false, true]) {
          const [dense, sparse] = [arena.float([m, n], start), arena.float([m, n], start)];
          const options = { transposeB, accumulate, precision: 'bf16' } as const;
          backend.kernels.matmul(x, w, dense, options);
          backend.kernels.sparseMatmul(arena.gathered(x), w, sparse, options);
          for (let e = 0; e < m * n; e++) {
            const [i, j] = [Math.floor(e / n), e % n];
            const exact = { sum: accumulate ? start[e] : 0, size: accumulate ? Math.abs(start[e]) : 0 };
            const rounded = { ...exact };
            for (let l = 0; l < k; l++) {
              const [a, b] = [x.data[i * k + l], w.data[transposeB ? j * k + l : l * n + j]];
              exact.sum += a * b;
              exact.size += Math.abs(a * b);
              rounded.sum += roundToBf16(a) * roundToBf16(b);
            }
            for (const got of [dense.data[e], sparse.data[e]]) {
              // Each of the two operands is off by at most 2^-8 / (1 + 2^-8).
              expect(Math.abs(got - exact.sum)).toBeLessThanOrEqual((2 ** -7 + SUM_BOUND) * exact.size);
              expect(Math.abs(got - rounded.sum)).toBeLessThanOrEqual(SUM_BOUND * exact.size);
            }
          }
        }
      }, FEW_RUNS);
    });

    it('products of one token are rows of the products of many', () => {
      check((arena, { m, k, n, values, x }) => {
        const w = arena.float([k, n], values.normals(k * n));
        const wT = arena.float(
          [n, k],
          Float32Array.from(w.data, (_, i) => w.data[(i % k) * n + Math.floor(i / k)]),
        );
        const many = arena.float([m, n]);
        backend.kernels.matmul(x, w, many);
        for (let r = 0; r < m; r += 7) {
          const row = arena.float([1, k], x.data.subarray(r * k, (r + 1) * k));
          const expected = arena.float([1, n], many.data.subarray(r * n, (r + 1) * n));
          const [dense, sparse, transposed] = [arena.float([1, n]), arena.float([1, n]), arena.float([1, n])];
          backend.kernels.weightMatvec(row, f32Weights(w), dense);
          backend.kernels.weightMatvec(arena.gathered(row), f32Weights(w), sparse);
          backend.kernels.weightDots(row, f32Weights(wT), transposed);
          for (const got of [dense, sparse, transposed]) expectSame(expected, got, k);
        }
      });
    });
  });
}
