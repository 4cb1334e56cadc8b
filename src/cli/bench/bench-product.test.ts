import { describe, expect, it } from 'vitest';
import { captureStream } from '../../../test/support/capture-stream.ts';
import { createReferenceBackend } from '../../backends/reference/reference-backend.ts';
import { StatusLine } from '../shared/status-line.ts';
import { benchProduct } from './bench-product.ts';

describe('bench product', () => {
  it('counts what is done and what a dense product would do', async () => {
    const rows = await benchProduct(createReferenceBackend(), { tokens: 3, inputs: 20, outputs: 7 }, [0, 0.5, 0.9], 0, {
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
});
