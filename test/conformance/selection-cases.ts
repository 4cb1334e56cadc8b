/** Cases of the selection and of the lists of non-zeros: all that is an index must be equal, ties and NaN included. */

import type { Case, TensorSpec } from './case.ts';
import { emptyRowsSpec, f32, i32, rowsSpec, SPECIAL_ROWS, specialRow, Values } from './values.ts';
import { quantizedOf } from './weight-cases.ts';

export function selectionCases(): Case[] {
  return [...selectCases(), ...inputCases(), ...blockCases(), ...listCases(), ...rescaleCases()];
}

function selectCase(
  label: string,
  N: number,
  D: number,
  kept: number,
  contents: (values: Values) => Float32Array,
): Case {
  const name = `${label} [${N}, ${D}], ${kept} kept`;
  return {
    kernel: 'selectTopK',
    name,
    tensors: () => ({ x: f32([N, D], contents(new Values(name))), ...emptyRowsSpec('out', N, N * kept) }),
    call: (kernels, t) => kernels.selectTopK(t.float('x'), kept, t.rows('out', N, D)),
    outputs: { 'out.start': 'equal', 'out.index': 'equal', 'out.value': 'equal' },
  };
}

function selectCases(): Case[] {
  const cases: Case[] = [];
  for (const D of [1, 2, 3, 7, 8, 15, 16, 17, 31, 64, 97, 160, 255, 513]) {
    for (const kept of new Set([1, Math.ceil(D * 0.4), Math.floor(D / 2) || 1, D - 1 || 1, D])) {
      cases.push(selectCase('normal', 5, D, kept, (values) => values.normals(5 * D)));
    }
  }
  for (const kind of SPECIAL_ROWS) {
    for (const D of [1, 5, 16, 67, 256]) {
      for (const kept of new Set([1, Math.ceil(D / 3), D])) {
        cases.push(
          selectCase(kind, 3, D, kept, (values) => {
            const rows = [0, 1, 2].map(() => specialRow(kind, values, D));
            return Float32Array.from(rows.flatMap((row) => [...row]));
          }),
        );
      }
    }
  }
  const spread = (values: Values) => values.normals(70 * 1408).map((x) => x * x * x);
  cases.push(selectCase('large', 70, 1408, 564, spread));
  cases.push(selectCase('long rows', 2, 4099, 1640, (values) => values.normals(2 * 4099)));
  cases.push(selectCase('sorted', 2, 512, 205, () => Float32Array.from({ length: 1024 }, (_, i) => i - 512)));
  // As an integer the largest magnitude there is: a bound above it does not fit 32 bits.
  const allBits = () => new Float32Array(Int32Array.from({ length: 80 }, (_, i) => (i % 3 ? 0x7fffffff : i)).buffer);
  cases.push(selectCase('NaN of all bits', 2, 40, 20, allBits), selectCase('NaN of all bits', 2, 40, 35, allBits));
  return cases;
}

/** Magnitudes of the normed row that lie apart by more than any rounding: each 1 % above the next, in some order. */
function inputCases(): Case[] {
  return [
    { N: 1, D: 1, kept: 1 },
    { N: 3, D: 37, kept: 15 },
    { N: 40, D: 300, kept: 120 },
  ].flatMap(({ N, D, kept }) => {
    const weight = Float32Array.from({ length: D }, (_, i) => 2 ** ((i % 5) - 2));
    const contents = (values: Values) =>
      Float32Array.from({ length: N * D }, (_, i) => {
        const rank = ((i % D) * 7 + Math.floor(i / D)) % D; // 7 and D have no divisor in common
        return ((values.uniform() < 0.5 ? -1 : 1) * 1.01 ** (rank % 300)) / weight[i % D];
      });
    return [false, true].map((hasNorm): Case => {
      const name = `[${N}, ${D}], ${kept} kept${hasNorm ? ', normed' : ', in 8 bits'}`;
      const bytes = {
        'bytes.value': { dtype: 'i8', shape: [N * kept], values: null } as const,
        'bytes.scale': f32([N], null),
      };
      return {
        kernel: 'selectInput',
        name,
        tensors: () => ({
          x: f32([N, D], contents(new Values(name))),
          ...emptyRowsSpec('out', N, N * kept),
          ...(hasNorm ? { weight: f32([D], weight) } : bytes),
        }),
        call: (kernels, t) => {
          const out = t.rows('out', N, D);
          const norm = hasNorm ? { weight: t.f32('weight'), eps: 1e-5 } : null;
          kernels.selectInput(t.f32('x'), norm, kept, out, hasNorm ? null : quantizedOf(t, 'bytes', N, D, out));
        },
        outputs: {
          'out.start': 'equal',
          'out.index': 'equal',
          'out.value': hasNorm ? { magnitude: 1 } : 'equal',
          ...(!hasNorm && { 'bytes.value': 'equal', 'bytes.scale': 'equal' }),
        },
      };
    });
  });
}

