/** Cases of normalisation, rotary positions, attention over whole sequences and the gated feed-forward. */

import type { Activation, AttentionShape, RopeShape } from '../../src/backend.ts';
import type { Case } from './case.ts';
import { emptyRowsSpec, f32, i32, rowsSpec, specialRow, Values } from './values.ts';

export function layerCases(): Case[] {
  return [...normCases(), ...ropeCases(), ...attentionCases(), ...gluCases(), ...openGateCases()];
}

function normCases(): Case[] {
  const shapes = [1, 3, 33].flatMap((N) => [1, 2, 7, 16, 31, 64, 200].map((D) => [N, D, 1] as const));
  // Sizes of x far from 1: the mean of squares must neither vanish in eps nor overflow.
  const sized = [...shapes, [4, 33, 0], [4, 33, 1e-6], [4, 33, 1e3], [4, 33, 1e15], [257, 600, 1]] as const;
  return sized.flatMap(([N, D, std]) => [
    normCase(N, D, std),
    normInPlaceCase(N, D, std),
    ...(std === 1 ? normRowsCases(N, D) : []),
    normBackwardCase(N, D, std, false),
    normBackwardCase(N, D, std, true),
  ]);
}

function normCase(N: number, D: number, std: number): Case {
  const name = `[${N}, ${D}] of size ${std}`;
  return {
    kernel: 'rmsNorm',
    name,
    tensors() {
      const values = new Values(name);
      return {
        x: f32([N, D], values.normals(N * D, std)),
        weight: f32([D], values.normals(D)),
        out: f32([N, D], null),
        rstd: f32([N], null),
      };
    },
    call: (kernels, t) => kernels.rmsNorm(t.float('x'), t.float('weight'), 1e-5, t.float('out'), t.float('rstd')),
    outputs: { out: { magnitude: std === 0 ? 1 : 1e-2 }, rstd: { magnitude: 1 / (std + 1e-2) } },
  };
}

function normInPlaceCase(N: number, D: number, std: number): Case {
  const { name, tensors, outputs, kernel } = normCase(N, D, std);
  return {
    kernel,
    name: `${name} in its place`,
    tensors() {
      const { out: _, ...others } = tensors();
      return others;
    },
    call: (kernels, t) => kernels.rmsNorm(t.float('x'), t.float('weight'), 1e-5, t.float('x'), t.float('rstd')),
    outputs: { x: outputs.out, rstd: outputs.rstd },
  };
}

/** Four in five elements are zeros that no list has; a row may have none. */
function normRowsCases(N: number, D: number): Case[] {
  const name = `[${N}, ${D}]`;
  const values = new Values(`list ${name}`);
  const dense = values.sparse(N * D, 0.8);
  dense.fill(0, 0, N > 1 ? D : 0);
  const count = dense.filter((x) => x !== 0).length;
  const x = rowsSpec('x', dense, N, D);
  const weight = f32([D], values.normals(D));
  const rstd = Float32Array.from({ length: N }, () => 0.5 + values.uniform());
  const [dOut, dWeight] = [values.normals(count), values.normals(D)];
  const backward = {
    kernel: 'rmsNormRowsBackward',
    outputs: { dX: { magnitude: 1 }, dWeight: { magnitude: Math.sqrt(N) } },
  } as const;
  return [
    {
      kernel: 'rmsNormRows',
      name,
      tensors: () => ({ ...x, weight, out: f32([count], null), rstd: f32([N], null) }),
      call: (kernels, t) =>
        kernels.rmsNormRows(t.rows('x', N, D), t.float('weight'), 1e-5, t.float('out'), t.float('rstd')),
      outputs: { out: { magnitude: 1e-2 }, rstd: { magnitude: 1 } },
    },
    {
      kernel: 'rmsNormRows',
      name: `${name} in its place`,
      tensors: () => ({ ...x, weight, rstd: f32([N], null) }),
      call: (kernels, t) =>
        kernels.rmsNormRows(t.rows('x', N, D), t.float('weight'), 1e-5, t.float('x.value'), t.float('rstd')),
      outputs: { 'x.value': { magnitude: 1e-2 }, rstd: { magnitude: 1 } },
    },
    {
      ...backward,
      name,
      tensors: () => ({
        ...{ ...x, weight, rstd: f32([N], rstd), dOut: f32([count], dOut) },
        ...{ dX: f32([count], null), dWeight: f32([D], dWeight) },
      }),
      call: (kernels, t) =>
        kernels.rmsNormRowsBackward(
          ...([t.rows('x', N, D), t.float('weight'), t.float('rstd'), t.float('dOut'), t.float('dX')] as const),
          t.float('dWeight'),
        ),
    },
    {
      ...backward,
      name: `${name} in the place of dOut`,
      tensors: () => ({
        ...{ ...x, weight, rstd: f32([N], rstd) },
        ...{ dX: f32([count], dOut), dWeight: f32([D], dWeight) },
      }),
      call: (kernels, t) =>
        kernels.rmsNormRowsBackward(
          ...([t.rows('x', N, D), t.float('weight'), t.float('rstd'), t.float('dX'), t.float('dX')] as const),
          t.float('dWeight'),
        ),
    },
  ];
}

