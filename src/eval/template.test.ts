import { describe, expect, it } from 'vitest';
import { FormatError } from '../util/errors.ts';
import { compileExpression, compileTemplate, type Fields, hasPath } from './template.ts';

const text = (source: string, fields: Fields = {}) => compileTemplate(source, 'test: prompt')(fields);
const value = (source: string, fields: Fields = {}) => compileExpression(source, 'test: answer')(fields);

describe('compileTemplate', () => {
  it('keeps every line end and space, as Jinja with keep_trailing_newline does', () => {
    expect(text('Question: {{q}}\nAnswer:', { q: ' 2\n\n' })).toBe('Question:  2\n\n\nAnswer:');
    expect(text('About {{s}}.\n\n', { s: 'law' })).toBe('About law.\n\n');
    expect(text('{% if a %}\nyes\n{% endif %}\n', { a: 1 })).toBe('\nyes\n\n');
    expect(text('no braces\n')).toBe('no braces\n');
  });

  it('does not read what it was given as a template', () => {
    expect(text('{{q}}', { q: '{{ secret }} {% x %}' })).toBe('{{ secret }} {% x %}');
  });

  it('refuses a name that the row lacks instead of writing nothing', () => {
    expect(() => text('{{passage}}\n{{question}}', { question: 'q' })).toThrow(
      '[task] test: prompt uses passage, which a row lacks. It has question.',
    );
    expect(() => text('{{a|replace(b, "x")}}', { a: 'a' })).toThrow(/uses b,/);
    expect(() => text('{{a[b]}}', { a: [1] })).toThrow(/uses b,/);
    expect(
      text('{{a.b}}{% for x in l %}{{x}}{{loop.index}}{% endfor %}{% set c = 1 %}{{c}}', { a: { b: 2 }, l: [7] }),
    ).toBe('2711');
    expect(text("{{ 'yes' if a is defined else 'no' }}")).toBe('no');
  });

  it('names the template that cannot be read or filled in', () => {
    expect(() => text('{{ a')).toThrow(FormatError);
    expect(() => text('{{ a( }}')).toThrow(/^\[task\] test: prompt is no template: /);
    expect(() => text('{{ a() }}', { a: 'x' })).toThrow(/^\[task\] test: prompt cannot be filled in: /);
  });
});

describe('compileExpression', () => {
  it('gives lists, numbers and texts as they are', () => {
    const row = { choices: { text: ['a "é"\n', '😀'], label: ['A', 'B'] }, answerKey: ' B', lines: ['c', '3', 'e'] };
    expect(value('choices.text', row)).toEqual(['a "é"\n', '😀']);
    expect(value('position(choices.label, answerKey.strip())', row)).toBe(1);
    expect(value('lines[1] | int', row)).toBe(3);
    expect(value('lines[1:]', row)).toEqual(['3', 'e']);
    expect(value("[a + ' z', b]", { a: '1', b: '2' })).toEqual(['1 z', '2']);
    expect(value('targets.values()', { targets: { x: 1, y: 0 } })).toEqual([1, 0]);
  });

  it('has the functions that the tasks need', () => {
    expect(value(String.raw`substitute(t, '\\[.*?\\]', '')`, { t: 'a [header] b[x]' })).toBe('a  b');
    expect(value("substitute(l, '^ +', '', 'b+', '-')", { l: ['  abba', 'b'] })).toEqual(['a-a', '-']);
    expect(value('capitalized(t)', { t: 'tHE Dog' })).toBe('The dog');
    expect(() => value("position(['a'], 'b')")).toThrow(/"b" is not in the list/);
  });

  it('refuses what has no value', () => {
    expect(() => value('a.b', { a: {} })).toThrow(/^\[task\] test: answer has no value: a\.b of a row with a\./);
  });
});

it('hasPath looks through objects only', () => {
  const row = { a: { b: 0 }, n: null };
  expect(['a', 'a.b', 'a.c', 'n', 'a.b.c', 'toString'].map((path) => hasPath(row, path))).toEqual([
    true,
    true,
    false,
    false,
    false,
    false,
  ]);
});
