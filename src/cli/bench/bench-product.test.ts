import { describe, expect, it } from 'vitest';
import { captureStream } from '../../../test/support/capture-stream.ts';
import { createReferenceBackend } from '../../backends/reference/reference-backend.ts';
import { StatusLine } from '../shared/status-line.ts';
import { benchProduct } from './bench-product.ts';

describe('bench product', () => {
  it('counts what is done and what a dense product would do', async () => {
    const variants = [0, 0.5, 0.9].map((sparsity) => ({ sparsifier: 'topk' as const, sparsity }));
    const rows = await benchProduct(createReferenceBackend(), { tokens: 3, inputs: 20, outputs: 7 }, variants, 0, {
      label: 'measuring',
      repeat: 1,
      progress: new StatusLine(captureStream()),
      signal: new AbortController().signal,
    });
    expect(rows.map(({ sparsity }) => sparsity)).toEqual([0, 0.5, 0.9]);
    expect(rows[0].speedupOverDense).toBe(1);
    expect(rows[1].gflopsDenseEquivalent / rows[1].gflops).toBeCloseTo(2);
    expect(rows[2].gflopsDenseEquivalent / rows[2].gflops).toBeCloseTo(10);
    for (const row of rows) {
      expect(row.gflopsDenseEquivalent * row.msPerCall * 1e6).toBeCloseTo(2 * 3 * 20 * 7);
      expect(row.speedupWithSelection).toBeLessThanOrEqual(row.speedupOverDense);
    }
  });

  it('measures blocks beside top-K, and refuses rows that they do not divide', async () => {
    const variants = (['topk', 'block'] as const).map((sparsifier) => ({ sparsifier, sparsity: 0.5 }));
    const run = (inputs: number) => {
      const all = [{ sparsifier: 'topk' as const, sparsity: 0 }, ...variants];
      return benchProduct(createReferenceBackend(), { tokens: 3, inputs, outputs: 7 }, all, 0, {
        label: 'measuring',
        repeat: 1,
        progress: new StatusLine(captureStream()),
        signal: new AbortController().signal,
      });
    };
    const rows = await run(64);
    expect(rows.map(({ sparsifier, sparsity }) => [sparsifier, sparsity])).toEqual([
      ['topk', 0],
      ['topk', 0.5],
      ['block', 0.5],
    ]);
    expect(rows[2].gflopsDenseEquivalent / rows[2].gflops).toBeCloseTo(2);
    await expect(run(40)).rejects.toThrow('blocks of 32 do not divide 40 features');
  });
});
