/**
 * Task: one benchmark as one file of data (JSON), checked and compiled: where its rows are, how they read, the prompt, the choices, the metric.
 *
 * Nothing of a task is code, so that users add theirs by writing a file: docs/evaluation.md describes the fields, `tasks/` holds the
 * built-in ones. A data set exists in several forms (the Hub's columns, the JSONL of another harness), hence `forms`: the first one whose
 * fields a row has makes the names of that form the names that the templates use.
 */

import { FormatError } from '../util/errors.ts';
import { isObject } from '../util/is-object.ts';
import { Problems } from '../util/problems.ts';
import { compileExpression, compileTemplate, type Fields, hasPath, type TextOf, type ValueOf } from './template.ts';

export const CHOICE_METRICS = ['acc', 'acc_norm', 'acc_bytes', 'mc2'] as const;
export type ChoiceMetric = (typeof CHOICE_METRICS)[number];

/** Where rows are, and where those for the examples of a prompt are. */
export interface TaskFiles {
  /** Paths inside the data folder, folders and file may hold `*`; the first that matches anything is taken, all of its files. */
  readonly files: readonly string[];
  /** Lines of a .txt file that make a row `{ lines }`. */
  readonly linesPerRow: number | null;
}

export interface Shots extends Pick<TaskFiles, 'files'> {
  /** Examples in front of each prompt, unless asked for otherwise. */
  readonly count: number;
  /** Only of the item's own group: the subject of an exam. */
  readonly sameGroup: boolean;
  readonly delimiter: string;
}

export interface Extraction {
  readonly name: string;
  readonly pattern: RegExp;
  /** Which match: 0 the first, -1 the last. */
  readonly take: number;
}

interface TaskBase extends TaskFiles {
  readonly name: string;
  readonly about: string;
  readonly shots: Shots;
  /** In front of the examples. */
  readonly description: TextOf;
  /** Part of the benchmark that a row belongs to, null where there are no parts. */
  readonly group: ValueOf | null;
  /** Makes the names of the templates of a row. Throws FormatError where it has none of the forms. */
  fieldsOf(row: Fields, where: string): Fields;
}

/** The most probable of several continuations; or, with `contexts`, the context that makes one continuation most probable. */
export interface ChoiceTask extends TaskBase {
  readonly type: 'multiple-choice';
  readonly prompt: TextOf | null;
  readonly choices: ValueOf | null;
  readonly contexts: ValueOf | null;
  readonly continuation: TextOf | null;
  /** Between prompt and choice. */
  readonly delimiter: string;
  /** The place of the right one; with mc2 a 1 for each true choice and a 0 for each other. */
  readonly answer: ValueOf;
  readonly metrics: readonly ChoiceMetric[];
}

/** A text that is written after the prompt, and the answer that is found in it. */
export interface GenerateTask extends TaskBase {
  readonly type: 'generate';
  readonly prompt: TextOf;
  /** The right text, of which `ignore` leaves what is compared. */
  readonly target: TextOf;
  readonly delimiter: string;
  readonly until: readonly string[];
  readonly maxTokens: number;
  readonly extract: readonly Extraction[];
  /** Removed from what is extracted and from the target before the two are compared. */
  readonly ignore: readonly RegExp[];
  readonly ignoreCase: boolean;
}

export type Task = ChoiceTask | GenerateTask;

const COMMON_FIELDS = [
  'name',
  'about',
  'type',
  'files',
  'linesPerRow',
  'forms',
  'description',
  'prompt',
  'delimiter',
  'group',
  'shots',
];
const CHOICE_FIELDS = ['choices', 'contexts', 'continuation', 'answer', 'metrics'];
const GENERATE_FIELDS = ['target', 'until', 'maxTokens', 'extract', 'ignore', 'ignoreCase'];

