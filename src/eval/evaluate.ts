/**
 * Evaluation of one task at one sparsity: what is not known yet is computed, every item becomes a record as soon as it is complete, and the
 * records make the result.
 *
 * A record holds what the model did with an item, so that results come from saved records as they do from fresh ones. The identity of an item is
 * the hash of what it asks: other data, prompts or examples are other items. What is made of that (group, answers, metrics) is made anew of every
 * record, by the task as it is now: a corrected label or another metric needs no second run.
 */

import type { TokenModel } from '../infer/token-model.ts';
import { QSparseError } from '../util/errors.ts';
import { judgeAnswer } from './extract-answer.ts';
import { generateAnswers } from './generate-answers.ts';
import { choiceMetric, type Mean, meanOf } from './metrics.ts';
import { type Perplexity, perplexityOf, type WindowScore, windowScore } from './perplexity.ts';
import type { EvalTokenizer, Scored, ScoreRequest } from './score-request.ts';
import { scoreRequests } from './score-requests.ts';
import type { ChoiceTask, GenerateTask } from './task.ts';
import type { ChoiceItem, GenerateItem } from './task-items.ts';

/** What is saved of an item. */
export interface EvalRecord {
  readonly task: string;
  /** In place of the model's own; null: its own. */
  readonly sparsity: number | null;
  /** Its number in the task, of a text that of the window. */
  readonly item: number;
  readonly sha256: string;
  /** Group, answers and metrics: as the task had them when it was saved. */
  readonly group?: string;
  /** Of choices: log-likelihood in nats, whether the choice is what the model would have written, and the lengths in tokens. */
  readonly ll?: readonly number[];
  readonly greedy?: readonly number[];
  readonly contextTokens?: readonly number[];
  readonly tokens?: readonly number[];
  /** Of a window of text. */
  readonly window?: WindowScore;
  /** Of a written answer: the text, and what was found in it by each rule. */
  readonly text?: string;
  readonly answers?: Readonly<Record<string, string>>;
  /** By metric. */
  readonly metrics?: Readonly<Record<string, number>>;
}

export interface RecordStore {
  /** The record of that task, sparsity, item and hash. */
  find(key: Pick<EvalRecord, 'task' | 'sparsity' | 'item' | 'sha256'>): EvalRecord | undefined;
  add(record: EvalRecord): void;
}

/** A task whose items are encoded, ready to be run at any number of sparsities. */
export type PreparedTask = PreparedChoices | PreparedAnswers | PreparedText;

interface Prepared {
  readonly name: string;
  /** Of each item: its number in the task, whatever the limit, and its hash. */
  readonly numbers: readonly number[];
  readonly hashes: readonly string[];
}

export interface PreparedChoices extends Prepared {
  readonly type: 'multiple-choice';
  readonly task: ChoiceTask;
  readonly items: readonly ChoiceItem[];
  /** Of each item, one for each choice. */
  readonly requests: readonly (readonly ScoreRequest[])[];
}

export interface PreparedAnswers extends Prepared {
  readonly type: 'generate';
  readonly task: GenerateTask;
  readonly items: readonly GenerateItem[];
  readonly prompts: readonly (readonly number[])[];
}

export interface PreparedText extends Prepared {
  readonly type: 'perplexity';
  readonly requests: readonly ScoreRequest[];
  readonly bytesPerToken: number;
}

export interface EvaluateOptions {
  sparsity: number | null;
  tokenizer: EvalTokenizer;
  /** Most sequences at once. */
  lanes?: number;
  signal?: AbortSignal;
  records: RecordStore;
  /** Called with the number of items that are done, also with those that were known. */
  onProgress?: (done: number, total: number) => void;
}

