/** Built-in tasks over the columns of the Hub and the forms of other harnesses: prompts written out from lm-evaluation-harness's own task files. */

import { describe, expect, it } from 'vitest';
import { loadTask, taskNames } from './data/task-files.ts';
import { type ChoiceTask, type GenerateTask, parseTask } from './task.ts';
import { type ChoiceItem, itemsOf } from './task-items.ts';
import type { Fields } from './template.ts';

const source = (row: Fields, i = 0) => ({ row: { file: 'data', ...row }, where: `data.jsonl:${i + 1}` });
const items = (name: string, ...rows: Fields[]): ChoiceItem[] =>
  itemsOf(loadTask(name) as ChoiceTask, rows.map(source), { shots: 0, shotRows: [] });

describe('built-in tasks', () => {
  it('are named as their files', () => {
    expect(taskNames().map((name) => loadTask(name).name)).toEqual(taskNames());
  });

  it('ARC: the same item from both forms, labels may be numbers', () => {
    const choices = { text: ['sun', 'moon'], label: ['1', '2'] };
    const hub = items('arc_easy', { id: 'x', question: 'What shines?', choices, answerKey: '1' });
    const local = items('arc_easy', { query: 'Question: What shines?', choices: ['sun', 'moon'], gold: 0 });
    expect(hub).toEqual(local);
    expect(hub[0]).toEqual({
      index: 0,
      group: null,
      pairs: [
        ['Question: What shines?\nAnswer:', ' sun'],
        ['Question: What shines?\nAnswer:', ' moon'],
      ],
      choices: ['sun', 'moon'],
      labels: [1, 0],
    });
  });

  it('HellaSwag: tidied as the harness does', () => {
    const [item] = items('hellaswag', {
      activity_label: 'Baking',
      ctx_a: 'A woman  stands [header] in a kitchen.',
      ctx_b: 'she TAKES',
      endings: [' flour [title] and sugar', '[step] a bowl.'],
      label: '1',
    });
    expect(item.pairs[0]).toEqual(['Baking: A woman stands in a kitchen. She takes', ' flour. and sugar']);
    expect(item.choices[1]).toBe(' a bowl.');
    expect(item.labels).toEqual([0, 1]);
  });

  it('Winogrande: two contexts and one continuation', () => {
    const row = { sentence: 'The cup broke because the _ was hard.', option1: 'cup', option2: 'floor', answer: '2' };
    const [item] = items('winogrande', row);
    expect(item.pairs).toEqual([
      ['The cup broke because the cup', ' was hard.'],
      ['The cup broke because the floor', ' was hard.'],
    ]);
    expect(item.labels).toEqual([0, 1]);
  });

  it('BoolQ, OpenBookQA, COPA, PIQA and BLiMP from the columns of the Hub', () => {
    expect(items('boolq', { passage: 'P.', question: 'is it so', label: 1 })[0].pairs[1]).toEqual([
      'P.\nQuestion: is it so?\nAnswer:',
      ' yes',
    ]);
    const choices = { text: ['a marsh', 'a desert'], label: ['A', 'B'] };
    expect(items('openbookqa', { question_stem: 'Fog is around', choices, answerKey: ' A' })[0].labels).toEqual([1, 0]);
    const copa = { premise: 'The man fell. ', question: 'cause', choice1: 'He slipped.', choice2: 'He sat.', label: 0 };
    expect(items('copa', copa)[0].pairs[0]).toEqual(['The man fell because', '  he slipped.']);
    expect(items('piqa', { goal: 'Dry a cup', sol1: 'towel', sol2: 'sun', label: 0 })[0].pairs[1]).toEqual([
      'Question: Dry a cup\nAnswer:',
      ' sun',
    ]);
    expect(items('blimp', { sentence_good: 'Good.', sentence_bad: 'Bad.', UID: 'npi' })[0]).toMatchObject({
      group: 'npi',
      pairs: [
        ['', ' Good.'],
        ['', ' Bad.'],
      ],
      labels: [1, 0],
    });
  });

  it('TruthfulQA: the true ones of both forms', () => {
    const targets = { 'It is blue.': 1, 'It is cyan.': 1, 'It is red.': 0 };
    const [local] = items('truthfulqa_mc2', { question: 'Sky?', mc1_targets: targets, mc2_targets: targets });
    const lists = { choices: Object.keys(targets), labels: [1, 1, 0] };
    const [hub] = items('truthfulqa_mc2', { question: 'Sky?', mc1_targets: lists, mc2_targets: lists });
    expect(hub).toEqual(local);
    expect(local.labels).toEqual([1, 1, 0]);
    expect(local.pairs[0][0]).toMatch(/^Q: What is human life expectancy [\s\S]*Barcelona, Spain\.\n\nQ: Sky\?\nA:$/);
    expect(items('truthfulqa_mc1', { question: 'Sky?', mc1_targets: lists })[0].labels).toEqual([1, 0, 0]);
  });

  it('MMLU: description, examples of the same subject, then the question', () => {
    const row = (question: string, subject: string): Fields => ({
      question,
      subject,
      choices: ['1', '2', '3', '4'],
      answer: 2,
    });
    const shotRows = [row('law?', 'law'), row('x?', 'anatomy'), row('y?', 'anatomy'), row('z?', 'anatomy')].map(source);
    const [item] = itemsOf(loadTask('mmlu') as ChoiceTask, [source(row('x?', 'anatomy'))], { shots: 2, shotRows });
    const about = (question: string) => `${question}\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer:`;
    expect(item.pairs[0]).toEqual([
      `The following are multiple choice questions (with answers) about anatomy.\n\n${about('y?')} C\n\n${about('z?')} C\n\n${about('x?')}`,
      ' A',
    ]);
    expect(() => itemsOf(loadTask('mmlu'), [source(row('x?', 'anatomy'))], { shots: 3, shotRows })).toThrow(
      /mmlu: 3 examples are wanted before data\.jsonl:1, and there are 2\. Ask for fewer with --shots\./,
    );
  });

  it('GSM8K: worked examples before the question', () => {
    const rows = [1, 2].map((n) => source({ question: `${n}+${n}?`, answer: `${n}+${n} = ${2 * n}\n#### ${2 * n}` }));
    const [item] = itemsOf(loadTask('gsm8k') as GenerateTask, rows, { shots: 1, shotRows: rows });
    expect(item).toEqual({
      index: 0,
      group: null,
      prompt: 'Question: 2+2?\nAnswer: 2+2 = 4\n#### 4\n\nQuestion: 1+1?\nAnswer:',
      target: '1+1 = 2\n#### 2',
    });
  });
});

