/** Whole evaluations over a model of characters whose probabilities are a function of the text, so that every number is known. */

import { describe, expect, it } from 'vitest';
import { FakeTokenModel } from '../../test/support/fake-token-model.ts';
import { loadTask } from './data/task-files.ts';
import { type EvalRecord, type EvaluateOptions, evaluate, type PreparedTask, type RecordStore } from './evaluate.ts';
import { longestOf, prepareAnswers, prepareChoices, prepareText } from './prepare.ts';
import type { EvalTokenizer } from './score-request.ts';
import { type ChoiceTask, type GenerateTask, parseTask } from './task.ts';
import { itemsOf } from './task-items.ts';
import type { Fields } from './template.ts';

const VOCAB = 128;
const END = 0;
const decode = (ids: readonly number[]) => String.fromCharCode(...ids);

/** One id a character of ASCII. */
const tokenizer: EvalTokenizer & { decode: typeof decode } = {
  encode: (text) => [...text].map((character) => character.charCodeAt(0)),
  decode,
  decodeStream: () => ({ push: (id) => decode([id]), flush: () => '' }),
  prefixId: END,
  bosId: null,
  endIds: [END],
};

/** The next character has probability 1/2, all others share the rest. */
function knowing(next: (text: string, sparsity: number) => number, options = {}): FakeTokenModel {
  return new FakeTokenModel({
    vocabSize: VOCAB,
    maxTokens: 400,
    maxSequences: 3,
    maxBatchTokens: 50,
    ...options,
    logitsOf: (ids, { sparsity = 0 }) => {
      const wanted = next(decode(ids), sparsity as number);
      return Float32Array.from({ length: VOCAB }, (_, id) => Math.log(id === wanted ? 0.5 : 0.5 / (VOCAB - 1)));
    },
  });
}

function memory(): RecordStore & { records: EvalRecord[] } {
  const records: EvalRecord[] = [];
  return {
    records,
    find: ({ task, sparsity, item, sha256 }) =>
      records.find(
        (one) => one.task === task && one.sparsity === sparsity && one.item === item && one.sha256 === sha256,
      ),
    add: (record) => records.push(JSON.parse(JSON.stringify(record)) as EvalRecord),
  };
}

const options = (changes: Partial<EvaluateOptions> = {}): EvaluateOptions => ({
  sparsity: null,
  tokenizer,
  records: memory(),
  ...changes,
});
const sources = (rows: readonly Fields[]) => rows.map((row, i) => ({ row, where: `row ${i}` }));

const ABC = parseTask(
  {
    name: 'abc',
    type: 'multiple-choice',
    files: ['abc.jsonl'],
    prompt: '{{q}}:',
    choices: '["a", "b", "cc"]',
    answer: 'gold',
    group: 'part',
    metrics: ['acc', 'acc_norm'],
  },
  'abc.json',
) as ChoiceTask;

/** Says ` a` after a question with x, ` b` otherwise; at sparsity 0.5 always ` b`. */
const saysAOrB = (text: string, sparsity: number) => {
  if (text.endsWith(':')) return 32;
  return (text.includes('x') && sparsity === 0 ? 'a' : 'b').charCodeAt(0);
};

const rows = [
  { q: 'x1', gold: 0, part: 'p' },
  { q: 'y2', gold: 0, part: 'p' },
  { q: 'y3', gold: 1, part: 'q' },
];
const abc = prepareChoices(ABC, itemsOf(ABC, sources(rows), { shots: 0, shotRows: [] }), tokenizer, 400);

