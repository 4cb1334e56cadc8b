/**
 * SchemaExpander: a schema as shapes, its alternatives without references and combinations.
 *
 * Several schemas that hold at once (a `$ref` with keywords beside it, `allOf`, one branch of each `anyOf`) are a conjunction: a list of schemas by their
 * places. Expanding one follows references, and makes of each choice of branches one shape: the keywords of all of its schemas,
 * gathered. What lies inside of a shape, a property or an item, is again a conjunction of places. So recursion comes down to the same few
 * lists of places, which is how the compiler knows a rule that it has made already.
 */

import { nearestName } from '../util/errors.ts';
import { shown } from '../util/problems.ts';
import { refusal } from './schema-error.ts';
import {
  checkKeywords,
  isObject,
  JSON_TYPES,
  type JsonType,
  KEYWORDS_OF_TYPE,
  type SchemaObject,
  sayingKeywords,
} from './schema-keywords.ts';

/** A schema in its place. */
export interface Part {
  readonly schema: unknown;
  readonly pointer: string;
  readonly depth: number;
}

export type Conjunction = readonly Part[];

/** One alternative: values of these types that all of these keyword lists allow. */
export interface Shape {
  readonly pointer: string;
  /** 'number' includes 'integer', which then is not listed. Never empty. */
  readonly types: ReadonlySet<JsonType>;
  /** Of enum and const; null where any value will do. */
  readonly values: readonly unknown[] | null;
  readonly parts: readonly PlainPart[];
}

/** A schema with its own keywords checked, and nothing to follow. */
export interface PlainPart extends Part {
  readonly schema: SchemaObject;
}

/** A part to be read, with the places that led to it: one that leads to itself says nothing. */
interface Step {
  readonly part: Part;
  readonly path: readonly string[];
}

/** One of these is to be chosen. */
type Choice = readonly Step[];

/** Alternatives that are tried, in one place and in the whole schema. */
const MOST_ALTERNATIVES = 1000;
const MOST_IN_ALL = 10_000;
/** Choices that hold at once. */
const MOST_CHOICES = 100;
const DEEPEST = 100;

export class SchemaExpander {
  readonly #root: unknown;
  #alternatives = 0;
  /** Of those, how many in other places. */
  #before = 0;

  constructor(root: unknown) {
    this.#root = root;
  }

