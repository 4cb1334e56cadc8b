import { expect } from 'vitest';
import { toHfWeights } from '../../src/model/hf-weights.ts';
import type { Transformer } from '../../src/model/transformer.ts';
import { difference, type GoldenArray } from './golden-file.ts';

/** Every gradient of the model against `grad.NAME`: largest difference over the largest entry, and none left out. */
export function expectGradients(model: Transformer, arrays: Map<string, GoldenArray>, tolerance: number): void {
  let compared = 0;
  for (const { name, data } of toHfWeights(model.parameters, ({ gradient }) => gradient!)) {
    const { maxAbs, scale } = difference(data, arrays.get(`grad.${name}`)!.data);
    expect(maxAbs / scale, `gradient of ${name}`).toBeLessThan(tolerance);
    compared++;
  }
  expect(compared).toBe([...arrays.keys()].filter((name) => name.startsWith('grad.')).length);
}