export interface TaskResult {
  readonly task: string;
  readonly sparsity: number | null;
  /** Items, windows or answers; all of them, unless the signal ended it early. */
  readonly items: number;
  /** Those that were known already. */
  readonly reused: number;
  readonly isComplete: boolean;
  readonly metrics: Readonly<Record<string, Mean>>;
  /** Where the task has groups: metrics by group, in the order in which they occur. */
  readonly groups: Readonly<Record<string, { items: number; metrics: Readonly<Record<string, Mean>> }>> | null;
  /** Of a text. */
  readonly perplexity: Perplexity | null;
  /** Tokens that were run, and how long it took. */
  readonly tokens: number;
  readonly seconds: number;
}

/** Throws what the model throws. Where the signal ends it, the result is of the items that are complete. */
export async function evaluate(
  model: TokenModel,
  prepared: PreparedTask,
  options: EvaluateOptions,
): Promise<TaskResult> {
  const { sparsity, records, onProgress } = options;
  const keyOf = (place: number) => {
    return { task: prepared.name, sparsity, item: prepared.numbers[place], sha256: prepared.hashes[place] };
  };
  const found = new Map<number, EvalRecord>();
  for (const place of prepared.hashes.keys()) {
    const record = records.find(keyOf(place));
    if (record !== undefined) found.set(place, judgedAnew(prepared, place, record));
  }
  const reused = found.size;
  const total = prepared.hashes.length;
  const pending = [...prepared.hashes.keys()].filter((place) => !found.has(place));
  const complete: Complete = (place, parts) => {
    const record = { ...keyOf(place), ...parts };
    records.add(record);
    found.set(place, record);
    onProgress?.(found.size, total);
  };
  onProgress?.(reused, total);
  const begin = performance.now();
  const tokens =
    pending.length === 0 ? 0 : await RUNNERS[prepared.type](model, prepared as never, pending, complete, options);
  const seconds = (performance.now() - begin) / 1000;
  const inOrder = [...found].sort(([a], [b]) => a - b).map(([, record]) => record);
  return {
    task: prepared.name,
    sparsity,
    items: found.size,
    reused,
    isComplete: found.size === total,
    ...summary(prepared, inOrder),
    tokens,
    seconds,
  };
}

type RecordParts = Omit<EvalRecord, 'task' | 'sparsity' | 'item' | 'sha256'>;
/** `place`: that of the item in the prepared task. */
type Complete = (place: number, parts: RecordParts) => void;

const RUNNERS = { 'multiple-choice': runChoices, generate: runAnswers, perplexity: runText } as const;

/** An item is complete with the last of its choices. */
function runChoices(
  model: TokenModel,
  { task, items, requests }: PreparedChoices,
  pending: readonly number[],
  complete: Complete,
  options: EvaluateOptions,
): Promise<number> {
  const flat = pending.flatMap((item) => requests[item].map((request, choice) => ({ item, choice, request })));
  const scored = new Map<number, (Scored | undefined)[]>();
  return scoreRequests(
    model,
    flat.map(({ request }) => request),
    {
      ...scoreOptions(options),
      onScored: (index, one) => {
        const { item, choice } = flat[index];
        const choices = scored.get(item) ?? new Array<undefined>(requests[item].length).fill(undefined);
        choices[choice] = one;
        scored.set(item, choices);
        if (choices.includes(undefined)) return;
        scored.delete(item);
        complete(item, choiceParts(task, items[item], requests[item], choices as Scored[]));
      },
    },
  );
}

function choiceParts(
  task: ChoiceTask,
  item: ChoiceItem,
  requests: readonly ScoreRequest[],
  scored: readonly Scored[],
): RecordParts {
  const ll = scored.map(({ logprobs }) => logprobs.reduce((a, b) => a + b, 0));
  return {
    ...groupPart(item),
    ll,
    greedy: scored.map(({ greedy }) => (greedy ? 1 : 0)),
    contextTokens: requests.map(({ context }) => context.length),
    tokens: requests.map(({ continuation }) => continuation.length),
    metrics: choiceMetrics(task, item, ll),
  };
}

