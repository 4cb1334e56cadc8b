/**
 * Properties of the exact selection and of lists of non-zeros, on every backend that is here: each from a defect that
 * public re-implementations of top-K sparsity have had (more than K on ties, a threshold that lets none through, NaN).
 */

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backend.ts';
import type { SparseRows } from '../../src/tensor/sparse-rows.ts';
import { type Arena, PROPERTY_BACKENDS, withArena } from './property-backends.ts';

/** Any f32, with many ties, zeros, infinities and NaN among them. */
const anyFloat = fc.oneof(
  { weight: 4, arbitrary: fc.float() },
  { weight: 4, arbitrary: fc.constantFrom(0, -0, 1, -1, 2, -2, 0.5) },
  { weight: 1, arbitrary: fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 2 ** -149) },
);

const aMatrix = fc
  .record({ rows: fc.integer({ min: 1, max: 5 }), cols: fc.integer({ min: 1, max: 90 }) })
  .chain(({ rows, cols }) =>
    fc.record({
      rows: fc.constant(rows),
      cols: fc.constant(cols),
      kept: fc.integer({ min: 1, max: cols }),
      x: fc.array(anyFloat, { minLength: rows * cols, maxLength: rows * cols }),
    }),
  );

const RUNS = { numRuns: 150 };

/** Larger magnitude first, NaN before all; 0 where they are equal. */
function order(a: number, b: number): number {
  const [x, y] = [Math.abs(a), Math.abs(b)];
  if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(y)) - Number(Number.isNaN(x));
  return x === y ? 0 : y > x ? 1 : -1;
}

/** Independent of any selection: an index stays if fewer than `kept` others come before it. */
function byRank(row: Float32Array, kept: number): number[] {
  return [...row.keys()].filter((i) => {
    const before = row.filter(
      (other, j) => j !== i && (order(other, row[i]) < 0 || (order(other, row[i]) === 0 && j < i)),
    );
    return before.length < kept;
  });
}

function rowOf(matrix: SparseRows, r: number): { index: number[]; value: number[] } {
  const [first, last] = [matrix.start.data[r], matrix.start.data[r + 1]];
  return { index: [...matrix.index.data.subarray(first, last)], value: [...matrix.value.data.subarray(first, last)] };
}

