import { afterAll, describe, expect, it } from 'vitest';
import { Arena } from '../arena.ts';
import { createReferenceBackend } from '../backends/reference/reference-backend.ts';
import { rowStride } from '../tensor/row-stride.ts';
import type { FloatTensor } from '../tensor/tensor.ts';
import {
  storedWeights,
  WEIGHT_TYPES,
  type WeightMatrix,
  weightRowBytes,
  weightScaleAt,
} from '../tensor/weight-matrix.ts';
import { ShapeError, UsageError } from '../util/errors.ts';
import { Prng } from '../util/prng.ts';
import type { ModelConfig } from './config.ts';
import { type PackOptions, planPacking } from './pack-plan.ts';
import { packWeights } from './pack-weights.ts';
import { describeParameters } from './parameters.ts';
import { preset } from './presets.ts';
import { type ModelConfigInput, resolveConfig } from './resolve-config.ts';
import { ffnsOf, type ModelWeights, weightsOfParameters } from './weights.ts';

const backend = createReferenceBackend();
const arena = new Arena(backend);
afterAll(() => arena.free());

const TINY: ModelConfigInput = {
  dim: 20,
  hiddenDim: 24,
  nLayers: 2,
  nHeads: 2,
  nKvHeads: 1,
  vocabSize: 33,
  headDim: 6,
};

function randomParameters(config: ModelConfig): Map<string, FloatTensor> {
  const prng = new Prng(3);
  const parameters = new Map<string, FloatTensor>();
  for (const { name, shape } of describeParameters(config)) {
    const tensor = arena.tensor('f32', shape);
    for (let i = 0; i < tensor.data.length; i++) tensor.data[i] = 0.1 * prng.normal();
    parameters.set(name, tensor);
  }
  return parameters;
}

/** Named matrices of a model, the two of the channels layout with their orientation. */
function matricesOf({ embedding, head, layers }: ModelWeights): Record<string, WeightMatrix> {
  const named: Record<string, WeightMatrix> = { embedding, head };
  for (const [layer, { qkv, o, feedForward }] of layers.entries()) {
    const { layout, subNorm, ...matrices } = ffnsOf(feedForward)[0];
    for (const [name, matrix] of Object.entries({ qkv, o, ...matrices })) named[`layers.${layer}.${name}`] = matrix;
  }
  return named;
}

function values(w: WeightMatrix): number[] {
  const stored = storedWeights(w);
  return Array.from({ length: w.rows * w.cols }, (_, i) => {
    const [row, col] = [Math.floor(i / w.cols), i % w.cols];
    return stored(row, col) * weightScaleAt(w, row, col);
  });
}

