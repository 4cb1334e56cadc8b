/**
 * The two small languages of a task file, both of Jinja: a template makes a text, an expression a value.
 *
 * Jinja because the tasks of lm-evaluation-harness are written in it, so that their prompts can be taken over letter by letter. The library is
 * @huggingface/jinja, which has no access to anything but the fields that it is given. Differences from its defaults, all towards
 * what Jinja does there: a name that the row lacks is an error and not an empty text, line ends behind blocks stay, and so does
 * one at the end of the template. Besides the filters and methods of the library there are `FUNCTIONS`.
 */

import { parse, Template, tokenize } from '@huggingface/jinja';
import { FormatError, messageOf } from '../util/errors.ts';

/** The fields of a row. */
export type Fields = Readonly<Record<string, unknown>>;

/** Throws FormatError where a name is missing or the language's own rules are broken. */
export type TextOf = (fields: Fields) => string;
export type ValueOf = (fields: Fields) => unknown;

/** How the library hands over the items of a list. */
interface Wrapped {
  readonly value: unknown;
}

/** What task files may call; the library lacks them or, for `capitalized`, has another meaning than Python. */
const FUNCTIONS: Readonly<Record<string, (...values: never[]) => unknown>> = {
  /** Replaces what matches regular expressions, one after the other, in a text or in each text of a list. */
  substitute: (texts: string | readonly Wrapped[], ...rules: string[]) =>
    typeof texts === 'string'
      ? substituted(texts, rules)
      : texts.map(({ value }) => substituted(value as string, rules)),
  /** The first letter upper case, all others lower case. */
  capitalized: (text: string) => text.slice(0, 1).toUpperCase() + text.slice(1).toLowerCase(),
  /** Where an item stands in a list, or an error. */
  position: (list: readonly Wrapped[], item: unknown) => {
    const at = list.findIndex(({ value }) => value === item);
    if (at < 0) throw new Error(`${JSON.stringify(item)} is not in the list`);
    return at;
  },
};

/** `rules`: pattern, replacement, pattern, replacement and so on. */
function substituted(text: string, rules: readonly string[]): string {
  let result = text;
  for (let i = 0; i + 1 < rules.length; i += 2) result = result.replace(new RegExp(rules[i], 'g'), rules[i + 1]);
  return result;
}

/** Names that every template has. */
const GLOBALS: ReadonlySet<string> = new Set([
  ...Object.keys(FUNCTIONS),
  ...['true', 'false', 'none', 'True', 'False', 'None', 'range', 'loop', 'namespace'],
]);

/** `where` is what a message names, such as `tasks/piqa.json: prompt`. */
export function compileTemplate(source: string, where: string): TextOf {
  if (!/\{[{%#]/.test(source)) return () => source;
  const template = new Template('');
  const names = new Set<string>();
  try {
    // The library drops a line end at the end of the source; what follows it here writes nothing.
    template.parsed = parse(tokenize(`${source}{{''}}`));
    collectNames(template.parsed, names);
  } catch (error) {
    throw new FormatError('task', `${where} is no template: ${messageOf(error)}. Source: ${source}`, where);
  }
  return (fields) => {
    const lacking = [...names].find((name) => !Object.hasOwn(fields, name));
    if (lacking !== undefined) {
      throw new FormatError('task', `${where} uses ${lacking}, which a row lacks. It has ${namesOf(fields)}.`, where);
    }
    try {
      return template.render({ ...FUNCTIONS, ...fields });
    } catch (error) {
      throw new FormatError('task', `${where} cannot be filled in: ${messageOf(error)}. Source: ${source}`, where, {
        cause: error,
      });
    }
  };
}

/** As compileTemplate, for what stands between the braces; the value as JSON would hold it, never undefined or null. */
export function compileExpression(source: string, where: string): ValueOf {
  const textOf = compileTemplate(`{{ (${source}) | tojson }}`, where);
  return (fields) => {
    const value = JSON.parse(textOf(fields)) as unknown;
    if (value !== null) return value;
    throw new FormatError('task', `${where} has no value: ${source} of a row with ${namesOf(fields)}.`, where);
  };
}

/** Is there a value at a path such as `choices.text`? */
export function hasPath(fields: Fields, path: string): boolean {
  let value: unknown = fields;
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return false;
    value = (value as Fields)[name];
  }
  return value !== null && value !== undefined;
}

function namesOf(fields: Fields): string {
  return Object.keys(fields).slice(0, 20).join(', ') || 'no fields';
}

/** The names that a program reads from outside: what it sets itself, attributes, filters, tests and keywords are none. */
function collectNames(program: unknown, names: Set<string>): void {
  const own = new Set(GLOBALS);
  const visit = (node: unknown): void => {
    if (Array.isArray(node)) node.forEach(visit);
    if (typeof node !== 'object' || node === null || Array.isArray(node)) return;
    const { type, ...parts } = node as { type?: string } & Record<string, unknown>;
    if (type === 'Identifier') names.add(parts.value as string);
    if (type === 'Set') addOwn(parts.assignee, own);
    if (type === 'For') addOwn(parts.loopvar, own);
    const skipped = SKIPPED[type ?? ''] ?? [];
    for (const [part, value] of Object.entries(parts)) {
      if (skipped.includes(part) && !(part === 'property' && parts.computed === true)) visitCalls(value);
      else visit(value);
    }
  };
  /** A filter with arguments is a call whose callee is its name. */
  const visitCalls = (node: unknown): void => {
    if ((node as { type?: string } | null)?.type === 'CallExpression') visit((node as { args: unknown }).args);
  };
  visit(program);
  for (const name of own) names.delete(name);
}

/** Parts of a node that are names of something else than a field. */
const SKIPPED: Readonly<Record<string, readonly string[]>> = {
  MemberExpression: ['property'],
  FilterExpression: ['filter'],
  TestExpression: ['test', 'operand'], // `x is defined` is how a template asks for a field that may be missing
  KeywordArgumentExpression: ['key'],
};

function addOwn(node: unknown, own: Set<string>): void {
  const { type, value } = node as { type: string; value: unknown };
  if (type === 'Identifier') own.add(value as string);
  else if (Array.isArray(value)) for (const item of value) addOwn(item, own);
}
