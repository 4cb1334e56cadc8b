/** Cases of the embedding, the loss, the optimiser, the sums and the element-by-element kernels. */

import type { Case } from './case.ts';
import { f32, i32, Values } from './values.ts';

export function trainingCases(): Case[] {
  return [
    ...embeddingCases(),
    ...lossCases(),
    ...divergenceCases(),
    ...pruneCases(),
    ...adamwCases(),
    ...adamw8Cases(),
    ...sumCases(),
    ...elementwiseCases(),
    ...transposeCases(),
  ];
}

function embeddingCases(): Case[] {
  return [
    [1, 1, 1],
    [5, 3, 7],
    [33, 11, 16],
    [40, 2, 33],
    [300, 97, 130],
  ].flatMap(([N, V, D]): Case[] => {
    const name = `${N} ids, table [${V}, ${D}]`;
    const ids = () =>
      i32(
        [N],
        Int32Array.from({ length: N }, (_, i) => (i === 0 ? V - 1 : new Values(`${name} ${i}`).below(V))),
      );
    return [
      {
        kernel: 'embedding',
        name,
        tensors: () => ({
          ids: ids(),
          table: f32([V, D], new Values(name).normals(V * D)),
          out: f32([N, D], null),
        }),
        call: (kernels, t) => kernels.embedding(t.int('ids'), t.float('table'), t.float('out')),
        outputs: { out: 'equal' },
      },
      {
        kernel: 'embeddingBackward',
        name,
        tensors: () => ({
          ids: ids(),
          dOut: f32([N, D], new Values(`dOut ${name}`).normals(N * D)),
          dTable: f32([V, D], new Values(name).normals(V * D)),
        }),
        call: (kernels, t) => kernels.embeddingBackward(t.int('ids'), t.float('dOut'), t.float('dTable')),
        outputs: { dTable: { magnitude: Math.sqrt(N / V) } },
      },
    ];
  });
}

function lossCases(): Case[] {
  const cases: Case[] = [];
  for (const [N, V] of [
    [1, 1],
    [1, 2],
    [5, 7],
    [33, 97],
    [4, 513],
    [130, 1000],
  ]) {
    for (const scale of [null, 1, 1 / 64]) {
      cases.push(lossCase(`normal [${N}, ${V}]`, N, V, scale, (values) => values.normals(N * V, 3)));
    }
  }
  const huge = [-1e30, 1e30, 1e4, -1e4, 0];
  for (const scale of [null, 0.5]) {
    cases.push(lossCase('equal [5, 67]', 5, 67, scale, () => new Float32Array(5 * 67).fill(-7)));
    cases.push(lossCase('size 1e4 [9, 67]', 9, 67, scale, (values) => values.normals(9 * 67, 1e4)));
    cases.push(
      lossCase('up to 1e30 [9, 67]', 9, 67, scale, (v) =>
        Float32Array.from({ length: 9 * 67 }, () => huge[v.below(5)]),
      ),
    );
    // Nearly certain: a loss of 7e-6 with f32's 6e-8 in the sum 1 + 66 exp(-16); log-sum-exp minus logit would be off by 6e-5.
    const certain = Float32Array.from({ length: 9 * 67 }, (_, i) => (i % 67 === 3 ? 900 : 884));
    cases.push(lossCase('certain [9, 67]', 9, 67, scale, () => certain, { target: 3, magnitude: 0.1 }));
  }
  return cases;
}

function lossCase(
  label: string,
  N: number,
  V: number,
  scale: number | null,
  logits: (values: Values) => Float32Array,
  { target, magnitude }: { target?: number; magnitude: number } = { magnitude: 1 },
): Case {
  const name = `${label}, scale ${scale}`;
  return {
    kernel: 'softmaxCrossEntropy',
    name,
    tensors() {
      const values = new Values(name);
      // Every third position does not count.
      const targets = Int32Array.from({ length: N }, (_, r) => (r % 3 === 1 ? -1 : (target ?? values.below(V))));
      return { logits: f32([N, V], logits(values)), targets: i32([N], targets), losses: f32([N], null) };
    },
    call: (kernels, t) => kernels.softmaxCrossEntropy(t.float('logits'), t.int('targets'), t.float('losses'), scale),
    outputs: {
      losses: { magnitude },
      ...(scale === null ? {} : { logits: { magnitude: scale / V } }),
    },
  };
}