function normBackwardCase(N: number, D: number, std: number, accumulate: boolean): Case {
  const name = `[${N}, ${D}] of size ${std}${accumulate ? ' accumulate' : ''}`;
  const rstd = 1 / Math.sqrt(std * std + 1e-5);
  return {
    kernel: 'rmsNormBackward',
    name,
    tensors() {
      const values = new Values(name);
      const x = values.normals(N * D, std);
      const scales = Float32Array.from({ length: N }, (_, r) => {
        const squares = x.subarray(r * D, (r + 1) * D).reduce((sum, v) => sum + v * v, 0);
        return 1 / Math.sqrt(squares / D + 1e-5);
      });
      return {
        x: f32([N, D], x),
        weight: f32([D], values.normals(D)),
        rstd: f32([N], scales),
        dOut: f32([N, D], values.normals(N * D)),
        dX: f32([N, D], accumulate ? values.normals(N * D) : null),
        dWeight: f32([D], values.normals(D)),
      };
    },
    call: (kernels, t) =>
      kernels.rmsNormBackward(
        ...([t.float('x'), t.float('weight'), t.float('rstd'), t.float('dOut'), t.float('dX')] as const),
        t.float('dWeight'),
        { accumulate },
      ),
    outputs: { dX: { magnitude: rstd }, dWeight: { magnitude: Math.sqrt(N) } },
  };
}

function ropeCases(): Case[] {
  const cases: Case[] = [];
  for (const headDim of [2, 6, 8, 64]) {
    for (const positions of [[0], [0, 1, 2, 0, 1, 2], Array.from({ length: 17 }, (_, r) => (7 * r) % 22), [40]]) {
      const shape = { nRotatedHeads: 3, headDim, inverse: positions.length === 6 };
      cases.push(ropeCase(positions, 5 * headDim, shape));
      cases.push(ropeCase(positions, 3 * headDim + 1, { ...shape, inverse: !shape.inverse }));
    }
  }
  const long = Array.from({ length: 260 }, (_, r) => r % 130);
  return [...cases, ropeCase(long, 12 * 64, { nRotatedHeads: 10, headDim: 64, inverse: false })];
}

function ropeCase(positions: readonly number[], width: number, shape: RopeShape): Case {
  const { headDim, nRotatedHeads, inverse } = shape;
  const rows = positions.length;
  const name = `[${rows}, ${width}] ${nRotatedHeads} heads of ${headDim}, positions ${positions.slice(0, 4)} ...${inverse ? ' inverse' : ''}`;
  const all = Math.max(...positions) + 1;
  const half = headDim / 2;
  const angles = Float64Array.from(
    { length: all * half },
    (_, i) => Math.floor(i / half) * 10000 ** (-(i % half) / half),
  );
  return {
    kernel: 'rope',
    name,
    tensors: () => ({
      x: f32([rows, width], new Values(name).normals(rows * width)),
      positions: i32([rows], positions),
      cos: f32([all, half], angles.map(Math.cos)),
      sin: f32([all, half], angles.map(Math.sin)),
    }),
    call: (kernels, t) => kernels.rope(t.float('x'), t.int('positions'), t.float('cos'), t.float('sin'), shape),
    outputs: { x: { magnitude: 1 } },
  };
}

/** [query heads, key/value heads]: one, grouped, all on one, one each. */
const HEADS = [
  [1, 1],
  [4, 2],
  [3, 1],
  [2, 2],
] as const;

