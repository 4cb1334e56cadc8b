/**
 * Wall time of one training step by part: data, teacher (where there is one), select, forward, backward, optimizer.
 *
 * The selection is spread over both passes, so it is read from the kernels' own clock (backends/time-kernels.ts) and taken
 * out of the pass that contains it: what was selected before the loss belongs to the forward pass. Transposing the lists
 * for dW is work of the backward pass, not selection.
 */

import { type Observer, within } from '../autograd/observer.ts';
import type { Kernels } from '../backend.ts';
import { SELECTION_KERNELS } from '../backends/kernel-names.ts';
import { type KernelTimer, timeKernels } from '../backends/time-kernels.ts';
import type { StepRecord } from './metrics.ts';

export type StepParts = StepRecord['partsMs'];

export class StepClock {
  /** The table to run the model on. */
  readonly kernels: Kernels;
  readonly #timer: KernelTimer;
  readonly #observer: Observer | undefined;
  #ms = { data: 0, optimizer: 0 };
  #select = { forward: 0, backward: 0 };
  /** Selection so far when the loss was last computed. */
  #selectAtLoss = 0;

  /** The observer is told of the parts that `measure` runs; the model tells it of its own. */
  constructor(kernels: Kernels, observer?: Observer) {
    this.#observer = observer;
    this.#timer = timeKernels(kernels);
    const { softmaxCrossEntropy } = this.#timer.kernels;
    this.kernels = {
      ...this.#timer.kernels,
      softmaxCrossEntropy: (...args) => {
        softmaxCrossEntropy(...args);
        this.#selectAtLoss = this.#selectMs();
      },
    };
  }

  /** Starts a new step at 0. */
  begin(): void {
    this.#timer.reset();
    this.#ms = { data: 0, optimizer: 0 };
    this.#select = { forward: 0, backward: 0 };
  }

  /** Runs `body` and adds its time to `part`. */
  measure<T>(part: 'data' | 'optimizer', body: () => T): T {
    const since = performance.now();
    const result = within(this.#observer, 'phase', part, body);
    this.#ms[part] += performance.now() - since;
    return result;
  }

  /** Runs one forward and backward pass; the model itself says how long each took, see `parts`. */
  pass<T>(body: () => T): T {
    const before = this.#selectMs();
    const result = body();
    this.#select.forward += this.#selectAtLoss - before;
    this.#select.backward += this.#selectMs() - this.#selectAtLoss;
    return result;
  }

  /** Milliseconds since `begin`, given those of the passes with the selection in them. */
  parts({ forwardMs, backwardMs, teacherMs }: Record<'forwardMs' | 'backwardMs' | 'teacherMs', number>): StepParts {
    return {
      data: this.#ms.data,
      ...(teacherMs > 0 && { teacher: teacherMs }),
      select: this.#select.forward + this.#select.backward,
      forward: forwardMs - this.#select.forward,
      backward: backwardMs - this.#select.backward,
      optimizer: this.#ms.optimizer,
    };
  }

  #selectMs(): number {
    return this.#timer.ms(SELECTION_KERNELS);
  }
}
