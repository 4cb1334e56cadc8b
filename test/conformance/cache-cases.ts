/**
 * Cases of the cache of keys and values: storing in every type, and attention over slots at different positions, with and without a
 * window, across the borders of blocks and of the ring. What no token may read holds NaN.
 */

import { f16Bits } from '../../src/tensor/f16.ts';
import {
  KV_DTYPES,
  KV_TYPES,
  type KvItems,
  type KvShape,
  type KvSlots,
  type KvType,
  keyAt,
  kvShapes,
  scaleAt,
  valueAt,
} from '../../src/tensor/kv-slots.ts';
import { sizeOf, type Tensor } from '../../src/tensor/tensor.ts';
import type { Case, TensorSpec, Tensors } from './case.ts';
import { f32, i32, Values } from './values.ts';

/** New tokens of a sequence: rows from a position on. */
interface Item {
  readonly rows: number;
  readonly start: number;
  readonly slot: number;
}

interface Shape extends KvShape {
  readonly type: KvType;
  readonly nHeads: number;
  readonly window: number;
  readonly items: readonly Item[];
  /** Of keys and values: large ones make the softmax sharp. */
  readonly std?: number;
}

/** [query heads, key/value heads]: one, grouped, all on one, one each. */
const HEADS = [
  [1, 1],
  [4, 2],
  [3, 1],
  [2, 2],
  [16, 2],
] as const;

/** The tokens of a batch, the positions of a slot and the window. */
const BATCHES: readonly Pick<Shape, 'items' | 'positions' | 'slots' | 'window'>[] = [
  { slots: 1, positions: 64, window: 0, items: [{ rows: 1, start: 0, slot: 0 }] },
  { slots: 2, positions: 64, window: 0, items: [{ rows: 1, start: 63, slot: 1 }] },
  { slots: 1, positions: 192, window: 0, items: [{ rows: 1, start: 128, slot: 0 }] },
  { slots: 1, positions: 128, window: 0, items: [{ rows: 65, start: 60, slot: 0 }] },
  {
    slots: 4,
    positions: 128,
    window: 0,
    items: [
      { rows: 1, start: 5, slot: 2 },
      { rows: 17, start: 62, slot: 0 },
      { rows: 1, start: 100, slot: 3 },
      { rows: 3, start: 0, slot: 1 },
    ],
  },
  { slots: 1, positions: 64, window: 7, items: [{ rows: 5, start: 2, slot: 0 }] },
  { slots: 1, positions: 64, window: 1, items: [{ rows: 3, start: 70, slot: 0 }] },
  {
    slots: 2,
    positions: 128,
    window: 65,
    items: [
      { rows: 60, start: 300, slot: 1 },
      { rows: 1, start: 1000, slot: 0 },
    ],
  },
];

export function cacheCases(): Case[] {
  const cases: Case[] = [];
  for (const [i, batch] of BATCHES.entries()) {
    for (const [j, type] of KV_TYPES.entries()) {
      const [small, large] = [2 + 4 * ((i + j) % 2), 64 + 16 * ((i + j) % 2)];
      for (const headDim of [small, large]) {
        const [nHeads, nKvHeads] = HEADS[(i + j + Number(headDim === large)) % HEADS.length];
        const shape = { ...batch, type, nHeads, nKvHeads, headDim };
        cases.push(storeCase(shape), attentionCase(shape));
      }
    }
  }
  const long = { slots: 1, positions: 256, window: 0, items: [{ rows: 200, start: 40, slot: 0 }] };
  const heads = { nHeads: 4, nKvHeads: 2, headDim: 32 };
  return [
    ...cases,
    attentionCase({ ...long, ...heads, type: 'f32' }),
    attentionCase({ ...long, ...heads, type: 'f32', std: 6 }),
    attentionCase({ ...long, ...heads, type: 'f32', std: 0 }),
    ...KV_TYPES.map(specialStoreCase),
  ];
}

function nameOf({ type, nHeads, nKvHeads, headDim, positions, window, items, std = 1 }: Shape): string {
  const tokens = items.map(({ rows, start, slot }) => `${rows} from ${start} in ${slot}`).join(', ');
  return `${type}: ${tokens}; ring ${positions}, window ${window}, ${nHeads}/${nKvHeads} heads of ${headDim}, size ${std}`;
}

const widthOf = ({ nHeads, nKvHeads, headDim }: Shape) => (nHeads + 2 * nKvHeads) * headDim;
const rowsOf = ({ items }: Shape) => items.reduce((sum, { rows }) => sum + rows, 0);

function qkvSpec(shape: Shape, name: string): TensorSpec {
  const [N, width] = [rowsOf(shape), widthOf(shape)];
  return f32([N, width], new Values(name).normals(N * width, shape.std ?? 1));
}

function itemsSpec({ items }: Shape): TensorSpec {
  let first = 0;
  const table = items.flatMap(({ rows, start, slot }) => {
    first += rows;
    return [first - rows, rows, start, slot];
  });
  return i32([items.length, 4], table);
}

function kvOf(t: Tensors, { slots, positions, nKvHeads, headDim, type }: Shape): KvSlots {
  const scale = (name: string) => (type === 'int8' ? t.f32(name) : null);
  const scales = { keyScale: scale('keyScale'), valueScale: scale('valueScale') };
  return { type, slots, positions, nKvHeads, headDim, keys: t.any('keys'), values: t.any('values'), ...scales };
}

