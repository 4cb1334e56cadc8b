/**
 * Models that were trained with 8-bit activations, ternary weights and sub-norms, from training to a packed file and into the engine:
 * the packed forward is the one that was trained.
 *
 * Two forward passes whose sums differ in their last bits agree only where no activation lies within such a bit of the border between two
 * integers, so the tokens are searched for a distance; then the bound is that of the goldens, 1e-5 of logits of about 1.
 */

import { afterEach, describe, expect, it } from 'vitest';
import { createPackedWorkspace } from '../../test/support/packed-workspace.ts';
import { randomIds } from '../../test/support/tensors.ts';
import { createTinyRun, type TinyRun } from '../../test/support/tiny-checkpoint.ts';
import { Arena } from '../arena.ts';
import type { Tape } from '../autograd/tape.ts';
import type { Value } from '../autograd/value.ts';
import { createReferenceBackend } from '../backends/reference/reference-backend.ts';
import { Engine } from '../infer/engine.ts';
import { SingleSequence } from '../infer/single-sequence.ts';
import type { IntTensor } from '../tensor/tensor.ts';
import { storedWeights, type WeightMatrix, weightScaleAt } from '../tensor/weight-matrix.ts';
import { UsageError } from '../util/errors.ts';
import type { Point } from './config.ts';
import { type LoadedModel, loadModel, loadParameters } from './load-model.ts';
import type { PackOptions } from './pack-plan.ts';
import { packWeights } from './pack-weights.ts';
import { ffnNames } from './parameters.ts';
import type { ModelConfigInput } from './resolve-config.ts';
import { StepStatistics } from './statistics.ts';
import type { Transformer } from './transformer.ts';
import { ffnsOf, weightsOfParameters } from './weights.ts';

const backend = createReferenceBackend();
const TOKENS = 12;
/** In units of a code; the noise of f32 at a code of 127 is about 2e-5. */
const LEAST_DISTANCE = 1e-4;
const BOUND = 1e-5;

const BITNET = { activationFormat: 'int8', weightFormat: 'ternary', subNorms: true } as const;

const undo: (() => void)[] = [];
afterEach(() => {
  for (const step of undo.splice(0)) step();
});

function trained(input: Partial<ModelConfigInput>): TinyRun {
  const run = createTinyRun({ dim: 36, hiddenDim: 52, nHeads: 3, nKvHeads: 1, headDim: 10, ...input });
  undo.push(() => run.remove());
  return run;
}

async function packed(run: TinyRun, options: PackOptions): Promise<LoadedModel> {
  const workspace = createPackedWorkspace();
  undo.push(() => workspace.remove());
  const { path } = await workspace.pack(options, { from: run });
  return loadModel(path, backend);
}

/** How near an activation comes to the border between two integers. */
class Distances extends StepStatistics {
  least = 0.5;

  override observe(_tape: Tape, _point: Point, _layer: number, _x: Value, selected: Value): void {
    const [rows, cols] = selected.shape;
    const kept = selected.rows;
    for (let row = 0; row < rows; row++) {
      const [begin, end] = kept ? [kept.start.data[row], kept.start.data[row + 1]] : [row * cols, (row + 1) * cols];
      const values = Array.from((kept?.value ?? selected.dense!).data.subarray(begin, end));
      const largest = values.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      for (const x of values) {
        if (x === 0) continue;
        const code = Math.abs((x * 127) / (largest + 1e-5));
        this.least = Math.min(this.least, Math.abs(code - Math.floor(code) - 0.5));
      }
    }
  }
}

/** Tokens that keep their distance, and the logits of the model that trains for the last of them. */
function logitsOf(model: Transformer): { ids: IntTensor; logits: Float32Array } {
  for (let seed = 1; seed < 200; seed++) {
    const ids = randomIds(backend, TOKENS, model.config.vocabSize, seed);
    const statistics = new Distances(model.config);
    const logits = model.logits(ids, { batch: 1, seqLen: TOKENS }, { statistics });
    if (model.config.activationFormat === 'float' || statistics.least > LEAST_DISTANCE) {
      return { ids, logits: (logits.data as Float32Array).slice(-model.config.vocabSize) };
    }
  }
  throw new Error('every text has an activation near a border');
}

