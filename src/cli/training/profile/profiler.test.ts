import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { captureStream } from '../../../../test/support/capture-stream.ts';
import { randomIds } from '../../../../test/support/tensors.ts';
import { type TracedEvent, traceProblems } from '../../../../test/support/trace-problems.ts';
import { within } from '../../../autograd/observer.ts';
import { createReferenceBackend } from '../../../backends/reference/reference-backend.ts';
import { denseTrainingFlops } from '../../../model/flops.ts';
import { type ModelConfigInput, resolveConfig } from '../../../model/resolve-config.ts';
import { StepStatistics } from '../../../model/statistics.ts';
import { Transformer } from '../../../model/transformer.ts';
import { AdamW } from '../../../train/adamw.ts';
import { Output } from '../../shared/output.ts';
import { widthOf } from '../../shared/terminal.ts';
import type { BufferTable } from './buffer-plan.ts';
import { KernelProfile, type KernelTable } from './kernel-profile.ts';
import { printBuffers, printKernels } from './print-profile.ts';
import { Profiler } from './profiler.ts';

const SHAPE = { batch: 2, seqLen: 16 };
const PEAKS = { gflops: 100, gbPerSecond: 20 };
const KINDS = ['step', 'phase', 'layer', 'point', 'op', 'point', 'product', 'kernel'];

/** Steps of a model under a profiler, as the trainer makes them. */
function train(steps: number, input: Partial<ModelConfigInput> = {}, { recompute = false } = {}) {
  let traced = 0;
  const profiler = new Profiler(() => traced++);
  const backend = profiler.observe(createReferenceBackend());
  const config = resolveConfig({ dim: 16, nLayers: 2, nHeads: 2, vocabSize: 40, seqLen: 16, sparsity: 0.6, ...input });
  const model = Transformer.create(config, backend, { seed: 1 });
  const options = { beta1: 0.9, beta2: 0.95, eps: 1e-8 };
  const optimizer = new AdamW(model.parameters, backend.kernels, model.pool, options);
  const [ids, targets] = [1, 2].map((seed) => randomIds(backend, SHAPE.batch * SHAPE.seqLen, 40, seed));
  const flops: number[] = [];
  const losses: number[] = [];
  for (let step = 1; step <= steps; step++) {
    within(profiler, 'step', `step ${step}`, () => {
      const statistics = new StepStatistics(config);
      losses.push(model.lossAndGradients(ids, targets, SHAPE, { statistics, observer: profiler, recompute }).loss);
      flops.push(statistics.flops);
      const update = { step, lr: 1e-2, weightDecay: 0.1, norm: 1, clip: 1 };
      within(profiler, 'phase', 'optimizer', () => optimizer.step(update));
    });
  }
  model.loss(ids, targets, SHAPE);
  return { profiler, model, optimizer, config, flops, losses, traced };
}

function tableOf(profiler: Profiler): KernelTable {
  return profiler.kernels.table(PEAKS)!;
}

/** 1e6 operations a step, put together from time and rate. */
function megaflop(table: KernelTable, rate: 'gflops' | 'gflopsDenseEquivalent'): number {
  return table.kernels.reduce((sum, row) => sum + row.msPerStep * (row[rate] ?? 0), 0);
}