describe('packWeights from parameters', () => {
  const config = resolveConfig({ ...TINY, tiedEmbeddings: false });
  const parameters = randomParameters(config);
  const number = (name: string, row: number, col: number) => {
    const { data, shape } = parameters.get(name)!;
    return data[row * shape[1] + col];
  };

  it('f32 is what is there', () => {
    const packed = matricesOf(packWeights(config, parameters, { dtype: 'f32' }, arena));
    const plain = matricesOf(weightsOfParameters(config, parameters));
    expect(Object.keys(packed)).toEqual(Object.keys(plain));
    for (const name of Object.keys(plain)) expect(values(packed[name]), name).toEqual(values(plain[name]));
  });

  it('channels hold up by column and down by row, side by side, fused ones both as they are', () => {
    const layout = ['fused', 'channels'] as const;
    const { layers } = packWeights(config, parameters, { dtype: 'f32', layout }, arena);
    const [fused, channels] = layers.map(({ feedForward }) => feedForward);
    if (fused.layout !== 'fused' || channels.layout !== 'channels') throw new Error('the layouts are not as asked for');
    const { gate, up, down } = channels;
    expect([gate, up, down].map(({ rows, cols }) => [rows, cols])).toEqual([
      [20, 24],
      [24, 20],
      [24, 20],
    ]);
    const [storedGate, storedUp, storedDown] = [gate, up, down].map(storedWeights);
    for (let h = 0; h < 24; h++) {
      for (let d = 0; d < 20; d++) {
        expect(storedGate(d, h)).toBe(number('layers.1.gateUp', d, h));
        expect(storedUp(h, d)).toBe(number('layers.1.gateUp', d, 24 + h));
        expect(storedDown(h, d)).toBe(number('layers.1.down', h, d));
      }
    }
    expect(up.rowBytes).toBe(down.rowBytes);
    expect(down.data.data.byteOffset - up.data.data.byteOffset).toBe(128); // 20 floats, in whole lines
    expect(fused.gateUp.cols).toBe(48);
  });

  it.each(['int8', 'ternary'] as const)('%s of both layouts holds the same numbers', (dtype) => {
    const fused = packWeights(config, parameters, { dtype }, arena).layers[0].feedForward;
    const channels = packWeights(config, parameters, { dtype, layout: 'channels' }, arena).layers[0].feedForward;
    if (fused.layout !== 'fused' || channels.layout !== 'channels') throw new Error('the layouts are not as asked for');
    const [gateUp, gate, up] = [fused.gateUp, channels.gate, channels.up].map((w) => ({ w, stored: storedWeights(w) }));
    const at = ({ w, stored }: typeof gate, row: number, col: number) => stored(row, col) * weightScaleAt(w, row, col);
    for (let h = 0; h < 24; h++) {
      for (let d = 0; d < 20; d++) {
        expect(at(gate, d, h)).toBe(at(gateUp, d, h));
        expect(at(up, h, d)).toBe(at(gateUp, d, 24 + h));
      }
    }
    expect(values(channels.down)).toEqual(values(fused.down));
    expect(channels.up.scaleAxis).toBe('rows');
    expect(channels.down.scaleAxis).toBe('cols');
  });

  it('has a ternary scale for each projection of a fused matrix', () => {
    const { qkv, feedForward } = packWeights(config, parameters, { dtype: 'ternary' }, arena).layers[0];
    if (feedForward.layout !== 'fused') throw new Error('the layout is not as asked for');
    const alpha = (name: string, rows: number, first: number, count: number) => {
      let sum = 0;
      for (let r = 0; r < rows; r++) for (let c = first; c < first + count; c++) sum += Math.abs(number(name, r, c));
      return sum / (rows * count);
    };
    const [q, k, v] = [
      [0, 12],
      [12, 6],
      [18, 6],
    ].map(([first, count]) => alpha('layers.0.qkv', 20, first, count));
    const expected = [...Array(12).fill(q), ...Array(6).fill(k), ...Array(6).fill(v)];
    for (const [col, scale] of expected.entries()) expect(qkv.scale!.data[col]).toBeCloseTo(scale, 6);
    expect(feedForward.gateUp.scale!.data[0]).toBeCloseTo(alpha('layers.0.gateUp', 20, 0, 24), 6);
    expect(feedForward.gateUp.scale!.data[47]).toBeCloseTo(alpha('layers.0.gateUp', 20, 24, 24), 6);
    expect(new Set(qkv.scale!.data).size).toBe(3);
  });

  it('groups rows of int8 projections, and of nothing else', () => {
    const options: PackOptions = { dtype: 'int8', groupRows: 8, layout: ['fused', 'channels'] };
    const { embedding, layers } = packWeights(config, parameters, options, arena);
    expect(layers[0].qkv.scale!.shape).toEqual([3, 24]); // 8 + 8 + 4 of 20 rows
    expect(layers[0].qkv.groupRows).toBe(8);
    const [fused, channels] = layers.map(({ feedForward }) => ffnsOf(feedForward)[0]);
    expect(fused.down.scale!.shape).toEqual([3, 20]);
    if (channels.layout !== 'channels') throw new Error('the layout is not as asked for');
    expect(channels.up.scale!.shape).toEqual([24]);
    expect(channels.down.scale!.shape).toEqual([3, 20]);
    expect(embedding.scale!.shape).toEqual([33]);
  });

  it('keeps the norms, in memory of their own', () => {
    const { layers, norm } = packWeights(config, parameters, { dtype: 'int8' }, arena);
    expect(norm.data).toEqual(parameters.get('norm')!.data);
    expect(layers[1].ffnNorm.data).toEqual(parameters.get('layers.1.ffnNorm')!.data);
    expect(norm.data.buffer).not.toBe(parameters.get('norm')!.data.buffer);
  });

  it('refuses parameters that are missing or of another shape', () => {
    const without = new Map(parameters);
    without.delete('layers.1.o');
    const pack = () => packWeights(config, without, { dtype: 'bf16' }, arena);
    expect(pack).toThrow(ShapeError);
    expect(pack).toThrow('parameter layers.1.o: expected f32 [12, 20], got none of this name');
    without.set('layers.1.o', arena.tensor('f32', [20, 12]));
    expect(pack).toThrow('got f32 [20, 12]');
    without.set('layers.1.o', arena.tensor('f64', [12, 20]));
    expect(pack).toThrow('got f64 [12, 20]');
  });
});

