import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Backend } from './backend.ts';
import { view } from './tensor/tensor.ts';
import { bucketBytes, TensorPool } from './tensor-pool.ts';
import { BackendError, ShapeError } from './util/errors.ts';

/** A backend that only counts: addresses are unique, and memory is refused over `limitBytes`. */
function countingBackend(limitBytes = Number.POSITIVE_INFINITY) {
  const state = { bytes: 0, nextAddress: 4096 };
  const backend = {
    allocate(_dtype: string, length: number) {
      if (state.bytes + length * 8 > limitBytes) throw new BackendError('test', 'memory is exhausted.');
      state.bytes += length * 8;
      const address = state.nextAddress;
      state.nextAddress += length * 8;
      return { data: new Float64Array(length), address };
    },
    free(memory: { data: ArrayBufferView }) {
      state.bytes -= memory.data.byteLength;
    },
  } as unknown as Backend;
  return { backend, state };
}

describe('bucketBytes', () => {
  it('holds the size, wastes at most a ninth of the block and is a multiple of a cache line', () => {
    fc.assert(
      fc.property(fc.integer({ min: 513, max: 2 ** 40 }), (bytes) => {
        const bucket = bucketBytes(bytes);
        expect(bucket).toBeGreaterThanOrEqual(bytes);
        expect((bucket - bytes) / bucket).toBeLessThan(1 / 9);
        expect(bucketBytes(bucket)).toBe(bucket);
        expect(bucket % 32).toBe(0);
      }),
    );
    expect(bucketBytes(0)).toBe(512);
    expect(bucketBytes(1024)).toBe(1024);
    expect(bucketBytes(1025)).toBe(1152);
  });
});

describe('TensorPool', () => {
  it('hands a released block to the next tensor of about its size, whatever the dtype', () => {
    const { backend } = countingBackend();
    const pool = new TensorPool(backend);
    const first = pool.take('f32', [30, 40]);
    pool.release(first);
    const second = pool.take('i32', [1190]);
    expect(second.address).toBe(first.address);
    expect(second.data).toBeInstanceOf(Int32Array);
    expect(second.data.length).toBe(1190);
    const third = pool.take('f32', [30, 40]);
    expect(third.address).not.toBe(first.address);
  });

  it('counts live, peak and held bytes', () => {
    const { backend, state } = countingBackend();
    const pool = new TensorPool(backend);
    const a = pool.take('f64', [128]);
    const b = pool.take('f64', [256]);
    expect(pool.liveBytes).toBe(1024 + 2048);
    pool.release(a);
    pool.release(b);
    expect([pool.liveBytes, pool.peakBytes, pool.heldBytes]).toEqual([0, 3072, 3072]);
    const c = pool.take('f64', [256]);
    pool.trim();
    expect([pool.liveBytes, pool.heldBytes, state.bytes]).toEqual([2048, 2048, 2048]);
    pool.release(c);
    pool.trim();
    expect(state.bytes).toBe(0);
  });

  it('takeZeroed clears what an earlier tensor left', () => {
    const pool = new TensorPool(countingBackend().backend);
    const dirty = pool.take('f32', [100]);
    dirty.data.fill(7);
    pool.release(dirty);
    const clean = pool.takeZeroed('f32', [10, 10]);
    expect(clean.address).toBe(dirty.address);
    expect(Math.max(...clean.data)).toBe(0);
  });

  it('refuses a second release, a view and a tensor of another pool', () => {
    const pool = new TensorPool(countingBackend().backend);
    const tensor = pool.take('f32', [4, 4]);
    expect(() => pool.release(view(tensor, [4, 4]))).toThrow(BackendError);
    expect(() => new TensorPool(countingBackend().backend).release(tensor)).toThrow(BackendError);
    pool.release(tensor);
    expect(() => pool.release(tensor)).toThrow(/\[TensorPool\].*released before/);
  });

  it('takes empty shapes and scalars, and refuses what is no shape', () => {
    const pool = new TensorPool(countingBackend().backend);
    expect(pool.take('f32', [0, 5]).data.length).toBe(0);
    expect(pool.take('f32', []).data.length).toBe(1);
    expect(() => pool.take('f32', [2.5])).toThrow(ShapeError);
    expect(() => pool.take('f32', [-1])).toThrow(ShapeError);
    expect(() => pool.take('f32', [Number.NaN])).toThrow(ShapeError);
  });

  it('holds little more than the peak of what was live, however the sizes drift', () => {
    const { backend, state } = countingBackend();
    const pool = new TensorPool(backend);
    const steady = pool.take('f32', [100_000]);
    for (let size = 90_000; size > 1000; size = Math.floor(0.93 * size)) pool.release(pool.take('f32', [size]));
    expect(pool.heldBytes).toBe(state.bytes);
    expect(pool.heldBytes).toBeLessThanOrEqual(1.05 * pool.peakBytes);
    expect(pool.liveBytes).toBeGreaterThanOrEqual(steady.data.byteLength);
  });

  it('gives waiting blocks of other sizes back before it reports that the memory is exhausted', () => {
    const pool = new TensorPool(countingBackend(4096).backend);
    pool.release(pool.take('f64', [256]));
    const large = pool.take('f64', [512]);
    expect(pool.heldBytes).toBe(4096);
    expect(() => pool.take('f64', [1])).toThrow(BackendError);
    pool.release(large);
  });
});
