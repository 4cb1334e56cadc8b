import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileJsonSchema } from './json-grammar.ts';

const texts = fc.oneof(
  fc.integer({ min: -1200, max: 1200 }).map(String),
  fc
    .tuple(fc.integer({ min: -120, max: 120 }), fc.array(fc.nat(9), { minLength: 1, maxLength: 4 }))
    .map(([whole, digits]) => `${whole}.${digits.join('')}`),
  fc.constantFrom('0', '-0', '-0.0', '-0.5', '0.0', '00', '-', '1.', '.5', '999999999999999999', '-999999999999999999'),
);
const isNumber = (text: string) => /^-?(?:0|[1-9]\d*)(?:\.\d+)?$/.test(text) && !/^-0(?:\.0*)?$/.test(text);
const holds = (value: number, bounds: Record<string, number>) =>
  !(value < bounds.minimum) &&
  !(value > bounds.maximum) &&
  !(value <= bounds.exclusiveMinimum) &&
  !(value >= bounds.exclusiveMaximum);
const bounds = (value: fc.Arbitrary<number>) =>
  fc.record({ minimum: value, maximum: value, exclusiveMinimum: value, exclusiveMaximum: value }, { requiredKeys: [] });

/** undefined where no number is in the range. */
function grammarOf(schema: object) {
  try {
    return compileJsonSchema(schema);
  } catch (error) {
    expect(String(error)).toMatch(/no value can be all of this/);
    return undefined;
  }
}

describe('numbers in a range', () => {
  it('are the whole numbers that compare so', () => {
    fc.assert(
      fc.property(
        bounds(fc.oneof(fc.integer({ min: -1100, max: 1100 }), fc.constantFrom(0.5, -3.5, 0))),
        fc.array(texts, { minLength: 20 }),
        (range, all) => {
          const grammar = grammarOf({ type: 'integer', ...range });
          for (const text of all) {
            const fits = isNumber(text) && !text.includes('.') && holds(Number(text), range);
            const isPlainNegativeZero = Object.keys(range).length === 0 && text === '-0';
            expect(grammar?.accepts(text) ?? false, `${text} in ${JSON.stringify(range)}`).toBe(
              fits || isPlainNegativeZero,
            );
          }
        },
      ),
    );
  });

  it('are the numbers with fractions that compare so', () => {
    const value = fc.oneof(
      fc.integer({ min: -120, max: 120 }),
      fc.integer({ min: -1200, max: 1200 }).map((n) => n / 10),
      fc.constantFrom(0, 0.001, -1.25, 1e-7),
    );
    fc.assert(
      fc.property(bounds(value), fc.array(texts, { minLength: 20 }), (range, all) => {
        fc.pre(Object.keys(range).length > 0);
        const grammar = grammarOf({ type: 'number', ...range });
        for (const text of all) {
          expect(grammar?.accepts(text) ?? false, `${text} in ${JSON.stringify(range)}`).toBe(
            isNumber(text) && holds(Number(text), range),
          );
        }
      }),
    );
  });

  it('keep to their bounds as doubles too, where many digits would round onto them', () => {
    const above = compileJsonSchema({ type: 'number', exclusiveMinimum: 0.3 });
    for (const text of ['0.3', '0.30000000000000000', '0.30000000000000001'])
      expect(above.accepts(text), text).toBe(false);
    expect(above.accepts('0.3000000000001')).toBe(true);
    const from = compileJsonSchema({ type: 'number', minimum: 0.3, maximum: 100 });
    expect(from.accepts('0.300000000000000001')).toBe(true);
    expect(from.accepts('0.299999999999999999')).toBe(false);
    expect(from.accepts('100.000000000000000000')).toBe(true);
    expect(from.accepts('100.000000000000000001')).toBe(false);
  });

  it('refuse bounds that cannot be kept exactly', () => {
    const exclusive = { type: 'number', exclusiveMinimum: 1 / 3 };
    expect(() => compileJsonSchema(exclusive)).toThrow(
      /^\[grammar\] schema at "#": minimum and maximum: expected a bound of at most 14 digits/,
    );
    expect(() => compileJsonSchema({ type: 'number', maximum: 1e30 })).toThrow(/at most 18 digits, got 1e\+30/);
    expect(() => compileJsonSchema({ type: 'integer', minimum: 1e20 })).toThrow(/at most 18 digits/);
    expect(compileJsonSchema({ type: 'integer', maximum: 1e20 }).accepts('999999999999999999')).toBe(true);
    expect(() => compileJsonSchema(JSON.parse('{"type":"number","maximum":1e999}'))).toThrow(/a finite number/);
  });
});