  get root(): Part {
    return { schema: this.#root, pointer: '#', depth: 0 };
  }

  /**
   * Places that stand for others replaced by those, those that say nothing left out, in order and each once: equal lists are equal schemas. An empty list
   * allows any value.
   */
  canonical(conjunction: Conjunction): Conjunction {
    const byPointer = new Map<string, Part>();
    for (const part of conjunction) {
      const target = this.#behindReferences(part);
      const isOpen = target.schema === true || (isObject(target.schema) && sayingKeywords(target.schema).length === 0);
      if (!isOpen) byPointer.set(target.pointer, target);
    }
    return [...byPointer.values()].sort((a, b) => (a.pointer < b.pointer ? -1 : 1));
  }

  /** Its alternatives; none where no value can be all of this. Throws UsageError for what is not supported. */
  shapesOf(conjunction: Conjunction): Shape[] {
    const steps = conjunction.map((part) => ({ part, path: [] }));
    this.#before = this.#alternatives;
    return this.#expand(steps, { gathered: new Map(), open: [], taken: 0 }, conjunction[0].pointer);
  }

  #expand(steps: readonly Step[], before: Progress, pointer: string): Shape[] {
    const count = ++this.#alternatives;
    if (count - this.#before > MOST_ALTERNATIVES || count > MOST_IN_ALL || before.taken > MOST_CHOICES) {
      const most = `at most ${MOST_ALTERNATIVES} in one place, ${MOST_IN_ALL} in all and ${MOST_CHOICES} choices at once`;
      throw refusal(pointer, `too many alternatives: expected ${most}. Use fewer branches.`);
    }
    const gathered = new Map(before.gathered);
    const open = [...before.open];
    const waiting = [...steps];
    for (let step = waiting.pop(); step !== undefined; step = waiting.pop()) {
      const { part, path } = step;
      if (part.schema === false) return [];
      if (path.includes(part.pointer)) {
        throw refusal(part.pointer, 'it refers to itself without a value between: expected a schema of a value.');
      }
      if (part.schema === true || gathered.has(part.pointer)) continue;
      const plain = checkedPart(part);
      gathered.set(part.pointer, plain);
      const stepTo = (next: Part): Step => ({ part: next, path: [...path, part.pointer] });
      const { $ref, allOf, anyOf, oneOf } = plain.schema;
      if ($ref !== undefined) waiting.push(stepTo(this.#resolve($ref as string, part)));
      waiting.push(...branchesOf(plain, 'allOf', allOf).map(stepTo));
      if (anyOf !== undefined) open.push(branchesOf(plain, 'anyOf', anyOf).map(stepTo));
      if (oneOf !== undefined) open.push(branchesOf(plain, 'oneOf', oneOf).map(stepTo));
    }
    const choice = open.shift();
    if (choice !== undefined) {
      return choice.flatMap((step) => this.#expand([step], { gathered, open, taken: before.taken + 1 }, pointer));
    }
    const shape = shapeOf([...gathered.values()], pointer);
    return shape === null ? [] : [shape];
  }

  /** Through schemas that are nothing but a reference. */
  #behindReferences(part: Part): Part {
    const followed = new Set<string>();
    let at = part;
    while (isObject(at.schema) && typeof at.schema.$ref === 'string' && sayingKeywords(at.schema).length === 1) {
      if (followed.has(at.pointer)) return part;
      followed.add(at.pointer);
      at = this.#resolve(at.schema.$ref, at);
    }
    return at;
  }

  #resolve(reference: string, { pointer, depth }: Part): Part {
    if (reference !== '#' && !reference.startsWith('#/')) {
      throw refusal(pointer, `$ref: expected a place in this schema such as "#/$defs/name", got ${shown(reference)}.`);
    }
    let schema = this.#root;
    for (const name of reference.split('/').slice(1).map(unescaped)) {
      const isThere = typeof schema === 'object' && schema !== null && Object.hasOwn(schema, name);
      if (!isThere) {
        const near = isObject(schema) ? nearestName(name, Object.keys(schema)) : undefined;
        const advice = near === undefined ? '' : ` Did you mean ${shown(near)}?`;
        throw refusal(
          pointer,
          `$ref ${shown(reference)}: expected ${shown(name)} to be there, found nothing.${advice}`,
        );
      }
      schema = (schema as SchemaObject)[name];
    }
    // One place has one name, however it was spelled.
    return { schema, pointer: pointerOf(reference), depth };
  }
}

interface Progress {
  readonly gathered: ReadonlyMap<string, PlainPart>;
  readonly open: readonly Choice[];
  /** How many choices were made. */
  readonly taken: number;
}

/** The schema of a keyword inside of another one. */
export function childPart(parent: Part, path: readonly (string | number)[], schema: unknown): Part {
  const names = path.map((name) => String(name).replaceAll('~', '~0').replaceAll('/', '~1'));
  const pointer = [parent.pointer, ...names].join('/');
  if (parent.depth >= DEEPEST)
    throw refusal(pointer, `nested too deep: expected at most ${DEEPEST} schemas, one in another.`);
  return { schema, pointer, depth: parent.depth + 1 };
}

/** The branches of allOf, anyOf and oneOf. */
export function branchesOf(parent: Part, keyword: string, schemas: unknown): Part[] {
  return ((schemas as unknown[] | undefined) ?? []).map((schema, i) => childPart(parent, [keyword, i], schema));
}

function checkedPart(part: Part): PlainPart {
  const { schema, pointer } = part;
  if (!isObject(schema)) throw refusal(pointer, `expected a schema (an object, true or false), got ${shown(schema)}.`);
  checkKeywords(schema, pointer);
  return { ...part, schema };
}

function shapeOf(parts: readonly PlainPart[], pointer: string): Shape | null {
  const values = allowedValues(parts);
  const types = allowedTypes(parts, values);
  if (types.size === 0 || values?.length === 0) return null;
  return { pointer, types, values, parts };
}

/** Values of every enum and const whose type every `type` allows; null without enum and const. */
function allowedValues(parts: readonly PlainPart[]): unknown[] | null {
  let values: unknown[] | null = null;
  for (const { schema } of parts) {
    for (const list of [
      schema.enum as unknown[] | undefined,
      Object.hasOwn(schema, 'const') ? [schema.const] : undefined,
    ]) {
      if (list === undefined) continue;
      const texts = new Set(list.map(stableText));
      values = values === null ? uniqueValues(list) : values.filter((value) => texts.has(stableText(value)));
    }
  }
  const types = explicitTypes(parts);
  return values?.filter((value) => types === null || hasType(value, types)) ?? null;
}

/** What `type` says in all parts together; null where it says nothing. */
function explicitTypes(parts: readonly PlainPart[]): Set<JsonType> | null {
  let types: Set<JsonType> | null = null;
  for (const { schema, pointer } of parts) {
    if (schema.type === undefined) {
      if (schema.nullable === true)
        throw refusal(pointer, 'nullable: expected a type beside it, got none. Add "null" with anyOf.');
      continue;
    }
    const own = new Set([schema.type].flat() as JsonType[]);
    if (schema.nullable === true) own.add('null');
    types = types === null ? own : intersection(types, own);
  }
  return types;
}

/** Without `type`, those that some keyword speaks of; where none does, all. */
function allowedTypes(parts: readonly PlainPart[], values: readonly unknown[] | null): Set<JsonType> {
  if (values !== null) return new Set(values.map(typeOf));
  let types = explicitTypes(parts);
  if (types === null) {
    const named = [...KEYWORDS_OF_TYPE].flatMap(([type, keywords]) =>
      parts.some(({ schema }) => keywords.some((keyword) => Object.hasOwn(schema, keyword))) ? [type] : [],
    );
    types = new Set(named.length > 0 ? named : JSON_TYPES);
  }
  if (types.has('number')) types.delete('integer');
  return types;
}

function intersection(a: ReadonlySet<JsonType>, b: ReadonlySet<JsonType>): Set<JsonType> {
  const has = (types: ReadonlySet<JsonType>, type: JsonType) =>
    types.has(type) || (type === 'integer' && types.has('number'));
  return new Set(JSON_TYPES.filter((type) => has(a, type) && has(b, type)));
}

function typeOf(value: unknown): JsonType {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value as JsonType;
}

function hasType(value: unknown, types: ReadonlySet<JsonType>): boolean {
  const type = typeOf(value);
  return types.has(type) || (type === 'integer' && types.has('number'));
}

function uniqueValues(values: readonly unknown[]): unknown[] {
  return [...new Map(values.map((value) => [stableText(value), value])).values()];
}

/** Equal for equal values, whatever the order of their keys. */
export function stableText(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    isObject(inner) ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1))) : inner,
  );
}

function unescaped(name: string): string {
  let text = name;
  try {
    text = decodeURIComponent(name);
  } catch {
    // Not percent-encoded: the name as it stands.
  }
  return text.replaceAll('~1', '/').replaceAll('~0', '~');
}

function pointerOf(reference: string): string {
  const names = reference.split('/').slice(1).map(unescaped);
  return ['#', ...names.map((name) => name.replaceAll('~', '~0').replaceAll('/', '~1'))].join('/');
}