describe('itemsOf', () => {
  const rows = ['a', 'b', 'a', 'b', 'a'].map((UID, i) => source({ UID, sentence_good: `${i}`, sentence_bad: '' }, i));
  const blimp = loadTask('blimp') as ChoiceTask;

  it('limits each group and keeps the numbers of the rows', () => {
    const limited = itemsOf(blimp, rows, { limit: 1, shots: 0, shotRows: [] });
    expect(limited.map(({ index, group }) => [index, group])).toEqual([
      [0, 'a'],
      [1, 'b'],
    ]);
    expect(() => itemsOf(blimp, [], { shots: 0, shotRows: [] })).toThrow(/blimp: its files have no rows/);
  });

  it('names the row that does not fit', () => {
    expect(() => items('arc_easy', { question: 'q' })).toThrow(
      '[task] data.jsonl:1 has no form that arc_easy knows: expected question, choices.text, choices.label, answerKey; or query, choices, gold, got file, question.',
    );
    expect(() => items('arc_easy', { query: 'q', choices: ['a', 'b'], gold: 2 })).toThrow(
      '[task] data.jsonl:1: arc_easy expects the place of one of 2 choices, or a label for each, as the answer, got 2.',
    );
    expect(() => items('arc_easy', { query: 'q', choices: 'ab', gold: 0 })).toThrow(
      /a list of at least two texts as choices, got "ab"/,
    );
  });
});

describe('parseTask', () => {
  const task = {
    name: 'own',
    type: 'multiple-choice',
    files: ['own.jsonl'],
    prompt: '{{q}}',
    choices: 'c',
    answer: 'a',
    metrics: ['acc'],
  };
  const error = (changes: object): string => {
    try {
      parseTask({ ...task, ...changes }, 'own.json');
      return '';
    } catch (thrown) {
      return (thrown as Error).message;
    }
  };

  it('takes the smallest task', () => {
    const parsed = parseTask(task, 'own.json') as ChoiceTask;
    const [item] = itemsOf(parsed, [source({ q: 'Q', c: ['x', 'y'], a: 1 })], { shots: 0, shotRows: [] });
    expect(item.pairs).toEqual([
      ['Q', ' x'],
      ['Q', ' y'],
    ]);
  });

  it('says all that is wrong at once', () => {
    expect(error({ type: 'choice' })).toMatch(/type must be multiple-choice or generate, got "choice"/);
    const all = error({
      name: 'a b',
      file: 1,
      metrics: ['accuracy'],
      answer: undefined,
      contexts: 'c',
      files: ['../x'],
    });
    for (const part of [
      'name must be a word',
      'unknown field "file". Did you mean "files"?',
      'metrics must be acc,',
      'answer must be an expression',
      'got prompt, choices, contexts',
      'files must be a list of paths inside',
    ]) {
      expect(all).toContain(part);
    }
    expect(error({ prompt: '{{ q' })).toMatch(/^\[task\] own\.json: prompt is no template: /);
    expect(
      error({
        type: 'generate',
        metrics: undefined,
        choices: undefined,
        answer: undefined,
        target: 't',
        extract: { a: { pattern: '(' } },
      }),
    ).toMatch(/extract must be an object/);
  });
});