function pruneCases(): Case[] {
  return [
    [1, 1],
    [3, 7],
    [5, 16],
    [4, 513],
    [130, 1000],
  ].flatMap(([N, V]): Case[] =>
    [0.3, 1e-3, 3].map((threshold): Case => {
      const name = `[${N}, ${V}], threshold ${threshold}`;
      return {
        kernel: 'pruneByChance',
        name,
        // Of all sizes, and what is no number.
        tensors() {
          const values = new Values(name);
          const x = values.normals(N * V).map((value) => value ** 5);
          x.set([0, -0, Number.NaN, Number.POSITIVE_INFINITY].slice(0, N * V - 1));
          return { x: f32([N, V], x) };
        },
        call: (kernels, t) => kernels.pruneByChance(t.float('x'), threshold, 2 ** 32 - N),
        outputs: { x: 'equal' },
      };
    }),
  );
}

function divergenceCases(): Case[] {
  const cases: Case[] = [];
  for (const [N, V] of [
    [1, 1],
    [1, 2],
    [5, 7],
    [33, 97],
    [4, 513],
    [130, 1000],
  ]) {
    for (const scale of [null, 1, 1 / 64]) {
      for (const temperature of [1, 2.5]) cases.push(divergenceCase(N, V, { temperature, scale }, 3, 2));
    }
  }
  cases.push(divergenceCase(9, 67, { temperature: 1, scale: 1 }, 40, 0.01)); // close to each other, and certain
  return cases;
}

/** The teacher's logits are the student's and normals of size `apart`. */
function divergenceCase(
  N: number,
  V: number,
  options: { temperature: number; scale: number | null },
  std: number,
  apart: number,
): Case {
  const { temperature, scale } = options;
  const name = `[${N}, ${V}], temperature ${temperature}, scale ${scale}, size ${std}`;
  return {
    kernel: 'softmaxDivergence',
    name,
    tensors() {
      const values = new Values(name);
      const logits = values.normals(N * V, std);
      const targets = Int32Array.from({ length: N }, (_, r) => (r % 3 === 1 ? -1 : 0));
      return {
        logits: f32([N, V], logits),
        teacher: f32(
          [N, V],
          values.normals(N * V, apart).map((x, i) => x + logits[i]),
        ),
        targets: i32([N], targets),
        divergences: f32([N], null),
      };
    },
    call: (kernels, t) =>
      kernels.softmaxDivergence(
        t.float('logits'),
        t.float('teacher'),
        t.int('targets'),
        t.float('divergences'),
        options,
      ),
    outputs: {
      divergences: { magnitude: temperature ** 2 },
      ...(scale === null ? {} : { teacher: { magnitude: (temperature * scale) / V } }),
    },
  };
}

function adamwCases(): Case[] {
  const base = { lr: 1e-2, beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1, gradientScale: 1 };
  const cases: Case[] = [];
  for (const size of [1, 7, 64, 1003, 100_000]) {
    for (const step of size > 2000 ? [1] : [1, 10]) {
      cases.push(adamwCase(`${size} parameters, step ${step}`, size, 1, { ...base, step }));
    }
  }
  cases.push(adamwCase('scaled gradients', 100, 1, { ...base, step: 3, gradientScale: 1 / 300, weightDecay: 0 }));
  // sqrt(v) near eps: where eps stands in the formula shows.
  cases.push(adamwCase('gradients of size eps', 100, 1e-8, { ...base, step: 1, weightDecay: 0 }));
  cases.push(adamwCase('no gradient', 33, 0, { ...base, step: 2 }));
  cases.push(adamwCase('step 100000', 33, 1, { ...base, step: 100_000 }));
  return cases;
}

function adamwCase(
  name: string,
  size: number,
  std: number,
  options: Parameters<import('../../src/backend.ts').Kernels['adamw']>[4],
): Case {
  return {
    kernel: 'adamw',
    name,
    tensors() {
      const values = new Values(name);
      const first = options.step === 1;
      return {
        p: f32([size], values.normals(size, 0.1)),
        g: f32([size], values.normals(size, std)),
        m: f32([size], first ? new Float32Array(size) : values.normals(size, 0.3 * std)),
        v: f32([size], first ? new Float32Array(size) : values.normals(size, std).map((x) => x * x)),
      };
    },
    call: (kernels, t) => kernels.adamw(t.float('p'), t.float('g'), t.float('m'), t.float('v'), options),
    outputs: {
      p: { magnitude: 0.1 },
      g: 'equal',
      m: { magnitude: 0.1 * std * options.gradientScale },
      v: { magnitude: 0.01 * std * std * options.gradientScale ** 2 },
    },
  };
}

