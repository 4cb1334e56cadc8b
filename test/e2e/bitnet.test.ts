/** A BitNet model from the text to the packed file as a user has it: train, resume, convert, generate, inspect, bench. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { copyStopped } from '../support/stopped-run.ts';
import { type CommandResult, mainMissing, runCommand } from '../support/tiny-checkpoint.ts';

const STEPS = 30;
const SETTINGS =
  `--dim 32 --layers 2 --heads 2 --vocab-size 300 --seq-len 32 --batch-size 4 --accumulate 2 --steps ${STEPS}
  --activation-format int8 --weight-format ternary --sub-norms --sparsity 0.3 --schedule two-stage --lr 3e-3 --save-every 10
  --validate-every 0 --threads 2`.split(/\s+/);

let folder: string;
let run: string;

async function qsparse(...args: string[]): Promise<CommandResult> {
  const result = await runCommand(args);
  expect(result.code, `${args.join(' ')}: ${result.stderr}`).toBe(0);
  return result;
}

const json = async <T>(...args: string[]) => JSON.parse((await qsparse(...args, '--json')).stdout) as T;
const finalModel = (of: string) => readFileSync(join(of, `checkpoints/step-0000${STEPS}/model.safetensors`));

describe.skipIf(mainMissing !== null)(`a BitNet model${mainMissing ? ` (${mainMissing})` : ''}`, () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'qsparse-bitnet-'));
    run = join(folder, 'run');
    const text = join(folder, 'text.txt');
    writeFileSync(
      text,
      'The miller saw the old wolf. A king forgot the river, and the wolf followed his stone.\n'.repeat(500),
    );
    await qsparse('train', ...SETTINGS, '--text', text, '--out', run);
  }, 60_000);
  afterAll(() => rmSync(folder, { recursive: true }));

  it('resumes in its second stage with the same bits, on another number of threads', async () => {
    const other = join(folder, 'other');
    const step = copyStopped(run, other);
    expect(step).toBeGreaterThan(0);
    const { stdout } = await qsparse('train', '--resume', '--out', other, '--threads', '1');
    expect(stdout).toContain(`resumed  after step ${step}`);
    expect(finalModel(other).equals(finalModel(run))).toBe(true);
  }, 60_000);

  it('writes the same text packed as ternary weights, which is lossless', async () => {
    const packed = join(folder, 'packed');
    const report = await json<{ bitsPerWeight: number; parts: { part: string; dtype: string }[] }>(
      ...['convert', run, packed, '--dtype', 'ternary'],
    );
    expect(report.parts.find(({ part }) => part === 'qkv')?.dtype).toBe('ternary');
    expect(report.parts.find(({ part }) => part === 'embedding')?.dtype).toBe('f32');
    const write = (model: string) =>
      qsparse('generate', model, '--prompt', 'The', '--temperature', '0', '--max-tokens', '12');
    const [trained, stored] = [await write(run), await write(packed)];
    expect(stored.stdout).toBe(trained.stdout);
    const refused = await runCommand(['convert', run, join(folder, 'bf16'), '--dtype', 'bf16']);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/bf16 would round the scales of its ternary projections/);
  }, 60_000);

  it('is inspected and benched', async () => {
    const { stdout } = await qsparse('inspect', run);
    expect(stdout).toMatch(/trained with +8-bit activations, ternary weights, sub-norms/);
    const { rows } = await json<{ rows: { sparsity: number }[] }>(
      ...['bench', 'train', run, '--batch-size', '2', '--sparsity', '0.3', '--repeat', '1'],
    );
    expect(rows.map(({ sparsity }) => sparsity)).toContain(0.3);
  }, 60_000);
});
