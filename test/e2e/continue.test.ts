/**
 * `qsparse continue` as a user has it: a model of another program, a process, Ctrl-C. Needs the built program.
 */

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { copyStopped } from '../support/stopped-run.ts';
import { mainMissing, runCommand } from '../support/tiny-checkpoint.ts';
import { writeTinyLlama2c } from '../support/tiny-llama2c.ts';

if (mainMissing) console.warn(mainMissing);

const STEPS = 40;
const LENGTH = ['--steps', String(STEPS), '--seq-len', '16', '--batch-size', '2', '--save-every', '10', '--lr', '1e-2'];

let folder: string;
let model: string;
let text: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'qsparse-e2e-continue-'));
  model = writeTinyLlama2c(folder);
  text = join(folder, 'text.txt');
  writeFileSync(text, 'a banana and a papaya. a kayak, a madam.\n'.repeat(40));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const begin = (out: string, ...more: string[]) =>
  runCommand(['continue', model, '--text', text, '--out', out, ...LENGTH, ...more]);

/** What does not depend on when and where a run ran. */
function losses(run: string): unknown[] {
  const lines = readFileSync(join(run, 'metrics.jsonl'), 'utf8').trim().split('\n');
  const records = lines.map(
    (line) => JSON.parse(line) as { type: string; step: number; loss: number; gradNorm: number },
  );
  return records.flatMap(({ type, step, loss, gradNorm }) => (type === 'step' ? [[step, loss, gradNorm]] : []));
}

const weights = (run: string) => readFileSync(join(run, `checkpoints/step-0000${STEPS}/model.safetensors`));

/** A run that was killed before its last checkpoint goes on from the one before to the bits of the whole run. */
async function expectResumable(whole: string): Promise<void> {
  const stopped = `${whole}-stopped`;
  const step = copyStopped(whole, stopped);
  expect(step).toBeGreaterThan(0);
  const { code, stdout } = await runCommand(['continue', '--out', stopped, '--resume', '--threads', '1']);
  expect([code, stdout]).toEqual([0, expect.stringContaining(`resumed  after step ${step}`)]);
  expect(losses(stopped)).toEqual(losses(whole));
  expect(weights(stopped).equals(weights(whole))).toBe(true);
}