function adamw8Cases(): Case[] {
  const base = { lr: 1e-2, beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1, gradientScale: 1 };
  const cases: Case[] = [];
  for (const size of [1, 7, 255, 256, 257, 1003, 50_000]) {
    for (const step of size > 2000 ? [3] : [1, 10]) {
      cases.push(adamw8Case(`${size} parameters, step ${step}`, size, 1, { ...base, step }));
    }
  }
  cases.push(adamw8Case('scaled gradients', 600, 1, { ...base, step: 3, gradientScale: 1 / 300, weightDecay: 0 }));
  cases.push(adamw8Case('no gradient', 300, 0, { ...base, step: 2 }));
  cases.push(adamw8Case('no gradient and no moments', 300, 0, { ...base, step: 1 }));
  cases.push(adamw8Case('gradients whose squares are nothing', 300, 1e-20, { ...base, step: 1 }));
  cases.push(adamw8Case('step 100000', 300, 1, { ...base, step: 100_000 }));
  return cases;
}

/** Every code occurs before the call, and gradients of many sizes. */
function adamw8Case(
  name: string,
  size: number,
  std: number,
  options: Parameters<import('../../src/backend.ts').Kernels['adamw8']>[4],
): Case {
  const blocks = Math.ceil(size / 256);
  return {
    kernel: 'adamw8',
    name,
    tensors() {
      const values = new Values(name);
      const first = options.step === 1;
      const codes = () => Uint8Array.from({ length: size }, () => (first ? 0 : values.below(256)));
      const scale = (of: number) =>
        Float32Array.from({ length: blocks }, () => (first ? 0 : of * (0.5 + values.uniform())));
      const gradients = values.normals(size, std).map((x) => x * 10 ** -values.below(4));
      return {
        p: f32([size], values.normals(size, 0.1)),
        g: f32([size], gradients),
        mCodes: { dtype: 'u8', shape: [size], values: codes() },
        mScale: f32([blocks], scale(0.3 * std)),
        // A code of 0 here is a parameter that has had no gradient: its first moment is 0 too, or the update is as large as eps lets it be.
        vCodes: { dtype: 'u8', shape: [size], values: codes().map((code) => (first ? 0 : Math.max(128, code))) },
        vScale: f32([blocks], scale(std * std)),
      };
    },
    call: (kernels, t) =>
      kernels.adamw8(
        t.float('p'),
        t.float('g'),
        { codes: t.u8('mCodes'), scale: t.f32('mScale') },
        { codes: t.u8('vCodes'), scale: t.f32('vScale') },
        options,
      ),
    outputs: {
      p: { magnitude: 0.1 },
      g: 'equal',
      mCodes: 'codes',
      mScale: { magnitude: 0.1 * std * options.gradientScale },
      vCodes: 'codes',
      vScale: { magnitude: 0.01 * std * std * options.gradientScale ** 2 },
    },
  };
}

function sumCases(): Case[] {
  return [
    [1, 1],
    [3, 7],
    [5, 64],
    [33, 97],
    [4, 5000],
    [257, 600],
  ].flatMap(([rows, cols]): Case[] => {
    const name = `[${rows}, ${cols}]`;
    const tensors = () => ({
      x: f32([rows, cols], new Values(name).normals(rows * cols)),
      partial: { dtype: 'f64', shape: [rows], values: null } as const,
    });
    const ranges = [
      [0, cols],
      [Math.floor(cols / 3), Math.ceil(cols / 2)],
      [cols - 1, 1],
      [0, 0],
    ];
    return [
      ...ranges.map(
        ([first, count]): Case => ({
          kernel: 'sumSquares',
          name: `${name} columns ${first} .. ${first + count}`,
          tensors,
          call: (kernels, t) => kernels.sumSquares(t.float('x'), t.f64('partial'), first, count),
          outputs: { partial: { magnitude: 1 } },
        }),
      ),
      ...ranges.map(
        ([first, count]): Case => ({
          kernel: 'sumAbs',
          name: `${name} columns ${first} .. ${first + count}`,
          tensors,
          call: (kernels, t) => kernels.sumAbs(t.float('x'), t.f64('partial'), first, count),
          outputs: { partial: 'equal' },
        }),
      ),
    ];
  });
}

