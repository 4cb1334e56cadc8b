/** `qsparse generate` and `qsparse inspect` as processes, on a checkpoint from disk. */

import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Engine } from '../../src/infer/engine.ts';
import { argmax } from '../../src/infer/sampler.ts';
import { SingleSequence } from '../../src/infer/single-sequence.ts';
import { loadModel } from '../../src/model/load-model.ts';
import { weightsOfParameters } from '../../src/model/weights.ts';
import { Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { isValid } from '../support/plain-schema-validator.ts';
import { createTinyRun, MAIN, mainMissing, runCommand, type TinyRun } from '../support/tiny-checkpoint.ts';

const COMMON = ['--backend', 'reference'];
let run: TinyRun;

beforeAll(() => {
  run = createTinyRun();
});
afterAll(() => run.remove());

const generate = (...args: string[]) => runCommand(['generate', run.directory, ...COMMON, ...args]);

/** The greedy continuation by the most literal loop: a new engine and the whole text again for each token. */
function greedyText(prompt: string, tokens: number): string {
  const { backend } = run.model;
  const model = loadModel(run.directory, backend);
  const tokenizer = Tokenizer.fromJson(model.tokenizer);
  const ids = tokenizer.encode(prompt);
  const promptTokens = ids.length;
  for (let i = 0; i < tokens; i++) {
    const engine = new Engine(model.config, weightsOfParameters(model.config, model.parameters), backend);
    const next = argmax(new SingleSequence(engine).prefill(ids));
    if (next === tokenizer.endOfText) break;
    ids.push(next);
  }
  return tokenizer.decode(ids.slice(promptTokens));
}

describe.skipIf(mainMissing !== null)(`generate${mainMissing ? ` (${mainMissing})` : ''}`, () => {
  it('prints the greedy continuation, alone, on stdout', async () => {
    const { code, stdout, stderr } = await generate(
      '--prompt',
      'The quick',
      '--temperature',
      '0',
      '--max-tokens',
      '12',
    );
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout).toBe(`${greedyText('The quick', 12)}\n`);
  });

  it('gives one JSON object', async () => {
    const { code, stdout } = await generate('--prompt', 'The', '--temperature', '0', '--max-tokens', '5', '--json');
    expect(code).toBe(0);
    const result = JSON.parse(stdout) as Record<string, unknown>;
    expect(result).toMatchObject({ step: 7, prompt: 'The', text: greedyText('The', 5), finishReason: 'length' });
    expect(result).toMatchObject({ promptTokens: 1, tokens: 5 });
    expect(result.sparsity).toBeGreaterThan(0.4);
    expect(result.tokensPerSecond).toBeGreaterThan(0);
  });

  it('draws the same text for the same seed, another for another', async () => {
    const draw = async (seed: string) =>
      (await generate('--prompt', 'fox', '--temperature', '2', '--max-tokens', '20', '--seed', seed)).stdout;
    const [first, again, other] = await Promise.all([draw('1'), draw('1'), draw('2')]);
    expect(first).toBe(again);
    expect(first).not.toBe(other);
  });

  it('reads the prompt from a pipe, without the line end', async () => {
    const args = ['generate', run.directory, ...COMMON, '--prompt', '-', '--temperature', '0', '--max-tokens', '8'];
    expect((await runCommand(args, { input: 'The dog\n' })).stdout).toBe(`${greedyText('The dog', 8)}\n`);
  });

  it('stops before a stop string', async () => {
    const whole = greedyText('The quick', 12);
    const stop = whole.slice(3, 6);
    const { stdout } = await generate(
      '--prompt',
      'The quick',
      '--temperature',
      '0',
      '--max-tokens',
      '12',
      '--stop',
      stop,
    );
    expect(stdout).toBe(`${whole.slice(0, whole.indexOf(stop))}\n`);
  });

  it('writes JSON of a schema, and says where there was no room for all of it', async () => {
    const roomy = createTinyRun({ seqLen: 160 });
    const file = join(roomy.directory, 'schema.json');
    const schema = {
      type: 'object',
      properties: {
        ok: { type: 'boolean' },
        n: { type: 'integer', minimum: -3, maximum: 12 },
        tag: { enum: ['fox', 'dog'] },
      },
      required: ['ok', 'n', 'tag'],
    };
    writeFileSync(file, JSON.stringify(schema));
    const draw = (...args: string[]) =>
      runCommand(['generate', roomy.directory, ...COMMON, '--prompt', 'The', '--json-schema', file, ...args]);
    for (const seed of ['1', '2', '3']) {
      const { code, stdout, stderr } = await draw('--max-tokens', '150', '--seed', seed);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(isValid(schema, JSON.parse(stdout)), stdout).toBe(true);
    }
    const short = await draw('--max-tokens', '5');
    expect(short.code).toBe(0);
    expect(short.stderr).toMatch(/the text ends before its JSON does/);
    const object = await generate('--prompt', 'The', '--temperature', '0', '--max-tokens', '20', '--json-object');
    expect(object.stdout).toMatch(/^\{[\s"}]/);

    writeFileSync(file, JSON.stringify({ properties: { a: { multipleOf: 2 } } }));
    const wrong = await draw();
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toMatch(/^error: \[grammar\] schema at "#\/properties\/a": multipleOf is not supported.*\n$/);
    writeFileSync(file, '{');
    expect((await draw()).stderr).toMatch(
      /^error: \[--json-schema\] .*schema\.json: expected a readable JSON file.*\n$/,
    );
    expect((await draw('--json-object')).stderr).toMatch(/^error: \[--json-object\] .*got both.*\n$/);
    roomy.remove();
  });

  it('says what is wrong in one line and ends with 2', async () => {
    const long = await generate('--prompt', 'fox dog '.repeat(200));
    expect(long.code).toBe(2);
    expect(long.stderr).toMatch(/^error: \[generate\] the prompt is too long: expected at most 64 tokens .*\n$/);
    const wrong = await generate('--prompt', 'a', '--top-p', '2');
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toMatch(/^error: .*--top-p.*\n$/);
  });

  it('ends with 1 where there is no model', async () => {
    const { code, stdout, stderr } = await runCommand([
      'generate',
      `${run.directory}/none`,
      '--prompt',
      'a',
      ...COMMON,
    ]);
    expect(code).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^error: \[checkpoint\] .*none.*\n$/);
  });

  it('keeps the text so far on Ctrl-C', async () => {
    // A long context of a slow backend: the signal arrives in the middle.
    const slow = createTinyRun({ seqLen: 4000, nLayers: 8, dim: 256, hiddenDim: 1024 });
    const { code, stdout } = await runCommand(
      ['generate', slow.directory, ...COMMON, '--prompt', 'The', '--temperature', '2', '--max-tokens', '3000'],
      { onFirstOutput: (child) => child.kill('SIGINT') },
    );
    slow.remove();
    expect(code).toBe(130);
    expect(stdout.length).toBeGreaterThan(1);
    expect(stdout.endsWith('\n')).toBe(true);
  }, 30_000);

  it('ends quietly when the reader of the pipe goes away', async () => {
    const child = spawn(process.execPath, [MAIN, 'generate', run.directory, ...COMMON, '--prompt', 'The']);
    child.stdout.destroy();
    let stderr = '';
    child.stderr.on('data', (data: Buffer) => {
      stderr += data.toString();
    });
    await new Promise((resolve) => child.on('close', resolve));
    expect(stderr).toBe('');
  });
});

describe.skipIf(mainMissing !== null)(`inspect${mainMissing ? ` (${mainMissing})` : ''}`, () => {
  it('counts zeros on real text', async () => {
    const { code, stdout } = await runCommand(['inspect', run.directory, ...COMMON, '--json', '--max-tokens', '100']);
    expect(code).toBe(0);
    const result = JSON.parse(stdout) as {
      parameters: number;
      activatedParameters: number;
      tokens: number;
      projections: { projection: string; sparsity: number }[];
    };
    const sparsity = Object.fromEntries(result.projections.map((row) => [row.projection, row.sparsity]));
    expect(result.tokens).toBe(100);
    expect(sparsity).toMatchObject({ QKV: 0.5, Out: 0.5, Up: 0.5, Gate: 0.5 });
    expect(sparsity.Down).toBeGreaterThan(0.2); // natural zeros
    expect(result.parameters).toBe(run.model.parameters.reduce((sum, { value }) => sum + value.data.length, 0));
    expect(result.activatedParameters).toBeLessThan(result.parameters);
  });

  it('selects with another sparsity than the trained one, and says what that reads', async () => {
    const inspect = async (...args: string[]) => {
      const { stdout } = await runCommand([
        'inspect',
        run.directory,
        ...COMMON,
        '--json',
        '--max-tokens',
        '64',
        ...args,
      ]);
      return JSON.parse(stdout) as {
        weightBytesPerToken: number;
        projections: { projection: string; sparsity: number }[];
      };
    };
    const [trained, sparser] = await Promise.all([inspect(), inspect('--sparsity', 'qkv=0.75,gateUp=75%')]);
    const sparsity = Object.fromEntries(sparser.projections.map((row) => [row.projection, row.sparsity]));
    expect(sparsity).toMatchObject({ QKV: 0.75, Out: 0.5, Up: 0.75, Gate: 0.75 });
    // A quarter of the inputs less: 8 rows of 96 and of 128 weights in each of two layers, and what the other hidden activations skip.
    const less = trained.weightBytesPerToken - sparser.weightBytesPerToken;
    expect(Math.abs(less - 4 * 2 * 8 * (96 + 128))).toBeLessThan(4 * 2 * 64 * 32 * 0.3);
    const wrong = await runCommand(['inspect', run.directory, ...COMMON, '--sparsity', '1.5']);
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toMatch(/^error: .*--sparsity.*\n$/);
  });

  it('prints tables, by layer on request', async () => {
    const { stdout } = await runCommand(['inspect', run.directory, ...COMMON, '--max-tokens', '64', '--layers']);
    for (const word of ['QKV', 'Overall', 'natural zeros', 'Zeros by layer']) expect(stdout).toContain(word);
  });
});