describe('weight types of the tables', () => {
  const tied = resolveConfig(TINY);
  const parameters = randomParameters(tied);

  it.each([
    ['f32', 'f32'],
    ['bf16', 'bf16'],
    ['int8', 'int8'],
    ['ternary', 'int8'],
  ] as const)('beside %s projections are %s, scales by row', (dtype, table) => {
    const { embedding, head } = packWeights(tied, parameters, { dtype }, arena);
    expect(embedding.dtype).toBe(table);
    expect(head).toBe(embedding);
    expect(embedding.scale?.shape).toEqual(table === 'int8' ? [33] : undefined);
  });

  it('may differ: a tied table is then stored twice', () => {
    const options: PackOptions = { dtype: 'ternary', embeddingDtype: 'bf16', headDtype: 'f32' };
    const { embedding, head } = packWeights(tied, parameters, options, arena);
    expect([embedding.dtype, head.dtype]).toEqual(['bf16', 'f32']);
    expect(values(head)).toEqual([...parameters.get('embedding')!.data]);
    const untied = resolveConfig({ ...TINY, tiedEmbeddings: false });
    const own = packWeights(untied, randomParameters(untied), { dtype: 'int8' }, arena);
    expect(own.head).not.toBe(own.embedding);
  });
});

describe('planPacking', () => {
  const config = resolveConfig({ ...preset('tinyllama-1.1b'), activation: 'relu2' });

  it.each(WEIGHT_TYPES)('keeps rows on lines, an odd number of them where they are long: %s', (dtype) => {
    for (const layout of ['fused', 'channels'] as const) {
      for (const { rowBytes, matrices } of planPacking(config, { dtype, layout })) {
        expect(rowBytes % 64).toBe(0);
        if (rowBytes >= 1024) expect((rowBytes / 64) % 2).toBe(1);
        let end = 0;
        for (const plan of matrices) {
          expect(plan.firstByte).toBeGreaterThanOrEqual(end);
          expect(plan.firstByte % 64).toBe(0);
          end = plan.firstByte + weightRowBytes(plan.dtype, plan.cols);
        }
        expect(rowBytes).toBe(rowStride(end));
      }
    }
  });

  it('holds every weight once', () => {
    const weights = (options: PackOptions) =>
      planPacking(config, options)
        .flatMap(({ matrices }) => matrices)
        .reduce((sum, { rows, cols }) => sum + rows * cols, 0);
    // TinyLlama 1.1B has 1,100,048,384 parameters; 45 norms of 2048 are no matrices.
    expect(weights({ dtype: 'int8' })).toBe(1_100_048_384 - 45 * 2048);
    expect(weights({ dtype: 'int8', layout: 'channels' })).toBe(1_100_048_384 - 45 * 2048);
  });

  it.each<[string, PackOptions, Partial<ModelConfigInput>, RegExp]>([
    ['groups beside other types', { dtype: 'ternary', groupRows: 32 }, {}, /only int8 projections have groups/],
    ['groups of no rows', { dtype: 'int8', groupRows: 0 }, {}, /at least 1, got 0/],
    ['half a row', { dtype: 'int8', groupRows: 1.5 }, {}, /whole number of rows/],
    ['layouts of other layers', { dtype: 'int8', layout: ['fused'] }, {}, /a layout for each of 22 layers, got 1/],
    [
      'channels behind SiLU',
      { dtype: 'f32', layout: 'channels' },
      { activation: 'silu' },
      /a SiLU gate is never closed/,
    ],
    [
      'channels behind gates with a threshold',
      { dtype: 'f32', layout: 'channels' },
      { sparsity: 0, sparsifier: 'threshold', thresholds: { gate: 0.1 }, gradient: 'masked' },
      /thresholds\.gate closes others/,
    ],
  ])('refuses %s', (_, options, changes, message) => {
    const plan = () => planPacking(resolveConfig({ ...config, ...changes }), options);
    expect(plan).toThrow(UsageError);
    expect(plan).toThrow(message);
  });
});

