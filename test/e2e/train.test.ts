/**
 * `qsparse train` as a user has it: a process, a directory, Ctrl-C, kill -9. Needs the built program.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MetricsRecord } from '../../src/train/metrics.ts';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const isBuilt = existsSync(MAIN);
if (!isBuilt) console.warn(`skipped: ${MAIN} is missing. Run npm run build.`);

const STEPS = 120;
const SHAPE =
  `--dim 32 --layers 2 --heads 2 --vocab-size 300 --seq-len 32 --batch-size 4 --steps ${STEPS} --save-every 10
  --lr 3e-3 --validate-every 25 --sample-every 50 --detail-every 20`.split(/\s+/);

let folder: string;
let text: string;

/** Sentences of a small grammar: enough structure for a tokenizer and a falling loss. */
function writeText(path: string, seed: number): string {
  const words = [
    'the miller',
    'a wolf',
    'the old king',
    'saw',
    'followed',
    'forgot',
    'his daughter',
    'the river',
    'a stone',
  ];
  let state = seed;
  const pick = (from: number, count: number) => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return words[from + (Math.floor(state / 65536) % count)];
  };
  let content = '';
  while (content.length < 60_000) content += `${pick(0, 3)} ${pick(3, 3)} ${pick(6, 3)}.\n`;
  writeFileSync(path, content);
  return path;
}

interface Finished {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

function start(args: string[]): { child: ChildProcess; finished: Promise<Finished> } {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (data) => {
    output.stdout += data;
  });
  child.stderr.on('data', (data) => {
    output.stderr += data;
  });
  const finished = new Promise<Finished>((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal, ...output }));
  });
  return { child, finished };
}

const qsparse = (...args: string[]) => start(args).finished;

function records(run: string): MetricsRecord[] {
  const path = join(run, 'metrics.jsonl');
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as MetricsRecord);
}

/** What of a run does not depend on when and where it ran. */
function numbers(run: string): unknown[] {
  return records(run).flatMap((record): unknown[] => {
    if (record.type === 'step')
      return [[record.step, record.loss, record.l1, record.gradNorm, record.lr, record.tokens]];
    if (record.type === 'validation') return [['validation', record.step, record.loss, record.best]];
    if (record.type === 'sample') return [['sample', record.step, record.text]];
    return record.type === 'detail' ? [['detail', record.step, record.sparsity, record.gradNorm]] : [];
  });
}

const finalModel = (run: string) => readFileSync(join(run, `checkpoints/step-000${STEPS}/model.safetensors`));

/** Sends a signal as soon as the run has done `step` steps. */
async function stopAfter(step: number, signal: NodeJS.Signals, run: string, args: string[]): Promise<Finished> {
  const { child, finished } = start(args);
  const timer = setInterval(() => {
    if (records(run).filter(({ type }) => type === 'step').length < step) return;
    child.kill(signal);
    clearInterval(timer);
  }, 5);
  const result = await finished;
  clearInterval(timer);
  return result;
}

