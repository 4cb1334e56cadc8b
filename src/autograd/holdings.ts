/**
 * What the buffers of a tape are held for: each is counted once, as kept where some op keeps it, else as a gradient, else as
 * scratch.
 */

import type { Tensor } from '../tensor/tensor.ts';
import { blockBytes } from '../tensor-pool.ts';
import type { Holding, Section } from './observer.ts';
import type { RootOutput } from './op.ts';
import { buffersOf, Value } from './value.ts';

/** A recorded op, as far as it holds buffers. */
export interface Holder {
  readonly output: Value | RootOutput;
  readonly kept: readonly Tensor[];
  readonly sections: readonly Section[];
}

/** `held` are all buffers of the tape, `here` the sections that it is in. Bytes are those of the pool's blocks. */
export function holdingsOf(holders: readonly Holder[], held: Iterable<Tensor>, here: readonly Section[]): Holding[] {
  const left = new Set(held);
  const holdings: Holding[] = [];
  const count = (role: Holding['role'], sections: readonly Section[], tensors: Iterable<Tensor>): void => {
    let bytes = 0;
    for (const tensor of tensors) if (left.delete(tensor)) bytes += blockBytes(tensor);
    if (bytes > 0) holdings.push({ role, sections, bytes });
  };
  for (const { kept, sections } of holders) count('kept', sections, kept);
  for (const { output, sections } of holders) {
    if (output instanceof Value && output.gradient) count('gradient', sections, buffersOf(output.gradient));
  }
  count('scratch', here, left);
  return holdings;
}