function attentionCases(): Case[] {
  const cases: Case[] = [];
  const seqLens = [1, 2, 17, 65, 130];
  for (const [i, seqLen] of seqLens.entries()) {
    for (const [j, headDim] of [2, 6, 8, 64].entries()) {
      const [nHeads, nKvHeads] = HEADS[(i + j) % HEADS.length];
      const shape = { batch: 1 + ((i + j) % 2), seqLen, nHeads, nKvHeads, headDim };
      cases.push(attentionCase(shape, 1), attentionBackwardCase(shape, 1));
    }
  }
  const sharp = { batch: 1, seqLen: 70, nHeads: 2, nKvHeads: 1, headDim: 16 };
  cases.push(
    attentionCase(sharp, 6),
    attentionCase(sharp, 0),
    attentionBackwardCase(sharp, 2),
    attentionBackwardCase(sharp, 0),
  );
  const large = { batch: 3, seqLen: 130, nHeads: 4, nKvHeads: 2, headDim: 32 };
  cases.push(attentionCase(large, 1), attentionBackwardCase(large, 1));
  // Texts that begin at, before and behind the borders of tiles, and some that end where they begin; windows; any order at all.
  const long = { ...large, batch: 2, seqLen: 330, nHeads: 2, nKvHeads: 1 };
  const firstKeys: [string, (index: number) => number][] = [
    ['texts', startOf([1, 2, 59, 64, 130, 131, 260, 261, 300])],
    ['texts at borders', startOf([32, 60, 64, 128, 256, 320])],
    ['a window of 5', (index) => Math.max(0, index - 4)],
    ['a window of 100', (index) => Math.max(0, index - 99)],
    ['any', (index) => (index * 37) % (index + 1)],
  ];
  for (const [name, firstOf] of firstKeys) {
    cases.push(attentionCase(long, 1, { name, firstOf }), attentionBackwardCase(long, 1, { name, firstOf }));
  }
  return cases;
}

/** Where the text of a token begins, of texts that begin at 0 and at `borders`. */
function startOf(borders: readonly number[]): (index: number) => number {
  return (index) => borders.reduce((start, border) => (border <= index ? border : start), 0);
}

/** What tokens see, and of the token at an index of its sequence the index of the first key. */
interface FirstKeys {
  name: string;
  firstOf: (index: number) => number;
}

/** The second sequence of a batch has all its texts one token later. */
function firstKeysSpec({ batch, seqLen }: AttentionShape, { firstOf }: FirstKeys) {
  const firstKey = (row: number) => {
    const [sequence, index] = [Math.floor(row / seqLen), row % seqLen];
    return sequence === 0 ? firstOf(index) : index === 0 ? 0 : firstOf(index - 1);
  };
  return i32(
    [batch * seqLen],
    Int32Array.from({ length: batch * seqLen }, (_, row) => firstKey(row)),
  );
}

function attentionName(shape: AttentionShape, std: number, seen?: FirstKeys): string {
  const { batch, seqLen, nHeads, nKvHeads, headDim } = shape;
  return `${batch} x ${seqLen} tokens, ${nHeads}/${nKvHeads} heads of ${headDim}, size ${std}${seen ? `, ${seen.name}` : ''}`;
}

function attentionCase(shape: AttentionShape, std: number, seen?: FirstKeys): Case {
  const { batch, seqLen, nHeads, nKvHeads, headDim } = shape;
  const name = attentionName(shape, std, seen);
  const N = batch * seqLen;
  const width = (nHeads + 2 * nKvHeads) * headDim;
  return {
    kernel: 'attention',
    name,
    tensors: () => ({
      qkv: f32([N, width], new Values(name).normals(N * width, std)),
      out: f32([N, nHeads * headDim], null),
      logSumExp: f32([N, nHeads], null),
      ...(seen && { firstKeys: firstKeysSpec(shape, seen) }),
    }),
    call: (kernels, t) =>
      kernels.attention(
        ...([t.float('qkv'), t.float('out'), t.float('logSumExp'), shape] as const),
        seen ? t.int('firstKeys') : null,
      ),
    outputs: {
      // Over one key nothing is rounded.
      out: seqLen === 1 ? 'equal' : { magnitude: Math.max(std, 1) },
      logSumExp: { magnitude: Math.max(std * std, 1) },
    },
  };
}