function blockCase(
  label: string,
  N: number,
  blocks: number,
  blockSize: number,
  kept: number,
  contents: (values: Values) => Float32Array,
): Case {
  const D = blocks * blockSize;
  const name = `${label} [${N}, ${D}], ${kept} of ${blockSize} kept`;
  return {
    kernel: 'selectBlockTopK',
    name,
    tensors: () => ({
      x: f32([N, D], contents(new Values(name))),
      ...emptyRowsSpec('out', N, N * blocks * kept),
      place: { dtype: 'u8', shape: [N * blocks * kept], values: null },
    }),
    call(kernels, t) {
      const places = { size: blockSize, kept, place: t.u8('place') };
      kernels.selectBlockTopK(t.float('x'), { ...t.rows('out', N, D), blocks: places });
    },
    outputs: { 'out.start': 'equal', 'out.index': 'equal', 'out.value': 'equal', place: 'equal' },
  };
}

/** Sizes on both sides of a register, and of what is ranked and what is searched. */
function blockCases(): Case[] {
  const cases: Case[] = [];
  for (const blockSize of [2, 4, 5, 8, 16, 31, 32, 48, 64, 65, 96, 256]) {
    for (const kept of new Set([1, blockSize >> 1, blockSize - 1, blockSize])) {
      cases.push(blockCase('normal', 5, 3, blockSize, kept, (values) => values.normals(5 * 3 * blockSize)));
    }
  }
  for (const kind of SPECIAL_ROWS) {
    for (const blockSize of [5, 32]) {
      cases.push(blockCase(kind, 4, 2, blockSize, 3, (values) => specialRow(kind, values, 4 * 2 * blockSize)));
    }
  }
  cases.push(blockCase('large', 130, 44, 32, 16, (values) => values.normals(130 * 44 * 32)));
  return cases;
}

/** Matrices for the list kernels: [rows, cols, contents]. */
const MATRICES: readonly (readonly [string, number, number, (values: Values, size: number) => Float32Array])[] = [
  ['one zero', 1, 1, () => new Float32Array(1)],
  ['one element', 1, 1, () => Float32Array.of(-2)],
  ['all zeros', 5, 19, () => new Float32Array(5 * 19)],
  ['zeros of both signs', 6, 33, (values) => specialRow('zeros of both signs', values, 6 * 33)],
  ['denormals', 6, 33, (values) => specialRow('denormals', values, 6 * 33)],
  ['NaN', 6, 33, (values) => specialRow('NaN', values, 6 * 33)],
  ['infinities', 6, 33, (values) => specialRow('infinities', values, 6 * 33)],
  ['dense', 7, 40, (values, size) => values.normals(size)],
  ['60 % zeros', 33, 67, (values, size) => values.sparse(size, 0.6)],
  ['99 % zeros', 33, 67, (values, size) => values.sparse(size, 0.99)],
  ['one row', 1, 130, (values, size) => values.sparse(size, 0.5)],
  ['one column', 130, 1, (values, size) => values.sparse(size, 0.5)],
  [
    'ragged',
    20,
    50,
    (values, size) => values.normals(size).map((x, i) => (i % 50 < Math.floor(i / 50) ** 2 / 8 ? x : 0)),
  ],
  ['large', 257, 600, (values, size) => values.sparse(size, 0.7)],
];

