/**
 * The keywords of a JSON schema that are understood, and the check of one schema's own keywords.
 *
 * A keyword is used, or it is a note for people and ignored, or it is refused: nothing that could restrict a document is skipped silently. A name that
 * nobody knows is refused too, as it may be misspelled. Only this one schema is looked at; what lies inside is checked when it is read.
 */

import { nearestName } from '../util/errors.ts';
import { isObject } from '../util/is-object.ts';
import { shown } from '../util/problems.ts';
import { refusal } from './schema-error.ts';

export type JsonType = 'string' | 'number' | 'integer' | 'object' | 'array' | 'boolean' | 'null';

export type SchemaObject = Readonly<Record<string, unknown>>;

export const JSON_TYPES: readonly JsonType[] = ['string', 'number', 'integer', 'object', 'array', 'boolean', 'null'];

/** Keywords that say something about values of one type only. */
export const KEYWORDS_OF_TYPE: ReadonlyMap<JsonType, readonly string[]> = new Map([
  ['string', ['minLength', 'maxLength', 'pattern', 'format']],
  ['number', ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum']],
  ['array', ['items', 'prefixItems', 'minItems', 'maxItems']],
  ['object', ['properties', 'required', 'additionalProperties']],
]);

const COMBINING = ['$ref', 'allOf', 'anyOf', 'oneOf', 'enum', 'const', 'type', 'nullable'];

const NOTES = new Set(
  '$schema $comment $defs definitions title description default example examples deprecated readOnly writeOnly discriminator contentEncoding contentMediaType'.split(
    ' ',
  ),
);

/** What to write instead. */
const REFUSED: ReadonlyMap<string, string> = new Map([
  ['multipleOf', 'use type "integer", or an enum'],
  ['uniqueItems', 'leave it out, or check it afterwards'],
  ['not', 'say what is allowed instead'],
  ['if', 'use anyOf'],
  ['then', 'use anyOf'],
  ['else', 'use anyOf'],
  ['contains', 'use items or prefixItems'],
  ['minContains', 'use minItems'],
  ['maxContains', 'use maxItems'],
  ['minProperties', 'use required'],
  ['maxProperties', 'use additionalProperties: false'],
  ['patternProperties', 'name the properties'],
  ['propertyNames', 'name the properties'],
  ['dependentRequired', 'use anyOf'],
  ['dependentSchemas', 'use anyOf'],
  ['dependencies', 'use anyOf'],
  ['unevaluatedProperties', 'use additionalProperties'],
  ['unevaluatedItems', 'use items'],
  ['additionalItems', 'use prefixItems and items'],
  ['$dynamicRef', 'use $ref'],
  ['$recursiveRef', 'use $ref'],
  ['$id', 'leave it out below the root'],
  ['$anchor', 'refer by "#/..."'],
  ['$dynamicAnchor', 'refer by "#/..."'],
]);

const USED = [...COMBINING, ...[...KEYWORDS_OF_TYPE.values()].flat()];

const MOST_VALUES = 10_000;
const DEEPEST_VALUE = 100;

type Check = (value: unknown) => string | null;

const whole: Check = (value) =>
  Number.isInteger(value) && (value as number) >= 0 ? null : 'a whole number of at least 0';
const number: Check = (value) => (typeof value === 'number' && Number.isFinite(value) ? null : 'a finite number');
const text: Check = (value) => (typeof value === 'string' ? null : 'text');
const flag: Check = (value) => (typeof value === 'boolean' ? null : 'true or false');
const object: Check = (value) => (isObject(value) ? null : 'an object');
const list: Check = (value) => (Array.isArray(value) && value.length > 0 ? null : 'a list that is not empty');
const names: Check = (value) =>
  Array.isArray(value) && value.every((one) => typeof one === 'string') ? null : 'a list of names';
const anything: Check = () => null;
const literal: Check = (value) =>
  isWritable(value) ? null : `finite values with at most ${DEEPEST_VALUE} lists and objects in each other`;

const CHECKS: Readonly<Record<string, Check>> = {
  $ref: text,
  allOf: list,
  anyOf: list,
  oneOf: list,
  enum: (value) =>
    list(value) ?? ((value as unknown[]).length > MOST_VALUES ? `at most ${MOST_VALUES} values` : literal(value)),
  const: literal,
  type: (value) => {
    const all: unknown[] = Array.isArray(value) ? value : [value];
    const fits = all.length > 0 && all.every((one) => (JSON_TYPES as readonly unknown[]).includes(one));
    return fits ? null : `one or a list of ${JSON_TYPES.join(', ')}`;
  },
  nullable: flag,
  minLength: whole,
  maxLength: whole,
  pattern: text,
  format: text,
  minimum: number,
  maximum: number,
  exclusiveMinimum: number,
  exclusiveMaximum: number,
  // Draft 4 to 2019 had a list here.
  items: (value) => (Array.isArray(value) ? 'a schema (the list of draft 2019 is prefixItems now)' : null),
  prefixItems: list,
  minItems: whole,
  maxItems: whole,
  properties: object,
  required: names,
  additionalProperties: anything,
};

/** What is deeper could not be written out by a function that calls itself; numbers of JSON may be too large for a double. */
function isWritable(value: unknown): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; depth <= DEEPEST_VALUE; depth++) {
    if (level.some((one) => typeof one === 'number' && !Number.isFinite(one))) return false;
    level = level.flatMap((one) => (typeof one === 'object' && one !== null ? Object.values(one) : []));
    if (level.length === 0) return true;
  }
  return false;
}

/** The keywords of a schema that are not for people only. */
export function sayingKeywords(schema: SchemaObject): string[] {
  return Object.keys(schema).filter((keyword) => !isNote(keyword));
}

function isNote(keyword: string): boolean {
  return NOTES.has(keyword) || keyword.startsWith('x-');
}

/** Throws UsageError for the first keyword of this schema that is unknown, not supported, or has a wrong value. */
export function checkKeywords(schema: SchemaObject, pointer: string): void {
  for (const [keyword, value] of Object.entries(schema)) {
    // Anywhere else it would change what references mean.
    if (isNote(keyword) || (keyword === '$id' && pointer === '#')) continue;
    const check = Object.hasOwn(CHECKS, keyword) ? CHECKS[keyword] : undefined;
    if (check === undefined) throw unknownKeyword(keyword, value, pointer);
    const expected = check(value);
    if (expected !== null) throw refusal(pointer, `${keyword}: expected ${expected}, got ${shown(value)}.`);
  }
}

function unknownKeyword(keyword: string, value: unknown, pointer: string): Error {
  const instead = REFUSED.get(keyword);
  if (instead !== undefined) {
    return refusal(pointer, `${keyword} is not supported: expected none, got ${shown(value)}. Instead, ${instead}.`);
  }
  const near = keyword.length < 60 ? nearestName(keyword, USED) : undefined;
  const advice = near === undefined ? 'Leave it out.' : `Did you mean "${near}"?`;
  return refusal(pointer, `unknown keyword ${shown(keyword)}: expected one of JSON Schema. ${advice}`);
}
