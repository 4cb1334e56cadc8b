import { isIPv6 } from 'node:net';
import { describe, expect, it } from 'vitest';
import { isValid } from '../../test/support/plain-schema-validator.ts';
import { UsageError } from '../util/errors.ts';
import { compileJsonSchema } from './json-grammar.ts';

function expectTexts(schema: unknown, accepted: readonly string[], refused: readonly string[]): void {
  const grammar = compileJsonSchema(schema);
  for (const text of accepted) expect(grammar.accepts(text), `${text} under ${JSON.stringify(schema)}`).toBe(true);
  for (const text of refused) expect(grammar.accepts(text), `${text} under ${JSON.stringify(schema)}`).toBe(false);
}

const closed = (properties: object, required: string[] = Object.keys(properties)) => ({
  type: 'object',
  properties,
  required,
  additionalProperties: false,
});

describe('objects', () => {
  it('have their properties in the order of the schema, optional ones or not', () => {
    const schema = closed({ a: { type: 'integer' }, b: { type: 'null' }, c: { type: 'boolean' } }, ['b']);
    const accepted = ['{"a":1,"b":null,"c":true}', '{"b":null}', '{"a": -5,\n "b":null}', '{"b":null,"c":false}'];
    const refused = ['{}', '{"a":1}', '{"b":null,"a":1}', '{"b":null,}', '{,"b":null}', '{"b":null,"b":null}'];
    expectTexts(schema, accepted, [...refused, '{"b":null,"d":1}', '{"b":0}', '{"b":null "c":true}']);
  });

  it('have further properties behind them where the schema says so, and never one of theirs again', () => {
    const schema = { type: 'object', properties: { ab: { const: 1 } }, additionalProperties: { type: 'string' } };
    const accepted = ['{}', '{"ab":1}', '{"x":"y"}', '{"ab":1,"a":"","abc":"","b":""}', '{"":"x","é":"\\u00e9"}'];
    const refused = ['{"ab":"text"}', '{"x":1}', '{"x":"y","ab":1}', '{"x":"y","ab":"z"}', '{"\\u0061b":"z"}'];
    expectTexts(schema, accepted, refused);
    expectTexts(
      { type: 'object', required: ['k'], additionalProperties: true },
      ['{"k":[{}],"l":1}'],
      ['{}', '{"l":1}'],
    );
  });

  it('have no others where the schema is silent, and any where it names none', () => {
    expectTexts({ properties: { a: {} } }, ['{}', '{"a":[1,{"b":2}]}'], ['{"b":1}', '[]']);
    expectTexts({ type: 'object' }, ['{}', '{"b":{"c":[]}}'], ['null']);
    expectTexts({ type: 'object', additionalProperties: false }, ['{}'], ['{"a":1}']);
    expectTexts({ type: 'object', properties: { a: false, b: { type: 'null' } } }, ['{}', '{"b":null}'], ['{"a":1}']);
  });

  it('have names of any characters', () => {
    const schema = closed({ 'a"b\\': { const: 1 }, é: { const: 2 }, '\n': { const: 3 }, '': { const: 4 } });
    expectTexts(schema, ['{"a\\"b\\\\":1,"é":2,"\\n":3,"":4}'], ['{"a\\"b\\\\":1,"\\u00e9":2,"\\n":3,"":4}']);
    expectTexts(
      JSON.parse('{"type":"object","properties":{"__proto__":{"const":1}},"required":["__proto__"]}'),
      ['{"__proto__":1}'],
      ['{}'],
    );
  });
});

describe('halves of surrogate pairs', () => {
  it('stand in names and constants as JSON.stringify writes them, and nowhere else', () => {
    const schema = { type: 'object', properties: { '\ud83d': { const: '\ude00' } }, additionalProperties: true };
    expectTexts(schema, ['{"\\ud83d":"\\ude00"}', '{"🙂":1}'], ['{"\\ud83d":"x"}', '{"\\ude00":1}']);
    const { automaton } = compileJsonSchema(schema);
    expect(automaton.advanceAll(automaton.start, Uint8Array.from([...Buffer.from('{"'), 0xed, 0xa0]))).toBeNull();
  });
});