function transposeCases(): Case[] {
  const shapes = [
    [1, 1, 0, 1],
    [3, 5, 0, 5],
    [3, 5, 4, 1],
    [16, 16, 0, 16],
    [17, 33, 3, 20],
    [130, 71, 35, 36],
    [300, 64, 0, 64],
  ] as const;
  return shapes.flatMap(([rows, cols, first, count]) =>
    [false, true].map((accumulate): Case => {
      const name = `columns ${first} .. ${first + count} of [${rows}, ${cols}]${accumulate ? ' accumulate' : ''}`;
      const normals = (which: string, shape: readonly [number, number]) =>
        f32(shape, new Values(`${which} ${name}`).normals(shape[0] * shape[1]));
      return {
        kernel: 'transpose',
        name,
        tensors: () => ({
          x: normals('x', [rows, cols]),
          out: accumulate ? normals('out', [count, rows]) : f32([count, rows], null),
        }),
        call: (kernels, t) =>
          kernels.transpose(t.float('x'), t.float('out'), { columns: { first, count }, accumulate }),
        outputs: { out: 'equal' },
      };
    }),
  );
}

/** One operation on each element: nothing to round differently, so the results are equal. */
function elementwiseCases(): Case[] {
  return [1, 3, 16, 67, 1000, 150_001].flatMap((size): Case[] => {
    const name = `${size} elements`;
    const normals = (which: string) => f32([size], new Values(`${which} ${name}`).normals(size));
    const specials = f32(
      [size],
      Float32Array.from({ length: size }, (_, i) => [Number.NaN, -0, 1e-40, Number.NEGATIVE_INFINITY][i % 4]),
    );
    const integers = () =>
      i32(
        [size],
        Int32Array.from({ length: size }, (_, i) => (i * 2654435761) | 0),
      );
    const doubles = Float64Array.from({ length: size }, (_, i) => Math.sin(i) * 1e200);
    return [
      {
        kernel: 'add',
        name,
        tensors: () => ({ a: normals('a'), b: normals('b'), out: f32([size], null) }),
        call: (kernels, t) => kernels.add(t.float('a'), t.float('b'), t.float('out')),
        outputs: { out: 'equal' },
      },
      {
        kernel: 'add',
        name: `${name} onto itself`,
        tensors: () => ({ a: normals('a'), b: specials }),
        call: (kernels, t) => kernels.add(t.float('a'), t.float('b'), t.float('a')),
        outputs: { a: 'equal' },
      },
      {
        kernel: 'scale',
        name,
        tensors: () => ({ x: normals('x') }),
        call: (kernels, t) => kernels.scale(t.float('x'), -0.75),
        outputs: { x: 'equal' },
      },
      {
        kernel: 'copy',
        name: `${name} f32`,
        tensors: () => ({ from: specials, to: f32([size], null) }),
        call: (kernels, t) => kernels.copy(t.float('from'), t.float('to')),
        outputs: { to: 'equal' },
      },
      {
        kernel: 'copy',
        name: `${name} i32`,
        tensors: () => ({ from: integers(), to: i32([size], null) }),
        call: (kernels, t) => kernels.copy(t.int('from'), t.int('to')),
        outputs: { to: 'equal' },
      },
      {
        kernel: 'copy',
        name: `${name} f64`,
        tensors: () => ({
          from: { dtype: 'f64', shape: [size], values: doubles },
          to: { dtype: 'f64', shape: [size], values: null },
        }),
        call: (kernels, t) => kernels.copy(t.f64('from'), t.f64('to')),
        outputs: { to: 'equal' },
      },
      {
        kernel: 'fill',
        name,
        tensors: () => ({ x: f32([size], null) }),
        call: (kernels, t) => kernels.fill(t.float('x'), -1.25),
        outputs: { x: 'equal' },
      },
    ];
  });
}