describe('packWeights of random numbers', () => {
  const config = resolveConfig({ ...preset('tiny'), tiedEmbeddings: false });

  const pack = (seed: number, options: PackOptions) => matricesOf(packWeights(config, { seed }, options, arena));

  it.each(WEIGHT_TYPES)('%s has the size of initial weights', (dtype) => {
    for (const [name, w] of Object.entries(pack(1, { dtype, layout: ['fused', 'channels'] }))) {
      const numbers = values(w);
      const rms = Math.sqrt(numbers.reduce((sum, x) => sum + x * x, 0) / numbers.length);
      expect(rms, name).toBeGreaterThan(0.01);
      expect(rms, name).toBeLessThan(0.03);
    }
  });

  it('are the same for the same seed', () => {
    const [one, again, other] = [1, 1, 2].map((seed) => values(pack(seed, { dtype: 'int8' })['layers.1.qkv']));
    expect(one).toEqual(again);
    expect(one).not.toEqual(other);
  });

  it('repeats rows where a matrix has more than are drawn, all of them and in all groups', () => {
    // 2^18 numbers are drawn: 4 rows of this table, which has 11.
    const wide = resolveConfig({
      ...preset('tiny'),
      dim: 65_536,
      headDim: 2,
      hiddenDim: 2,
      nLayers: 1,
      vocabSize: 11,
    });
    const { embedding } = packWeights(wide, { seed: 1 }, { dtype: 'int8' }, arena);
    const stored = storedWeights(embedding);
    for (const col of [0, 17_777, 65_535]) {
      const column = Array.from({ length: 11 }, (_, row) => stored(row, col));
      expect(column.slice(4)).toEqual([...column.slice(0, 4), ...column.slice(0, 3)]);
      expect(column.slice(0, 4).some((x) => x !== 0)).toBe(true);
    }
    expect(embedding.scale!.data.slice(4)).toEqual(
      new Float32Array([0, 1, 2, 3, 0, 1, 2].map((r) => embedding.scale!.data[r])),
    );
    const { qkv } = packWeights(config, { seed: 1 }, { dtype: 'int8', groupRows: 24 }, arena).layers[0];
    expect(qkv.scale!.shape).toEqual([3, 128]);
    const storedQkv = storedWeights(qkv);
    for (const row of [0, 5, 23]) expect(storedQkv(row + 24, 3)).toBe(storedQkv(row, 3));
    expect(weightScaleAt(qkv, 63, 3)).toBe(weightScaleAt(qkv, 0, 3));
  });

  it('has norms of 1', () => {
    const { norm, layers } = packWeights(config, { seed: 1 }, { dtype: 'int8' }, arena);
    expect([...norm.data, ...layers[1].attentionNorm.data].every((x) => x === 1)).toBe(true);
  });
});
