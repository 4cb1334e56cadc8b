/**
 * Six small models against PyTorch (`make-goldens.py`): logits, loss, L1 term, every gradient, ten AdamW steps. The variants take
 * every branch of the method: tied and untied, straight-through and masked, re-scaled, per-layer sparsity, all three gates.
 */

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { Precision } from '../../src/backend.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { fromHfWeights } from '../../src/model/hf-weights.ts';
import { resolveConfig } from '../../src/model/resolve-config.ts';
import { Transformer } from '../../src/model/transformer.ts';
import { AdamW } from '../../src/train/adamw.ts';
import { intTensor } from '../support/tensors.ts';
import { expectGradients } from './compare-gradients.ts';
import { type GoldenBackend, goldenBackends } from './golden-backends.ts';
import { difference, readArrays, readJson } from './golden-file.ts';

interface Goldens {
  batch: number;
  seqLen: number;
  adamw: { lr: number; beta1: number; beta2: number; eps: number; weightDecay: number; clipNorm: number };
  variants: Record<
    string,
    { config: ModelConfig & { precision?: Precision }; loss: number; l1: number; lossOfTenSteps: number[] }
  >;
}

/**
 * The goldens are float64 results stored in float32: a half unit in the last place of the largest entry for f64. In f32 a few
 * hundred roundings along the longest path, measured at up to 1.5e-6 and given room for another order of summation.
 */
const TOLERANCES = {
  f64: { loss: 1e-9, logits: 1e-6, gradient: 2e-7, trace: 1e-7 },
  f32: { loss: 3e-6, logits: 1e-5, gradient: 1e-5, trace: 1e-5 },
  /** Operands rounded to 8 bits: an input that differs in its last bit of f32 may be rounded to the other side, by 2^-8 of itself. */
  bf16: { loss: 5e-4, logits: 5e-3, gradient: 5e-3, trace: 2e-3 },
};

const folder = join(fileURLToPath(new URL('.', import.meta.url)), 'data');
const goldens = readJson<Goldens>(join(folder, 'goldens.json'));
const weights = readArrays(join(folder, 'weights.safetensors'));

for (const target of await goldenBackends()) {
  describe(`PyTorch goldens on ${target.name}`, () => {
    it.each(Object.keys(goldens.variants))('%s', (name) => compare(target, name));
  });
}

function compare({ backend, dtype }: GoldenBackend, name: string): void {
  const golden = goldens.variants[name];
  const arrays = readArrays(join(folder, `${name}.safetensors`));
  const { precision = 'f32', ...config } = golden.config;
  const tolerance = TOLERANCES[precision === 'bf16' ? precision : dtype];
  const model = Transformer.create(resolveConfig(config), backend, { seed: 0, dtype });
  fromHfWeights(model.parameters, (name) => weights.get(name) as never);
  const ids = intTensor(backend, arrays.get('input_ids')!.data);
  const targets = intTensor(backend, arrays.get('target_ids')!.data);

  const logits = model.logits(ids, goldens, { precision });
  expect(difference(logits.data, arrays.get('logits')!.data).maxAbs, 'logits').toBeLessThan(tolerance.logits);
  expect(Math.abs(model.loss(ids, targets, goldens, { precision }) - golden.loss), 'loss').toBeLessThan(tolerance.loss);
  const { loss, l1 } = model.lossAndGradients(ids, targets, goldens, { precision });
  expect(Math.abs(loss - golden.loss), 'loss').toBeLessThan(tolerance.loss);
  expect(Math.abs(l1 - golden.l1), 'L1 term').toBeLessThan(tolerance.loss);
  expectGradients(model, arrays, tolerance.gradient);
  // Rounded to 8 bits, what enters a selection differs so much that after some steps another feature may be kept.
  const comparable = precision === 'bf16' && config.sparsity.qkv !== 0 ? 4 : 10;
  expectSteps(model, ids, targets, golden.lossOfTenSteps.slice(0, comparable), tolerance.trace, precision);
}

function expectSteps(
  model: Transformer,
  ids: ReturnType<typeof intTensor>,
  targets: ReturnType<typeof intTensor>,
  losses: number[],
  tolerance: number,
  precision: Precision,
): void {
  const { lr, weightDecay, clipNorm, ...options } = goldens.adamw;
  const optimizer = new AdamW(model.parameters, model.backend.kernels, model.pool, options);
  for (const { gradient } of model.parameters) gradient.data.fill(0);
  losses.forEach((expected, i) => {
    const { loss } = model.lossAndGradients(ids, targets, goldens, { precision });
    expect(Math.abs(loss - expected), `loss of step ${i + 1}`).toBeLessThan(tolerance);
    optimizer.step({ step: i + 1, lr, weightDecay, norm: optimizer.globalNorm(), clip: clipNorm });
  });
}