describe('arrays', () => {
  it('have as many items as the schema says', () => {
    const of = (min: number, max?: number) => ({
      type: 'array',
      items: { const: 0 },
      minItems: min,
      ...(max === undefined ? {} : { maxItems: max }),
    });
    expectTexts(of(0), ['[]', '[0]', `[${'0,'.repeat(99)}0]`, '[\n  0,\n  0\n]'], ['[1]', '[0,]', '[,0]', '[0 0]']);
    expectTexts(of(2, 3), ['[0,0]', '[0,0,0]'], ['[]', '[0]', '[0,0,0,0]']);
    expectTexts(of(1, 1), ['[0]'], ['[]', '[0,0]']);
    expectTexts(of(0, 0), ['[]', '[ ]'], ['[0]']);
    expectTexts(of(3), ['[0,0,0]', '[0,0,0,0]'], ['[0,0]']);
  });

  it('have first items of their own', () => {
    const prefixItems = [{ const: 'a' }, { type: 'null' }];
    expectTexts(
      { prefixItems, items: { const: 0 } },
      ['[]', '["a"]', '["a",null]', '["a",null,0,0]'],
      ['[null]', '["a",0]', '["a",null,1]'],
    );
    expectTexts({ prefixItems, minItems: 2 }, ['["a",null]', '["a", null]'], ['["a"]', '["a",null,0]']);
    expectTexts({ prefixItems, items: false, minItems: 1 }, ['["a"]', '["a",null]'], ['[]', '["a",null,null]']);
    expectTexts(
      { prefixItems, items: {}, minItems: 3, maxItems: 4 },
      ['["a",null,{}]', '["a",null,1,2]'],
      ['["a",null]', '["a",null,1,2,3]'],
    );
    expectTexts({ prefixItems, items: {}, maxItems: 1 }, ['[]', '["a"]'], ['["a",null]']);
    expectTexts({ prefixItems: [{ const: 1 }, false, {}] }, ['[]', '[1]'], ['[1,1]']);
  });
});

describe('strings', () => {
  it('have a length in characters, however they are spelled', () => {
    const schema = { type: 'string', minLength: 2, maxLength: 3 };
    const accepted = ['"ab"', '"abc"', '"é漢"', '"🙂🙂🙂"', '"\\ud83d\\ude00\\n"', '"\\\\\\""'];
    expectTexts(schema, accepted, ['"a"', '"abcd"', '""', '"\\ud83d\\ude00"', '"🙂"']);
    expectTexts({ type: 'string', maxLength: 0 }, ['""'], ['"a"']);
    expectTexts({ type: 'string', minLength: 3000, maxLength: 10 ** 12 }, [`"${'a'.repeat(3001)}"`], ['"a"']);
  });

  it('match patterns where they are found, in the spelling of JSON.stringify', () => {
    expectTexts({ type: 'string', pattern: '^[A-Z]{2}\\d$' }, ['"AB1"'], ['"ab1"', '"AB12"', '"\\u0041B1"', '"AB1']);
    expectTexts({ type: 'string', pattern: 'b' }, ['"b"', '"aba"', '"é\\n\\"b"'], ['""', '"a"', '"\\b"']);
    expectTexts(
      { type: 'string', pattern: '^[^a]+$' },
      ['"\\u0000\\t\\"\\\\"', '"\u007f漢🙂"'],
      ['""', '"a"', '"\\u0061"'],
    );
    expectTexts({ type: 'string', pattern: '^a*$', minLength: 2, maxLength: 3 }, ['"aa"', '"aaa"'], ['"a"', '"aaaa"']);
    expectTexts({ type: 'string', pattern: '^[à-🙂]$' }, ['"à"', '"漢"', '"🙂"', '"\uffff"'], ['"ß"', '"🙃"', '"a"']);
  });

  it('have formats with all of their rules', () => {
    const formats: [format: string, accepted: string[], refused: string[]][] = [
      [
        'date',
        ['2024-02-29', '2000-02-29', '2023-12-31'],
        ['2023-02-29', '1900-02-29', '2023-04-31', '2023-1-1', '2023-00-10'],
      ],
      ['time', ['23:59:59Z', '00:00:00.123+02:00'], ['24:00:00Z', '12:60:00Z', '12:00:00', '12:00Z']],
      [
        'date-time',
        ['2024-02-29T12:00:00Z', '2024-01-01T00:00:00.5-11:30'],
        ['2024-02-30T12:00:00Z', '2024-01-01 00:00:00Z', '2024-01-01'],
      ],
      ['duration', ['P1D', 'PT1H30M', 'P1Y2M3DT4S', 'P3W'], ['P', 'PT', 'P1S', '1D', 'P1DT']],
      [
        'uuid',
        ['123e4567-e89b-12d3-a456-426614174000', '123E4567-E89B-12D3-A456-426614174000'],
        ['123e4567e89b12d3a456426614174000', '123e4567-e89b-12d3-a456-42661417400g'],
      ],
      ['email', ['a@b', 'ada.lovelace+x@mail.example.org'], ['@b', 'a@', 'a.@b', 'a b@c', 'a@-b']],
      ['hostname', ['localhost', 'a-1.example.org'], ['-a', 'a-', 'a..b', '', 'a_b', 'x'.repeat(64)]],
      ['ipv4', ['0.0.0.0', '255.255.255.255', '10.1.2.30'], ['256.0.0.1', '1.2.3', '01.2.3.4', '1.2.3.4.5']],
      [
        'ipv6',
        [
          '::',
          '::1',
          '1::',
          '1:2:3:4:5:6:7:8',
          'fe80::1:2',
          '::1.2.3.4',
          '1:2:3:4:5:6:1.2.3.4',
          '1:2:3:4:5:6:7::',
          '::2:3:4:5:6:7:8',
        ],
        [':', '1', '1:2:3:4:5:6:7', '1::2::3', '12345::', '1:2:3:4:5:6:7:8:9', '::1.2.3.256', '1:2:3:4:5:6:7:1.2.3.4'],
      ],
    ];
    for (const [format, accepted, refused] of formats) {
      const quoted = (texts: string[]) => texts.map((text) => JSON.stringify(text));
      expectTexts({ type: 'string', format }, quoted(accepted), quoted(refused));
      for (const text of accepted) expect(isValid({ format }, text), text).toBe(true);
    }
    for (const text of formats.at(-1)![2]) expect(isIPv6(text), text).toBe(false);
  });
});

