/** What held the memory of tensors when there was most of it: looked at each time a step reaches a new peak. */

import type { Holding, Section } from '../../../autograd/observer.ts';
import { blockBytes } from '../../../tensor-pool.ts';
import type { Trainer } from '../../../train/trainer.ts';
import { keeperOf, placeOf } from './section-names.ts';

export interface BufferRow {
  /** `parameters`, `kept: glu`, `scratch` and so on. */
  holder: string;
  bytes: number;
  /** Of the peak. */
  share: number;
}

export interface BufferTable {
  /** Blocks of the pool behind live tensors. */
  peakBytes: number;
  /** Where the step was. */
  at: string;
  /** The largest first; they add up to the peak. */
  holders: BufferRow[];
}

export class BufferPlan {
  #peakBytes = 0;
  #at: readonly Section[] = [];
  #holdings: readonly Holding[] = [];

  took(liveBytes: number, holdings: () => Holding[], sections: readonly Section[]): void {
    if (liveBytes <= this.#peakBytes) return;
    this.#peakBytes = liveBytes;
    this.#holdings = holdings();
    this.#at = [...sections];
  }

  /** null where nothing was taken. The tensors of the trainer live as long as it does. */
  table(trainer: Pick<Trainer, 'model' | 'optimizer'>): BufferTable | null {
    if (this.#peakBytes === 0) return null;
    const sums = new Map<string, number>();
    const add = (holder: string, bytes: number) => sums.set(holder, (sums.get(holder) ?? 0) + bytes);
    for (const { value, gradient } of trainer.model.parameters) {
      add('parameters', blockBytes(value));
      add('gradients of parameters', blockBytes(gradient));
    }
    for (const { tensor } of trainer.optimizer.state) add('moments of AdamW', blockBytes(tensor));
    for (const holding of this.#holdings) add(holderOf(holding), holding.bytes);
    const known = [...sums.values()].reduce((sum, bytes) => sum + bytes, 0);
    add('batch, rotation tables, sums', this.#peakBytes - known);
    const holders = [...sums].map(([holder, bytes]) => ({ holder, bytes, share: bytes / this.#peakBytes }));
    return {
      peakBytes: this.#peakBytes,
      at: placeOf(this.#at),
      holders: holders.sort((a, b) => b.bytes - a.bytes),
    };
  }
}

function holderOf({ role, sections }: Holding): string {
  if (role === 'kept') return `kept: ${keeperOf(sections)}`;
  return role === 'gradient' ? 'gradients of activations' : 'scratch';
}