describe('multiple choice', () => {
  it('gives log-likelihoods, metrics of all and of the groups', async () => {
    const records = memory();
    const result = await evaluate(knowing(saysAOrB), abc, options({ records }));
    const other = Math.log(0.5 / 127);
    const [first] = records.records.filter(({ item }) => item === 0);
    expect(first).toMatchObject({
      task: 'abc',
      sparsity: null,
      group: 'p',
      greedy: [1, 0, 0],
      contextTokens: [3, 3, 3],
      tokens: [2, 2, 3],
    });
    const wanted = [2 * Math.log(0.5), Math.log(0.5) + other, Math.log(0.5) + other + other];
    for (const [i, ll] of wanted.entries()) expect(first.ll?.[i]).toBeCloseTo(ll, 6);
    expect(result).toMatchObject({ task: 'abc', items: 3, reused: 0, isComplete: true });
    expect(result.metrics.acc.value).toBeCloseTo(2 / 3, 12);
    expect(result.groups).toMatchObject({
      p: { items: 2, metrics: { acc: { value: 0.5 } } },
      q: { items: 1, metrics: { acc: { value: 1 } } },
    });
    expect(longestOf(abc)).toBe(5);
  });

  it('at a sparsity of its own', async () => {
    const result = await evaluate(knowing(saysAOrB), abc, options({ sparsity: 0.5 }));
    expect(result.metrics.acc.value).toBeCloseTo(1 / 3, 12);
  });

  it('goes on from what is saved and computes nothing twice', async () => {
    const records = memory();
    const stop = new AbortController();
    const halted = knowing(saysAOrB, { maxSequences: 1 });
    const part = await evaluate(
      halted,
      abc,
      options({ records, signal: stop.signal, onProgress: (done) => done === 1 && stop.abort() }),
    );
    expect(part).toMatchObject({ isComplete: false, items: 1 });
    expect(records.records.length).toBe(1);
    const model = knowing(saysAOrB, { maxSequences: 1 });
    const whole = await evaluate(knowing(saysAOrB, { maxSequences: 1 }), abc, options());
    const rest = await evaluate(model, abc, options({ records }));
    expect(rest).toMatchObject({ isComplete: true, items: 3, reused: 1, metrics: whole.metrics, groups: whole.groups });
    expect(model.tokens).toBe(whole.tokens - part.tokens);
    const again = knowing(saysAOrB);
    expect(await evaluate(again, abc, options({ records }))).toMatchObject({
      reused: 3,
      tokens: 0,
      metrics: whole.metrics,
    });
    expect(again.runs).toEqual([]);
    const otherwise = await evaluate(knowing(saysAOrB), abc, options({ records, sparsity: 0.5 }));
    expect(otherwise.reused).toBe(0);
  });
});

describe('saved records of a task that has changed since', () => {
  const items = (task: ChoiceTask, of: readonly Fields[], limit?: number) =>
    itemsOf(task, sources(of), { shots: 0, shotRows: [], limit });
  const saved = async () => {
    const records = memory();
    await evaluate(knowing(saysAOrB), abc, options({ records }));
    return records;
  };
  const anew = async (prepared: PreparedTask, records: RecordStore) => {
    const model = knowing(saysAOrB);
    const result = await evaluate(model, prepared, options({ records }));
    expect(model.tokens).toBe(0);
    return result;
  };

  it('count by the labels and groups of now, with nothing run', async () => {
    const corrected = [rows[0], { q: 'y2', gold: 1, part: 'r' }, rows[2]];
    const result = await anew(prepareChoices(ABC, items(ABC, corrected), tokenizer, 400), await saved());
    expect(result).toMatchObject({ reused: 3, metrics: { acc: { value: 1 } } });
    expect(Object.keys(result.groups ?? {})).toEqual(['p', 'r', 'q']);
  });

  it('count by the metrics of now', async () => {
    const task: ChoiceTask = { ...ABC, group: null, metrics: ['acc_bytes', 'acc'] };
    const result = await anew(prepareChoices(task, items(task, rows), tokenizer, 400), await saved());
    expect(Object.keys(result.metrics)).toEqual(['acc_bytes', 'acc']);
    expect(result.groups).toBeNull();
  });

  it('are those of the same items with another limit, also behind a group that had more', async () => {
    const records = memory();
    const one = prepareChoices(ABC, items(ABC, rows, 1), tokenizer, 400);
    await evaluate(knowing(saysAOrB), one, options({ records }));
    expect(records.records.map(({ item }) => item).sort()).toEqual([0, 2]);
    expect(await evaluate(knowing(saysAOrB), abc, options({ records }))).toMatchObject({ items: 3, reused: 2 });
  });

  it('are refused where the log-likelihoods are missing', async () => {
    const records = await saved();
    const damaged = records.records.map(({ ll, ...rest }) => rest);
    records.records.splice(0, damaged.length, ...damaged);
    await expect(anew(abc, records)).rejects.toThrow(/the saved record of item 0 of abc is incomplete/);
  });
});

