/**
 * Cases of the products with stored weights: every layout, lists and dense rows, row strides, groups of scales, borders of tiles, and the
 * largest integers that can occur.
 */

import type { QuantizedRows } from '../../src/tensor/quantized-rows.ts';
import {
  isQuantized,
  WEIGHT_TYPES,
  type WeightMatrix,
  type WeightType,
  weightRowBytes,
} from '../../src/tensor/weight-matrix.ts';
import type { Case, TensorSpec, Tensors } from './case.ts';
import { f32, rowsSpec, Values } from './values.ts';

interface Shape {
  readonly dtype: WeightType;
  readonly tokens: number;
  readonly k: number;
  readonly n: number;
  /** Share of zeros of the input; null: dense. */
  readonly zeros: number | null;
  readonly accumulate?: boolean;
  /** Bytes behind what a row needs. */
  readonly slack?: number;
  readonly groupRows?: number;
  /** All weights and inputs at their largest. */
  readonly worst?: boolean;
}

export function weightCases(): Case[] {
  const shapes = WEIGHT_TYPES.flatMap((dtype) => shapesOf(dtype));
  return [
    ...shapes.map((shape) => productCase('weightMatvec', shape)),
    ...shapes.map((shape) => productCase('weightMatmul', shape)),
    ...WEIGHT_TYPES.flatMap(dotCases),
    ...WEIGHT_TYPES.flatMap(rowsCases),
  ];
}

function shapesOf(dtype: WeightType): Shape[] {
  const shapes: Shape[] = [];
  for (const tokens of [1, 2, 5, 33]) {
    for (const [k, n] of [
      [1, 1],
      [7, 33],
      [64, 130],
      [131, 257],
    ]) {
      for (const zeros of [null, 0.6]) shapes.push({ dtype, tokens, k, n, zeros, accumulate: (tokens + k) % 2 === 0 });
    }
  }
  shapes.push(
    { dtype, tokens: 1, k: 300, n: 700, zeros: 0.5, slack: 64 },
    { dtype, tokens: 40, k: 300, n: 140, zeros: 0.6, slack: 64 },
    { dtype, tokens: 40, k: 150, n: 140, zeros: null },
    { dtype, tokens: 3, k: 200, n: 96, zeros: 0.95 },
    { dtype, tokens: 3, k: 64, n: 40, zeros: 1 },
    { dtype, tokens: 2, k: 200, n: 2100, zeros: 0.6, accumulate: true },
  );
  if (dtype === 'int8') {
    shapes.push(
      { dtype, tokens: 1, k: 300, n: 100, zeros: 0.6, groupRows: 128 },
      { dtype, tokens: 40, k: 300, n: 100, zeros: 0.6, groupRows: 128 },
      { dtype, tokens: 3, k: 300, n: 100, zeros: null, groupRows: 32 },
    );
  }
  if (dtype === 'int8' || dtype === 'ternary') {
    shapes.push(
      { dtype, tokens: 1, k: 9000, n: 37, zeros: null, worst: true },
      { dtype, tokens: 5, k: 9000, n: 37, zeros: null, worst: true },
      { dtype, tokens: 2, k: 9000, n: 37, zeros: 0.2, worst: true },
    );
  }
  return shapes;
}

function productCase(kernel: 'weightMatvec' | 'weightMatmul', shape: Shape): Case {
  const { tokens, k, n, accumulate = false } = shape;
  const name = `${JSON.stringify(shape)}`;
  return {
    kernel,
    name,
    tensors: () => ({
      ...inputSpec(shape, name),
      ...weightSpec(shape, k, n, 'cols', name),
      out: f32([tokens, n], accumulate ? new Values(`out ${name}`).normals(tokens * n) : null),
    }),
    call: (kernels, t) =>
      kernels[kernel](inputOf(t, shape), weightsOf(t, shape, k, n, 'cols'), t.f32('out'), { accumulate }),
    outputs: { out: { magnitude: Math.sqrt(k) } },
  };
}

function dotCases(dtype: WeightType): Case[] {
  const shapes = [
    [1, 1, 1],
    [1, 70, 129],
    [3, 33, 64],
    [20, 40, 300],
    [1, 300, 576],
    [15, 37, 9000],
  ];
  return shapes.flatMap(([tokens, n, k]) =>
    [false, true].map((listed): Case => {
      // Of many features the sums are as large as they can be.
      const worst = isQuantized(dtype) && k === 9000;
      const shape: Shape = { dtype, tokens, k, n, zeros: null, slack: n % 2 === 0 ? 64 : 0, worst };
      const name = `${JSON.stringify(shape)}${listed ? ' at a list' : ''}`;
      const at = new Values(`at ${name}`).sparse(tokens * n, 0.7).map((x) => (x === 0 ? 0 : 1));
      const count = at.reduce((sum, one) => sum + one, 0);
      return {
        kernel: 'weightDots',
        name,
        tensors: () => ({
          ...inputSpec(shape, name),
          ...weightSpec(shape, n, k, 'rows', name),
          ...(listed ? rowsSpec('at', at, tokens, n) : {}),
          out: f32(listed ? [count] : [tokens, n], null),
        }),
        call: (kernels, t) => {
          const options = listed ? { at: t.rows('at', tokens, n) } : {};
          kernels.weightDots(inputOf(t, shape), weightsOf(t, shape, n, k, 'rows'), t.f32('out'), options);
        },
        outputs: { out: { magnitude: Math.sqrt(k) } },
      };
    }),
  );
}

