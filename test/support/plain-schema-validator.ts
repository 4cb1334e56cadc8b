/**
 * Is a value valid under a JSON schema? Written from the specification (draft 2020-12) for the keywords that src/grammar supports, one line each.
 *
 * Shares nothing with src/: objects and arrays are open where a schema is silent, oneOf counts, patterns are JavaScript's.
 */

import { isIPv4, isIPv6 } from 'node:net';

type Schema = boolean | Record<string, unknown>;

const FORMATS: Record<string, (text: string) => boolean> = {
  date: isDate,
  time: isTime,
  'date-time': (text) => isDate(text.slice(0, 10)) && text[10] === 'T' && isTime(text.slice(11)),
  duration: (text) => /^P(?!$)(\d+Y)?(\d+M)?(\d+W)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+S)?)?$/.test(text),
  uuid: (text) => /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text),
  email: (text) =>
    /^[^@\s."]+(\.[^@\s."]+)*@[^@]+$/.test(text) && text.indexOf('@') <= 64 && isHost(text.split('@')[1]),
  hostname: isHost,
  ipv4: isIPv4,
  ipv6: isIPv6,
};

export function isValid(schema: Schema, value: unknown, root: Schema = schema): boolean {
  if (typeof schema === 'boolean') return schema;
  const holds = (inner: unknown, one: unknown = value) => isValid(inner as Schema, one, root);
  const list = (keyword: string) => schema[keyword] as unknown[];
  const number = (keyword: string) => schema[keyword] as number;
  const rules: Record<string, () => boolean> = {
    $ref: () => holds(resolve(schema.$ref as string, root)),
    allOf: () => list('allOf').every((one) => holds(one)),
    anyOf: () => list('anyOf').some((one) => holds(one)),
    oneOf: () => list('oneOf').filter((one) => holds(one)).length === 1,
    enum: () => list('enum').some((one) => isEqual(one, value)),
    const: () => isEqual(schema.const, value),
    type: () =>
      [schema.type].flat().some((type) => hasType(type as string, value)) ||
      (schema.nullable === true && value === null),
  };
  if (typeof value === 'string') {
    rules.minLength = () => [...value].length >= number('minLength');
    rules.maxLength = () => [...value].length <= number('maxLength');
    rules.pattern = () => new RegExp(schema.pattern as string, 'u').test(value);
    rules.format = () => FORMATS[schema.format as string](value);
  }
  if (typeof value === 'number') {
    rules.minimum = () => value >= number('minimum');
    rules.maximum = () => value <= number('maximum');
    rules.exclusiveMinimum = () => value > number('exclusiveMinimum');
    rules.exclusiveMaximum = () => value < number('exclusiveMaximum');
  }
  if (Array.isArray(value)) {
    const prefix = (schema.prefixItems ?? []) as unknown[];
    rules.minItems = () => value.length >= number('minItems');
    rules.maxItems = () => value.length <= number('maxItems');
    rules.prefixItems = () => prefix.every((one, i) => i >= value.length || holds(one, value[i]));
    rules.items = () => value.slice(prefix.length).every((one) => holds(schema.items, one));
  } else if (typeof value === 'object' && value !== null) {
    const properties = (schema.properties ?? {}) as Record<string, unknown>;
    const entries = Object.entries(value);
    rules.required = () => list('required').every((name) => Object.hasOwn(value, name as string));
    rules.properties = () =>
      entries.every(([name, one]) => !Object.hasOwn(properties, name) || holds(properties[name], one));
    rules.additionalProperties = () =>
      entries.every(([name, one]) => Object.hasOwn(properties, name) || holds(schema.additionalProperties, one));
  }
  return Object.keys(schema).every((keyword) => rules[keyword]?.() ?? true);
}

function resolve(reference: string, root: Schema): unknown {
  const names = reference.split('/').slice(1);
  return names.reduce<unknown>((at, name) => (at as Record<string, unknown>)[name], root);
}

function hasType(type: string, value: unknown): boolean {
  if (type === 'integer') return Number.isInteger(value);
  if (type === 'null') return value === null;
  if (type === 'array') return Array.isArray(value);
  if (type === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value);
  return typeof value === type && (type !== 'number' || Number.isFinite(value));
}

function isEqual(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b;
  const [keys, others] = [Object.keys(a), Object.keys(b)];
  if (Array.isArray(a) !== Array.isArray(b) || keys.length !== others.length) return false;
  return keys.every((key) => Object.hasOwn(b, key) && isEqual(a[key as keyof typeof a], b[key as keyof typeof b]));
}

function isDate(text: string): boolean {
  const date = new Date(`${text}T00:00:00Z`);
  return /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text);
}

function isTime(text: string): boolean {
  const match = /^(\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:Z|[+-](\d\d):(\d\d))$/.exec(text);
  if (match === null) return false;
  const [hours, minutes, seconds, zoneHours = 0, zoneMinutes = 0] = match.slice(1).map((part) => Number(part ?? 0));
  return hours < 24 && minutes < 60 && seconds < 60 && zoneHours < 24 && zoneMinutes < 60;
}

function isHost(text: string): boolean {
  const labels = text.split('.');
  const fits = (label: string) => /^[a-z0-9-]{1,63}$/i.test(label) && !label.startsWith('-') && !label.endsWith('-');
  return text.length <= 253 && labels.every(fits);
}