/** `out` and `logSumExp` are any numbers of the right size: the backward is a function of them, and so compared as one. */
function attentionBackwardCase(shape: AttentionShape, std: number, seen?: FirstKeys): Case {
  const { batch, seqLen, nHeads, nKvHeads, headDim } = shape;
  const name = attentionName(shape, std, seen);
  const N = batch * seqLen;
  const width = (nHeads + 2 * nKvHeads) * headDim;
  return {
    kernel: 'attentionBackward',
    name,
    tensors() {
      const values = new Values(name);
      const qkv = values.normals(N * width, std);
      return {
        qkv: f32([N, width], qkv),
        out: f32([N, nHeads * headDim], values.normals(N * nHeads * headDim, 0.3 * std)),
        // Above every score: probabilities stay below 1 as they do in training.
        logSumExp: f32(
          [N, nHeads],
          Float32Array.from({ length: N * nHeads }, () => 4 * std * std + values.uniform()),
        ),
        dOut: f32([N, nHeads * headDim], values.normals(N * nHeads * headDim)),
        dQkv: f32([N, width], null),
        ...(seen && { firstKeys: firstKeysSpec(shape, seen) }),
      };
    },
    call: (kernels, t) =>
      kernels.attentionBackward(
        ...([t.float('qkv'), t.float('out'), t.float('logSumExp'), t.float('dOut'), t.float('dQkv')] as const),
        shape,
        seen ? t.int('firstKeys') : null,
      ),
    outputs: { dQkv: { magnitude: 1e-3 } },
  };
}

function gluCases(): Case[] {
  const cases: Case[] = [];
  for (const activation of ['relu2', 'relu', 'silu'] as const) {
    for (const [N, H] of [
      [1, 1],
      [3, 5],
      [2, 16],
      [7, 33],
      [33, 100],
      [257, 300],
    ]) {
      const normal = (values: Values, count: number) => values.normals(count, 2);
      cases.push(...gluPair(`normal [${N}, ${H}]`, N, H, activation, normal, 0));
      cases.push(...gluPair(`normal [${N}, ${H}] with L1`, N, H, activation, normal, 0.125).slice(1));
    }
    const special = [0, -0, 1, -1, 0.5, -3, activation === 'silu' ? 90 : 100, activation === 'silu' ? -90 : -100];
    const pick = (values: Values, count: number) =>
      Float32Array.from({ length: count }, () => special[values.below(8)]);
    cases.push(...gluPair('special [9, 37]', 9, 37, activation, pick, 0.5));
    // Gates at the threshold itself are left out: the activation is not the same to the last bit everywhere.
    const apart = (values: Values, count: number) =>
      values.normals(count).map((g) => (Math.abs(Math.abs(plainAct(g, activation)) - 0.25) < 1e-3 ? g + 0.02 : g));
    cases.push(...gluPair('from 0.25 on [7, 50]', 7, 50, activation, apart, 0.5, 0.25));
    cases.push(...gluPair('from 1e30 on [3, 17]', 3, 17, activation, apart, 0.5, 1e30));
    if (activation === 'silu') continue;
    const closed = (values: Values, count: number) =>
      values.normals(count).map((x, i) => (i % 74 < 37 ? -Math.abs(x) : x));
    cases.push(...gluPair('all closed [9, 37]', 9, 37, activation, closed, 0.5));
    const behind = [Number.POSITIVE_INFINITY, Number.NaN, -1, -0];
    const extreme = (values: Values, count: number) =>
      closed(values, count).map((x, i) => (i % 74 < 37 ? x : behind[i % 4]));
    cases.push(...gluPair('closed before infinity and NaN [9, 37]', 9, 37, activation, extreme, 0));
  }
  return cases;
}

function plainAct(g: number, activation: Activation): number {
  if (activation === 'silu') return g / (1 + Math.exp(-g));
  return activation === 'relu2' ? Math.max(g, 0) ** 2 : Math.max(g, 0);
}

function gluPair(
  label: string,
  N: number,
  H: number,
  activation: Activation,
  contents: (values: Values, count: number) => Float32Array,
  l1: number,
  threshold?: number,
): Case[] {
  const name = `${activation} ${label}`;
  const exact = label.includes('closed');
  const gateUp = () => f32([N, 2 * H], contents(new Values(name), N * 2 * H));
  return [
    {
      kernel: 'glu',
      name,
      tensors: () => ({ gateUp: gateUp(), out: f32([N, H], null) }),
      call: (kernels, t) => kernels.glu(t.float('gateUp'), activation, t.float('out'), threshold),
      outputs: { out: exact ? 'equal' : { magnitude: 1 } },
    },
    {
      kernel: 'gluBackward',
      name,
      tensors: () => ({
        gateUp: gateUp(),
        dOut: f32([N, H], new Values(`dOut ${name}`).normals(N * H)),
        dGateUp: f32([N, 2 * H], null),
      }),
      call: (kernels, t) =>
        kernels.gluBackward(t.float('gateUp'), t.float('dOut'), activation, l1, t.float('dGateUp'), threshold),
      outputs: { dGateUp: exact ? 'equal' : { magnitude: 1 } },
    },
  ];
}

