import { describe, expect, it } from 'vitest';
import { runBackward } from '../../test/support/run-backward.ts';
import { floatTensor } from '../../test/support/tensors.ts';
import { createReferenceBackend } from '../backends/reference/reference-backend.ts';
import { type SelectionRule, sparsify } from './sparsify.ts';

const backend = createReferenceBackend();
const x = floatTensor(backend, 'f64', [2, 6], [1, -2, 0, 0.5, -0.5, 3, -1, -1, -1, 1, 1, -4]);
const dOut = floatTensor(backend, 'f64', [2, 6], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
type Rule = Exclude<SelectionRule, { keeps: 'all' }>;

const run = (rule: Rule, gradient: 'straight-through' | 'masked', input = x) =>
  runBackward(backend, input, dOut, (tape, x) => tape.apply(sparsify, { x, rule, gradient }));

/** By hand: what stays of x, and the gradient there. */
const CASES: [Rule, number[], number[]][] = [
  [{ keeps: 'largest', kept: 2 }, [0, -2, 0, 0, 0, 3, -1, 0, 0, 0, 0, -4], [0, 2, 0, 0, 0, 6, 7, 0, 0, 0, 0, 12]],
  [
    { keeps: 'largestOfBlocks', kept: 2, blockSize: 3 },
    [1, -2, 0, 0.5, 0, 3, -1, -1, 0, 1, 0, -4],
    [1, 2, 0, 4, 0, 6, 7, 8, 0, 10, 0, 12],
  ],
  [{ keeps: 'positive' }, [1, 0, 0, 0.5, 0, 3, 0, 0, 0, 1, 1, 0], [1, 0, 0, 4, 0, 6, 0, 0, 0, 10, 11, 0]],
  [
    { keeps: 'reaching', threshold: 1 },
    [1, -2, 0, 0, 0, 3, -1, -1, -1, 1, 1, -4],
    [1, 2, 0, 0, 0, 6, 7, 8, 9, 10, 11, 12],
  ],
];

describe('sparsify', () => {
  it.each(CASES)('%j: by hand', (rule, kept, masked) => {
    const result = run(rule, 'masked');
    expect(result.output).toEqual(kept);
    expect(result.dX).toEqual(masked);
    expect(result.leakedBytes).toBe(0);
    expect(run(rule, 'straight-through').output).toEqual(kept);
    expect(run(rule, 'straight-through').dX).toEqual([...dOut.data]);
  });

  it('may drop everything', () => {
    const none = floatTensor(backend, 'f64', [2, 6], new Array<number>(12).fill(-0.5));
    for (const rule of [{ keeps: 'positive' }, { keeps: 'reaching', threshold: 1 }] as const) {
      const { output, dX, leakedBytes } = run(rule, 'masked', none);
      expect([...output, ...dX].every((value) => value === 0)).toBe(true);
      expect(leakedBytes).toBe(0);
    }
  });
});
