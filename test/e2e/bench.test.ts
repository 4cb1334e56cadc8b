/** `qsparse bench` as a process: the rows that programs read, and what they must add up to. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createTinyRun, mainMissing, runCommand } from '../support/tiny-checkpoint.ts';

const QUICK = ['--backend', 'reference', '--repeat', '1', '--json'];

interface Report {
  machine: { cpu: string; threads: number };
  commit: string;
  peakProcessBytes: number;
  rows: Record<string, number>[];
}

async function bench(...args: string[]): Promise<Report> {
  const { code, stdout, stderr } = await runCommand(['bench', ...args, ...QUICK]);
  expect(code, stderr).toBe(0);
  const report = JSON.parse(stdout) as Report;
  expect(report.machine.threads).toBe(1);
  expect(report.commit).toMatch(/./);
  return report;
}

describe.skipIf(mainMissing !== null)(`bench${mainMissing ? ` (${mainMissing})` : ''}`, () => {
  it('select: by width and kept, alone and in batches', async () => {
    const { rows } = await bench('select', '--shape', 'tiny', '--sparsity', '0.5');
    expect(rows.map(({ dim, kept, batch }) => [dim, kept, batch])).toEqual([
      [64, 32, 1],
      [64, 32, 256],
      [160, 80, 1],
      [160, 80, 256],
    ]);
    for (const { nsPerToken } of rows) expect(nsPerToken).toBeGreaterThan(0);
  });

  it('layout: fused and by channel at each share of open gates', async () => {
    const shares = ['--dtype', 'f32,ternary', '--open-gates', '0.1,0.4'];
    const { rows } = await bench('layout', '--shape', 'tiny', ...shares);
    expect(rows.map(({ dtype, openGates, layout }) => [dtype, openGates, layout])).toEqual(
      ['f32', 'ternary'].flatMap((dtype) =>
        [0.1, 0.4].flatMap((open) => ['fused', 'channels'].map((layout) => [dtype, open, layout])),
      ),
    );
    for (const { open, openGates } of rows) expect(Math.abs(open - openGates)).toBeLessThan(0.12);
    for (const { speedupOverFused } of rows.filter((_, i) => i % 2 === 0)) expect(speedupOverFused).toBe(1);
  });

  it('decode: dense first, and a file of the same', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'qsparse-bench-'));
    const out = join(directory, 'decode.json');
    const report = await bench('decode', '--shape', 'tiny', '--sparsity', '0.5,0', '--tokens', '2', '--out', out);
    expect(JSON.parse(readFileSync(out, 'utf8'))).toEqual(report);

    writeFileSync(out, 'notes');
    const refused = await runCommand(['bench', 'select', '--shape', 'tiny', '--out', out, ...QUICK]);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/is no result of qsparse bench; nothing was written/);
    expect(readFileSync(out, 'utf8')).toBe('notes');
    const nowhere = join(directory, 'missing', 'decode.json');
    const lost = await runCommand(['bench', 'select', '--shape', 'tiny', '--out', nowhere, ...QUICK]);
    expect([lost.code, lost.stdout]).toEqual([2, '']);
    expect(lost.stderr).toMatch(/cannot be written: .*Choose another, or make its folder/);
    rmSync(directory, { recursive: true });
    const [dense, sparse] = report.rows;
    expect(dense).toMatchObject({ dtype: 'f32', sparsity: 0, batch: 1, zeros: 0, speedupOverDense: 1 });
    expect(sparse).toMatchObject({ sparsity: 0.5 });
    // Half of every input is dropped; closed gates among the kept hidden channels count on top.
    expect(sparse.zeros).toBeGreaterThanOrEqual(0.5);
    expect(sparse.bytesPerToken).toBeLessThan(dense.bytesPerToken);
    for (const row of report.rows) {
      expect(row.tokensPerSecond * row.msPerToken).toBeCloseTo(1000);
      expect(row.gbPerSecond).toBeCloseTo((row.bytesPerToken * row.tokensPerSecond) / 1e9);
      expect(row.selectShare).toBeGreaterThanOrEqual(0);
      expect(row.selectShare).toBeLessThan(1);
    }
  });

  it('decode: a trained model, dense and as it is', async () => {
    const run = createTinyRun({ seqLen: 40 });
    const { rows } = await bench('decode', run.directory, '--tokens', '4');
    run.remove();
    expect(rows.map(({ sparsity }) => sparsity)).toEqual([0, null]);
    expect(rows[0].zeros).toBe(0);
    expect(rows[1].zeros).toBeGreaterThan(0.4);
  });

  it('decode: a model packed by channel, beside the same with gate and up fused', async () => {
    const run = createTinyRun({ seqLen: 40 });
    const [channels, fused] = ['channels', 'fused'].map((layout) => join(run.directory, layout));
    for (const place of [channels, fused]) {
      const how = ['--dtype', 'int8', '--layout', basename(place)];
      expect((await runCommand(['convert', run.directory, place, ...how])).code).toBe(0);
    }
    const { rows } = await bench('decode', channels, '--dense-twin', fused, '--tokens', '4');
    const decode = (...args: string[]) => runCommand(['bench', 'decode', ...args, '--tokens', '4', '--repeat', '1']);
    const alone = await decode(channels);
    const needless = await decode(fused, '--dense-twin', channels);
    const other = await decode(channels, '--dense-twin', channels);
    const shape = await decode('--shape', 'tiny', '--dense-twin', fused);
    run.remove();
    expect(rows.map(({ sparsity }) => sparsity)).toEqual([0, null]);
    expect(rows[1].speedupOverDense).toBeGreaterThan(0);
    expect([alone, needless, other, shape].map(({ code }) => code)).toEqual([2, 2, 2, 2]);
    expect(alone.stderr).toMatch(/is packed by channel.*pack the model with --layout fused too.*--dense-twin/);
    expect(needless.stderr).toMatch(/has gate and up fused: dense is measured on itself/);
    expect(other.stderr).toMatch(/is not the model of .* with gate and up fused/);
    expect(shape.stderr).toMatch(/is for a MODEL that is packed by channel/);
  });

  const TINY_STEP = ['--shape', 'tiny', '--batch-size', '1', '--seq-len', '8'];

  it('train: whole steps, dense twin first, fresh weights', async () => {
    const { rows, peakProcessBytes } = await bench('train', '--sparsity', '0,0.5', ...TINY_STEP);
    expect(rows.map(({ sparsity, skips }) => [sparsity, skips])).toEqual([
      [0, 'none'],
      [0, 'all'],
      [0.5, 'all'],
    ]);
    const [dense, natural, sparse] = rows;
    expect(dense).toMatchObject({ precision: 'f32', speedupOverDense: 1, batch: 1, seqLen: 8 });
    // The same zeros at down, skipped or not: random gates are open for about half of the channels.
    expect(dense.downZeros).toBe(natural.downZeros);
    expect(dense.downZeros).toBeGreaterThan(0.3);
    expect(dense.downZeros).toBeLessThan(0.7);
    expect(natural.zeros).toBeLessThan(natural.downZeros); // none elsewhere
    expect(sparse.zeros).toBeGreaterThan(0.4);
    // What is skipped is not done: the twin does all that a dense step counts.
    for (const { gflops, gflopsDenseEquivalent } of rows)
      expect(gflops).toBeLessThanOrEqual(1.001 * gflopsDenseEquivalent);
    expect(dense.gflops / dense.gflopsDenseEquivalent).toBeGreaterThan(0.99);
    expect(natural.gflops / natural.gflopsDenseEquivalent).toBeLessThan(0.99);
    for (const row of rows) {
      expect(row).toMatchObject({ checkpoint: 'fresh', step: null, without: null });
      expect(row.tokensPerSecond * row.msPerStep).toBeCloseTo(8000);
      expect(row.peakBytes).toBeGreaterThan(4 * 100_000 * 4); // parameters, gradients, two moments
      expect(row.peakBytes).toBeLessThan(peakProcessBytes);
    }
  });

  it('train: a trained model says so, and its step', async () => {
    const run = createTinyRun();
    const { rows } = await bench('train', run.directory, '--sparsity', '0.5', '--batch-size', '1', '--seq-len', '8');
    run.remove();
    expect(rows.map(({ sparsity }) => sparsity)).toEqual([0, 0.5]);
    for (const row of rows) expect(row).toMatchObject({ checkpoint: 'trained', step: 7 });
  });

  it('train --skips: all, each one off alone, none', async () => {
    const { rows } = await bench('train', '--skips', '--sparsity', '0.6', ...TINY_STEP);
    const [dense, all, ...less] = rows;
    expect(dense).toMatchObject({ sparsity: 0, skips: 'none', speedupOverDense: 1, gain: null });
    expect(all).toMatchObject({ sparsity: 0.6, skips: 'all', without: null, gain: 1 });
    expect(less.map(({ without }) => without)).toEqual([
      'forward',
      'weightGradient',
      'inputGradient',
      'up',
      'hiddenGradient',
      null,
    ]);
    expect(less.at(-1)).toMatchObject({ sparsity: 0.6, skips: 'none' });
    for (const row of less) {
      expect(row.gain).toBeGreaterThan(0);
      expect(row.gflops * row.msPerStep).toBeGreaterThanOrEqual(all.gflops * all.msPerStep * 0.999);
    }
    // More is done without the two that pay at any size; all of it without any.
    for (const row of [less[0], less[1]])
      expect(row.gflops * row.msPerStep).toBeGreaterThan(1.05 * all.gflops * all.msPerStep);
    expect(less.at(-1)!.gflops / less.at(-1)!.gflopsDenseEquivalent).toBeGreaterThan(0.99);
  });

  it('train refuses bf16 where the processor has none, and more than one sparsity with --skips', async () => {
    const bf16 = await runCommand(['bench', 'train', '--precision', 'f32,bf16', ...TINY_STEP, ...QUICK]);
    expect(bf16.code).toBe(1);
    expect(bf16.stderr).toMatch(/^error: \[--precision\] bf16: expected a processor with bf16 dot products .*\n$/);
    const skips = await runCommand(['bench', 'train', '--skips', '--sparsity', '0.4,0.6', ...TINY_STEP, ...QUICK]);
    expect(skips.code).toBe(2);
    expect(skips.stderr).toMatch(/^error: \[--skips\] expected one --sparsity .*got 2\.\n$/);
  });

  it('refuses a model and a shape together', async () => {
    const { code, stderr } = await runCommand(['bench', 'decode', 'run', '--shape', 'tiny', ...QUICK]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^error: \[bench\] expected a MODEL or --shape, got both.*\n$/);
  });
});
