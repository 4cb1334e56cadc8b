/** The programs in examples/ run as they stand, one after the other, on the built package. */

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const EXAMPLES = fileURLToPath(new URL('../../examples/', import.meta.url));
const GOLDEN = fileURLToPath(new URL('../golden/data/gguf-models/', import.meta.url));
const ENTRY = fileURLToPath(new URL('../../dist/index.js', import.meta.url));
const isBuilt = existsSync(ENTRY);
if (!isBuilt) console.warn(`skipped: ${ENTRY} is missing. Run npm run build.`);

let folder: string;

/** What an example prints. Fails where it ends with another code than 0. */
async function runExample(name: string, path = join(folder, 'run')): Promise<string> {
  const child = spawn(process.execPath, [join(EXAMPLES, name), path], { stdio: 'pipe' });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data: Buffer) => {
    stdout += data.toString();
  });
  child.stderr.on('data', (data: Buffer) => {
    stderr += data.toString();
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  expect(code, stderr).toBe(0);
  return stdout;
}

describe.skipIf(!isBuilt)('examples', { timeout: 120_000 }, () => {
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'qsparse-examples-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('02-generate trains first where there is no run, and reads about 40 % of the weights', async () => {
    const output = await runExample('02-generate.mjs');
    const losses = [...output.matchAll(/^step +(\d+) {2}loss ([\d.]+)/gm)].map((match) => Number(match[2]));
    expect(losses).toHaveLength(7);
    expect(losses[0]).toBeCloseTo(Math.log(512), 0);
    expect(losses[6]).toBeLessThan(4.2);
    expect(output).toMatch(/^Alice/m);
    expect(Number(/blocks (\d+) % unread/.exec(output)?.[1])).toBeGreaterThan(50);
  });

  it('01-train finds its run and has nothing left to do', async () => {
    const output = await runExample('01-train.mjs');
    expect(output).not.toMatch(/^step/m);
    expect(output).toMatch(/^saved .*step-000300$/m);
  });

  it('03-many-sequences serves six texts, goes on with one of them, and gives one up', async () => {
    const output = await runExample('03-many-sequences.mjs');
    for (const prompt of ['Alice', 'The Queen', 'The White Rabbit', 'Down', 'She said', 'The Hatter']) {
      expect(output).toMatch(new RegExp(`^${prompt} +\\S`, 'm'));
    }
    const [, cached, prompt] = /^went on: (\d+) of (\d+) tokens/m.exec(output) ?? [];
    expect(Number(cached)).toBeGreaterThan(0.5 * Number(prompt));
    expect(Number(cached)).toBeLessThan(Number(prompt));
    for (const share of [0, 30, 60, 90]) expect(output).toMatch(new RegExp(`^${share} % zeros +\\S`, 'm'));
    expect(output).toMatch(/^given up: after \d+ tokens$/m);
  });

  it('05-evaluate gives perplexity and accuracy at three sparsities', async () => {
    const output = await runExample('05-evaluate.mjs');
    const rows = [...output.matchAll(/^(0|0\.4|0\.6) +([\d.]+) +([\d.]+) % +[\d.]+$/gm)].map((match) =>
      match.map(Number),
    );
    expect(rows.map(([, sparsity]) => sparsity)).toEqual([0, 0.4, 0.6]);
    const perplexities = rows.map(([, , perplexity]) => perplexity);
    // Better than a guess among 512 tokens, and another number at each sparsity.
    for (const perplexity of perplexities) expect(perplexity).toBeLessThan(300);
    expect(new Set(perplexities).size).toBe(3);
    for (const [, , , accuracy] of rows) expect(accuracy % 12.5).toBe(0);
  });

  it('06-export writes a directory that is the same model, and says why there is no GGUF', async () => {
    const output = await runExample('06-export.mjs');
    expect(output).toMatch(/run-hf: LlamaForCausalLM, \d+ tensors, /);
    expect(output).toMatch(/^read back: \d+ parameters are the same number by number; .* topk, as it was$/m);
    expect(output).toMatch(/^no .*run\.gguf: .*relu2 gates/m);
    expect(readdirSync(join(folder, 'run-hf'))).toContain('config.json');
  });

  it('04-import-and-generate opens what was written, and files of others', async () => {
    const again = await runExample('04-import-and-generate.mjs', join(folder, 'run-hf'));
    expect(again).toMatch(/^run-hf \(hugging-face\): 0\.1 M parameters, 2 layers, relu2 gates, context 64$/m);
    for (const title of ['dense', '40 % zeros', '60 % zeros']) {
      expect(again).toMatch(new RegExp(`^${title} +Once upon a time.{10,}`, 'm'));
    }
    const other = await runExample('04-import-and-generate.mjs', join(GOLDEN, 'llama.gguf'));
    expect(other).toMatch(/^llama\.gguf \(gguf\): 0\.0 M parameters, 2 layers, silu gates, context 64$/m);
  });

  it('all of them are run here', () => {
    expect(readdirSync(EXAMPLES).sort()).toEqual([
      ...['01-train.mjs', '02-generate.mjs', '03-many-sequences.mjs'],
      ...['04-import-and-generate.mjs', '05-evaluate.mjs', '06-export.mjs'],
    ]);
  });
});