function listCases(): Case[] {
  const wide = transposeCase('more columns than the scratch of a thread holds [2, 300007]', 2, 300_007, () =>
    new Values('wide').sparse(2 * 300_007, 0.99),
  );
  const cases = MATRICES.flatMap(([label, rows, cols, contents]) => {
    const name = `${label} [${rows}, ${cols}]`;
    const dense = () => contents(new Values(name), rows * cols);
    return [
      ...gatherCases(name, rows, cols, dense),
      scatterCase(name, rows, cols, dense),
      // Magnitudes of the contents are among them: what is equal to the threshold stays.
      ...[2 ** -149, 0.5, 2, 1e30].flatMap((threshold) => gatherCases(name, rows, cols, dense, threshold)),
      ...positiveCases(name, rows, cols, dense),
      transposeCase(name, rows, cols, dense),
      ...maskCases(name, rows, cols, dense),
      gatherAtCase(name, rows, cols, dense),
    ];
  });
  return [...cases, wide];
}

/** Those of the lists of what is not 0, or of what reaches a threshold. */
function gatherCases(
  label: string,
  rows: number,
  cols: number,
  dense: () => Float32Array,
  threshold: number | undefined = undefined,
): Case[] {
  const name = threshold === undefined ? label : `${label} from ${threshold} on`;
  const cut = () => dense().map((x) => (Math.abs(x) < (threshold ?? 0) ? 0 : x));
  return [
    {
      kernel: 'countNonZeros',
      name,
      tensors: () => ({ x: f32([rows, cols], dense()), start: i32([rows + 1], null) }),
      call: (kernels, t) => kernels.countNonZeros(t.float('x'), t.int('start'), threshold),
      outputs: { start: 'equal' },
    },
    {
      kernel: 'gatherNonZeros',
      name,
      tensors() {
        const lists = rowsSpec('out', cut(), rows, cols);
        const capacity = lists['out.index'].shape[0];
        return {
          x: f32([rows, cols], dense()),
          ...emptyRowsSpec('out', rows, capacity),
          'out.start': lists['out.start'],
        };
      },
      call: (kernels, t) => kernels.gatherNonZeros(t.float('x'), t.rows('out', rows, cols), threshold),
      outputs: { 'out.index': 'equal', 'out.value': 'equal' },
    },
  ];
}

function scatterCase(name: string, rows: number, cols: number, dense: () => Float32Array): Case {
  return {
    kernel: 'scatterRows',
    name,
    tensors: () => ({ ...rowsSpec('a', dense(), rows, cols), out: f32([rows, cols], null) }),
    call: (kernels, t) => kernels.scatterRows(t.rows('a', rows, cols), t.float('out')),
    outputs: { out: 'equal' },
  };
}

/** Of the elements of a list those with an x that is positive, or NaN. */
function positiveCases(name: string, rows: number, cols: number, dense: () => Float32Array): Case[] {
  const x = (count: number) => {
    const values = new Values(`x at ${name}`);
    const special = [0, -0, Number.NaN, Number.POSITIVE_INFINITY, -(2 ** -149), 2 ** -149];
    return values.normals(count).map((value) => (values.below(8) === 0 ? special[values.below(6)] : value));
  };
  const lists = (): Record<string, TensorSpec> => {
    const at = rowsSpec('at', dense(), rows, cols);
    return { ...at, x: f32(at['at.value'].shape, x(at['at.value'].shape[0])) };
  };
  return [
    {
      kernel: 'countPositiveAt',
      name,
      tensors: () => ({ ...lists(), start: i32([rows + 1], null) }),
      call: (kernels, t) => kernels.countPositiveAt(t.rows('at', rows, cols), t.float('x'), t.int('start')),
      outputs: { start: 'equal' },
    },
    {
      kernel: 'gatherPositiveAt',
      name,
      tensors() {
        const specs = lists();
        const [starts, values] = [specs['at.start'].values!, specs.x.values!];
        const start = Array.from(
          starts,
          (end) =>
            Array.from(values)
              .slice(0, end)
              .filter((value) => !(value <= 0)).length,
        );
        const out = emptyRowsSpec('out', rows, start[rows]);
        return { ...specs, ...out, 'out.start': i32([rows + 1], start), outX: f32([start[rows]], null) };
      },
      call: (kernels, t) =>
        kernels.gatherPositiveAt(t.rows('at', rows, cols), t.float('x'), t.rows('out', rows, cols), t.float('outX')),
      outputs: { 'out.index': 'equal', 'out.value': 'equal', outX: 'equal' },
    },
  ];
}

