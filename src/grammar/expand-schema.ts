/**
 * SchemaExpander: a schema as shapes, its alternatives without references and combinations.
 *
 * Several schemas that hold at once (a `$ref` with keywords beside it, `allOf`, one branch of each `anyOf`) are a conjunction: a list of schemas by their
 * places. Expanding one follows references, and makes of each choice of branches one shape: the keywords of all of its schemas,
 * gathered. What lies inside of a shape, a property or an item, is again a conjunction of places. So recursion comes down to the same few
 * lists of places, which is how the compiler knows a rule that it has made already.
 */

import { nearestName } from '../util/errors.ts';
import { isObject } from '../util/is-object.ts';
import { shown } from '../util/problems.ts';
import { refusal } from './schema-error.ts';
import {
  checkKeywords,
  JSON_TYPES,
  type JsonType,
  KEYWORDS_OF_TYPE,
  type SchemaObject,
  sayingKeywords,
} from './schema-keywords.ts';
import type { StepBudget } from './step-budget.ts';

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
  /** Of the values that are written. 'number' includes 'integer', which then is not listed. Never empty. */
  readonly types: ReadonlySet<JsonType>;
  /** Of the values that a validator lets pass: where no part names a type, keywords bind only values of which they speak. */
  readonly validTypes: ReadonlySet<JsonType>;
  /** Of enum and const, by their stable texts; null where any value will do. */
  readonly values: ReadonlyMap<string, unknown> | null;
  readonly parts: readonly PlainPart[];
  /** The number of the branch that was taken of each oneOf, by its place. */
  readonly branches: ReadonlyMap<string, number>;
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
interface Choice {
  /** The place of the oneOf; null for branches of which several may hold. */
  readonly oneOf: string | null;
  readonly steps: readonly Step[];
}

/** Alternatives that are tried, in one place and in the whole schema. */
const MOST_ALTERNATIVES = 1000;
const MOST_IN_ALL = 10_000;
/** Choices that hold at once. */
const MOST_CHOICES = 100;
const DEEPEST = 100;
/** In the steps of a StepBudget, what a reference costs, a part that is gathered, and a value of an enum. */
const COST_OF_REFERENCE = 100;
const COST_OF_PART = 20;
const COST_OF_VALUE = 10;

export class SchemaExpander {
  readonly #root: unknown;
  readonly #budget: StepBudget;
  readonly #shapes = new Map<string, Shape[]>();
  /** The places whose own keywords were checked. */
  readonly #checked = new Set<string>();
  /** What enum and const allow together; null for schemas with neither. */
  readonly #values = new Map<string, ReadonlyMap<string, unknown> | null>();
  #alternatives = 0;
  /** Of those, how many in other places. */
  #before = 0;

  constructor(root: unknown, budget: StepBudget) {
    this.#root = root;
    this.#budget = budget;
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
    const key = keyOf(conjunction);
    let shapes = this.#shapes.get(key);
    if (shapes === undefined) {
      const steps = conjunction.map((part) => ({ part, path: [] }));
      this.#before = this.#alternatives;
      const nothing: Progress = { gathered: new Map(), open: [], branches: new Map(), taken: 0 };
      shapes = this.#expand(steps, nothing, conjunction[0].pointer);
      this.#shapes.set(key, shapes);
    }
    return shapes;
  }

  #expand(steps: readonly Step[], before: Progress, pointer: string): Shape[] {
    const count = ++this.#alternatives;
    if (count - this.#before > MOST_ALTERNATIVES || count > MOST_IN_ALL || before.taken > MOST_CHOICES) {
      const most = `at most ${MOST_ALTERNATIVES} in one place, ${MOST_IN_ALL} in all and ${MOST_CHOICES} choices at once`;
      throw refusal(pointer, `too many alternatives: expected ${most}. Use fewer branches.`);
    }
    this.#spend(COST_OF_PART * before.gathered.size, pointer);
    const gathered = new Map(before.gathered);
    const open = [...before.open];
    const waiting = [...steps];
    for (let step = waiting.pop(); step !== undefined; step = waiting.pop()) {
      const { part, path } = step;
      this.#spend(COST_OF_PART + path.length, part.pointer);
      if (part.schema === false) return [];
      if (path.includes(part.pointer)) {
        throw refusal(part.pointer, 'it refers to itself without a value between: expected a schema of a value.');
      }
      if (part.schema === true || gathered.has(part.pointer)) continue;
      const plain = this.#checkedPart(part);
      gathered.set(part.pointer, plain);
      const stepTo = (next: Part): Step => ({ part: next, path: [...path, part.pointer] });
      const { $ref, allOf, anyOf, oneOf } = plain.schema;
      if ($ref !== undefined) waiting.push(stepTo(this.#resolve($ref as string, part)));
      waiting.push(...branchesOf(plain, 'allOf', allOf).map(stepTo));
      if (anyOf !== undefined) open.push({ oneOf: null, steps: branchesOf(plain, 'anyOf', anyOf).map(stepTo) });
      if (oneOf !== undefined) {
        open.push({ oneOf: `${part.pointer}/oneOf`, steps: branchesOf(plain, 'oneOf', oneOf).map(stepTo) });
      }
    }
    const choice = open.shift();
    if (choice !== undefined) {
      return choice.steps.flatMap((step, i) => {
        const branches = choice.oneOf === null ? before.branches : new Map(before.branches).set(choice.oneOf, i);
        return this.#expand([step], { gathered, open, branches, taken: before.taken + 1 }, pointer);
      });
    }
    const shape = this.#shapeOf([...gathered.values()], before.branches, pointer);
    return shape === null ? [] : [shape];
  }

  #checkedPart(part: Part): PlainPart {
    const { schema, pointer } = part;
    if (!isObject(schema)) {
      throw refusal(pointer, `expected a schema (an object, true or false), got ${shown(schema)}.`);
    }
    if (!this.#checked.has(pointer)) checkKeywords(schema, pointer);
    this.#checked.add(pointer);
    return { ...part, schema };
  }

  #shapeOf(parts: readonly PlainPart[], branches: ReadonlyMap<string, number>, pointer: string): Shape | null {
    const named = namedTypes(parts);
    const values = this.#allowedValues(parts, named, pointer);
    if (values !== null) {
      const types = new Set([...values.values()].map(typeOf));
      return types.size === 0 ? null : { pointer, types, validTypes: types, values, parts, branches };
    }
    const types = named ?? spokenOfTypes(parts);
    const validTypes = named ?? new Set(JSON_TYPES);
    return types.size === 0 ? null : { pointer, types, validTypes, values, parts, branches };
  }

