/** `qsparse compare` as a process: two kinds of model, three sparsities, one table, one figure; stopped and gone on with. */

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTinyRun, MAIN, mainMissing, runCommand, type TinyRun } from '../support/tiny-checkpoint.ts';

interface Report {
  models: {
    given: string;
    sparsity: number | null;
    parameters: number;
    activated: number;
    zeros: number;
    quality: {
      task: string;
      items: number;
      reused: number;
      isComplete: boolean;
      perplexity: { perplexity: number } | null;
      metrics: Record<string, { value: number; stderr: number }>;
    }[];
    decode: { msPerToken: number };
    dense?: { msPerToken: number };
  }[];
}

let run: TinyRun;
let directory: string;
const place = (name: string) => join(directory, name);

beforeAll(() => {
  run = createTinyRun({ activation: 'silu', sparsity: 0.5 });
  directory = mkdtempSync(join(tmpdir(), 'qsparse-compare-'));
  writeFileSync(place('text.txt'), 'The quick brown fox runs over the lazy dog. The dog sleeps. '.repeat(10));
  const rows = ['fox', 'dog', 'cat', 'hen'].map((animal, i) => ({
    query: `Question: Does the ${animal} sleep?`,
    choices: ['The dog sleeps.', 'It runs.'],
    gold: i % 2,
  }));
  writeFileSync(place('arc_easy.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
});
afterAll(() => {
  run.remove();
  rmSync(directory, { recursive: true });
});

const compare = (...args: string[]) =>
  runCommand(['compare', ...args, '--backend', 'reference', '--repeat', '1', '--decode-tokens', '2']);

describe.skipIf(mainMissing !== null)(`compare${mainMissing ? ` (${mainMissing})` : ''}`, () => {
  it('measures quality, activated parameters and time of each model, and goes on from what is saved', async () => {
    const file = place('tiny.gguf');
    const exported = await runCommand(['convert', run.directory, file, '--to', 'gguf']);
    expect(exported.code, exported.stderr).toBe(0);
    const out = place('comparison');
    const models = [run.directory, `${run.directory}@0`, `${file}@0.8`];
    const args = ['--text', place('text.txt'), '--tasks', 'arc_easy', '--data', directory, '--out', out];
    const first = await compare(...models, ...args, '--json');
    expect(first.code, first.stderr).toBe(0);
    const report = JSON.parse(first.stdout) as Report;
    expect(report.models.map(({ given }) => given)).toEqual(models);
    const [own, dense, sparse] = report.models;
    expect([own.sparsity, dense.sparsity, sparse.sparsity]).toEqual([null, 0, 0.8]);
    // 2 layers of 4 x 32 x 32 + 3 x 32 x 64 in projections, of which zeros leave their share.
    const blocks = 2 * (4 * 32 * 32 + 3 * 32 * 64);
    for (const { parameters, activated, zeros } of report.models) {
      expect(activated).toBeCloseTo(parameters - zeros * blocks, 3);
    }
    expect(dense.zeros).toBeLessThan(0.01);
    expect(own.zeros).toBeCloseTo(0.5, 1);
    expect(sparse.zeros).toBeGreaterThan(0.75);
    for (const { quality, decode } of report.models) {
      expect(quality.map(({ task, items, reused }) => [task, items > 0, reused])).toEqual([
        ['perplexity', true, 0],
        ['arc_easy', true, 0],
      ]);
      expect(quality[1].metrics.acc.stderr).toBeGreaterThanOrEqual(0);
      expect(decode.msPerToken).toBeGreaterThan(0);
    }
    const svg = readFileSync(join(out, 'compare.svg'), 'utf8');
    // Two measures against two costs, three models in each.
    expect(svg.match(/<circle /g)).toHaveLength(12);
    expect(JSON.parse(readFileSync(join(out, 'compare.json'), 'utf8')).models).toEqual(report.models);
    expect(readdirSync(join(out, 'records'))).toHaveLength(2);

    const again = await compare(...models, ...args, '--json');
    const second = JSON.parse(again.stdout) as Report;
    for (const [i, { quality }] of second.models.entries()) {
      expect(quality.map(({ items, reused }) => items - reused)).toEqual([0, 0]);
      expect(quality[0].perplexity).toEqual(report.models[i].quality[0].perplexity);
    }
    const alone = await runCommand([
      ...['eval', file, '--text', place('text.txt'), '--sparsity', '0.8', '--backend', 'reference', '--json'],
    ]);
    const { results } = JSON.parse(alone.stdout) as { results: { perplexity: { perplexity: number } }[] };
    expect(sparse.quality[0].perplexity!.perplexity).toBeCloseTo(results[0].perplexity.perplexity, 4);
  });

  it('prints a table for people', async () => {
    const { code, stdout } = await compare(run.directory, '--text', place('text.txt'), '--out', place('table'));
    expect(code).toBe(0);
    expect(stdout).toMatch(/^model +perplexity +bits\/byte +zeros +activated M +of M +ms\/token +over dense$/m);
    expect(stdout).toMatch(/compare\.svg: quality against activated parameters and against ms a token/);
  });

  it('gives all models one window, and measures weights by channel as they are', async () => {
    const [long, out] = [createTinyRun({ seqLen: 128 }), place('windows')];
    const packed = join(long.directory, 'packed');
    const how = ['--dtype', 'int8', '--layout', 'channels'];
    expect((await runCommand(['convert', long.directory, packed, ...how])).code).toBe(0);
    const args = [packed, run.directory, '--text', place('text.txt'), '--out', out, '--json'];
    const { code, stdout, stderr } = await compare(...args);
    const tooLong = await compare(...args, '--window', '100');
    long.remove();
    expect(code, stderr).toBe(0);
    const report = JSON.parse(stdout) as Report & { window: number };
    expect(report.window).toBe(64);
    const [first, second] = report.models;
    expect(first.quality[0].items).toBe(second.quality[0].items);
    expect(first.decode.msPerToken).toBeGreaterThan(0);
    expect([first.dense, second.dense?.msPerToken]).toEqual([undefined, expect.any(Number)]);
    expect(tooLong.code).toBe(2);
    expect(tooLong.stderr).toMatch(/\[--window\] .* has a context of 64 tokens, got 100/);
  });

  it('refuses a share that a model does not take before anything is measured', async () => {
    const [relu, out] = [createTinyRun({ activation: 'relu', sparsifier: 'drelu', sparsity: 0 }), place('shares')];
    const args = ['--text', place('text.txt'), '--out', out];
    const { code, stderr } = await compare(run.directory, `${relu.directory}@0.5`, ...args);
    relu.remove();
    expect(code).toBe(2);
    expect(stderr).toMatch(/@0\.5\] a model with sparsifier drelu has the zeros that its drelu makes/);
    expect(existsSync(out)).toBe(false);
  });

  it('refuses in one line what cannot be compared', async () => {
    const text = ['--text', place('text.txt')];
    const out = ['--out', place('never')];
    const cases: [string[], RegExp][] = [
      [[run.directory, ...out], /nothing to compare by: expected --text or --tasks/],
      [[run.directory, run.directory, ...text, ...out], /is given twice/],
      [[`${run.directory}@1.5`, ...text, ...out], /a share of at least 0 and below 1/],
      [[run.directory, '--text', place('none.txt'), ...out], /none\.txt does not exist\. Check --text/],
    ];
    for (const [args, message] of cases) {
      const { code, stdout, stderr } = await compare(...args);
      expect({ code, stdout }, stderr).toEqual({ code: 2, stdout: '' });
      expect(stderr).toMatch(message);
    }
    expect(existsSync(place('never'))).toBe(false);
  });

  it('stops cleanly on Ctrl-C and keeps what was evaluated', async () => {
    const out = place('stopped');
    const words = 'The dog sleeps; the fox runs over the lazy dog. '.repeat(400);
    writeFileSync(place('long.txt'), words);
    const models = [0, 0.1, 0.2, 0.3, 0.4].map((share) => `${run.directory}@${share}`);
    const result = await stopWhileEvaluating([...models, '--text', place('long.txt'), '--out', out], out);
    expect(result.code, result.stderr).toBe(130);
    expect(result.stderr).toMatch(/stopped; what was evaluated is in .*stopped, the same command goes on/);
    const [file] = readdirSync(join(out, 'records'));
    expect(readFileSync(join(out, 'records', file), 'utf8').split('\n').length).toBeGreaterThan(2);
    // What was stopped in its midst is in the table, said to be so, and no point of the figure.
    const circles = readFileSync(join(out, 'compare.svg'), 'utf8').match(/<circle /g) ?? [];
    const { models: stopped } = JSON.parse(readFileSync(join(out, 'compare.json'), 'utf8')) as Report;
    const complete = stopped.filter(({ quality, activated }) => quality[0]?.isComplete && activated !== undefined);
    const timed = stopped.filter(({ quality, decode }) => quality[0]?.isComplete && decode !== undefined);
    expect(circles).toHaveLength(complete.length + timed.length);
  });
});

/** Sends SIGINT as soon as records are there. */
async function stopWhileEvaluating(args: string[], out: string) {
  const child = spawn(process.execPath, [MAIN, 'compare', ...args, '--backend', 'reference'], { stdio: 'pipe' });
  let stderr = '';
  child.stderr.on('data', (data: Buffer) => {
    stderr += data.toString();
  });
  const watch = setInterval(() => {
    const folder = join(out, 'records');
    const [file] = existsSync(folder) ? readdirSync(folder) : [];
    if (file === undefined || readFileSync(join(folder, file), 'utf8').split('\n').length < 4) return;
    clearInterval(watch);
    child.kill('SIGINT');
  }, 20);
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  clearInterval(watch);
  return { code, stderr };
}
