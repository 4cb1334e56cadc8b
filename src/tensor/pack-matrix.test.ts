import { existsSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sharedPath } from '../../test/golden/golden-file.ts';
import { roundToBf16 } from '../backends/reference/round-to-bf16.ts';
import { FormatError } from '../util/errors.ts';
import { Prng } from '../util/prng.ts';
import { type MatrixView, matrixView, transposedView, viewColumns } from './matrix-view.ts';
import { type Columns, packMatrix } from './pack-matrix.ts';
import { unpackRow } from './unpack-row.ts';
import { storedWeights, type WeightMatrix, type WeightType, weightRowBytes, weightScaleAt } from './weight-matrix.ts';

const golden = sharedPath('golden/qsparse_layer/unit_cases.json');
/** What memory holds before it is written: none of it may change between rows. */
const UNTOUCHED = 0xa5;

interface Options {
  slack?: number;
  firstByte?: number;
  groupRows?: number;
  scaleAxis?: 'rows' | 'cols';
  projections?: readonly Columns[];
}

/** Packs a view into memory of its own, `slack` bytes behind each row. */
function pack(source: MatrixView, dtype: WeightType, options: Options = {}): WeightMatrix {
  const { rows, cols } = source;
  const { slack = 0, firstByte = 0, groupRows = rows, scaleAxis = 'cols' } = options;
  const needed = weightRowBytes(dtype, cols);
  const rowBytes = firstByte + Math.ceil(needed / 4) * 4 + slack;
  const bytes = new Uint8Array(rows * rowBytes).fill(UNTOUCHED);
  const data = bytes.subarray(firstByte, (rows - 1) * rowBytes + firstByte + needed);
  const scales = new Float32Array(scaleAxis === 'rows' ? rows : Math.ceil(rows / groupRows) * cols);
  const scaled = dtype === 'int8' || dtype === 'ternary';
  const w: WeightMatrix = {
    ...{ dtype, rows, cols, rowBytes, scaleAxis, groupRows },
    data: { dtype: 'u8', shape: [data.length], data, address: 0 },
    scale: scaled ? { dtype: 'f32', shape: [scales.length], data: scales, address: 0 } : null,
  };
  packMatrix(source, w, { name: 'w', ...(options.projections && { projections: options.projections }) });
  const isGap = (i: number) => i % rowBytes < firstByte || i % rowBytes >= firstByte + needed;
  expect(bytes.every((byte, i) => !isGap(i) || byte === UNTOUCHED)).toBe(true);
  return w;
}

const element = ({ data, first, rowStep, colStep }: MatrixView, row: number, col: number) =>
  data[first + row * rowStep + col * colStep];

/** Every element of `view` in a list, by rows, with its place. */
function elements(view: MatrixView): { row: number; col: number; value: number }[] {
  return Array.from({ length: view.rows * view.cols }, (_, i) => {
    const [row, col] = [Math.floor(i / view.cols), i % view.cols];
    return { row, col, value: element(view, row, col) };
  });
}

/** The elements of `view` for which something does not hold. */
function wrong(view: MatrixView, holds: (row: number, col: number, value: number) => boolean) {
  return elements(view).filter(({ row, col, value }) => !holds(row, col, value));
}

function normals(count: number, seed: number, std = 0.02): Float32Array {
  const prng = new Prng(seed);
  return Float32Array.from({ length: count }, () => std * prng.normal());
}

const near = (x: number) => {
  const [low, high] = [Math.floor(x), Math.ceil(x)];
  if (x - low !== high - x) return x - low < high - x ? low : high;
  return low % 2 === 0 ? low : high;
};
const clamp = (x: number, limit: number) => Math.max(-limit, Math.min(limit, x));

/** A shape, its numbers, and how they are looked at: straight, some columns, transposed. */
const views = fc
  .record({
    rows: fc.integer({ min: 1, max: 12 }),
    cols: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 100, max: 300 })),
    seed: fc.nat(),
    cut: fc.boolean(),
    transpose: fc.boolean(),
  })
  .map(({ rows, cols, seed, cut, transpose }) => {
    const wide = cut ? cols + 7 : cols;
    const view = viewColumns(matrixView(normals(rows * wide, seed), rows, wide), cut ? 5 : 0, cols);
    return transpose ? transposedView(view) : view;
  });
const layout = fc.record({ slack: fc.constantFrom(0, 4, 64), firstByte: fc.constantFrom(0, 64) });