it('perplexity: nats, bits per byte, and windows that are known', async () => {
  const alphabet = 'abcdefghijklmnopqrstuvwxyz'.repeat(4);
  const next = (text: string) => (text.endsWith('z') ? 'a'.charCodeAt(0) : text.charCodeAt(text.length - 1) + 1);
  const protocol = { window: 26, stride: 26, minContext: 1, prefixId: null };
  const prepared = prepareText([alphabet], tokenizer, protocol, { name: 'perplexity' });
  const records = memory();
  const result = await evaluate(knowing(next), prepared, options({ records }));
  expect(result.perplexity).toMatchObject({ tokens: 100 });
  expect(result.perplexity?.natsPerToken).toBeCloseTo(Math.LN2, 6);
  expect(result.perplexity?.bitsPerByte).toBeCloseTo(1, 6);
  expect(records.records.map(({ window }) => window?.tokens)).toEqual([25, 25, 25, 25]);
  const model = knowing(next);
  expect((await evaluate(model, prepared, options({ records }))).perplexity).toEqual(result.perplexity);
  expect(model.tokens).toBe(0);
  const sliding = prepareText(
    [alphabet],
    tokenizer,
    { ...protocol, stride: 13 },
    { name: 'perplexity', mostTokens: 40 },
  );
  expect(await evaluate(knowing(next), sliding, options({ records }))).toMatchObject({
    reused: 0,
    perplexity: { tokens: 39 },
  });
});

it('GSM8K: writes until the stop text, finds the answer, and goes on from what is saved', async () => {
  const task = loadTask('gsm8k') as GenerateTask;
  const questions = sources([
    { question: '2+2', answer: 'so\n#### 4' },
    { question: '3+3', answer: 'so\n#### 1,006' },
    { question: '4+4', answer: 'so\n#### 9' },
  ]);
  /** Writes the sum and goes on with a question of its own; of 3 + 3 it forgets the mark. */
  const next = (text: string) => {
    const at = text.lastIndexOf('Question: ');
    const [question, answer] = text.slice(at + 10).split('\nAnswer:');
    const [a, b] = question.split('+').map(Number);
    const whole = a === 3 ? ' It is $1,006.\nQuestion:' : ` It is ${a + b}.\n#### ${a + b}\0`;
    return whole.charCodeAt(answer.length);
  };
  const items = itemsOf(task, questions, { shots: 1, shotRows: sources([{ question: '1+1', answer: 'so\n#### 2' }]) });
  const prepared = prepareAnswers(task, items, tokenizer, 400);
  const records = memory();
  const result = await evaluate(knowing(next), prepared, options({ records, lanes: 2 }));
  const found = [...records.records].sort((a, b) => a.item - b.item);
  expect(found.map(({ text }) => text)).toEqual([' It is 4.\n#### 4', ' It is $1,006.\n', ' It is 8.\n#### 8']);
  expect(found.map(({ answers }) => answers)).toEqual([
    { 'strict-match': '4', 'flexible-extract': '4' },
    { 'strict-match': '[invalid]', 'flexible-extract': '$1,006.' },
    { 'strict-match': '8', 'flexible-extract': '8' },
  ]);
  expect(result.metrics['strict-match'].value).toBeCloseTo(1 / 3, 12);
  expect(result.metrics['flexible-extract'].value).toBeCloseTo(2 / 3, 12);
  expect(await evaluate(knowing(next), prepared, options({ records }))).toMatchObject({
    reused: 3,
    tokens: 0,
    metrics: result.metrics,
  });
  const looser: GenerateTask = { ...task, extract: [{ name: 'any', pattern: /[0-9,]+/g, take: -1 }] };
  const again = prepareAnswers(looser, items, tokenizer, 400);
  expect(await evaluate(knowing(next), again, options({ records }))).toMatchObject({
    reused: 3,
    metrics: { any: { value: 2 / 3 } },
  });
});
