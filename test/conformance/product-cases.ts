/** Cases of the products: sizes over every tile border, transpositions, accumulation, special values, sparse extremes. */

import type { Kernels } from '../../src/backend.ts';
import type { Case } from './case.ts';
import { DENORMALS, f32, rowsSpec, Values } from './values.ts';

const SIZES_M = [1, 7, 33, 130];
const SIZES_N = [1, 3, 31, 97, 200];
const SIZES_K = [1, 5, 64, 129, 300];

export function productCases(): Case[] {
  const cases = allInF32();
  const inBf16 = [...cases, ...bf16Specials()].filter(({ kernel }) => kernel === 'matmul' || kernel === 'sparseMatmul');
  return [...cases, ...inBf16.map(asBf16)];
}

/**
 * The same case with products in bf16. The reference rounds the operands alike, so what is compared is the sum alone, in the
 * bounds of f32: 1e-5 is a hundredth of what one operand that is rounded otherwise changes.
 */
function asBf16(testCase: Case): Case {
  const call: Case['call'] = (kernels, t) => {
    const precise: Kernels = {
      ...kernels,
      matmul: (a, b, out, options) => kernels.matmul(a, b, out, { ...options, precision: 'bf16' }),
      sparseMatmul: (a, b, out, options) => kernels.sparseMatmul(a, b, out, { ...options, precision: 'bf16' }),
    };
    testCase.call(precise, t);
  };
  return { ...testCase, name: `bf16 ${testCase.name}`, call };
}

function allInF32(): Case[] {
  return [
    ...borderCases(),
    ...[1, 7, 33].flatMap((m) => [3, 31, 97].flatMap((n) => [5, 64, 129].flatMap((k) => storageCases(m, n, k)))),
    ...matmulSpecials(),
    ...sparseSpecials(),
    ...largeCases(),
    ...columnCases(),
    ...blockCases(),
    ...sampledCases(),
  ];
}

/** A range of the columns of b and out: what lies beside it in out must stay. */
function columnCases(): Case[] {
  const ranges = [
    [1, 40, 0, 1],
    [7, 97, 96, 1],
    [33, 200, 31, 70],
    [33, 64, 0, 64],
    [70, 264, 128, 136],
    [3, 300, 7, 290],
  ] as const;
  return ranges.flatMap(([m, wide, first, count]) =>
    [false, true].flatMap((accumulate): Case[] => {
      const k = 65;
      const name = `columns ${first} .. ${first + count} of ${wide}, ${m} rows${accumulate ? ' accumulate' : ''}`;
      const options = { columns: { first, count }, accumulate };
      const tensors = () => ({
        b: f32([k, wide], new Values(`b ${name}`).normals(k * wide)),
        out: f32([m, wide], new Values(`out ${name}`).normals(m * wide)),
      });
      return [
        {
          kernel: 'matmul',
          name,
          tensors: () => ({ a: f32([m, k], new Values(name).normals(m * k)), ...tensors() }),
          call: (kernels, t) => kernels.matmul(t.float('a'), t.float('b'), t.float('out'), options),
          outputs: { out: { magnitude: Math.sqrt(k) } },
        },
        {
          kernel: 'sparseMatmul',
          name,
          tensors: () => ({ ...rowsSpec('a', new Values(name).sparse(m * k, 0.6), m, k), ...tensors() }),
          call: (kernels, t) => kernels.sparseMatmul(t.rows('a', m, k), t.float('b'), t.float('out'), options),
          outputs: { out: { magnitude: Math.sqrt(k) } },
        },
      ];
    }),
  );
}

