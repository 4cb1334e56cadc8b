/** `qsparse calibrate` as a process, and what the other commands make of its result. */

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTinyRun, mainMissing, runCommand, type TinyRun } from '../support/tiny-checkpoint.ts';

const COMMON = ['--backend', 'reference'];
let run: TinyRun;
let directory: string;
let text: string;

beforeAll(() => {
  run = createTinyRun({ sparsity: 0, activation: 'silu' });
  directory = mkdtempSync(join(tmpdir(), 'qsparse-calibrate-'));
  text = join(directory, 'text.txt');
  writeFileSync(text, 'The quick brown fox runs over the lazy dog. The dog sleeps. '.repeat(20));
});
afterAll(() => {
  run.remove();
  rmSync(directory, { recursive: true });
});

const calibrate = (out: string, ...args: string[]) =>
  runCommand(['calibrate', run.directory, '--out', out, '--text', text, ...COMMON, ...args]);

describe.skipIf(mainMissing !== null)(`calibrate${mainMissing ? ` (${mainMissing})` : ''}`, () => {
  it('reads a line of JSONL as a text', async () => {
    const lines = join(directory, 'lines.jsonl');
    writeFileSync(lines, '{"text": "The dog sleeps."}\n{"text": "The fox runs."}\n');
    const once = join(directory, 'once.txt');
    writeFileSync(once, 'The dog sleeps.The fox runs.');
    const tokensOf = async (file: string) => {
      const { stdout } = await runCommand(['inspect', run.directory, '--text', file, '--json', ...COMMON]);
      return (JSON.parse(stdout) as { tokens: number }).tokens;
    };
    expect(await tokensOf(lines)).toBe(await tokensOf(once));
  });

  it('writes a checkpoint with thresholds, which inspect, convert and generate take', async () => {
    const out = join(directory, 'teal');
    const { code, stdout, stderr } = await calibrate(out, '--sparsity', '0.5');
    expect(code, stderr).toBe(0);
    expect(stdout).toContain(`${out}: ${run.directory}`);
    expect(readdirSync(out).sort()).toEqual(['config.json', 'model.safetensors', 'state.json', 'tokenizer.json']);
    const weights = (path: string) => readFileSync(join(path, 'model.safetensors'));
    expect(weights(out).equals(weights(join(run.directory, 'checkpoints/step-000007')))).toBe(true);
    const config = JSON.parse(readFileSync(join(out, 'config.json'), 'utf8')) as Record<string, never>;
    expect(config).toMatchObject({ sparsifier: 'threshold', sparsity: { qkv: 0, o: 0, gateUp: 0, down: 0 } });
    const { gate, ...points } = config.thresholds as Record<string, number[]>;
    expect(gate).toEqual([0, 0]);
    for (const layers of Object.values(points)) {
      expect(layers.length).toBe(2);
      for (const threshold of layers) expect(threshold).toBeGreaterThan(0);
    }

    const inspected = await runCommand(['inspect', out, '--text', text, '--json', ...COMMON]);
    const { projections, layers } = JSON.parse(inspected.stdout) as {
      projections: { projection: string; sparsity: number }[];
      layers: { qkv: number }[];
    };
    expect(layers[0].qkv).toBeCloseTo(0.5, 1);
    for (const { sparsity } of projections) expect(Math.abs(sparsity - 0.5)).toBeLessThan(0.15);

    const packed = join(directory, 'packed');
    expect((await runCommand(['convert', out, packed, '--dtype', 'f32', ...COMMON])).code).toBe(0);
    const words = ['--prompt', 'The', '--temperature', '0', '--max-tokens', '6', ...COMMON];
    const [fromCheckpoint, fromPacked] = await Promise.all(
      [out, packed].map((model) => runCommand(['generate', model, ...words])),
    );
    expect(fromPacked.stdout).toBe(fromCheckpoint.stdout);
    const refused = await runCommand(['generate', out, ...words, '--sparsity', '0.7']);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/a model with sparsifier threshold .* no share can be chosen at run time/);
    const again = await runCommand(['calibrate', packed, '--out', `${out}2`, '--sparsity', '0.5', ...COMMON]);
    expect(again.stderr).toMatch(/is a packed model: expected a checkpoint of training/);
  });

  it('takes shares by point, and gives one JSON object', async () => {
    const out = join(directory, 'down');
    const { code, stdout } = await calibrate(out, '--sparsity', 'down=0.9', '--max-tokens', '100', '--json');
    expect(code).toBe(0);
    const { thresholds, tokens } = JSON.parse(stdout) as { thresholds: Record<string, number[]>; tokens: number };
    expect(tokens).toBe(100);
    expect([thresholds.qkv, thresholds.o, thresholds.gateUp]).toEqual([
      [0, 0],
      [0, 0],
      [0, 0],
    ]);
    expect(Math.min(...thresholds.down)).toBeGreaterThan(0);
  });

  it('divides one share among the projections of each block', async () => {
    const out = join(directory, 'greedy');
    const greedy = ['--sparsity', '0.4', '--allocation', 'greedy', '--search-tokens', '64'];
    const { code, stdout, stderr } = await calibrate(out, ...greedy, '--json');
    expect(code, stderr).toBe(0);
    const { allocated, thresholds } = JSON.parse(stdout) as {
      allocated: { shares: Record<string, number>; error: number; uniformError: number }[];
      thresholds: Record<string, number[]>;
    };
    for (const { shares, error, uniformError } of allocated) {
      expect(new Set(Object.values(shares)).size).toBeGreaterThan(1);
      expect(error).toBeLessThan(uniformError);
    }
    const config = JSON.parse(readFileSync(join(out, 'config.json'), 'utf8')) as Record<string, never>;
    expect(config.thresholds).toEqual(thresholds);
    const inspected = await runCommand(['inspect', out, '--text', text, '--json', ...COMMON]);
    const { modelSparsity } = JSON.parse(inspected.stdout) as { modelSparsity: number };
    expect(Math.abs(modelSparsity - 0.4)).toBeLessThan(0.05);
    const byPoint = await calibrate(`${out}2`, '--sparsity', 'qkv=0.4', '--allocation', 'greedy');
    expect(byPoint.code).toBe(2);
    expect(byPoint.stderr).toMatch(/greedy divides one share among the points: expected one, got shares by point/);
  });

  it('finds thresholds for gates, whose zeros are those before down', async () => {
    const out = join(directory, 'cats');
    expect((await calibrate(out, '--sparsity', 'gate=0.5')).code).toBe(0);
    const inspected = await runCommand(['inspect', out, '--text', text, '--json', ...COMMON]);
    const { layers } = JSON.parse(inspected.stdout) as { layers: { qkv: number; gateUp: number; down: number }[] };
    for (const { qkv, gateUp, down } of layers) {
      expect([qkv, gateUp]).toEqual([0, 0]);
      expect(Math.abs(down - 0.5)).toBeLessThan(0.1);
    }
    const refused = await runCommand(['convert', out, `${out}-packed`, '--dtype', 'f32', '--layout', 'channels']);
    expect(refused.stderr).toMatch(/thresholds\.gate closes others/);
  });

  it('overwrites nothing, and refuses what makes no sense', async () => {
    const out = join(directory, 'there');
    expect((await calibrate(out, '--sparsity', '0.5')).code).toBe(0);
    const before = readFileSync(join(out, 'config.json'));
    const again = await calibrate(out, '--sparsity', '0.8');
    expect(again.code).toBe(1);
    expect(again.stderr).toMatch(/holds something already; nothing was written\. Choose another directory\.\n$/);
    expect(readFileSync(join(out, 'config.json')).equals(before)).toBe(true);
    const none = await calibrate(join(directory, 'none'), '--sparsity', '0');
    expect(none.code).toBe(2);
    expect(none.stderr).toMatch(/thresholds must be above 0 somewhere/);
    const relu = createTinyRun({ activation: 'relu', sparsifier: 'drelu', sparsity: 0 });
    const refused = await runCommand([
      ...['calibrate', relu.directory, '--out', join(directory, 'none')],
      '--sparsity',
      '0.5',
    ]);
    relu.remove();
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/has zeros that its drelu makes, which are part of its function/);
    const lost = await runCommand(['calibrate', join(directory, 'nowhere'), '--out', 'x', '--sparsity', '0.5']);
    expect(lost.stderr).toMatch(/nowhere.* does not exist/);
    expect(readdirSync(directory).filter((name) => /none|^x$|tmp/.test(name))).toEqual([]);
  });
});
