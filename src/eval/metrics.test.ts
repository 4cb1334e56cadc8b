import { describe, expect, it } from 'vitest';
import { loadTask } from './data/task-files.ts';
import { extractAnswer, isSameAnswer, NO_ANSWER } from './extract-answer.ts';
import { choiceMetric, meanOf } from './metrics.ts';
import type { GenerateTask } from './task.ts';
import type { ChoiceItem } from './task-items.ts';

const item = (choices: string[], labels: number[]): ChoiceItem => ({
  index: 0,
  group: null,
  pairs: [],
  choices,
  labels,
});

describe('choiceMetric', () => {
  it('takes the first of equals', () => {
    expect(choiceMetric('acc', item(['a', 'b'], [1, 0]), [-2, -2])).toBe(1);
    expect(choiceMetric('acc', item(['a', 'b'], [0, 1]), [-2, -2])).toBe(0);
    expect(choiceMetric('acc', item(['a', 'b', 'c'], [0, 0, 1]), [-3, -2, -1])).toBe(1);
  });

  it('divides by characters or by bytes', () => {
    const umlauts = item(['öööö', 'abcde'], [1, 0]); // -8 / 4 = -2 against -9 / 5; -8 / 8 against -9 / 5
    expect(choiceMetric('acc_norm', umlauts, [-8, -9])).toBe(0);
    expect(choiceMetric('acc_bytes', umlauts, [-8, -9])).toBe(1);
    expect(choiceMetric('acc_norm', item(['😀😀', 'abc'], [0, 1]), [-5, -7])).toBe(1); // -5 / 2 against -7 / 3; four code units would win
  });

  it('mc2 is the share of the true ones, however small all are', () => {
    const labels = [1, 0, 1];
    expect(choiceMetric('mc2', item(['', '', ''], labels), [Math.log(0.1), Math.log(0.3), Math.log(0.2)])).toBeCloseTo(
      0.5,
      12,
    );
    expect(choiceMetric('mc2', item(['', '', ''], labels), [-5000, -5000, -5000])).toBeCloseTo(2 / 3, 12);
  });
});

it('meanOf: the standard error of 1, 0, 1, 1 by hand', () => {
  // mean 3/4, squares 3/16 * 4 / 3 = 1/4, over 4 items: sqrt(1/16)
  expect(meanOf([1, 0, 1, 1])).toEqual({ value: 0.75, stderr: 0.25 });
  expect(meanOf([1])).toEqual({ value: 1, stderr: null });
});

describe('answers of GSM8K', () => {
  const task = loadTask('gsm8k') as GenerateTask;
  const [strict, flexible] = task.extract;
  const target = 'It is 1,000 + 234 = <<1000+234=1234>>1234.\n#### 1,234';

  it.each([
    [' She has 1000+234.\n#### 1,234', '1,234', '1,234'],
    [' so $1,234.', NO_ANSWER, '$1,234.'],
    ['The answer is 7', NO_ANSWER, '7'],
    ['-12 and then #### -5 and #### 6', '-5', '6'],
    ['none', NO_ANSWER, NO_ANSWER],
    ['', NO_ANSWER, NO_ANSWER],
  ])('%j: strict %j, flexible %j', (text, strictly, flexibly) => {
    expect([strict, flexible].map((rule) => extractAnswer(text, rule))).toEqual([strictly, flexibly]);
  });

  it('ignores commas, dollars, the working and a full stop', () => {
    expect(['1,234', '1234', '$1,234.', '1234.'].map((answer) => isSameAnswer(answer, target, task))).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect(['12345', '234', NO_ANSWER].map((answer) => isSameAnswer(answer, target, task))).toEqual([
      false,
      false,
      false,
    ]);
  });
});