describe('packMatrix over random shapes', () => {
  it('f32 keeps every bit', () => {
    fc.assert(
      fc.property(views, layout, (view, options) => {
        const stored = storedWeights(pack(view, 'f32', options));
        expect(wrong(view, (row, col, value) => Object.is(stored(row, col), value))).toEqual([]);
      }),
      { numRuns: 20 },
    );
  });

  it('bf16 is the nearest one', () => {
    fc.assert(
      fc.property(views, layout, (view, options) => {
        const stored = storedWeights(pack(view, 'bf16', options));
        expect(wrong(view, (row, col, value) => stored(row, col) === roundToBf16(value))).toEqual([]);
      }),
      { numRuns: 20 },
    );
  });

  it('int8 has a scale per column and group, or per row, and errs by half a step at most', () => {
    const groups = fc.record({ slack: fc.constantFrom(0, 64), groupRows: fc.integer({ min: 1, max: 12 }) });
    fc.assert(
      fc.property(views, groups, fc.constantFrom('rows' as const, 'cols' as const), (view, options, scaleAxis) => {
        const groupRows = scaleAxis === 'rows' ? view.rows : Math.min(options.groupRows, view.rows);
        const w = pack(view, 'int8', { ...options, groupRows, scaleAxis });
        const stored = storedWeights(w);
        const key = (row: number, col: number) =>
          scaleAxis === 'rows' ? `${row}` : `${Math.floor(row / groupRows)} ${col}`;
        const largest = new Map<string, number>();
        for (const { row, col, value } of elements(view)) {
          largest.set(key(row, col), Math.max(largest.get(key(row, col)) ?? 0, Math.abs(value)));
        }
        const isRight = (row: number, col: number, value: number) => {
          const scale = Math.fround(largest.get(key(row, col))! / 127);
          const code = scale === 0 ? 0 : near(clamp(value / scale, 127)) + 0;
          const error = Math.abs(stored(row, col) * scale - value);
          return weightScaleAt(w, row, col) === scale && stored(row, col) === code && error <= scale * 0.50001;
        };
        expect(wrong(view, isRight)).toEqual([]);
      }),
      { numRuns: 30 },
    );
  });

  it('ternary is BitNet, projection by projection', () => {
    fc.assert(
      fc.property(views, layout, fc.double({ min: 0, max: 1, noNaN: true }), (view, options, share) => {
        const split = Math.floor(share * view.cols);
        const projections = [
          { first: 0, count: split },
          { first: split, count: view.cols - split },
        ].filter(({ count }) => count > 0);
        const w = pack(view, 'ternary', { ...options, projections });
        const stored = storedWeights(w);
        for (const { first, count } of projections) {
          const inside = elements(view).filter(({ col }) => col >= first && col < first + count);
          const mean = inside.reduce((sum, { value }) => sum + Math.abs(value), 0) / inside.length;
          const isRight = ({ row, col, value }: (typeof inside)[number]) => {
            const alpha = weightScaleAt(w, row, col);
            // A projection of one number is ternary already.
            const code = inside.length === 1 ? Math.sign(value) : clamp(near(value / (alpha + 1e-5)), 1);
            return Math.abs(alpha - mean) < 1e-7 * mean && stored(row, col) === code + 0;
          };
          expect(inside.filter((one) => !isRight(one))).toEqual([]);
        }
      }),
      { numRuns: 20 },
    );
  });

  it('unpackRow is what is stored, times the scale', () => {
    const types = fc.constantFrom<WeightType>('f32', 'bf16', 'int8', 'ternary');
    fc.assert(
      fc.property(views, layout, types, fc.integer({ min: 1, max: 12 }), (view, options, dtype, group) => {
        const groupRows = dtype === 'int8' ? Math.min(group, view.rows) : view.rows;
        const w = pack(view, dtype, { ...options, groupRows });
        const stored = storedWeights(w);
        const row = new Float32Array(view.cols);
        for (let r = 0; r < view.rows; r++) {
          unpackRow(w, r, row);
          const expected = row.map((_, col) => stored(r, col) * weightScaleAt(w, r, col));
          expect(Buffer.compare(new Uint8Array(row.buffer), new Uint8Array(expected.buffer))).toBe(0);
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('packMatrix on single numbers', () => {
  const row = (...numbers: number[]) => matrixView(Float32Array.from(numbers), 1, numbers.length);

  it('rounds bf16 ties to even, keeps NaN, infinities, signed zeros and subnormals', () => {
    const numbers = [
      1 + 2 ** -8,
      1 + 3 * 2 ** -8,
      -(1 + 2 ** -8),
      3.4e38,
      Infinity,
      -Infinity,
      -0,
      2 ** -149,
      2 ** -133,
    ];
    const stored = storedWeights(pack(row(...numbers), 'bf16'));
    const expected = [1, 1 + 2 ** -6, -1, Infinity, Infinity, -Infinity, -0, 0, 2 ** -133];
    for (const [col, value] of expected.entries()) expect(Object.is(stored(0, col), value), `${value}`).toBe(true);
    const nan = new Float32Array(new Uint32Array([0x7f800001, 0xffffffff]).buffer);
    const w = storedWeights(pack(matrixView(nan, 1, 2), 'bf16'));
    expect([w(0, 0), w(0, 1)]).toEqual([Number.NaN, Number.NaN]);
  });

  it('rounds int8 ties to even, and stores a column of zeros as zeros', () => {
    const column = matrixView(Float32Array.from([127, 0.5, 1.5, -2.5, 3.5, -127]), 6, 1);
    const stored = storedWeights(pack(column, 'int8'));
    expect(Array.from({ length: 6 }, (_, r) => stored(r, 0))).toEqual([127, 0, 2, -2, 4, -127]);
    const zeros = pack(row(0, -0), 'int8');
    expect([...zeros.scale!.data, storedWeights(zeros)(0, 0)]).toEqual([0, 0, 0]);
  });

  it('never leaves -127 .. 127, however small the weights', () => {
    for (const size of [2 ** -149, 3 * 2 ** -149, 200 * 2 ** -149, 1e-40, 1e-30]) {
      const stored = storedWeights(pack(matrixView(Float32Array.of(size, -size), 2, 1), 'int8'));
      expect(Math.abs(stored(0, 0))).toBeLessThanOrEqual(127);
      expect(stored(1, 0) + 0).toBe(-stored(0, 0) + 0);
    }
  });

  it.each(['int8', 'ternary'] as const)('refuses to store NaN or infinity as %s and says where', (dtype) => {
    const numbers = [1, 2, 3, 4, Number.NaN, -Infinity];
    const packing = () => pack(matrixView(Float32Array.from(numbers), 2, 3), dtype);
    expect(packing).toThrow(FormatError);
    expect(packing).toThrow(new RegExp(`w: row 1, column 1 is NaN: ${dtype} weights must be finite`));
  });

  it.each([0.5, 1e-6, 3, 2 ** -140])('loses nothing of a projection that is ternary already, of size %d', (size) => {
    const prng = new Prng(5);
    const numbers = Float32Array.from({ length: 33 * 150 }, () => size * (prng.below(3) - 1));
    const view = matrixView(numbers, 33, 150);
    const w = pack(view, 'ternary');
    const out = new Float32Array(150);
    for (let r = 0; r < 33; r++) {
      unpackRow(w, r, out);
      expect(out.map((x) => x + 0)).toEqual(numbers.slice(r * 150, (r + 1) * 150).map((x) => x + 0));
    }
  });

  it('fills the last chunk of a ternary row with weights of 0', () => {
    const w = pack(row(...Array.from({ length: 130 }, () => 1)), 'ternary');
    // Columns 128 and 129 are bytes 0 and 1 of the second chunk: code 2 in the low bits, code 1 (a weight of 0) above.
    expect([...w.data.data.subarray(32, 36)]).toEqual([0b01010110, 0b01010110, 0b01010101, 0b01010101]);
    expect(w.data.data[0]).toBe(0b10101010);
  });
});

describe.skipIf(!existsSync(golden))(
  `golden ternary codes${existsSync(golden) ? '' : ` (${golden} is missing)`}`,
  () => {
    const cases = existsSync(golden)
      ? (JSON.parse(readFileSync(golden, 'utf8')).ternary as {
          shape: [number, number];
          w: number[];
          alpha: number;
          codes: number[];
        }[])
      : [];
    it.each(cases)('of PyTorch, alpha $alpha', ({ shape: [rows, cols], w: numbers, alpha, codes }) => {
      const w = pack(matrixView(Float32Array.from(numbers), rows, cols), 'ternary');
      const stored = storedWeights(w);
      expect(weightScaleAt(w, 0, 0)).toBeCloseTo(alpha, 6);
      expect(
        elements(matrixView(Float32Array.from(codes), rows, cols)).map(({ row, col }) => stored(row, col) + 0),
      ).toEqual(codes);
    });
  },
);
