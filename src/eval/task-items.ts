/**
 * Items of a task: what one row asks the model, as texts. Built as lm-evaluation-harness builds its contexts (`fewshot_context` of
 * lm_eval/api/task.py): description, examples, each with its answer and a delimiter behind it, then the prompt.
 */

import { FormatError, UsageError } from '../util/errors.ts';
import type { ChoiceTask, GenerateTask, Task } from './task.ts';
import type { Fields } from './template.ts';

/** A row of a file, and where it stands there, for messages. */
export interface SourceRow {
  readonly row: Fields;
  readonly where: string;
}

interface ItemBase {
  /** Its number in the task, from 0, whatever the limit. */
  readonly index: number;
  /** null where the task has no groups. */
  readonly group: string | null;
}

export interface ChoiceItem extends ItemBase {
  /** Context and continuation of each choice. */
  readonly pairs: readonly (readonly [context: string, continuation: string])[];
  /** What acc_norm and acc_bytes count; of a task with contexts, the contexts. */
  readonly choices: readonly string[];
  /** 1 for each right choice. */
  readonly labels: readonly number[];
}

export interface GenerateItem extends ItemBase {
  readonly prompt: string;
  readonly target: string;
}

export interface ItemOptions {
  /** Of each group, or of all where there are none. */
  limit?: number | undefined;
  /** Examples in front of each prompt. */
  shots: number;
  /** Rows that the examples come from, in their order. */
  shotRows: readonly SourceRow[];
}

/** Throws FormatError for a row that does not fit the task, UsageError where there are too few examples or no items. */
export function itemsOf(task: ChoiceTask, rows: readonly SourceRow[], options: ItemOptions): ChoiceItem[];
export function itemsOf(task: GenerateTask, rows: readonly SourceRow[], options: ItemOptions): GenerateItem[];
export function itemsOf(task: Task, rows: readonly SourceRow[], options: ItemOptions): (ChoiceItem | GenerateItem)[];
export function itemsOf(
  task: Task,
  rows: readonly SourceRow[],
  { limit = Infinity, shots, shotRows }: ItemOptions,
): (ChoiceItem | GenerateItem)[] {
  const examples = shots === 0 ? [] : shotRows.map((source) => exampleOf(task, source));
  const counts = new Map<string | null, number>();
  const items: (ChoiceItem | GenerateItem)[] = [];
  for (const [index, source] of rows.entries()) {
    const fields = task.fieldsOf(source.row, source.where);
    const group = groupOf(task, fields);
    const count = counts.get(group) ?? 0;
    if (count >= limit) continue;
    counts.set(group, count + 1);
    const before = task.description(fields) + examplesBefore(task, source, group, examples, shots);
    const base = { index, group };
    items.push({
      ...base,
      ...(task.type === 'generate' ? written(task, fields, before) : choice(task, fields, before, source.where)),
    });
  }
  if (items.length === 0) throw new UsageError('eval', `${task.name}: its files have no rows. Give other data.`);
  return items;
}

interface Example {
  readonly text: string;
  readonly group: string | null;
  readonly row: string;
}

function exampleOf(task: Task, { row, where }: SourceRow): Example {
  const fields = task.fieldsOf(row, where);
  return { text: answered(task, fields, where), group: groupOf(task, fields), row: JSON.stringify(row) };
}

/** The first ones of the group, the item itself left out. */
function examplesBefore(
  { name, shots: { sameGroup, delimiter } }: Task,
  { row, where }: SourceRow,
  group: string | null,
  examples: readonly Example[],
  shots: number,
): string {
  if (shots === 0) return '';
  const own = JSON.stringify(row);
  const chosen: string[] = [];
  for (const example of examples) {
    if (chosen.length === shots) break;
    if (example.row !== own && (!sameGroup || example.group === group)) chosen.push(example.text + delimiter);
  }
  if (chosen.length === shots) return chosen.join('');
  throw new UsageError(
    'eval',
    `${name}: ${shots} examples are wanted before ${where}, and there are ${chosen.length}. Ask for fewer with --shots.`,
  );
}

/** A prompt with its right answer. */
function answered(task: Task, fields: Fields, where: string): string {
  if (task.type === 'generate') return task.prompt(fields) + task.delimiter + task.target(fields);
  const { pairs, labels } = choice(task, fields, '', where);
  return pairs[labels.indexOf(1)].join('');
}

function written(task: GenerateTask, fields: Fields, before: string): { prompt: string; target: string } {
  return { prompt: before + task.prompt(fields), target: task.target(fields) };
}

function choice(task: ChoiceTask, fields: Fields, before: string, where: string): Omit<ChoiceItem, keyof ItemBase> {
  const { prompt, contexts, continuation, delimiter } = task;
  const fail = (what: string, got: unknown): never => {
    const message = `${where}: ${task.name} expects ${what}, got ${JSON.stringify(got).slice(0, 80)}.`;
    throw new FormatError('task', message, where);
  };
  const choices = (contexts ?? task.choices)?.(fields);
  if (!Array.isArray(choices) || choices.length < 2 || !choices.every((one) => typeof one === 'string')) {
    return fail('a list of at least two texts as choices', choices);
  }
  const texts = choices as string[];
  const answer = task.answer(fields);
  const labels = Array.isArray(answer) ? (answer as unknown[]) : texts.map((_, i) => (i === answer ? 1 : 0));
  if (labels.length !== texts.length || !labels.every((label) => label === 0 || label === 1) || !labels.includes(1)) {
    return fail(`the place of one of ${texts.length} choices, or a label for each, as the answer`, answer);
  }
  const context = prompt?.(fields) ?? '';
  const pairs = texts.map((text): [string, string] =>
    continuation === null ? [before + context, delimiter + text] : [before + text, delimiter + continuation(fields)],
  );
  return { pairs, choices: texts, labels: labels as number[] };
}

function groupOf({ group }: Task, fields: Fields): string | null {
  return group === null ? null : String(group(fields));
}
