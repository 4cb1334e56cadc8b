/**
 * ExclusiveShapes: do the branches of a oneOf exclude each other?
 *
 * A value must satisfy one branch and no other. A grammar writes what one branch allows and cannot ask the others, so oneOf is taken where nothing that
 * is written for one satisfies another: they differ in type, in their constants, in a property that both require (the usual kind tag), or in a
 * property that one requires and the other cannot have. Compared are whole shapes, each a branch with all that holds beside it: what
 * is written is both together.
 *
 * The two sides of a comparison are not alike. Of the writer counts what the grammar writes, which is less than its schema allows: only the types of which it
 * speaks, only the properties that it names. Of the reader counts what a validator lets pass.
 */

import { isObject } from '../util/is-object.ts';
import { type Conjunction, keyOf, type SchemaExpander, type Shape } from './expand-schema.ts';
import { refusal } from './schema-error.ts';
import type { JsonType } from './schema-keywords.ts';
import { objectOf } from './shape-keywords.ts';
import type { StepBudget } from './step-budget.ts';

const MOST_BRANCHES = 200;
/** How deep in required properties a difference is looked for. */
const DEEPEST_TAG = 3;
/** In the steps of a StepBudget, what it costs to compare two shapes or look for a property, and to compare two conjunctions. */
const COST_OF_LOOK = 5;
const COST_OF_COMPARISON = 40;

/** What is required of an object, and what is written of it. */
interface Requirements {
  readonly required: ReadonlyMap<string, RequiredValue>;
  /** The names that are written; null where there may be any. */
  readonly written: ReadonlySet<string> | null;
}

interface RequiredValue {
  /** Equal for equal conjunctions. */
  readonly id: number;
  readonly conjunction: Conjunction;
}

/** For one schema: what was compared once is not compared again. */
export class ExclusiveShapes {
  readonly #expander: SchemaExpander;
  readonly #budget: StepBudget;
  readonly #requirements = new Map<Shape, Requirements | null>();
  readonly #ids = new Map<string, number>();
  readonly #verdicts = new Map<string, boolean>();
  /** The oneOf that is looked at. */
  #pointer = '#';

  constructor(expander: SchemaExpander, budget: StepBudget) {
    this.#expander = expander;
    this.#budget = budget;
  }

  /** Throws UsageError for the first two of these alternatives of one value that take different branches of a oneOf and may hold both. */
  refuseOverlaps(shapes: readonly Shape[]): void {
    const chosen = shapes.filter(({ branches }) => branches.size > 0);
    for (const shape of chosen) refuseManyBranches(shape);
    for (const [j, later] of chosen.entries()) {
      for (const earlier of chosen.slice(0, j)) {
        const pointer = differentChoice(earlier, later);
        if (pointer === undefined) continue;
        this.#pointer = pointer;
        const areExclusive = [
          [earlier, later],
          [later, earlier],
        ].every(([writer, reader]) => this.#excludes(writer, reader, DEEPEST_TAG));
        if (areExclusive) continue;
        const [i, other] = [earlier, later].map(({ branches }) => branches.get(pointer));
        throw refusal(
          pointer,
          `expected branches of which one holds at most (by type, or by a required property with different constants), got ${i} and ${other}, which may hold both. Use anyOf.`,
        );
      }
    }
  }

  /** Is nothing that is written for `writer` valid for `reader`? */
  #excludes(writer: Shape, reader: Shape, depth: number): boolean {
    this.#spend(COST_OF_LOOK);
    const types = [...writer.types].filter((type) => mayBe(type, reader.validTypes));
    if (types.length === 0) return true;
    if (writer.values !== null && reader.values !== null) return this.#areDisjoint(writer.values, reader.values);
    const areObjects = types.length === 1 && types[0] === 'object' && writer.values === null && reader.values === null;
    if (!areObjects) return false;
    const [written, required] = [this.#requirementsOf(writer), this.#requirementsOf(reader)];
    if (written === null || required === null) return true;
    return this.#lacksRequired(written, required) || (depth > 0 && this.#hasTag(written, required, depth - 1));
  }

  #areDisjoint(a: ReadonlyMap<string, unknown>, b: ReadonlyMap<string, unknown>): boolean {
    const [fewer, more] = a.size < b.size ? [a, b] : [b, a];
    this.#spend(fewer.size);
    return ![...fewer.keys()].some((text) => more.has(text));
  }

