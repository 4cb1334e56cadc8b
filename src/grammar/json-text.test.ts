import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileJsonSchema } from './json-grammar.ts';

const anyObject = compileJsonSchema({ type: 'object' });
const accepts = (text: string) => anyObject.accepts(text);
const inObject = (value: string) => accepts(`{"a":${value}}`);

describe('free JSON', () => {
  it('takes what JSON.stringify writes of any object, plain and indented', () => {
    const object = fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue({ maxDepth: 4, stringUnit: 'binary' }));
    fc.assert(
      fc.property(object, fc.constantFrom(undefined, 1, 4, '\t'), (value, indent) => {
        const text = JSON.stringify(value, null, indent);
        // Numbers with more digits than a text may have are left out; they are rare.
        fc.pre(!/\d{19}|e[+-]?\d{3}/.test(text) && !/\\ud[89a-f]/.test(text) && !/\n( {17}|\t{9})/.test(text));
        expect(accepts(text)).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  it('takes each escape, and surrogates in pairs only', () => {
    for (const escaped of [
      '\\"',
      '\\\\',
      '\\/',
      '\\b',
      '\\f',
      '\\n',
      '\\r',
      '\\t',
      '\\u00e9',
      '\\uABCD',
      '\\uD83D\\ude00',
    ]) {
      expect(inObject(`"${escaped}"`), escaped).toBe(true);
    }
    for (const escaped of ['\\x', '\\u00g0', '\\u12', '\\ud800', '\\ud800\\u0041', '\\udc00', '\\uD83D\\ud83d', '\\']) {
      expect(inObject(`"${escaped}"`), escaped).toBe(false);
    }
  });

  it('takes no control character, and no bytes that are not UTF-8', () => {
    for (let code = 0; code < 0x20; code++) expect(inObject(`"${String.fromCharCode(code)}"`)).toBe(false);
    expect(inObject('"\u007f\u0080\u2028"')).toBe(true);
    const { automaton } = anyObject;
    const inside = automaton.advanceAll(automaton.start, new TextEncoder().encode('{"'))!;
    const malformed = [[0x80], [0xc0, 0x80], [0xc1], [0xe0, 0x9f], [0xed, 0xa0], [0xf0, 0x8f], [0xf4, 0x90], [0xf5]];
    for (const bytes of malformed) expect(automaton.advanceAll(inside, Uint8Array.from(bytes)), `${bytes}`).toBeNull();
  });

  it('takes numbers as JSON has them, of a bounded number of digits', () => {
    for (const number of [
      '0',
      '-0',
      '-1.5',
      '10',
      '1e5',
      '1E+05',
      '0.001e-99',
      '9'.repeat(18),
      `0.${'1'.repeat(18)}`,
    ]) {
      expect(inObject(number), number).toBe(true);
    }
    for (const number of ['01', '-', '.5', '1.', '+1', '1e', '1e999', '9'.repeat(19), `0.${'1'.repeat(19)}`, 'NaN']) {
      expect(inObject(number), number).toBe(false);
    }
  });

  it('takes white space between signs, once and bounded', () => {
    for (const text of ['{}', '{ }', '{\n}', '{ "a": 1 }', '{\n\t"a": [\n1,\n 2\n]\n}', '{"a":1, "b":2}']) {
      expect(accepts(text), JSON.stringify(text)).toBe(true);
    }
    for (const text of [
      ' {}',
      '{} ',
      '{  }',
      '{"a" :1}',
      '{"a":  1}',
      '{"a":1 ,"b":2}',
      `{\n${' '.repeat(17)}}`,
      '{\r\n}',
    ]) {
      expect(accepts(text), JSON.stringify(text)).toBe(false);
    }
  });

  it('takes nothing else', () => {
    for (const text of [
      '',
      '{',
      '[]',
      '1',
      '{"a"}',
      '{"a":}',
      '{a:1}',
      "{'a':1}",
      '{"a":1,}',
      '{"a":[1,]}',
      '{}{}',
      '{"a":tru}',
    ]) {
      expect(accepts(text), text).toBe(false);
    }
  });

  it('nests as deep as a text does', () => {
    const depth = 5000;
    expect(inObject('['.repeat(depth) + ']'.repeat(depth))).toBe(true);
    expect(inObject('['.repeat(depth) + ']'.repeat(depth - 1))).toBe(false);
  });
});
