/** A mixture of experts from training to packed decoding, each step a process. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mainMissing, runCommand } from '../support/tiny-checkpoint.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'qsparse-mixture-'));
  writeFileSync(
    join(folder, 'text.txt'),
    'The quick brown fox jumps over the lazy dog.\nThe dog sleeps.\n'.repeat(600),
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const SHAPE =
  '--dim 32 --hidden-dim 48 --layers 2 --heads 2 --vocab-size 280 --seq-len 32 --batch-size 4 --experts 4 --experts-per-token 2';
const TRAINING = '--router-load-balance 0.01 --router-z-loss 0.001 --lr 3e-3 --validate-every 0 --detail-every 10';
const COMMON = ['--threads', '1', '--json'];

async function json(...args: string[]): Promise<Record<string, never>> {
  const { code, stdout, stderr } = await runCommand([...args, ...COMMON]);
  expect(stderr.replace(/^(?!error).*\n/gm, '')).toBe('');
  expect(code).toBe(0);
  return JSON.parse(stdout) as Record<string, never>;
}

describe.skipIf(mainMissing !== null)(`a mixture of experts${mainMissing ? ` (${mainMissing})` : ''}`, () => {
  it('trains, goes on, is inspected, packed and decoded', { timeout: 60_000 }, async () => {
    const run = join(folder, 'run');
    const text = join(folder, 'text.txt');
    const model = [...SHAPE.split(' '), ...TRAINING.split(' ')];
    await json('train', '--text', text, '--out', run, '--steps', '15', ...model);
    const { step, loss } = await json('train', '--out', run, '--resume', '--steps', '30');
    expect(step).toBe(30);
    expect(loss).toBeLessThan(5.2); // log 280 is 5.6
    const metrics = readFileSync(join(run, 'metrics.jsonl'), 'utf8').trim().split('\n');
    expect(metrics.filter((line) => line.includes('"largestShare"')).length).toBe(30);
    expect(metrics.filter((line) => line.includes('"expertLoad"')).length).toBe(3);

    const inspected = await json('inspect', run, '--max-tokens', '200');
    const { parameters, routedParameters, activatedParameters, expertLoad } = inspected as unknown as Record<
      string,
      number
    > &
      Record<'expertLoad', number[][]>;
    expect(parameters - routedParameters).toBe(2 * 2 * 3 * 32 * 48);
    expect(activatedParameters).toBeLessThan(routedParameters);
    expect(expertLoad.map((load) => load.length)).toEqual([4, 4]);
    const { stdout } = await runCommand(['inspect', run, '--max-tokens', '100']);
    for (const words of ['4 of hiddenDim 48, 2 a token', 'of its experts', 'load of the experts']) {
      expect(stdout).toContain(words);
    }

    const prompt = ['--prompt', 'The quick', '--temperature', '0', '--max-tokens', '8'];
    const trained = await json('generate', run, ...prompt);
    for (const dtype of ['f32', 'int8']) {
      const out = join(folder, dtype);
      await json('convert', run, out, '--dtype', dtype);
      const packed = await json('generate', out, ...prompt);
      expect(packed.tokens).toBe(8);
      if (dtype === 'f32') expect(packed.text).toBe(trained.text);
    }
    const { rows } = await json('bench', 'decode', join(folder, 'int8'), '--tokens', '4');
    expect((rows as unknown[]).length).toBeGreaterThan(0);
  });
});