/** Lists that come out even in blocks: tiles of whole blocks, blocks taller than a tile, a last tile that is shorter, columns at the edge. */
function blockCases(): Case[] {
  const shapes = [
    [1, 5, 1, 2, 1],
    [7, 64, 3, 32, 16],
    [33, 97, 10, 32, 16],
    [70, 264, 7, 16, 3],
    [33, 200, 40, 32, 1],
    [5, 40, 3, 256, 100],
    [257, 130, 5, 48, 47],
  ] as const;
  return shapes.flatMap(([m, n, blocks, size, kept]) =>
    [false, true].map((transposeB): Case => {
      const k = blocks * size;
      const name = `[${m}, ${k}] in blocks, ${kept} of ${size}, [${k}, ${n}]${transposeB ? ' transposed' : ''}`;
      const columns = { first: Math.min(3, n - 1), count: n - Math.min(3, n - 1) };
      const options = transposeB ? { transposeB } : { columns, accumulate: true };
      return {
        kernel: 'sparseMatmul',
        name,
        tensors() {
          const values = new Values(name);
          // The same places in all blocks of a row, others in each row; `kept` of them.
          const isKept = (r: number, c: number) => ((((c % size) + 7 * r) % size) * kept) % size < kept;
          const dense = values.normals(m * k).map((x, i) => (isKept(Math.floor(i / k), i % k) ? x || 1 : 0));
          const a = rowsSpec('a', dense, m, k);
          const place = Array.from(a['a.index'].values!, (c) => c % size);
          return {
            ...a,
            place: { dtype: 'u8', shape: [place.length], values: place },
            b: f32(transposeB ? [n, k] : [k, n], values.normals(k * n)),
            out: f32([m, n], values.normals(m * n)),
          };
        },
        call(kernels, t) {
          const list = { ...t.rows('a', m, k), blocks: { size, kept, place: t.u8('place') } };
          kernels.sparseMatmul(list, t.float('b'), t.float('out'), options);
        },
        outputs: { out: { magnitude: Math.sqrt(k) } },
      };
    }),
  );
}

/** Elements of a product: few and many in a row, tiles of b that end inside a row's list, rows without any. */
function sampledCases(): Case[] {
  const shapes = [
    [1, 1, 1, 0],
    [1, 1, 1, 1],
    [3, 5, 7, 0.5],
    [7, 33, 64, 0.9],
    [33, 97, 129, 0.3],
    [33, 97, 16, 0],
    [5, 700, 513, 0.8],
    [130, 300, 300, 0.95],
    [1030, 40, 9, 0.7],
  ] as const;
  const cases = shapes.map(([m, n, k, zeros]) => {
    const name = `${zeros * 100} % of [${m}, ${k}] [${n}, ${k}]^T left out`;
    return sampledCase(name, m, n, k, () => new Values(name).sparse(m * n, zeros));
  });
  const ragged = () => new Values('ragged').normals(20 * 90).map((x, i) => (i % 90 < ((i / 90) | 0) ** 2 / 4 ? x : 0));
  return [...cases, sampledCase('ragged', 20, 90, 50, ragged)];
}

function sampledCase(name: string, m: number, n: number, k: number, positions: () => Float32Array): Case {
  return {
    kernel: 'sampledMatmul',
    name,
    tensors() {
      const at = rowsSpec('at', positions(), m, n);
      const count = at['at.value'].shape[0];
      return {
        ...at,
        a: f32([m, k], new Values(`a ${name}`).normals(m * k)),
        b: f32([n, k], new Values(`b ${name}`).normals(n * k)),
        out: f32([count], null),
      };
    },
    call: (kernels, t) => kernels.sampledMatmul(t.float('a'), t.float('b'), t.rows('at', m, n), t.float('out')),
    outputs: { out: { magnitude: Math.sqrt(k) } },
  };
}

/** Over the blocks of caches and cursors, not only of registers: long sums, wide rows, many rows. */
function largeCases(): Case[] {
  return [
    matmulCase(257, 130, 513, false, false, false),
    matmulCase(98, 700, 260, false, false, false),
    matmulCase(98, 700, 260, true, true, true),
    sparseCase(257, 130, 513, 0.6, false, false),
    sparseCase(257, 130, 513, 0.6, true, true),
    sparseCase(8300, 5, 9, 0.6, false, true),
    sparseCase(3, 130, 5000, 0.9, false, false),
    sparseCase(3, 130, 5000, 0.4, true, false),
  ];
}

/** Every size with every other; the storages and accumulation take turns, so that each meets each border. */
function borderCases(): Case[] {
  const shapes = SIZES_M.flatMap((m) => SIZES_N.flatMap((n) => SIZES_K.map((k) => [m, n, k] as const)));
  return shapes.flatMap(([m, n, k], i) => {
    // 5 sizes of k run fastest: 8 variants in turn fall on each size of each extent.
    const [transposeA, transposeB, accumulate] = [(i & 1) !== 0, (i & 2) !== 0, (i & 4) !== 0];
    return [
      matmulCase(m, n, k, transposeA, transposeB, accumulate),
      sparseCase(m, n, k, [0.3, 0.6, 0.9][i % 3], transposeB, transposeA),
    ];
  });
}

/** One small shape in all storages, with and without accumulation. */
function storageCases(m: number, n: number, k: number): Case[] {
  const flags = [false, true];
  return flags.flatMap((accumulate) =>
    flags.flatMap((transposeB) => [
      matmulCase(m, n, k, false, transposeB, accumulate),
      matmulCase(m, n, k, true, transposeB, accumulate),
      sparseCase(m, n, k, 0.5, transposeB, accumulate),
    ]),
  );
}