/** The task in the contents of a file; `path` is what messages name. Throws UsageError with all that is wrong, FormatError for a template. */
export function parseTask(json: unknown, path: string): Task {
  if (!isObject(json)) throw new FormatError('task', `${path}: expected an object with name, type and prompt.`, path);
  const problems = new Problems(path);
  problems.choice('type', json.type, ['multiple-choice', 'generate']);
  problems.throwAny();
  const isChoice = json.type === 'multiple-choice';
  const known = [...COMMON_FIELDS, ...(isChoice ? CHOICE_FIELDS : GENERATE_FIELDS)];
  for (const field of Object.keys(json)) if (!known.includes(field)) problems.addUnknown(field, known);
  checkCommon(json, problems);
  if (isChoice) checkChoice(json, problems);
  else checkGenerate(json, problems);
  problems.throwAny();
  return isChoice ? choiceTask(json, path) : generateTask(json, path);
}

type Table = Readonly<Record<string, unknown>>;

function checkCommon(json: Table, problems: Problems): void {
  if (typeof json.name !== 'string' || !/^[\w.-]+$/.test(json.name)) {
    problems.add('name', 'must be a word of letters, digits, _, - and . only.');
  }
  checkTexts(json, ['about', 'description', 'prompt', 'delimiter', 'group'], problems);
  checkPatterns('files', json.files, problems);
  if (json.linesPerRow !== undefined) problems.whole('linesPerRow', json.linesPerRow, 1);
  const forms = json.forms ?? [];
  const isForm = (form: unknown) =>
    isObject(form) && isTextList(form.has) && isObject(form.fields) && Object.values(form.fields).every(isText);
  if (!Array.isArray(forms) || !forms.every(isForm)) {
    problems.add('forms', 'must be a list of { has: [paths], fields: { name: expression } }.');
  }
  const shots = json.shots ?? {};
  if (!isObject(shots)) {
    problems.add('shots', 'must be an object with count, files, sameGroup and delimiter.');
    return;
  }
  const known = ['count', 'files', 'sameGroup', 'delimiter'];
  for (const field of Object.keys(shots)) if (!known.includes(field)) problems.addUnknown(`shots.${field}`, known);
  if (shots.count !== undefined) problems.whole('shots.count', shots.count, 0);
  if (shots.sameGroup !== undefined) problems.flag('shots.sameGroup', shots.sameGroup);
  if (shots.files !== undefined) checkPatterns('shots.files', shots.files, problems);
  if (shots.delimiter !== undefined && !isText(shots.delimiter)) problems.add('shots.delimiter', 'must be a text.');
}

function checkChoice(json: Table, problems: Problems): void {
  checkTexts(json, ['choices', 'contexts', 'continuation', 'answer'], problems);
  const given = ['prompt', 'choices', 'contexts', 'continuation']
    .filter((field) => json[field] !== undefined)
    .join(', ');
  if (given !== 'prompt, choices' && given !== 'contexts, continuation') {
    problems.add('prompt', `and choices, or contexts and continuation must be given, got ${given || 'none of them'}.`);
  }
  if (json.answer === undefined) problems.add('answer', 'must be an expression for the place of the right choice.');
  const { metrics } = json;
  if (!isTextList(metrics) || metrics.length === 0) {
    problems.add('metrics', `must be a list of ${CHOICE_METRICS.join(', ')}.`);
  } else {
    for (const metric of metrics) problems.choice('metrics', metric, CHOICE_METRICS);
    if (metrics.includes('mc2') && metrics.length > 1)
      problems.add('metrics', 'must have mc2 alone: its answer is a list.');
  }
}

function checkGenerate(json: Table, problems: Problems): void {
  checkTexts(json, ['target'], problems);
  for (const field of ['prompt', 'target']) if (json[field] === undefined) problems.add(field, 'must be a template.');
  if (json.until !== undefined && (!isTextList(json.until) || json.until.includes(''))) {
    problems.add('until', 'must be a list of texts that are not empty.');
  }
  if (json.maxTokens !== undefined) problems.whole('maxTokens', json.maxTokens, 1);
  const { extract } = json;
  const isRule = (rule: unknown) =>
    isObject(rule) && isPattern(rule.pattern) && (rule.take === undefined || Number.isInteger(rule.take));
  if (!isObject(extract) || Object.keys(extract).length === 0 || !Object.values(extract).every(isRule)) {
    problems.add('extract', 'must be an object { NAME: { pattern: a regular expression, take: 0 or -1 } }.');
  }
  if (json.ignore !== undefined && !(Array.isArray(json.ignore) && json.ignore.every(isPattern))) {
    problems.add('ignore', 'must be a list of regular expressions.');
  }
  if (json.ignoreCase !== undefined) problems.flag('ignoreCase', json.ignoreCase);
}

