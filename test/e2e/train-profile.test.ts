/**
 * `qsparse train --profile --trace` as a user has it. Needs the built program.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { widthOf } from '../../src/cli/shared/terminal.ts';
import { type TracedEvent, traceProblems } from '../support/trace-problems.ts';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const isBuilt = existsSync(MAIN);
if (!isBuilt) console.warn(`skipped: ${MAIN} is missing. Run npm run build.`);

const ORDER = ['step', 'phase', 'layer', 'point', 'op', 'product', 'kernel'];

describe.skipIf(!isBuilt)('qsparse train --profile --trace', () => {
  const folder = mkdtempSync(join(tmpdir(), 'qsparse-e2e-profile-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const text = join(folder, 'text.txt');
  writeFileSync(text, 'the miller saw the old king and forgot his daughter by the river.\n'.repeat(300));

  function train(out: string, steps: number, ...more: string[]) {
    const shape = '--dim 32 --layers 2 --heads 2 --vocab-size 280 --seq-len 32 --batch-size 4';
    const args = ['train', '--text', text, '--out', join(folder, out), ...shape.split(' '), '--steps', String(steps)];
    const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args, ...more], { encoding: 'utf8' });
    return { status, stdout, stderr };
  }

  it('prints kernels and buffers, and writes a trace that a reader of the format accepts', () => {
    const path = join(folder, 'new', 'trace.json');
    const { status, stdout } = train('tables', 6, '--threads', '1', '--profile', '--trace', path);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^Kernels: one step of [\d.,]+ ms, mean of 4$/m);
    expect(stdout).toMatch(/^sparseMatmul +gateUp dX +2 /m);
    expect(stdout).toMatch(/^kept: attention +[\d.]+ KiB +[\d.]+ %$/m);
    expect(stdout).toMatch(/^Peaks of .+: [\d.,]+ GFLOP\/s and [\d.,]+ GB\/s, measured before\.$/m);
    const tables = /^Kernels: .*^trace /ms.exec(stdout)?.[0] ?? '';
    expect(tables.split('\n').filter((line) => widthOf(line) > 80)).toEqual([]);
    const shares = [...(/^Kernels: .*^outside[^\n]*/ms.exec(stdout)?.[0] ?? '').matchAll(/ (\d+\.\d) %/g)];
    const sum = shares.reduce((total, [, share]) => total + Number(share), 0);
    expect(shares.length).toBeGreaterThan(20);
    expect(Math.abs(sum - 100)).toBeLessThanOrEqual(0.05 * shares.length);

    const events: TracedEvent[] = JSON.parse(readFileSync(path, 'utf8'));
    const rank = ({ cat }: TracedEvent) => (cat === 'memory' ? ORDER.length : ORDER.indexOf(cat));
    // The head is a point inside of its op, the other points hold their ops.
    const mayHold = (inner: TracedEvent, outer: TracedEvent) =>
      rank(inner) > rank(outer) || (inner.name === 'head' && outer.name === 'crossEntropy');
    expect(traceProblems(events, mayHold)).toEqual([]);
    expect(events.filter(({ cat }) => cat === 'step').map(({ name }) => name)).toEqual(['step 3', 'step 4', 'step 5']);
  });

  it('puts the same into --json, replaces its own trace and nothing else', () => {
    const path = join(folder, 'new', 'trace.json');
    const before = readFileSync(path, 'utf8');
    const json = JSON.parse(train('json', 4, '--backend', 'reference', '--profile', '--trace', path, '--json').stdout);
    expect(json).toMatchObject({ step: 4, trace: path, profile: { warmupSteps: 2, peaks: null } });
    const { kernels, outsideOfKernels } = json.profile.kernelTable;
    const sum = kernels.reduce((total: number, { share }: { share: number }) => total + share, outsideOfKernels.share);
    expect(sum).toBeCloseTo(1, 9);
    expect(json.profile.bufferTable.peakBytes).toBeLessThanOrEqual(json.peakTensorBytes);
    expect(readFileSync(path, 'utf8')).not.toBe(before);

    const refused = train('refused', 4, '--trace', text);
    expect([refused.status, refused.stderr]).toEqual([2, expect.stringContaining('is no trace of this command')]);
    expect(existsSync(join(folder, 'refused'))).toBe(false);
  });

  it('says that a run within the warm-up has nothing to show', () => {
    const { status, stderr } = train(
      'short',
      2,
      '--backend',
      'reference',
      '--profile',
      '--trace',
      join(folder, 'short.json'),
    );
    expect([status, stderr]).toEqual([0, expect.stringMatching(/no profile: the first 2 steps.*no trace: /s)]);
    expect(existsSync(join(folder, 'short.json'))).toBe(false);
  });
});