function matmulCase(
  m: number,
  n: number,
  k: number,
  transposeA: boolean,
  transposeB: boolean,
  accumulate: boolean,
): Case {
  const name = `[${m}, ${k}]${transposeA ? '^T' : ''} [${k}, ${n}]${transposeB ? '^T' : ''}${accumulate ? ' accumulate' : ''}`;
  return {
    kernel: 'matmul',
    name,
    tensors() {
      const values = new Values(name);
      return {
        a: f32(transposeA ? [k, m] : [m, k], values.normals(m * k)),
        b: f32(transposeB ? [n, k] : [k, n], values.normals(k * n)),
        out: f32([m, n], accumulate ? values.normals(m * n) : null),
      };
    },
    call: (kernels, t) =>
      kernels.matmul(t.float('a'), t.float('b'), t.float('out'), { transposeA, transposeB, accumulate }),
    outputs: { out: { magnitude: Math.sqrt(k) } },
  };
}

function sparseCase(m: number, n: number, k: number, zeros: number, transposeB: boolean, accumulate: boolean): Case {
  const name = `${zeros * 100} % zeros [${m}, ${k}] [${k}, ${n}]${transposeB ? '^T' : ''}${accumulate ? ' accumulate' : ''}`;
  return sparseCaseOf(name, m, n, k, (values) => values.sparse(m * k, zeros), transposeB, accumulate);
}

function sparseCaseOf(
  name: string,
  m: number,
  n: number,
  k: number,
  dense: (values: Values) => Float32Array,
  transposeB = false,
  accumulate = false,
): Case {
  return {
    kernel: 'sparseMatmul',
    name,
    tensors() {
      const values = new Values(name);
      return {
        ...rowsSpec('a', dense(values), m, k),
        b: f32(transposeB ? [n, k] : [k, n], values.normals(k * n)),
        out: f32([m, n], accumulate ? values.normals(m * n) : null),
      };
    },
    call: (kernels, t) =>
      kernels.sparseMatmul(t.rows('a', m, k), t.float('b'), t.float('out'), { transposeB, accumulate }),
    outputs: { out: { magnitude: Math.sqrt(k) } },
  };
}

/** NaN and infinities stay in their row of a and their column of b: padding of tiles must not spread them. */
function matmulSpecials(): Case[] {
  const [m, n, k] = [9, 35, 17];
  const special = (name: string, poison: (a: Float32Array, b: Float32Array) => void): Case => ({
    ...matmulCase(m, n, k, false, false, false),
    name,
    tensors() {
      const values = new Values(name);
      const [a, b] = [values.normals(m * k), values.normals(k * n)];
      poison(a, b);
      return { a: f32([m, k], a), b: f32([k, n], b), out: f32([m, n], null) };
    },
  });
  return [
    special('NaN in one row of a', (a) => a.set([Number.NaN], 3 * k + 2)),
    special('infinity in one row of a', (a) => a.set([Number.POSITIVE_INFINITY], 8 * k + 16)),
    special('NaN in one column of b', (_, b) => b.set([Number.NaN], 16 * n + 34)),
    special('zeros', (a) => a.fill(0)),
    special('denormals', (a) => a.fill(DENORMALS[1])),
    special('large', (a) => a.fill(1e37, 0, k)),
  ];
}