const itemsOf = (t: Tensors): KvItems => t.i32('items');

/** The cache before anything is stored: what no kernel writes must stay as it is. */
function emptyCache(shape: Shape): Record<string, TensorSpec> {
  const { keys, values, scales } = kvShapes(shape);
  const old = (dims: readonly number[]) => Float32Array.from({ length: sizeOf(dims) }, (_, i) => (i % 89) + 1);
  const dtype = KV_DTYPES[shape.type];
  return {
    keys: { dtype, shape: keys, values: old(keys) },
    values: { dtype, shape: values, values: old(values) },
    ...(shape.type === 'int8' && { keyScale: f32(scales, old(scales)), valueScale: f32(scales, old(scales)) }),
  };
}

/** Every element that is stored has one right value; an 8-bit one may not even differ where it is halfway between two. */
const STORED = { keys: 'equal', values: 'equal' } as const;
const STORED_SCALES = { keyScale: 'equal', valueScale: 'equal' } as const;

function storeCase(shape: Shape): Case {
  const name = nameOf(shape);
  return {
    kernel: 'storeKv',
    name,
    tensors: () => ({ qkv: qkvSpec(shape, name), items: itemsSpec(shape), ...emptyCache(shape) }),
    call: (kernels, t) => kernels.storeKv(t.f32('qkv'), itemsOf(t), kvOf(t, shape)),
    outputs: { ...STORED, ...(shape.type === 'int8' && STORED_SCALES) },
  };
}

/** Zeros of both signs, halves of the last place, subnormal, too large and very small numbers. */
function specialStoreCase(type: KvType): Case {
  const special = [0, -0, 1, 1 + 2 ** -11, -1 - 3 * 2 ** -11, 65504, 65519, -65520, 2 ** -14, 2 ** -24, 2 ** -25, 3e-6];
  const heads = { nHeads: 1, nKvHeads: 1, headDim: special.length };
  const shape: Shape = { ...heads, type, slots: 1, positions: 64, window: 0, items: [{ rows: 3, start: 0, slot: 0 }] };
  const qkv = Float32Array.from({ length: rowsOf(shape) * widthOf(shape) }, (_, i) =>
    // The second row is zeros: its scale in 8 bits is 0.
    Math.floor(i / widthOf(shape)) === 1 ? 0 : special[(i * 5) % special.length],
  );
  const testCase = storeCase(shape);
  const tensors = () => ({ ...testCase.tensors(), qkv: f32([3, widthOf(shape)], qkv) });
  return { ...testCase, name: `${type}: special numbers`, tensors };
}

function attentionCase(shape: Shape): Case {
  const name = nameOf(shape);
  const seen = shape.items.reduce((sum, { start, rows }) => sum + start + rows, 0);
  return {
    kernel: 'attentionCached',
    name,
    tensors: () => ({
      qkv: qkvSpec(shape, name),
      items: itemsSpec(shape),
      ...filledCache(shape, name),
      out: f32([rowsOf(shape), shape.nHeads * shape.headDim], null),
    }),
    call: (kernels, t) => kernels.attentionCached(t.f32('qkv'), itemsOf(t), kvOf(t, shape), shape.window, t.f32('out')),
    // Over one key nothing is rounded.
    outputs: { out: seen === 1 ? 'equal' : { magnitude: Math.max(shape.std ?? 1, 1) } },
  };
}

/** Keys and values at the positions that the items may read; NaN, or what is read as NaN, everywhere else. */
function filledCache(shape: Shape, name: string): Record<string, TensorSpec> {
  const { type, nKvHeads, headDim, positions, window, items, std = 1 } = shape;
  const values = new Values(`cache ${name}`);
  const { keys, values: valueDims, scales } = kvShapes(shape);
  const never = type === 'f16' ? f16Bits(Number.NaN) : Number.NaN;
  const [keyData, valueData] = [keys, valueDims].map((dims) => new Array<number>(sizeOf(dims)).fill(never));
  const [keyScale, valueScale] = [0, 1].map(() => new Array<number>(sizeOf(scales)).fill(Number.NaN));
  const element = () => {
    if (type === 'int8') return values.below(255) - 127;
    const [x] = values.normals(1, std);
    return type === 'f16' ? f16Bits(x) : x;
  };
  for (const { start, rows, slot } of items) {
    const oldest = window === 0 ? 0 : Math.max(0, start - window + 1);
    for (let position = oldest; position < start + rows; position++) {
      const place = position % positions;
      for (let head = 0; head < nKvHeads; head++) {
        const at = scaleAt(shape, slot, head, place);
        [keyScale[at], valueScale[at]] = [values.uniform() / 60, values.uniform() / 60];
        for (let d = 0; d < headDim; d++) {
          keyData[keyAt(shape, slot, head, place, d)] = element();
          valueData[valueAt(shape, slot, head, place, d)] = element();
        }
      }
    }
  }
  const dtype: Tensor['dtype'] = KV_DTYPES[type];
  return {
    keys: { dtype, shape: keys, values: keyData },
    values: { dtype, shape: valueDims, values: valueData },
    ...(type === 'int8' && { keyScale: f32(scales, keyScale), valueScale: f32(scales, valueScale) }),
  };
}