/** The largest difference between logits of the engine and of the model that trains, as a share of the largest logit. */
function distance(run: TinyRun, { config, weights }: Pick<LoadedModel, 'config' | 'weights'>): number {
  const { ids, logits } = logitsOf(run.model);
  const sequence = new SingleSequence(new Engine(config, weights, backend));
  const got = sequence.prefill([...ids.data]);
  const largest = logits.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  expect(largest).toBeGreaterThan(0.5);
  return got.reduce((most, x, i) => Math.max(most, Math.abs(x - logits[i])), 0) / largest;
}

const values = (w: WeightMatrix) => {
  const stored = storedWeights(w);
  return Float32Array.from({ length: w.rows * w.cols }, (_, i) => {
    const [row, col] = [Math.floor(i / w.cols), i % w.cols];
    return stored(row, col) * weightScaleAt(w, row, col);
  });
};

describe('a model with ternary weights', () => {
  it.each(['relu2', 'silu'] as const)('is itself as a checkpoint in the engine (%s)', (activation) => {
    const run = trained({ ...BITNET, activation });
    expect(distance(run, loadModel(run.directory, backend))).toBeLessThan(BOUND);
  });

  it.each([
    ['ternary', 'fused', 0],
    ['ternary', 'channels', 0],
    ['f32', 'fused', 0],
    ['f32', 'channels', 0],
    ['int8', 'fused', 0],
    ['ternary', 'fused', 3],
    ['ternary', 'channels', 3],
    ['f32', 'fused', 3],
    ['f32', 'channels', 3],
  ] as const)('loses nothing as %s, %s, with %d experts', async (dtype, layout, nExperts) => {
    const run = trained({ ...BITNET, nExperts, nExpertsPerToken: Math.min(2, nExperts) });
    const tables = dtype === 'int8' ? ({ embeddingDtype: 'f32', headDtype: 'f32' } as const) : {};
    const model = await packed(run, { dtype, layout, ...tables });
    expect(model.dtypes).toEqual({ projections: [dtype], embedding: 'f32', head: 'f32' });
    expect(distance(run, model)).toBeLessThan(BOUND);
  });

  it.each([0, 3])('has the very codes and scales that were multiplied, with %d experts', async (nExperts) => {
    const run = trained({ ...BITNET, nExperts, nExpertsPerToken: Math.min(2, nExperts) });
    const multiplied = run.model.multipliedParameters();
    const { layers } = (await packed(run, { dtype: 'ternary' })).weights;
    for (const [layer, { qkv, o, feedForward }] of layers.entries()) {
      const named = new Map([
        [`layers.${layer}.qkv`, qkv],
        [`layers.${layer}.o`, o],
      ]);
      for (const [i, at] of ffnNames(run.model.config, layer).entries()) {
        const { layout, subNorm, ...matrices } = ffnsOf(feedForward)[i];
        for (const [name, matrix] of Object.entries(matrices)) named.set(`${at}.${name}`, matrix);
        expect(subNorm?.data).toEqual(multiplied.get(`${at}.ffnSubNorm`)!.data);
      }
      for (const [name, matrix] of named) expect(values(matrix), name).toEqual(multiplied.get(name)!.data);
    }
  });

  it('keeps its latent weights for training', () => {
    const run = trained(BITNET);
    const latent = loadParameters(run.directory, backend).parameters;
    for (const { name, value } of run.model.parameters) expect(latent.get(name)?.data).toEqual(value.data);
  });

  it('multiplies floats where its activations are floats', async () => {
    const run = trained({ weightFormat: 'ternary' });
    expect(distance(run, loadModel(run.directory, backend))).toBeLessThan(BOUND);
    expect(distance(run, await packed(run, { dtype: 'f32' }))).toBeLessThan(BOUND);
    // Weights of two bits are multiplied by activations of eight.
    const rounded = distance(run, await packed(run, { dtype: 'ternary' }));
    expect(rounded).toBeGreaterThan(BOUND);
    expect(rounded).toBeLessThan(0.06);
  });

  it('refuses bf16, which rounds its scales, and latent weights where multiplied ones belong', async () => {
    const run = trained(BITNET);
    await expect(packed(run, { dtype: 'bf16' })).rejects.toThrow(
      '[pack] bf16 would round the scales of its ternary projections: expected ternary, which loses nothing, f32 or int8.',
    );
    const latent = new Map(run.model.parameters.map(({ name, value }) => [name, value]));
    expect(() => weightsOfParameters(run.model.config, latent)).toThrow(UsageError);
    expect(() => weightsOfParameters(run.model.config, latent)).toThrow('layers.0.qkv of a ternary model');
  });
});

