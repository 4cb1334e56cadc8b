import { describe, expect, it } from 'vitest';
import { runBackward } from '../../test/support/run-backward.ts';
import { floatTensor } from '../../test/support/tensors.ts';
import { createReferenceBackend } from '../backends/reference/reference-backend.ts';
import { add } from '../ops/add.ts';
import { TensorPool } from '../tensor-pool.ts';
import type { Op } from './op.ts';
import { Tape } from './tape.ts';
import { Value } from './value.ts';

const backend = createReferenceBackend();
const row = (...values: number[]) => floatTensor(backend, 'f64', [1, values.length], values);

/** out = 3 x, and its gradient changed in place. */
const triple: Op<{ x: Value }, { x: Value }> = {
  name: 'triple',
  forward(tape, { x }) {
    const dense = tape.take(x.shape);
    tape.kernels.copy(x.dense!, dense);
    tape.kernels.scale(dense, 3);
    return { output: new Value(x.shape, { dense }), saved: { x }, keep: [] };
  },
  backward(tape, { x }, dOut) {
    const dense = tape.exclusive(tape.denseForm(dOut));
    tape.kernels.scale(dense, 3);
    tape.addGradient(x, { dense, rows: null });
  },
};

function newTape(recording: boolean): { tape: Tape; pool: TensorPool } {
  const pool = new TensorPool(backend);
  return { tape: new Tape(backend.kernels, pool, { dtype: 'f64', recording }), pool };
}

describe('Tape', () => {
  it('adds up the gradients of all consumers of a value', () => {
    const result = runBackward(backend, row(1, 2), row(10, 100), (tape, x) => tape.apply(add, { a: x, b: x }));
    expect(result.output).toEqual([2, 4]);
    expect(result.dX).toEqual([20, 200]);
  });

  it('does not let an in-place gradient disturb another holder of the same buffer', () => {
    // d(x + 3 x + 3 (3 x)): the two additions share one gradient buffer between them.
    const result = runBackward(backend, row(1), row(1), (tape, x) => {
      const tripled = tape.apply(triple, { x });
      const sum = tape.apply(add, { a: x, b: tripled });
      return tape.apply(add, { a: sum, b: tape.apply(triple, { x: tripled }) });
    });
    expect(result.output).toEqual([13]);
    expect(result.dX).toEqual([13]);
  });

  it('skips ops whose output nobody used', () => {
    const result = runBackward(backend, row(1), row(5), (tape, x) => {
      tape.apply(triple, { x });
      return tape.apply(triple, { x });
    });
    expect(result.dX).toEqual([15]);
  });

  it('holds one block at a time when it does not record', () => {
    const { tape, pool } = newTape(false);
    let x = new Value([1, 1000], { dense: tape.take([1, 1000]) });
    const oneBuffer = pool.liveBytes;
    for (let layer = 0; layer < 10; layer++) {
      x = tape.scope(x, (x) => tape.apply(triple, { x: tape.apply(triple, { x }) }));
      expect(pool.liveBytes).toBe(oneBuffer);
    }
    expect(pool.peakBytes).toBe(3 * oneBuffer);
  });

  it('keeps what an op named, and nothing else, until its backward is done', () => {
    const { tape, pool } = newTape(true);
    const keeping: Op<{ x: Value }, null> = {
      name: 'keeping',
      forward: (tape, { x }) => {
        const needed = tape.take([1, 1000]);
        tape.take([1, 5000]);
        return { output: new Value(x.shape, { dense: tape.take(x.shape) }), saved: null, keep: [needed] };
      },
      backward: () => {},
    };
    const x = new Value([1, 1000], { dense: tape.take([1, 1000]) });
    const oneBuffer = pool.liveBytes;
    tape.scope(x, (x) => tape.apply(keeping, { x }));
    expect(pool.liveBytes).toBe(2 * oneBuffer);
    tape.backward();
    expect(pool.liveBytes).toBe(oneBuffer);
    tape.dispose();
    expect(pool.liveBytes).toBe(0);
  });

  it('gives everything back after an error in the middle', () => {
    const { tape, pool } = newTape(true);
    const x = new Value([1, 8], { dense: tape.take([1, 8]) });
    expect(() =>
      tape.scope(x, (x) => {
        tape.apply(triple, { x });
        throw new Error('stop');
      }),
    ).toThrow('stop');
    tape.dispose();
    expect(pool.liveBytes).toBe(0);
  });
});