describe('values', () => {
  it('are those of enum and const, as JSON.stringify writes them', () => {
    expectTexts(
      { enum: ['a', 'ab', 1, 12, 1.5, null, true, [1, { b: 'é' }]] },
      ['"a"', '"ab"', '1', '12', '1.5', 'null', 'true', '[1,{"b":"é"}]'],
      ['"abc"', '2', '1.', 'false', '[1, {"b":"é"}]', '""'],
    );
    expectTexts({ const: 'a"\n' }, ['"a\\"\\n"'], ['"a"']);
    expectTexts({ type: 'string', enum: ['a', 1] }, ['"a"'], ['1']);
    expectTexts({ type: 'number', enum: [1, 1.5] }, ['1', '1.5'], []);
    expectTexts({ type: 'integer', enum: [1, 1.5] }, ['1'], ['1.5']);
    expectTexts({ allOf: [{ enum: [1, 2, 3] }, { enum: [2, 3, 4] }], const: 3 }, ['3'], ['2']);
  });

  it('have one of several types', () => {
    expectTexts({ type: ['string', 'null', 'integer'] }, ['"a"', 'null', '1'], ['1.5', 'true', '[]']);
    expectTexts({ type: 'boolean', nullable: true }, ['true', 'null'], ['0']);
    expectTexts({}, ['1', '"a"', 'null', '[[],{}]', '{"a":{}}', '-0.5e-7'], ['', 'nul']);
    expectTexts(true, ['1'], ['']);
    expectTexts({ type: 'number' }, ['1', '1.5', '-2e5'], ['"1"']);
    expectTexts({ type: 'integer' }, ['1', '-10'], ['1.0', '1e2', '01']);
  });
});

