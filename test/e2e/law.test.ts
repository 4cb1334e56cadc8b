/** `qsparse law` as a user has it: the numbers of the paper, a table to constants to a plan, a sweep that is killed. Needs the built program. */

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gridPoints } from '../support/law-points.ts';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const isBuilt = existsSync(MAIN);
if (!isBuilt) console.warn(`skipped: ${MAIN} is missing. Run npm run build.`);

interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
}

function start(args: string[]): { child: ChildProcess; finished: Promise<Finished> } {
  const child = spawn(process.execPath, [MAIN, 'law', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { stdout: '', stderr: '' };
  child.stdout.on('data', (data) => {
    said.stdout += data;
  });
  child.stderr.on('data', (data) => {
    said.stderr += data;
  });
  const finished = new Promise<Finished>((done) => child.on('close', (code) => done({ code, ...said })));
  return { child, finished };
}

const law = (...args: string[]) => start(args).finished;

let folder: string;
let runs: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'qsparse-law-'));
  runs = join(folder, 'runs.csv');
  const line = (format: string) => (point: { size: number; sparsity: number; loss: number }) =>
    `${format},${point.size * 1e6},${point.sparsity},${point.loss}`;
  const ternary = gridPoints({ noise: 0.001, constants: { E: 2.5, B: 0.3, C: 1.1, alpha: 0.3, beta: 0.09 } });
  const lines = [...gridPoints({ noise: 0.001 }).map(line('float')), ...ternary.map(line('ternary'))];
  writeFileSync(runs, `format,parameters,sparsity,loss\n${lines.join('\n')}\n`);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.runIf(isBuilt)('qsparse law', () => {
  it('plans with the printed constants: 50.24 %', async () => {
    const { code, stdout } = await law('plan', '--activated', '1e9', '--json');
    expect(code).toBe(0);
    const { rows } = JSON.parse(stdout);
    expect(rows).toHaveLength(1);
    expect(rows[0].sparsity).toBeCloseTo(0.5024, 3);
    expect(rows[0].activated).toBeCloseTo(1e9, -2);
    expect(rows[0].loss).toBeLessThan(rows[0].denseLoss);
  });

  it('goes from a table to constants to a plan, figures and a page', async () => {
    const fitted = await law('fit', runs, '--json', '--draws', '20');
    expect(fitted.code, fitted.stderr).toBe(0);
    const constants = join(folder, 'constants.json');
    writeFileSync(constants, fitted.stdout);
    const { laws } = JSON.parse(fitted.stdout);
    expect(laws.float.constants.alpha).toBeCloseTo(0.3, 1);
    expect(laws.float.measured.sizes).toEqual([0.2, 4]);

    const planned = await law('plan', '--bytes-per-token', '1e6', '--constants', constants, '--json');
    const rows: { weights: string; loss: number }[] = JSON.parse(planned.stdout).rows;
    // Two bits a weight buy sixteen times the parameters of f32.
    expect(rows.map(({ weights }) => weights)).toEqual(['ternary', 'int8', 'bf16', 'f32']);

    const figures = join(folder, 'figures');
    expect((await law('plot', runs, '--out', figures)).code).toBe(0);
    expect(readdirSync(figures)).toHaveLength(4);
    const svg = readFileSync(join(figures, 'law-float-fit.svg'), 'utf8');
    expect(svg.match(/<circle/g)).toHaveLength(2 * 35);
    expect(svg).not.toMatch(/NaN|undefined/);

    const page = join(folder, 'law.html');
    expect((await law('page', '--constants', constants, '--out', page)).code).toBe(0);
    expect(readFileSync(page, 'utf8')).toContain('ternary, own runs');
  });

  it('plans in milliseconds with measured times', async () => {
    const speed = join(folder, 'speed.json');
    const row = (sparsity: number, msPerToken: number) => ({
      ...{ shape: 'q300m', dtype: 'f32', batch: 1, closedGates: null, zeros: sparsity, msPerToken },
    });
    writeFileSync(speed, JSON.stringify({ bench: 'decode', rows: [row(0, 100), row(0.5, 70), row(0.8, 60)] }));
    const { code, stdout, stderr } = await law('plan', '--ms-per-token', '100', '--speed', speed, '--json');
    expect(code, stderr).toBe(0);
    const [best] = JSON.parse(stdout).rows;
    // 302 M parameters take 100 ms dense; by 70 ms for half of the zeros there are 1 / 0.7 as many.
    expect(best.denseParameters / 302e6).toBeCloseTo(1, 1);
    expect(best.sparsity).toBeLessThan(0.51);
    const refused = await law('plan', '--ms-per-token', '100');
    expect(refused).toMatchObject({ code: 2 });
    expect(refused.stderr).toContain('qsparse bench decode');
  });

  it('answers wrong tables and options with one line', async () => {
    const broken = join(folder, 'broken.csv');
    writeFileSync(broken, 'parameters,sparsity,loss\n1e6,0.5,none\n');
    const { code, stderr } = await law('fit', broken);
    expect(code).toBe(1);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toContain('line 2, column 3 ("loss"): expected a number above 0, got "none"');
    const several = join(folder, 'several.csv');
    writeFileSync(several, 'parameters,sparsity,loss,tokens\n1e6,0.5,3,1e6\n1e6,0.5,3,2e6\n');
    const plotted = await law('plot', several, '--out', join(folder, 'several'));
    expect([plotted.code, plotted.stderr]).toEqual([2, expect.stringContaining('2 numbers of training tokens')]);
    expect((await law('sweep', 'plan.mjs', '--text', broken, '--out', 'new', '--seed', '1')).stderr).toContain(
      '--seed',
    );
    expect((await law('plan')).code).toBe(2);
    expect((await law('plan', '--activated', '1e9', '--bytes-per-token', '3')).stderr).toContain('got 2');
    expect((await law('page', '--out', broken)).stderr).toContain('nothing was written');
  });
});