/** A saved record with group, answers and metrics by the task as it is now. */
function judgedAnew(prepared: PreparedTask, place: number, record: EvalRecord): EvalRecord {
  if (prepared.type === 'perplexity') return record;
  const { group, answers, metrics, ...done } = record;
  if (prepared.type === 'generate') {
    const { text = damaged(record.task, record.item) } = done;
    return { ...done, ...answerParts(prepared.task, prepared.items[place], text) };
  }
  const { ll } = done;
  const item = prepared.items[place];
  if (ll?.length !== item.pairs.length) return damaged(record.task, record.item);
  return { ...done, ...groupPart(item), metrics: choiceMetrics(prepared.task, item, ll) };
}

function choiceMetrics(task: ChoiceTask, item: ChoiceItem, ll: readonly number[]): Record<string, number> {
  return Object.fromEntries(task.metrics.map((metric) => [metric, choiceMetric(metric, item, ll)]));
}

function answerParts(task: GenerateTask, item: GenerateItem, text: string): RecordParts {
  const { answers, isRight } = judgeAnswer(text, item.target, task);
  return { ...groupPart(item), text, answers, metrics: isRight };
}

function groupPart({ group }: ChoiceItem | GenerateItem): Pick<EvalRecord, 'group'> {
  return group === null ? {} : { group };
}

function runAnswers(
  model: TokenModel,
  { task, items, prompts }: PreparedAnswers,
  pending: readonly number[],
  complete: Complete,
  options: EvaluateOptions,
): Promise<number> {
  return generateAnswers(
    model,
    pending.map((item) => prompts[item]),
    task,
    {
      ...options,
      onAnswer: (index, text) => complete(pending[index], answerParts(task, items[pending[index]], text)),
    },
  );
}

function runText(
  model: TokenModel,
  { requests }: PreparedText,
  pending: readonly number[],
  complete: Complete,
  options: EvaluateOptions,
): Promise<number> {
  return scoreRequests(
    model,
    pending.map((window) => requests[window]),
    {
      ...scoreOptions(options),
      onScored: (index, scored) => complete(pending[index], { window: windowScore(scored) }),
    },
  );
}

function scoreOptions({ sparsity, lanes, signal }: EvaluateOptions) {
  return {
    ...(sparsity === null ? {} : { sparsity }),
    ...(lanes === undefined ? {} : { lanes }),
    ...(signal === undefined ? {} : { signal }),
  };
}

function summary(
  prepared: PreparedTask,
  records: readonly EvalRecord[],
): Pick<TaskResult, 'metrics' | 'groups' | 'perplexity'> {
  if (prepared.type === 'perplexity') {
    const windows = records.map(({ window, item }) => window ?? damaged(prepared.name, item));
    const perplexity = windows.length === 0 ? null : perplexityOf(windows, prepared.bytesPerToken);
    return { metrics: {}, groups: null, perplexity };
  }
  const names = new Set(records.flatMap(({ group }) => group ?? []));
  const groups = [...names].map((name) => {
    const part = records.filter(({ group }) => group === name);
    return [name, { items: part.length, metrics: meansOf(prepared.name, part) }] as const;
  });
  return {
    metrics: meansOf(prepared.name, records),
    groups: groups.length === 0 ? null : Object.fromEntries(groups),
    perplexity: null,
  };
}

function meansOf(task: string, records: readonly EvalRecord[]): Record<string, Mean> {
  const names = Object.keys(records[0]?.metrics ?? {});
  const valuesOf = (name: string) => records.map(({ metrics, item }) => metrics?.[name] ?? damaged(task, item));
  return Object.fromEntries(names.map((name) => [name, meanOf(valuesOf(name))]));
}

function damaged(task: string, item: number): never {
  throw new QSparseError(
    'eval',
    `the saved record of item ${item} of ${task} is incomplete. Choose another file to save to.`,
  );
}
