/** partClock: the time of a model's kernels by what they do, for a page that shows where it goes. */

import type { Backend, Kernels } from '../../backend.ts';
import { type KernelName, SELECTION_KERNELS, timeKernels, withKernels } from '../../backends/time-kernels.ts';
import type { PartTimes } from '../../server/served-model.ts';
import type { WeightMatrix } from '../../tensor/weight-matrix.ts';

const PRODUCTS: readonly KernelName[] = ['weightMatvec', 'weightMatmul', 'weightDots'];
const ATTENTION: readonly KernelName[] = ['attentionCached', 'storeKv', 'rope'];

/** The same backend over a timed kernel table, and its times so far. `head` is the matrix that makes the logits. */
export function partClock(backend: Backend, head: WeightMatrix): { backend: Backend; read: () => PartTimes } {
  const timer = timeKernels(backend.kernels);
  let headMs = 0;
  const weightDots: Kernels['weightDots'] = (...args) => {
    const before = timer.ms(['weightDots']);
    timer.kernels.weightDots(...args);
    if (args[1] === head) headMs += timer.ms(['weightDots']) - before;
  };
  const kernels: Kernels = { ...timer.kernels, weightDots };
  return {
    backend: withKernels(backend, () => kernels),
    read: () => ({
      selection: timer.ms(SELECTION_KERNELS),
      products: timer.ms(PRODUCTS) - headMs,
      attention: timer.ms(ATTENTION),
      head: headMs,
    }),
  };
}
