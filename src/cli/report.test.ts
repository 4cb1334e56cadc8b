import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { fakeRun } from '../../test/support/fake-run.ts';
import { createProgram } from './program.ts';

let directory: string;
let printed: { stdout: string; stderr: string };

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'qsparse-report-'));
  for (const name of ['dense', 'sparse']) {
    const lines = fakeRun(name, 30).records.map((record) => `${JSON.stringify(record)}\n`);
    await mkdir(join(directory, name));
    await writeFile(join(directory, name, 'metrics.jsonl'), lines.join(''));
  }
  printed = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    vi.spyOn(process[stream], 'write').mockImplementation((text) => {
      printed[stream] += text;
      return true;
    });
  }
});

afterEach(async () => {
  vi.restoreAllMocks();
  await rm(directory, { recursive: true });
});

async function qsparse(...args: string[]): Promise<void> {
  await (await createProgram(args)).parseAsync(args, { from: 'user' });
}

describe('qsparse report', () => {
  it('writes the page into the directory of a run and says where', async () => {
    await qsparse('report', join(directory, 'dense'));
    const file = join(directory, 'dense', 'report.html');
    expect(await readFile(file, 'utf8')).toContain('<title>Training of dense</title>');
    expect(printed.stdout).toContain(file);
    expect(printed.stdout).toMatch(/dense\s+30\s+123 k/);
  });

  it('lays several runs over each other in one file, and prints one JSON object with --json', async () => {
    const out = join(directory, 'both.html');
    await qsparse('report', join(directory, 'dense'), join(directory, 'sparse'), '--out', out, '--json');
    expect(await readFile(out, 'utf8')).toContain('Training of dense, sparse');
    const result = JSON.parse(printed.stdout);
    expect(result).toMatchObject({ file: out, runs: [{ name: 'dense', steps: 30 }, { name: 'sparse' }] });
    expect(printed.stderr).toContain('both.html');
  });

  it('tells runs of one name apart by their paths', async () => {
    const [a, b] = [join(directory, 'dense'), join(directory, 'sparse', '..', 'dense')];
    await qsparse('report', a, b, '--out', join(directory, 'x.html'), '--json');
    expect(JSON.parse(printed.stdout).runs.map((run: { name: string }) => run.name)).toEqual([a, b]);
  });

  it('replaces a page, but no other file', async () => {
    const run = join(directory, 'dense');
    const metrics = join(run, 'metrics.jsonl');
    const before = await readFile(metrics, 'utf8');
    for (const out of [metrics, run]) {
      await expect(qsparse('report', run, '--out', out)).rejects.toThrow(/no HTML page; nothing was written/);
    }
    expect(await readFile(metrics, 'utf8')).toBe(before);
    await qsparse('report', run);
    await qsparse('report', run);
  });

  it('has help with an example', async () => {
    await expect(qsparse('report', '--help')).rejects.toMatchObject({ code: 'commander.helpDisplayed' });
    expect(printed.stdout).toContain('$ qsparse report runs/dense runs/sparse');
  });
});

describe('qsparse', () => {
  it('shows every command in its help', async () => {
    await expect(qsparse('--help')).rejects.toMatchObject({ code: 'commander.helpDisplayed' });
    for (const name of ['quickstart', 'train', 'generate', 'inspect', 'report', 'doctor', 'bench']) {
      expect(printed.stdout).toMatch(new RegExp(`^  ${name} `, 'm'));
    }
  });
});