  /** Values of every enum and const whose type every `type` allows; null without enum and const. */
  #allowedValues(
    parts: readonly PlainPart[],
    types: ReadonlySet<JsonType> | null,
    pointer: string,
  ): ReadonlyMap<string, unknown> | null {
    let values = null as ReadonlyMap<string, unknown> | null;
    for (const part of parts) {
      const own = this.#valuesOf(part);
      if (own === null) continue;
      this.#spend(COST_OF_VALUE * own.size, pointer);
      values = values === null ? own : new Map([...values].filter(([text]) => own.has(text)));
    }
    if (values === null || types === null) return values;
    return new Map([...values].filter(([, value]) => hasType(value, types)));
  }

  #valuesOf({ schema, pointer }: PlainPart): ReadonlyMap<string, unknown> | null {
    let values = this.#values.get(pointer);
    if (values === undefined) {
      values = valuesOf(schema);
      this.#values.set(pointer, values);
    }
    return values;
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
    this.#spend(COST_OF_REFERENCE, pointer);
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
      // Inside of it references would mean other places.
      if (isObject(schema) && typeof schema.$id === 'string') {
        throw refusal(
          pointer,
          `$ref ${shown(reference)}: expected a place of this document, got one in a schema with an $id of its own. Leave that $id out.`,
        );
      }
    }
    // One place has one name, however it was spelled.
    return { schema, pointer: pointerOf(reference), depth };
  }

  #spend(steps: number, pointer: string): void {
    this.#budget.spend(steps, pointer, 'Use fewer references, alternatives and values.');
  }
}

interface Progress {
  readonly gathered: ReadonlyMap<string, PlainPart>;
  readonly open: readonly Choice[];
  readonly branches: ReadonlyMap<string, number>;
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
function branchesOf(parent: Part, keyword: string, schemas: unknown): Part[] {
  return ((schemas as unknown[] | undefined) ?? []).map((schema, i) => childPart(parent, [keyword, i], schema));
}

/** Equal for lists of the same places. */
export function keyOf(conjunction: Conjunction): string {
  return JSON.stringify(conjunction.map(({ pointer }) => pointer));
}

/** What enum and const of one schema allow together. */
function valuesOf(schema: SchemaObject): ReadonlyMap<string, unknown> | null {
  const byText = (list: readonly unknown[]) => new Map(list.map((value) => [stableText(value), value]));
  const listed = schema.enum === undefined ? null : byText(schema.enum as unknown[]);
  if (!Object.hasOwn(schema, 'const')) return listed;
  const constant = byText([schema.const]);
  return listed === null ? constant : new Map([...constant].filter(([text]) => listed.has(text)));
}

/** What `type` says in all parts together; null where it says nothing. */
function namedTypes(parts: readonly PlainPart[]): ReadonlySet<JsonType> | null {
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
  return types === null ? null : withoutSubtypes(types);
}

/** Those that some keyword speaks of; where none does, all. */
function spokenOfTypes(parts: readonly PlainPart[]): ReadonlySet<JsonType> {
  const spokenOf = [...KEYWORDS_OF_TYPE].flatMap(([type, keywords]) =>
    parts.some(({ schema }) => keywords.some((keyword) => Object.hasOwn(schema, keyword))) ? [type] : [],
  );
  return withoutSubtypes(new Set(spokenOf.length > 0 ? spokenOf : JSON_TYPES));
}

function withoutSubtypes(types: Set<JsonType>): Set<JsonType> {
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

/** Equal for equal values, whatever the order of their keys. */
function stableText(value: unknown): string {
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