describe.runIf(isBuilt)('qsparse law sweep', () => {
  let text: string;
  beforeAll(() => {
    text = join(folder, 'text.txt');
    const words = ['the miller', 'a wolf', 'the old king', 'saw', 'followed', 'forgot', 'the river', 'a stone'];
    const sentences = Array.from({ length: 3000 }, (_, i) => words[(i * 7 + (i >> 3)) % words.length]);
    writeFileSync(text, sentences.join(' '));
  });

  const contents = {
    base: {
      model: { vocabSize: 280, seqLen: 32, activation: 'silu' },
      train: { steps: 6, batchSize: 2, validateEvery: 0, sampleEvery: 0, detailEvery: 3, saveEvery: 2 },
    },
    sizes: { tiny: { dim: 32, hiddenDim: 64, nLayers: 1, nHeads: 2 } },
    sparsities: [0, 0.5],
    rates: [1e-3, 3e-3],
  };

  it('takes a rate at which training diverges for tried and goes on', async () => {
    const [plan, out] = [join(folder, 'high.mjs'), join(folder, 'high')];
    const high = { ...contents, rates: [1e-5, 1e-3, 1e38] };
    writeFileSync(plan, `export const plan = ${JSON.stringify(high)};\n`);
    const args = ['sweep', plan, '--text', text, '--out', out, '--json'];
    const { code, stdout, stderr } = await law(...args);
    expect([code, stderr]).toEqual([0, expect.stringContaining('lr1e+38: diverged')]);
    expect(JSON.parse(stdout)).toMatchObject({ runs: 2, failures: 0 });
    const tried = readFileSync(join(out, 'rates.csv'), 'utf8').trim().split('\n').slice(1);
    expect(tried.map((line) => line.split(',')[9] === 'diverged')).toEqual([false, false, true]);
    expect(readFileSync(join(out, 'runs.csv'), 'utf8')).not.toContain('diverged');
    const again = await law(...args);
    expect([again.code, again.stderr]).toEqual([0, expect.stringContaining('3 of them done')]);
  }, 180_000);

  it('trains a grid, survives kill -9 of itself, skips what is done', async () => {
    const plan = join(folder, 'plan.mjs');
    writeFileSync(plan, `export const plan = ${JSON.stringify(contents)};\n`);
    const out = join(folder, 'sweep');
    const args = ['sweep', plan, '--text', text, '--validation', text, '--out', out, '--threads', '1', '--discard'];

    const { child, finished } = start(args);
    const rates = join(out, 'rates.csv');
    while (!existsSync(rates) && child.exitCode === null) await new Promise((tick) => setTimeout(tick, 20));
    child.kill('SIGKILL');
    await finished;
    const before = readFileSync(rates, 'utf8');

    const other = join(folder, 'other.txt');
    writeFileSync(other, `${readFileSync(text, 'utf8')} Another end.`);
    for (const [name, changed] of [
      ['--text', args.with(3, other)],
      ['--validation', args.with(5, other)],
      ['--validation', args.toSpliced(4, 2)],
    ] as const) {
      const refused = await law(...changed);
      expect([refused.code, refused.stderr]).toEqual([
        2,
        expect.stringContaining(`[${name}] is not the text that this sweep was begun with`),
      ]);
    }

    const again = await law(...args, '--json');
    expect(again.code, again.stderr).toBe(0);
    expect(readFileSync(rates, 'utf8').startsWith(before)).toBe(true);
    const table = readFileSync(join(out, 'runs.csv'), 'utf8').trim().split('\n');
    expect(table).toHaveLength(3);
    const tried = readFileSync(rates, 'utf8').trim().split('\n').slice(1);
    const losses = new Map(tried.map((line) => [Number(line.split(',')[5]), Number(line.split(',')[9])]));
    const best = [...losses].sort(([, a], [, b]) => a - b)[0][0];
    // Six steps of 1e-3 and 3e-3 are too short: the best lies beyond, and is looked for there.
    expect(losses.size).toBeGreaterThan(2);
    expect(best).toBeGreaterThan(3e-3);
    expect(table[1]).toMatch(new RegExp(`^tiny-float-s0-seed0-lr${best},tiny,float,0,0,`));
    const cells = table[2].split(',');
    const zeros = Number(cells[table[0].split(',').indexOf('zeros')]);
    expect(zeros).toBeCloseTo(0.5, 2);
    expect(existsSync(join(out, 'runs', cells[0], 'checkpoints'))).toBe(false);

    const third = await law(...args);
    expect(third.stdout).toContain('2 runs for');
    expect(third.stdout).toContain('2 of them done');
    writeFileSync(
      plan,
      `export const plan = ${JSON.stringify({ ...contents, base: { ...contents.base, train: { steps: 7 } } })};\n`,
    );
    const changed = await law(...args);
    expect(changed.code).toBe(1);
    expect(changed.stderr).toContain('Use another --out');
  }, 180_000);
});