function baseOf(json: Table, path: string): TaskBase {
  const { shots = {}, forms = [], linesPerRow = null, about = '', description = '', group } = json;
  const { count = 0, files = [], sameGroup = false, delimiter = '\n\n' } = shots as Partial<Shots>;
  const compiled = (forms as Form[]).map(({ has, fields }, i) => ({
    has,
    fields: Object.entries(fields).map(
      ([name, source]) => [name, compileExpression(source, `${path}: forms[${i}].fields.${name}`)] as const,
    ),
  }));
  return {
    name: json.name as string,
    about: about as string,
    files: json.files as string[],
    linesPerRow: linesPerRow as number | null,
    shots: { count, files, sameGroup, delimiter },
    description: compileTemplate(description as string, `${path}: description`),
    group: group === undefined ? null : compileExpression(group as string, `${path}: group`),
    fieldsOf(row, where) {
      if (compiled.length === 0) return row;
      const form = compiled.find(({ has }) => has.every((name) => hasPath(row, name)));
      if (form !== undefined)
        return { ...row, ...Object.fromEntries(form.fields.map(([name, of]) => [name, of(row)])) };
      const wanted = compiled.map(({ has }) => has.join(', ')).join('; or ');
      const got = Object.keys(row).slice(0, 20).join(', ');
      throw new FormatError('task', `${where} has no form that ${path} knows: expected ${wanted}, got ${got}.`, where);
    },
  };
}

interface Form {
  has: string[];
  fields: Record<string, string>;
}

function choiceTask(json: Table, path: string): ChoiceTask {
  const template = (field: string) =>
    json[field] === undefined ? null : compileTemplate(json[field] as string, `${path}: ${field}`);
  const expression = (field: string) =>
    json[field] === undefined ? null : compileExpression(json[field] as string, `${path}: ${field}`);
  return {
    ...baseOf(json, path),
    type: 'multiple-choice',
    prompt: template('prompt'),
    choices: expression('choices'),
    contexts: expression('contexts'),
    continuation: template('continuation'),
    delimiter: (json.delimiter as string | undefined) ?? ' ',
    answer: expression('answer') as ValueOf,
    metrics: json.metrics as ChoiceMetric[],
  };
}

function generateTask(json: Table, path: string): GenerateTask {
  const extract = json.extract as Record<string, { pattern: string; take?: number }>;
  return {
    ...baseOf(json, path),
    type: 'generate',
    prompt: compileTemplate(json.prompt as string, `${path}: prompt`),
    target: compileTemplate(json.target as string, `${path}: target`),
    delimiter: (json.delimiter as string | undefined) ?? ' ',
    until: (json.until as string[] | undefined) ?? [],
    maxTokens: (json.maxTokens as number | undefined) ?? 256,
    extract: Object.entries(extract).map(([name, { pattern, take = 0 }]) => ({
      name,
      pattern: new RegExp(pattern, 'g'),
      take,
    })),
    ignore: ((json.ignore as string[] | undefined) ?? []).map((pattern) => new RegExp(pattern, 'g')),
    ignoreCase: (json.ignoreCase as boolean | undefined) ?? false,
  };
}

function checkTexts(json: Table, fields: readonly string[], problems: Problems): void {
  for (const field of fields) {
    if (json[field] !== undefined && !isText(json[field])) problems.add(field, 'must be a text.');
  }
}

function checkPatterns(field: string, value: unknown, problems: Problems): void {
  const isInside = (path: string) => path !== '' && !path.startsWith('/') && !path.split('/').includes('..');
  if (isTextList(value) && value.length > 0 && value.every(isInside)) return;
  problems.add(field, 'must be a list of paths inside the data folder, such as arc_easy.jsonl or test/*.parquet.');
}

function isPattern(value: unknown): boolean {
  try {
    return isText(value) && new RegExp(value as string, 'g') instanceof RegExp;
  } catch {
    return false;
  }
}

const isText = (value: unknown): value is string => typeof value === 'string';
const isTextList = (value: unknown): value is string[] => Array.isArray(value) && value.every(isText);