describe('combinations', () => {
  it('hold together: allOf, and keywords beside $ref and anyOf', () => {
    const base = { type: 'object', properties: { id: { type: 'integer', minimum: 1 } }, required: ['id'] };
    const schema = {
      $defs: { base },
      $ref: '#/$defs/base',
      allOf: [{ properties: { name: { type: 'string', maxLength: 3 } } }, { properties: { id: { maximum: 5 } } }],
      properties: { name: { minLength: 2 } },
      required: ['name'],
    };
    expectTexts(
      schema,
      ['{"name":"ab","id":1}', '{"name":"abc","id":5}'],
      ['{"id":1,"name":"ab"}', '{"name":"a","id":1}', '{"name":"ab","id":6}', '{"name":"ab"}'],
    );
    expectTexts({ type: 'string', anyOf: [{ maxLength: 1 }, { pattern: '^x+$' }] }, ['"a"', '"xxx"'], ['"ab"']);
    expectTexts(
      { allOf: [{ type: ['number', 'string'] }, { type: ['integer', 'null'] }] },
      ['1'],
      ['1.5', 'null', '"a"'],
    );
    expectTexts(
      { allOf: [{ minimum: 2, type: 'integer' }, { exclusiveMinimum: 2 }, { maximum: 4 }] },
      ['3', '4'],
      ['2', '5'],
    );
    expectTexts(
      { allOf: [{ items: { type: 'integer' } }, { prefixItems: [{ minimum: 0 }], items: { maximum: 9 } }] },
      ['[5,-3]', '[]'],
      ['[-1]', '[1,10]'],
    );
  });

  it('take one branch of anyOf, and leave out those that nothing satisfies', () => {
    const schema = {
      anyOf: [
        { type: 'string' },
        false,
        { allOf: [{ type: 'null' }, { type: 'string' }] },
        closed({ a: { const: 1 } }),
      ],
    };
    expectTexts(schema, ['"x"', '{"a":1}'], ['null', '{}']);
    const shared = {
      anyOf: [
        closed({ kind: { const: 'a' }, x: { type: 'null' } }),
        closed({ kind: { const: 'ab' }, y: { type: 'null' } }),
      ],
    };
    expectTexts(shared, ['{"kind":"a","x":null}', '{"kind":"ab","y":null}'], ['{"kind":"a","y":null}']);
  });

  it('take oneOf where its branches exclude each other', () => {
    const exclusive: unknown[][] = [
      [{ type: 'string' }, { type: 'integer' }, { type: 'null' }],
      [{ const: 'a' }, { enum: ['b', 1] }],
      [closed({ kind: { const: 'a' } }), closed({ kind: { const: 'b' } })],
      [
        { type: 'object', properties: { t: { enum: ['a', 'b'] } }, required: ['t'] },
        closed({ t: { const: 'c' }, u: {} }),
      ],
      [closed({ a: {} }), closed({ b: {} })],
      [closed({ tag: closed({ kind: { const: 1 } }) }), closed({ tag: closed({ kind: { const: 2 } }) })],
    ];
    for (const oneOf of exclusive) expect(() => compileJsonSchema({ oneOf }), JSON.stringify(oneOf)).not.toThrow();
    const overlapping: unknown[][] = [
      [{ type: 'number' }, { type: 'integer' }],
      [{ type: 'string' }, { const: 'a' }],
      [
        { type: 'string', pattern: '^a' },
        { type: 'string', pattern: '^b' },
      ],
      [closed({ kind: { const: 'a' } }, []), closed({ kind: { const: 'b' } }, [])],
      [closed({ a: {} }), closed({ a: {}, b: {} }, ['a'])],
      [{}, { type: 'null' }],
    ];
    for (const oneOf of overlapping) {
      expect(() => compileJsonSchema({ oneOf }), JSON.stringify(oneOf)).toThrow(
        /schema at "#\/oneOf": expected branches of which one holds/,
      );
    }
  });

  it('refer to themselves', () => {
    const tree = { type: 'object', properties: { v: { type: 'integer' }, next: { $ref: '#' } }, required: ['v'] };
    expectTexts(
      tree,
      ['{"v":1}', '{"v":1,"next":{"v":2,"next":{"v":3}}}'],
      ['{"v":1,"next":{}}', '{"v":1,"next":null}'],
    );
    const mutual = {
      $ref: '#/$defs/a~1b',
      $defs: {
        'a/b': { type: 'array', items: { $ref: '#/$defs/c' } },
        c: { anyOf: [{ $ref: '#/$defs/a~1b' }, { const: 0 }] },
      },
    };
    expectTexts(mutual, ['[]', '[0,[0,[]],[]]'], ['0', '[[1]]']);
    // Two ways to read each bracket: as many stacks as documents, but for sharing them.
    const ambiguous = {
      $defs: {
        n: {
          anyOf: [
            { type: 'array', items: { $ref: '#/$defs/n' } },
            { type: 'array', items: { $ref: '#/$defs/n' }, maxItems: 1 },
          ],
        },
      },
      $ref: '#/$defs/n',
    };
    expectTexts(ambiguous, ['['.repeat(500) + ']'.repeat(500), '[[],[[],[]]]'], ['['.repeat(500) + ']'.repeat(499)]);
  });
});

