/** `qsparse sft` as a user has it: a tiny model learns answers from a small file, is interrupted, goes on to the same bits and is talked with. */

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MetricsRecord } from '../../src/train/metrics.ts';
import { copyStopped } from '../support/stopped-run.ts';
import { createTinyRun, mainMissing, runCommand, type TinyRun } from '../support/tiny-checkpoint.ts';

const STEPS = 60;
const COMMON = ['--threads', '1'];
const TRAINING = `--steps ${STEPS} --batch-size 2 --lr 5e-3 --validate-every 20 --save-every 5 --sample-every 30`.split(
  ' ',
);

let model: TinyRun;
let whole: string;

const at = (name: string) => join(model.directory, name);

/** Short questions with one answer each, many times over, and one conversation of two answers. */
function writeData(name: string, ...more: string[]): string {
  const pairs = [
    ['The fox?', 'The fox runs.'],
    ['The dog?', 'The dog sleeps.'],
  ];
  const lines = Array.from({ length: 30 }, (_, i) => {
    const [prompt, completion] = pairs[i % 2];
    return i % 3 === 0 ? { instruction: prompt, input: '', output: completion } : { prompt, completion };
  });
  const messages = pairs.flatMap(([question, answer]) => [
    { role: 'user', content: question },
    { role: 'assistant', content: answer },
  ]);
  writeFileSync(at(name), [...[...lines, { messages }].map((line) => JSON.stringify(line)), ...more].join('\n'));
  return at(name);
}

function records(run: string): MetricsRecord[] {
  const path = join(run, 'metrics.jsonl');
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as MetricsRecord);
}

const losses = (run: string) => records(run).flatMap((record) => (record.type === 'step' ? [record.loss] : []));
const finalFile = (run: string, name: string) => readFileSync(join(run, `checkpoints/step-0000${STEPS}`, name));

