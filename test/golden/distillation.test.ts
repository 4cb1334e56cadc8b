/**
 * Distillation against PyTorch (`make-distillation-goldens.py`): cross-entropy, divergence and every gradient of a sparse student with a dense teacher, at a
 * temperature of 1 and of 2, with tokens that do not count, in all of the loss and in half of it.
 */

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { ModelConfig } from '../../src/model/config.ts';
import { fromHfWeights } from '../../src/model/hf-weights.ts';
import { resolveConfig } from '../../src/model/resolve-config.ts';
import { withoutSparsifier } from '../../src/model/threshold-calibration.ts';
import { Transformer } from '../../src/model/transformer.ts';
import { intTensor } from '../support/tensors.ts';
import { expectGradients } from './compare-gradients.ts';
import { type GoldenBackend, goldenBackends } from './golden-backends.ts';
import { readArrays, readJson } from './golden-file.ts';

interface Goldens {
  batch: number;
  seqLen: number;
  teacherScale: number;
  variants: Record<
    string,
    { config: ModelConfig; weight: number; temperature: number; loss: number; divergence: number }
  >;
}

/** As in pytorch.test.ts. */
const TOLERANCES = { f64: { loss: 1e-9, gradient: 2e-7 }, f32: { loss: 3e-6, gradient: 1e-5 } };

const folder = join(fileURLToPath(new URL('.', import.meta.url)), 'data');
const goldens = readJson<Goldens>(join(folder, 'distillation.json'));
const weights = readArrays(join(folder, 'weights.safetensors'));

for (const target of await goldenBackends()) {
  describe(`PyTorch distillation on ${target.name}`, () => {
    it.each(Object.keys(goldens.variants))('%s', (name) => compare(target, name));
  });
}

function compare({ backend, dtype }: GoldenBackend, name: string): void {
  const golden = goldens.variants[name];
  const arrays = readArrays(join(folder, `distill-${name}.safetensors`));
  const tolerance = TOLERANCES[dtype === 'f64' ? 'f64' : 'f32'];
  const config = resolveConfig(golden.config);
  const student = Transformer.create(config, backend, { seed: 0, dtype });
  fromHfWeights(student.parameters, (name) => weights.get(name) as never);
  const teacher = Transformer.create(withoutSparsifier(config), backend, { seed: 0, dtype, frozen: true });
  for (const { name, shape, value } of teacher.stored) {
    const { data } = student.stored.find((parameter) => parameter.name === name)!.value;
    const scale = shape.length === 2 ? goldens.teacherScale : 1;
    for (let i = 0; i < data.length; i++) value.data[i] = scale * data[i];
  }
  const ids = intTensor(backend, arrays.get('input_ids')!.data);
  const targets = intTensor(backend, arrays.get('target_ids')!.data);

  const { weight, temperature } = golden;
  const distillation = { teacher, weight, temperature };
  const { loss, divergence } = student.lossAndGradients(ids, targets, goldens, { distillation });
  expect(Math.abs(loss - golden.loss), 'loss').toBeLessThan(tolerance.loss);
  expect(Math.abs(divergence - golden.divergence), 'divergence').toBeLessThan(tolerance.loss);
  expectGradients(student, arrays, tolerance.gradient);
}