describe.skipIf(mainMissing)('qsparse continue', () => {
  it('trains a model of another program on, resumed to the bits of the whole run', async () => {
    const whole = join(folder, 'whole');
    const { code, stdout, stderr } = await begin(whole, '--json');
    expect([code, stderr]).toEqual([0, expect.stringContaining('silu; zeros: qkv 0.4, o 0.4, gate/up 0.4, down 0.6')]);
    expect(JSON.parse(stdout)).toMatchObject({ outcome: 'done', step: STEPS });
    const first = losses(whole) as number[][];
    expect(first[STEPS - 1][1]).toBeLessThan(first[0][1]);
    const settings = JSON.parse(readFileSync(join(whole, 'run.json'), 'utf8'));
    const from = {
      given: model,
      path: model,
      format: 'llama2.c',
      step: 0,
      weights: expect.stringMatching(/^[0-9a-f]+$/),
    };
    expect(settings).toMatchObject({ from, model: { seqLen: 32 } });
    await expectResumable(whole);
  });

  it('Ctrl-C saves, ends with 130 and says how to go on', async () => {
    const out = join(folder, 'interrupted');
    const args = ['continue', model, '--text', text, '--out', out, ...LENGTH, '--steps', '100000'];
    const { code, stdout } = await runCommand(args, { onFirstOutput: (child) => child.kill('SIGINT') });
    expect([code, stdout]).toEqual([130, expect.stringContaining(`qsparse continue --out ${out} --resume`)]);
    expect(existsSync(join(out, 'latest.json'))).toBe(true);
  });

  it('so too with a teacher, moments in 8 bits and other text mixed in', async () => {
    const whole = join(folder, 'taught');
    const other = join(folder, 'other.txt');
    writeFileSync(other, 'xyz zyx. yzx xzy!\n'.repeat(40));
    const more = ['--distill', '0.5', '--optimizer-state', 'int8', '--replay', other, '--replay-share', '0.25'];
    expect((await begin(whole, ...more)).code).toBe(0);
    await expectResumable(whole);
    expect(weights(whole).equals(weights(join(folder, 'whole')))).toBe(false);
    expect(readFileSync(join(whole, 'metrics.jsonl'), 'utf8')).toMatch(/"divergence":\d/);
  });

  it('WINA: the same text as the dense model, from a checkpoint that training begins with', async () => {
    const out = join(folder, 'wina');
    const { code } = await runCommand(['convert', model, out, '--to', 'checkpoint', '--wina']);
    expect(code).toBe(0);
    const greedy = ['--prompt', 'a', '--max-tokens', '8', '--temperature', '0'];
    const [dense, scaled] = await Promise.all([model, out].map((path) => runCommand(['generate', path, ...greedy])));
    expect([scaled.code, scaled.stdout]).toEqual([0, dense.stdout]);
    const { stderr } = await runCommand(['convert', model, join(folder, 'packed'), '--dtype', 'int8', '--wina']);
    expect(stderr).toMatch(/--wina.*expected --to checkpoint beside it/);
  });

  it('keeps the tokenizer with all that goes with it, so that the checkpoint speaks as the model did', async () => {
    const run = join(folder, 'whole');
    const checkpoint = join(run, `checkpoints/step-0000${STEPS}`);
    expect(JSON.parse(readFileSync(join(checkpoint, 'tokenizer_config.json'), 'utf8'))).toMatchObject({
      bos_token: '<s>',
      add_bos_token: true,
      eosTokenIds: [1, 2],
    });
    expect(existsSync(join(run, 'tokenizer_config.json'))).toBe(true);
    // Documents between BOS tokens, as this model has them.
    const ids = new Uint16Array(new Uint8Array(readFileSync(join(run, 'tokens/train.bin'))).buffer);
    expect([ids[0], ids.includes(2)]).toEqual([1, false]);
    const { code } = await runCommand(['generate', run, '--prompt', 'a', '--max-tokens', '3']);
    expect(code).toBe(0);
  });

  it.each<[what: string, args: () => string[], message: RegExp]>([
    ['no model', () => ['--text', text, '--out', 'new'], /expected a model to begin with, got none\. Name it/],
    ['no text', () => [model, '--out', 'new'], /no text was given\. Name files or folders: qsparse continue/],
    ['no such model', () => ['none.gguf', '--text', text, '--out', 'new'], /none\.gguf: does not exist/],
    ['a file that is no model', () => [text, '--text', text, '--out', 'new'], /found a file of another kind/],
    ['a share of 1', () => [model, '--text', text, '--out', 'new', '--sparsity', '1'], /--sparsity/],
    [
      'a long sequence',
      () => [model, '--text', text, '--out', 'new', '--seq-len', '64'],
      /the context of the model, 32, got 64/,
    ],
    [
      'another model on resume',
      () => ['other.bin', '--out', join(folder, 'whole'), '--resume'],
      /\[model\] cannot change inside a run/,
    ],
    [
      'another sparsity on resume',
      () => ['--out', join(folder, 'whole'), '--resume', '--sparsity', '0.5'],
      /sparsity\.qkv cannot change/,
    ],
  ])('refuses %s in one line', async (_, args, message) => {
    const { code, stderr } = await runCommand(['continue', ...args()]);
    expect([code === 0, stderr.trim().split('\n').length]).toEqual([false, 1]);
    expect(stderr).toMatch(message);
    expect(existsSync('new')).toBe(false);
  });

  it('a run of another command is named', async () => {
    const { stderr } = await runCommand(['train', '--out', join(folder, 'whole'), '--resume']);
    expect(stderr).toMatch(/is a run of qsparse continue: expected one of qsparse train/);
  });
});