describe('Profiler', () => {
  it('leaves the first two steps and what is outside of steps out, and its shares are the whole step', () => {
    expect(train(2).profiler.kernels.table(PEAKS)).toBeNull();
    const table = tableOf(train(5).profiler);
    expect(table.steps).toBe(3);
    const shares = table.kernels.map(({ share }) => share);
    expect(shares.reduce((sum, share) => sum + share, table.outsideOfKernels.share)).toBeCloseTo(1, 9);
    expect(table.outsideOfKernels.share).toBeGreaterThan(0);
    expect(shares).toEqual([...shares].sort((a, b) => b - a));
    // Once in a step; the forward pass behind the last step is not one.
    const calls = Object.fromEntries(
      table.kernels.map(({ kernel, use, callsPerStep }) => [`${kernel} ${use}`, callsPerStep]),
    );
    expect(calls).toMatchObject({ 'embedding ': 1, 'selectTopK qkv': 2, 'attentionBackward ': 2, 'matmul head dW': 1 });
    expect(calls['adamw optimizer']).toBe(train(1).model.parameters.length);
  });

  it.each<[string, Partial<ModelConfigInput>]>([
    ['top-K and natural zeros', {}],
    ['most gates closed: dW by the output', { hiddenL1: 0.5 }],
    ['masked, re-scaled, top-K at down', { gradient: 'masked', rescale: 'l2', sparsity: { qkv: 0.4, down: 0.8 } }],
    ['dense SiLU', { activation: 'silu', sparsity: 0, tiedEmbeddings: false }],
  ])('counts the operations that the tape counts, and those of a dense step: %s', (_name, input) => {
    const { profiler, flops, config } = train(4, input);
    const table = tableOf(profiler);
    expect(megaflop(table, 'gflops')).toBeCloseTo((flops[2] + flops[3]) / 2e6, 6);
    expect(megaflop(table, 'gflopsDenseEquivalent')).toBeCloseTo(denseTrainingFlops(config, SHAPE) / 1e6, 6);
  });

  it('tells every product of every point apart', () => {
    const products = tableOf(train(3).profiler).kernels.filter(({ gflops }) => gflops !== null);
    const uses = [...new Set(products.map(({ use }) => use))].sort();
    const points = ['qkv', 'o', 'gateUp', 'down', 'head'];
    // Attention has one use.
    expect(uses).toEqual(
      ['', ...points.flatMap((point) => ['Y', 'dW', 'dX'].map((product) => `${point} ${product}`))].sort(),
    );
  });

  it('changes no number', () => {
    const { losses, config } = train(3);
    const backend = createReferenceBackend();
    const model = Transformer.create(config, backend, { seed: 1 });
    const [ids, targets] = [1, 2].map((seed) => randomIds(backend, SHAPE.batch * SHAPE.seqLen, 40, seed));
    expect(model.loss(ids, targets, SHAPE)).toBe(losses[0]);
  });

  it('traces three steps behind the warm-up, nested, and says once that they are there', () => {
    const { profiler, traced } = train(8);
    expect(traced).toBe(1);
    expect(train(4).traced).toBe(0);
    const events: TracedEvent[] = JSON.parse(profiler.trace.toJson('a machine'));
    const mayHold = (inner: TracedEvent, outer: TracedEvent) =>
      ['kernel', 'memory'].includes(inner.cat) || KINDS.lastIndexOf(inner.cat) > KINDS.indexOf(outer.cat);
    expect(traceProblems(events, mayHold)).toEqual([]);
    const named = (cat: string) => events.filter((event) => event.cat === cat).map(({ name }) => name);
    expect(named('step')).toEqual(['step 3', 'step 4', 'step 5']);
    expect(named('phase').slice(0, 4)).toEqual(['forward', 'loss', 'backward', 'optimizer']);
    expect(named('layer').slice(0, 4)).toEqual(['layer 0', 'layer 1', 'layer 1', 'layer 0']);
    expect(events.find(({ name }) => name === 'sparseMatmul')).toMatchObject({
      args: { operands: '[32, 16] with 224 non-zeros [16, 48] [32, 48]', gflops: expect.any(Number) },
    });
  });

  it('follows layers that are run again for their gradients', () => {
    const { profiler, model, optimizer, flops } = train(4, {}, { recompute: true });
    expect(megaflop(tableOf(profiler), 'gflops')).toBeCloseTo((flops[2] + flops[3]) / 2e6, 6);
    const events: TracedEvent[] = JSON.parse(profiler.trace.toJson('a machine'));
    expect(traceProblems(events, () => true)).toEqual([]);
    const layers = events.filter(({ cat }) => cat === 'layer').map(({ name }) => name);
    expect(layers.slice(0, 4)).toEqual(['layer 0', 'layer 1', 'layer 1', 'layer 0']);
    const { holders, peakBytes } = profiler.buffers.table({ model, optimizer })!;
    expect(holders.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(peakBytes);
    // The inputs [32, 16] of both halves of two layers; those of the last half have been run already.
    const inputs = holders.find(({ holder }) => holder === 'kept: to recompute');
    expect(inputs!.bytes).toBeGreaterThanOrEqual(3 * 32 * 16 * 4);
  });

  it('says what held the memory at the peak: all of it', () => {
    const { profiler, model, optimizer } = train(1);
    const table = profiler.buffers.table({ model, optimizer })!;
    expect(table.peakBytes).toBe(model.pool.peakBytes);
    expect(table.holders.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(table.peakBytes);
    expect(table.at).toMatch(/^step 1, (loss|backward), /);
    const bytes = Object.fromEntries(table.holders.map((row) => [row.holder, row.bytes]));
    expect(bytes['moments of AdamW']).toBe(2 * bytes.parameters);
    expect(bytes['gradients of parameters']).toBe(bytes.parameters);
    // Of two layers qkv [32, 48], the output [32, 16] and the sums [32, 2] in the smallest block of the pool.
    expect(bytes['kept: attention']).toBe(2 * (32 * 48 * 4 + 32 * 16 * 4 + 512));
    // Two rotation tables [16, 4] and the positions [32], each in the smallest block of the pool, and the optimiser's sums by row (f64).
    expect(bytes['batch, rotation tables, sums']).toBe(4 * 512);
  });
});

describe('the tables for people', () => {
  const { profiler, model, optimizer } = train(3);
  const print = (columns: number | undefined, body: (output: Output) => void): string[] => {
    const stdout = captureStream(columns);
    body(new Output({ json: false, stdout }));
    return stripVTControlCharacters(stdout.text()).split('\n');
  };
  const buffers: BufferTable = profiler.buffers.table({ model, optimizer })!;

  it('fit into 80 columns with a line for each kernel', () => {
    const lines = print(80, (output) => {
      printKernels(output, tableOf(profiler), PEAKS, 'native avx512, 16 threads');
      printBuffers(output, buffers);
    });
    expect(lines.filter((line) => widthOf(line) > 80)).toEqual([]);
    expect(lines).toContainEqual(expect.stringMatching(/^selectTopK +qkv +2 /));
    expect(lines).toContainEqual(expect.stringMatching(/^outside of kernels +\d.* %$/));
  });

  it('say of each kernel what was added up, small ones in one row, and what is left of the step', () => {
    const kernels = new KernelProfile();
    const work = { flops: 1e9, denseFlops: 2.5e9, bytes: 4e7 };
    for (const ms of [20, 30, 30, 20]) kernels.addCall('sparseMatmul', 'o dW', ms, work);
    kernels.addCall('glu', '', 10, { flops: 0, denseFlops: 0, bytes: 1e8 });
    kernels.addCall('glu', '', 10, { flops: 0, denseFlops: 0, bytes: 3e8 });
    kernels.addCall('copy', 'add', 0.15, { flops: 0, denseFlops: 0, bytes: 1e3 });
    kernels.addCall('fill', 'add', 0.05, { flops: 0, denseFlops: 0, bytes: 1e3 });
    kernels.addStep(150);
    kernels.addStep(90);
    const lines = print(undefined, (output) => printKernels(output, kernels.table(PEAKS)!, PEAKS, 'a backend'));
    expect(lines.slice(1, 9)).toEqual([
      'Kernels: one step of 120 ms, mean of 2',
      'kernel              use   calls    ms   share  done  dense  GB/s   peak',
      '──────────────────  ────  ─────  ────  ──────  ────  ─────  ────  ─────',
      'sparseMatmul        o dW      2    50  41.7 %    40    100  1.60   40 %',
      'glu                           1    10   8.3 %                 20  100 %',
      '2 more                        1  0.10   0.1 %',
      'outside of kernels               59.9  49.9 %',
      'Peaks of a backend: 100 GFLOP/s and 20.0 GB/s, measured before.',
    ]);
  });

  it('leave the peaks out where none were measured', () => {
    const lines = print(80, (output) => printKernels(output, profiler.kernels.table(null)!, null, 'reference'));
    expect(lines.filter((line) => /Peaks|%.*%/.test(line))).toEqual([]);
  });
});