describe.skipIf(mainMissing !== null)(`qsparse sft (${mainMissing ?? 'built'})`, () => {
  beforeAll(async () => {
    model = createTinyRun({ seqLen: 96 });
    whole = at('whole');
    const data = writeData('data.jsonl');
    const { code, stderr } = await runCommand([
      ...['sft', model.directory, '--data', data, '--template', 'plain', '--out', whole, '--json'],
      ...[...TRAINING, ...COMMON],
    ]);
    expect(stderr).toContain(`done: ${STEPS} steps`);
    expect(stderr).toMatch(/data {5}\d+ conversations to train on, \d+ to validate; none cut/);
    expect(stderr).toMatch(/lengths {2}mean \d+, median \d+/);
    expect(stderr).toMatch(/rows {5}\d+ of 96 tokens, [\d.]+ % full; answers are [\d.]+ % of what is read/);
    expect(code).toBe(0);
  });
  afterAll(() => model?.remove());

  it('learns the answers, on held-out conversations too, and says them', async () => {
    const [first, last] = [losses(whole)[0], losses(whole)[STEPS - 1]];
    expect(last).toBeLessThan(first / 10);
    const validations = records(whole).flatMap((record) => (record.type === 'validation' ? [record.loss] : []));
    expect(validations[validations.length - 1]).toBeLessThan(first / 5);
    const sample = records(whole).find((record) => record.type === 'sample');
    expect(sample?.prompt).toMatch(/^User: The (fox|dog)\?\nAssistant:$/);
    const { stdout, code } = await runCommand(['chat', whole, ...COMMON, '--temperature', '0', '--max-tokens', '20'], {
      input: 'The dog?\n/reset\nThe fox?\n',
    });
    expect(code).toBe(0);
    expect(stdout).toBe('The dog sleeps.\nThe fox runs.\n');
  });

  it('Ctrl-C saves and ends with 130', async () => {
    const run = at('interrupted');
    const data = ['--data', at('data.jsonl'), '--template', 'plain'];
    const stopped = await runCommand(
      ['sft', model.directory, ...data, '--out', run, ...TRAINING, '--steps', '100000', ...COMMON],
      {
        onFirstOutput(child) {
          const timer = setInterval(() => {
            if (losses(run).length < 7) return;
            child.kill('SIGINT');
            clearInterval(timer);
          }, 5);
        },
      },
    );
    expect([stopped.code, stopped.stdout]).toEqual([130, expect.stringContaining(`qsparse sft --out ${run} --resume`)]);
    expect(existsSync(join(run, 'latest.json'))).toBe(true);
  });

  it('goes on to the same bits', async () => {
    const run = at('stopped');
    const step = copyStopped(whole, run);
    expect(step).toBeGreaterThan(0);
    // The model may be named once more, as it was before.
    const resumed = await runCommand(['sft', model.directory, '--out', run, '--resume', ...COMMON]);
    expect([resumed.code, resumed.stdout]).toEqual([0, expect.stringContaining(`resumed  after step ${step}`)]);
    expect(losses(run)).toEqual(losses(whole));
    for (const file of ['model.safetensors', 'optimizer.safetensors']) {
      expect(finalFile(run, file).equals(finalFile(whole, file)), file).toBe(true);
    }
  });

  it('goes on with the model that it began with as the teacher', async () => {
    const [run, recipe] = [at('taught'), at('taught.mjs')];
    writeFileSync(recipe, 'export const recipe = { train: { distill: 0.5, steps: 4 } };\n');
    const data = ['--data', at('data.jsonl'), '--template', 'plain', '--recipe', recipe];
    const begun = await runCommand(['sft', model.directory, ...data, '--out', run, '--batch-size', '2', ...COMMON]);
    expect(begun.code).toBe(0);
    const resumed = await runCommand(['sft', '--out', run, '--resume', '--steps', '6', ...COMMON]);
    expect([resumed.code, resumed.stdout]).toEqual([0, expect.stringContaining('done: 6 steps')]);
    expect(readFileSync(join(run, 'metrics.jsonl'), 'utf8').match(/"divergence":\d/g)).toHaveLength(6);
    // A warm-up is held against the length that the data makes of the epochs, not against that of before.
    const length = ['--epochs', '10', '--warmup', '8'];
    expect((await runCommand(['sft', '--out', run, '--resume', ...length, ...COMMON])).code).toBe(0);
  });

  it('trains adapters in the place of the weights, goes on to the same bits, and merges them', async () => {
    const [run, merged, stopped] = [at('adapted'), at('merged'), at('adapted-stopped')];
    const sparing = ['--lora', '8', '--recompute', '--optimizer-state', 'int8'];
    const trained = await runCommand([
      ...['sft', model.directory, '--data', at('data.jsonl'), '--template', 'plain', '--out', run, ...sparing],
      ...[...TRAINING, '--lr', '2e-2', ...COMMON],
    ]);
    expect(trained.code).toBe(0);
    expect(trained.stdout).toMatch(
      /adapters rank 8, alpha 16, on qkv, o, gateUp, down: [\d.]+ k of [\d.]+ k parameters are trained/,
    );
    expect(losses(run)[STEPS - 1]).toBeLessThan(losses(run)[0] / 5);
    const step = copyStopped(run, stopped);
    const resumed = await runCommand(['sft', '--out', stopped, '--resume', ...COMMON]);
    expect([resumed.code, resumed.stdout]).toEqual([0, expect.stringContaining(`resumed  after step ${step}`)]);
    expect(losses(stopped)).toEqual(losses(run));
    for (const file of readdirSync(join(run, `checkpoints/step-0000${STEPS}`)).filter((name) =>
      name.endsWith('.safetensors'),
    )) {
      expect(finalFile(stopped, file).equals(finalFile(run, file)), file).toBe(true);
    }
    const converted = await runCommand(['convert', run, merged, '--to', 'checkpoint']);
    expect(converted.code).toBe(0);
    const say = (path: string) => {
      const args = ['chat', path, ...COMMON, '--temperature', '0', '--max-tokens', '20'];
      return runCommand(args, { input: 'The dog?\n/reset\nThe fox?\n' });
    };
    const [ofRun, ofMerged] = [await say(run), await say(merged)];
    expect(ofRun.stdout).not.toBe('');
    expect(ofMerged.stdout).toBe(ofRun.stdout);
  });

  it('trains a mixture of experts, whole or by adapters that merge to the same model', async () => {
    const mixture = createTinyRun({ seqLen: 96, nExperts: 4, nExpertsPerToken: 2, routerLoadBalance: 0.01 });
    const data = ['--data', at('data.jsonl'), '--template', 'plain', ...TRAINING, ...COMMON];
    writeFileSync(at('said.txt'), 'The fox runs. The dog sleeps. '.repeat(20));
    const perplexity = async (path: string) => {
      const args = ['eval', path, '--text', at('said.txt'), '--max-tokens', '200', '--json', ...COMMON];
      const { stdout, code } = await runCommand(args);
      expect(code, stdout).toBe(0);
      return JSON.parse(stdout).results[0].perplexity.natsPerToken as number;
    };
    try {
      for (const [run, ...options] of [[at('experts')], [at('experts-adapted'), '--lora', '8', '--lr', '2e-2']]) {
        const { code, stdout } = await runCommand(['sft', mixture.directory, '--out', run, ...data, ...options]);
        expect([code, stdout]).toEqual([0, expect.stringContaining(`try:      qsparse chat ${run}`)]);
        expect(losses(run)[STEPS - 1], run).toBeLessThan(losses(run)[0] / 5);
      }
      const merged = at('experts-merged');
      expect((await runCommand(['convert', at('experts-adapted'), merged, '--to', 'checkpoint'])).code).toBe(0);
      const [ofAdapted, ofMerged] = [await perplexity(at('experts-adapted')), await perplexity(merged)];
      expect(ofAdapted).toBeGreaterThan(0);
      expect(ofMerged).toBe(ofAdapted);
    } finally {
      mixture.remove();
    }
  });

  it('names file and line of what cannot be used, and skips it only where it is asked to', async () => {
    const data = writeData('bad.jsonl', '{"prompt": "x", "completion": ""}', '{"messages": [{"role": "tool"}]}');
    const args = ['sft', model.directory, '--data', data, '--template', 'plain', '--out', at('bad'), '--steps', '1'];
    const refused = await runCommand([...args, ...COMMON]);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain(`${data} line 32: message 2: expected an answer, found an empty one.`);
    expect(existsSync(at('bad/run.json'))).toBe(false);
    const skipped = await runCommand([...args, ...COMMON, '--skip-bad']);
    expect(skipped.code).toBe(0);
    expect(skipped.stderr).toContain('bad.jsonl line 33: messages[0].role');
    expect(skipped.stdout + skipped.stderr).toContain('; 2 skipped');
  });

  it('refuses a model without a template, other data on resume, and other commands on its run', async () => {
    const data = at('data.jsonl');
    const bare = await runCommand(['sft', model.directory, '--data', data, '--out', at('bare'), ...COMMON]);
    expect(bare.code).toBe(2);
    expect(bare.stderr).toContain('has no chat template');
    const other = await runCommand([
      'sft',
      '--out',
      whole,
      '--resume',
      '--data',
      at('bad.jsonl'),
      '--skip-bad',
      ...COMMON,
    ]);
    expect(other.code).toBe(0); // the lines that can be used are the same
    writeFileSync(at('other.jsonl'), '{"prompt": "a", "completion": "b"}\n');
    const changed = await runCommand(['sft', '--out', whole, '--resume', '--data', at('other.jsonl'), ...COMMON]);
    expect(changed.code).toBe(1);
    expect(changed.stderr).toContain('are not the conversations that the run was trained on');
    const train = await runCommand(['train', '--out', whole, '--resume']);
    expect(train.code).toBe(2);
    expect(train.stderr).toContain('is a run of qsparse sft');
  });
});