describe('a model with biases and norms of heads', () => {
  const scaling = { type: 'llama3', factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalSeqLen: 16 } as const;
  const QWEN = { activation: 'silu', qkvBias: true, qkNorm: true, ropeScaling: scaling, sparsity: 0 } as const;

  it('is itself as a checkpoint and as a packed file in the engine', async () => {
    const run = trained(QWEN);
    const model = loadModel(run.directory, backend);
    expect(model.config.ropeScaling).toEqual(scaling);
    expect(distance(run, model)).toBeLessThan(BOUND);
    const file = await packed(run, { dtype: 'f32' });
    expect(file.config).toEqual(run.model.config);
    expect(distance(run, file)).toBeLessThan(BOUND);
    const bias = file.weights.layers[1].qkvBias;
    expect(bias?.data).toEqual(run.model.parameters.find(({ name }) => name === 'layers.1.qkvBias')?.value.data);
    // Each of the three matters.
    for (const change of [{ ropeScaling: null }, { ropeScaling: { type: 'linear', factor: 2 } as const }]) {
      expect(distance(run, { ...model, config: { ...model.config, ...change } })).toBeGreaterThan(100 * BOUND);
    }
    for (const name of ['qkvBias', 'qNorm', 'kNorm'] as const) {
      const layers = file.weights.layers.map((layer) => {
        const data = Float32Array.from(layer[name]!.data, (x, i) => x + (i % 2));
        return { ...layer, [name]: { ...layer[name]!, data } };
      });
      expect(distance(run, { config: file.config, weights: { ...file.weights, layers } }), name).toBeGreaterThan(
        100 * BOUND,
      );
    }
  });

  it('is refused where one of them is missing', () => {
    const run = trained(QWEN);
    const { config, weights } = loadModel(run.directory, backend);
    const layers = weights.layers.map((layer) => ({ ...layer, kNorm: null }));
    const without = { ...weights, layers };
    expect(() => new Engine(config, without, backend)).toThrow('layers.0.kNorm: expected a vector, got none');
  });
});

describe('a model with 8-bit activations', () => {
  it.each([0, 0.5])('is itself in the engine at a sparsity of %d, as f32 and as weights of eight bits', (sparsity) => {
    const run = trained({ activationFormat: 'int8', sparsity });
    onGridOfBytes(run.model);
    const parameters = run.model.multipliedParameters();
    const float = { config: run.model.config, weights: weightsOfParameters(run.model.config, parameters) };
    expect(distance(run, float)).toBeLessThan(BOUND);
    for (const layout of ['fused', 'channels'] as const) {
      const options: PackOptions = { dtype: 'int8', embeddingDtype: 'f32', headDtype: 'f32', layout };
      const weights = packWeights(run.model.config, parameters, options, new Arena(backend));
      expect(distance(run, { config: run.model.config, weights }), layout).toBeLessThan(BOUND);
    }
  });

  it('loses no more than its weights do as int8', async () => {
    // Dense: where features are selected by rounded weights, others are, and random models leap.
    const run = trained({ activationFormat: 'int8', sparsity: 0 });
    expect(distance(run, await packed(run, { dtype: 'f32' }))).toBeLessThan(BOUND);
    expect(distance(run, await packed(run, { dtype: 'int8' }))).toBeLessThan(0.06);
  });
});

/** Projections become whole multiples of a 127th of the largest weight of their column, which has that largest weight still. */
function onGridOfBytes(model: Transformer): void {
  for (const { value, projections } of model.parameters) {
    if (projections.length === 0) continue;
    const [rows, cols] = value.shape;
    for (let col = 0; col < cols; col++) {
      let largest = 0;
      for (let row = 0; row < rows; row++) largest = Math.max(largest, Math.abs(value.data[row * cols + col]));
      const scale = Math.fround(largest / 127);
      for (let row = 0; row < rows; row++) {
        const i = row * cols + col;
        value.data[i] = Math.round(value.data[i] / scale) * scale;
      }
    }
  }
}