/** The list form of the GLU: which gates are open, and its arithmetic on lists. */
function openGateCases(): Case[] {
  const gates: [string, (values: Values, count: number) => Float32Array][] = [
    ['half open', (values, count) => values.normals(count)],
    ['few open', (values, count) => values.normals(count).map((x) => x - 2)],
    ['all closed', (values, count) => values.normals(count).map((x) => -Math.abs(x))],
    ['all open', (values, count) => values.normals(count).map((x) => Math.abs(x) + 1)],
    ['zeros of both signs', (values, count) => specialRow('zeros of both signs', values, count)],
    ['NaN', (values, count) => specialRow('NaN', values, count).map((x, i) => (i % 5 ? x : -x))],
    ['denormals', (values, count) => specialRow('denormals', values, count)],
  ];
  const shapes = [
    [3, 5],
    [1, 1],
    [9, 37],
    [33, 100],
    [5, 1031],
  ] as const;
  return gates.flatMap(([label, contents]) =>
    shapes.flatMap(([N, H]) => [
      ...listGatesCases(`${label} [${N}, ${H}]`, N, H, 2 * H, contents),
      ...listGatesCases(`${label} [${N}, ${H}] alone`, N, H, H, contents),
      ...(label === 'NaN' ? [] : gluRowsCases(`${label} [${N}, ${H}]`, N, H, contents)),
    ]),
  );
}

type Contents = (values: Values, count: number) => Float32Array;

/** H gates in rows of `wide` columns. */
function listGatesCases(name: string, N: number, H: number, wide: number, contents: Contents): Case[] {
  const gates = () => contents(new Values(name), N * wide);
  const open = () => gates().map((x, i) => (i % wide < H && !(x <= 0) ? 1 : 0));
  const starts = () => {
    const counts = [0];
    for (let r = 0; r < N; r++)
      counts.push(
        counts[r] +
          open()
            .slice(r * wide, (r + 1) * wide)
            .reduce((a, b) => a + b),
      );
    return counts;
  };
  return [
    {
      kernel: 'countOpenGates',
      name,
      tensors: () => ({ gates: f32([N, wide], gates()), start: i32([N + 1], null) }),
      call: (kernels, t) => kernels.countOpenGates(t.float('gates'), H, t.int('start')),
      outputs: { start: 'equal' },
    },
    {
      kernel: 'gatherOpenGates',
      name,
      tensors() {
        const start = starts();
        return {
          gates: f32([N, wide], gates()),
          'out.start': i32([N + 1], start),
          'out.index': i32([start[N]], null),
          'out.value': f32([start[N]], null),
        };
      },
      call: (kernels, t) => kernels.gatherOpenGates(t.float('gates'), t.rows('out', N, H)),
      outputs: { 'out.index': 'equal', 'out.value': 'equal' },
    },
  ];
}

function gluRowsCases(name: string, N: number, H: number, contents: Contents): Case[] {
  const gate = () =>
    rowsSpec(
      'gate',
      contents(new Values(name), N * H).map((x) => Math.max(x, 0)),
      N,
      H,
    );
  const withValues = (which: readonly string[]) => {
    const list = gate();
    const count = list['gate.value'].shape[0];
    const more = which.map((key) => [key, f32([count], new Values(`${key} ${name}`).normals(count))] as const);
    return { list, count, more: Object.fromEntries(more) };
  };
  return (['relu2', 'relu'] as const).flatMap((activation): Case[] => [
    {
      kernel: 'gluRows',
      name: `${activation} ${name}`,
      tensors() {
        const { list, count, more } = withValues(['up']);
        return { ...list, ...more, out: f32([count], null) };
      },
      call: (kernels, t) => kernels.gluRows(t.rows('gate', N, H), t.float('up'), activation, t.float('out')),
      outputs: { out: { magnitude: 1 } },
    },
    // Behind denormal gates hidden may be rounded to 0, whose sign is 0.
    ...(name.startsWith('denormals') ? [0] : [0, 0.125]).map(
      (l1): Case => ({
        kernel: 'gluRowsBackward',
        name: `${activation} ${name}, l1 ${l1}`,
        tensors() {
          const { list, count, more } = withValues(['up', 'dOut']);
          return { ...list, ...more, ...emptyRowsSpec('out', N, 2 * count) };
        },
        call: (kernels, t) => {
          const [up, dOut] = [t.float('up'), t.float('dOut')];
          kernels.gluRowsBackward(t.rows('gate', N, H), up, dOut, activation, l1, t.rows('out', N, 2 * H));
        },
        outputs: { 'out.start': 'equal', 'out.index': 'equal', 'out.value': { magnitude: 1 } },
      }),
    ),
  ]);
}
