/**
 * Runs ops on a tape of their own and gives back what arrived: the gradient of chosen inputs for a given gradient of the output.
 */

import type { Op } from '../../src/autograd/op.ts';
import { Tape } from '../../src/autograd/tape.ts';
import { Value } from '../../src/autograd/value.ts';
import type { Backend } from '../../src/backend.ts';
import type { FloatTensor } from '../../src/tensor/tensor.ts';
import { TensorPool } from '../../src/tensor-pool.ts';

/** The root of a backward pass: hands a given gradient to its input. */
const root: Op<{ x: Value; dX: FloatTensor }, { x: Value; dX: FloatTensor }, number> = {
  name: 'root',
  forward: (_tape, saved) => ({ output: 0, saved, keep: [] }),
  backward(tape, { x, dX }) {
    const { dense } = tape.gradientTarget(x);
    tape.kernels.copy(dX, dense);
  },
};

/** Passes its input on and remembers the gradient that comes back, before the tape lets go of it. */
function probe(seen: { gradient: number[] }): Op<{ x: Value }, { x: Value }> {
  return {
    name: 'probe',
    forward: (_tape, { x }) => ({ output: new Value(x.shape, { dense: x.dense }), saved: { x }, keep: [] }),
    backward(tape, _saved, dOut) {
      seen.gradient = Array.from(tape.denseForm(dOut).data);
    },
  };
}

export interface BackwardResult {
  output: number[];
  /** Gradient of the input x. */
  dX: number[];
  flops: number;
  /** Bytes of the pool still in use after the backward pass: must be 0. */
  leakedBytes: number;
}

/** output = body(x) and dX for dOut. */
export function runBackward(
  backend: Backend,
  x: FloatTensor,
  dOut: FloatTensor,
  body: (tape: Tape, x: Value) => Value,
): BackwardResult {
  const pool = new TensorPool(backend);
  const tape = new Tape(backend.kernels, pool, { dtype: x.dtype as 'f32' | 'f64', recording: true });
  const seen = { gradient: [] as number[] };
  const dense = tape.take(x.shape);
  backend.kernels.copy(x, dense);
  let output: number[] = [];
  const input = new Value([x.shape[0], x.shape[1]], { dense });
  tape.scope(input, (input) => {
    const result = body(tape, tape.apply(probe(seen), { x: input }));
    output = Array.from(tape.denseForm(result).data);
    tape.apply(root, { x: result, dX: dOut });
    return result;
  });
  tape.backward();
  const { flops } = tape;
  // The result of the outermost scope is the caller's: let it go, then nothing may be left.
  tape.dispose();
  return { output, dX: seen.gradient, flops, leakedBytes: pool.liveBytes };
}
