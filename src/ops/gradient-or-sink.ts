import type { Weight } from '../autograd/parameter.ts';
import type { Tape } from '../autograd/tape.ts';
import type { FloatTensor } from '../tensor/tensor.ts';

/** Where a kernel that always makes the gradient of a weight adds it: to the weight's own or, for one that is not trained, to memory that nobody reads. */
export function gradientOrSink(tape: Tape, { value, gradient }: Weight): FloatTensor {
  if (gradient !== null) return gradient;
  const sink = tape.take(value.shape);
  sink.data.fill(0);
  return sink;
}
