/** Packed mixtures of experts: in memory and on the disk the same numbers as the parameters, whatever weight type and layout. */

import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPackedWorkspace, type PackedWorkspace } from '../../test/support/packed-workspace.ts';
import { createTinyRun, type TinyRun } from '../../test/support/tiny-checkpoint.ts';
import { Arena } from '../arena.ts';
import { createReferenceBackend } from '../backends/reference/reference-backend.ts';
import { saveCheckpoint } from '../formats/checkpoint-directory.ts';
import type { TensorData } from '../formats/safetensors.ts';
import { Engine } from '../infer/engine.ts';
import { SingleSequence } from '../infer/single-sequence.ts';
import { storedWeights, WEIGHT_TYPES, weightScaleAt } from '../tensor/weight-matrix.ts';
import { FormatError } from '../util/errors.ts';
import { loadModel } from './load-model.ts';
import { packWeights } from './pack-weights.ts';
import { checkWeights, type MixtureWeights, type ModelWeights } from './weights.ts';

let workspace: PackedWorkspace;
let run: TinyRun;
beforeAll(() => {
  workspace = createPackedWorkspace();
  run = createTinyRun({ nExperts: 3, nExpertsPerToken: 2, hiddenDim: 44 });
});
afterAll(() => {
  workspace.remove();
  run.remove();
});

const backend = createReferenceBackend();

function mixtureOf({ layers }: ModelWeights, layer: number): MixtureWeights {
  const { feedForward } = layers[layer];
  if (feedForward.layout !== 'mixture') throw new Error('no mixture');
  return feedForward;
}

function logitsOf(weights: ModelWeights): number[] {
  return [...new SingleSequence(new Engine(run.model.config, weights, backend)).prefill([3, 1, 4, 1, 5, 9, 2, 6])];
}

const cases = WEIGHT_TYPES.flatMap((dtype) => (['fused', 'channels'] as const).map((layout) => ({ dtype, layout })));

describe('a packed mixture of experts', () => {
  it.each(cases)('is read back as it is packed in memory: %o', async (options) => {
    const { path } = await workspace.pack(options, { from: run });
    const loaded = loadModel(path, backend);
    const parameters = new Map(run.model.parameters.map(({ name, value }) => [name, value]));
    const packed = packWeights(run.model.config, parameters, options, new Arena(backend));
    expect(logitsOf(loaded.weights)).toEqual(logitsOf(packed));
    expect(loaded.dtypes.projections).toEqual([options.dtype]);
    for (const layer of [0, 1]) {
      const { router, experts } = mixtureOf(loaded.weights, layer);
      expect([router.dtype, experts.length, experts[2].layout]).toEqual(['f32', 3, options.layout]);
    }
  });

  it('holds the numbers of each expert under its own name, and routers in f32 beside 2-bit experts', async () => {
    const { path, report } = await workspace.pack({ dtype: 'f32' }, { from: run });
    const number = (name: string, i: number) => run.model.parameters.find((p) => p.name === name)!.value.data[i];
    const { router, experts } = mixtureOf(loadModel(path, backend).weights, 1);
    expect(storedWeights(router)(2, 5)).toBe(number('layers.1.router', 2 * 32 + 5));
    for (const [e, { down }] of experts.entries()) {
      expect(storedWeights(down)(7, 3)).toBe(number(`layers.1.experts.${e}.down`, 7 * 32 + 3));
    }
    expect(report.matrices.map(({ name }) => name)).toContain('layers.0.experts.2.gateUp');
    expect(report.unpackedBytes).toBe(4 * (5 * 32 + 2 * 3 * 32));

    const ternary = mixtureOf(
      loadModel((await workspace.pack({ dtype: 'ternary' }, { from: run })).path, backend).weights,
      0,
    );
    expect(storedWeights(ternary.router)(0, 9)).toBe(number('layers.0.router', 9));
    // A scale for each expert: mean |w| of its own matrix.
    const down = run.model.parameters.find(({ name }) => name === 'layers.0.experts.1.down')!.value.data;
    const alpha = [...down].reduce((sum, w) => sum + Math.abs(w), 0) / down.length;
    expect(weightScaleAt(ternary.experts[1].down, 0, 0)).toBeCloseTo(alpha, 6);
  });

  it('is refused where an expert or a router is missing, with its name', async () => {
    const { path } = await workspace.pack({ dtype: 'int8' }, { from: run });
    const written = JSON.parse(readFileSync(`${path}/config.json`, 'utf8')) as object;
    const load = (fields: object) => {
      writeFileSync(`${path}/config.json`, JSON.stringify({ ...written, ...fields }));
      return () => loadModel(path, backend);
    };
    const [more, dense] = [{ nExperts: 4 }, { nExperts: 0, nExpertsPerToken: 0 }];
    expect(load(more)).toThrow(FormatError);
    expect(load(more)).toThrow(/expected the matrix "layers\.0\.experts\.3\.gateUp"/);
    expect(load(dense)).toThrow(/expected the matrix "layers\.0\.gateUp"/);
    const { config } = run.model;
    expect(() => checkWeights({ ...config, ...more }, weightsOf(run))).toThrow(/layers\.0: expected 4 experts, got 3/);
    expect(() => checkWeights({ ...config, ...dense }, weightsOf(run))).toThrow(/layers\.0: expected 0 experts, got 3/);
  });

  it('of training too: a checkpoint without one of its experts names the tensor', () => {
    const directory = workspace.newPath();
    const entries = run.model.parameters.map(({ name, value }) => ({
      ...{ name, dtype: 'F32' as const, shape: value.shape, data: value.data as TensorData },
    }));
    const model = entries.filter(({ name }) => name !== 'layers.1.experts.2.down');
    const files = { config: run.model.config, tokenizer: {}, state: {}, optimizer: [], model };
    saveCheckpoint(directory, { step: 1, keepLast: 1, best: true, files });
    expect(() => loadModel(directory, backend)).toThrow(
      /layers\.1\.experts\.2\.down: expected F32 \[44, 32\], got no such tensor/,
    );
    const parameters = parametersOf(run);
    parameters.delete('layers.0.experts.1.gateUp');
    expect(() => packWeights(run.model.config, parameters, { dtype: 'f32' }, new Arena(backend))).toThrow(
      /layers\.0\.experts\.1\.gateUp: expected f32 \[32, 88\], got none/,
    );
  });
});

const parametersOf = ({ model }: TinyRun) => new Map(model.parameters.map(({ name, value }) => [name, value]));

function weightsOf(of: TinyRun): ModelWeights {
  return packWeights(of.model.config, parametersOf(of), { dtype: 'f32' }, new Arena(backend));
}