describe('what is refused', () => {
  const refusals: [schema: unknown, message: RegExp][] = [
    [3, /at "#": expected a schema .* got 3/],
    [null, /at "#": expected a schema/],
    [{ type: 'strng' }, /at "#": type: expected one or a list of string, .*, got "strng"/],
    [
      { properties: { a: { items: { minLenght: 3 } } } },
      /at "#\/properties\/a\/items": unknown keyword "minLenght".* Did you mean "minLength"\?/,
    ],
    [{ properties: { 'a/b~': { multipleOf: 2 } } }, /at "#\/properties\/a~1b~0": multipleOf is not supported/],
    [{ type: 'array', uniqueItems: true }, /uniqueItems is not supported/],
    [{ not: {} }, /not is not supported: .* say what is allowed instead/],
    [{ items: [{}] }, /items: expected a schema \(the list of draft 2019 is prefixItems now\)/],
    [{ minimum: '3' }, /minimum: expected a finite number, got "3"/],
    [{ exclusiveMinimum: true }, /exclusiveMinimum: expected a finite number, got true/],
    [{ enum: [] }, /enum: expected a list that is not empty/],
    [{ minLength: -1 }, /minLength: expected a whole number of at least 0, got -1/],
    [{ minLength: 10 ** 7 }, /minLength: expected at most 1000000, got 10000000/],
    [{ minItems: 1e300, type: 'array' }, /minItems: expected at most 1000000/],
    [{ format: 'uri' }, /format: expected one of date-time, .*, got "uri"/],
    [{ pattern: '(?=a)' }, /at "#\/pattern": not supported: \(\?=/],
    [{ pattern: '.*a.{400}' }, /at "#\/pattern": not supported: its automaton is too large/],
    [{ pattern: '^a$', maxLength: 0 }, /no value can be all of this/],
    [JSON.parse('{"const":[1e999]}'), /const: expected finite values/],
    [{ enum: ['a'], minLength: 2 }, /minLength beside enum or const is not supported/],
    [{ type: 'string', const: 1 }, /no value can be all of this/],
    [{ minItems: 3, maxItems: 2 }, /no value can be all of this/],
    [{ type: 'integer', minimum: 0.2, maximum: 0.8 }, /no value can be all of this/],
    [{ type: 'object', required: ['a'], additionalProperties: false }, /no value can be all of this/],
    [false, /no value can be all of this/],
    [{ $ref: '#' }, /refers to itself without a value between/],
    [{ anyOf: [{ $ref: '#' }, { type: 'null' }] }, /refers to itself without a value between/],
    [
      { $defs: { a: { allOf: [{ $ref: '#/$defs/b' }] }, b: { $ref: '#/$defs/a', title: 'b' } }, $ref: '#/$defs/a' },
      /refers to itself/,
    ],
    [{ properties: { a: { $ref: '#' } }, required: ['a'] }, /no value of it would ever end/],
    [{ type: 'array', minItems: 1, items: { $ref: '#' } }, /no value of it would ever end/],
    [{ $ref: 'https://example.org/schema' }, /\$ref: expected a place in this schema/],
    [{ properties: { a: { $id: 'a', type: 'null' } } }, /at "#\/properties\/a": \$id is not supported/],
    [
      { properties: { a: { $id: 'a', $ref: '#/$defs/b' } }, $defs: { b: { type: 'null' } } },
      /at "#\/properties\/a": \$id is not supported/,
    ],
    [
      { $ref: '#/$defs/b/properties/c', $defs: { b: { $id: 'b', properties: { c: { type: 'null' } } } } },
      /at "#": \$ref "#\/\$defs\/b\/properties\/c": .* \$id/,
    ],
    [{ $ref: '#/$defs/nam', $defs: { name: {} } }, /expected "nam" to be there, found nothing. Did you mean "name"\?/],
    [{ nullable: true, minimum: 1 }, /nullable: expected a type beside it/],
  ];

  it('is named with its place, what was expected and what is there', () => {
    for (const [schema, message] of refusals) {
      expect(() => compileJsonSchema(schema), JSON.stringify(schema)).toThrow(UsageError);
      expect(() => compileJsonSchema(schema), JSON.stringify(schema)).toThrow(message);
    }
  });

  it('are no notes for people', () => {
    const notes = {
      $schema: 'x',
      $id: 'y',
      title: 't',
      description: 'd',
      default: 1,
      examples: [1],
      'x-note': 1,
      deprecated: true,
    };
    expectTexts({ ...notes, type: 'null' }, ['null'], ['1']);
    expectTexts({ ...notes, $ref: '#/$defs/a', $defs: { a: { type: 'null' } } }, ['null'], ['1']);
    expectTexts({ $id: 'y' }, ['1'], []);
    expectTexts(closed({ $id: { type: 'null' } }), ['{"$id":null}'], ['{}']);
  });
});

describe('hostile schemas', () => {
  const nested = (depth: number, wrap: (inner: unknown) => unknown) => {
    let schema: unknown = { type: 'null' };
    for (let i = 0; i < depth; i++) schema = wrap(schema);
    return schema;
  };
  const many = (count: number) => Array.from({ length: count }, (_, i) => i);
  const chained = (count: number) => ({
    $ref: '#/$defs/s0',
    $defs: {
      ...Object.fromEntries(many(count).map((i) => [`s${i}`, { $ref: `#/$defs/s${i + 1}`, minLength: 1 }])),
      [`s${count}`]: {},
    },
  });

  it('are refused in a moment', () => {
    const schemas: unknown[] = [
      nested(2000, (inner) => ({ items: inner })),
      nested(2000, (inner) => ({ anyOf: [inner, inner] })),
      { allOf: many(40).map((i) => ({ anyOf: [{ minLength: i }, { maxLength: 100 + i }] })) },
      { allOf: many(200).map(() => ({ anyOf: [true, true] })) },
      { allOf: [...many(30).map(() => ({ anyOf: [true, true] })), false] },
      { enum: many(20_000) },
      { const: nested(5000, (inner) => [inner]) },
      { enum: many(300).map((i) => `${i}`.padEnd(2000, 'x')) },
      { type: 'string', pattern: '^(a?){2000}$', maxLength: 4000 },
      { type: 'string', pattern: '^[^"]*$', minLength: 100_000 },
      { oneOf: many(300).map((i) => ({ const: i })) },
      { type: 'string', anyOf: many(900).map((i) => ({ pattern: `a.{9}${i}[]` })) },
      { anyOf: many(900).map((i) => ({ minLength: i })), allOf: [{ enum: many(10_000) }] },
      chained(9000),
      { properties: Object.fromEntries(many(25_000).map((i) => [`p${i}`, { type: 'null', title: `${i}` }])) },
    ];
    for (const [i, schema] of schemas.entries()) {
      // What blows up takes minutes, and the test would run into its limit.
      expect(() => compileJsonSchema(schema), `schema ${i}`).toThrow(UsageError);
    }
  });

  it('that are only large work', () => {
    const properties = Object.fromEntries(many(1000).map((i) => [`property${i}`, { enum: [`${i}`, null] }]));
    expectTexts(
      { properties },
      ['{}', '{"property7":"7","property999":null}'],
      ['{"property7":"8"}', '{"property8":null,"property7":null}'],
    );
    expectTexts({ enum: many(5000).map((i) => `value ${i}`) }, ['"value 4999"'], ['"value 5000"']);
    expectTexts(
      nested(60, (inner) => ({ items: inner, type: 'array' })),
      [`${'['.repeat(60)}null${']'.repeat(60)}`],
      ['null'],
    );
    const branches = {
      oneOf: many(150).map((i) => closed({ kind: { const: `k${i}` }, [`p${i}`]: { type: 'integer' } })),
    };
    expectTexts(branches, ['{"kind":"k149","p149":3}'], ['{"kind":"k149","p148":3}']);
    expectTexts({ type: 'array', items: { type: 'null' }, maxItems: 1e15 }, ['[null,null]'], ['[0]']);
  });
});
