/**
 * The form of every op: a forward and the backward beside it. `backward` is a required member, so an op without a
 * gradient does not compile.
 *
 * An op of the tape returns a Value, the root of the pass (the loss) a number, or several by name. The backward pass calls each op once,
 * in reverse order, with the finished gradient of its output; it writes gradients to its inputs through the tape and adds
 * to those of its weights.
 */

import type { SparseRows } from '../tensor/sparse-rows.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { Tape } from './tape.ts';
import type { Gradient, Value } from './value.ts';

export interface Forward<Saved, Output> {
  readonly output: Output;
  /** What the backward reads. */
  readonly saved: Saved;
  /** The buffers in `saved` that must outlive the forward pass; all others go back to the pool. */
  readonly keep: readonly (Tensor | SparseRows)[];
}

/** What the root of a pass returns. */
export type RootOutput = number | Readonly<Record<string, number>>;

export interface Op<Input, Saved, Output extends Value | RootOutput = Value> {
  readonly name: string;
  forward(tape: Tape, input: Input): Forward<Saved, Output>;
  /** dOut is null where the output is the loss itself. It is shared with others unless `tape.exclusive` says otherwise. */
  backward(tape: Tape, saved: Saved, dOut: Output extends Value ? Gradient : null): void;
}