for (const { name, missing, create } of PROPERTY_BACKENDS) {
  describe.skipIf(missing !== null)(`selection on ${name}${missing ? ` (${missing})` : ''}`, () => {
    let backend: Backend;
    beforeAll(async () => {
      backend = await create();
    });
    afterAll(() => backend?.dispose());

    function check(body: (arena: Arena, rows: number, cols: number, kept: number, x: Float32Array) => void): void {
      fc.assert(
        fc.property(aMatrix, ({ rows, cols, kept, x }) => {
          withArena(backend, (arena) => body(arena, rows, cols, kept, Float32Array.from(x)));
        }),
        RUNS,
      );
    }

    it('keeps exactly `kept`, ascending, with their values', () => {
      check((arena, rows, cols, kept, x) => {
        const out = arena.selected(arena.float([rows, cols], x), kept);
        for (let r = 0; r < rows; r++) {
          const { index, value } = rowOf(out, r);
          expect(index.length).toBe(kept);
          expect(index.every((c, e) => c >= 0 && c < cols && (e === 0 || c > index[e - 1]))).toBe(true);
          expect(value).toEqual(index.map((c) => x[r * cols + c]));
        }
      });
    });

    it('keeps nothing smaller than what it drops', () => {
      check((arena, rows, cols, kept, x) => {
        const out = arena.selected(arena.float([rows, cols], x), kept);
        for (let r = 0; r < rows; r++) {
          const { index, value } = rowOf(out, r);
          const dropped = [...x.subarray(r * cols, (r + 1) * cols)].filter((_, c) => !index.includes(c));
          expect(value.every((k) => dropped.every((d) => order(k, d) <= 0))).toBe(true);
        }
      });
    });

    it('is the first `kept` of a full sort by (|x| descending, index ascending), and the same by rank', () => {
      check((arena, rows, cols, kept, x) => {
        const out = arena.selected(arena.float([rows, cols], x), kept);
        for (let r = 0; r < rows; r++) {
          const row = x.subarray(r * cols, (r + 1) * cols);
          const sorted = [...row.keys()].sort((i, j) => order(row[i], row[j]) || i - j);
          const expected = sorted.slice(0, kept).sort((i, j) => i - j);
          expect(rowOf(out, r).index).toEqual(expected);
          expect(byRank(row, kept)).toEqual(expected);
        }
      });
    });

    it('changes with the order of the features only where there are ties', () => {
      fc.assert(
        fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 1000 }), { minLength: 2, maxLength: 60 }), (distinct) => {
          withArena(backend, (arena) => {
            const kept = Math.ceil(distinct.length / 3);
            const values = (x: readonly number[]) => {
              const { value } = rowOf(arena.selected(arena.float([1, x.length], x), kept), 0);
              return value.map(Math.abs).sort((a, b) => a - b);
            };
            const signed = distinct.map((x, i) => (i % 2 === 0 ? x : -x));
            expect(values(signed.toReversed())).toEqual(values(distinct));
          });
        }),
        RUNS,
      );
    });

    it('in blocks is the selection of each block alone, by rank', () => {
      const aBlock = fc.integer({ min: 2, max: 70 });
      const blocked = fc
        .record({ rows: fc.integer({ min: 1, max: 3 }), blocks: fc.integer({ min: 1, max: 4 }), blockSize: aBlock })
        .chain(({ rows, blocks, blockSize }) =>
          fc.record({
            ...{ rows: fc.constant(rows), blocks: fc.constant(blocks), blockSize: fc.constant(blockSize) },
            kept: fc.integer({ min: 1, max: blockSize }),
            x: fc.array(anyFloat, { minLength: rows * blocks * blockSize, maxLength: rows * blocks * blockSize }),
          }),
        );
      fc.assert(
        fc.property(blocked, ({ rows, blocks, blockSize, kept, x }) => {
          withArena(backend, (arena) => {
            const cols = blocks * blockSize;
            const out = arena.blockRows(rows, cols, blockSize, kept);
            backend.kernels.selectBlockTopK(arena.float([rows, cols], Float32Array.from(x)), out);
            for (let r = 0; r < rows; r++) {
              const expected = Array.from({ length: blocks }, (_, block) => {
                const first = block * blockSize;
                const own = Float32Array.from(x.slice(r * cols + first, r * cols + first + blockSize));
                return byRank(own, kept).map((i) => first + i);
              }).flat();
              const { index, value } = rowOf(out, r);
              const places = out.blocks.place.data.slice(r * index.length, (r + 1) * index.length);
              expect(index).toEqual(expected);
              expect(value).toEqual(expected.map((c) => Math.fround(x[r * cols + c])));
              expect([...places]).toEqual(expected.map((c) => c % blockSize));
            }
          });
        }),
        RUNS,
      );
    });

    it('by a threshold keeps what is not below it', () => {
      check((arena, rows, cols, kept, x) => {
        const threshold = Math.abs(x[kept - 1]) || 0.5;
        if (!Number.isFinite(threshold)) return;
        const start = arena.int([rows + 1]);
        backend.kernels.countNonZeros(arena.float([rows, cols], x), start, threshold);
        const out = arena.rows(rows, cols, start.data[rows]);
        out.start.data.set(start.data);
        backend.kernels.gatherNonZeros(arena.float([rows, cols], x), out, threshold);
        for (let r = 0; r < rows; r++) {
          const row = [...x.subarray(r * cols, (r + 1) * cols)];
          const expected = [...row.keys()].filter((c) => !(Math.abs(row[c]) < threshold));
          expect(rowOf(out, r)).toEqual({ index: expected, value: expected.map((c) => row[c]) });
        }
      });
    });

    it('gathering and scattering give the matrix back, -0 as 0', () => {
      check((arena, rows, cols, _, x) => {
        const gathered = arena.gathered(arena.float([rows, cols], x));
        expect(gathered.value.data.every((v) => v !== 0)).toBe(true);
        const out = arena.float([rows, cols], new Float32Array(rows * cols).fill(7));
        backend.kernels.scatterRows(gathered, out);
        expect([...out.data]).toEqual([...x].map((v) => (v === 0 ? 0 : v)));
      });
    });

    it('transposing twice gives the same lists', () => {
      check((arena, rows, cols, _, x) => {
        const a = arena.gathered(arena.float([rows, cols], x));
        const count = a.start.data[rows];
        const [once, twice] = [arena.rows(cols, rows, count), arena.rows(rows, cols, count)];
        backend.kernels.transposeRows(a, once);
        backend.kernels.transposeRows(once, twice);
        for (const part of ['start', 'index', 'value'] as const) {
          expect([...twice[part].data.subarray(0, a[part].data.length)]).toEqual([...a[part].data]);
        }
        for (let c = 0; c < cols; c++) {
          const { index, value } = rowOf(once, c);
          const column = Array.from({ length: rows }, (_, r) => x[r * cols + c]);
          expect(index).toEqual([...column.keys()].filter((r) => column[r] !== 0));
          expect(value).toEqual(column.filter((v) => v !== 0));
        }
      });
    });

    it('masking keeps a gradient at the selected features alone', () => {
      check((arena, rows, cols, kept, x) => {
        const at = arena.selected(arena.float([rows, cols], x), kept);
        const gradient = Float32Array.from(x, (_, i) => i + 1);
        const out = arena.float([rows, cols], gradient);
        backend.kernels.maskRows(out, at, out);
        for (let r = 0; r < rows; r++) {
          const { index } = rowOf(at, r);
          const row = out.data.subarray(r * cols, (r + 1) * cols);
          expect([...row]).toEqual([...row.keys()].map((c) => (index.includes(c) ? gradient[r * cols + c] : 0)));
        }
      });
    });
  });
}