function transposeCase(name: string, rows: number, cols: number, dense: () => Float32Array): Case {
  return {
    kernel: 'transposeRows',
    name,
    tensors() {
      const lists = rowsSpec('a', dense(), rows, cols);
      return { ...lists, ...emptyRowsSpec('out', cols, lists['a.index'].shape[0]) };
    },
    call: (kernels, t) => kernels.transposeRows(t.rows('a', rows, cols), t.rows('out', cols, rows)),
    outputs: { 'out.start': 'equal', 'out.index': 'equal', 'out.value': 'equal' },
  };
}

function maskCases(name: string, rows: number, cols: number, dense: () => Float32Array): Case[] {
  const x = () => new Values(`mask ${name}`).normals(rows * cols);
  return [
    {
      kernel: 'maskRows',
      name,
      tensors: () => ({
        x: f32([rows, cols], x()),
        ...rowsSpec('at', dense(), rows, cols),
        out: f32([rows, cols], null),
      }),
      call: (kernels, t) => kernels.maskRows(t.float('x'), t.rows('at', rows, cols), t.float('out')),
      outputs: { out: 'equal' },
    },
    {
      kernel: 'maskRows',
      name: `${name} in place`,
      tensors: () => ({ x: f32([rows, cols], x()), ...rowsSpec('at', dense(), rows, cols) }),
      call: (kernels, t) => kernels.maskRows(t.float('x'), t.rows('at', rows, cols), t.float('x')),
      outputs: { x: 'equal' },
    },
  ];
}

function rescaleCases(): Case[] {
  const matrices = MATRICES.filter(([label]) => !['denormals', 'NaN', 'infinities'].includes(label));
  return matrices.flatMap(([label, rows, cols, contents]): Case[] => {
    const name = `${label} [${rows}, ${cols}]`;
    const dense = () => contents(new Values(name), rows * cols);
    return [
      {
        kernel: 'rescaleRows',
        name,
        tensors: () => ({ ...rowsSpec('a', dense(), rows, cols), norm: f32([rows], null) }),
        call: (kernels, t) => kernels.rescaleRows(t.rows('a', rows, cols), t.float('norm')),
        outputs: { 'a.value': { magnitude: 1 }, norm: { magnitude: 1 } },
      },
      {
        kernel: 'rescaleRowsBackward',
        name,
        tensors: () => rescaled(name, dense(), rows, cols),
        call: (kernels, t) =>
          kernels.rescaleRowsBackward(t.rows('a', rows, cols), t.float('norm'), t.float('gradient')),
        outputs: { gradient: { magnitude: 1 } },
      },
    ];
  });
}

/** Re-scaled rows, their norms before, and a gradient: computed here, so that both backends read the same. */
function rescaled(name: string, dense: Float32Array, rows: number, cols: number) {
  const norm = new Float32Array(rows);
  const scaled = new Float32Array(dense.length);
  for (let r = 0; r < rows; r++) {
    const row = dense.subarray(r * cols, (r + 1) * cols);
    norm[r] = Math.hypot(...row);
    for (let c = 0; c < cols; c++) scaled[r * cols + c] = (row[c] / (norm[r] + 1e-6)) * Math.sqrt(cols);
  }
  const gradient = new Values(`gradient ${name}`).normals(rows * cols);
  return { ...rowsSpec('a', scaled, rows, cols), norm: f32([rows], norm), gradient: f32([rows, cols], gradient) };
}

/** From the middle columns of a wider matrix. */
function gatherAtCase(name: string, rows: number, cols: number, dense: () => Float32Array): Case {
  const [first, wide] = [3, cols + 5];
  return {
    kernel: 'gatherAt',
    name,
    tensors() {
      const at = rowsSpec('at', dense(), rows, cols);
      const x = f32([rows, wide], new Values(`x ${name}`).normals(rows * wide));
      return { ...at, x, out: f32(at['at.value'].shape, null) };
    },
    call: (kernels, t) => kernels.gatherAt(t.float('x'), first, t.rows('at', rows, cols), t.float('out')),
    outputs: { out: 'equal' },
  };
}