function sparseSpecials(): Case[] {
  const [m, n, k] = [13, 67, 70];
  const rowEmpty = (row: number) => row % 3 === 0;
  const dropRows = (x: Float32Array) => x.map((value, i) => (rowEmpty(Math.floor(i / k)) ? 0 : value));
  const cases: Case[] = [];
  for (const transposeB of [false, true]) {
    const add = (name: string, dense: (values: Values) => Float32Array, accumulate = false) => {
      cases.push(sparseCaseOf(transposeB ? `${name}, b^T` : name, m, n, k, dense, transposeB, accumulate));
    };
    add('empty rows', (v) => dropRows(v.normals(m * k)));
    add('empty rows accumulate', (v) => dropRows(v.normals(m * k)), true);
    add('all rows empty', () => new Float32Array(m * k));
    add('all rows empty accumulate', () => new Float32Array(m * k), true);
    add('100 % dense', (v) => v.normals(m * k));
    add('one element per row', (v) => v.normals(m * k).map((x, i) => (i % k === (i / k) % 7 ? x : 0)));
    add('only the last column', (v) => v.normals(m * k).map((x, i) => (i % k === k - 1 ? x : 0)));
    add('one long row, others empty', (v) => v.normals(m * k).map((x, i) => (i < k ? x : 0)));
    add('NaN in one row', (v) => v.sparse(m * k, 0.5).map((x, i) => (i === 5 * k + 3 ? Number.NaN : x)));
    add('infinity in one row', (v) =>
      v.sparse(m * k, 0.5).map((x, i) => (i === 5 * k + 3 ? Number.POSITIVE_INFINITY : x)),
    );
    add('denormals', (v) => v.sparse(m * k, 0.5).map((x) => (x === 0 ? 0 : DENORMALS[1])));
  }
  // A weight of infinity under a zero must not be read at all: 0 * infinity would be NaN.
  cases.push({
    ...sparseCaseOf('infinite weights under zeros', m, n, k, (v) => v.normals(m * k)),
    tensors() {
      const values = new Values('infinite weights under zeros');
      const even = values.normals(m * k).map((x, i) => ((i % k) % 2 === 0 ? x : 0));
      const weights = values.normals(k * n).map((x, i) => (Math.floor(i / n) % 2 === 0 ? x : Number.POSITIVE_INFINITY));
      return { ...rowsSpec('a', even, m, k), b: f32([k, n], weights), out: f32([m, n], null) };
    },
  });
  return cases;
}

/** Halves of the last bit of a bf16, and their neighbours: a rounding other than to even is off by 2^-8. */
const TIES = [1 + 2 ** -8, 1 + 3 * 2 ** -8, -1 - 2 ** -8, 1 + 2 ** -8 + 2 ** -23, 1 + 3 * 2 ** -8 - 2 ** -23];

/** NaN with nothing, or with too much, in the bits that a bf16 has not: rounded like numbers they become infinite or -0. */
const NAN_BITS = [0x7f800001, 0xffffffff] as const;

/** What only rounding can get wrong; run in bf16 only. */
function bf16Specials(): Case[] {
  const [m, n, k] = [13, 67, 70];
  const dense = (name: string, change: (a: Float32Array, b: Float32Array) => void): Case[] =>
    [false, true].map((transposed) => ({
      ...matmulCase(m, n, k, transposed, transposed, false),
      name: transposed ? `${name}, both ^T` : name,
      tensors() {
        const values = new Values(name);
        const [a, b] = [values.normals(m * k), values.normals(k * n)];
        change(a, b);
        return {
          a: f32(transposed ? [k, m] : [m, k], a),
          b: f32(transposed ? [n, k] : [k, n], b),
          out: f32([m, n], null),
        };
      },
    }));
  // The list is changed as bits: a NaN that passes through a number loses its own.
  const sparse = (name: string, change: (a: Float32Array, b: Float32Array) => void): Case[] =>
    [false, true].map((transposeB) => ({
      ...sparseCaseOf(name, m, n, k, (v) => v.normals(m * k), transposeB),
      name: transposeB ? `${name}, b^T` : name,
      tensors() {
        const values = new Values(name);
        const rows = rowsSpec('a', values.sparse(m * k, 0.5), m, k);
        const [a, b] = [Float32Array.from(rows['a.value'].values ?? []), values.normals(k * n)];
        change(a, b);
        return {
          ...rows,
          'a.value': f32([a.length], a),
          b: f32(transposeB ? [n, k] : [k, n], b),
          out: f32([m, n], null),
        };
      },
    }));
  return [dense, sparse].flatMap((cases) => [
    ...cases('ties in a', (a) => a.set(a.map((_, i) => TIES[i % TIES.length]))),
    ...cases('ties in b', (_, b) => b.set(b.map((_x, i) => TIES[i % TIES.length]))),
    ...NAN_BITS.flatMap((bits) => [
      ...cases(`NaN ${bits.toString(16)} in a`, (a) => new Uint32Array(a.buffer).set([bits], 40)),
      ...cases(`NaN ${bits.toString(16)} in b`, (_, b) => new Uint32Array(b.buffer).set([bits], 40)),
    ]),
    // As the odd last one of a list, or of the inner extent: what it is paired with must not meet it.
    ...cases('an infinity at the end of b', (_, b) => b.set([Number.POSITIVE_INFINITY], b.length - 1)),
    ...cases('the largest f32, infinite in bf16', (a) => a.set([3.4028234663852886e38], 40)),
    ...cases('subnormals', (a, b) => void [a.fill(2 ** -130), b.fill(2 ** -130)]),
  ]);
}
