/** KernelParts: the time of a forward pass by part, from the calls of its kernels. */

import type { Backend } from '../backend.ts';
import { type KernelName, SELECTION_KERNELS } from '../backends/kernel-names.ts';
import { type KernelCall, observeKernels } from '../backends/observe-kernels.ts';
import { withKernels } from '../backends/with-kernels.ts';
import type { WeightMatrix } from '../tensor/weight-matrix.ts';
import type { PartsMs } from './text-model.ts';

type Part = Exclude<keyof PartsMs, 'other'>;

const PART_OF: Partial<Record<KernelName, Part>> = {
  ...(Object.fromEntries(SELECTION_KERNELS.map((kernel) => [kernel, 'selection'])) as Partial<
    Record<KernelName, Part>
  >),
  weightMatvec: 'products',
  weightMatmul: 'products',
  weightDots: 'products',
  attentionCached: 'attention',
  storeKv: 'attention',
  rope: 'attention',
};

export class KernelParts {
  /** The backend whose kernels are watched; memory and threads are those of the given one. */
  readonly backend: Backend;
  readonly #head: WeightMatrix;
  #ms: Record<Part, number> = { selection: 0, products: 0, attention: 0, head: 0 };

  /** `head`: the matrix whose product is the head's. */
  constructor(backend: Backend, head: WeightMatrix) {
    this.#head = head;
    const kernels = observeKernels(backend.kernels, (call) => this.#count(call));
    this.backend = withKernels(backend, () => kernels);
  }

  /** Milliseconds since the last reset. */
  get timesMs(): Readonly<Record<Part, number>> {
    return { ...this.#ms };
  }

  reset(): void {
    this.#ms = { selection: 0, products: 0, attention: 0, head: 0 };
  }

  /** Since the last reset, of a stretch that took `wholeMs`. */
  parts(wholeMs: number): PartsMs {
    const { selection, products, attention, head } = this.#ms;
    return {
      selection,
      products,
      attention,
      head,
      other: Math.max(0, wholeMs - selection - products - attention - head),
    };
  }

  #count({ kernel, args, startMs, endMs }: KernelCall): void {
    const part = kernel === 'weightDots' && args[1] === this.#head ? 'head' : PART_OF[kernel];
    if (part !== undefined) this.#ms[part] += endMs - startMs;
  }
}
