/** Cases of the quantisers: 8-bit activations, as integers and rounded in place, and ternary weights. Every result is equal, bit by bit. */

import type { Kernels } from '../../src/backend.ts';
import { ternaryScale } from '../../src/tensor/ternary.ts';
import type { Case } from './case.ts';
import { DENORMALS, f32, rowsSpec, SPECIAL_ROWS, specialRow, Values } from './values.ts';
import { quantizedOf } from './weight-cases.ts';

type Contents = (values: Values, count: number) => Float32Array;

/** What an absmax quantiser may meet. */
const FINITE: readonly [string, Contents][] = [
  ['normals', (values, count) => values.normals(count)],
  ['zeros', (_, count) => new Float32Array(count)],
  // Products with 127 / 127 that end in one half, which go to the even side.
  ['halves', (_, count) => Float32Array.from({ length: count }, (_, i) => (i === 0 ? 127 - 1e-5 : (i % 9) - 4.5))],
  ['tiny', (values, count) => values.normals(count, 1e-30)],
  ['near epsilon', (values, count) => values.normals(count, 1e-5)],
  ['denormals', (values, count) => Float32Array.from({ length: count }, () => DENORMALS[values.below(2)])],
  ['one outlier', (values, count) => values.normals(count).map((x, i) => (i === count - 1 ? 3e8 : x))],
  ['a negative largest', (values, count) => values.normals(count).map((x, i) => (i === 0 ? -40 : x))],
  ['the largest floats', (values, count) => values.normals(count).map((x) => Math.sign(x) * 3.4e38)],
];

/** Rounding in place has to keep what is broken visible. */
const ANY: readonly [string, Contents][] = [
  ...FINITE,
  ...SPECIAL_ROWS.map((kind): [string, Contents] => [kind, (values, count) => specialRow(kind, values, count)]),
];

const SHAPES = [1, 3, 40].flatMap((rows) => [1, 31, 300].map((cols) => ({ rows, cols })));

export function quantizeCases(): Case[] {
  return [
    ...FINITE.flatMap(([name, make]) => SHAPES.flatMap(({ rows, cols }) => quantizeCase(name, make, rows, cols))),
    ...ANY.flatMap(([name, make]) => SHAPES.flatMap(({ rows, cols }) => fakeQuantizeCase(name, make, rows, cols))),
    ...ternarizeCases(),
  ];
}

/** The numbers dense, and with zeros between those of a list. */
function contentsOf(name: string, make: Contents, rows: number, cols: number) {
  const values = new Values(`${name} ${rows} ${cols}`);
  const dense = Float32Array.from(Array.from({ length: rows }, () => [...make(values, cols)]).flat());
  const masked = dense.map((x, i) => (i % 3 === 1 ? 0 : x));
  return { dense, masked, listed: masked.filter((x) => x !== 0).length };
}

function quantizeCase(name: string, make: Contents, rows: number, cols: number): Case[] {
  const { dense, masked, listed } = contentsOf(name, make, rows, cols);
  const outputs = { 'out.value': 'equal', 'out.scale': 'equal' } as const;
  return [
    {
      kernel: 'quantizeRows',
      name: `${name} [${rows}, ${cols}]`,
      tensors: () => ({
        x: f32([rows, cols], dense),
        'out.value': { dtype: 'i8', shape: [rows * cols], values: null },
        'out.scale': f32([rows], null),
      }),
      call: (kernels, t) => kernels.quantizeRows(t.f32('x'), quantizedOf(t, 'out', rows, cols, null)),
      outputs,
    },
    {
      kernel: 'quantizeRows',
      name: `${name} as a list [${rows}, ${cols}]`,
      tensors: () => ({
        ...rowsSpec('x', masked, rows, cols),
        'out.value': { dtype: 'i8', shape: [listed], values: null },
        'out.scale': f32([rows], null),
      }),
      call: (kernels, t) => {
        const x = t.rows('x', rows, cols);
        kernels.quantizeRows(x as never, quantizedOf(t, 'out', rows, cols, x));
      },
      outputs,
    },
  ];
}

function fakeQuantizeCase(name: string, make: Contents, rows: number, cols: number): Case[] {
  const { dense, masked, listed } = contentsOf(name, make, rows, cols);
  const kernel = 'fakeQuantizeRows' as const satisfies keyof Kernels;
  return [
    {
      kernel,
      name: `${name} [${rows}, ${cols}]`,
      tensors: () => ({ x: f32([rows, cols], dense), out: f32([rows, cols], null) }),
      call: (kernels, t) => kernels.fakeQuantizeRows(t.float('x'), t.float('out')),
      outputs: { out: 'equal' },
    },
    {
      kernel,
      name: `${name} as a list [${rows}, ${cols}]`,
      tensors: () => ({ ...rowsSpec('x', masked, rows, cols), out: f32([listed], null) }),
      call: (kernels, t) => kernels.fakeQuantizeRows(t.rows('x', rows, cols), t.float('out')),
      outputs: { out: 'equal' },
    },
    {
      kernel,
      name: `${name} in its place [${rows}, ${cols}]`,
      tensors: () => rowsSpec('x', masked, rows, cols),
      call: (kernels, t) => kernels.fakeQuantizeRows(t.rows('x', rows, cols), t.float('x.value')),
      outputs: { 'x.value': 'equal' },
    },
  ];
}

function ternarizeCases(): Case[] {
  const scales = [ternaryScale(100, 200), ternaryScale(0, 5), ternaryScale(Number.NaN, 5), ternaryScale(Infinity, 5)];
  // Neighbours of the threshold of the first scale, which a comparison of the wrong kind would put on the other side.
  const { threshold } = scales[0];
  const edges = [threshold, -threshold, threshold * (1 + 2 ** -23), -threshold * (1 + 2 ** -23), 0, -0, Number.NaN];
  return SHAPES.flatMap(({ rows, cols }) =>
    scales.flatMap((scale): Case[] => {
      const name = `alpha ${scale.alpha} [${rows}, ${cols}]`;
      const values = new Values(name);
      const w = values.normals(rows * cols).map((x, i) => (i % 3 === 0 ? edges[values.below(edges.length)] : x));
      const [first, count] = [Math.floor(cols / 3), Math.ceil(cols / 2)];
      return [
        {
          kernel: 'ternarize',
          name,
          tensors: () => ({ w: f32([rows, cols], w), out: f32([rows, cols], null) }),
          call: (kernels, t) => kernels.ternarize(t.float('w'), { first: 0, count: cols }, scale, t.float('out')),
          outputs: { out: 'equal' },
        },
        {
          kernel: 'ternarize',
          name: `columns ${first} .. ${first + count} in their place, ${name}`,
          tensors: () => ({ w: f32([rows, cols], w) }),
          call: (kernels, t) => kernels.ternarize(t.float('w'), { first, count }, scale, t.float('w')),
          outputs: { w: 'equal' },
        },
      ];
    }),
  );
}
