/**
 * refuseOverlaps: do the branches of a oneOf exclude each other?
 *
 * A value must satisfy one branch and no other. A grammar writes what one branch allows and cannot ask the others, so oneOf is taken where no value can
 * satisfy two: they differ in type, in their constants, in a property that both require (the usual kind tag), or in a property that one
 * requires and the other cannot have.
 */

import {
  branchesOf,
  type Conjunction,
  type PlainPart,
  type SchemaExpander,
  type Shape,
  stableText,
} from './expand-schema.ts';
import { refusal } from './schema-error.ts';
import { type ObjectShape, objectOf } from './shape-keywords.ts';

const MOST_BRANCHES = 200;
/** How deep in required properties a difference is looked for. */
const DEEPEST_TAG = 3;

/** Throws UsageError for the first two branches of `part.schema.oneOf` that a value might satisfy together. */
export function refuseOverlaps(expander: SchemaExpander, part: PlainPart): void {
  const pointer = `${part.pointer}/oneOf`;
  const branches = branchesOf(part, 'oneOf', part.schema.oneOf);
  if (branches.length > MOST_BRANCHES) {
    throw refusal(pointer, `expected at most ${MOST_BRANCHES} branches, got ${branches.length}. Use anyOf.`);
  }
  const comparison = new Comparison(expander);
  for (const [j, later] of branches.entries()) {
    for (const [i, earlier] of branches.slice(0, j).entries()) {
      if (comparison.areExclusive([earlier], [later], DEEPEST_TAG)) continue;
      throw refusal(
        pointer,
        `expected branches of which one holds at most (by type, or by a required property with different constants), got ${i} and ${j}, which may hold both. Use anyOf.`,
      );
    }
  }
}

class Comparison {
  readonly #expander: SchemaExpander;
  readonly #shapes = new Map<string, Shape[]>();
  readonly #objects = new Map<Shape, ObjectShape | null>();

  constructor(expander: SchemaExpander) {
    this.#expander = expander;
  }

  areExclusive(a: Conjunction, b: Conjunction, depth: number): boolean {
    return this.#shapesOf(a).every((one) => this.#shapesOf(b).every((other) => this.#differ(one, other, depth)));
  }

  #differ(a: Shape, b: Shape, depth: number): boolean {
    if (!haveCommonType(a, b)) return true;
    if (a.values !== null && b.values !== null) {
      const texts = new Set(a.values.map(stableText));
      return !b.values.some((value) => texts.has(stableText(value)));
    }
    const areObjects = [a, b].every(({ types, values }) => values === null && types.size === 1 && types.has('object'));
    if (!areObjects) return false;
    const [one, other] = [this.#objectOf(a), this.#objectOf(b)];
    if (one === null || other === null) return true;
    return (
      (excludesByName(one, other) && excludesByName(other, one)) || (depth > 0 && this.#haveTag(one, other, depth - 1))
    );
  }

  /** A property that both require, with values that exclude each other. */
  #haveTag(a: ObjectShape, b: ObjectShape, depth: number): boolean {
    const required = new Map(
      b.properties.filter(({ isRequired }) => isRequired).map(({ name, value }) => [name, value]),
    );
    return a.properties.some(({ name, isRequired, value }) => {
      const other = isRequired ? required.get(name) : undefined;
      return other !== undefined && value.length > 0 && other.length > 0 && this.areExclusive(value, other, depth);
    });
  }

  #shapesOf(conjunction: Conjunction): Shape[] {
    const key = JSON.stringify(conjunction.map(({ pointer }) => pointer));
    const shapes = this.#shapes.get(key) ?? this.#expander.shapesOf(conjunction);
    this.#shapes.set(key, shapes);
    return shapes;
  }

  #objectOf(shape: Shape): ObjectShape | null {
    const known = this.#objects.get(shape);
    const object = known === undefined ? objectOf(shape) : known;
    this.#objects.set(shape, object);
    return object;
  }
}

/** Does `reader` require a property that nothing written for `writer` has? */
function excludesByName(writer: ObjectShape, reader: ObjectShape): boolean {
  if (writer.rest !== null) return false;
  const written = new Set(writer.properties.map(({ name }) => name));
  return reader.properties.some(({ name, isRequired }) => isRequired && !written.has(name));
}

function haveCommonType(a: Shape, b: Shape): boolean {
  return [...a.types].some(
    (type) =>
      b.types.has(type) ||
      (type === 'integer' && b.types.has('number')) ||
      (type === 'number' && b.types.has('integer')),
  );
}
