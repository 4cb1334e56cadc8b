import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isValid } from '../../test/support/plain-schema-validator.ts';
import { UsageError } from '../util/errors.ts';
import { compileJsonSchema, type JsonGrammar } from './json-grammar.ts';

type SchemaObject = Record<string, unknown>;

const kinds = (...all: unknown[]) =>
  all.map((kind) => ({ type: 'object', properties: { kind: { const: kind } }, required: ['kind'] }));
const many = (count: number) => Array.from({ length: count }, (_, i) => i);

function expectRefused(schema: SchemaObject, pointer = '#/oneOf'): void {
  const compile = () => compileJsonSchema(schema);
  expect(compile, JSON.stringify(schema)).toThrow(`schema at "${pointer}": expected branches of which one holds`);
}

describe('branches of a oneOf', () => {
  it('are compared together with what stands beside it', () => {
    const beside = { type: 'object', properties: { a: { type: 'string' }, b: { type: 'string' } } };
    const oneOf = [{ required: ['a'] }, { required: ['b'] }];
    expectRefused({ ...beside, oneOf });
    expectRefused({ allOf: [beside, { oneOf }] }, '#/allOf/1/oneOf');
    expectRefused({ $ref: '#/$defs/beside', oneOf, $defs: { beside } });
    // Nothing beside them that has both names.
    const alone = compileJsonSchema({ type: 'object', oneOf });
    expect(['{"a":1}', '{"b":1}', '{"a":1,"b":1}', '{}'].map((text) => alone.accepts(text))).toEqual([
      true,
      true,
      false,
      false,
    ]);
    // What tells them apart is required beside them.
    const tagged = {
      type: 'object',
      properties: { kind: { enum: ['a', 'b'] }, x: { type: 'null' } },
      required: ['kind'],
      oneOf: [{ properties: { kind: { const: 'a' } } }, { properties: { kind: { const: 'b' } }, required: ['x'] }],
    };
    const grammar = compileJsonSchema(tagged);
    for (const text of ['{"kind":"a"}', '{"kind":"b","x":null}']) expect(grammar.accepts(text), text).toBe(true);
    expect(grammar.accepts('{"kind":"b"}')).toBe(false);
  });

  it('hold for values of which they say nothing, where they name no type', () => {
    expectRefused({ oneOf: [{ minLength: 3 }, { minimum: 5 }] });
    expectRefused({ oneOf: [{ required: ['a'] }, { type: 'string' }] });
    expectRefused({ oneOf: [{ type: 'string' }, { required: ['a'] }] });
    expectRefused({ oneOf: [{ enum: ['a'] }, { minimum: 1 }] });
    expectRefused({ oneOf: [{ items: {} }, { type: 'null' }] });
    // Only objects are written for both, and no object is both.
    const untyped = kinds('a', 'b').map(({ properties, required }) => ({ properties, required }));
    const grammar = compileJsonSchema({ oneOf: untyped });
    expect([grammar.accepts('{"kind":"b"}'), grammar.accepts('"kind"')]).toEqual([true, false]);
    expect(() => compileJsonSchema({ type: ['string', 'number'], oneOf: [{ minLength: 3 }, { minimum: 5 }] })).toThrow(
      /oneOf/,
    );
  });

  it('may share types that tell them apart otherwise', () => {
    const nullable = (schema: SchemaObject) => ({ ...schema, type: ['object', 'null'] });
    const [a, b] = kinds('a', 'b');
    expect(compileJsonSchema({ oneOf: [nullable(a), b] }).accepts('null')).toBe(true);
    expectRefused({ oneOf: [nullable(a), nullable(b)] });
    expectRefused({ oneOf: [true, a] });
  });

  const value = fc.constantFrom<unknown>(
    ...[{}, { const: 1 }, { const: 2 }, { enum: [1, 'x'] }, { type: 'integer' }, { type: 'string' }, false],
    ...[{ minimum: 2 }, ...kinds(1, 2), { oneOf: kinds(1, 2) }],
  );
  const object = fc.record(
    {
      type: fc.constantFrom<unknown>('object', ['object', 'null']),
      properties: fc.dictionary(fc.constantFrom('a', 'b'), value, { maxKeys: 2 }),
      required: fc.subarray(['a', 'b', 'c']),
      additionalProperties: fc.constantFrom<unknown>(false, true, { type: 'integer' }),
    },
    { requiredKeys: [] },
  );
  const plain = fc.constantFrom<unknown>(
    ...[{ type: 'string' }, { type: 'number' }, { type: 'integer' }, { type: 'null' }, { minLength: 3 }],
    ...[{ minimum: 2 }, { const: 1 }, { enum: ['x', 2] }, { items: {} }, true, false],
  );
  const choice = fc
    .tuple(fc.oneof(object, fc.constant({})), fc.array(fc.oneof(object, object, plain), { minLength: 2, maxLength: 3 }))
    .map(([beside, oneOf]): SchemaObject => ({ ...beside, oneOf }));

  const documents = many(7 * 4 * 2).flatMap((number) => {
    const as = [undefined, 1, 2, 'x', { kind: 1 }, { kind: 2 }, {}];
    const [a, b, c] = [as[number % 7], [undefined, 1, 2, 'x'][Math.floor(number / 7) % 4], [undefined, 1][number % 2]];
    const entries = Object.entries({ a, b, c }).filter(([, one]) => one !== undefined);
    return [entries, [...entries].reverse()].map((all) => Object.fromEntries(all));
  });
  const values: unknown[] = [...documents, 1, 2, 0.5, 'x', 'long', null, true, []];

  it('never hold both for what the grammar writes', () => {
    let compiled = 0;
    fc.assert(
      fc.property(choice, (schema) => {
        let grammar: JsonGrammar;
        try {
          grammar = compileJsonSchema(schema);
        } catch (error) {
          expect(error).toBeInstanceOf(UsageError);
          return;
        }
        compiled++;
        for (const one of values) {
          const text = JSON.stringify(one);
          if (grammar.accepts(text)) expect(isValid(schema, one), `${text} under ${JSON.stringify(schema)}`).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
    expect(compiled).toBeGreaterThan(50);
  });

  it('are compared in few steps, or refused', () => {
    const all = (of: unknown, count = 300) => ({
      type: 'object',
      properties: Object.fromEntries(many(count).map((i) => [`p${i}`, of])),
      required: many(count).map((i) => `p${i}`),
    });
    const shared = {
      oneOf: [{ $ref: '#/$defs/a' }, { $ref: '#/$defs/a' }],
      $defs: { a: all({ $ref: '#/$defs/x' }), x: all({ $ref: '#/$defs/y' }), y: all({ type: 'string' }) },
    };
    expectRefused(shared);
    const enums = many(120).map((i) => ({ enum: many(2000).map((j) => i * 2000 + j) }));
    expect(() => compileJsonSchema({ oneOf: enums })).toThrow(/at "#\/oneOf": too much to work out: .* Use anyOf\./);
    const wide = { ...all({}, 5000), oneOf: many(200).map((i) => ({ properties: { p0: { const: i } } })) };
    expect(() => compileJsonSchema(wide)).toThrow(/too much to work out/);
    const tagged = many(100).map((kind) => {
      const { type, properties, required } = all({ type: 'string' }, 5);
      return { type, properties: { ...properties, kind: { const: kind } }, required: [...required, 'kind'] };
    });
    const text = JSON.stringify({ p0: '', p1: '', p2: '', p3: '', p4: '', kind: 99 });
    expect(compileJsonSchema({ oneOf: tagged }).accepts(text)).toBe(true);
  });
});
