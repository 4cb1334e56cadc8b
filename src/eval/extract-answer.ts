/**
 * The answer in a generated text, and whether it is the right one, as lm-evaluation-harness 0.4.13 does it for GSM8K: a `regex` filter with
 * `group_select` (lm_eval/filters/extraction.py), then `exact_match` with regexes to ignore (lm_eval/api/metrics.py).
 */

import type { Extraction, GenerateTask } from './task.ts';

/** What stands for an answer where the text has none. */
export const NO_ANSWER = '[invalid]';

/** Of the match that is wanted the first group that is not empty, or all of it where the pattern has no groups; without white space around it. */
export function extractAnswer(text: string, { pattern, take }: Extraction): string {
  const match = [...text.matchAll(pattern)].at(take);
  if (match === undefined) return NO_ANSWER;
  const found = match.length === 1 ? match[0] : match.slice(1).find((group) => group);
  return found?.trim() ?? NO_ANSWER;
}

/** Are the two the same once what the task ignores is removed from both? */
export function isSameAnswer(answer: string, target: string, { ignore, ignoreCase }: GenerateTask): boolean {
  const bare = (text: string) => {
    const left = ignore.reduce((rest, pattern) => rest.replace(pattern, ''), text);
    return ignoreCase ? left.toLowerCase() : left;
  };
  return bare(answer) === bare(target);
}

export interface JudgedAnswer {
  /** By rule of the task: what it found. */
  readonly answers: Readonly<Record<string, string>>;
  /** By rule: 1 where that is right, else 0. */
  readonly isRight: Readonly<Record<string, number>>;
}

/** What was written against the right text, by each rule of the task. */
export function judgeAnswer(text: string, target: string, task: GenerateTask): JudgedAnswer {
  const answers = task.extract.map((rule) => [rule.name, extractAnswer(text, rule)] as const);
  return {
    answers: Object.fromEntries(answers),
    isRight: Object.fromEntries(answers.map(([name, found]) => [name, isSameAnswer(found, target, task) ? 1 : 0])),
  };
}