function rowsCases(dtype: WeightType): Case[] {
  const shapes = [
    [1, 1, 1],
    [3, 5, 33],
    [40, 70, 300],
  ];
  return shapes.map(([tokens, rows, cols]): Case => {
    const shape: Shape = { dtype, tokens, k: rows, n: cols, zeros: null, slack: rows === 5 ? 64 : 0 };
    const name = JSON.stringify(shape);
    return {
      kernel: 'weightRows',
      name,
      tensors: () => ({
        ids: {
          dtype: 'i32',
          shape: [tokens],
          values: Array.from({ length: tokens }, (_, i) => (i * 7 + rows - 1) % rows),
        },
        ...weightSpec(shape, rows, cols, 'rows', name),
        out: f32([tokens, cols], null),
      }),
      call: (kernels, t) => kernels.weightRows(t.i32('ids'), weightsOf(t, shape, rows, cols, 'rows'), t.f32('out')),
      outputs: { out: 'equal' },
    };
  });
}

/** `x`, as f32 or as 8-bit values with a scale a row. */
function inputSpec({ dtype, tokens, k, zeros, worst }: Shape, name: string): Record<string, TensorSpec> {
  const values = new Values(`x ${name}`);
  const size = tokens * k;
  const keep = Array.from({ length: size }, () => zeros === null || values.uniform() >= zeros);
  if (!isQuantized(dtype)) {
    const dense = values.normals(size).map((x, i) => (keep[i] ? x : 0));
    return zeros === null ? { x: f32([tokens, k], dense) } : rowsSpec('x', dense, tokens, k);
  }
  const whole = Float32Array.from(keep, (kept) => {
    if (!kept) return 0;
    if (worst) return 127;
    return (values.below(127) + 1) * (values.uniform() < 0.5 ? -1 : 1);
  });
  const scale = f32(
    [tokens],
    Float32Array.from({ length: tokens }, () => (1 + values.uniform()) / 127),
  );
  if (zeros === null) return { 'x.value': { dtype: 'i8', shape: [tokens, k], values: whole }, 'x.scale': scale };
  const list = rowsSpec('x', whole, tokens, k);
  return { ...list, 'x.value': { ...list['x.value'], dtype: 'i8' }, 'x.scale': scale };
}

function inputOf(t: Tensors, { dtype, tokens, k, zeros }: Shape) {
  if (!isQuantized(dtype)) return (zeros === null ? t.f32('x') : t.rows('x', tokens, k)) as never;
  const list = zeros === null ? null : { start: t.i32('x.start'), index: t.i32('x.index') };
  return quantizedOf(t, 'x', tokens, k, list);
}

export function quantizedOf(
  t: Tensors,
  name: string,
  rows: number,
  cols: number,
  list: Pick<QuantizedRows, 'start' | 'index'> | null,
): QuantizedRows {
  const { start, index } = list ?? { start: null, index: null };
  return { rows, cols, start, index, value: t.i8(`${name}.value`), scale: t.f32(`${name}.scale`) };
}

const scaleSize = (axis: WeightMatrix['scaleAxis'], rows: number, cols: number, groupRows: number) =>
  axis === 'rows' ? rows : Math.ceil(rows / groupRows) * cols;

const strideOf = ({ dtype, slack = 0 }: Shape, cols: number) => Math.ceil(weightRowBytes(dtype, cols) / 4) * 4 + slack;

/** Random bytes are weights of int8; of f32, bf16 and ternary each has its own look. */
function weightSpec(
  shape: Shape,
  rows: number,
  cols: number,
  axis: WeightMatrix['scaleAxis'],
  name: string,
): Record<string, TensorSpec> {
  const { dtype, groupRows = rows, worst } = shape;
  const rowBytes = strideOf(shape, cols);
  const values = new Values(`w ${name}`);
  const bytes = new Uint8Array(rows * rowBytes);
  const size = (rows - 1) * rowBytes + weightRowBytes(dtype, cols);
  const view = new DataView(bytes.buffer);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < rowBytes; i += 4) {
      const at = row * rowBytes + i;
      const [a, b] = values.normals(2);
      if (dtype === 'f32') view.setFloat32(at, a, true);
      else if (dtype === 'bf16') bf16Pair(view, at, a, b);
      else for (let j = 0; j < 4; j++) bytes[at + j] = worst ? worstByte(dtype) : someByte(dtype, values);
    }
  }
  const spec: Record<string, TensorSpec> = { w: { dtype: 'u8', shape: [size], values: bytes.subarray(0, size) } };
  if (isQuantized(dtype)) {
    const count = scaleSize(axis, rows, cols, groupRows);
    spec.wScale = f32(
      [count],
      Float32Array.from({ length: count }, () => (1 + values.uniform()) / 127),
    );
  }
  return spec;
}

function bf16Pair(view: DataView, at: number, a: number, b: number): void {
  const bits = new Uint32Array(Float32Array.of(a, b).buffer);
  view.setUint16(at, bits[0] >>> 16, true);
  view.setUint16(at + 2, bits[1] >>> 16, true);
}

/** -127 .. 127, or four codes of 0 .. 2. */
function someByte(dtype: WeightType, values: Values): number {
  if (dtype === 'int8') return (values.below(255) - 127) & 255;
  let byte = 0;
  for (let shift = 0; shift < 8; shift += 2) byte |= values.below(3) << shift;
  return byte;
}

/** -127, or four codes of +1. */
const worstByte = (dtype: WeightType) => (dtype === 'int8' ? 129 : 0b10101010);

function weightsOf(
  t: Tensors,
  shape: Shape,
  rows: number,
  cols: number,
  scaleAxis: WeightMatrix['scaleAxis'],
): WeightMatrix {
  const { dtype, groupRows = rows } = shape;
  const scale = isQuantized(dtype) ? t.f32('wScale') : null;
  return { dtype, rows, cols, rowBytes: strideOf(shape, cols), data: t.u8('w'), scale, scaleAxis, groupRows };
}
