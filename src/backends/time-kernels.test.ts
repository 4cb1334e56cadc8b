import { describe, expect, it } from 'vitest';
import type { Backend, Kernels } from '../backend.ts';
import type { FloatTensor } from '../tensor/tensor.ts';
import { timeBackend, timeKernels } from './time-kernels.ts';

const tensor: FloatTensor = { dtype: 'f32', shape: [1], data: new Float32Array(1), address: 0 };

function table(): Kernels {
  return {
    scale(x: FloatTensor, factor: number) {
      const until = performance.now() + 5;
      while (performance.now() < until);
      x.data[0] = factor;
    },
    fill() {
      throw new Error('broken');
    },
    add() {},
  } as unknown as Kernels;
}

describe('timeKernels', () => {
  it('passes the call through, counts it and its time', () => {
    const timer = timeKernels(table());
    timer.kernels.scale(tensor, 3);
    timer.kernels.scale(tensor, 4);
    expect(tensor.data[0]).toBe(4);
    expect(timer.totals.get('scale')?.calls).toBe(2);
    expect(timer.ms(['scale'])).toBeGreaterThanOrEqual(9.9);
    expect(timer.ms(['add'])).toBe(0);
    expect(timer.ms(['scale', 'add'])).toBe(timer.ms(['scale']));
  });

  it('counts a call that throws and lets the error through', () => {
    const timer = timeKernels(table());
    expect(() => timer.kernels.fill(tensor, 0)).toThrow('broken');
    expect(timer.totals.get('fill')?.calls).toBe(1);
  });

  it('starts again from 0 after reset', () => {
    const timer = timeKernels(table());
    timer.kernels.scale(tensor, 1);
    timer.reset();
    expect(timer.totals.get('scale')).toEqual({ ms: 0, calls: 0 });
  });
});

describe('timeBackend', () => {
  it('keeps name, threads and memory of the backend below, also where they sit on a class', () => {
    class Fake implements Backend {
      #allocated = 0;
      readonly name = 'reference';
      readonly description = 'fake';
      readonly threads = 3;
      readonly bf16 = true;
      readonly kernels = table();
      allocate(_: unknown, length: number): never {
        this.#allocated += length;
        return { data: new Float32Array(length), address: this.#allocated } as never;
      }
      free() {}
      dispose() {}
    }
    const { backend, timer } = timeBackend(new Fake());
    expect([backend.name, backend.threads, backend.bf16]).toEqual(['reference', 3, true]);
    expect(backend.allocate('f32', 7).address).toBe(7);
    backend.kernels.scale(tensor, 2);
    expect(timer.totals.get('scale')?.calls).toBe(1);
  });
});
