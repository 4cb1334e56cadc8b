/** `qsparse eval` as a process: a text and tasks over a tiny model. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findCheckpoint } from '../../src/formats/checkpoint-directory.ts';
import { MODEL_FILE } from '../../src/formats/model-files.ts';
import { createTinyRun, mainMissing, runCommand, type TinyRun } from '../support/tiny-checkpoint.ts';

interface Report {
  perplexity: { words: string } | null;
  results: {
    task: string;
    sparsity: number | null;
    items: number;
    reused: number;
    zeros: number | null;
    seconds: number;
    metrics: Record<string, { value: number; stderr: number }>;
    perplexity: { tokens: number; natsPerToken: number; perplexity: number; bitsPerByte: number } | null;
  }[];
}

let run: TinyRun;
let directory: string;
const place = (name: string) => join(directory, name);

beforeAll(() => {
  run = createTinyRun({ activation: 'silu' });
  directory = mkdtempSync(join(tmpdir(), 'qsparse-eval-'));
  writeFileSync(place('text.txt'), 'The quick brown fox runs over the lazy dog. The dog sleeps. '.repeat(10));
  const rows = ['fox', 'dog', 'cat', 'hen'].map((animal, i) => ({
    query: `Question: Does the ${animal} sleep?`,
    choices: ['The dog sleeps.', 'It runs.'],
    gold: i % 2,
  }));
  writeFileSync(place('arc_easy.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const task = {
    name: 'own',
    type: 'multiple-choice',
    files: ['own.csv'],
    prompt: '{{q}}',
    choices: '[a, b]',
    answer: 'right|int',
    metrics: ['acc'],
  };
  writeFileSync(place('own.json'), JSON.stringify(task));
  writeFileSync(place('own.csv'), 'q,a,b,right\n"The fox, quick",runs,sleeps,1\n');
});
afterAll(() => {
  run.remove();
  rmSync(directory, { recursive: true });
});

const evaluate = (...args: string[]) => runCommand(['eval', run.directory, '--backend', 'reference', ...args]);

describe.skipIf(mainMissing !== null)(`eval${mainMissing ? ` (${mainMissing})` : ''}`, () => {
  it('gives quality against sparsity of a text and tasks in one run, and goes on from what is saved', async () => {
    const args = [
      '--text',
      place('text.txt'),
      '--window',
      '32',
      '--tasks',
      `arc_easy,${place('own.json')}`,
      // The first has no data of these tasks.
      '--data',
      run.directory,
      '--data',
      directory,
    ];
    const all = [...args, '--sparsity', '0,0.5', '--out', place('records.jsonl')];
    const first = await evaluate(...all, '--json');
    expect(first.code, first.stderr).toBe(0);
    const { results, perplexity } = JSON.parse(first.stdout) as Report;
    expect(perplexity?.words).toMatch(
      /^plain windows, 32 tokens, nothing in front; scored: every token with another before it/,
    );
    expect(results.map(({ task, sparsity, items, reused }) => [task, sparsity, items > 0, reused])).toEqual(
      [0, 0.5].flatMap((sparsity) => ['perplexity', 'arc_easy', 'own'].map((task) => [task, sparsity, true, 0])),
    );
    const [text] = results;
    expect(text.perplexity?.perplexity).toBeCloseTo(Math.exp(text.perplexity!.natsPerToken), 9);
    expect(text.zeros).toBeLessThan(0.05);
    expect(results[3].zeros).toBeCloseTo(0.5, 1);
    expect(results[3].perplexity?.natsPerToken).not.toBeCloseTo(text.perplexity!.natsPerToken, 3);

    const saved = readFileSync(place('records.jsonl'), 'utf8');
    const again = await evaluate(...all, '--json');
    const repeated = JSON.parse(again.stdout) as Report;
    expect(repeated.results.every(({ items, reused, zeros }) => items === reused && zeros === null)).toBe(true);
    const scores = (report: Report) => report.results.map(({ metrics, perplexity: of }) => ({ metrics, of }));
    expect(scores(repeated)).toEqual(scores({ results, perplexity }));
    expect(readFileSync(place('records.jsonl'), 'utf8')).toBe(saved);

    const printed = await evaluate(...all);
    expect(printed.stdout).toContain('Quality against sparsity');
    expect(printed.stdout).toMatch(/arc_easy +50 % +4 +acc_norm +[01]\.\d{4}/);
  });

  it('the model as it was trained, without --sparsity', async () => {
    const { stdout } = await evaluate(
      '--tasks',
      'arc_easy',
      '--data',
      `arc_easy=${place('arc_easy.jsonl')}`,
      '--limit',
      '2',
      '--json',
    );
    const { results } = JSON.parse(stdout) as Report;
    expect(results).toMatchObject([{ task: 'arc_easy', sparsity: null, items: 2 }]);
    expect(results[0].zeros).toBeCloseTo(0.5, 1);
  });

  it('texts of JSONL are measured each by itself', async () => {
    const texts = ['The dog sleeps. The fox runs over it.', 'The quick brown fox.'];
    writeFileSync(place('texts.jsonl'), texts.map((body) => `${JSON.stringify({ body })}\n`).join(''));
    for (const [i, text] of texts.entries()) writeFileSync(place(`text-${i}.txt`), text);
    const files = [['text-0.txt'], ['text-1.txt'], ['texts.jsonl', '--text-field', 'body']];
    const measured = await Promise.all(
      files.map(([name, ...args]) =>
        evaluate('--text', place(name), '--window', '32', '--prefix-token', '0', '--prefix', '--json', ...args),
      ),
    );
    const [first, second, together] = measured.map(
      ({ stdout }) => (JSON.parse(stdout) as Report).results[0].perplexity!,
    );
    const nats = (of: typeof first) => of.tokens * of.natsPerToken;
    const bits = (of: typeof first, i: number) => of.bitsPerByte * Buffer.byteLength(texts[i]);
    expect(together.tokens).toBe(first.tokens + second.tokens);
    expect(nats(together)).toBeCloseTo(nats(first) + nats(second), 4);
    expect(together.bitsPerByte * Buffer.byteLength(texts.join(''))).toBeCloseTo(bits(first, 0) + bits(second, 1), 4);
  });

  it('does not go on from the scores of other weights that lay in the same place', async () => {
    const args = ['--text', place('text.txt'), '--window', '32', '--max-tokens', '33', '--out', place('weights.jsonl')];
    expect((await evaluate(...args)).code).toBe(0);
    const file = join(findCheckpoint(run.directory, 'best'), MODEL_FILE);
    const weights = readFileSync(file);
    const others = Buffer.from(weights);
    others[others.length - 4] ^= 1;
    writeFileSync(file, others);
    const { code, stderr } = await evaluate(...args);
    writeFileSync(file, weights);
    expect(stderr).toMatch(
      /belongs to another model: weights: expected "\w{16}", found "\w{16}"\. Choose another file\./,
    );
    expect(code).toBe(2);
  });

  it('says what is missing', async () => {
    const errors: [string[], RegExp][] = [
      [[], /nothing to evaluate: expected --text or --tasks/],
      [['--tasks', 'arc_esy', '--data', directory], /got "arc_esy"\. Did you mean "arc_easy"\?/],
      [['--tasks', 'arc_easy', '--text-field', 'body'], /\[--text-field\] belongs to --text, which is not given/],
      [['--text', place('text.txt'), '--limit', '3'], /\[--limit\] belongs to --tasks, which is not given/],
      [
        ['--tasks', 'arc_easy', '--data', directory, '--stride', '8'],
        /\[--stride\] belongs to --text, which is not given/,
      ],
      [
        ['--tasks', 'mmlu', '--data', directory, '--data', run.directory],
        /none of .*, .* has data of mmlu: expected one of/,
      ],
      [['--tasks', 'arc_easy'], /arc_easy has no data: expected --data PLACE or --data arc_easy=PLACE/],
      [['--tasks', 'mmlu', '--data', directory], /has no data of mmlu: expected one of mmlu\/test\/\*_test\.csv/],
      [['--tasks', 'arc_easy,arc_easy', '--data', directory], /arc_easy is given twice/],
      [
        ['--tasks', 'arc_easy', '--shots', '1', '--data', place('arc_easy.jsonl')],
        /is one file: expected --shots-data/,
      ],
      [
        ['--text', place('text.txt'), '--window', '65'],
        /\[--window\] expected at most 64 tokens, the model's context, got 65/,
      ],
    ];
    const results = await Promise.all(errors.map(([args]) => evaluate(...args)));
    for (const [i, [, message]] of errors.entries()) {
      expect(results[i].stderr).toMatch(message);
      expect(results[i].code).toBe(2);
    }
  });
});
