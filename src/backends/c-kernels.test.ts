import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Kernels } from '../backend.ts';
import type { SparseRows } from '../tensor/sparse-rows.ts';
import { type DType, sizeOf, type Tensor } from '../tensor/tensor.ts';
import { newData } from '../tensor/view-of.ts';
import { ShapeError } from '../util/errors.ts';
import { C_KERNEL_NAMES } from './c-kernel-names.ts';
import { createCKernels } from './c-kernels.ts';

interface Run {
  kernel: string;
  parts: number | undefined;
  args: Float64Array;
}

/** A host that only writes down what it is asked to run. */
function recorder(): { kernels: Kernels; runs: Run[] } {
  const runs: Run[] = [];
  const args = new Float64Array(32);
  const kernels = createCKernels({ args, run: (kernel, parts) => runs.push({ kernel, parts, args: args.slice() }) });
  return { kernels, runs };
}

function tensor<D extends DType = 'f32'>(address: number, shape: number[], dtype = 'f32' as D): Tensor<D> {
  return { dtype, shape, address, data: newData(dtype, sizeOf(shape)) };
}

function sparse(address: number, rows: number, cols: number): SparseRows {
  const start = tensor(address, [rows + 1], 'i32');
  return { rows, cols, start, index: tensor(address + 1, [8], 'i32'), value: tensor(address + 2, [8]) };
}

describe('createCKernels', () => {
  it('knows every entry that the C files define, and no other', () => {
    const folder = new URL('../../kernels/', import.meta.url);
    const text = readdirSync(folder).map((name) =>
      name.endsWith('.c') ? readFileSync(new URL(name, folder), 'utf8') : '',
    );
    const entries = [...text.join('').matchAll(/^static void (\w+)\(const double \*args, work w\)/gm)].map((m) => m[1]);
    expect([...C_KERNEL_NAMES].sort()).toEqual(entries.sort());
  });

  it('writes the slots in the documented order', () => {
    const { kernels, runs } = recorder();
    kernels.matmul(tensor(100, [3, 2]), tensor(200, [3, 5]), tensor(300, [2, 5]), { transposeA: true });
    expect([...runs[0].args.slice(0, 11)]).toEqual([100, 200, 300, 2, 5, 3, 1, 0, 0, 5, 0]);
    const options = { lr: 0.5, beta1: 0.5, beta2: 0.75, eps: 1e-8, weightDecay: 0.1, step: 2, gradientScale: 4 };
    kernels.adamw(tensor(1, [7]), tensor(2, [7]), tensor(3, [7]), tensor(4, [7]), options);
    expect([...runs[1].args.slice(0, 13)]).toEqual([1, 2, 3, 4, 7, 0.5, 0.5, 0.75, 1e-8, 0.1, 0.75, 0.4375, 4]);
  });

  it('asks for bf16 in the last slot of a product, and for f32 where nothing is said', () => {
    const { kernels, runs } = recorder();
    const [a, w, out] = [tensor(100, [2, 3]), tensor(200, [5, 3]), tensor(300, [2, 5])];
    for (const precision of ['bf16', 'f32', undefined] as const) {
      kernels.matmul(a, w, out, { transposeB: true, ...(precision && { precision }) });
      kernels.sparseMatmul(sparse(10, 2, 3), w, out, { transposeB: true, ...(precision && { precision }) });
    }
    const dense = (precision: number) => [3, 0, 1, 0, 5, precision, 0];
    const listed = (precision: number) => [2, 5, 3, 1, 0, 5, precision];
    expect(runs.map(({ args }) => [...args.slice(5, 12)])).toEqual([
      ...[dense(1), listed(1)],
      ...[dense(0), listed(0)],
      ...[dense(0), listed(0)],
    ]);
  });

  it('runs small work on one thread and large work on all', () => {
    const { kernels, runs } = recorder();
    kernels.fill(tensor(1, [64]), 0);
    kernels.fill(tensor(1, [64, 1024]), 0);
    expect(runs.map((run) => run.parts)).toEqual([1, undefined]);
  });

  it('makes the running sum of a transpose between counting and filling, on one thread', () => {
    const { kernels, runs } = recorder();
    kernels.transposeRows(sparse(10, 3, 6), sparse(20, 6, 3));
    expect(runs.map((run) => run.kernel)).toEqual(['transpose_counts', 'prefix_sum', 'transpose_fill']);
    expect([...runs[1].args.slice(0, 2), runs[1].parts]).toEqual([20, 6, 1]);
    expect([...runs[2].args.slice(0, 8)]).toEqual([10, 11, 12, 20, 21, 22, 3, 6]);
  });

  it('copies bytes, whatever the dtype', () => {
    const { kernels, runs } = recorder();
    kernels.copy(tensor(1, [3], 'f64'), tensor(2, [3], 'f64'));
    expect([...runs[0].args.slice(0, 3)]).toEqual([1, 2, 24]);
  });

  it('refuses heads that the scratch of a thread cannot hold', () => {
    const { kernels, runs } = recorder();
    const shape = { batch: 1, seqLen: 1, nHeads: 1, nKvHeads: 1, headDim: 1026 };
    const call = () => kernels.attention(tensor(1, [1, 3078]), tensor(2, [1, 1026]), tensor(3, [1, 1]), shape);
    expect(call).toThrow(ShapeError);
    expect(call).toThrow('[attention] headDim must be at most 1024, got 1026.');
    expect(runs).toEqual([]);
  });
});
