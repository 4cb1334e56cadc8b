/**
 * Random JSON schemas, and random documents of each: for tests of grammars.
 *
 * A document is written by following its schema, with choices from a seeded generator, in the order of the schema's properties; so it is valid by
 * construction, and in the form that docs/structured-output.md promises to accept.
 */

import fc from 'fast-check';
import { Prng } from '../../src/util/prng.ts';

type SchemaObject = Record<string, unknown>;

const text = fc.string({ unit: 'grapheme', maxLength: 5 });
const name = fc.oneof(fc.constantFrom('id', 'name', 'a', 'ab', 'é', 'x/y~', '', '"q"', '__proto__'), text);
const numbers = fc.integer({ min: -50, max: 50 });

/** Patterns with texts that they are found in. */
const PATTERNS: readonly [source: string, ...texts: string[]][] = [
  ['^[a-z]{2,4}$', 'ab', 'zzzz'],
  ['^(red|green)-\\d+$', 'red-1', 'green-42'],
  ['[0-9]', '5', 'a5"\\b', '\u00e99'],
  ['^[^"\\\\]*$', '', 'plain \u{1f642}'],
  ['^"\\n\\u0001$', '"\n\u0001'],
];
const FORMATS: readonly [format: string, ...texts: string[]][] = [
  ['date', '2024-02-29', '1999-12-31'],
  ['date-time', '2000-02-29T23:59:59.5Z', '2021-01-01T00:00:00+01:30'],
  ['time', '00:00:00Z'],
  ['duration', 'P1Y2M3DT4H5M6S', 'PT5M', 'P2W'],
  ['uuid', '123e4567-e89b-12d3-a456-426614174000'],
  ['email', 'ada.l+x@mail.example.org'],
  ['hostname', 'a-b.example'],
  ['ipv4', '127.0.0.1', '255.9.10.199'],
  ['ipv6', '::1', '2001:db8::ff00:42:8329', '::', 'fe80::', '::ffff:1.2.3.4', '1:2:3:4:5:6:7:8'],
];

const plain: fc.Arbitrary<SchemaObject> = fc.oneof(
  fc.constantFrom({ type: 'null' }, { type: 'boolean' }, { type: 'string' }, { type: 'integer' }, { type: 'number' }),
  fc.constantFrom(
    {},
    { type: 'object' },
    { type: 'array' },
    { type: ['string', 'null'] },
    { type: 'integer', nullable: true },
  ),
  fc.tuple(fc.nat(3), fc.nat(3)).map(([min, more]) => ({ type: 'string', minLength: min, maxLength: min + more })),
  fc.constantFrom(...PATTERNS).map(([pattern]) => ({ type: 'string', pattern })),
  fc.constantFrom(...FORMATS).map(([format]) => ({ type: 'string', format })),
  fc
    .tuple(fc.constantFrom('integer', 'number'), numbers, fc.nat(300))
    .map(([type, min, more]) => ({ type, minimum: min, maximum: min + more })),
  fc.tuple(fc.constantFrom('integer', 'number'), numbers).map(([type, min]) => ({ type, exclusiveMinimum: min })),
  fc.array(fc.jsonValue({ maxDepth: 2 }), { minLength: 1, maxLength: 4 }).map((values) => ({ enum: values })),
  fc.jsonValue({ maxDepth: 1 }).map((value) => ({ const: value })),
);

const { schema } = fc.letrec<{ schema: SchemaObject; object: SchemaObject; array: SchemaObject }>((tie) => ({
  schema: fc.oneof(
    { depthSize: 'small', maxDepth: 4 },
    plain,
    tie('object'),
    tie('array'),
    fc.array(tie('schema'), { minLength: 1, maxLength: 3 }).map((anyOf) => ({ anyOf })),
    fc.constantFrom('tree', 'list', 'kinds', 'either', 'tagged').map((def) => ({ $ref: `#/$defs/${def}` })),
  ),
  object: fc
    .record({
      properties: fc.uniqueArray(fc.tuple(name, tie('schema'), fc.boolean()), {
        selector: ([key]) => key,
        maxLength: 4,
      }),
      additional: fc.option(fc.oneof(fc.boolean(), tie('schema')), { nil: undefined }),
    })
    .map(({ properties, additional }) => ({
      type: 'object',
      properties: Object.fromEntries(properties.map(([key, one]) => [key, one])),
      required: properties.filter(([, , isRequired]) => isRequired).map(([key]) => key),
      ...(additional === undefined ? {} : { additionalProperties: additional }),
    })),
  array: fc
    .record({
      items: tie('schema'),
      prefix: fc.array(tie('schema'), { maxLength: 2 }),
      min: fc.nat(3),
      more: fc.nat(2),
    })
    .map(({ items, prefix, min, more }) => ({
      type: 'array',
      items,
      minItems: min,
      maxItems: min + more,
      ...(prefix.length > 0 ? { prefixItems: prefix } : {}),
    })),
}));

const DEFS = {
  tree: {
    type: 'object',
    properties: { value: { type: 'integer' }, left: { $ref: '#/$defs/tree' }, right: { $ref: '#/$defs/tree' } },
    required: ['value'],
    additionalProperties: false,
  },
  list: { anyOf: [{ type: 'null' }, { type: 'array', items: { $ref: '#/$defs/list' }, maxItems: 2 }] },
  kinds: {
    oneOf: ['circle', 'square'].map((kind) => ({
      type: 'object',
      properties: { kind: { const: kind }, size: { type: 'number', minimum: 0 } },
      required: ['kind'],
      additionalProperties: false,
    })),
  },
  either: { type: 'object', oneOf: [{ required: ['a'] }, { required: ['b'] }] },
  tagged: {
    type: 'object',
    properties: { kind: { enum: ['plain', 'sized'] }, size: { type: 'integer' } },
    required: ['kind'],
    additionalProperties: false,
    oneOf: [
      { properties: { kind: { const: 'plain' } } },
      { properties: { kind: { const: 'sized' } }, required: ['size'] },
    ],
  },
};

