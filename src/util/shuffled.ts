import { Prng } from './prng.ts';

/** 0 .. count - 1 in random order (Fisher and Yates), the same for the same seed. */
export function shuffled(count: number, seed: number): Uint32Array {
  const prng = new Prng(seed);
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = prng.below(i + 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}