describe.skipIf(!isBuilt)('qsparse train', () => {
  let whole: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'qsparse-e2e-train-'));
    text = writeText(join(folder, 'text.txt'), 1);
    whole = join(folder, 'whole');
    const { code, stderr } = await qsparse('train', '--text', text, '--out', whole, ...SHAPE, '--json');
    expect(stderr).toContain('done: 120 steps');
    expect(code).toBe(0);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('learns, validates, samples and says what to do next', async () => {
    const losses = records(whole).flatMap((record) => (record.type === 'step' ? [record.loss] : []));
    expect(losses).toHaveLength(STEPS);
    expect(losses[STEPS - 1]).toBeLessThan(losses[0] / 2);
    const types = new Set(records(whole).map(({ type }) => type));
    expect([...types].sort()).toEqual(['detail', 'run', 'sample', 'step', 'validation']);
  });

  it('Ctrl-C saves and ends with 130; --resume, with other threads, goes on to the same numbers', async () => {
    const run = join(folder, 'interrupted');
    const stopped = await stopAfter(33, 'SIGINT', run, ['train', '--text', text, '--out', run, ...SHAPE]);
    expect(stopped.code).toBe(130);
    expect(stopped.stdout).toContain(`qsparse train --out ${run} --resume`);
    const done = records(run).filter(({ type }) => type === 'step').length;
    expect(done).toBeGreaterThanOrEqual(33);
    expect(done).toBeLessThan(STEPS);
    const resumed = await qsparse('train', '--out', run, '--resume', '--threads', '1', '--json');
    expect(resumed.stderr).toContain(`resumed  after step ${done}`);
    expect(JSON.parse(resumed.stdout)).toMatchObject({ outcome: 'done', step: STEPS });
    expect(numbers(run)).toEqual(numbers(whole));
    expect(finalModel(run).equals(finalModel(whole))).toBe(true);
  });

  it('kill -9 loses nothing that was saved', async () => {
    const run = join(folder, 'killed');
    const killed = await stopAfter(27, 'SIGKILL', run, ['train', '--text', text, '--out', run, ...SHAPE]);
    expect(killed.signal).toBe('SIGKILL');
    const resumed = await qsparse('train', '--out', run, '--resume');
    expect(resumed.stdout).toMatch(/resumed {2}after step (\d+)/);
    expect(Number(/after step (\d+)/.exec(resumed.stdout)?.[1])).toBeGreaterThanOrEqual(20);
    expect(numbers(run)).toEqual(numbers(whole));
    expect(finalModel(run).equals(finalModel(whole))).toBe(true);
  });

  it('a reader that goes away is a Ctrl-C: what was done is saved', async () => {
    const run = join(folder, 'unread');
    const { child, finished } = start(['train', '--text', text, '--out', run, ...SHAPE, '--save-every', '0']);
    child.stdout!.once('data', () => child.stdout!.destroy());
    const { code, stderr } = await finished;
    expect([code, stderr]).toEqual([130, expect.stringContaining('stopping after this step')]);
    const resumed = await qsparse('train', '--out', run, '--resume');
    expect(resumed.stdout).toMatch(/resumed {2}after step \d+/);
    expect(numbers(run)).toEqual(numbers(whole));
  });

  it('does not go on from an older checkpoint than the one it is pointed at', async () => {
    const run = join(folder, 'damaged');
    cpSync(whole, run, { recursive: true });
    truncateSync(join(run, `checkpoints/step-000${STEPS}/optimizer.safetensors`), 100);
    const metrics = readFileSync(join(run, 'metrics.jsonl'));
    const resumed = await qsparse('train', '--out', run, '--resume', '--steps', '130');
    expect([resumed.code, resumed.stderr]).toEqual([
      1,
      expect.stringMatching(/optimizer\.safetensors: expected \d+ bytes/),
    ]);
    expect(readFileSync(join(run, 'metrics.jsonl')).equals(metrics)).toBe(true);
  });

  it('names what is wrong in an edited run.json', async () => {
    const run = join(folder, 'edited');
    cpSync(whole, run, { recursive: true });
    const path = join(run, 'run.json');
    const before = readFileSync(path, 'utf8');
    for (const [from, to, message] of [
      ['"paths"', '"pathz"', 'text: expected { paths: [string], field: string }'],
      ['"lr": 0.003', '"lr": "x"', 'lr must be above 0, got "x"'],
      ['"nHeads": 2', '"nHeads": 2.5', 'nHeads must be a whole number'],
    ]) {
      writeFileSync(path, before.replace(from, to));
      const { code, stderr } = await qsparse('train', '--out', run, '--resume');
      expect([code, stderr]).toEqual([1, expect.stringContaining(`${path}: `)]);
      expect(stderr).toContain(message);
    }
  });

  it('overwrites nothing and resumes nothing else', async () => {
    const before = readFileSync(join(whole, 'metrics.jsonl'));
    const again = await qsparse('train', '--text', text, '--out', whole, ...SHAPE);
    expect([again.code, again.stderr]).toEqual([2, expect.stringContaining('holds a run; nothing was written')]);
    const otherModel = await qsparse('train', '--out', whole, '--resume', '--layers', '3');
    expect([otherModel.code, otherModel.stderr]).toEqual([2, expect.stringContaining('nLayers cannot change')]);
    const otherText = writeText(join(folder, 'other.txt'), 2);
    const changed = await qsparse('train', '--out', whole, '--resume', '--text', otherText, '--steps', '130');
    expect([changed.code, changed.stderr]).toEqual([1, expect.stringContaining('the text is not the one')]);
    const shorter = await qsparse('train', '--out', whole, '--resume', '--steps', '60');
    expect([shorter.code, shorter.stderr]).toEqual([2, expect.stringContaining('the run has 120 steps behind it')]);
    const nothing = await qsparse('train', '--out', join(folder, 'none'), '--resume');
    expect([nothing.code, nothing.stderr]).toEqual([2, expect.stringContaining('holds no run')]);
    expect(readFileSync(join(whole, 'metrics.jsonl')).equals(before)).toBe(true);
  });

  it('an attempt that cannot begin leaves no run behind', async () => {
    const run = join(folder, 'too-short');
    const failed = await qsparse('train', '--text', text, '--out', run, ...SHAPE, '--seq-len', '100000');
    expect([failed.code, failed.stderr]).toEqual([2, expect.stringContaining('the training text is too short')]);
    const mended = await qsparse(
      'train',
      '--text',
      text,
      '--out',
      run,
      ...SHAPE,
      '--steps',
      '2',
      '--validation-share',
      '0.1',
    );
    expect(mended.code).toBe(0);
  });
});
