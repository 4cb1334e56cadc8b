/**
 * What a kernel sees of a tensor is the same on every backend: its shape, in any number of extents, and not how much memory is behind it; and rounding
 * to 8 bits goes by the rounded product, not by the exact one.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Arena as Memory } from '../../src/arena.ts';
import type { Backend } from '../../src/backend.ts';
import { KV_BLOCK, kvShapes } from '../../src/tensor/kv-slots.ts';
import type { DType, Tensor } from '../../src/tensor/tensor.ts';
import { PROPERTY_BACKENDS } from './property-backends.ts';

for (const { name, missing, create } of PROPERTY_BACKENDS) {
  describe.skipIf(missing !== null)(`tensors on ${name}${missing ? ` (${missing})` : ''}`, () => {
    let backend: Backend;
    let memory: Memory;
    beforeAll(async () => {
      backend = await create();
      memory = new Memory(backend);
    });
    afterAll(() => {
      memory?.free();
      backend?.dispose();
    });

    const counted = <D extends DType>(dtype: D, shape: readonly number[]): Tensor<D> => {
      const tensor = memory.tensor(dtype, shape);
      for (const i of tensor.data.keys()) tensor.data[i] = (i % 7) - 3;
      return tensor;
    };
    const as = <T extends Tensor>(tensor: T, shape: readonly number[]): T => ({ ...tensor, shape });

    it('are matrices whose rows may stand in several extents', () => {
      const { kernels } = backend;
      const [a, b] = [counted('f32', [6, 4]), counted('f32', [4, 5])];
      const [flat, deep] = [memory.tensor('f32', [6, 5]), memory.tensor('f32', [2, 3, 5])];
      kernels.matmul(a, b, flat);
      kernels.matmul(as(a, [2, 3, 4]), b, deep);
      expect(deep.data).toEqual(flat.data);

      const gateUp = counted('f32', [6, 8]);
      const [hidden, deepHidden] = [memory.tensor('f32', [6, 4]), memory.tensor('f32', [2, 3, 4])];
      kernels.glu(gateUp, 'relu2', hidden);
      kernels.glu(as(gateUp, [2, 3, 8]), 'relu2', deepHidden);
      expect(deepHidden.data).toEqual(hidden.data);

      const turned = memory.tensor('f32', [4, 6]);
      kernels.transpose(as(a, [3, 2, 4]), turned);
      expect([...turned.data.subarray(0, 6)]).toEqual([0, 1, 2, 3, 4, 5].map((row) => a.data[4 * row]));
    });

    it('are one row where they are vectors', () => {
      const x = counted('f32', [9]);
      const sums = memory.tensor('f64', [1]);
      backend.kernels.sumSquares(x, sums, 0, 9);
      expect(sums.data[0]).toBe(x.data.reduce((sum, value) => sum + value * value, 0));
    });

    it('end where their shape does, not their memory', () => {
      const [x, weight] = [counted('f32', [2, 3]), counted('f32', [8])];
      const [out, rstd] = [memory.tensor('f32', [4, 3]), memory.tensor('f32', [8])];
      backend.kernels.rmsNorm(x, as(weight, [3]), 1e-5, as(out, [2, 3]), as(rstd, [2]));
      expect([...out.data.subarray(6)]).toEqual(Array(6).fill(0));
      expect([...rstd.data.subarray(2)]).toEqual(Array(6).fill(0));
    });

    it('are copied to the last byte', () => {
      for (const dtype of ['u8', 'i8', 'u16', 'f32', 'f64'] as const) {
        const from = counted(dtype, [7]);
        const to = memory.tensor(dtype, [7]);
        backend.kernels.copy(from, to);
        expect(to.data).toEqual(from.data);
      }
    });

    it('are rounded to 8 bits by their rounded products', () => {
      const headDim = 8;
      const kv = { type: 'int8' as const, slots: 1, positions: KV_BLOCK, nKvHeads: 1, headDim };
      const shapes = kvShapes(kv);
      const [keys, values] = [memory.tensor('i8', shapes.keys), memory.tensor('i8', shapes.values)];
      const [keyScale, valueScale] = [memory.tensor('f32', shapes.scales), memory.tensor('f32', shapes.scales)];
      const items = memory.tensor('i32', [1, 4]);
      items.data.set([0, 1, 0, 0]);
      const qkv = memory.tensor('f32', [1, 3 * headDim]);
      for (const { largest, halves } of roundedHalves(headDim - 1)) {
        qkv.data.set([largest, ...halves], 2 * headDim);
        backend.kernels.storeKv(qkv, items, { ...kv, keys, values, keyScale, valueScale });
        const factor = Math.fround(127 / largest);
        const wanted = halves.map((half) => toEven(Math.fround(half * factor)));
        expect([...values.data.subarray(0, headDim)]).toEqual([127, ...wanted]);
      }
    });
  });
}

/** Values whose product with 127 / largest lies on a half when it is rounded to f32, and beside it, towards the odd number, when it is not. */
function roundedHalves(count: number): { largest: number; halves: number[] }[] {
  return [1.7, 2.9, 3.3].map((value) => {
    const largest = Math.fround(value);
    const factor = Math.fround(127 / largest);
    const halves: number[] = [];
    for (let whole = 64; halves.length < count; whole = whole < 120 ? whole + 1 : 64) {
      const near = new Float32Array([(whole + 0.5) / factor]);
      const bits = new Int32Array(near.buffer);
      const begin = bits[0];
      for (let step = -4; step <= 4 && halves.length < count; step++) {
        bits[0] = begin + step;
        const exact = near[0] * factor;
        const rounded = Math.fround(exact);
        if (rounded % 1 === 0.5 && rounded !== exact && toEven(rounded) !== Math.round(exact)) halves.push(near[0]);
      }
    }
    return { largest, halves };
  });
}

/** Of a positive number, halves to the even one. */
function toEven(x: number): number {
  const below = Math.floor(x);
  if (x - below !== 0.5) return Math.round(x);
  return below % 2 === 0 ? below : below + 1;
}