  /** Does `reader` require a property that nothing written for `writer` has? */
  #lacksRequired({ written }: Requirements, reader: Requirements): boolean {
    if (written === null) return false;
    this.#spend(reader.required.size);
    return [...reader.required.keys()].some((name) => !written.has(name));
  }

  /** A property that both require, with values that exclude each other. */
  #hasTag(writer: Requirements, reader: Requirements, depth: number): boolean {
    for (const [name, own] of writer.required) {
      this.#spend(COST_OF_LOOK);
      const other = reader.required.get(name);
      if (other !== undefined && this.#valuesExclude(own, other, depth)) return true;
    }
    return false;
  }

  #valuesExclude(writer: RequiredValue, reader: RequiredValue, depth: number): boolean {
    // Without a schema of its own it may be any value.
    if (writer.conjunction.length === 0 || reader.conjunction.length === 0) return false;
    const key = `${writer.id} ${reader.id} ${depth}`;
    let verdict = this.#verdicts.get(key);
    if (verdict === undefined) {
      this.#spend(COST_OF_COMPARISON);
      const [written, valid] = [writer, reader].map(({ conjunction }) => this.#expander.shapesOf(conjunction));
      verdict = written.every((one) => valid.every((other) => this.#excludes(one, other, depth)));
      this.#verdicts.set(key, verdict);
    }
    return verdict;
  }

  /** Null where no object will do. */
  #requirementsOf(shape: Shape): Requirements | null {
    let requirements = this.#requirements.get(shape);
    if (requirements === undefined) {
      requirements = this.#findRequirements(shape);
      this.#requirements.set(shape, requirements);
    }
    return requirements;
  }

  #findRequirements(shape: Shape): Requirements | null {
    const object = objectOf(shape, this.#budget);
    if (object === null) return null;
    const required = object.properties
      .filter(({ isRequired }) => isRequired)
      .map(({ name, value }): [string, RequiredValue] => [name, this.#requiredValue(value)]);
    // What differs is a constant nearly always: then the others need not be compared.
    required.sort(([, a], [, b]) => Number(hasConstants(b)) - Number(hasConstants(a)));
    return {
      required: new Map(required),
      written: object.rest === null ? new Set(object.properties.map(({ name }) => name)) : null,
    };
  }

  #requiredValue(value: Conjunction): RequiredValue {
    const conjunction = this.#expander.canonical(value);
    const key = keyOf(conjunction);
    const id = this.#ids.get(key) ?? this.#ids.size;
    this.#ids.set(key, id);
    return { id, conjunction };
  }

  #spend(steps: number): void {
    this.#budget.spend(steps, this.#pointer, 'Use anyOf.');
  }
}

function hasConstants({ conjunction }: RequiredValue): boolean {
  return conjunction.some(
    ({ schema }) => isObject(schema) && (Object.hasOwn(schema, 'const') || Object.hasOwn(schema, 'enum')),
  );
}

function refuseManyBranches({ parts }: Shape): void {
  for (const { schema, pointer } of parts) {
    const count = (schema.oneOf as unknown[] | undefined)?.length ?? 0;
    if (count <= MOST_BRANCHES) continue;
    throw refusal(`${pointer}/oneOf`, `expected at most ${MOST_BRANCHES} branches, got ${count}. Use anyOf.`);
  }
}

/** A oneOf of which both have a branch, and not the same. */
function differentChoice(a: Shape, b: Shape): string | undefined {
  for (const [pointer, branch] of a.branches) {
    const other = b.branches.get(pointer);
    if (other !== undefined && other !== branch) return pointer;
  }
  return undefined;
}

/** May a value of this type be of one of those? */
function mayBe(type: JsonType, types: ReadonlySet<JsonType>): boolean {
  return types.has(type) || (type === 'integer' && types.has('number')) || (type === 'number' && types.has('integer'));
}