/** Documents end: what refers to itself has a way out. */
export const randomSchema: fc.Arbitrary<SchemaObject> = schema.map((one) => ({ ...one, $defs: DEFS }));

/** A document of a schema of `randomSchema`. */
export function randomDocument(root: SchemaObject, seed: number): unknown {
  return new Writer(root, new Prng(seed)).value(root, 0);
}

/** A schema with one of its branches, of which it says the same or more. */
function both({ anyOf, oneOf, ...beside }: SchemaObject, branch: SchemaObject): SchemaObject {
  const lists = [beside.required, branch.required] as (string[] | undefined)[];
  return {
    ...beside,
    ...branch,
    properties: { ...(beside.properties as SchemaObject), ...(branch.properties as SchemaObject) },
    required: lists.flatMap((list) => list ?? []),
  };
}

class Writer {
  readonly #root: SchemaObject;
  readonly #prng: Prng;

  constructor(root: SchemaObject, prng: Prng) {
    this.#root = root;
    this.#prng = prng;
  }

  value(given: unknown, depth: number): unknown {
    if (given === true) return this.#any();
    const one = given as SchemaObject;
    if (typeof one.$ref === 'string')
      return this.value((this.#root.$defs as SchemaObject)[one.$ref.slice(8)], depth + 1);
    const branches = (one.anyOf ?? one.oneOf) as SchemaObject[] | undefined;
    // Deep down the first branch, which ends.
    if (branches !== undefined) return this.value(both(one, depth > 6 ? branches[0] : this.#pick(branches)), depth + 1);
    if (one.enum !== undefined) return this.#pick(one.enum as unknown[]);
    if (Object.hasOwn(one, 'const')) return one.const;
    if (one.type === undefined) return this.#any();
    const type = one.nullable === true && this.#chance(0.3) ? 'null' : this.#pick([one.type].flat());
    if (type === 'object') return this.#object(one, depth + 1);
    if (type === 'array') return this.#array(one, depth + 1);
    if (type === 'string') return this.#string(one);
    if (type === 'integer' || type === 'number') return this.#number(one, type);
    return type === 'null' ? null : this.#chance(0.5);
  }

  #object(one: SchemaObject, depth: number): unknown {
    const required = (one.required ?? []) as string[];
    const named = (one.properties ?? {}) as SchemaObject;
    const others = required.filter((key) => !Object.hasOwn(named, key)).map((key): [string, unknown] => [key, true]);
    const properties = [...Object.entries(named), ...others];
    const share = depth > 3 ? 0 : 0.6;
    const entries = properties
      .filter(([key]) => required.includes(key) || this.#chance(share))
      .map(([key, inner]): [string, unknown] => [key, this.value(inner, depth)]);
    const more = one.additionalProperties ?? properties.length === 0;
    if (more !== false && this.#chance(share)) {
      const key = this.#pick(['zz', 'idd', 'n', '\u00e9\u00e9', '\n']);
      if (!properties.some(([known]) => known === key)) entries.push([key, this.value(more, depth)]);
    }
    return Object.fromEntries(entries);
  }

  #array(one: SchemaObject, depth: number): unknown {
    const {
      minItems: min = 0,
      maxItems: max = 3,
      prefixItems = [],
      items = true,
    } = one as {
      minItems?: number;
      maxItems?: number;
      prefixItems?: unknown[];
      items?: unknown;
    };
    const length = depth > 3 ? min : min + Math.floor(this.#prng.next() * (max - min + 1));
    return Array.from({ length }, (_, i) => this.value(prefixItems[i] ?? items, depth));
  }

  #string(one: SchemaObject): string {
    const known = [
      ...PATTERNS.filter(([source]) => source === one.pattern),
      ...FORMATS.filter(([format]) => format === one.format),
    ];
    if (known.length > 0) return this.#pick(known[0].slice(1));
    const { minLength: min = 0, maxLength: max = 6 } = one as { minLength?: number; maxLength?: number };
    const length = min + Math.floor(this.#prng.next() * (max - min + 1));
    return Array.from({ length }, () => this.#pick([...'ab"\\/\n\u0000\u007f\u00e9\u6f22\u{1f642} {}[],:'])).join('');
  }

  #number(one: SchemaObject, type: string): number {
    const low = ((one.minimum ?? one.exclusiveMinimum) as number | undefined) ?? -1000;
    const high = (one.maximum as number | undefined) ?? low + 1000;
    const whole = low + Math.floor(this.#prng.next() * (high - low + 1));
    const value = type === 'number' && whole < high && this.#chance(0.5) ? whole + 0.25 : whole;
    return value === one.exclusiveMinimum ? value + 1 : value;
  }

  #any(): unknown {
    return this.#pick([null, true, -1.5e-7, 'text "\\', [1, { a: [] }], { b: {}, c: 'd' }, 2 ** 53]);
  }

  #pick<T>(all: readonly T[]): T {
    return all[Math.floor(this.#prng.next() * all.length)];
  }

  #chance(share: number): boolean {
    return this.#prng.next() < share;
  }
}
